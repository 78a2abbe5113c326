"""Pooling over windows and over whole images."""

from __future__ import annotations

from dataclasses import replace

from lepton_edge.frontends.onnx.layout import (
    Windows,
    refuse_rank,
    window_attributes,
    wrap_channels_last,
)
from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.table import handles
from lepton_edge.ir.ops.pool import AveragePool, MaxPool


def _pool_windows(node: NodeView) -> Windows:
    shape = node.type_at(0).shape
    kernel = node.attr_ints("kernel_shape")
    if kernel is None:
        raise node.wrong("has no kernel_shape")
    return window_attributes(node, shape, kernel)


def _ceil_pads(node: NodeView, window: Windows) -> Windows:
    """Return the window with pads at the end that give the outputs of ceil_mode.

    Source: ONNX MaxPool 22: a last window that would start in the padding at the end is left out.
    """
    if not node.attr_int("ceil_mode", 0) or node.attr_string("auto_pad", "NOTSET") != "NOTSET":
        return window
    pads = list(window.pads)
    for axis in (0, 1):
        size, stride = window.size[axis], window.strides[axis]
        padded = size + pads[axis] + pads[axis + 2]
        steps = -(-(padded - window.extent(axis)) // stride)
        if steps * stride >= size + pads[axis]:
            steps -= 1
        missing = steps * stride + window.extent(axis) - padded
        pads[axis + 2] += max(0, missing)
    return replace(window, pads=(pads[0], pads[1], pads[2], pads[3]))


@handles("MaxPool")
def _max_pool(node: NodeView) -> None:
    node.refuse_output(1, "Indices")
    window = _ceil_pads(node, _pool_windows(node))
    op = MaxPool(window.kernel, window.strides, window.pads, window.dilations)
    wrap_channels_last(node, op, node.value(0))


@handles("AveragePool")
def _average_pool(node: NodeView) -> None:
    plain = _pool_windows(node)
    window = _ceil_pads(node, plain)
    counts_pads = bool(node.attr_int("count_include_pad", 0)) and any(plain.pads)
    if counts_pads and window.pads != plain.pads:
        raise node.refuse(
            "ceil_mode=1 together with count_include_pad=1 and pads averages over windows of "
            "different sizes, which is not supported",
            "set ceil_mode=0 or count_include_pad=0",
        )
    op = AveragePool(window.kernel, window.strides, window.pads, window.dilations, counts_pads)
    wrap_channels_last(node, op, node.value(0))


@handles("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(node: NodeView) -> None:
    shape = node.type_at(0).shape
    if len(shape) not in (3, 4):
        raise refuse_rank(node, len(shape))
    kernel = (shape[2], shape[3]) if len(shape) == 4 else (1, shape[2])
    pool = AveragePool if node.proto.op_type == "GlobalAveragePool" else MaxPool
    wrap_channels_last(node, pool(kernel, kernel), node.value(0))


@handles("LpPool", "GlobalLpPool", "MaxUnpool", "MaxRoiPool")
def _refused_pool(node: NodeView) -> None:
    raise node.refuse(
        f"{node.proto.op_type} is not supported", "use MaxPool or AveragePool in the model"
    )
