"""Move transposes up to the network's inputs, where the host does them for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lepton_edge.ir.graph import Graph, Node, Rewriter
from lepton_edge.ir.ops.elementwise import Binary, Scalar
from lepton_edge.ir.ops.quantized import Dequantize, Lookup, Quantize, Requantize, Threshold
from lepton_edge.ir.ops.shape import Transpose
from lepton_edge.passes.base import Effect, Pass


@dataclass(frozen=True)
class HoistTransposes(Pass):
    """Let a transpose change places with the elementwise ops between it and an input.

    ::

        input → lookup → transpose → conv     ⇒     input → transpose → lookup → conv

    A streaming accelerator cannot reorder pixels; whoever feeds it can.
    """

    name: ClassVar[str] = "hoist-transposes"
    effect: ClassVar[Effect] = Effect.EXACT

    def run(self, graph: Graph) -> Graph:
        """See Pass."""
        chains = {
            node.name: chain
            for node in graph.nodes
            if isinstance(node.op, Transpose) and (chain := _chain_from_input(graph, node))
        }
        passed = {node.name for chain in chains.values() for node in chain}
        new = Rewriter(graph)
        for node in graph.nodes:
            if node.name in passed:
                continue
            chain = chains.get(node.name, ())
            if not chain or not isinstance(node.op, Transpose):
                new.copy(node)
                continue
            source = new[chain[0].inputs[_position(graph, chain[0])]]
            value = new.emit1(node.op, [source], name=node.name, sources=node.sources)
            for step in chain:
                inputs = [
                    value if v not in graph.constants
                    else _reordered(new, v, node.op.perm) if isinstance(step.op, Binary)
                    else new[v]
                    for v in step.inputs
                ]  # fmt: skip
                value = new.emit1(step.op, inputs, name=step.name, sources=step.sources)
            new.replace(node.output, value)
        return new.done()


def _chain_from_input(graph: Graph, transpose: Node) -> tuple[Node, ...]:
    """Return the ops between a network input and ``transpose``; none if it cannot pass them all."""
    chain: list[Node] = []
    value = transpose.inputs[0]
    while value not in graph.inputs:
        node = graph.producers.get(value)
        if node is None or graph.num_uses(value) != 1 or not _is_same_for_all(graph, node):
            return ()
        chain.insert(0, node)
        value = node.inputs[_position(graph, node)]
    return tuple(chain)


def _position(graph: Graph, node: Node) -> int:
    """Which input of an elementwise op is the tensor; the others are constants."""
    return next(i for i, v in enumerate(node.inputs) if v not in graph.constants)


def _reordered(new: Rewriter, value: str, perm: tuple[int, ...]) -> str:
    """Return a constant operand with its axes in the order that the transposed tensor has."""
    array = new.graph.constants[value]
    spread = array.reshape((1,) * (len(perm) - array.ndim) + array.shape)
    return new.constant(spread.transpose(perm), new.graph.types[value].elem, value)


def _is_same_for_all(graph: Graph, node: Node) -> bool:
    """Whether ``node`` maps elements one by one, by functions that can be reordered with them."""
    if all(v in graph.constants for v in node.inputs):
        return False
    match node.op:
        case Quantize():
            return node.op.out.is_per_tensor
        case Dequantize():
            return graph.types[node.inputs[0]].quant.is_per_tensor
        case Lookup() | Requantize() | Threshold():
            return all(graph.types[v].shape[0] == 1 for v in node.inputs[1:])
        case Scalar():
            return True
        case Binary():
            is_one_constant = sum(v in graph.constants for v in node.inputs) == 1
            return is_one_constant and (
                graph.types[node.inputs[_position(graph, node)]].shape
                == graph.types[node.output].shape
            )
    return False
