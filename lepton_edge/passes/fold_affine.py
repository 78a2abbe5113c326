"""Fold scales and shifts that follow a linear layer into its weights and bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lepton_edge.ir.graph import Graph, Node, Rewriter
from lepton_edge.ir.ops.elementwise import Add, Div, Mul, Sub
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.ops.quantized import Dequantize
from lepton_edge.ir.types import Array
from lepton_edge.passes.base import Effect, Pass


@dataclass(frozen=True)
class FoldAffine(Pass):
    """Make batch normalisation and separate biases part of the layer before them.

    ::

    conv → mul → add → relu     ⇒     conv → relu

    A layer whose weights are quantised takes a following addition as its bias; its codes stay.
    """

    name: ClassVar[str] = "fold-affine"
    effect: ClassVar[Effect] = Effect.EXACT

    def run(self, graph: Graph) -> Graph:
        """See Pass."""
        new = Rewriter(graph)
        absorbed: set[str] = set()
        for node in graph.nodes:
            if node.name in absorbed:
                continue
            if isinstance(node.op, Conv | Dense):
                absorbed |= _fold(graph, new, node)
            else:
                new.copy(node)
        return new.done()


def _fold(graph: Graph, new: Rewriter, layer: Node) -> set[str]:
    """Copy ``layer`` with what follows it folded in; return the names of the folded nodes."""
    weights = graph.constants.get(layer.inputs[1])
    bias = graph.constants.get(layer.inputs[2]) if len(layer.inputs) == 3 else None
    if weights is None or (len(layer.inputs) == 3 and bias is None):
        return _attach_bias(graph, new, layer)
    scale = np.ones(len(weights))
    shift = np.zeros(len(weights)) if bias is None else bias.astype(np.float64)
    value, sources, folded = layer.output, layer.sources, set[str]()
    while (step := _next_affine(graph, value, len(weights))) is not None:
        node, factor, term = step
        scale, shift = scale * factor, shift * factor + term
        value, sources = node.output, (*sources, *node.sources)
        folded.add(node.name)
    if not folded:
        new.copy(layer)
        return folded
    scaled = weights * scale.reshape(-1, *(1,) * (weights.ndim - 1))
    inputs = [
        new[layer.inputs[0]],
        new.constant(scaled.astype(np.float32), name=layer.inputs[1]),
        new.constant(shift.astype(np.float32), name=f"{layer.name}/bias"),
    ]
    result = new.emit1(layer.op, inputs, name=layer.name, sources=sources)
    new.replace(value, result)
    return folded


def _attach_bias(graph: Graph, new: Rewriter, layer: Node) -> set[str]:
    """Make an addition of one dequantised (or float) constant a channel the layer's bias."""
    follower = graph.only_consumer(layer.output)
    channels = graph.types[layer.output].shape[-1]
    if len(layer.inputs) == 2 and follower is not None and isinstance(follower.op, Add):
        other = follower.inputs[1 - follower.inputs.index(layer.output)]
        if graph.types[other].shape == (channels,) and _is_static(graph, other):
            inputs = [*(new[v] for v in layer.inputs), _static_value(graph, new, other)]
            sources = (*layer.sources, *follower.sources)
            result = new.emit1(layer.op, inputs, name=layer.name, sources=sources)
            new.replace(follower.output, result)
            return {follower.name}
    new.copy(layer)
    return set()


def _is_static(graph: Graph, value: str) -> bool:
    producer = graph.producers.get(value)
    if producer is not None and isinstance(producer.op, Dequantize):
        return producer.inputs[0] in graph.constants
    return value in graph.constants


def _static_value(graph: Graph, new: Rewriter, value: str) -> str:
    """Return a static value, dequantised here if its own node comes later in the graph."""
    producer = graph.producers.get(value)
    if producer is None:
        return new[value]
    return new.emit1(
        producer.op, [new[producer.inputs[0]]], name=producer.name, sources=producer.sources
    )


def _next_affine(graph: Graph, value: str, channels: int) -> tuple[Node, Array, Array] | None:
    """Return the only reader of ``value`` if it scales or shifts channels, with factor and term."""
    node = graph.only_consumer(value)
    if node is None or not isinstance(node.op, Add | Sub | Mul | Div) or len(set(node.inputs)) < 2:
        return None
    position = node.inputs.index(value)
    operand = graph.constants.get(node.inputs[1 - position])
    if operand is None or graph.types[node.output].shape != graph.types[value].shape:
        return None
    if operand.size not in (1, channels) or (operand.size > 1 and operand.shape[-1] != channels):
        return None
    row = np.broadcast_to(operand.reshape(-1).astype(np.float64), (channels,))
    one, zero = np.ones(channels), np.zeros(channels)
    match node.op:
        case Add():
            return node, one, row
        case Sub():
            return (node, one, -row) if position == 0 else (node, -one, row)
        case Mul():
            return node, row, zero
        case Div() if position == 0 and row.all():
            return node, 1 / row, zero
    return None
