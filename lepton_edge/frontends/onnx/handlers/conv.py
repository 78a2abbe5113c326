"""Convolution and transposed convolution."""

from __future__ import annotations

from lepton_edge.frontends.onnx.layout import (
    Windows,
    crop,
    enter_channels_last,
    leave_channels_last,
    refuse_rank,
    weights_channels_last,
    window_attributes,
    wrap_channels_last,
)
from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.table import handles
from lepton_edge.frontends.onnx.values import Static
from lepton_edge.ir.ops.linear import Conv
from lepton_edge.ir.ops.shape import InsertZeros
from lepton_edge.ir.types import Array


def _weights(node: NodeView, rank: int) -> Static:
    if rank not in (3, 4):
        raise refuse_rank(node, rank)
    weights = node.constant(1, "the weights")
    if len(weights.shape) != rank:
        raise node.wrong(f"weights of shape {list(weights.shape)} for a {rank}-D input")
    if not weights.array.size:
        raise node.wrong(f"weights of shape {list(weights.shape)} are empty")
    given = node.attr_ints("kernel_shape")
    if given is not None and given != weights.shape[2:]:
        raise node.wrong(f"kernel_shape {list(given)}, but weights have {list(weights.shape[2:])}")
    return weights


def _bias(node: NodeView) -> list[str]:
    if not node.has_input(2):
        return []
    return [node.place(node.constant(2, "the bias"))]


def _groups(node: NodeView) -> int:
    groups = node.attr_int("group", 1)
    if groups < 1:
        raise node.wrong(f"group {groups} is not positive")
    return groups


@handles("Conv")
def _conv(node: NodeView) -> None:
    shape = node.type_at(0).shape
    weights = _weights(node, len(shape))
    window = window_attributes(node, shape, weights.shape[2:])
    op = Conv(window.strides, window.pads, window.dilations, _groups(node))
    wrap_channels_last(
        node, op, node.value(0), node.place(weights_channels_last(weights)), *_bias(node)
    )


@handles("ConvTranspose")
def _conv_transpose(node: NodeView) -> None:
    """Zeros between the pixels, then a convolution with the mirrored kernel.

    Source: V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 4.
    """
    shape = node.type_at(0).shape
    weights = _weights(node, len(shape))
    groups = _groups(node)
    if weights.shape[0] != shape[1] or shape[1] % groups:
        raise node.wrong(
            f"weights take {weights.shape[0]} channels in {groups} groups, the input has {shape[1]}"
        )
    window = window_attributes(node, shape, weights.shape[2:])
    pads = _transposed_pads(node, window, len(shape) - 2)
    x = enter_channels_last(node, node.value(0))
    if window.strides != (1, 1):
        x = node.emit(InsertZeros(window.strides), [x], "insert_zeros")
    for axis in (0, 1):
        before, after = max(0, -pads[axis]), max(0, -pads[axis + 2])
        x = crop(node, x, axis + 1, before, after, f"crop_{'hw'[axis]}")
    top, left, bottom, right = (max(0, p) for p in pads)
    op = Conv((1, 1), (top, left, bottom, right), window.dilations, groups)
    kernel = node.place(_mirrored(weights, groups))
    leave_channels_last(node, node.emit(op, [x, kernel, *_bias(node)]), len(shape))


def _mirrored(weights: Static, groups: int) -> Static:
    """Return [C,O/g,KH,KW] as the mirrored [O,KH,KW,C/g]."""
    c, rows = weights.shape[:2]
    spatial = weights.shape[2:] if len(weights.shape) == 4 else (1, weights.shape[2])

    def move(array: Array) -> Array:
        grouped = array.reshape(groups, c // groups, rows, *spatial)
        turned = grouped.transpose(0, 2, 3, 4, 1).reshape(groups * rows, *spatial, c // groups)
        return turned[:, ::-1, ::-1]

    return weights.moved(f"mirrored{groups}", move).scaled_by_row()


def _transposed_pads(node: NodeView, window: Windows, spatial: int) -> tuple[int, ...]:
    """Return the pads of the equivalent convolution; negative ones crop."""
    extra = node.attr_ints("output_padding") or (0,) * spatial
    wanted = node.attr_ints("output_shape")
    auto_pad = node.attr_string("auto_pad", "NOTSET") or "NOTSET"
    if len(extra) != spatial or min(extra) < 0:
        raise node.wrong(f"output_padding {list(extra)} for {spatial} spatial axes")
    if wanted is not None and len(wanted) not in (spatial, spatial + 2):
        raise node.wrong(f"output_shape {list(wanted)} for {spatial} spatial axes")
    begins, ends = [0, 0], [0, 0]
    for axis in (0, 1):
        index = axis - (2 - spatial)  # of this axis among the node's own
        more = extra[index] if index >= 0 else 0
        reach, stride, size = window.extent(axis), window.strides[axis], window.size[axis]
        before, after = window.pads[axis], window.pads[axis + 2]
        target = None
        if index >= 0 and wanted is not None:
            target = wanted[-spatial:][index]
        elif index >= 0 and auto_pad.startswith("SAME"):
            target = size * stride
        if target is not None:
            total = stride * (size - 1) + more + reach - target
            if total < 0:  # zeros at the end, as output_padding gives them
                more, total = more - total, 0
            before = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
            after = total - before
        begins[axis] = reach - 1 - before
        ends[axis] = reach - 1 - after + more
    return (*begins, *ends)
