"""Tensor types: a shape and an element type (float, plain integer, or quantised)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lepton_edge.errors import RangeError

Array = npt.NDArray[Any]

MAX_BITS = 63
"""Widest integer held anywhere: one bit less than int64, so that differences never wrap."""


def storage_dtype(bits: int, signed: bool) -> np.dtype[Any]:
    """Return the smallest numpy integer type that holds ``bits`` bits."""
    for width in (8, 16, 32, 64):
        if bits <= width:
            return np.dtype(f"{'int' if signed else 'uint'}{width}")
    raise RangeError(f"{bits} bits do not fit a 64-bit integer")


@dataclass(frozen=True, slots=True)
class Float:
    """IEEE 754 binary32."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of stored values."""
        return np.dtype(np.float32)

    def __str__(self) -> str:
        return "f32"


@dataclass(frozen=True, slots=True)
class Int:
    """A plain integer without a scale: indices, counts, booleans (1 bit unsigned)."""

    bits: int = 64
    signed: bool = True

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of stored values."""
        return storage_dtype(self.bits, self.signed)

    def __str__(self) -> str:
        return f"{'i' if self.signed else 'u'}{self.bits}"


@dataclass(frozen=True, slots=True)
class QuantType:
    """Integer codes that stand for reals: ``real = scale * (step * code - zero_point)``.

    The step is 1, but for bipolar codes: 0 and 1 stand for -scale and +scale, so step 2 and zero
    point 1. Activations and weights have 1..16 bits; accumulators are the same type with more.

    Args:
        bits: width of a code, 1..63.
        signed: two's complement codes when true.
        scale: one positive finite scale, or one for each index along ``axis``.
        zero_point: one code that stands for 0.0, or one for each index along ``axis``.
        axis: None for per-tensor; else the axis that ``scale`` runs along (may be negative).
        narrow: the lowest signed code is not used (-127..127 in 8 bits).
        bipolar: one bit, the sign; no code stands for 0.0. See ``signs``.
    """

    bits: int
    signed: bool
    scale: tuple[float, ...]
    zero_point: tuple[int, ...] = (0,)
    axis: int | None = None
    narrow: bool = False
    bipolar: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise RangeError(f"a quantised type has 1..{MAX_BITS} bits, found {self.bits}")
        if not all(math.isfinite(s) and s > 0 for s in self.scale):
            raise RangeError("scales must be positive and finite")
        if len(self.zero_point) not in (1, len(self.scale)):
            raise RangeError(
                f"{len(self.zero_point)} zero points for {len(self.scale)} scales; wanted one each"
            )
        if self.axis is None and len(self.scale) != 1:
            raise RangeError(f"a per-tensor type has one scale, found {len(self.scale)}")
        if self.bipolar and (self.bits, self.signed, self.zero_point) != (1, False, (1,)):
            raise RangeError("bipolar codes are one unsigned bit around the zero point 1")

    @classmethod
    def signs(cls, scale: tuple[float, ...], axis: int | None = None) -> QuantType:
        """Return the bipolar type, whose codes 0 and 1 stand for -scale and +scale."""
        return cls(1, False, scale, (1,), axis, bipolar=True)

    @property
    def step(self) -> int:
        """Scales from one code to the next."""
        return 2 if self.bipolar else 1

    @property
    def lowest(self) -> int:
        """The lowest code."""
        if not self.signed:
            return 0
        return -(1 << (self.bits - 1)) + (1 if self.narrow else 0)

    @property
    def highest(self) -> int:
        """The highest code."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def num_codes(self) -> int:
        """How many codes there are."""
        return self.highest - self.lowest + 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type that codes are stored in."""
        return storage_dtype(self.bits, self.signed)

    @property
    def is_per_tensor(self) -> bool:
        """Whether one scale and one zero point serve the whole tensor."""
        return len(self.scale) == 1 and len(self.zero_point) == 1

    def scale_along(self, rank: int) -> Array:
        """Return the scales as a float64 array that broadcasts over a tensor of ``rank``."""
        return self._along(np.array(self.scale, np.float64), rank)

    def zero_along(self, rank: int) -> Array:
        """Return the zero points as an int64 array that broadcasts over a tensor of ``rank``."""
        return self._along(np.array(self.zero_point, np.int64), rank)

    def _along(self, values: Array, rank: int) -> Array:
        if values.size == 1 or self.axis is None:
            return values.reshape(())
        shape = [1] * rank
        shape[self.axis] = values.size
        return values.reshape(shape)

    def quantize(self, real: Array) -> Array:
        """Return the codes of ``real``: divide in binary32, round half to even, saturate.

        A bipolar code is 1 from 0.0 on, -0.0 included.
        Sources: ONNX QuantizeLinear, operator set 13; QONNX BipolarQuant.
        """
        if self.bipolar:
            return np.asarray(np.asarray(real, np.float32) >= 0, self.dtype)
        scale = self.scale_along(real.ndim).astype(np.float32)
        with np.errstate(over="ignore"):  # infinite quotients saturate like large ones
            codes = np.rint(np.asarray(real, np.float32) / scale) + self.zero_along(real.ndim)
        return np.asarray(np.clip(codes, self.lowest, self.highest), self.dtype)

    def dequantize(self, codes: Array) -> Array:
        """Return the float32 reals that ``codes`` stand for."""
        return np.asarray(self.centre(codes) * self.scale_along(codes.ndim), np.float32)

    def centre(self, codes: Array) -> Array:
        """Return ``step * code - zero_point``, the codes' reals in scales, as int64."""
        return np.asarray(codes.astype(np.int64) * self.step - self.zero_along(codes.ndim))

    def __str__(self) -> str:
        if self.bipolar:
            many = f"{len(self.scale)} scales@{self.axis}"
            return f"b1<{many if len(self.scale) > 1 else format(self.scale[0], '.6g')}>"
        kind = f"{'q' if self.signed else 'uq'}{self.bits}{'n' if self.narrow else ''}"
        zero = f",z={self.zero_point[0]}" if len(set(self.zero_point)) == 1 else ",z=..."
        if len(self.scale) == 1:
            return f"{kind}<{self.scale[0]:.6g}{zero if self.zero_point != (0,) else ''}>"
        return f"{kind}<{len(self.scale)} scales@{self.axis}{zero if any(self.zero_point) else ''}>"


Elem = Float | Int | QuantType


@dataclass(frozen=True, slots=True)
class TensorType:
    """A tensor's shape and element type. Activations are channels-last: N, H, W, C."""

    shape: tuple[int, ...]
    elem: Elem

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def num_elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def quant(self) -> QuantType:
        """The element type, which must be quantised."""
        if not isinstance(self.elem, QuantType):
            raise RangeError(f"wanted a quantised tensor, found {self}")
        return self.elem

    @property
    def is_quantized(self) -> bool:
        """Whether elements are codes of a QuantType."""
        return isinstance(self.elem, QuantType)

    @property
    def is_float(self) -> bool:
        """Whether elements are floats."""
        return isinstance(self.elem, Float)

    def with_elem(self, elem: Elem) -> TensorType:
        """Return the same shape with other elements."""
        return TensorType(self.shape, elem)

    def with_shape(self, shape: tuple[int, ...]) -> TensorType:
        """Return the same elements in another shape."""
        return TensorType(shape, self.elem)

    def __str__(self) -> str:
        return f"{self.elem}[{','.join(map(str, self.shape))}]"


def bits_for_range(lowest: int, highest: int) -> int:
    """Return the bits of the narrowest signed integer that holds ``lowest..highest``."""
    return (
        max(lowest if lowest >= 0 else ~lowest, highest if highest >= 0 else ~highest).bit_length()
        + 1
    )
