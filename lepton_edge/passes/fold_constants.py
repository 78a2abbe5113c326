"""Compute at compile time what depends on constants alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lepton_edge.ir.graph import Graph, Node, Rewriter
from lepton_edge.ir.op import Signature
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.passes.base import Effect, Pass

MAX_ELEMENTS = 1 << 26
"""Results that are larger, and larger than what they are made of, are left to the run time."""


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Evaluate nodes whose inputs are constants; drop a quantise that undoes a dequantise.

    Dequantised constants are kept as they are, unless wanted otherwise: their codes are the
    quantised weights.

    Args:
        folds_weights: evaluate dequantised constants as well.
    """

    name: ClassVar[str] = "fold-constants"
    effect: ClassVar[Effect] = Effect.EXACT
    folds_weights: bool = False

    def run(self, graph: Graph) -> Graph:
        """See Pass."""
        new = Rewriter(graph)
        for node in graph.nodes:
            undone = _undone_value(graph, node)
            if undone is not None:
                new.replace(node.output, new[undone])
                continue
            inputs = [new[v] for v in node.inputs]
            arrays = [new.constant_of(v) for v in inputs]
            sig = graph.signature(node)
            is_kept = isinstance(node.op, Dequantize) and not self.folds_weights
            if is_kept or any(a is None for a in arrays) or _is_large(sig):
                new.copy(node)
                continue
            results = node.op.evaluate([a for a in arrays if a is not None], sig)
            for value, array, type_ in zip(node.outputs, results, sig.outputs, strict=True):
                new.replace(value, new.constant(array, type_.elem, value))
        return new.done()


def _undone_value(graph: Graph, node: Node) -> str | None:
    """The codes that ``node``, a Quantize, gives back unchanged."""
    producer = graph.producers.get(node.inputs[0]) if node.inputs else None
    if (
        isinstance(node.op, Quantize)
        and producer is not None
        and isinstance(producer.op, Dequantize)
        and graph.types[producer.inputs[0]].elem == node.op.out
    ):
        return producer.inputs[0]
    return None


def _is_large(sig: Signature) -> bool:
    most = max([MAX_ELEMENTS, *(t.num_elements for t in sig.inputs)])
    return any(t.num_elements > most for t in sig.outputs)
