"""Between the channels-first tensors of ONNX and the channels-last tensors of the graph."""

from __future__ import annotations

from dataclasses import dataclass

from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.values import Static
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops.shape import Reshape, Slice, Transpose


def enter_channels_last(node: NodeView, value: str, role: str = "nhwc") -> str:
    """Return [N,C,H,W] as [N,H,W,C], and [N,C,L] as [N,1,L,C]."""
    type_ = node.type_of(value)
    if type_.rank == 4:
        return node.emit(Transpose((0, 2, 3, 1)), [value], role)
    if type_.rank == 3:
        turned = node.emit(Transpose((0, 2, 1)), [value], "nlc")
        n, c, length = type_.shape
        return node.emit(Reshape((n, 1, length, c)), [turned], role)
    raise refuse_rank(node, type_.rank)


def leave_channels_last(node: NodeView, value: str, rank: int) -> None:
    """Let [N,H,W,C] or [N,1,L,C] be the node's output, channels first, of ``rank``."""
    if rank == 4:
        node.result(Transpose((0, 3, 1, 2)), [value], "nchw")
        return
    n, _, length, c = node.type_of(value).shape
    flat = node.emit(Reshape((n, length, c)), [value], "nlc_out")
    node.result(Transpose((0, 2, 1)), [flat], "ncl")


def wrap_channels_last(node: NodeView, op: Op, value: str, *more: str) -> None:
    """Emit ``op`` on [N,C,H,W] or [N,C,L] and let its result be the node's output."""
    rank = node.type_of(value).rank
    inside = enter_channels_last(node, value)
    leave_channels_last(node, node.emit(op, [inside, *more]), rank)


def refuse_rank(node: NodeView, rank: int) -> Exception:
    """Return the refusal of volumes and of tensors without spatial axes."""
    return node.refuse(
        f"the input has {max(rank - 2, 0)} spatial axes; wanted 1 (N,C,L) or 2 (N,C,H,W)",
        "3-D convolution and pooling are not supported" if rank == 5 else "",
    )


def weights_channels_last(weights: Static) -> Static:
    """Return [O,C,KH,KW] or [O,C,K] as [O,KH,KW,C], the scales of codes moved along."""
    if len(weights.shape) == 3:
        o, c, k = weights.shape
        weights = weights.reshaped(o, c, 1, k)
    return weights.transposed(0, 2, 3, 1).scaled_by_row()


@dataclass(frozen=True)
class Windows:
    """The window attributes of a convolution or pool, for two axes.

    Args:
        size: of the input, H, W.
        kernel: height, width.
        strides: along H, W.
        dilations: along H, W.
        pads: top, left, bottom, right.
    """

    size: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]

    def extent(self, axis: int) -> int:
        """Return how far a window reaches along an axis."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1


def window_attributes(node: NodeView, shape: tuple[int, ...], kernel: tuple[int, ...]) -> Windows:
    """Read strides, dilations, pads and auto_pad of a node.

    Args:
        node: with the attributes.
        shape: of the input, channels first.
        kernel: sizes along the spatial axes.
    """
    spatial = len(shape) - 2
    if spatial not in (1, 2):
        raise refuse_rank(node, len(shape))
    if len(kernel) != spatial or min(kernel) < 1:
        raise node.wrong(f"kernel_shape {list(kernel)} for {spatial} spatial axes")
    strides = _entries(node, "strides", spatial, 1)
    dilations = _entries(node, "dilations", spatial, 1)
    pads = _entries(node, "pads", 2 * spatial, 0)
    if min((*strides, *dilations)) < 1:
        raise node.wrong(
            f"strides {list(strides)} and dilations {list(dilations)} must be positive"
        )
    if min(pads) < 0:
        raise node.refuse(f"negative pads {list(pads)} are not supported", "slice before the node")
    begins, ends = list(pads[:spatial]), list(pads[spatial:])
    auto_pad = node.attr_string("auto_pad", "NOTSET") or "NOTSET"
    if auto_pad not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise node.wrong(f"auto_pad {auto_pad!r} is unknown")
    if auto_pad != "NOTSET":
        begins, ends = [0] * spatial, [0] * spatial
    if auto_pad.startswith("SAME"):
        for i, size in enumerate(shape[2:]):
            reach = (kernel[i] - 1) * dilations[i] + 1
            total = max(0, (-(-size // strides[i]) - 1) * strides[i] + reach - size)
            begins[i] = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
            ends[i] = total - begins[i]
    if spatial == 1:
        return Windows(
            (1, shape[2]),
            (1, kernel[0]),
            (1, strides[0]),
            (1, dilations[0]),
            (0, begins[0], 0, ends[0]),
        )
    return Windows(
        (shape[2], shape[3]),
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (begins[0], begins[1], ends[0], ends[1]),
    )


def _entries(node: NodeView, key: str, count: int, default: int) -> tuple[int, ...]:
    given = node.attr_ints(key)
    if given is None:
        return (default,) * count
    if len(given) != count:
        raise node.wrong(f"{key} {list(given)} has {len(given)} entries; wanted {count}")
    if max(given, default=0) > 1 << 31:
        raise node.wrong(f"{key} {list(given)} is too large")
    return given


def crop(node: NodeView, value: str, axis: int, begin: int, end: int, role: str) -> str:
    """Return ``value`` without ``begin`` entries at the start and ``end`` at the end of an axis."""
    if begin == end == 0:
        return value
    size = node.type_of(value).shape[axis]
    return node.emit(Slice(axis, begin, size - end), [value], role)
