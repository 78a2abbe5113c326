"""Parts of tensors by constant indices: slice, gather, pad, tile, resize."""

from __future__ import annotations

import numpy as np

from lepton_edge.frontends.onnx.layout import enter_channels_last, leave_channels_last
from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.resize import nearest_indices, resize_sizes
from lepton_edge.frontends.onnx.table import handles
from lepton_edge.ir.ops.shape import Gather, Pad, RepeatNearest, Reshape, Slice
from lepton_edge.ir.types import Array, QuantType

MAX_INDICES = 1 << 20
"""Most indices of a gather."""


@handles("Slice")
def _slice(node: NodeView) -> None:
    shape = node.type_at(0).shape
    if node.opset < 10:
        starts, ends = node.attr_ints("starts") or (), node.attr_ints("ends") or ()
        axes, steps = node.attr_ints("axes"), None
    else:
        starts, ends = node.integers(1, "starts"), node.integers(2, "ends")
        axes = node.integers(3, "axes") if node.has_input(3) else None
        steps = node.integers(4, "steps") if node.has_input(4) else None
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise node.wrong(f"starts {starts}, ends {ends}, axes {axes} and steps {steps}")
    ops = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = node.normal_axis(axis, len(shape))
        begin, stop, step = slice(start, end, step).indices(shape[axis])
        if len(range(begin, stop, step)) == 0:
            raise node.refuse(f"keeps nothing of axis {axis}, which has {shape[axis]} entries")
        if (begin, stop, step) != (0, shape[axis], 1):
            ops.append(Slice(axis, begin, stop, step))
    emit_chain(node, ops)


def emit_chain(node: NodeView, ops: list[Slice] | list[Gather]) -> None:
    """Apply one op after the other to input 0; the last gives the node's output."""
    value = node.value(0)
    if not ops:
        node.define(value)
        return
    for index, op in enumerate(ops[:-1]):
        value = node.emit(op, [value], f"axis{index}")
    node.result(ops[-1], [value])


def _require_few(node: NodeView, count: int) -> None:
    if count > MAX_INDICES:
        raise node.refuse(f"gathers {count} indices; at most {MAX_INDICES} are supported")


@handles("Gather")
def _gather(node: NodeView) -> None:
    shape = node.type_at(0).shape
    axis = node.axis("axis", 0, len(shape))
    indices = node.array(1, "the indices")
    _require_few(node, indices.size)
    if indices.dtype.kind not in "iu" or not indices.size:
        raise node.wrong(f"indices of {indices.dtype}{list(indices.shape)}")
    flat = indices.reshape(-1).astype(np.int64)
    flat = np.where(flat < 0, flat + shape[axis], flat)
    if flat.min() < 0 or flat.max() >= shape[axis]:
        raise node.wrong(f"an index is outside the {shape[axis]} entries of axis {axis}")
    op = Gather(axis, tuple(int(i) for i in flat))
    if indices.ndim == 1:
        node.result(op, [node.value(0)])
        return
    gathered = node.emit(op, [node.value(0)])
    target = (*shape[:axis], *indices.shape, *shape[axis + 1 :])
    node.result(Reshape(target), [gathered], "shape")


@handles("Pad")
def _pad(node: NodeView) -> None:
    type_ = node.type_at(0)
    rank = type_.rank
    mode = node.attr_string("mode", "constant")
    if node.opset < 11:
        pads = node.attr_ints("pads") or ()
        fill = node.attr_float("value", 0.0)
    else:
        pads = node.integers(1, "pads")
        given = node.array(2, "the value") if node.has_input(2) else np.zeros(1, np.float32)
        if given.size != 1:
            raise node.wrong(f"the value has shape {list(given.shape)}; wanted one number")
        fill = float(given.reshape(()))
    axes = node.integers(3, "axes") if node.has_input(3) else tuple(range(rank))
    if len(pads) != 2 * len(axes):
        raise node.wrong(f"pads {list(pads)} for {len(axes)} axes")
    before, after = [0] * rank, [0] * rank
    for index, axis in enumerate(axes):
        before[node.normal_axis(axis, rank)] = pads[index]
        after[node.normal_axis(axis, rank)] = pads[index + len(axes)]
    if mode != "constant":
        _pad_by_indices(node, mode, before, after)
        return
    if isinstance(type_.elem, QuantType):
        fill = type_.elem.scale[0] * (type_.elem.step * fill - type_.elem.zero_point[0])
    elif not type_.is_float:
        raise node.refuse(f"padding of {type_} is not supported")
    _pad_constant(node, before, after, fill)


def _pad_constant(node: NodeView, before: list[int], after: list[int], fill: float) -> None:
    if not np.isfinite(fill):
        raise node.refuse(f"pads with {fill}; wanted a finite number")
    value = node.value(0)
    shape = node.type_at(0).shape
    crops = []
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        if low < 0 or high < 0:
            begin, end = max(0, -low), shape[axis] - max(0, -high)
            if begin >= end:
                raise node.refuse(f"negative pads leave nothing of axis {axis}")
            crops.append(Slice(axis, begin, end))
    grow = Pad(tuple(max(0, b) for b in before), tuple(max(0, a) for a in after), fill)
    if not any((*grow.before, *grow.after)):
        emit_chain(node, crops)
        return
    for index, op in enumerate(crops):
        value = node.emit(op, [value], f"crop{index}")
    node.result(grow, [value])


def _pad_by_indices(node: NodeView, mode: str, before: list[int], after: list[int]) -> None:
    """Reflect, edge and wrap as a gather along each padded axis."""
    if mode not in ("reflect", "edge", "wrap"):
        raise node.wrong(f"mode {mode!r} is unknown")
    shape = node.type_at(0).shape
    ops = []
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        if low == high == 0:
            continue
        if min(low, high) < 0 or (mode == "reflect" and shape[axis] == 1):
            raise node.refuse(f"mode {mode!r} with pads {low}, {high} of axis {axis}")
        _require_few(node, low + high + shape[axis])
        indices = np.pad(np.arange(shape[axis]), (low, high), mode=mode)  # type: ignore[call-overload]
        ops.append(Gather(axis, tuple(int(i) for i in indices)))
    emit_chain(node, ops)


@handles("Tile")
def _tile(node: NodeView) -> None:
    shape = node.type_at(0).shape
    repeats = node.integers(1, "the repeats")
    if len(repeats) != len(shape) or min(repeats, default=1) < 1:
        raise node.wrong(f"repeats {list(repeats)} of the shape {list(shape)}")
    ops = []
    for axis, (size, count) in enumerate(zip(shape, repeats, strict=True)):
        if count > 1:
            _require_few(node, size * count)
            ops.append(Gather(axis, tuple(range(size)) * count))
    emit_chain(node, ops)


@handles("Resize", "Upsample")
def _resize(node: NodeView) -> None:
    """Nearest neighbour: repetition for whole factors, else a gather along each axis."""
    type_ = node.type_at(0)
    mode = node.attr_string("mode", "nearest")
    if mode != "nearest":
        raise node.refuse(
            f"mode {mode!r} is not supported; wanted 'nearest'",
            "use nearest-neighbour resizing, or a ConvTranspose with fixed bilinear weights",
        )
    sizes, scales = resize_sizes(node, type_.shape)
    maps = [
        nearest_indices(node, old, new, scale)
        for old, new, scale in zip(type_.shape, sizes, scales, strict=True)
    ]
    factors = [_factor(old, indices) for old, indices in zip(type_.shape, maps, strict=True)]
    if type_.rank in (3, 4) and factors[:2] == [1, 1] and all(factors):
        along = (1, factors[2]) if type_.rank == 3 else (factors[2], factors[3])
        if along == (1, 1):
            node.define(node.value(0))
            return
        x = enter_channels_last(node, node.value(0))
        leave_channels_last(node, node.emit(RepeatNearest(along), [x]), type_.rank)
        return
    ops = []
    for axis, (factor, indices) in enumerate(zip(factors, maps, strict=True)):
        if indices is not None and factor != 1:
            _require_few(node, len(indices))
            ops.append(Gather(axis, tuple(int(i) for i in indices)))
    emit_chain(node, ops)


def _factor(old: int, indices: Array | None) -> int:
    """Return how often each entry is repeated; 0 where the map is no plain repetition."""
    if indices is None:
        return 1
    factor, rest = divmod(len(indices), old)
    if rest or not factor or (indices != np.arange(len(indices)) // factor).any():
        return 0
    return factor
