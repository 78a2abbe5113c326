"""What a QDQ graph means, in exact rational arithmetic, written without the compiler's own rules.

``evaluate`` is the second opinion that lowering is compared with. Reals are Fractions in numpy
object arrays; every op is spelled out from its ONNX definition. Functions that are not rational
(sigmoid, softmax, ...) are computed in binary64; a code that hangs on their last bits raises
``TooClose``, because then no definition says which code is right.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lepton_edge.ir.graph import Graph, Node
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops import linear, pool, select, shape
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.types import QuantType, TensorType

Array = Any


class TooClose(Exception):  # noqa: N818 - not an error: the example proves nothing
    """A rounded function lies so near the border of two codes that either is right."""


@dataclass(frozen=True)
class Real:
    """Exact rationals, and how far from the truth they may be (0 where nothing was rounded)."""

    values: Array
    margin: float = 0.0


exact = np.frompyfunc(Fraction, 1, 1)


def evaluate(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs of one frame: codes and indices as integers, reals as Fractions.

    Args:
        graph: a QDQ graph.
        inputs: one frame for each graph input, [1, ...].
    """
    return run(graph, inputs, graph.outputs)


def run(graph: Graph, inputs: Mapping[str, Array], wanted: Any) -> dict[str, Array]:
    """Return the values named in ``wanted``, for one frame."""
    values: dict[str, Any] = {}
    for name, array in [*graph.constants.items(), *inputs.items()]:
        is_float = graph.types[name].is_float
        values[name] = Real(_fractions(array)) if is_float else np.asarray(array).astype(object)
    for node in graph.nodes:
        results = _evaluate_node(graph, node, [values[v] for v in node.inputs])
        values.update(zip(node.outputs, results, strict=True))
    return {v: values[v].values if isinstance(values[v], Real) else values[v] for v in wanted}


def _fractions(array: Array) -> Array:
    return np.asarray(exact(np.asarray(array, np.float64)), object)


def as_float32(values: Array) -> Array:
    """Return Fractions rounded to binary32, by way of binary64."""
    return np.asarray(np.frompyfunc(float, 1, 1)(values), np.float64).astype(np.float32)


# -- between codes and reals ----------------------------------------------------------------------


def per_index(params: tuple[Any, ...], quant: QuantType, dims: tuple[int, ...]) -> Array:
    """Return one parameter for each element of a tensor of shape ``dims``."""
    out = np.empty(dims, object)
    for index in np.ndindex(*dims):
        out[index] = params[0] if len(params) == 1 else params[index[quant.axis]]
    return out


def dequantize(codes: Array, quant: QuantType) -> Array:
    """Return scale * (code - zero point); bipolar codes are -scale and +scale."""
    if quant.bipolar:
        scale = per_index(tuple(Fraction(s) for s in quant.scale), quant, codes.shape)
        return np.where(codes.astype(bool), scale, -scale)
    scale = per_index(tuple(Fraction(s) for s in quant.scale), quant, codes.shape)
    return (codes.astype(object) - per_index(quant.zero_point, quant, codes.shape)) * scale


def quantize(real: Real, quant: QuantType, is_input: bool) -> Array:
    """Return the codes; floats that the caller gives are divided in binary32, as ONNX says."""
    if quant.bipolar:
        values = real.values.reshape(-1)
        if any(0 < abs(v) <= real.margin or (real.margin and v == 0) for v in values):
            raise TooClose
        return np.array([int(v >= 0) for v in values], object).reshape(real.values.shape)
    scales = per_index(quant.scale, quant, real.values.shape)
    zeros = per_index(quant.zero_point, quant, real.values.shape)
    codes = np.empty(real.values.shape, object)
    for index, value in np.ndenumerate(real.values):
        if is_input:
            steps = Fraction(float(np.float32(float(value)) / np.float32(scales[index])))
        else:
            steps = value / Fraction(scales[index])
        code = round(steps)
        if real.margin and abs(abs(steps - code) - Fraction(1, 2)) <= real.margin:
            low, high = sorted(clamp(math.floor(steps) + k + zeros[index], quant) for k in (0, 1))
            if low != high:
                raise TooClose
        codes[index] = clamp(code + zeros[index], quant)
    return codes


def clamp(code: int, quant: QuantType) -> int:
    """Return the nearest code of the type."""
    return min(max(code, quant.lowest), quant.highest)


# -- ops ------------------------------------------------------------------------------------------


def _evaluate_node(graph: Graph, node: Node, args: list[Any]) -> tuple[Any, ...]:
    op = node.op
    types = [graph.types[v] for v in node.inputs]
    match op:
        case q.Quantize():
            return (quantize(args[0], op.out, node.inputs[0] in graph.inputs),)
        case q.Dequantize():
            return (Real(dequantize(args[0], types[0].quant)),)
        case ew.Scalar():
            return (_scalar(op, args[0]),)
        case ew.Softmax():
            return (_softmax(args[0], op.axis),)
        case select.ArgMax() | select.TopK():
            return _select(op, args[0])
        case pool.MaxPool() if types[0].is_quantized:
            # On codes only in lowered or moved graphs; the order of codes is that of the reals.
            return (_pooled(op, args[0], max),)
    margin = max((a.margin for a in args if isinstance(a, Real)), default=0.0)
    arrays = [a.values if isinstance(a, Real) else a for a in args]
    result = _rational(op, arrays, types)
    return (Real(result, margin) if any(isinstance(a, Real) for a in args) else result,)


def _rational(op: Any, arrays: list[Array], types: list[TensorType]) -> Array:
    x = arrays[0]
    match op:
        case linear.Conv():
            return convolve(x, arrays[1], arrays[2] if len(arrays) == 3 else None, op)
        case linear.Dense():
            out = x.dot(arrays[1].T)
            return out + arrays[2] if len(arrays) == 3 else out
        case pool.MaxPool():
            return _pooled(op, x, max)
        case pool.AveragePool():
            size = op.kernel[0] * op.kernel[1]
            include = op.count_include_pad
            return _pooled(op, x, lambda v: sum(v) / Fraction(size if include else len(v)))
        case pool.Reduce(kind="mean"):
            count = math.prod(x.shape[a] for a in op.axes)
            return x.sum(axis=op.axes, keepdims=op.keepdims) / Fraction(count)
        case ew.Add():
            return x + arrays[1]
        case ew.Sub():
            return x - arrays[1]
        case ew.Mul():
            return x * arrays[1]
        case ew.Div():
            return x / arrays[1]
        case ew.PRelu():
            return np.where(x >= 0, x, x * arrays[1])
        case _:
            return _moved(op, arrays, types[0])


def _moved(op: Any, arrays: list[Array], type_: TensorType) -> Array:
    x = arrays[0]
    zero = type_.quant.zero_point[0] if type_.is_quantized else Fraction(0)
    match op:
        case shape.Reshape():
            return x.reshape(op.shape)
        case shape.Transpose():
            return x.transpose(op.perm)
        case shape.Concat():
            return np.concatenate(arrays, axis=op.axis)
        case shape.Slice():
            return np.take(x, range(op.begin, op.end, op.step), axis=op.axis)
        case shape.Gather():
            return np.take(x, op.indices, axis=op.axis)
        case shape.Broadcast():
            return np.broadcast_to(x, op.shape)
        case shape.RepeatNearest():
            rows = [i // op.factors[0] for i in range(x.shape[1] * op.factors[0])]
            columns = [i // op.factors[1] for i in range(x.shape[2] * op.factors[1])]
            return x[:, rows][:, :, columns]
        case shape.InsertZeros():
            sizes = [(x.shape[i + 1] - 1) * op.factors[i] + 1 for i in (0, 1)]
            out = np.full((x.shape[0], *sizes, x.shape[3]), zero, object)
            for i, j in itertools.product(range(x.shape[1]), range(x.shape[2])):
                out[:, i * op.factors[0], j * op.factors[1]] = x[:, i, j]
            return out
        case shape.Pad():
            value: Any = Fraction(op.value)
            if type_.is_quantized:
                value = round(value / Fraction(type_.quant.scale[0])) + zero
            dims = [b + s + a for b, s, a in zip(op.before, x.shape, op.after, strict=True)]
            out = np.full(dims, value, object)
            out[tuple(slice(b, b + s) for b, s in zip(op.before, x.shape, strict=True))] = x
            return out
    raise NotImplementedError(op)


def convolve(x: Array, w: Array, bias: Array | None, op: linear.Conv) -> Array:
    """Return the convolution by its sum; x [1,H,W,C], w [O,KH,KW,C/groups]."""
    _, height, width, channels = x.shape
    outs, kh, kw, ins = w.shape
    top, left, bottom, right = op.pads
    padded = np.full((height + top + bottom, width + left + right, channels), Fraction(0), object)
    padded[top : top + height, left : left + width] = x[0]
    out_h = (len(padded) - (kh - 1) * op.dilations[0] - 1) // op.strides[0] + 1
    out_w = (padded.shape[1] - (kw - 1) * op.dilations[1] - 1) // op.strides[1] + 1
    out = np.full((1, out_h, out_w, outs), Fraction(0), object)
    if bias is not None:
        out = out + bias
    for i, j, o in itertools.product(range(out_h), range(out_w), range(outs)):
        first = o // (outs // op.groups) * ins
        for u, v in itertools.product(range(kh), range(kw)):
            row = i * op.strides[0] + u * op.dilations[0]
            column = j * op.strides[1] + v * op.dilations[1]
            out[0, i, j, o] += padded[row, column, first : first + ins].dot(w[o, u, v])
    return out


def _pooled(op: pool.Window, x: Array, function: Callable[[list[Any]], Any]) -> Array:
    """Apply ``function`` to the real pixels of each window; padding is left out (sums: zeros)."""
    _, height, width, channels = x.shape
    sizes = []
    for axis in (0, 1):
        padded = x.shape[axis + 1] + op.pads[axis] + op.pads[axis + 2]
        sizes.append((padded - (op.kernel[axis] - 1) * op.dilations[axis] - 1) // op.strides[axis])
    out = np.empty((1, sizes[0] + 1, sizes[1] + 1, channels), object)
    for _, i, j, c in np.ndindex(*out.shape):
        pixels = []
        for u, v in itertools.product(range(op.kernel[0]), range(op.kernel[1])):
            row = i * op.strides[0] + u * op.dilations[0] - op.pads[0]
            column = j * op.strides[1] + v * op.dilations[1] - op.pads[1]
            if 0 <= row < height and 0 <= column < width:
                pixels.append(x[0, row, column, c])
        out[0, i, j, c] = function(pixels)
    return out


_MARGIN = 1e-9
"""In codes: binary64 functions of reals of ordinary size are far better than this."""


def _scalar(op: ew.Scalar, x: Real) -> Real:
    def mapped(function: Callable[[Fraction], Any], margin: float) -> Real:
        apply = np.frompyfunc(lambda v: Fraction(function(v)), 1, 1)
        return Real(np.asarray(apply(x.values), object), max(x.margin, margin))

    match op:
        case ew.Relu():
            return mapped(lambda v: max(v, Fraction(0)), 0.0)
        case ew.Clip():
            return mapped(lambda v: _clip(v, op.lowest, op.highest), 0.0)
        case ew.HardSigmoid():
            slope, offset = Fraction(op.slope), Fraction(op.offset)
            return mapped(lambda v: _clip(slope * v + offset, 0, 1), 0.0)
        case ew.Function(kind="neg"):
            return mapped(lambda v: -v, 0.0)
        case ew.LeakyRelu():
            return mapped(lambda v: v if v >= 0 else v * Fraction(op.slope), _MARGIN)
        case ew.HardSwish():
            return mapped(lambda v: v * _clip(v / 6 + Fraction(1, 2), 0, 1), _MARGIN)
        case ew.Sigmoid():
            return mapped(_sigmoid, _MARGIN)
        case ew.Swish():
            return mapped(lambda v: float(v) * _sigmoid(op.scale * float(v)), _MARGIN)
        case ew.Elu():
            return mapped(lambda v: v if v >= 0 else op.alpha * math.expm1(v), _MARGIN)
        case ew.Function():
            return mapped({"tanh": math.tanh, "exp": math.exp, "abs": abs}[op.kind], _MARGIN)
    raise NotImplementedError(op)


def _clip(value: Fraction, lowest: float, highest: float) -> Fraction:
    if value < lowest:
        return Fraction(lowest)
    return Fraction(highest) if value > highest else value


def _sigmoid(value: Fraction | float) -> float:
    x = float(value)
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _softmax(x: Real, axis: int) -> Real:
    """Softmax; the integer form rounds exponentials to 24 bits and 1 / scale to 15 bits."""
    floats = np.asarray(np.frompyfunc(float, 1, 1)(x.values), np.float64)
    powers = np.exp(floats - floats.max(axis=axis, keepdims=True))
    return Real(_fractions(powers / powers.sum(axis=axis, keepdims=True)), 0.02)


def _select(op: Any, x: Any) -> tuple[Any, ...]:
    values = x.values if isinstance(x, Real) else x
    rows = np.moveaxis(values, op.axis, -1)
    count = 1 if isinstance(op, select.ArgMax) else op.k
    falls = isinstance(op, select.ArgMax) or op.largest
    order = np.empty((*rows.shape[:-1], count), object)
    for index in np.ndindex(*rows.shape[:-1]):
        row = rows[index]
        ranked = sorted(range(len(row)), key=lambda i: (-row[i] if falls else row[i], i))
        order[index] = ranked[:count]
    order = np.moveaxis(order, -1, op.axis)
    if isinstance(op, select.ArgMax):
        return (order if op.keepdims else order.squeeze(op.axis),)
    chosen = np.take_along_axis(values, order.astype(np.int64), axis=op.axis)
    return (Real(chosen, x.margin) if isinstance(x, Real) else chosen, order)
