"""From the numbers of QuantizeLinear, DequantizeLinear and Quant to QuantTypes."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.ir.types import Array, QuantType

INTEGERS: dict[int, tuple[int, bool]] = {
    TensorProto.INT4: (4, True),
    TensorProto.UINT4: (4, False),
    TensorProto.INT8: (8, True),
    TensorProto.UINT8: (8, False),
    TensorProto.INT16: (16, True),
    TensorProto.UINT16: (16, False),
    TensorProto.INT32: (32, True),
    TensorProto.INT64: (64, True),
    TensorProto.UINT32: (32, False),
    TensorProto.BOOL: (1, False),
    **{
        getattr(TensorProto, name): (2, name == "INT2")
        for name in ("INT2", "UINT2")
        if hasattr(TensorProto, name)
    },
}
"""Bits and signedness of each integer element type."""

_BY_NAME = {
    "int2": (2, True), "uint2": (2, False), "int4": (4, True), "uint4": (4, False),
    "int8": (8, True), "uint8": (8, False), "int16": (16, True), "uint16": (16, False),
    "int32": (32, True),
}  # fmt: skip


def integer_kind(array: Array) -> tuple[int, bool] | None:
    """Return bits and signedness of an array of codes; None when it is no integer array."""
    return _BY_NAME.get(array.dtype.name)


def quant_of(
    scale: Array, zero_point: Array | None, bits: int, signed: bool, axis: int | None, where: str
) -> QuantType:
    """Return the type that scales and zero points describe.

    Args:
        scale: one, or one for each index along ``axis``.
        zero_point: as many, or None for zero.
        bits: width of a code.
        signed: two's complement codes.
        axis: the scaled axis, for more than one scale.
        where: the place for messages.

    Raises:
        ImportModelError: scales are not positive and finite, or sizes differ.
    """
    scales = np.asarray(scale).reshape(-1)
    zeros = np.zeros(1, np.int64) if zero_point is None else zero_point.reshape(-1).astype(np.int64)
    if scale.ndim > 1:
        raise UnsupportedError(
            f"scales of shape {list(scale.shape)} (blocks) are not supported; wanted one scale, "
            "or one for each channel",
            where=where,
            hint="quantise per tensor or per channel",
        )
    with np.errstate(over="ignore"):
        scales = scales.astype(np.float32)
    if not (np.isfinite(scales) & (scales > 0)).all() or not scales.size:
        raise ImportModelError("scales must be positive and finite", where=where)
    if zeros.size not in (1, scales.size):
        raise ImportModelError(
            f"has {zeros.size} zero points for {scales.size} scales", where=where
        )
    if zeros.size > 1 and (zeros == zeros[0]).all():
        zeros = zeros[:1]
    per_axis = scales.size > 1
    return QuantType(
        bits,
        signed,
        tuple(float(s) for s in scales),
        tuple(int(z) for z in zeros),
        axis if per_axis else None,
    )
