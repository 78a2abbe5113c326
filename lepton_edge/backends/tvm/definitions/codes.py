"""Functions of single codes: the boundary to reals, requantisation, tables, sums, products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm.script import tirx as T

from lepton_edge.backends.tvm.definitions.elementwise import broadcast
from lepton_edge.backends.tvm.site import Site, defines
from lepton_edge.backends.tvm.tir import (
    Expr,
    Memory,
    cast,
    clamp,
    constant,
    get,
    load,
    put,
    register,
    spread,
)
from lepton_edge.backends.tvm.views import WIDEST, View, along
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
    scale = site.constants.add(np.array(out.scale, np.float32))
    zero = site.constants.add(np.array(out.zero_point, np.float64))
    axis = -1 if out.axis is None else out.axis

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        value = x.at(memory, index, lanes) / along(scale, memory, index, lanes, axis)
        wide = cast(T.nearbyint(value), "float64", lanes)
        wide = wide + along(zero, memory, index, lanes, axis)
        return cast(clamp(wide, out.lowest, out.highest, "float64", lanes), dtype, lanes)

    return (View(site.sig.outputs[0], at, x.lanes),)


@defines(q.Dequantize)
def dequantize(site: Site) -> tuple[View, ...]:
    """See the op: a product in binary64, rounded to binary32."""
    x, quant = site.view(), site.quant()
    scale = site.constants.add(np.array(quant.scale, np.float64))
    zero = site.constants.add(np.array(quant.zero_point, np.int64))
    axis = -1 if quant.axis is None else quant.axis
    wide = reach(quant) >= 1 << (INT32_BITS - 1)
    dtype = "int64" if wide else "int32"

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        code = cast(x.at(memory, index, lanes), dtype, lanes)
        code = code * constant(quant.step, dtype, lanes)
        code = code - cast(along(zero, memory, index, lanes, axis), dtype, lanes)
        real = _from_int64(T.Bind(code), lanes) if wide else cast(code, "float64", lanes)
        return cast(real * along(scale, memory, index, lanes, axis), "float32", lanes)

    return (View(site.sig.outputs[0], at, x.lanes),)


def _from_int64(value: Expr, lanes: int) -> Expr:
    """Return a 64-bit integer as binary64, from its halves: 32-bit processors call a function.

    Both halves are exact, so their sum is rounded once, as the conversion would be.
    """
    high = cast(T.shift_right(value, constant(32, "int64", lanes)), "int32", lanes)
    low = cast(T.bitwise_and(value, constant(0xFFFFFFFF, "int64", lanes)), "uint32", lanes)
    scale = constant(2.0**32, "float64", lanes)
    return cast(high, "float64", lanes) * scale + cast(low, "float64", lanes)


@defines(q.Requantize)
def requantize(site: Site) -> tuple[View, ...]:
    """See the op.

    The product has 64 bits. What is left of it after the shift goes on in 32 where it fits, which
    all processors clamp and narrow faster.
    """
    x, op, quant = site.view(), site.op, site.quant()
    multipliers, addends = (site.array(i).astype(np.int64) for i in (1, 2))
    multiplier, addend = site.constants.add(multipliers), site.constants.add(addends)
    most = int(np.abs(multipliers).max()) * max(-quant.lowest, quant.highest)
    most += int(np.abs(addends).max())
    fits = (most >> op.shift) < (1 << (INT32_BITS - 1)) - 2
    dtype = "int32" if fits else "int64"

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        product = cast(x.at(memory, index, lanes), "int64", lanes)
        product = product * along(multiplier, memory, index, lanes)
        total = T.Bind(product + along(addend, memory, index, lanes))
        codes = T.shift_right(total, constant(op.shift, "int64", lanes)) if op.shift else total
        if op.rounding is q.Rounding.HALF_EVEN and op.shift:
            codes = _half_even(total, T.Bind(codes), op.shift, lanes)
        narrow = cast(codes, dtype, lanes)
        return cast(clamp(narrow, op.lowest, op.highest, dtype, lanes), str(op.out.dtype), lanes)

    return (View(site.sig.outputs[0], at, x.lanes),)


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
        value = T.Bind(value * along(signs, memory, index, lanes))
        count = register("int32", lanes)
        put(count, constant(op.lowest, "int32", lanes), lanes)
        one, none = constant(1, "int32", lanes), constant(0, "int32", lanes)
        with T.serial(levels) as level:
            if num_channels == 1:
                bound = spread(memory[table][level], lanes)
            else:
                bound = load(memory[table], level * num_channels + index[-1], lanes)
            put(count, get(count, lanes) + T.Select(bound <= value, one, none), lanes)
        return cast(get(count, lanes), str(op.out.dtype), lanes)

    return (View(site.sig.outputs[0], at, min(x.lanes, 16)),)


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
    most = abs(op.scale_a) * reach(site.quant(0)) + abs(op.scale_b) * reach(site.quant(1))
    wide = "int32" if most < 1 << (INT32_BITS - 1) else "int64"

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
