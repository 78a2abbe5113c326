"""Cross-layer equalisation: let neighbouring layers share the range of each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lepton_edge.ir.graph import Graph, Node, Rewriter
from lepton_edge.ir.ops.elementwise import LeakyRelu, Relu
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.ops.pool import AveragePool, MaxPool
from lepton_edge.ir.types import Array
from lepton_edge.passes.base import Effect, Pass

_HOMOGENEOUS = (Relu, LeakyRelu, MaxPool, AveragePool)


@dataclass(frozen=True)
class EqualizeLayers(Pass):
    """Scale each channel between two layers so that its weights have the same range in both.

    For f(s x) = s f(x) with s > 0, ``W2 f(W1 x + b) = W2 S f(S^-1 W1 x + S^-1 b)``; with
    ``s = sqrt(r1 / r2)`` the ranges r1 of the rows of W1 and r2 of the columns of W2 become equal
    (Nagel et al., ICCV 2019, section 4.1).

    Args:
        rounds: sweeps over all pairs.
    """

    name: ClassVar[str] = "equalize-layers"
    effect: ClassVar[Effect] = Effect.EXACT
    rounds: int = 4

    def run(self, graph: Graph) -> Graph:
        """See Pass."""
        arrays = {
            v: a.astype(np.float64) for v, a in graph.constants.items() if a.dtype.kind == "f"
        }
        pairs = [
            (first, second)
            for first in graph.nodes
            if _is_layer(graph, first) and (second := _next_layer(graph, first)) is not None
        ]
        for _ in range(self.rounds):
            for first, second in pairs:
                _equalize(arrays, first, second)
        new = Rewriter(graph)
        for node in graph.nodes:
            if any(v in arrays for v in node.inputs) and _is_layer(graph, node):
                inputs = [
                    new.constant(arrays[v].astype(np.float32), name=v) if v in arrays else new[v]
                    for v in node.inputs
                ]
                new.copy(node, inputs=inputs)
            else:
                new.copy(node)
        return new.done()


def _is_layer(graph: Graph, node: Node) -> bool:
    """Whether ``node`` is a layer with constants of its own."""
    return isinstance(node.op, Conv | Dense) and all(
        v in graph.constants and graph.num_uses(v) == 1 for v in node.inputs[1:]
    )


def _next_layer(graph: Graph, first: Node) -> Node | None:
    """Return the only layer that reads ``first``, through functions that scale with their input."""
    value = first.output
    while (reader := graph.only_consumer(value)) is not None:
        if _is_layer(graph, reader) and reader.inputs[0] == value:
            return reader if _input_axis_is_channels(graph, reader) else None
        if not isinstance(reader.op, _HOMOGENEOUS):
            return None
        value = reader.output
    return None


def _input_axis_is_channels(graph: Graph, node: Node) -> bool:
    if isinstance(node.op, Dense):
        return True
    return isinstance(node.op, Conv) and node.op.groups in (1, graph.types[node.inputs[0]].shape[3])


def _equalize(arrays: dict[str, Array], first: Node, second: Node) -> None:
    w1, w2 = arrays[first.inputs[1]], arrays[second.inputs[1]]
    is_depthwise = isinstance(second.op, Conv) and second.op.groups > 1
    if is_depthwise and len(w2) != len(w1):
        return
    range_1 = np.abs(w1.reshape(len(w1), -1)).max(axis=1)
    if is_depthwise:
        range_2 = np.abs(w2.reshape(len(w2), -1)).max(axis=1)
    else:
        range_2 = np.abs(w2.reshape(-1, w2.shape[-1])).max(axis=0)
    is_live = (range_1 > 0) & (range_2 > 0)
    scale = np.where(is_live, np.sqrt(range_1 / np.where(is_live, range_2, 1)), 1.0)
    arrays[first.inputs[1]] = w1 / scale.reshape(-1, *(1,) * (w1.ndim - 1))
    if len(first.inputs) == 3:
        arrays[first.inputs[2]] = arrays[first.inputs[2]] / scale
    arrays[second.inputs[1]] = (
        w2 * scale.reshape(-1, *(1,) * (w2.ndim - 1)) if is_depthwise else w2 * scale
    )
