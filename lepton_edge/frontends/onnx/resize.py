"""Sizes and index maps of Resize and Upsample."""

from __future__ import annotations

import math

import numpy as np

from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.ir.types import Array

MAX_SIZE = 1 << 20
"""Largest size of a resized axis."""


def resize_sizes(node: NodeView, shape: tuple[int, ...]) -> tuple[list[int], list[float]]:
    """Return the output size and the scale of each axis.

    Source: ONNX Resize 19, with the sizes of keep_aspect_ratio_policy refused.
    """
    if node.attr_string("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.refuse("keep_aspect_ratio_policy is not supported", "give scales")
    scales, sizes = _given(node)
    axes = node.attr_ints("axes") or tuple(range(len(shape)))
    if len(axes) != len(sizes or scales or ()):
        raise node.wrong(f"{len(sizes or scales or ())} scales or sizes for {len(axes)} axes")
    out_sizes, out_scales = list(shape), [1.0] * len(shape)
    for index, raw in enumerate(axes):
        axis = node.normal_axis(raw, len(shape))
        if sizes:
            out_sizes[axis] = sizes[index]
            out_scales[axis] = sizes[index] / shape[axis]
        elif scales:
            scale = scales[index]
            if not (math.isfinite(scale) and scale > 0):
                raise node.wrong(f"the scale {scale} is not positive")
            out_scales[axis] = scale
            out_sizes[axis] = math.floor(shape[axis] * scale)
        is_resized = out_sizes[axis] != shape[axis] or out_scales[axis] != 1.0
        if is_resized and not 1 <= out_sizes[axis] <= MAX_SIZE:
            raise node.refuse(f"axis {axis} gets the size {out_sizes[axis]}")
    return out_sizes, out_scales


def _given(node: NodeView) -> tuple[list[float] | None, tuple[int, ...] | None]:
    if node.proto.op_type == "Upsample" and node.opset < 9:
        return list(node.attr_floats("scales") or ()), None
    index = 1 if node.proto.op_type == "Upsample" or node.opset < 11 else 2
    if index == 2 and node.has_input(3):
        return None, node.integers(3, "the sizes")
    if not node.has_input(index):
        raise node.wrong("has neither scales nor sizes")
    return [float(s) for s in node.array(index, "the scales").reshape(-1)], None


def nearest_indices(node: NodeView, old: int, new: int, scale: float) -> Array | None:
    """Return for each output position the input position that it copies; None: its own."""
    if scale == 1.0 and old == new:
        return None
    x = np.arange(new, dtype=np.float64)
    if node.opset < 11 or node.proto.op_type == "Upsample":
        return np.clip(np.floor(x / scale), 0, old - 1).astype(np.int64)
    mode = node.attr_string("coordinate_transformation_mode", "half_pixel")
    if mode == "asymmetric":
        at = x / scale
    elif mode in ("half_pixel", "tf_half_pixel_for_nn"):
        at = (x + 0.5) / scale - (0.5 if mode == "half_pixel" else 0.0)
    elif mode == "pytorch_half_pixel":
        at = (x + 0.5) / scale - 0.5 if new > 1 else np.zeros_like(x)
    elif mode == "align_corners":
        at = x * (old - 1) / (new - 1) if new > 1 else np.zeros_like(x)
    elif mode == "half_pixel_symmetric":
        adjustment = new / (scale * old)
        at = old / 2 * (1 - adjustment) + (x + 0.5) / scale - 0.5
    else:
        raise node.refuse(
            f"coordinate_transformation_mode {mode!r} is not supported",
            "use 'asymmetric' or 'half_pixel'",
        )
    rounding = node.attr_string("nearest_mode", "round_prefer_floor")
    if rounding == "floor":
        index = np.floor(at)
    elif rounding == "ceil":
        index = np.ceil(at)
    elif rounding == "round_prefer_ceil":
        index = np.floor(at + 0.5)
    elif rounding == "round_prefer_floor":
        index = np.ceil(at - 0.5)
    else:
        raise node.wrong(f"nearest_mode {rounding!r} is unknown")
    return np.clip(index, 0, old - 1).astype(np.int64)
