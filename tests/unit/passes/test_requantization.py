"""Thresholds, multipliers and sums against brute force over every integer that occurs."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops.quantized import Rounding
from lepton_edge.ir.types import Array, QuantType
from lepton_edge.passes.multipliers import MulShift, find_mul_shift, round_shift
from lepton_edge.passes.rules import RealRule, ThresholdTable, threshold_table
from lepton_edge.passes.sums import find_sum_form, sum_codes, tie_table

UQ8 = QuantType(8, False, (1.0,), (128,))

SLOPES = [
    Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 1024), Fraction(3, 8), Fraction(1, 3),
    Fraction(2, 3), Fraction(1, 7), Fraction(1, 1000003), Fraction(1, 1 << 30), Fraction(12345, 7),
    Fraction(1 << 20), Fraction(0), Fraction(-1, 3), Fraction(-1, 4), Fraction(-5),
    Fraction(float(np.float32(0.0123))),
]  # fmt: skip
OFFSETS = [
    Fraction(0),
    Fraction(1, 2),
    Fraction(-1, 3),
    Fraction(5, 2),
    Fraction(1000),
    -Fraction(10**9),
]
TYPES = [
    QuantType(8, True, (1.0,)),
    QuantType(8, True, (1.0,), (-7,)),
    QuantType(8, False, (1.0,), (128,)),
    QuantType(8, True, (1.0,), narrow=True),
    QuantType(4, False, (0.3,), (5,)),
    QuantType(2, True, (0.25,), (1,)),
    QuantType(1, False, (1.0,)),
    QuantType.signs((0.75,)),
]  # fmt: skip
CLAMPS = [(None, None), (0.0, None), (0.0, 6.0), (-1.0, 1.0), (3.0, 3.0), (None, -2.5), (1e6, None)]


def true_code(rule: RealRule, channel: int, x: int, out: QuantType) -> int:
    """The definition, one integer at a time."""
    real = rule.slope[channel] * x + rule.offset[channel]
    low, high = rule.lower[channel], rule.upper[channel]
    real = real if low is None or real > low else low
    real = real if high is None or real < high else high
    if out.bipolar:
        return 1 if real >= 0 else 0
    code = round(real / Fraction(out.scale[0])) + out.zero_point[0]
    return min(max(code, out.lowest), out.highest)


def clamped(rule: RealRule, clamp: tuple[float | None, float | None]) -> RealRule:
    low, high = clamp
    return rule.clamped(-np.inf if low is None else low, np.inf if high is None else high)


def table_codes(table: ThresholdTable, x: Array) -> Array:
    """Codes [C, X] by counting thresholds."""
    signed = table.sign[:, np.newaxis] * x
    return table.lowest + (table.thresholds[:, np.newaxis, :] <= signed[:, :, np.newaxis]).sum(2)


def form_codes(form: MulShift, x: Array) -> Array:
    return np.clip(round_shift(form, x), form.lowest, form.highest)


def check(rule: RealRule, out: QuantType, low: int, high: int) -> MulShift | None:
    """Compare table and multiplier form with the definition on every integer of the reach."""
    channels = rule.num_channels
    x = np.broadcast_to(np.arange(low, high + 1), (channels, high - low + 1))
    wanted = np.array([[true_code(rule, c, int(v), out) for v in x[c]] for c in range(channels)])
    table = threshold_table(rule, out, np.full(channels, low), np.full(channels, high))
    assert (np.diff(table.thresholds, axis=1) >= 0).all()
    assert out.lowest <= table.lowest <= table.highest <= out.highest
    np.testing.assert_array_equal(table_codes(table, x), wanted)
    form = find_mul_shift(table)
    if form is not None:
        assert out.lowest <= form.lowest <= form.highest <= out.highest
        assert 0 <= form.shift <= 62
        np.testing.assert_array_equal(form_codes(form, x), wanted)
        peak = max(abs(low), abs(high))
        assert all(
            abs(m) * peak + abs(a) < 1 << 62
            for m, a in zip(form.multiplier.tolist(), form.addend.tolist(), strict=True)
        )
    return form


@pytest.mark.parametrize("out", TYPES, ids=str)
@pytest.mark.parametrize("slope", SLOPES, ids=str)
def test_tables_and_multipliers_are_exact(slope: Fraction, out: QuantType) -> None:
    """All channels at once: each with its own offset and clamp."""
    scale = Fraction(out.scale[0])
    for clamp in CLAMPS:
        rule = RealRule.linear([slope * scale] * len(OFFSETS), [o * scale for o in OFFSETS])
        check(clamped(rule, clamp), out, -60, 51)


@pytest.mark.parametrize(
    "reach", [(0, 0), (5, 5), (-3, -3), (-1000, -990), (1 << 30, (1 << 30) + 9)]
)
def test_narrow_and_distant_reaches(reach: tuple[int, int]) -> None:
    out = TYPES[0]
    for slope in SLOPES:
        check(RealRule.linear([slope], [-slope * reach[0]]), out, *reach)


@given(
    slope=st.fractions(-3, 3, max_denominator=1 << 20),
    offset=st.fractions(-200, 200, max_denominator=64),
    zero=st.integers(-8, 7),
    clamp=st.sampled_from(CLAMPS),
    low=st.integers(-400, 100),
    size=st.integers(0, 300),
)
def test_any_rule(
    slope: Fraction,
    offset: Fraction,
    zero: int,
    clamp: tuple[float | None, float | None],
    low: int,
    size: int,
) -> None:
    out = QuantType(4, True, (0.75,), (zero,))
    check(clamped(RealRule.linear([slope], [offset]), clamp), out, low, low + size)


def test_channels_may_rise_fall_and_stand_still() -> None:
    slopes = [Fraction(1, 3), Fraction(-1, 3), Fraction(0), Fraction(2, 7)]
    rule = RealRule.linear(slopes, [Fraction(k) for k in (0, 1, 2, 3)])
    form = check(clamped(rule, (0.0, 6.0)), QuantType(4, False, (0.5,), (1,)), -50, 50)
    assert form is not None
    assert np.sign(form.multiplier).tolist() == [1, -1, 0, 1]


# -- which form is found --------------------------------------------------------------------------


def one_form(slope: Fraction, out: QuantType, reach: int = 500) -> MulShift | None:
    return check(RealRule.linear([slope]), out, -reach, reach)


def test_a_third_needs_no_ties_and_few_bits() -> None:
    form = one_form(Fraction(1, 3), TYPES[0])
    assert form is not None
    assert form.rounding is Rounding.FLOOR
    assert form.shift <= 10  # 1000 integers; ties never happen


@pytest.mark.parametrize("shift", [1, 2, 5])
def test_ties_to_even_take_the_rule_itself(shift: int) -> None:
    form = one_form(Fraction(1, 1 << shift), TYPES[0])
    assert form is not None
    assert (form.rounding, form.shift) == (Rounding.HALF_EVEN, shift)
    assert form.multiplier.tolist() == [1]


def test_an_odd_zero_point_makes_even_odd_and_leaves_thresholds_only() -> None:
    assert one_form(Fraction(1, 4), TYPES[1]) is None
    assert one_form(Fraction(1, 3), TYPES[1]) is not None  # no ties, no matter


def test_ties_beyond_the_clamp_do_not_matter() -> None:
    out = QuantType(8, True, (1.0,), (-7,))
    rule = clamped(RealRule.linear([Fraction(1, 4)]), (3.0, 3.4))
    assert check(rule, out, -100, 100) is not None


def test_a_rule_that_gives_one_code_needs_no_multiplier() -> None:
    form = one_form(Fraction(0), TYPES[0])
    assert form is not None
    assert (form.shift, form.multiplier.tolist()) == (0, [0])


def test_wide_accumulators_have_a_multiplier() -> None:
    """Only ends and borders: four million integers are too many to visit."""
    rule = RealRule.linear([Fraction(float(np.float32(1e-4)))])
    peak = 1 << 21
    table = threshold_table(rule, TYPES[0], np.array([-peak]), np.array([peak]))
    form = find_mul_shift(table)
    assert form is not None
    borders = table.thresholds[0][(table.thresholds[0] > -peak) & (table.thresholds[0] <= peak)]
    x = np.unique(np.concatenate([borders, borders - 1, [-peak, peak, 0]]))[np.newaxis]
    wanted = [true_code(rule, 0, int(v), TYPES[0]) for v in x[0]]
    assert form_codes(form, x)[0].tolist() == wanted


# -- rules ----------------------------------------------------------------------------------------


def test_affine_steps_and_clamps_compose_like_functions() -> None:
    rng = np.random.default_rng(0)
    out = QuantType(10, True, (0.5,))
    x = np.arange(-40, 41)
    for _ in range(60):
        rule = RealRule.linear([Fraction(3, 7), Fraction(-2)], [Fraction(1), Fraction(0)])
        reals = [[rule.slope[c] * int(v) + rule.offset[c] for v in x] for c in (0, 1)]
        for _ in range(4):
            if rng.random() < 0.5:
                a, b = Fraction(int(rng.integers(-4, 5)), 3), Fraction(int(rng.integers(-9, 9)), 2)
                rule = rule.affine([a], [b])
                reals = [[r * a + b for r in row] for row in reals]
            else:
                low, high = sorted(rng.integers(-20, 20, 2).tolist())
                rule = rule.clamped(low, high)
                reals = [[min(max(r, Fraction(low)), Fraction(high)) for r in row] for row in reals]
        found = rule.codes(np.stack([x, x], 1), out)
        wanted = [[min(max(round(r * 2), -512), 511) for r in row] for row in reals]
        np.testing.assert_array_equal(found.T, wanted)


def test_codes_stand_for_reals() -> None:
    quant = QuantType(8, False, (0.5, 0.25), (3, 200), axis=-1)
    rule = RealRule.of_codes(quant)
    assert rule.slope == (Fraction(1, 2), Fraction(1, 4))
    assert rule.offset == (Fraction(-3, 2), Fraction(-50))
    assert rule.is_linear
    assert not rule.clamped(0, 1).is_linear


@pytest.mark.parametrize(
    "op", [ew.Sigmoid(), ew.LeakyRelu(0.1), ew.Elu(), ew.Function("tanh"), ew.Function("floor")],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("sign", [1, -1])
def test_thresholds_of_a_monotone_function_are_searched(op: ew.Scalar, sign: int) -> None:
    out = QuantType(8, True, (0.02,), (-30,))
    rule = RealRule.linear([sign * Fraction(1, 50), Fraction(1, 9)]).followed_by(op, True)
    x = np.broadcast_to(np.arange(-300, 301), (2, 601))
    table = threshold_table(rule, out, np.array([-300] * 2), np.array([300] * 2))
    real = op.real(np.stack([sign * x[0] / 50, x[1] / 9]).astype(np.float64))
    wanted = np.clip(np.rint(real / 0.02) - 30, -128, 127)
    found = table_codes(table, x)
    is_tie = np.abs(np.abs(real / 0.02 - np.rint(real / 0.02)) - 0.5) < 1e-9
    np.testing.assert_array_equal(found[~is_tie], wanted[~is_tie])
    np.testing.assert_array_equal(found, rule.codes(x.T, out).T)
    assert find_mul_shift(table) is None


# -- sums -----------------------------------------------------------------------------------------


def pairs(a: range, b: range) -> tuple[Array, Array]:
    both = np.array(list(itertools.product(a, b)), np.int64)
    return both[:, 0], both[:, 1]


SUMS = [
    (Fraction(1, 2), Fraction(1, 2)),
    (Fraction(1, 3), Fraction(1, 5)),
    (Fraction(1, 4), Fraction(-1, 8)),
    (Fraction(float(np.float32(0.1))), Fraction(float(np.float32(0.037)))),
    (Fraction(3), Fraction(1, 1000)),
    (Fraction(1, 6), Fraction(1, 4)),
]


@pytest.mark.parametrize(
    "out",
    [*(QuantType(6, True, (0.5,), (zero,)) for zero in (0, -3)), QuantType.signs((0.5,))],
    ids=str,
)
@pytest.mark.parametrize("slopes", SUMS, ids=str)
@pytest.mark.parametrize("clamp", CLAMPS[:4], ids=str)
def test_sums_are_exact_for_every_pair(
    slopes: tuple[Fraction, Fraction], out: QuantType, clamp: tuple[float | None, float | None]
) -> None:
    a, b = pairs(range(-20, 25), range(-16, 16))
    rule = clamped(RealRule.linear([Fraction(1)], [Fraction(1, 4)]), clamp)
    reals = [slopes[0] * int(u) + slopes[1] * int(v) for u, v in zip(a, b, strict=True)]
    shifted = [RealRule.linear([Fraction(0)], [r + Fraction(1, 4)]) for r in reals]
    wanted = [true_code(clamped(constant, clamp), 0, 0, out) for constant in shifted]
    codes = sum_codes(a, b, *slopes, rule, out)
    np.testing.assert_array_equal(codes, wanted)
    form = find_sum_form(a, b, codes, slopes[0] * 2, slopes[1] * 2)
    if form is not None:
        total = (form.scale_a * a + form.scale_b * b + form.addend) >> form.shift
        np.testing.assert_array_equal(np.clip(total, form.lowest, form.highest), wanted)
    table = tie_table(*slopes, rule, out, (24, 16))
    if table is not None:
        scale_a, scale_b, thresholds = table
        found = table_codes(thresholds, (scale_a * a + scale_b * b)[np.newaxis])
        np.testing.assert_array_equal(found[0], wanted)
    assert form is not None or table is not None


def test_large_common_denominators_do_not_overflow() -> None:
    out = QuantType(8, True, (float(np.float32(0.0371)),))
    slopes = Fraction(float(np.float32(0.0123457))), Fraction(float(np.float32(0.0298761)))
    a, b = pairs(range(-128, 128, 5), range(-128, 128, 3))
    codes = sum_codes(a, b, *slopes, RealRule.linear([Fraction(1)]), out)
    scale = Fraction(out.scale[0])
    wanted = [
        min(max(round((slopes[0] * int(u) + slopes[1] * int(v)) / scale), -128), 127)
        for u, v in zip(a, b, strict=True)
    ]
    np.testing.assert_array_equal(codes, wanted)
    form = find_sum_form(a, b, codes, slopes[0] / scale, slopes[1] / scale)
    assert form is not None
    total = (form.scale_a * a + form.scale_b * b + form.addend) >> form.shift
    np.testing.assert_array_equal(np.clip(total, form.lowest, form.highest), wanted)
