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
    channels = len(table.sign)
    found = np.full(channels, -1)
    multiplier, addend = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    for shift in range(MAX_SHIFT + 1):
        pending = np.flatnonzero(found < 0)
        if not pending.size:
            break
        for up in (0, 1):
            pending = np.flatnonzero(found < 0)
            pending = np.array([c for c in pending.tolist() if _is_safe(table, c, shift)], np.int64)
            trial = np.array(
                [int(table.slope[c] * (1 << shift)) + up for c in pending.tolist()], np.int64
            )
            least, most = addend_bounds(table, pending, trial, shift)
            wanted = _wanted_addend(table, pending, shift)
            good = least <= most
            multiplier[pending[good]] = trial[good]
            addend[pending[good]] = np.clip(wanted, least, most)[good]
            found[pending[good]] = shift
    if (found < 0).any():
        return None
    shift = int(found.max())
    # A form that is exact at a smaller shift stays exact when everything is scaled up.
    scale = np.int64(1) << (shift - found)
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


def _is_safe(table: ThresholdTable, channel: int, shift: int) -> bool:
    """Whether the products that ``addend_bounds`` forms stay within 62 bits."""
    reach = int(np.abs(table.reach[channel]).max()) + 1
    return (table.slope[channel] * (1 << shift) + 1) * reach < 1 << 61


def addend_bounds(
    table: ThresholdTable, channels: Array, multiplier: Array, shift: int
) -> tuple[Array, Array]:
    """Return the least and the most addend that keeps every code, for each of ``channels``."""
    codes = np.arange(table.lowest + 1, table.highest + 1, dtype=np.int64) << shift
    first = table.thresholds[channels]
    low, high = table.reach[channels, :1], table.reach[channels, 1:]
    m = multiplier[:, np.newaxis]
    unbounded = np.int64(1) << 61
    at_least = np.where(first <= high, codes - m * first, -unbounded)
    at_most = np.where(first > low, codes - 1 - m * (first - 1), unbounded)
    return at_least.max(axis=1, initial=-unbounded), at_most.min(axis=1, initial=unbounded)


def _wanted_addend(table: ThresholdTable, channels: Array, shift: int) -> Array:
    """The addend of the plain rule: its offset, and half a unit to round."""
    limit = 1 << 60
    exact = [table.offset[c] * (1 << shift) + Fraction(1 << shift, 2) for c in channels.tolist()]
    return np.array([min(max(round(v), -limit), limit) for v in exact], np.int64)


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
