"""Changes of shape and order: reshape, transpose, concat, split, expand; shapes as values."""

from __future__ import annotations

import math

import numpy as np
from onnx import TensorProto

from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.table import handles
from lepton_edge.ir.ops.quantized import Dequantize
from lepton_edge.ir.ops.shape import Broadcast, Concat, Reshape, Slice, Transpose

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


@handles("Constant")
def _constant(node: NodeView) -> None:
    array = node.attr_tensor("value")
    if array is None:
        floats, ints = node.attr_floats("value_floats"), node.attr_ints("value_ints")
        if floats is not None:
            array = np.array(floats, np.float32)
        elif ints is not None:
            array = np.array(ints, np.int64)
        elif node.has_attribute("value_float"):
            array = np.array(node.attr_float("value_float", 0.0), np.float32)
        elif node.has_attribute("value_int"):
            array = np.array(node.attr_int("value_int", 0), np.int64)
        else:
            found = ", ".join(a.name for a in node.proto.attribute) or "nothing"
            raise node.refuse(f"holds {found}; wanted a tensor of numbers")
    node.define_array(array)


@handles("Identity", "Dropout")
def _identity(node: NodeView) -> None:
    """Dropout does nothing at inference."""
    if node.proto.op_type == "Dropout":
        training = node.static(2)
        if node.has_input(2) and (training is None or training.array.any()):
            raise node.refuse("training_mode is not supported", "export in evaluation mode")
        node.refuse_output(1, "mask")
    static = node.static(0)
    node.define(static if static is not None else node.value(0))


@handles("Shape")
def _shape(node: NodeView) -> None:
    shape = node.type_at(0).shape
    start, end = node.attr_int("start", 0), node.attr_int("end", len(shape))
    node.define_array(np.array(shape[slice(start, end)], np.int64))


@handles("Size")
def _size(node: NodeView) -> None:
    node.define_array(np.array(node.type_at(0).num_elements, np.int64))


@handles("Reshape")
def _reshape(node: NodeView) -> None:
    shape = node.type_at(0).shape
    wanted = node.integers(1, "the shape") if node.opset >= 5 else node.attr_ints("shape") or ()
    keep_zero = bool(node.attr_int("allowzero", 0))
    target = [
        shape[i] if s == 0 and not keep_zero and i < len(shape) else s for i, s in enumerate(wanted)
    ]
    if 0 in target:
        raise node.refuse(f"gives the shape {target} without elements, which is not supported")
    if target.count(-1) > 1 or any(s < -1 for s in target):
        raise node.wrong(f"cannot reshape {list(shape)} to {list(wanted)}")
    if -1 in target:
        known = -math.prod(target)
        target[target.index(-1)] = math.prod(shape) // known
    node.result(Reshape(tuple(target)), [node.value(0)])


@handles("Flatten")
def _flatten(node: NodeView) -> None:
    shape = node.type_at(0).shape
    axis = node.attr_int("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise node.wrong(f"axis {axis} of a {len(shape)}-D tensor")
    axis = axis % len(shape) if axis < 0 else axis
    flat = (math.prod(shape[:axis]), math.prod(shape[axis:]))
    node.result(Reshape(flat), [node.value(0)])


@handles("Transpose")
def _transpose(node: NodeView) -> None:
    rank = node.type_at(0).rank
    perm = node.attr_ints("perm") or tuple(reversed(range(rank)))
    node.result(Transpose(perm), [node.value(0)])


def optional_axes(node: NodeView, since: int) -> tuple[int, ...] | None:
    """Return the axes, an attribute before operator set ``since`` and input 1 from there."""
    if node.opset < since:
        return node.attr_ints("axes")
    return node.integers(1, "axes") if node.has_input(1) else None


@handles("Squeeze")
def _squeeze(node: NodeView) -> None:
    shape = node.type_at(0).shape
    axes = optional_axes(node, 13)
    if axes is None:
        axes = tuple(i for i, s in enumerate(shape) if s == 1)
    dropped = {node.normal_axis(a, len(shape)) for a in axes}
    if any(shape[a] != 1 for a in dropped):
        raise node.wrong(f"cannot squeeze axes {sorted(dropped)} of the shape {list(shape)}")
    kept = tuple(s for i, s in enumerate(shape) if i not in dropped)
    node.result(Reshape(kept), [node.value(0)])


@handles("Unsqueeze")
def _unsqueeze(node: NodeView) -> None:
    shape = node.type_at(0).shape
    axes = optional_axes(node, 13)
    if axes is None:
        raise node.wrong("has no axes")
    rank = len(shape) + len(axes)
    added = {node.normal_axis(a, rank) for a in axes}
    if len(added) != len(axes):
        raise node.wrong(f"axes {list(axes)} name one axis twice")
    rest = iter(shape)
    target = tuple(1 if i in added else next(rest) for i in range(rank))
    node.result(Reshape(target), [node.value(0)])


@handles("Concat")
def _concat(node: NodeView) -> None:
    axis = node.axis("axis", 1, node.type_at(0).rank)
    node.result(Concat(axis), [node.value(i) for i in range(node.num_inputs)])


@handles("Split")
def _split(node: NodeView) -> None:
    shape = node.type_at(0).shape
    axis = node.axis("axis", 0, len(shape))
    count = len(node.outputs)
    if node.opset < 13:
        sizes = node.attr_ints("split")
    else:
        sizes = node.integers(1, "the sizes") if node.has_input(1) else None
    if sizes is None:
        each = -(-shape[axis] // count)
        sizes = (*(each,) * (count - 1), shape[axis] - each * (count - 1))
    if 0 in sizes:
        raise node.refuse(
            f"splits off parts of the sizes {list(sizes)}; empty ones are not supported"
        )
    if sum(sizes) != shape[axis] or len(sizes) != count or min(sizes) < 0:
        raise node.wrong(f"cannot split {shape[axis]} entries into {list(sizes)}")
    begin = 0
    for index, size in enumerate(sizes):
        output = node.outputs[index]
        if output:
            op = Slice(axis, begin, begin + size)
            role = f"part{index}" if count > 1 else ""
            name = f"{node.name}/{role}" if role else node.name
            node.importer.emit_result(op, [node.value(0)], name, node.name, [output], 1)
        begin += size


@handles("Expand")
def _expand(node: NodeView) -> None:
    shape = node.type_at(0).shape
    wanted = node.integers(1, "the shape")
    try:
        target = tuple(int(s) for s in np.broadcast_shapes(shape, wanted))
    except ValueError:
        raise node.wrong(f"cannot expand {list(shape)} to {list(wanted)}") from None
    if target == shape:
        node.define(node.value(0))
    else:
        value = node.value(0)
        if len(shape) != len(target):
            value = node.emit(
                Reshape((*(1,) * (len(target) - len(shape)), *shape)), [value], "rank"
            )
        node.result(Broadcast(target), [value])


@handles("DepthToSpace", "SpaceToDepth")
def _depth_to_space(node: NodeView) -> None:
    """Reshape, transpose, reshape. Source: ONNX DepthToSpace 13, SpaceToDepth 13."""
    shape = node.type_at(0).shape
    size = node.attr_int("blocksize", 0)
    mode = node.attr_string("mode", "DCR")
    if len(shape) != 4 or size < 1 or mode not in ("DCR", "CRD"):
        raise node.wrong(f"mode {mode!r} with blocks of {size} for the shape {list(shape)}")
    n, c, h, w = shape
    if node.proto.op_type == "SpaceToDepth":
        if h % size or w % size:
            raise node.wrong(f"blocks of {size} do not fill {h} x {w}")
        split = (n, c, h // size, size, w // size, size)
        perm = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
        target = (n, c * size * size, h // size, w // size)
    else:
        if c % (size * size):
            raise node.wrong(f"blocks of {size} x {size} do not divide {c} channels")
        rest = c // (size * size)
        split = (n, size, size, rest, h, w) if mode == "DCR" else (n, rest, size, size, h, w)
        perm = (0, 3, 4, 1, 5, 2) if mode == "DCR" else (0, 1, 4, 2, 5, 3)
        target = (n, rest, h * size, w * size)
    x = node.emit(Reshape(split), [node.value(0)], "split")
    x = node.emit(Transpose(perm), [x], "shuffle")
    node.result(Reshape(target), [x])


@handles("Cast")
def _cast(node: NodeView) -> None:
    """Between floats nothing happens; codes of scale 1 become floats."""
    target = node.attr_int("to", 0)
    _cast_to(node, target in _FLOATS, f"the ONNX type {target}")


@handles("CastLike")
def _cast_like(node: NodeView) -> None:
    """A cast to the type of the second input, whose values do not matter."""
    like = node.static(1)
    if like is not None:
        is_float = like.array.dtype.name in ("float16", "bfloat16", "float32", "float64")
    else:
        is_float = node.type_at(1).is_float
    _cast_to(node, is_float, f"the type of {node.proto.input[1]!r}")


def _cast_to(node: NodeView, to_float: bool, target: str) -> None:
    static = node.static(0)
    if static is not None and to_float:
        node.define_array(static.real.astype(np.float32))
        return
    type_ = node.type_at(0)
    if type_.is_float and to_float:
        node.define(node.value(0))
    elif type_.is_quantized and to_float and type_.quant.scale == (1.0,):
        node.result(Dequantize(), [node.value(0)])
    else:
        raise node.refuse(
            f"a cast of {type_} to {target} at run time is not supported",
            "only casts between floats, and of integer inputs to float, can be compiled",
        )
