"""Ops that compute an element from many: pooling, reductions, softmax, arg max, matrix products.

Each element has a loop of its own, in vectors of neighbours where the op keeps them apart. The
layers that take the time have kernels of their own (`contraction`, `depthwise`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from tvm.script import tirx as T

from lepton_edge.backends.tvm.definitions.codes import INT32_BITS, centred, reach
from lepton_edge.backends.tvm.definitions.moves import within
from lepton_edge.backends.tvm.site import Site, defines
from lepton_edge.backends.tvm.tir import (
    Expr,
    Memory,
    cast,
    clamp,
    constant,
    get,
    nest,
    offset_of,
    put,
    register,
    spread,
)
from lepton_edge.backends.tvm.views import View
from lepton_edge.ir.ops import pool
from lepton_edge.ir.ops.elementwise import Softmax
from lepton_edge.ir.ops.linear import Conv, Dense, MatMul
from lepton_edge.ir.ops.quantized import SoftmaxCodes
from lepton_edge.ir.ops.select import ArgMax, TopK
from lepton_edge.ir.types import QuantType

Combine = Callable[[Expr, Expr], Expr]

LANES = 16
"""Most lanes of a reduction: its registers are as many again as the vector has."""


def folded(
    start: float, dtype: str, lanes: int, loops: Sequence[int], step: Callable[..., None]
) -> Expr:
    """Return what a loop leaves in a register.

    Args:
        start: what the register holds before.
        dtype: of the register.
        lanes: of the register.
        loops: extents.
        step: emits an iteration, given the register and the indices.
    """
    total = register(dtype, lanes)
    put(total, constant(start, dtype, lanes), lanes)
    with nest(loops) as indices:
        step(total, *indices)
    return T.Bind(get(total, lanes))


@contextmanager
def inside_only(pads: Sequence[int], h: Expr, height: int, w: Expr, width: int) -> Iterator[None]:
    """Write what is done at pixels of an image alone, where windows reach beyond it."""
    if not any(pads):
        yield
        return
    with T.If(T.And(T.And(h >= 0, h < height), T.And(w >= 0, w < width))), T.Then():
        yield


def _pooled(
    site: Site,
    start: float,
    dtype: str,
    value: Callable[[Memory, Sequence[Expr], int], Expr],
    combine: Combine,
    finish: Callable[[Expr, Memory, Sequence[Expr], int], Expr] = lambda total, *_: total,
) -> tuple[View, ...]:
    """Return the reduction of each window; what lies in the padding is left out."""
    op: pool.Window = site.op
    x = site.view()
    _, height, width, _ = x.shape
    top, left, _, _ = op.pads

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        n, oh, ow, c = index

        def step(total: Expr, kh: Expr, kw: Expr) -> None:
            h = oh * op.strides[0] + kh * op.dilations[0] - top
            w = ow * op.strides[1] + kw * op.dilations[1] - left
            with inside_only(op.pads, h, height, w, width):
                own = [n, within(h, height), within(w, width), c]
                put(total, combine(get(total, lanes), value(memory, own, lanes)), lanes)

        return finish(folded(start, dtype, lanes, op.kernel, step), memory, index, lanes)

    return (View(site.sig.outputs[0], at, min(x.lanes, LANES)),)


@defines(pool.MaxPool)
def max_pool(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, elem = site.view(), site.sig.inputs[0].elem
    lowest = elem.lowest if isinstance(elem, QuantType) else -math.inf
    return _pooled(site, lowest, x.dtype, x.at, T.Max)


@defines(pool.SumPool)
def sum_pool(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, elem = site.view(), site.sig.outputs[0].quant
    wide, out = "int32" if elem.bits <= INT32_BITS else "int64", str(elem.dtype)

    def value(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        return centred(x, memory, index, lanes, wide)

    return _pooled(
        site, 0, wide, value, lambda a, b: a + b, lambda total, _, __, n: cast(total, out, n)
    )


@defines(pool.AveragePool)
def average_pool(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: pool.AveragePool = site.op
    x = site.view()
    _, height, width, _ = site.sig.outputs[0].shape
    counts = np.full((height, width), op.kernel[0] * op.kernel[1], np.float32)
    if op.is_padded and not op.count_include_pad:
        ones = np.ones((1, *x.shape[1:3], 1))
        counts = op.patches(ones, 0.0).sum(axis=(3, 4)).reshape(height, width)
    table = site.constants.add((1 / counts).astype(np.float32))

    def finish(total: Expr, memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        return total * spread(memory[table][index[1] * width + index[2]], lanes)

    return _pooled(site, 0.0, "float32", x.at, lambda a, b: a + b, finish)


REDUCTIONS: dict[str, tuple[float, Combine]] = {
    "mean": (0.0, lambda a, b: a + b),
    "sum": (0.0, lambda a, b: a + b),
    "prod": (1.0, lambda a, b: a * b),
    "max": (-math.inf, T.Max),
    "min": (math.inf, T.Min),
}


@defines(pool.Reduce)
def reduce(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: pool.Reduce = site.op
    x = site.view()
    start, combine = REDUCTIONS[op.kind]
    loops = [x.shape[axis] for axis in op.axes]
    rank = len(x.shape)
    keeps_rows = rank - 1 not in op.axes

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        kept = iter(index)
        own: list[Expr] = []
        for axis in range(rank):
            is_reduced = axis in op.axes
            own.append(0 if is_reduced else next(kept))
            if is_reduced and op.keepdims:
                next(kept)

        def step(total: Expr, *indices: Expr) -> None:
            at_step = list(own)
            for axis, i in zip(op.axes, indices, strict=False):
                at_step[axis] = i
            put(total, combine(get(total, lanes), x.at(memory, at_step, lanes)), lanes)

        total = folded(start, "float32", lanes, loops, step)
        if op.kind == "mean":
            return total / constant(math.prod(loops), "float32", lanes)
        return total

    return (View(site.sig.outputs[0], at, min(x.lanes, LANES) if keeps_rows else 1),)


def _along(
    x: View,
    axis: int,
    memory: Memory,
    index: Sequence[Expr],
    start: float,
    dtype: str,
    step: Callable[[Expr, Expr], Expr],
) -> Expr:
    """Return a reduction along an axis: ``step(total, element)`` for each, in a type."""

    def each(total: Expr, i: Expr) -> None:
        own = [i if k == axis else place for k, place in enumerate(index)]
        put(total, step(get(total), cast(x.at(memory, own, 1), dtype)))

    return folded(start, dtype, 1, [x.shape[axis]], each)


@defines(Softmax)
def softmax(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, axis = site.view(), site.op.axis

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        most = _along(x, axis, memory, index, -math.inf, "float32", T.Max)
        total = _along(
            x, axis, memory, index, 0.0, "float32", lambda total, e: total + T.exp(e - most)
        )
        return T.exp(x.at(memory, index, 1) - most) / total

    return (View(site.sig.outputs[0], at),)


@defines(SoftmaxCodes)
def softmax_codes(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: SoftmaxCodes = site.op
    x = site.view()
    table = site.constants.add(site.array(1).astype(np.int64))
    axis = len(x.shape) - 1

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        lowest = x.type.quant.lowest
        most = _along(x, axis, memory, index, lowest, "int32", T.Max)
        total = _along(
            x, axis, memory, index, 0, "int64",
            lambda total, code: total + memory[table][most - cast(code, "int32")],
        )  # fmt: skip
        total = T.Bind(total * T.int64(op.denominator))
        e = memory[table][most - cast(x.at(memory, index, 1), "int32")]
        # All are positive, so that truncation is the floor.
        codes = T.truncdiv(e * T.int64(2 * op.numerator) + total, total * T.int64(2))
        codes = codes + T.int64(op.out.zero_point[0])
        return cast(clamp(codes, op.out.lowest, op.out.highest, "int64"), str(op.out.dtype))

    return (View(site.sig.outputs[0], at),)


@defines(ArgMax)
def argmax(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: ArgMax = site.op
    x = site.view()

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        own = list(index) if op.keepdims else [*index[: op.axis], 0, *index[op.axis :]]
        best, place = register(x.dtype), register("int64")

        def value(i: Expr) -> Expr:
            return x.at(memory, [i if k == op.axis else v for k, v in enumerate(own)], 1)

        put(best, value(T.int32(0)))
        put(place, T.int64(0))
        with T.serial(x.shape[op.axis]) as i:
            found = T.Bind(value(i))
            is_more = T.Bind(found > get(best))
            put(place, T.Select(is_more, cast(i, "int64"), get(place)))
            put(best, T.Select(is_more, found, get(best)))
        return T.Bind(get(place))

    return (View(site.sig.outputs[0], at),)


@defines(TopK)
def topk(site: Site) -> tuple[View, ...]:
    """See the op: the element of each rank is the one that so many others come before."""
    op: TopK = site.op
    x = site.view()
    count = x.shape[op.axis]

    def places(memory: Memory, index: Sequence[Expr]) -> Expr:
        """Return which element of the row has the rank that the index asks for."""

        def value(i: Expr) -> Expr:
            return x.at(memory, [i if k == op.axis else v for k, v in enumerate(index)], 1)

        def step(found: Expr, i: Expr) -> None:
            mine = T.Bind(value(i))

            def before(total: Expr, j: Expr) -> None:
                other = T.Bind(value(j))
                is_first = other > mine if op.largest else other < mine
                is_first = T.Or(is_first, T.And(T.EQ(other, mine), j < i))
                put(total, get(total) + T.Select(is_first, T.int32(1), T.int32(0)))

            rank = folded(0, "int32", 1, [count], before)
            put(found, T.Select(T.EQ(rank, index[op.axis]), i, get(found)))

        return folded(0, "int32", 1, [count], step)

    def values(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        place = places(memory, index)
        return x.at(memory, [place if k == op.axis else v for k, v in enumerate(index)], 1)

    def indices(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        return cast(places(memory, index), "int64")

    return View(site.sig.outputs[0], values), View(site.sig.outputs[1], indices)


# -- matrix products ------------------------------------------------------------------------------


def _accumulator(site: Site, terms: int) -> str:
    """Return the type in which a sum of products is exact."""
    out = site.sig.outputs[0].elem
    if not isinstance(out, QuantType):
        return "float32"
    most = reach(site.quant(0)) * reach(site.quant(1)) * terms
    return "int32" if most < 1 << 31 and out.bits <= INT32_BITS else "int64"


def _factor(site: Site, index: int, dtype: str) -> Callable[[Memory, Sequence[Expr], int], Expr]:
    """Return elements of an operand, codes less their zero point."""
    view, elem = site.view(index), site.sig.inputs[index].elem
    if isinstance(elem, QuantType) and elem.is_per_tensor:
        return lambda memory, place, lanes: centred(view, memory, place, lanes, dtype)
    return lambda memory, place, lanes: cast(view.at(memory, place, lanes), dtype, lanes)


def _started(site: Site, dtype: str) -> Callable[[Memory, Expr], Expr]:
    """Return the bias of a row; zero without."""
    if len(site.arrays) < 3:
        return lambda memory, row: constant(0, dtype)
    param = site.constants.add(site.array(2).astype(dtype))
    return lambda memory, row: memory[param][row]


def _centred_weights(site: Site) -> np.ndarray:
    """Return constant weights less their zero points."""
    elem, weights = site.sig.inputs[1].elem, site.array(1)
    return elem.centre(weights) if isinstance(elem, QuantType) else weights


@defines(Dense)
def dense(site: Site) -> tuple[View, ...]:
    """See the op."""
    weights = _centred_weights(site)
    dtype = _accumulator(site, weights.shape[1])
    table = site.constants.add(weights.astype(dtype))
    x, bias = _factor(site, 0, dtype), _started(site, dtype)
    out = str(site.sig.outputs[0].elem.dtype)

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        def step(total: Expr, k: Expr) -> None:
            weight = memory[table][index[-1] * weights.shape[1] + k]
            put(total, get(total) + x(memory, [*index[:-1], k], 1) * weight)

        total = folded(0, dtype, 1, [weights.shape[1]], step)
        return cast(total + bias(memory, index[-1]), out)

    return (View(site.sig.outputs[0], at),)


@defines(Conv)
def conv(site: Site) -> tuple[View, ...]:
    """See the op: for what neither `contraction` nor `depthwise` takes."""
    op: Conv = site.op
    weights = _centred_weights(site)
    num_out, kh_size, kw_size, num_in = weights.shape
    dtype = _accumulator(site, weights[0].size)
    table = site.constants.add(weights.astype(dtype))
    x, bias = _factor(site, 0, dtype), _started(site, dtype)
    _, height, width, _ = site.sig.inputs[0].shape
    out, per_group = str(site.sig.outputs[0].elem.dtype), num_out // op.groups

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        n, oh, ow, o = index

        def step(total: Expr, kh: Expr, kw: Expr, c: Expr) -> None:
            h = oh * op.strides[0] + kh * op.dilations[0] - op.pads[0]
            w = ow * op.strides[1] + kw * op.dilations[1] - op.pads[1]
            place = offset_of([o, kh, kw, c], weights.shape)
            with inside_only(op.pads, h, height, w, width):
                own = [n, within(h, height), within(w, width), o // per_group * num_in + c]
                put(total, get(total) + x(memory, own, 1) * memory[table][place])

        total = folded(0, dtype, 1, (kh_size, kw_size, num_in), step)
        return cast(total + bias(memory, o), out)

    return (View(site.sig.outputs[0], at),)


@defines(MatMul)
def matmul(site: Site) -> tuple[View, ...]:
    """See the op."""
    a, b = site.view(0), site.view(1)
    inner = a.shape[-1]
    rank = len(site.sig.outputs[0].shape)
    has_rows, has_columns = len(a.shape) > 1, len(b.shape) > 1

    def batch(view: View, index: Sequence[Expr], count: int) -> list[Expr]:
        shape = view.shape[: max(0, len(view.shape) - 2)]
        own = index[count - len(shape) : count]
        return [0 if extent == 1 else i for extent, i in zip(shape, own, strict=True)]

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        count = rank - has_rows - has_columns
        row = [index[count]] if has_rows else []
        column = [index[-1]] if has_columns else []

        def step(total: Expr, k: Expr) -> None:
            left = a.at(memory, [*batch(a, index, count), *row, k], 1)
            right = b.at(memory, [*batch(b, index, count), k, *column], 1)
            put(total, get(total) + left * right)

        return folded(0.0, "float32", 1, [inner], step)

    return (View(site.sig.outputs[0], at),)
