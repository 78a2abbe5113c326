"""Random quantised networks, in the form that exporters write (QDQ)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from lepton_edge.ir.graph import Graph, GraphBuilder
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops import shape
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.ops.pool import AveragePool, MaxPool
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.ir.ops.select import ArgMax
from lepton_edge.ir.types import Array, Float, QuantType, TensorType

ACTIVATIONS = (
    ew.Relu(), ew.Clip(0.0, 6.0), ew.Clip(-1.0, 1.0), ew.LeakyRelu(0.125), ew.LeakyRelu(0.01),
    ew.Sigmoid(), ew.HardSigmoid(), ew.HardSwish(),
)  # fmt: skip
RATIONAL = ACTIVATIONS[:3]


def frames(graph: Graph, count: int, seed: int) -> dict[str, Array]:
    """Return inputs that reach every part of the input types: random, all lowest, all highest."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for value in graph.inputs:
        quantizer = next(n.op for n in graph.consumers[value] if isinstance(n.op, Quantize))
        quant = quantizer.out
        dims = (count, *graph.types[value].shape[1:])
        codes = rng.integers(quant.lowest, quant.highest + 1, dims)
        if count > 2:
            codes[-2], codes[-1] = quant.lowest, quant.highest
        arrays[value] = quant.dequantize(codes)
    return arrays


@st.composite
def quant_types(draw: st.DrawFn, span: float, low_bits: int = 2, high_bits: int = 8) -> QuantType:
    """Draw an activation type whose codes cover about ``span`` reals."""
    bits = draw(st.integers(low_bits, high_bits))
    if draw(st.integers(0, 15)) == 15:
        return QuantType.signs((draw(scales(span / 4)),))
    signed = draw(st.booleans())
    lowest, highest = (
        (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    )
    zero = draw(st.one_of(st.just(min(max(0, lowest), highest)), st.integers(lowest, highest)))
    return QuantType(bits, signed, (draw(scales(span / (1 << bits))),), (zero,))


def scales(near: float) -> st.SearchStrategy[float]:
    """Draw binary32 scales around ``near``: any, and powers of two, whose sums and means tie."""
    exponent = round(math.log2(near))
    dyadic = st.integers(exponent - 1, exponent + 1).map(lambda e: 2.0**e)
    plain = st.integers(1, 40).map(lambda n: float(np.float32(near * n / 20)))
    return st.one_of(dyadic, plain)


class _Exporter:
    """Builds one network; the current value is always a dequantised real."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.builder = GraphBuilder("random")
        self.rng = np.random.default_rng(draw(st.integers(0, 1 << 16), label="weights"))
        self.count = 0
        dims = draw(st.tuples(st.just(1), st.integers(2, 5), st.integers(2, 5), st.integers(1, 4)))
        x = self.builder.input("x", TensorType(dims, Float()))
        self.span: dict[str, float] = {}
        self.value = self.quantized(x, 4.0)

    # -- pieces -----------------------------------------------------------------------------------

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def dims(self, value: str) -> tuple[int, ...]:
        return self.builder.type_of(value).shape

    def emit(self, op: object, *inputs: str) -> str:
        return self.builder.emit1(op, inputs, name=self.name(op.name))  # type: ignore[arg-type,attr-defined]

    def quantized(self, real: str, span: float) -> str:
        """Quantise and dequantise ``real``, as exporters do after each layer."""
        quant = self.draw(quant_types(span))
        value = self.emit(Dequantize(), self.emit(Quantize(quant), real))
        self.span[value] = quant.scale[0] * quant.num_codes
        return value

    def weights(self, dims: tuple[int, ...]) -> tuple[str, float]:
        """Return dequantised weights, output channel first, and their largest magnitude."""
        bits, is_per_channel = self.draw(st.integers(2, 8)), self.draw(st.booleans())
        signed = self.draw(st.booleans())
        count = dims[0] if is_per_channel else 1
        row = tuple(float(np.float32(s)) for s in self.rng.uniform(0.5, 1.0, count) / (1 << bits))
        zeros = (0,) * count if signed else (1 << (bits - 1),) * count
        quant = QuantType(bits, signed, row, zeros, 0 if is_per_channel else None)
        if self.draw(st.integers(0, 3)) == 3:
            quant = QuantType.signs(row, quant.axis)
        codes = self.rng.integers(quant.lowest, quant.highest + 1, dims)
        constant = self.builder.constant(codes, quant, self.name("w"))
        return self.emit(Dequantize(), constant), max(row) * (1 << (bits - 1))

    def bias(self, channels: int, span: float) -> tuple[str, ...]:
        kind = self.draw(st.sampled_from(("none", "float", "int32")))
        if kind == "none":
            return ()
        values = self.rng.uniform(-span, span, channels) / 4
        if kind == "float":
            return (self.builder.constant(values.astype(np.float32), name=self.name("b")),)
        quant = QuantType(32, True, (float(np.float32(span / 1000)),))
        constant = self.builder.constant(np.rint(values / quant.scale[0]), quant, self.name("b"))
        return (self.emit(Dequantize(), constant),)

    def activated(self, value: str) -> str:
        """Perhaps a batch normalisation, perhaps an activation, before the quantisation."""
        if self.draw(st.integers(0, 3)) == 0:
            channels = self.dims(value)[-1]
            for kind, row in (
                (ew.Mul(), self.rng.uniform(-0.5, 1.5, channels)),
                (ew.Add(), self.rng.uniform(-1.0, 1.0, channels)),
            ):
                constant = self.builder.constant(row.astype(np.float32), name=self.name("bn"))
                value = self.emit(kind, value, constant)
        op = self.draw(st.sampled_from((None, *ACTIVATIONS)))
        return value if op is None else self.emit(op, value)

    def around(self, layer: Callable[[str], str], value: str) -> str:
        """Perhaps transposes to and from channels-last, as importers of NCHW models leave them."""
        if not self.draw(st.booleans()) or len(self.dims(value)) != 4:
            return layer(value)
        first = self.emit(shape.Transpose((0, 3, 1, 2)), value)
        return layer(self.emit(shape.Transpose((0, 2, 3, 1)), first))

    # -- layers -----------------------------------------------------------------------------------

    def conv(self) -> None:
        _, height, width, channels = self.dims(self.value)
        draw = self.draw
        groups = draw(st.sampled_from(sorted({1, channels, math.gcd(channels, 2)})))
        outs = groups * draw(st.integers(1, 1 + 4 // groups))
        pads = draw(st.tuples(*[st.integers(0, 1)] * 4))
        dilations = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        room = (height + pads[0] + pads[2], width + pads[1] + pads[3])
        kernel = tuple(
            draw(st.integers(1, min(3, (r - 1) // d + 1)))
            for r, d in zip(room, dilations, strict=True)
        )
        strides = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        w, peak = self.weights((outs, *kernel, channels // groups))
        span = self.span[self.value] * peak * math.sqrt(math.prod(kernel) * channels / groups)
        op = Conv(strides, pads, dilations, groups)
        bias = self.bias(outs, span)
        result = self.around(lambda x: self.emit(op, x, w, *bias), self.value)
        if draw(st.booleans()) and min(self.dims(result)[1:3]) > 1:
            result = self.emit(MaxPool((2, 2), (2, 2)), self.emit(ew.Relu(), result))
        self.value = self.quantized(self.activated(result), span)

    def dense(self) -> None:
        dims = self.dims(self.value)
        flat = self.value
        if len(dims) == 4:
            if self.draw(st.booleans()):
                flat = self.emit(shape.Transpose((0, 3, 1, 2)), flat)
            flat = self.emit(shape.Reshape((1, math.prod(dims))), flat)
        outs = self.draw(st.integers(1, 6))
        w, peak = self.weights((outs, math.prod(dims)))
        span = self.span[self.value] * peak * math.sqrt(math.prod(dims))
        result = self.emit(Dense(), flat, w, *self.bias(outs, span))
        self.value = self.quantized(self.activated(result), span)

    def activation(self) -> None:
        op = self.draw(st.sampled_from(ACTIVATIONS))
        self.value = self.quantized(self.emit(op, self.value), self.span[self.value])

    def max_pool(self) -> None:
        _, height, width, _ = self.dims(self.value)
        kernel = (min(2, height), min(2, width))
        pads = self.draw(st.tuples(*[st.integers(0, k - 1) for k in (*kernel, *kernel)]))
        strides = self.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        span = self.span[self.value]
        result = self.around(lambda x: self.emit(MaxPool(kernel, strides, pads), x), self.value)
        self.value = result
        self.span[result] = span
        if self.draw(st.booleans()):
            self.value = self.quantized(result, span)

    def average_pool(self) -> None:
        _, height, width, _ = self.dims(self.value)
        is_global = self.draw(st.booleans())
        kernel = (height, width) if is_global else (min(2, height), min(2, width))
        op = AveragePool(kernel)
        if not is_global and self.draw(st.booleans()):
            op = AveragePool(kernel, (1, 1), tuple(k - 1 for k in (*kernel, *kernel)), (1, 1), True)
        self.value = self.quantized(self.emit(op, self.value), self.span[self.value])

    def branch(self) -> str:
        """A second tensor of the current shape, of another type."""
        if self.draw(st.booleans()):
            op = self.draw(st.sampled_from(ACTIVATIONS))
            return self.quantized(self.emit(op, self.value), self.span[self.value])
        channels = self.dims(self.value)[-1]
        rank = len(self.dims(self.value))
        dims = (channels, 1, 1, channels) if rank == 4 else (channels, channels)
        w, peak = self.weights(dims)
        result = self.emit(Conv() if rank == 4 else Dense(), self.value, w)
        return self.quantized(result, self.span[self.value] * peak * math.sqrt(channels))

    def add(self) -> None:
        other = self.branch()
        span = self.span[self.value] + self.span[other]
        op = self.draw(st.sampled_from((ew.Add(), ew.Sub())))
        pair = self.draw(st.permutations((self.value, other)))
        result = self.emit(op, *pair)
        after = self.draw(st.sampled_from((None, *RATIONAL)))
        self.value = self.quantized(result if after is None else self.emit(after, result), span)

    def mul(self) -> None:
        other = self.branch()
        if len(self.dims(other)) == 4 and self.draw(st.booleans()):
            kernel = self.dims(other)[1:3]
            other = self.quantized(self.emit(AveragePool(kernel), other), self.span[other])
        span = self.span[self.value] * self.span[other] / 2
        pair = self.draw(st.permutations((self.value, other)))
        self.value = self.quantized(self.emit(ew.Mul(), *pair), span)

    def concat(self) -> None:
        other = self.branch()
        span = max(self.span[self.value], self.span[other])
        axis = len(self.dims(self.value)) - 1
        pair = self.draw(st.permutations((self.value, other)))
        self.value = self.quantized(self.emit(shape.Concat(axis), *pair), span)

    def slice(self) -> None:
        dims = self.dims(self.value)
        axis = self.draw(st.integers(1, len(dims) - 1))
        begin = self.draw(st.integers(0, dims[axis] - 1))
        end = self.draw(st.integers(begin + 1, dims[axis]))
        op = shape.Slice(axis, begin, end, self.draw(st.integers(1, 2)))
        if self.draw(st.integers(0, 7)) == 0:
            op = shape.Slice(axis, dims[axis] - 1, -1, -1)
        self._move(op)

    def pad(self) -> None:
        pads = self.draw(st.tuples(*[st.integers(0, 1)] * 4))
        self._move(shape.Pad((0, *pads[:2], 0), (0, *pads[2:], 0)))

    def upsample(self) -> None:
        factors = self.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        kind = self.draw(st.sampled_from((shape.RepeatNearest, shape.InsertZeros)))
        self._move(kind(factors))

    def _move(self, op: object) -> None:
        span = self.span[self.value]
        self.value = self.emit(op, self.value)
        self.span[self.value] = span
        if self.draw(st.booleans()):
            self.value = self.quantized(self.value, span)

    def softmax(self) -> None:
        axis = len(self.dims(self.value)) - 1
        self.value = self.quantized(self.emit(ew.Softmax(axis), self.value), 1.0)

    # -- the whole --------------------------------------------------------------------------------

    def layer(self) -> None:
        anywhere = [self.dense, self.activation, self.add, self.mul, self.concat, self.slice]
        maps = [self.conv, self.conv, self.max_pool, self.average_pool, self.pad, self.upsample]
        dims = self.dims(self.value)
        is_map = len(dims) == 4
        layers = [*maps, *anywhere] if is_map else anywhere
        if math.prod(dims) > 120:  # keep examples small
            layers = [self.max_pool, self.average_pool, self.dense, self.slice]
        self.draw(st.sampled_from(layers), label="layer")()

    def finish(self, others: list[str]) -> Graph:
        """End in reals, in codes, in an index, or with a softmax; perhaps with another output."""
        end = self.draw(st.sampled_from(("real", "codes", "argmax", "softmax")), label="end")
        if end == "softmax":
            self.softmax()
        result = self.value
        if end == "argmax":
            result = self.emit(ArgMax(len(self.dims(result)) - 1), result)
        if end == "codes":
            quant = self.draw(quant_types(self.span[result]))
            result = self.emit(Quantize(quant), result)
        more = self.draw(st.sampled_from((None, None, None, *others)), label="second output")
        return self.builder.finish([result] if more in (None, result) else [result, more])


@st.composite
def quantized_graphs(draw: st.DrawFn, max_layers: int = 5) -> Graph:
    """Draw a small QDQ network with one float input."""
    exporter = _Exporter(draw)
    values = []
    for _ in range(draw(st.integers(1, max_layers), label="layers")):
        exporter.layer()
        values.append(exporter.value)
    return exporter.finish(values)
