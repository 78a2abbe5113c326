"""Integer multiplier and shift for a requantisation, proven over every reachable integer.

Given the thresholds of the real-valued rule, ``(m * x + b) >> s`` gives the same codes for all x
of the channel exactly when, for every code k with threshold T::

    m * T + b >= k * 2^s            (the first integer of k gives at least k)
    m * (T - 1) + b < k * 2^s       (the one before gives less)

For a given m these bound b from below and above; m is feasible when the bounds leave an integer.
The search takes the smallest shift at which every channel has a feasible m next to slope * 2^s.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lepton_edge.ir.ops.quantized import Rounding
from lepton_edge.ir.types import Array
from lepton_edge.passes.rules import ThresholdTable

MAX_SHIFT = 40
"""With codes of up to 16 bits, products stay below 2^62."""


@dataclass(frozen=True)
class MulShift:
    """``clamp(round((multiplier * x + addend) / 2^shift), lowest, highest)``.

    Args:
        multiplier: int64 [C].
        addend: int64 [C].
        shift: bits.
        rounding: FLOOR, or HALF_EVEN where ties must go to even.
        lowest: the lowest code.
        highest: the highest code.
    """

    multiplier: Array
    addend: Array
    shift: int
    rounding: Rounding
    lowest: int
    highest: int


def find_mul_shift(table: ThresholdTable) -> MulShift | None:
    """Return the multiplier form with the smallest shift that equals ``table``, or None."""
    if not table.is_linear:
        return None
    form = _floor_form(table)
    return form if form is not None else _half_even_form(table)


def _fits(multiplier: Array, addend: Array, table: ThresholdTable) -> bool:
    """Whether no product or sum leaves 63 bits, so that 64-bit arithmetic is exact."""
    reach = np.abs(table.reach).max(axis=1)
    sums = [
        abs(m) * r + abs(a)
        for m, r, a in zip(multiplier.tolist(), reach.tolist(), addend.tolist(), strict=True)
    ]
    return max(sums, default=0) < 1 << 62


def _floor_form(table: ThresholdTable) -> MulShift | None:
    """Search the smallest feasible shift of each channel by bisection.

    A form that is exact at a shift stays exact when everything is scaled up, so feasibility
    (nearly) only grows with the shift; what is returned has been proven feasible itself.
    """
    search = _Search(table)
    high = search.largest_safe_shift()
    is_feasible, multiplier, addend = search.at(high)
    if not is_feasible.all():
        return None
    low = np.zeros_like(high)
    while (low < high).any():
        middle = (low + high) // 2
        is_feasible, trial, start = search.at(middle)
        is_better = is_feasible & (low < high)
        multiplier, addend = (
            np.where(is_better, trial, multiplier),
            np.where(is_better, start, addend),
        )
        high = np.where(is_better, middle, high)
        low = np.where(is_better, low, np.minimum(middle + 1, high))
    shift = int(high.max())
    scale = np.int64(1) << (shift - high)
    if not _fits(multiplier * 1.0 * scale, addend * 1.0 * scale, table):
        return None
    return MulShift(
        multiplier * scale * table.sign,
        addend * scale,
        shift,
        Rounding.FLOOR,
        table.lowest,
        table.highest,
    )


class _Search:
    """Tries shifts, one for each channel, on slopes and offsets held in fixed point."""

    def __init__(self, table: ThresholdTable) -> None:
        self.table = table
        limit = 1 << 61

        def fixed(value: Fraction) -> int:
            return min(max((value.numerator << MAX_SHIFT) // value.denominator, -limit), limit)

        self.slope = np.array([fixed(v) for v in table.slope], np.int64)
        self.offset = np.array([fixed(v) for v in table.offset], np.int64)
        self.reach = np.abs(table.reach).max(axis=1).astype(np.float64) + 1

    def largest_safe_shift(self) -> Array:
        """Return the largest shift of each channel whose products stay within 61 bits."""
        room = 2.0**60 / (self.reach * (self.slope * 2.0**-MAX_SHIFT + 2.0**-MAX_SHIFT) + 1)
        return np.asarray(np.clip(np.floor(np.log2(np.maximum(room, 1.0))), 0, MAX_SHIFT), np.int64)

    def at(self, shift: Array) -> tuple[Array, Array, Array]:
        """Return, for each channel at its shift: is there a form, its multiplier, its addend."""
        down = self.slope >> (MAX_SHIFT - shift)
        wanted = (self.offset >> (MAX_SHIFT - shift)) + (np.int64(1) << shift) // 2
        good = np.zeros(len(shift), bool)
        multiplier, addend = np.zeros_like(down), np.zeros_like(down)
        for trial in (down, down + 1):
            least, most = addend_bounds(self.table, trial, shift)
            is_new = (least <= most) & ~good
            multiplier = np.where(is_new, trial, multiplier)
            addend = np.where(is_new, np.minimum(np.maximum(wanted, least), most), addend)
            good |= is_new
        return good, multiplier, addend


def addend_bounds(table: ThresholdTable, multiplier: Array, shift: Array) -> tuple[Array, Array]:
    """Return the least and the most addend that keeps every code of each channel.

    Args:
        table: the wanted codes.
        multiplier: int64 [C], not negative (``table.sign`` tells the direction).
        shift: int64 [C].
    """
    levels = np.arange(table.lowest + 1, table.highest + 1, dtype=np.int64)
    codes = levels << shift[:, np.newaxis]
    first = table.thresholds
    low, high = table.reach[:, :1], table.reach[:, 1:]
    m = multiplier[:, np.newaxis]
    unbounded = np.int64(1) << 61
    at_least = np.where(first <= high, codes - m * first, -unbounded)
    at_most = np.where(first > low, codes - 1 - m * (first - 1), unbounded)
    return at_least.max(axis=1, initial=-unbounded), at_most.min(axis=1, initial=unbounded)


def _half_even_form(table: ThresholdTable) -> MulShift | None:
    """The rule itself, where slope and offset are binary fractions and ties go to even."""
    for shift in range(1, MAX_SHIFT + 1):
        slopes = [s * (1 << shift) for s in table.slope]
        offsets = [o * (1 << shift) for o in table.offset]
        if any(v.denominator != 1 or abs(v) >= 1 << 60 for v in (*slopes, *offsets)):
            continue
        multiplier = np.array([int(v) for v in slopes], np.int64) * table.sign
        addend = np.array([int(v) for v in offsets], np.int64)
        form = MulShift(multiplier, addend, shift, Rounding.HALF_EVEN, table.lowest, table.highest)
        # An odd zero point turns "even" into "odd": the thresholds tell whether the form holds.
        return form if _fits(multiplier, addend, table) and _equals(form, table) else None
    return None


def _equals(form: MulShift, table: ThresholdTable) -> bool:
    """Whether a monotone form agrees with the table: at each threshold and just before it."""
    codes = np.arange(table.lowest + 1, table.highest + 1)
    low, high = table.reach[:, :1], table.reach[:, 1:]
    at = round_shift(form, np.clip(table.thresholds, low, high) * table.sign[:, np.newaxis])
    before = round_shift(form, np.clip(table.thresholds - 1, low, high) * table.sign[:, np.newaxis])
    reached = (at >= codes) | (table.thresholds > high)
    unreached = (before < codes) | (table.thresholds <= low)
    return bool((reached & unreached).all())


def round_shift(form: MulShift, x: Array) -> Array:
    """Return the unclamped codes of integers ``x`` [C, ...] under ``form``."""
    total = x * form.multiplier[:, np.newaxis] + form.addend[:, np.newaxis]
    codes = total >> form.shift
    if form.rounding is Rounding.HALF_EVEN and form.shift:
        rest, half = total - (codes << form.shift), np.int64(1) << (form.shift - 1)
        codes = codes + ((rest > half) | ((rest == half) & (codes & 1 == 1)))
    return np.asarray(codes)
