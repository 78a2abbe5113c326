"""Post-training quantisation: float graphs to QDQ graphs.

The pass decides where codes are needed, observes those values on calibration samples, and inserts
quantise / dequantise pairs there, as an exporter of quantised models would. What turns a QDQ graph
into integers is the same for both (lower_integers)::

    conv → relu → conv     ⇒     q → dq → conv(dq weights) → relu → q → dq → conv(dq weights)

Activations get signed asymmetric types for the whole tensor, weights signed symmetric types for
each output channel. The last linear layer is left unquantised at its output: its accumulators are
exact, and the host turns them into reals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lepton_edge.errors import CalibrationError
from lepton_edge.ir.graph import Graph, Node, Rewriter
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.ops.pool import AveragePool, MaxPool
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.ir.ops.shape import (
    Broadcast,
    Concat,
    Gather,
    InsertZeros,
    Pad,
    RepeatNearest,
    Reshape,
    Slice,
    Transpose,
)
from lepton_edge.ir.types import Array, QuantType
from lepton_edge.passes.base import Effect, Pass
from lepton_edge.passes.calibration import (
    Observed,
    Observer,
    activation_type,
    check_samples,
    observe,
    weight_type,
)

_MOVES = (Reshape, Transpose, Slice, Gather, Pad, RepeatNearest, InsertZeros, Broadcast, MaxPool)
_LAYERS = (Conv, Dense, AveragePool)
_PAIRS = (ew.Add, ew.Sub, ew.Mul)
_FUSED = (ew.Relu, ew.Clip)

SOFTMAX_TYPE = QuantType(8, True, (1 / 256,), (-128,))
"""Probabilities in steps of 1/256, as TFLite's int8 softmax has them."""

BIAS_LIMIT = 1 << 30
"""Accumulator units that a bias may take; a channel whose weights are tiny gets a coarser scale."""


@dataclass(frozen=True, eq=False)
class InsertQuantizers(Pass):
    """Quantise a float graph after training.

    Args:
        samples: calibration inputs, [N, ...] for each graph input.
        bits: width of activations and weights, 2..8.
        observer: how ranges are chosen from the observed values.
        correct_bias: let biases make up for the mean error of quantised weights
            (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
            Correction", ICCV 2019, section 4.2, with observed instead of assumed inputs).
    """

    name: ClassVar[str] = "insert-quantizers"
    effect: ClassVar[Effect] = Effect.APPROXIMATE
    samples: Mapping[str, Array]
    bits: int = 8
    observer: Observer = Observer.MINMAX
    correct_bias: bool = False

    def run(self, graph: Graph) -> Graph:
        """See Pass."""
        samples = check_samples(graph, self.samples)
        points = quantization_points(graph)
        observed = observe(graph, samples, points, self.observer is not Observer.MINMAX)
        types = {
            value: SOFTMAX_TYPE
            if _is_op(graph, value, ew.Softmax)
            else activation_type(observed[value], self.bits, self.observer)
            for value in points
        }
        return _Inserter(self, graph, types, observed).run()


def is_quantized(graph: Graph) -> bool:
    """Whether ``graph`` speaks of codes anywhere."""
    return any(t.is_quantized for t in graph.types.values())


def has_float_weights(graph: Graph) -> bool:
    """Whether a layer of ``graph`` has weights that are not codes yet."""
    return any(
        isinstance(node.op, Conv | Dense)
        and node.inputs[1] in graph.constants
        and graph.types[node.inputs[1]].is_float
        for node in graph.nodes
    )


def quantization_points(graph: Graph) -> list[str]:
    """Return the float values that must be quantised, in graph order."""
    points: set[str] = set()
    for node in graph.nodes:
        if isinstance(node.op, (*_LAYERS, MaxPool, Concat)):
            for value in node.inputs if isinstance(node.op, Concat) else node.inputs[:1]:
                _demand(graph, value, points)
        elif isinstance(node.op, _PAIRS) and _is_pair(graph, node):
            for value in node.inputs:
                _demand(graph, value, points)
    for node in graph.nodes:
        is_sum = isinstance(node.op, ew.Add | ew.Sub) and _is_pair(graph, node)
        if is_sum or isinstance(node.op, Concat):
            _demand(graph, _end_of_chain(graph, node.output), points)
    return [value for value in graph.types if value in points]


def _is_pair(graph: Graph, node: Node) -> bool:
    return not any(v in graph.constants for v in node.inputs)


def _is_op(graph: Graph, value: str, kind: type) -> bool:
    producer = graph.producers.get(value)
    return producer is not None and isinstance(producer.op, kind)


def _end_of_chain(graph: Graph, value: str) -> str:
    """Follow activations that fuse into what computes ``value``."""
    while (reader := graph.only_consumer(value)) is not None and isinstance(reader.op, _FUSED):
        value = reader.output
    return value


def _demand(graph: Graph, value: str, points: set[str]) -> None:
    """Ask for ``value`` as codes: mark it, or what it is moved from."""
    while True:
        producer = graph.producers.get(value)
        if value in points or value in graph.constants or not graph.types[value].is_float:
            return
        if producer is None or isinstance(producer.op, Dequantize):
            if producer is None:
                points.add(value)
            return
        if isinstance(producer.op, _MOVES):
            value = producer.inputs[0]
            continue
        points.add(value)
        if not _needs_codes(graph, producer):
            return
        value = _first_input(graph, producer)


def _first_input(graph: Graph, node: Node) -> str:
    """Return the tensor that a row of elementwise ops ending in ``node`` starts from.

    Such a row becomes one table, so what lies between its ops needs no codes.
    """
    while True:
        value = node.inputs[1] if node.inputs[0] in graph.constants else node.inputs[0]
        producer = graph.producers.get(value)
        if (
            producer is None
            or isinstance(node.op, ew.Softmax)
            or isinstance(producer.op, ew.Softmax)
            or graph.num_uses(value) != 1
            or not _needs_codes(graph, producer)
        ):
            return value
        node = producer


def _needs_codes(graph: Graph, node: Node) -> bool:
    """Whether ``node`` is a function of one tensor that cannot fuse into the layer before it."""
    if isinstance(node.op, _FUSED):
        return not _root_is_layer(graph, node)
    if isinstance(node.op, ew.Binary):
        return not _is_pair(graph, node) and not _root_is_layer(graph, node)
    return isinstance(node.op, ew.Scalar | ew.PRelu | ew.Softmax)


def _root_is_layer(graph: Graph, node: Node) -> bool:
    """Whether only fusable ops lie between ``node`` and a layer or a sum."""
    is_affine = isinstance(node.op, ew.Binary)
    value = node.inputs[1] if node.inputs[0] in graph.constants else node.inputs[0]
    while (producer := graph.producers.get(value)) is not None:
        if isinstance(producer.op, _LAYERS):
            return True
        if isinstance(producer.op, _PAIRS) and _is_pair(graph, producer):
            return not is_affine
        if not isinstance(producer.op, (*_FUSED, ew.Add, ew.Sub, ew.Mul, ew.Div)):
            return False
        is_affine = is_affine or isinstance(producer.op, ew.Binary)
        value = producer.inputs[1] if producer.inputs[0] in graph.constants else producer.inputs[0]
    return False


class _Inserter:
    def __init__(
        self,
        options: InsertQuantizers,
        graph: Graph,
        types: Mapping[str, QuantType],
        observed: Mapping[str, Observed],
    ) -> None:
        self.options = options
        self.graph = graph
        self.types = types
        self.observed = observed
        self.new = Rewriter(graph)
        self.codes: dict[str, QuantType] = {}

    def run(self) -> Graph:
        for value in self.graph.inputs:
            self._quantize(value)
        for node in self.graph.nodes:
            if isinstance(node.op, Conv | Dense) and node.inputs[1] in self.graph.constants:
                self._layer(node)
            else:
                self.new.copy(node)
            if isinstance(node.op, _MOVES) and node.inputs[0] in self.codes:
                self.codes[node.output] = self.codes[node.inputs[0]]
            if isinstance(node.op, Dequantize) and node.inputs[0] not in self.graph.constants:
                self.codes[node.output] = self.graph.types[node.inputs[0]].quant
            for value in node.outputs:
                self._quantize(value)
        for value in self.graph.inputs:
            self.new.replace(value, value)  # an input that is also an output stays as it is
        return self.new.done()

    def _quantize(self, value: str) -> None:
        if value not in self.types:
            return
        codes = self.new.emit1(
            Quantize(self.types[value]), [self.new[value]], name=f"{value}/quantize"
        )
        real = self.new.emit1(Dequantize(), [codes], name=f"{value}/dequantize")
        self.codes[value] = self.types[value]
        self.new.replace(value, real)

    def _layer(self, node: Node) -> None:
        x_type = self.codes.get(node.inputs[0])
        if x_type is None:
            self.new.copy(node)
            return
        weights = self.graph.constants[node.inputs[1]].astype(np.float64)
        bias = self._bias(node, len(weights))
        least = np.abs(bias) / (x_type.scale[0] * BIAS_LIMIT)
        w_type = weight_type(weights, self.options.bits, least)
        codes = w_type.quantize(weights)
        if self.options.correct_bias:
            bias = bias + self._bias_correction(node, weights - w_type.dequantize(codes))
        real = self.new.emit1(
            Dequantize(),
            [self.new.constant(codes, w_type, node.inputs[1])],
            name=f"{node.name}/weights/dequantize",
            sources=node.sources,
        )
        inputs = [self.new[node.inputs[0]], real]
        if bias.any():
            inputs.append(self.new.constant(bias.astype(np.float32), name=f"{node.name}/bias"))
        self.new.copy(node, inputs=inputs)

    def _bias(self, node: Node, channels: int) -> Array:
        if len(node.inputs) < 3:
            return np.zeros(channels)
        if node.inputs[2] not in self.graph.constants:
            raise CalibrationError(
                "a layer with a computed bias cannot be quantised", where=node.name
            )
        return self.graph.constants[node.inputs[2]].astype(np.float64)

    def _bias_correction(self, node: Node, error: Array) -> Array:
        """Mean over outputs of what the lost part of the weights would have added."""
        mean = self.observed.get(node.inputs[0])
        if mean is None:
            return np.zeros(len(error))
        sig = self.graph.signature(node)
        (lost,) = node.op.evaluate([mean.mean.astype(np.float32), error.astype(np.float32)], sig)
        return np.asarray(lost.reshape(-1, lost.shape[-1]).mean(axis=0), np.float64)
