"""Ops that move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tvm.script import tirx as T

from lepton_edge.backends.tvm.definitions.elementwise import broadcast
from lepton_edge.backends.tvm.site import Site, defines
from lepton_edge.backends.tvm.tir import Expr, Memory, constant, offset_of
from lepton_edge.backends.tvm.views import View
from lepton_edge.ir.ops import shape as sh
from lepton_edge.ir.types import QuantType


@defines(sh.Reshape)
def reshape(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, new = site.view(), site.sig.outputs[0]

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        return x.at(memory, _index_of(offset_of(index, new.shape), x.shape), lanes)

    keeps_rows = bool(x.shape) and new.shape[-1:] == x.shape[-1:]
    return (View(new, at, x.lanes if keeps_rows else 1),)


def _index_of(offset: Expr, shape: Sequence[int]) -> list[Expr]:
    """Return the index of the element at a row-major place."""
    index: list[Expr] = []
    for extent in reversed(shape[1:]):
        index.append(offset % extent)
        offset = offset // extent
    return [offset, *reversed(index)] if shape else []


@defines(sh.Transpose)
def transpose(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, perm = site.view(), site.op.perm

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        own: list[Expr] = [0] * len(perm)
        for i, axis in zip(index, perm, strict=True):
            own[axis] = i
        return x.at(memory, own, lanes)

    keeps_rows = perm[-1:] == (len(perm) - 1,)
    return (View(site.sig.outputs[0], at, x.lanes if keeps_rows else 1),)


@defines(sh.Concat)
def concat(site: Site) -> tuple[View, ...]:
    """See the op."""
    views, axis = [site.view(i) for i in range(len(site.views))], site.op.axis
    starts = np.cumsum([0, *(v.shape[axis] for v in views)])

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        chosen: Expr = None
        for view, start in reversed(list(zip(views, starts, strict=False))):
            place = within(index[axis] - int(start), view.shape[axis])
            own = [place if k == axis else i for k, i in enumerate(index)]
            value = T.Bind(view.at(memory, own, lanes))
            if chosen is None:
                chosen = value
            else:
                chosen = T.if_then_else(index[axis] < int(start) + view.shape[axis], value, chosen)
        return chosen

    is_last = axis == len(site.sig.outputs[0].shape) - 1
    return (View(site.sig.outputs[0], at, 1 if is_last else min(v.lanes for v in views)),)


@defines(sh.Slice)
def slice_(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, op = site.view(), site.op

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        own = [op.begin + op.step * i if k == op.axis else i for k, i in enumerate(index)]
        return x.at(memory, own, lanes)

    is_strided = op.axis == len(x.shape) - 1 and op.step != 1
    return (View(site.sig.outputs[0], at, 1 if is_strided else x.lanes),)


def within(index: Expr, extent: int) -> Expr:
    """Return an index that is never outside, though what lies there may not be wanted.

    Views may read as soon as they are asked, so they are asked for what there is.
    """
    return T.Max(T.Min(index, extent - 1), 0)


def _filled(
    site: Site, inside: Sequence[tuple[int, int]], steps: Sequence[int], fill: float
) -> tuple[View, ...]:
    """Return a view whose elements lie apart in a larger one, among constants.

    Args:
        site: the op.
        inside: for each axis where the first element lies, and behind the last.
        steps: for each axis from one element to the next.
        fill: what lies between.
    """
    x = site.view()
    dtype, outer = x.dtype, site.sig.outputs[0].shape

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        own: list[Expr] = []
        checks: list[Expr] = []
        axes = zip(index, x.shape, outer, inside, steps, strict=True)
        for i, extent, whole, (begin, end), step in axes:
            is_whole = begin == 0 and step == 1 and extent == whole
            own.append(i if is_whole else within((i - begin) // step, extent))
            if not is_whole:
                checks += [i >= begin, i < end]
                checks += [(i - begin) % step == 0] if step > 1 else []
        if not checks:
            return x.at(memory, own, lanes)
        is_inside = checks[0]
        for check in checks[1:]:
            is_inside = T.And(is_inside, check)
        value = T.Bind(x.at(memory, own, lanes))
        return T.if_then_else(is_inside, value, constant(fill, dtype, lanes))

    is_row = inside[-1] == (0, x.shape[-1]) and steps[-1] == 1
    same = site.sig.outputs[0].shape[-1] == x.shape[-1]
    return (View(site.sig.outputs[0], at, x.lanes if is_row and same else 1),)


@defines(sh.Pad)
def pad(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: sh.Pad = site.op
    x = site.sig.inputs[0]
    inside = [(b, b + extent) for b, extent in zip(op.before, x.shape, strict=True)]
    return _filled(site, inside, [1] * x.rank, op.fill(x))


@defines(sh.InsertZeros)
def insert_zeros(site: Site) -> tuple[View, ...]:
    """See the op."""
    x = site.sig.inputs[0]
    zero = x.elem.zero_point[0] if isinstance(x.elem, QuantType) else 0
    inside = [(0, extent) for extent in site.sig.outputs[0].shape]
    return _filled(site, inside, [1, *site.op.factors, 1], zero)


@defines(sh.RepeatNearest)
def repeat_nearest(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, (fh, fw) = site.view(), site.op.factors

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        n, h, w, c = index
        return x.at(memory, [n, h // fh, w // fw, c], lanes)

    return (View(site.sig.outputs[0], at, x.lanes),)


@defines(sh.Gather)
def gather(site: Site) -> tuple[View, ...]:
    """See the op."""
    x, op = site.view(), site.op
    table = site.constants.add(np.array(op.indices, np.int32))

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        own = [memory[table][i] if k == op.axis else i for k, i in enumerate(index)]
        return x.at(memory, own, lanes)

    return (View(site.sig.outputs[0], at, 1 if op.axis == len(x.shape) - 1 else x.lanes),)


@defines(sh.Broadcast)
def broadcast_to(site: Site) -> tuple[View, ...]:
    """See the op."""
    x = site.view()

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        return broadcast(x, memory, index, lanes)

    return (View(site.sig.outputs[0], at, x.lanes),)
