"""Integer weights for the sum of two quantised tensors, proven over every pair of codes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lepton_edge.ir.types import Array, QuantType
from lepton_edge.passes.rules import RealRule, ThresholdTable, threshold_table

MAX_SHIFT = 30


@dataclass(frozen=True)
class SumForm:
    """``clamp((scale_a * a + scale_b * b + addend) >> shift)`` with a, b zero-point free.

    Args:
        scale_a: integer weight of a.
        scale_b: integer weight of b.
        addend: rounding half and zero point.
        shift: bits.
        lowest: the lowest code.
        highest: the highest code.
    """

    scale_a: int
    scale_b: int
    addend: int
    shift: int
    lowest: int
    highest: int


def sum_codes(
    a: Array, b: Array, slope_a: Fraction, slope_b: Fraction, rule: RealRule, out: QuantType
) -> Array:
    """Return the code of each pair by the real rule, exactly.

    Args:
        a: int64 [P], zero-point free.
        b: int64 [P].
        slope_a: real value of a unit of a.
        slope_b: real value of a unit of b.
        rule: what follows the sum, on one channel; no tail.
        out: the type of the codes.
    """
    scale = Fraction(out.scale[0])
    u, v = slope_a * rule.slope[0] / scale, slope_b * rule.slope[0] / scale
    w = rule.offset[0] / scale
    d = np.lcm.reduce(np.array([u.denominator, v.denominator, w.denominator], object))
    numerators = (int(u * d), int(v * d), int(w * d))
    reach = sum(abs(n) * m for n, m in zip(numerators, (_peak(a), _peak(b), 1), strict=True))
    kind = np.int64 if 4 * (reach + d) < 1 << 62 else object
    real = a.astype(kind) * numerators[0] + b.astype(kind) * numerators[1] + numerators[2]
    low, high = rule.code_bounds(out, 0)
    if out.bipolar:
        return np.asarray(np.clip(real >= 0, low, high), np.int64)
    codes = (2 * real + d) // (2 * d)
    is_tie = (2 * real + d) % (2 * d) == 0
    codes = codes - (is_tie & (codes % 2 == 1))
    return np.asarray(np.clip(codes + out.zero_point[0], low, high), np.int64)


def _peak(x: Array) -> int:
    return int(np.abs(x).max())


def find_sum_form(
    a: Array, b: Array, codes: Array, slope_a: Fraction, slope_b: Fraction
) -> SumForm | None:
    """Return the weights with the smallest shift that give ``codes`` for every pair, or None.

    Args:
        a: int64 [P], every pair that can occur, zero-point free.
        b: int64 [P].
        codes: int64 [P], the wanted codes.
        slope_a: codes per unit of a.
        slope_b: codes per unit of b.
    """
    lowest, highest = int(codes.min()), int(codes.max())
    for shift in range(MAX_SHIFT + 1):
        scale_a, scale_b = round(slope_a * (1 << shift)), round(slope_b * (1 << shift))
        if abs(scale_a) * _peak(a) + abs(scale_b) * _peak(b) >= 1 << 60:
            return None
        total = a * scale_a + b * scale_b
        # Saturated codes bound the sum from one side only.
        at_least = np.where(codes > lowest, (codes << shift) - total, -(1 << 61)).max()
        at_most = np.where(codes < highest, ((codes + 1) << shift) - 1 - total, 1 << 61).min()
        if at_least <= at_most:
            wanted = (1 << shift) // 2
            addend = min(max(wanted, int(at_least)), int(at_most))
            return SumForm(scale_a, scale_b, addend, shift, lowest, highest)
    return None


def tie_table(
    slope_a: Fraction, slope_b: Fraction, rule: RealRule, out: QuantType, reach: tuple[int, int]
) -> tuple[int, int, ThresholdTable] | None:
    """Return small integer weights and a threshold table, where exact ties defeat any multiplier.

    Ties need scales in a simple ratio; then a/b weights are small integers and the sum itself is
    a rational multiple of one unit.
    """
    ratio = slope_a / slope_b
    if max(abs(ratio.numerator), ratio.denominator) > 1 << 12:
        return None
    unit = slope_b / ratio.denominator
    scale_a, scale_b = ratio.numerator, ratio.denominator
    peak = abs(scale_a) * reach[0] + abs(scale_b) * reach[1]
    inner = RealRule.linear([unit]).affine(rule.slope, rule.offset)
    inner = RealRule(inner.slope, inner.offset, rule.lower, rule.upper)
    table = threshold_table(inner, out, np.array([-peak]), np.array([peak]))
    return scale_a, scale_b, table
