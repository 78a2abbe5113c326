"""Functions of single codes: the boundary to reals, requantisation, tables, sums, products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm.script import tirx as T

from lepton_edge.backends.tvm.definitions.elementwise import broadcast
from lepton_edge.backends.tvm.site import Site, defines
from lepton_edge.backends.tvm.tir import Expr, Memory, Param, cast, clamp, constant, load, spread
from lepton_edge.backends.tvm.views import WIDEST, View, per_channel
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.types import QuantType

INT32_BITS = 32


def centred(
    view: View, memory: Memory, index: Sequence[Expr], lanes: int, dtype: str = "int32"
) -> Expr:
    """Return ``step * code - zero_point`` of a value with one scale for all.

    Args:
        view: the codes.
        memory: the kernel's buffers.
        index: of the first one.
        lanes: how many.
        dtype: of the result.
    """
    quant = view.type.quant
    code = cast(broadcast(view, memory, index, lanes), dtype, lanes)
    if quant.step != 1:
        code = code * constant(quant.step, dtype, lanes)
    zero = quant.zero_point[0]
    return code if zero == 0 else code - constant(zero, dtype, lanes)


def reach(quant: QuantType) -> int:
    """Return the largest magnitude of ``step * code - zero_point``."""
    ends = [
        quant.step * code - z for code in (quant.lowest, quant.highest) for z in quant.zero_point
    ]
    return max(map(abs, ends))


def _parameter(
    site: Site, quant: QuantType, values: Sequence[float], dtype: str
) -> tuple[Param, int]:
    """Return a parameter of scales or zero points, and the axis that it runs along."""
    axis = -1 if quant.axis is None else quant.axis
    return site.constants.add(np.array(values, dtype)), axis


def _at_axis(param: Param, axis: int, memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
    """Return parameters along an axis; in vectors, the same for all or one for each lane."""
    if param.elements == 1:
        return spread(memory[param][0], lanes)
    if axis in (-1, len(index) - 1):
        return load(memory[param], index[-1], lanes)
    return spread(memory[param][index[axis]], lanes)


@defines(q.Quantize)
def quantize(site: Site) -> tuple[View, ...]:
    """See the op: a division in binary32, to the nearest code, ties to even."""
    x, out = site.view(), site.op.out
    dtype = str(out.dtype)
    if out.bipolar:

        def sign(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
            value = x.at(memory, index, lanes)
            one, zero = constant(1, dtype, lanes), constant(0, dtype, lanes)
            return T.Select(value >= constant(0.0, "float32", lanes), one, zero)

        return (View(site.sig.outputs[0], sign, x.lanes),)
    scale, axis = _parameter(site, out, out.scale, "float32")
    zero, _ = _parameter(site, out, out.zero_point, "float64")

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        value = x.at(memory, index, lanes) / _at_axis(scale, axis, memory, index, lanes)
        wide = cast(T.nearbyint(value), "float64", lanes)
        wide = wide + _at_axis(zero, axis, memory, index, lanes)
        return cast(clamp(wide, out.lowest, out.highest, "float64", lanes), dtype, lanes)

    return (View(site.sig.outputs[0], at, x.lanes),)


@defines(q.Dequantize)
def dequantize(site: Site) -> tuple[View, ...]:
    """See the op: a product in binary64, rounded to binary32."""
    x, quant = site.view(), site.quant()
    scale, axis = _parameter(site, quant, quant.scale, "float64")
    zero, _ = _parameter(site, quant, quant.zero_point, "int64")

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        code = cast(x.at(memory, index, lanes), "int64", lanes)
        code = code * constant(quant.step, "int64", lanes)
        code = code - _at_axis(zero, axis, memory, index, lanes)
        real = cast(code, "float64", lanes) * _at_axis(scale, axis, memory, index, lanes)
        return cast(real, "float32", lanes)

    return (View(site.sig.outputs[0], at, x.lanes),)


@defines(q.Requantize)
def requantize(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, op = site.view(), site.op
    rescale = Rescale.of(op, site)

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        return rescale(T.Bind(x.at(memory, index, lanes)), memory, index, lanes)

    return (View(site.sig.outputs[0], at, x.lanes),)


class Rescale:
    """``clamp((multiplier * x + addend) >> shift)`` on vectors.

    The product has 64 bits. What is left of it after the shift goes on in 32 where it fits, which
    all processors clamp and narrow faster.
    """

    def __init__(self, op: q.Requantize, site: Site, x: QuantType) -> None:
        multiplier, addend = (site.array(i).astype(np.int64) for i in (1, 2))
        self._op = op
        self._out = str(op.out.dtype)
        self._multiplier = site.constants.add(multiplier)
        self._addend = site.constants.add(addend)
        most = int(np.abs(multiplier).max()) * max(-x.lowest, x.highest) + int(np.abs(addend).max())
        self._fits = (most >> op.shift) < (1 << (INT32_BITS - 1)) - 2

    @classmethod
    def of(cls, op: q.Requantize, site: Site) -> Rescale:
        """Return what a requantisation does to what it reads."""
        return cls(op, site, site.quant())

    def __call__(self, x: Expr, memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        """Return the codes of accumulators at an index."""
        op = self._op
        product = cast(x, "int64", lanes) * per_channel(self._multiplier, memory, index, lanes)
        total = product + per_channel(self._addend, memory, index, lanes)
        shift = constant(op.shift, "int64", lanes)
        codes = T.shift_right(total, shift) if op.shift else total
        if op.rounding is q.Rounding.HALF_EVEN and op.shift:
            codes = _half_even(T.Bind(total), T.Bind(codes), op.shift, lanes)
        dtype = "int32" if self._fits else "int64"
        narrow = cast(codes, dtype, lanes) if self._fits else codes
        return cast(clamp(narrow, op.lowest, op.highest, dtype, lanes), self._out, lanes)


def _half_even(total: Expr, codes: Expr, shift: int, lanes: int) -> Expr:
    """Return quotients rounded down, or up where the rest is more than a half, or to even."""
    one = constant(1, "int64", lanes)
    rest = total - T.shift_left(codes, constant(shift, "int64", lanes))
    half = constant(1 << (shift - 1), "int64", lanes)
    odd = T.bitwise_and(codes, one)
    # More than a half less one is at least a half: an odd quotient goes up from a half on.
    return codes + T.Select(rest > half - odd, one, constant(0, "int64", lanes))


@defines(q.Threshold)
def threshold(site: Site) -> tuple[View, ...]:
    """See the op: all levels are compared, which vectors do fast."""
    x, op = site.view(), site.op
    thresholds, sign = site.array(1).astype(np.int64), site.array(2).astype(np.int64)
    num_channels, levels = thresholds.shape
    table = site.constants.add(thresholds.T)  # [levels, channels]
    signs = site.constants.add(sign)

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        value = cast(x.at(memory, index, lanes), "int64", lanes)
        value = T.Bind(value * per_channel(signs, memory, index, lanes))
        count = T.alloc_buffer((lanes,), "int32", scope="local", layout=None)
        T.buffer_store(count, constant(op.lowest, "int32", lanes), _lanes(lanes))
        one, none = constant(1, "int32", lanes), constant(0, "int32", lanes)
        with T.serial(levels) as level:
            if num_channels == 1:
                bound = spread(memory[table][level], lanes)
            else:
                bound = load(memory[table], level * num_channels + index[-1], lanes)
            T.buffer_store(
                count, load(count, 0, lanes) + T.Select(bound <= value, one, none), _lanes(lanes)
            )
        return cast(load(count, 0, lanes), str(op.out.dtype), lanes)

    return (View(site.sig.outputs[0], at, min(x.lanes, 16)),)


def _lanes(lanes: int) -> list[Expr]:
    return [0 if lanes == 1 else T.ramp(0, 1, lanes)]


@defines(q.Lookup)
def lookup(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, op, quant = site.view(), site.op, site.quant()
    table = site.array(1)
    param = site.constants.add(table.astype(op.out.dtype))

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        place = cast(x.at(memory, index, lanes), "int32", lanes)
        if quant.lowest:
            place = place - constant(quant.lowest, "int32", lanes)
        if len(table) > 1:
            place = place + index[-1] * table.shape[1]
        return memory[param][place]

    return (View(site.sig.outputs[0], at),)


@defines(q.ScaledAdd)
def scaled_add(site: Site) -> tuple[View, ...]:
    """See the op."""
    a, b, op = site.view(0), site.view(1), site.op
    dtype = "int32" if op.out.bits <= INT32_BITS else "int64"
    most = abs(op.scale_a) * reach(site.quant(0)) + abs(op.scale_b) * reach(site.quant(1))
    wide = dtype if most < 1 << (INT32_BITS - 1) else "int64"

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        left = centred(a, memory, index, lanes, wide) * constant(op.scale_a, wide, lanes)
        right = centred(b, memory, index, lanes, wide) * constant(op.scale_b, wide, lanes)
        return cast(left + right, str(op.out.dtype), lanes)

    return (View(site.sig.outputs[0], at, min(a.lanes, b.lanes)),)


@defines(q.Product)
def product(site: Site) -> tuple[View, ...]:
    """See the op."""
    a, b = site.view(0), site.view(1)
    most = reach(site.quant(0)) * reach(site.quant(1))
    wide = "int32" if most < 1 << (INT32_BITS - 1) else "int64"

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        left, right = (centred(v, memory, index, lanes, wide) for v in (a, b))
        return cast(left * right, str(site.sig.outputs[0].elem.dtype), lanes)

    return (View(site.sig.outputs[0], at, min(a.lanes, b.lanes, WIDEST)),)
