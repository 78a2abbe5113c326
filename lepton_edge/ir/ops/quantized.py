"""Exact integer ops: the boundary to reals, requantisation, tables, sums and products of codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

import numpy as np

from lepton_edge.ir.op import Op, Signature, require, require_arity
from lepton_edge.ir.ops.linear import centred
from lepton_edge.ir.types import Array, Float, QuantType, TensorType

_BYTE = QuantType(8, True, (1.0,))


@dataclass(frozen=True)
class Quantize(Op):
    """Reals to codes: ``clamp(round_half_even(x / scale) + zero_point)`` in binary32.

    Bipolar codes are ``x >= 0``.
    """

    name: ClassVar[str] = "quantize"
    out: QuantType = field(default=_BYTE)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(x.is_float, f"wanted a float input, found {x}")
        _require_axis(self.out, x)
        return (x.with_elem(self.out),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        return (self.out.quantize(arrays[0]),)


def _require_axis(quant: QuantType, x: TensorType) -> None:
    if quant.axis is not None:
        require(
            -x.rank <= quant.axis < x.rank and x.shape[quant.axis] == len(quant.scale),
            f"{len(quant.scale)} scales along axis {quant.axis} of shape {x.shape}",
        )


@dataclass(frozen=True)
class Dequantize(Op):
    """Codes to reals: ``scale * (step * code - zero_point)``, rounded to binary32."""

    name: ClassVar[str] = "dequantize"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(x.is_quantized, f"wanted codes, found {x}")
        _require_axis(x.quant, x)
        return (x.with_elem(Float()),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        return (sig.inputs[0].quant.dequantize(arrays[0]),)


class Rounding(Enum):
    """What a requantisation does with the bits that it shifts out."""

    FLOOR = "floor"
    HALF_EVEN = "half_even"


def _per_channel(params: TensorType, x: TensorType, what: str) -> None:
    require(
        params.shape in ((1,), (x.shape[-1],)),
        f"{what} has shape {params.shape}; wanted one entry, or one for each of the "
        f"{x.shape[-1]} channels",
    )


@dataclass(frozen=True)
class Requantize(Op):
    """Integer requantisation: ``clamp((multiplier * x + addend) >> shift)`` for each channel.

    Inputs: x [...,C], multiplier [C] or [1], addend [C] or [1] (both plain integers).

    Args:
        out: the type of the result.
        shift: bits shifted out, 0..62.
        lowest: the lowest code given; at least ``out.lowest``.
        highest: the highest code given; at most ``out.highest``.
        rounding: FLOOR (a rounding half is part of the addend) or HALF_EVEN.
    """

    name: ClassVar[str] = "requantize"
    out: QuantType = field(default=_BYTE)
    shift: int = 0
    lowest: int = -128
    highest: int = 127
    rounding: Rounding = Rounding.FLOOR

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 3)
        x, multiplier, addend = inputs
        require(x.is_quantized, f"wanted accumulators, found {x}")
        _per_channel(multiplier, x, "multiplier")
        _per_channel(addend, x, "addend")
        require(0 <= self.shift <= 62, f"shift {self.shift} is not in 0..62")
        require(
            self.out.lowest <= self.lowest <= self.highest <= self.out.highest,
            f"clamp {self.lowest}..{self.highest} is not within {self.out}",
        )
        return (x.with_elem(self.out),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        x, multiplier, addend = (a.astype(np.int64) for a in arrays)
        total = multiplier * x + addend
        codes = total >> self.shift
        if self.rounding is Rounding.HALF_EVEN and self.shift:
            rest = total - (codes << self.shift)
            half = np.int64(1) << (self.shift - 1)
            codes = codes + ((rest > half) | ((rest == half) & (codes & 1 == 1)))
        return (np.clip(codes, self.lowest, self.highest).astype(self.out.dtype),)


@dataclass(frozen=True)
class Threshold(Op):
    """Requantisation by a sorted table: ``lowest + number of thresholds <= sign * x``.

    Inputs: x [...,C], thresholds [C or 1, levels] ascending along levels, sign [C or 1] of +-1.

    Args:
        out: the type of the result.
        lowest: the code below all thresholds.
    """

    name: ClassVar[str] = "threshold"
    out: QuantType = field(default=_BYTE)
    lowest: int = -128

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 3)
        x, thresholds, sign = inputs
        require(x.is_quantized, f"wanted accumulators, found {x}")
        require(thresholds.rank == 2, f"wanted thresholds [C,levels], found {thresholds}")
        _per_channel(thresholds.with_shape(thresholds.shape[:1]), x, "thresholds")
        _per_channel(sign, x, "sign")
        highest = self.lowest + thresholds.shape[1]
        require(
            self.out.lowest <= self.lowest and highest <= self.out.highest,
            f"{thresholds.shape[1]} thresholds from {self.lowest} leave {self.out}",
        )
        return (x.with_elem(self.out),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        x, thresholds, sign = (a.astype(np.int64) for a in arrays)
        flat = (x * sign).reshape(-1, x.shape[-1])
        codes = np.empty_like(flat)
        for channel in range(flat.shape[1]):
            row = thresholds[channel if len(thresholds) > 1 else 0]
            codes[:, channel] = np.searchsorted(row, flat[:, channel], side="right")
        return ((codes + self.lowest).reshape(x.shape).astype(self.out.dtype),)


@dataclass(frozen=True)
class Lookup(Op):
    """A table over codes: ``table[channel, x - lowest code of x]``.

    Inputs: x [...,C] of at most 16 bits, table [C or 1, number of codes of x].

    Args:
        out: the type of the result.
    """

    name: ClassVar[str] = "lookup"
    out: QuantType = field(default=_BYTE)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 2)
        x, table = inputs
        require(
            x.is_quantized and x.quant.bits <= 16, f"wanted codes of at most 16 bits, found {x}"
        )
        require(
            table.rank == 2 and table.shape[1] == x.quant.num_codes,
            f"wanted a table with {x.quant.num_codes} entries, found {table}",
        )
        _per_channel(table.with_shape(table.shape[:1]), x, "table")
        return (x.with_elem(self.out),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        x, table = arrays
        index = x.astype(np.int64) - sig.inputs[0].quant.lowest
        if len(table) == 1:
            return (table[0][index].astype(self.out.dtype),)
        channel = np.arange(x.shape[-1])
        return (table[channel, index].astype(self.out.dtype),)


def _same_shape(inputs: Sequence[TensorType]) -> None:
    a, b = inputs
    require(a.is_quantized and b.is_quantized, f"wanted codes, found {a} and {b}")
    require(a.quant.is_per_tensor and b.quant.is_per_tensor, "wanted one scale for each input")


@dataclass(frozen=True)
class ScaledAdd(Op):
    """Exact weighted sum of codes: ``scale_a * (a - za) + scale_b * (b - zb)``.

    Args:
        out: the accumulator's type; its scale is the real value of one unit.
        scale_a: integer weight of a.
        scale_b: integer weight of b.
    """

    name: ClassVar[str] = "scaled_add"
    out: QuantType = field(default=_BYTE)
    scale_a: int = 1
    scale_b: int = 1

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 2)
        _same_shape(inputs)
        a, b = inputs
        require(a.shape == b.shape, f"cannot add shapes {a.shape} and {b.shape}")
        return (a.with_elem(self.out),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        a, b = (centred(x, t) for x, t in zip(arrays, sig.inputs, strict=True))
        return ((self.scale_a * a + self.scale_b * b).astype(self.out.dtype),)


@dataclass(frozen=True)
class Product(Op):
    """Exact product of codes: ``(a - za) * (b - zb)``; b may be [N,1,1,C] for [N,H,W,C].

    Args:
        acc_bits: width of the product.
    """

    name: ClassVar[str] = "product"
    acc_bits: int = 32

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 2)
        _same_shape(inputs)
        a, b = inputs
        spread = (*a.shape[:1], *(1,) * (a.rank - 2), *a.shape[-1:])
        require(b.shape in (a.shape, spread), f"cannot multiply shapes {a.shape} and {b.shape}")
        elem = QuantType(self.acc_bits, True, (a.quant.scale[0] * b.quant.scale[0],))
        return (a.with_elem(elem),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        a, b = (centred(x, t) for x, t in zip(arrays, sig.inputs, strict=True))
        return ((a * b).astype(sig.outputs[0].elem.dtype),)


@dataclass(frozen=True)
class SoftmaxCodes(Op):
    """Softmax over the last axis in integers.

    With m the largest code of a row, ``e = table[m - x]`` and ``S = sum(e)``::

        code = clamp(floor((2 * e * numerator + S * denominator) / (2 * S * denominator)) + zero)

    which is ``e / S`` in units of ``denominator / numerator``, rounded half up. The table holds
    ``exp(-scale * d)`` for each code difference d, as integers below 2^24.

    Inputs: x [...,C], table [number of codes of x].

    Args:
        out: the type of the result.
        numerator: with ``denominator``, 1 / out.scale as a fraction; both below 2^15.
        denominator: see ``numerator``.
    """

    name: ClassVar[str] = "softmax_codes"
    out: QuantType = field(default=_BYTE)
    numerator: int = 256
    denominator: int = 1

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 2)
        x, table = inputs
        require(x.is_quantized and x.quant.is_per_tensor, f"wanted codes with one scale, found {x}")
        require(
            table.shape == (x.quant.num_codes,),
            f"wanted {x.quant.num_codes} entries, found {table}",
        )
        require(
            1 <= self.numerator < 1 << 15 and 1 <= self.denominator < 1 << 15,
            f"{self.numerator}/{self.denominator} is not a fraction of 15-bit integers",
        )
        return (x.with_elem(self.out),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        x, table = (a.astype(np.int64) for a in arrays)
        e = table[x.max(axis=-1, keepdims=True) - x]
        total = e.sum(axis=-1, keepdims=True) * self.denominator
        codes = (2 * e * self.numerator + total) // (2 * total) + self.out.zero_point[0]
        return (np.clip(codes, self.out.lowest, self.out.highest).astype(self.out.dtype),)
