"""Cases for every operator: inputs, and what an independent definition gives for them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lepton_edge.ir.op import Op
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops.linear import Conv, Dense, MatMul
from lepton_edge.ir.ops.pool import AveragePool, MaxPool, Reduce, SumPool
from lepton_edge.ir.ops.select import ArgMax, TopK
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
from lepton_edge.ir.types import Array, Float, Int, QuantType

F32 = Float()
I64 = Int()
UQ8 = QuantType(8, False, (0.05,), (131,))
Q8 = QuantType(8, True, (0.1,), (-5,))
Q4 = QuantType(4, True, (0.25,), (2,))
UQ4 = QuantType(4, False, (0.25,), (3,))
ACC = QuantType(20, True, (0.01,))
W8 = QuantType(8, True, (0.02,), narrow=True)
UW8 = QuantType(8, False, (0.02,), (127,))

Wanted = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One node at work.

    Args:
        label: what is special about it.
        op: the operator.
        inputs: arrays with their element types; those that depend on the frame first.
        wanted: a definition of the outputs, given the arrays.
        num_frames: how many inputs have a batch axis.
        is_close: floats are compared up to rounding, not bit for bit.
    """

    label: str
    op: Op
    inputs: tuple[tuple[Array, Any], ...]
    wanted: Wanted
    num_frames: int = 1
    is_close: bool = True

    def __str__(self) -> str:
        return f"{self.op.name}-{self.label}"


def floats(*dims: int, seed: int = 0) -> tuple[Array, Float]:
    """Return random binary32 values, some of them negative."""
    return np.random.default_rng(seed).standard_normal(dims).astype(np.float32) * 2, F32


def codes(quant: QuantType, *dims: int, seed: int = 0) -> tuple[Array, QuantType]:
    """Return random codes; the type's ends are among them."""
    array = np.random.default_rng(seed).integers(quant.lowest, quant.highest + 1, dims)
    array.flat[0], array.flat[-1] = quant.lowest, quant.highest
    return array.astype(quant.dtype), quant


def plain(values: Any) -> tuple[Array, Int]:
    """Return a parameter of an integer op."""
    return np.array(values, np.int64), I64


# -- linear layers --------------------------------------------------------------------------------


def torch_conv(op: Conv) -> Wanted:
    def wanted(x: Array, w: Array, *bias: Array) -> Array:
        top, left, bottom, right = op.pads
        image = functional.pad(
            torch.tensor(x).permute(0, 3, 1, 2).double(), (left, right, top, bottom)
        )
        result = functional.conv2d(
            image, torch.tensor(w).permute(0, 3, 1, 2).double(),
            *(torch.tensor(b).double() for b in bias),
            stride=op.strides, dilation=op.dilations, groups=op.groups,
        )  # fmt: skip
        return result.permute(0, 2, 3, 1).numpy()

    return wanted


def sum_of_products(op: Conv, x_quant: QuantType, w_quant: QuantType) -> Wanted:
    """The definition of Conv on codes, one product at a time."""

    def wanted(x: Array, w: Array, *bias: Array) -> Array:
        _, height, width, _ = x.shape
        outs, kh, kw, ins = w.shape
        out_h = (height + op.pads[0] + op.pads[2] - (kh - 1) * op.dilations[0] - 1) // op.strides[0]
        out_w = (width + op.pads[1] + op.pads[3] - (kw - 1) * op.dilations[1] - 1) // op.strides[1]
        out = np.zeros((len(x), out_h + 1, out_w + 1, outs), np.int64)
        for n, i, j, o, u, v, c in itertools.product(
            *map(range, (len(x), out_h + 1, out_w + 1, outs, kh, kw, ins))
        ):
            row = i * op.strides[0] + u * op.dilations[0] - op.pads[0]
            column = j * op.strides[1] + v * op.dilations[1] - op.pads[1]
            if 0 <= row < height and 0 <= column < width:
                channel = o // (outs // op.groups) * ins + c
                a = int(x[n, row, column, channel]) - x_quant.zero_point[0]
                zero = w_quant.zero_point[o if len(w_quant.zero_point) > 1 else 0]
                out[n, i, j, o] += a * (int(w[o, u, v, c]) - zero)
        return out + (bias[0] if bias else 0)

    return wanted


def linear_cases() -> Iterator[Case]:
    geometries = {
        "plain": (Conv(), (3, 2, 2, 2)),
        "asymmetric-pads": (Conv(pads=(1, 0, 2, 1)), (3, 3, 3, 2)),
        "strides-and-dilations": (Conv((2, 1), (1, 1, 1, 1), (1, 2)), (3, 2, 3, 2)),
        "groups": (Conv(pads=(0, 1, 0, 1), groups=2), (4, 3, 3, 1)),
        "depthwise": (Conv((1, 2), (1, 1, 0, 0), (2, 1), groups=2), (2, 2, 3, 1)),
        "depthwise-multiplier": (Conv(groups=2), (6, 2, 2, 1)),
    }
    per_channel = QuantType(8, False, (0.1, 0.2, 0.3), (7, 120, 255), axis=0)
    for label, (op, dims) in geometries.items():
        x, w = floats(1, 4, 5, 2), floats(*dims, seed=1)
        yield Case(label, op, (x, w, floats(dims[0], seed=2)), torch_conv(op))
        for x_quant, w_quant in ((UQ8, W8), (Q4, UW8)):
            inputs = (codes(x_quant, 1, 4, 5, 2), codes(w_quant, *dims, seed=1))
            wanted = sum_of_products(op, x_quant, w_quant)
            yield Case(f"{label}-{w_quant}", op, inputs, wanted)
    op = Conv(pads=(1, 1, 1, 1))
    bias = (np.array([-1000, 0, 77], np.int64), QuantType(32, True, (0.1,)))
    yield Case(
        "per-channel-and-bias",
        op,
        (codes(UQ8, 1, 3, 3, 2), codes(per_channel, 3, 2, 2, 2), bias),
        sum_of_products(op, UQ8, per_channel),
    )
    x, w, b = floats(1, 5), floats(3, 5, seed=1), floats(3, seed=2)
    yield Case("float", Dense(), (x, w, b), lambda x, w, b: x.astype(np.float64) @ w.T + b)
    yield Case(
        "codes-per-channel",
        Dense(),
        (codes(UQ8, 1, 2, 5), codes(per_channel, 3, 5), bias),
        lambda x, w, b: (x.astype(int) - 131) @ (w.astype(int) - [[7], [120], [255]]).T + b,
    )
    wide = QuantType(16, True, (1.0,))
    yield Case(
        "beyond-binary64",
        Dense(acc_bits=63),
        (
            (np.full((1, 4), -(1 << 44)), QuantType(46, True, (1.0,))),
            (np.full((2, 4), -32767, np.int16), wide),
        ),
        lambda x, _: np.full((len(x), 2), 4 * (1 << 44) * 32767),
    )
    yield Case(
        "beyond-binary32",
        Dense(acc_bits=40),
        (codes(wide, 1, 9), codes(wide, 4, 9, seed=1)),
        lambda x, w: np.array([[sum(int(a) * int(b) for a, b in zip(r, v, strict=True)) for v in w]
                               for r in x]),
    )  # fmt: skip
    yield Case(
        "batched", MatMul(), (floats(1, 3, 4), floats(1, 4, 2, seed=1)),
        lambda a, b: np.einsum("nij,njk->nik", a.astype(np.float64), b), 2,
    )  # fmt: skip
    yield Case("vector", MatMul(), (floats(1, 3, 4), floats(4, seed=1)), lambda a, b: a @ b)


# -- pooling --------------------------------------------------------------------------------------


def window_values(op: Any, function: Callable[[list[Any], int], Any]) -> Wanted:
    """Apply ``function`` to the real pixels of each window and the window's size."""

    def wanted(x: Array) -> Array:
        n, height, width, channels = x.shape
        padded = [x.shape[a + 1] + op.pads[a] + op.pads[a + 2] for a in (0, 1)]
        counts = [
            (padded[a] - (op.kernel[a] - 1) * op.dilations[a] - 1) // op.strides[a] + 1
            for a in (0, 1)
        ]  # fmt: skip
        out = np.empty((n, *counts, channels), object)
        for m, i, j, c in np.ndindex(*out.shape):
            pixels = []
            for u, v in itertools.product(range(op.kernel[0]), range(op.kernel[1])):
                row = i * op.strides[0] + u * op.dilations[0] - op.pads[0]
                column = j * op.strides[1] + v * op.dilations[1] - op.pads[1]
                if 0 <= row < height and 0 <= column < width:
                    pixels.append(x[m, row, column, c])
            out[m, i, j, c] = function(pixels, op.kernel[0] * op.kernel[1])
        return out.astype(np.float64)

    return wanted


def pool_cases() -> Iterator[Case]:
    geometry: tuple[Any, ...] = ((2, 3), (2, 1), (1, 0, 0, 2), (1, 2))
    op: Any = MaxPool(*geometry)
    largest = window_values(op, lambda pixels, _: max(pixels))
    negative = (np.full((1, 4, 5, 2), -3.5, np.float32), F32)
    yield Case("float", op, (floats(1, 4, 5, 2),), largest)
    yield Case("padding-never-wins", op, (negative,), largest)
    yield Case("codes", op, (codes(Q8, 1, 4, 5, 2),), largest)
    yield Case("unsigned-codes", op, (codes(UQ4, 1, 4, 5, 2),), largest)
    op = AveragePool(*geometry)
    yield Case("real-pixels", op, (floats(1, 4, 5, 2),), window_values(op, lambda p, _: np.mean(p)))
    op = AveragePool(*geometry, count_include_pad=True)
    yield Case("zeros-count", op, (floats(1, 4, 5, 2),), window_values(op, lambda p, n: sum(p) / n))
    op = AveragePool((2, 2), (2, 2))
    yield Case(
        "against-torch", op, (floats(1, 4, 6, 2),),
        lambda x: functional.avg_pool2d(torch.tensor(x).permute(0, 3, 1, 2), 2)
        .permute(0, 2, 3, 1).numpy(),
    )  # fmt: skip
    op = SumPool(*geometry, acc_bits=14)
    for quant in (Q8, UQ8):
        zero = quant.zero_point[0]
        wanted = window_values(op, lambda p, _, zero=zero: sum(int(v) - zero for v in p))
        yield Case(str(quant), op, (codes(quant, 1, 4, 5, 2),), wanted)
    kinds: dict[str, Callable[..., Any]] = {
        "mean": lambda p: sum(p) / len(p), "sum": sum, "max": max, "min": min, "prod": math.prod
    }  # fmt: skip
    for kind, function in kinds.items():
        yield Case(
            kind, Reduce(kind, (1, 2)), (floats(1, 2, 3, 2),),
            lambda x, f=function: np.array(
                [[[[f([x[n, i, j, c] for i in (0, 1) for j in (0, 1, 2)]) for c in (0, 1)]]]
                 for n in range(len(x))]),
        )  # fmt: skip
    op = Reduce("max", (2,), keepdims=False)
    yield Case("dropped-axis", op, (floats(1, 2, 3),), lambda x: [[max(r) for r in m] for m in x])
    op = Reduce("sum", (0, 1))
    yield Case("over-the-batch", op, (floats(1, 3),), lambda x: np.array([[sum(x[0])]]))


# -- elementwise ----------------------------------------------------------------------------------

_TORCH: dict[str, tuple[Op, Callable[[torch.Tensor], torch.Tensor]]] = {
    "relu": (ew.Relu(), torch.relu),
    "relu6": (ew.Clip(0.0, 6.0), functional.relu6),
    "clamp-below": (ew.Clip(lowest=-0.5), lambda x: torch.clamp(x, min=-0.5)),
    "clamp-above": (ew.Clip(highest=0.5), lambda x: torch.clamp(x, max=0.5)),
    "leaky": (ew.LeakyRelu(0.1), lambda x: functional.leaky_relu(x, 0.1)),
    "sigmoid": (ew.Sigmoid(), torch.sigmoid),
    "hardsigmoid": (ew.HardSigmoid(1 / 6, 0.5), functional.hardsigmoid),
    "hardswish": (ew.HardSwish(), functional.hardswish),
    "silu": (ew.Swish(), functional.silu),
    "swish": (ew.Swish(1.5), lambda x: x * torch.sigmoid(1.5 * x)),
    "elu": (ew.Elu(0.7), lambda x: functional.elu(x, 0.7)),
    "softplus": (ew.Function("softplus"), functional.softplus),
    "softsign": (ew.Function("softsign"), functional.softsign),
    "round": (ew.Function("round"), torch.round),
    **{
        kind: (ew.Function(kind), getattr(torch, kind))
        for kind in (
            "abs", "neg", "exp", "log", "sqrt", "reciprocal", "tanh", "floor", "ceil", "sign",
            "sin", "cos", "erf",
        )
    },
}  # fmt: skip


def elementwise_cases() -> Iterator[Case]:
    special = np.array([[0.0, -0.0, 100.0, -100.0, 0.5, 1.5, -0.5, -3.0, 3.0]], np.float32)
    for label, (op, function) in _TORCH.items():
        for kind, array in {"random": floats(1, 40)[0], "special": special}.items():
            if label in ("log", "sqrt", "reciprocal"):
                array = np.abs(array) + np.float32(0.25)
            yield Case(
                f"{label}-{kind}",
                op,
                ((array, F32),),
                lambda x, f=function: f(torch.tensor(x).double()).numpy(),
            )
    x, slope = floats(1, 2, 3, 4), floats(4, seed=1)
    yield Case(
        "per-channel", ew.PRelu(), (x, slope),
        lambda x, s: functional.prelu(
            torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(s)).permute(0, 2, 3, 1).numpy(),
    )  # fmt: skip
    pairs: dict[str, tuple[Op, Callable[..., Any]]] = {
        "add": (ew.Add(), lambda a, b: a + b),
        "sub": (ew.Sub(), lambda a, b: a - b),
        "mul": (ew.Mul(), lambda a, b: a * b),
        "div": (ew.Div(), lambda a, b: a / b),
        "maximum": (ew.Maximum(), max),
        "minimum": (ew.Minimum(), min),
    }
    for label, (op, function) in pairs.items():
        for form, other in {"same": (1, 2, 3), "channels": (3,), "column": (1, 2, 1)}.items():
            yield Case(
                f"{label}-{form}", op, (floats(1, 2, 3), floats(*other, seed=1)),
                lambda a, b, f=function: np.vectorize(f)(a, b),
            )  # fmt: skip
    base = (np.abs(floats(1, 6)[0]) + np.float32(0.1), F32)
    yield Case("power", ew.Pow(), (base, floats(6, seed=1)), lambda a, b: a.astype(float) ** b)
    for axis in (1, 2):
        yield Case(
            f"axis-{axis}", ew.Softmax(axis), (floats(1, 3, 4),),
            lambda x, a=axis: torch.softmax(torch.tensor(x).double(), a).numpy(),
        )  # fmt: skip
    large = (np.array([[1000.0, 999.0, -1000.0]], np.float32), F32)
    e = math.exp(-1)
    yield Case(
        "no-overflow", ew.Softmax(1), (large,),
        lambda x: np.array([[1 / (1 + e), e / (1 + e), 0.0]] * len(x)),
    )  # fmt: skip


# -- codes ----------------------------------------------------------------------------------------


def requantized(op: q.Requantize) -> Wanted:
    def code(x: int, m: int, b: int) -> int:
        exact = Fraction(m * x + b, 1 << op.shift)
        is_floor = op.rounding is q.Rounding.FLOOR
        return min(max(math.floor(exact) if is_floor else round(exact), op.lowest), op.highest)

    return np.vectorize(lambda x, m, b: code(int(x), int(m), int(b)))


def counted(lowest: int) -> Wanted:
    """Threshold, by counting."""

    def wanted(x: Array, thresholds: Array, sign: Array) -> Array:
        out = np.empty(x.shape, np.int64)
        for index, value in np.ndenumerate(x):
            channel = index[-1]
            row = thresholds[channel if len(thresholds) > 1 else 0]
            s = sign[channel if len(sign) > 1 else 0]
            out[index] = lowest + sum(1 for t in row if t <= int(value) * s)
        return out

    return wanted


def softmax_by_fractions(op: q.SoftmaxCodes) -> Wanted:
    def wanted(x: Array, table: Array) -> Array:
        out = np.empty(x.shape, np.int64)
        for index in np.ndindex(*x.shape[:-1]):
            row = [int(v) for v in x[index]]
            e = [Fraction(int(table[max(row) - v])) for v in row]
            for c, power in enumerate(e):
                steps = power / sum(e) * Fraction(op.numerator, op.denominator)
                code = math.floor(steps + Fraction(1, 2)) + op.out.zero_point[0]
                out[(*index, c)] = min(max(code, op.out.lowest), op.out.highest)
        return out

    return wanted


def quantized_cases() -> Iterator[Case]:
    yield from boundary_cases()
    every = (np.arange(-40, 41).reshape(1, 27, 3), ACC)
    for rounding in q.Rounding:
        for shift in (0, 1, 3):
            op = q.Requantize(Q4, shift, -6, 7, rounding)
            params = (plain([3, -2, 1]), plain([1, 0, -4]))
            yield Case(f"{rounding.value}-shift-{shift}", op, (every, *params), requantized(op))
    op = q.Requantize(QuantType(8, False, (1.0,)), 40, 0, 255)
    wide = (np.array([[-(1 << 19), -1, 0, (1 << 19) - 1]], np.int32), ACC)
    params = (plain([(1 << 28) + 1]), plain([1 << 39]))
    yield Case("wide-products", op, (wide, *params), requantized(op))
    rows = plain([[-9, -9, 0, 5, 30], [-2, -1, 0, 1, 2], [0, 0, 0, 0, 0]])
    op2 = q.Threshold(Q4, -3)
    yield Case("signs", op2, (every, rows, plain([1, -1, -1])), counted(-3))
    yield Case("one-row", op2, (every, plain([[-7, 0, 0, 7, 8]]), plain([-1])), counted(-3))
    table = np.random.default_rng(3).integers(0, 200, (3, 16))
    x = codes(Q4, 1, 5, 3)
    yield Case(
        "per-channel", q.Lookup(UQ8), (x, (table, I64)),
        lambda x, t: [[[t[c, int(v) + 8] for c, v in enumerate(p)] for p in r] for r in x],
    )  # fmt: skip
    yield Case(
        "one-table", q.Lookup(UQ8), (codes(UQ4, 1, 7), (table[:1], I64)),
        lambda x, t: [[t[0, v] for v in r] for r in x],
    )  # fmt: skip
    a, b = codes(UQ8, 1, 2, 3, 2), codes(Q4, 1, 2, 3, 2, seed=1)
    add = q.ScaledAdd(ACC, 13, -7)
    yield Case(
        "zero-points", add, (a, b),
        lambda a, b: 13 * (a.astype(int) - 131) - 7 * (b.astype(int) - 2), 2,
    )  # fmt: skip
    for label, dims in {"same": (1, 2, 3, 2), "spread": (1, 1, 1, 2)}.items():
        yield Case(
            label, q.Product(14), (a, codes(Q4, *dims, seed=1)),
            lambda a, b: (a.astype(int) - 131) * (b.astype(int) - 2), 2,
        )  # fmt: skip
    yield from softmax_cases()


def boundary_cases() -> Iterator[Case]:
    def code(value: float, quant: QuantType, channel: int) -> int:
        scale = quant.scale[channel if len(quant.scale) > 1 else 0]
        zero = quant.zero_point[channel if len(quant.zero_point) > 1 else 0]
        steps = Fraction(float(np.float32(value) / np.float32(scale)))
        return min(max(round(steps) + zero, quant.lowest), quant.highest)

    per_channel = QuantType(8, True, (0.5, 0.03, 2.0), (0, -7, 100), axis=-1)
    for quant in (UQ8, Q4, per_channel):
        yield Case(
            str(quant), q.Quantize(quant), (floats(1, 30, 3),),
            lambda x, t=quant: [[[code(v, t, c) for c, v in enumerate(p)] for p in r] for r in x],
        )  # fmt: skip
        yield Case(
            str(quant), q.Dequantize(), (codes(quant, 1, 9, 3),),
            lambda x, t=quant: np.array(
                [[[float(np.float32(float(
                    (int(v) - t.zero_point[c % len(t.zero_point)])
                    * Fraction(t.scale[c % len(t.scale)]))))
                   for c, v in enumerate(p)] for p in r] for r in x]),
            is_close=False,
        )  # fmt: skip


def softmax_cases() -> Iterator[Case]:
    for x_quant, op in (
        (UQ4, q.SoftmaxCodes(QuantType(8, True, (1 / 256,), (-128,)), 256, 1)),
        (Q8, q.SoftmaxCodes(QuantType(4, False, (0.07,)), 100, 7)),
        (Q8, q.SoftmaxCodes(QuantType(8, False, (1 / 300,), (9,)), 300, 1)),
    ):
        one = (1 << 24) - 1
        table = [round(math.exp(-d * x_quant.scale[0]) * one) for d in range(x_quant.num_codes)]
        entries = (np.array(table), Int(32, False))
        yield Case(
            f"{op.numerator}-{op.denominator}",
            op,
            (codes(x_quant, 1, 6, 5), entries),
            softmax_by_fractions(op),
        )
    op = q.SoftmaxCodes(QuantType(8, False, (1 / 255,)), 255, 1)
    entries = (np.array([1 << 20] * 16), Int(32, False))
    yield Case("half-goes-up", op, (codes(UQ4, 1, 2), entries), lambda x, _: [[128, 128]] * len(x))


# -- moves ----------------------------------------------------------------------------------------


def move_cases() -> Iterator[Case]:
    for kind, x in {"float": floats(1, 3, 4, 2), "codes": codes(UQ8, 1, 3, 4, 2)}.items():
        zero = 0 if kind == "float" else 131
        yield Case(kind, Reshape((1, 8, 3)), (x,), lambda x: [list(_rows(m, 3)) for m in x])
        yield Case(
            kind, Transpose((0, 3, 1, 2)), (x,),
            lambda x: [[[[m[i][j][c] for j in range(4)] for i in range(3)] for c in (0, 1)]
                       for m in x],
        )  # fmt: skip
        other = floats(1, 3, 1, 2, seed=1) if kind == "float" else codes(UQ8, 1, 3, 1, 2, seed=1)
        yield Case(
            kind, Concat(2), (x, other),
            lambda a, b: [[[*r, *s] for r, s in zip(m, n, strict=True)]
                          for m, n in zip(a, b, strict=True)], 2,
        )  # fmt: skip
        for begin, end, step in ((0, 4, 1), (1, 4, 2), (3, -1, -1), (2, 0, -2), (3, -1, -3)):
            kept = [i for i in range(begin, end, step) if i >= 0]
            yield Case(
                f"{kind}-{begin}:{end}:{step}", Slice(2, begin, end, step), (x,),
                lambda x, k=kept: [[[r[i] for i in k] for r in m] for m in x],
            )  # fmt: skip
        yield Case(
            kind, Gather(1, (2, 0, 2)), (x,), lambda x: [[m[i] for i in (2, 0, 2)] for m in x]
        )
        yield Case(
            kind, Pad((0, 1, 0, 0), (0, 0, 1, 0)), (x,),
            lambda x, z=zero: [
                [[[z, z]] * 5, *([*row, [z, z]] for row in m.tolist())] for m in x
            ],
        )  # fmt: skip
        yield Case(
            kind, RepeatNearest((2, 3)), (x,),
            lambda x: [[[m[i // 2][j // 3] for j in range(12)] for i in range(6)] for m in x],
        )  # fmt: skip
        yield Case(
            kind, InsertZeros((2, 3)), (x,),
            lambda x, z=zero: [
                [[m[i // 2][j // 3] if i % 2 == 0 and j % 3 == 0 else [z, z] for j in range(10)]
                 for i in range(5)] for m in x],
        )  # fmt: skip
    yield Case(
        "value-on-codes", Pad((0, 1), (0, 0), 1.0), (codes(Q4, 1, 2),),
        lambda x: [[6, *r] for r in x.tolist()],
    )  # fmt: skip
    yield Case(
        "value-on-floats", Pad((0, 0), (0, 2), -1.5), (floats(1, 2),),
        lambda x: [[*r, -1.5, -1.5] for r in x.tolist()],
    )  # fmt: skip
    yield Case(
        "middle", Broadcast((1, 3, 2)), (floats(1, 1, 2),), lambda x: [[m[0]] * 3 for m in x]
    )
    yield Case("new-axes", Broadcast((1, 4, 3)), (floats(3),), lambda x: [[x] * 4], 0)


def _rows(x: Array, size: int) -> Iterator[list[Any]]:
    flat = [x[i][j][c] for i in range(3) for j in range(4) for c in range(2)]
    for i in range(0, len(flat), size):
        yield flat[i : i + size]


# -- indices --------------------------------------------------------------------------------------


def ranked(x: Sequence[Any], largest: bool) -> list[int]:
    """Indices by value; equal values in the order of their indices."""
    return sorted(range(len(x)), key=lambda i: (-int(x[i]) if largest else int(x[i]), i))


def select_cases() -> Iterator[Case]:
    ties = (np.array([[[2, 9, 9, 0], [0, 0, 0, 0], [1, 1, 0, 3]]], np.uint8), UQ8)
    yield Case("first-of-ties", ArgMax(2), (ties,), lambda x: [[[ranked(r, True)[0]] for r in m]
                                                               for m in x])  # fmt: skip
    yield Case(
        "other-axis", ArgMax(1, keepdims=False), (ties,),
        lambda x: [[ranked([r[j] for r in m], True)[0] for j in range(4)] for m in x],
    )  # fmt: skip
    yield Case("float", ArgMax(1), (floats(1, 9),), lambda x: [[int(r.argmax())] for r in x])
    signed = (np.array([[[-128, 127, -128, 0]]], np.int8), Q8)
    for label, largest in {"largest": True, "smallest": False}.items():
        for kind, x in {"ties": ties, "extremes": signed}.items():
            yield Case(
                f"{label}-{kind}", TopK(3, 2, largest), (x,),
                lambda x, f=largest: (
                    [[[r[i] for i in ranked(r, f)[:3]] for r in m] for m in x],
                    [[ranked(r, f)[:3] for r in m] for m in x],
                ),
            )  # fmt: skip


CASES: tuple[Case, ...] = tuple(
    case
    for family in (
        linear_cases, pool_cases, elementwise_cases, quantized_cases, move_cases, select_cases
    )
    for case in family()
)  # fmt: skip
