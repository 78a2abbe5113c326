"""Linear layers: convolution, dense, matrix product. Float, or codes to exact accumulators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lepton_edge.ir.op import Op, Signature, require, require_arity, require_zero
from lepton_edge.ir.types import Array, Elem, Float, QuantType, TensorType


def centred(codes: Array, type_: TensorType) -> Array:
    """Return ``step * code - zero_point`` as int64 for codes, and floats unchanged."""
    if not isinstance(type_.elem, QuantType):
        return codes
    return type_.elem.centre(codes)


def exact_matmul(x: Array, w: Array) -> Array:
    """Return ``x @ w`` exactly for integers, through the fastest BLAS that is exact.

    A sum of integer products is exact in binary32 below 2^24 and in binary64 below 2^53
    (IEEE 754-2019, 3.4), whatever the order of the additions.

    Args:
        x: integers or floats, [..., K].
        w: the same kind, [K, M].
    """
    if x.dtype.kind == "f":
        return x @ w
    if x.size == 0 or w.size == 0:
        return np.zeros((*x.shape[:-1], w.shape[-1]), np.int64)
    bound = int(np.abs(x).max()) * int(np.abs(w).sum(axis=0).max())
    if bound < 1 << 24:
        return (x.astype(np.float32) @ w.astype(np.float32)).astype(np.int64)
    if bound < 1 << 53:
        return (x.astype(np.float64) @ w.astype(np.float64)).astype(np.int64)
    return x @ w


def accumulator_type(x: QuantType, w: QuantType, bits: int) -> QuantType:
    """Return the type of sums of products of codes: the scales multiply, zero becomes zero.

    The product of two binary32 scales is exact in the binary64 that holds it.
    """
    require(x.is_per_tensor, "a quantised activation needs one scale for the whole tensor")
    scale = tuple(x.scale[0] * s for s in w.scale)
    return QuantType(bits, True, scale, axis=None if w.axis is None else -1)


def _result_elem(x: TensorType, w: TensorType, acc_bits: int, out_axis: int) -> Elem:
    if isinstance(x.elem, QuantType) and isinstance(w.elem, QuantType):
        require(
            w.elem.axis in (None, out_axis, out_axis - w.rank),
            f"weights quantised along axis {w.elem.axis}; wanted along the output axis {out_axis}",
        )
        return accumulator_type(x.elem, w.elem, acc_bits)
    require(x.is_float and w.is_float, f"cannot multiply {x} with {w}: one is quantised")
    return Float()


def _require_bias(inputs: Sequence[TensorType], num_rows: int) -> None:
    if len(inputs) == 3:
        bias = inputs[2]
        require(bias.shape == (num_rows,), f"bias is {bias}, wanted shape [{num_rows}]")
        require(
            bias.is_float == inputs[0].is_float,
            "bias must be float for a float layer and codes at the accumulator's scale otherwise",
        )


def _store(acc: Array, sig: Signature) -> Array:
    elem = sig.outputs[0].elem
    if isinstance(elem, QuantType) and acc.size:
        require(
            elem.lowest <= int(acc.min()) and int(acc.max()) <= elem.highest,
            f"an accumulator left the {elem.bits} bits planned for it: {acc.min()}..{acc.max()}",
        )
    return acc.astype(elem.dtype)


def windows(
    x: Array, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]
) -> Array:
    """Return the sliding windows of ``x`` as a view.

    Args:
        x: [N, H, W, C], padded already.
        kernel: height, width.
        strides: along H, W.
        dilations: along H, W.

    Returns:
        [N, H', W', KH, KW, C].
    """
    extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, extent, axis=(1, 2))
    view = view[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]
    return view.transpose(0, 1, 2, 4, 5, 3)


def spatial_extent(
    size: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilations: tuple[int, int],
) -> tuple[int, int]:
    """Return the output height and width (ONNX Conv, floor mode).

    Pads are top, left, bottom, right.
    """
    out = []
    for axis in (0, 1):
        padded = size[axis] + pads[axis] + pads[axis + 2]
        room = padded - (kernel[axis] - 1) * dilations[axis] - 1
        require(
            room >= 0,
            f"window {kernel} with dilations {dilations} is larger than the padded input "
            f"of {padded} along axis {'HW'[axis]}",
        )
        out.append(room // strides[axis] + 1)
    return out[0], out[1]


def require_positive(**values: tuple[int, ...]) -> None:
    """Check that every entry of the named attributes is at least 1."""
    for name, entries in values.items():
        require(all(v >= 1 for v in entries), f"{name} must be positive, found {entries}")


@dataclass(frozen=True)
class Conv(Op):
    """2-D convolution. x [N,H,W,C], w [O,KH,KW,C/groups], bias [O] → [N,H',W',O].

    On codes: exact sums of ``(x - zx) * (w - zw)``, plus the bias, an integer at the
    accumulator's scale; bipolar codes count as -1 and +1. Padding stands for real zero, which
    bipolar codes do not have.

    Args:
        strides: along H, W.
        pads: top, left, bottom, right.
        dilations: along H, W.
        groups: number of channel groups; C for a depthwise layer.
        acc_bits: width of the accumulator on codes.
    """

    name: ClassVar[str] = "conv"
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    acc_bits: int = 32

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 2, 3)
        x, w = inputs[0], inputs[1]
        require(x.rank == 4 and w.rank == 4, f"wanted 4-D input and weights, found {x} and {w}")
        require_positive(strides=self.strides, dilations=self.dilations, groups=(self.groups,))
        require(min(self.pads) >= 0, f"pads must not be negative, found {self.pads}")
        if any(self.pads):
            require_zero(x)
        out_channels, kh, kw, in_channels = w.shape
        require(
            in_channels * self.groups == x.shape[3] and out_channels % self.groups == 0,
            f"weights take {in_channels} channels in each of {self.groups} groups, "
            f"the input has {x.shape[3]} channels",
        )
        _require_bias(inputs, out_channels)
        height, width = spatial_extent(
            (x.shape[1], x.shape[2]), (kh, kw), self.strides, self.pads, self.dilations
        )
        elem = _result_elem(x, w, self.acc_bits, 0)
        return (TensorType((x.shape[0], height, width, out_channels), elem),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        x = centred(arrays[0], sig.inputs[0])
        w = centred(arrays[1], sig.inputs[1])
        top, left, bottom, right = self.pads
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        out_channels, kh, kw, _ = w.shape
        patches = windows(x, (kh, kw), self.strides, self.dilations)
        if self.groups == x.shape[3] == out_channels:
            acc = np.zeros((*patches.shape[:3], out_channels), x.dtype)
            for i in range(kh):
                for j in range(kw):
                    acc += patches[:, :, :, i, j] * w[:, i, j, 0]
        else:
            acc = np.concatenate(
                [
                    exact_matmul(p.reshape(*p.shape[:3], -1), g.reshape(g.shape[0], -1).T)
                    for p, g in zip(
                        np.split(patches, self.groups, axis=5),
                        np.split(w, self.groups, axis=0),
                        strict=True,
                    )
                ],
                axis=-1,
            )
        if len(arrays) == 3:
            acc = acc + arrays[2]
        return (_store(acc, sig),)

    def macs(self, sig: Signature) -> int:
        """See Op."""
        _, height, width, _ = sig.outputs[0].shape
        return height * width * sig.inputs[1].num_elements


@dataclass(frozen=True)
class Dense(Op):
    """Matrix-vector product with constant weights. x [...,K], w [M,K], bias [M] → [...,M].

    On codes: exact sums as for Conv.

    Args:
        acc_bits: width of the accumulator on codes.
    """

    name: ClassVar[str] = "dense"
    acc_bits: int = 32

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 2, 3)
        x, w = inputs[0], inputs[1]
        require(w.rank == 2 and x.rank >= 1, f"wanted weights [M,K], found {x} and {w}")
        require(
            x.shape[-1] == w.shape[1], f"the input has {x.shape[-1]} columns, weights {w.shape[1]}"
        )
        _require_bias(inputs, w.shape[0])
        elem = _result_elem(x, w, self.acc_bits, 0)
        return (TensorType((*x.shape[:-1], w.shape[0]), elem),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        acc = exact_matmul(centred(arrays[0], sig.inputs[0]), centred(arrays[1], sig.inputs[1]).T)
        if len(arrays) == 3:
            acc = acc + arrays[2]
        return (_store(acc, sig),)

    def macs(self, sig: Signature) -> int:
        """See Op."""
        return sig.outputs[0].num_elements * sig.inputs[1].shape[1]


@dataclass(frozen=True)
class MatMul(Op):
    """Matrix product of two computed tensors with numpy's broadcasting. Float only."""

    name: ClassVar[str] = "matmul"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 2)
        a, b = inputs
        require(a.is_float and b.is_float, f"wanted float tensors, found {a} and {b}")
        require(a.rank >= 1 and b.rank >= 1, "wanted at least one axis")
        inner = b.shape[-2] if b.rank > 1 else b.shape[0]
        require(a.shape[-1] == inner, f"cannot multiply shapes {a.shape} and {b.shape}")
        try:
            batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            require(False, f"cannot broadcast shapes {a.shape} and {b.shape}")
        rows = a.shape[-2:-1] if a.rank > 1 else ()
        columns = b.shape[-1:] if b.rank > 1 else ()
        return (TensorType((*batch, *rows, *columns), Float()),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        return (np.matmul(arrays[0], arrays[1]),)

    def macs(self, sig: Signature) -> int:
        """See Op."""
        return sig.outputs[0].num_elements * sig.inputs[0].shape[-1]
