"""Real-valued requantisation rules in exact rational arithmetic, and their thresholds.

A rule says which real number an integer stands for; quantising that real gives a code. Rules
built from scales, biases and clamps are rational, so the thresholds (the smallest integer of each
code) are exact, ties included. They are the definition that every integer form is proven against.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from lepton_edge.ir.ops.elementwise import Scalar
from lepton_edge.ir.types import Array, QuantType


def round_half_even(value: Fraction) -> int:
    """Return the nearest integer, ties to even (ONNX QuantizeLinear)."""
    return round(value)


def code_of(real: Fraction, out: QuantType) -> int:
    """Return the code of a real in a per-tensor type, before saturation."""
    if out.bipolar:
        return int(real >= 0)
    return round_half_even(real / Fraction(out.scale[0])) + out.zero_point[0]


@dataclass(frozen=True)
class RealRule:
    """``real = tail(min(max(slope * x + offset, lower), upper))`` for each channel.

    Args:
        slope: one entry for each channel, or one for all.
        offset: as many as ``slope``.
        lower: as many; None where nothing is clamped from below.
        upper: as many; None where nothing is clamped from above.
        tail: further scalar functions, applied in order in binary64.
    """

    slope: tuple[Fraction, ...]
    offset: tuple[Fraction, ...]
    lower: tuple[Fraction | None, ...]
    upper: tuple[Fraction | None, ...]
    tail: tuple[Callable[[Array], Array], ...] = ()
    is_monotone: bool = True
    """Whether the tail never decreases, so that thresholds describe the whole rule."""

    @classmethod
    def linear(
        cls, slope: Sequence[Fraction], offset: Sequence[Fraction] | None = None
    ) -> RealRule:
        """Return ``slope * x + offset``."""
        zeros = tuple(Fraction(0) for _ in slope)
        none = (None,) * len(slope)
        return cls(tuple(slope), zeros if offset is None else tuple(offset), none, none)

    @classmethod
    def of_codes(cls, quant: QuantType) -> RealRule:
        """Return what codes of ``quant`` stand for."""
        zeros = quant.zero_point * (len(quant.scale) if len(quant.zero_point) == 1 else 1)
        scales = [Fraction(s) for s in quant.scale]
        offset = [-s * z for s, z in zip(scales, zeros, strict=True)]
        return cls.linear([quant.step * s for s in scales], offset)

    @property
    def num_channels(self) -> int:
        """How many channels have a rule of their own; 1 when all share one."""
        return len(self.slope)

    @property
    def is_linear(self) -> bool:
        """Whether there is no clamp and no tail."""
        return not self.tail and not any(v is not None for v in (*self.lower, *self.upper))

    def spread(self, channels: int) -> RealRule:
        """Return the rule with an entry for each of ``channels``."""
        if self.num_channels == channels:
            return self
        return replace(
            self,
            slope=self.slope * channels,
            offset=self.offset * channels,
            lower=self.lower * channels,
            upper=self.upper * channels,
        )

    def affine(self, scale: Sequence[Fraction], shift: Sequence[Fraction]) -> RealRule:
        """Return the rule followed by ``scale * real + shift`` (one entry, or one a channel)."""
        if self.tail:
            s = np.array([float(v) for v in scale])
            t = np.array([float(v) for v in shift])
            rising = all(v >= 0 for v in scale)
            return self._with_tail(lambda real: real * s + t, rising)
        count = max(self.num_channels, len(scale), len(shift))
        rule = self.spread(count)
        scales = tuple(scale) * (count if len(scale) == 1 else 1)
        shifts = tuple(shift) * (count if len(shift) == 1 else 1)
        bounds = [
            [None if v is None else v * a + b for v, a, b in zip(side, scales, shifts, strict=True)]
            for side in (rule.lower, rule.upper)
        ]
        swapped = [
            (high, low) if a < 0 else (low, high)
            for low, high, a in zip(bounds[0], bounds[1], scales, strict=True)
        ]
        return RealRule(
            tuple(v * a for v, a in zip(rule.slope, scales, strict=True)),
            tuple(v * a + b for v, a, b in zip(rule.offset, scales, shifts, strict=True)),
            tuple(low for low, _ in swapped),
            tuple(high for _, high in swapped),
        )

    def clamped(self, lowest: float, highest: float) -> RealRule:
        """Return the rule followed by a clamp."""
        if self.tail:
            return self._with_tail(lambda real: np.clip(real, lowest, highest), True)
        low = Fraction(lowest) if math.isfinite(lowest) else None
        high = Fraction(highest) if math.isfinite(highest) else None

        def clamp(value: Fraction) -> Fraction:
            value = value if low is None else max(value, low)
            return value if high is None else min(value, high)

        return replace(
            self,
            lower=tuple(low if v is None else clamp(v) for v in self.lower),
            upper=tuple(high if v is None else clamp(v) for v in self.upper),
        )

    def followed_by(self, op: Scalar, is_monotone: bool) -> RealRule:
        """Return the rule followed by a scalar function."""
        return self._with_tail(op.real, is_monotone)

    def _with_tail(self, function: Callable[[Array], Array], is_monotone: bool) -> RealRule:
        return replace(
            self, tail=(*self.tail, function), is_monotone=self.is_monotone and is_monotone
        )

    def codes(self, x: Array, out: QuantType) -> Array:
        """Return the codes of integers ``x`` [...,C] by this rule, exact when there is no tail.

        Meant for tables and tests: rational arithmetic is slow. For a tail, binary64 is the
        definition.
        """
        if self.tail:
            return self._float_codes(x, out)
        flat = x.reshape(-1, x.shape[-1])
        result = np.empty(flat.shape, np.int64)
        rule = self.spread(flat.shape[1])
        for c in range(flat.shape[1]):
            low, high = rule.code_bounds(out, c)
            for i, value in enumerate(flat[:, c].tolist()):
                real = rule.slope[c] * value + rule.offset[c]
                result[i, c] = min(max(code_of(real, out), low), high)
        return result.reshape(x.shape)

    def _float_codes(self, x: Array, out: QuantType) -> Array:
        slope = np.array([float(v) for v in self.slope])
        offset = np.array([float(v) for v in self.offset])
        lower = np.array([-np.inf if v is None else float(v) for v in self.lower])
        upper = np.array([np.inf if v is None else float(v) for v in self.upper])
        real = np.clip(slope * x + offset, lower, upper)
        for function in self.tail:
            real = function(real)
        if out.bipolar:
            return np.asarray(real >= 0, np.int64)
        codes = np.rint(real / out.scale[0]) + out.zero_point[0]
        codes = np.nan_to_num(codes, nan=out.zero_point[0], posinf=out.highest, neginf=out.lowest)
        return np.asarray(np.clip(codes, out.lowest, out.highest), np.int64)

    def code_bounds(self, out: QuantType, channel: int) -> tuple[int, int]:
        """Return the lowest and highest code that ``channel`` can give, by its clamps."""
        low, high = self.lower[channel], self.upper[channel]
        lowest = out.lowest if low is None else code_of(low, out)
        highest = out.highest if high is None else code_of(high, out)
        return (
            min(max(lowest, out.lowest), out.highest),
            min(max(highest, out.lowest), out.highest),
        )


@dataclass(frozen=True)
class ThresholdTable:
    """A monotone rule as thresholds: ``code = lowest + number of thresholds <= sign * x``.

    Args:
        lowest: the code below all thresholds; the same for all channels.
        thresholds: int64 [C, levels], ascending; clipped to what ``sign * x`` can reach.
        sign: int64 [C], -1 where the rule falls.
        reach: int64 [C, 2], the lowest and highest value of ``sign * x``.
        slope: codes per unit of ``sign * x``, one a channel; the hint for a multiplier.
        offset: the code (a rational) at x = 0, zero point included.
        is_linear: whether the thresholds come from a clamped straight line.
    """

    lowest: int
    thresholds: Array
    sign: Array
    reach: Array
    slope: tuple[Fraction, ...]
    offset: tuple[Fraction, ...]
    is_linear: bool

    @property
    def highest(self) -> int:
        """The code above all thresholds."""
        return self.lowest + int(self.thresholds.shape[1])


def threshold_table(
    rule: RealRule, out: QuantType, lowest: Array, highest: Array
) -> ThresholdTable:
    """Return the thresholds of a monotone rule over the integers that occur.

    Args:
        rule: the rule; its tail, if any, must be monotone.
        out: the type of the codes, per tensor.
        lowest: int64 [C], the smallest integer of each channel.
        highest: int64 [C], the largest.
    """
    channels = len(lowest)
    rule = rule.spread(channels)
    sign = np.array([-1 if s < 0 else 1 for s in rule.slope], np.int64)
    reach = np.stack(
        [np.where(sign > 0, lowest, -highest), np.where(sign > 0, highest, -lowest)], 1
    )
    if rule.tail:
        low, high = out.lowest, out.highest
        rows = _searched_thresholds(rule, out, sign, reach)
    else:
        bounds = [rule.code_bounds(out, c) for c in range(channels)]
        low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
        rows = np.stack(
            [
                _linear_thresholds(rule, out, c, low, high, bounds[c], reach[c])
                for c in range(channels)
            ]
        )
    scale = Fraction(out.scale[0]) * out.step
    return ThresholdTable(
        low,
        rows,
        sign,
        reach,
        tuple(abs(s) / scale for s in rule.slope),
        tuple(o / scale + out.zero_point[0] for o in rule.offset),
        not rule.tail,
    )


def _linear_thresholds(
    rule: RealRule,
    out: QuantType,
    channel: int,
    low: int,
    high: int,
    bounds: tuple[int, int],
    reach: Array,
) -> Array:
    """Thresholds of codes low+1..high of one channel, clipped to reach[0]..reach[1]+1.

    Code k (zero point removed) starts where slope * x + offset reaches (k - 1/2) * scale; a real
    that lies exactly there rounds to k only when k is even. The bipolar code 1 starts at 0.
    """
    slope, offset = abs(rule.slope[channel]), rule.offset[channel]
    least, beyond = int(reach[0]), int(reach[1]) + 1
    scale, zero = Fraction(out.scale[0]), out.zero_point[0]
    row = np.empty(high - low, np.int64)
    if slope == 0:
        code = min(max(code_of(offset, out), bounds[0]), bounds[1])
        row[: code - low] = least
        row[code - low :] = beyond
        return row
    step, start = scale / (2 * slope), offset / slope
    a, b = step.numerator * start.denominator, start.numerator * step.denominator
    d = step.denominator * start.denominator
    for i, k in enumerate(range(low + 1, high + 1)):
        if k <= bounds[0]:
            row[i] = least
        elif k > bounds[1]:
            row[i] = beyond
        else:
            half_steps = 0 if out.bipolar else 2 * (k - zero) - 1
            first, rest = divmod(half_steps * a - b, d)
            if rest or (half_steps + 1) // 2 % 2:
                first += 1
            row[i] = min(max(first, least), beyond)
    return row


def _searched_thresholds(rule: RealRule, out: QuantType, sign: Array, reach: Array) -> Array:
    """Thresholds of a monotone rule with a tail, by bisection in binary64."""
    wanted = np.arange(out.lowest + 1, out.highest + 1)[:, np.newaxis]
    low = np.broadcast_to(reach[:, 0], (len(wanted), len(sign))).copy()
    high = low * 0 + reach[:, 1] + 1
    while (low < high).any():
        middle = low + (high - low) // 2
        reached = rule.codes(middle * sign, out) >= wanted
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + 1, high))
    return np.ascontiguousarray(low.T)
