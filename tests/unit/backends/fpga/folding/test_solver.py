"""The choice in numbers: bounds and search against trying every choice of random problems."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lepton_edge.backends.fpga.folding import solver
from lepton_edge.backends.fpga.folding.bounds import (
    excess_bound,
    price_bound,
    total_excess_bound,
)
from lepton_edge.backends.fpga.folding.cpsat import Found
from lepton_edge.backends.fpga.folding.problem import Joint, Part, Problem
from lepton_edge.backends.fpga.folding.relaxation import Relaxation
from lepton_edge.errors import DoesNotFitError

COLUMNS = 3


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw a network of up to five actors, with branches, forbidden pairs and tight limits."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    count = draw(st.integers(1, 5))
    parts, sizes = [], []
    for _ in range(count):
        scope = tuple(range(len(sizes), len(sizes) + int(rng.integers(1, 3))))
        shape = rng.integers(1, 4, len(scope))
        sizes += shape.tolist()
        places = np.array(list(itertools.product(*map(range, shape))))
        places = places.repeat(rng.integers(1, 3, len(places)), axis=0)
        n = len(places)
        costs = rng.integers(0, 30, (n, COLUMNS))
        parts.append(Part(np.arange(n) + 7, rng.integers(1, 9, n), costs, scope, places))
    joints = []
    for later in range(1, count):
        for _ in range(int(rng.integers(1, 3))):
            scope = (
                int(rng.choice(parts[int(rng.integers(later))].scope)),
                int(rng.choice(parts[later].scope)),
            )
            shape = (sizes[scope[0]], sizes[scope[1]])
            allowed = rng.random(shape) < 0.8
            allowed[0, 0] = True
            joints.append(Joint(scope, rng.integers(0, 15, (*shape, COLUMNS)), allowed))
    limits = rng.integers(0, 25 * count, COLUMNS) * (rng.random(COLUMNS) < 0.9)
    fixed = rng.integers(0, 3, COLUMNS) * (limits > 5)
    return Problem(
        tuple(parts), tuple(joints), tuple(sizes), fixed, limits, np.array([1.0, 0.15, 1.0])
    )


def choices(problem: Problem) -> list[tuple[int, ...]]:
    """Return every choice in which neighbours agree."""
    rows = itertools.product(*(range(len(part.options)) for part in problem.parts))
    return [chosen for chosen in rows if problem.is_allowed(chosen)]


thorough = settings(max_examples=100, deadline=None)


@thorough
@given(problems(), st.lists(st.floats(0, 3), min_size=COLUMNS, max_size=COLUMNS))
def test_without_limits_the_cheapest_choice_is_found(problem: Problem, weights) -> None:
    """And for each option the cheapest choice that has it."""
    weights = np.array(weights)
    all_ = choices(problem)
    costs = {chosen: float(problem.sums(chosen) @ weights) for chosen in all_}
    relaxation = Relaxation(problem)
    least, rows = relaxation.cheapest(weights)
    assert least == pytest.approx(min(costs.values()), abs=1e-4)
    assert costs[tuple(rows)] == pytest.approx(least, abs=1e-4)
    for index, marginals in enumerate(relaxation.marginals(weights)):
        for row, marginal in enumerate(marginals):
            with_it = [cost for chosen, cost in costs.items() if chosen[index] == row]
            if with_it:
                assert marginal == pytest.approx(min(with_it), abs=1e-4)
            else:
                assert marginal > 1e6


@thorough
@given(problems())
def test_within_limits_the_cheapest_choice_is_found(problem: Problem) -> None:
    sums = [problem.sums(chosen) for chosen in choices(problem)]
    prices = [problem.price(s) for s in sums if (s <= problem.limits).all()]
    found = solver.cheapest(problem)
    assert (found is None) == (not prices)
    if solver.is_excluded(problem):
        assert not prices
    if found is not None:
        rows = [name - 7 for name in found.options]
        assert (problem.sums(rows) <= problem.limits).all()
        assert problem.is_allowed(rows)
        assert found.price == pytest.approx(problem.price(problem.sums(rows)))
        assert found.price <= min(prices) * (1 + 2 * solver.EXACT.gap) + 1e-9
        assert found.bound <= min(prices) + 1e-6


@thorough
@given(problems())
def test_bounds_are_bounds(problem: Problem) -> None:
    affordable = problem.affordable()
    if affordable is None:
        return
    sums = [affordable.sums(chosen) for chosen in choices(affordable)]
    relaxation = Relaxation(affordable)
    weighed, excess = excess_bound(relaxation).value, total_excess_bound(relaxation).value
    price = price_bound(relaxation).value
    for s in sums:
        shares = (s * problem.scale)[problem.limits > 0]
        assert weighed <= shares.max(initial=0) - 1 + 1e-6
        assert excess <= np.maximum(shares - 1, 0).sum() + 1e-6
        if (s <= problem.limits).all():
            assert price <= problem.price(s) + 1e-6


@thorough
@given(problems())
def test_the_nearest_choice_exceeds_the_limits_least(problem: Problem) -> None:
    problem = replace(problem, limits=np.maximum(problem.limits, 1))
    found = [name - 7 for name in solver.nearest(problem)]
    assert problem.is_allowed(found)
    least = min(problem.excess(problem.sums(chosen)) for chosen in choices(problem))
    assert problem.excess(problem.sums(found)) <= least * (1 + solver.EXACT.gap) + 0.01


@thorough
@given(problems())
def test_a_choice_is_known_where_the_solver_runs_out_of_time(problem: Problem) -> None:
    problem = replace(problem, limits=np.maximum(problem.limits, 1))
    in_vain = Found(None, np.inf, -np.inf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solver, "search", lambda *_args, **_options: in_vain)
        found = [name - 7 for name in solver.nearest(problem)]
    assert problem.is_allowed(found)
    bound = total_excess_bound(Relaxation(problem))
    assert problem.excess(problem.sums(found)) == pytest.approx(bound.price)


def test_too_large_to_be_planned_is_said(monkeypatch) -> None:
    part = Part(np.array([4]), np.array([1]), np.ones((1, 1)), (0,), np.array([[0]]))
    problem = Problem((part,), (), (1,), np.zeros(1), np.ones(1), np.ones(1))
    monkeypatch.setattr("lepton_edge.backends.fpga.folding.relaxation.MOST_ENTRIES", 0)
    monkeypatch.setattr(solver, "search", lambda *_args, **_options: Found(None, np.inf, -np.inf))
    with pytest.raises(DoesNotFitError, match="more layers side by side than can be planned"):
        solver.nearest(problem)


def test_options_are_dropped_until_an_actor_has_none() -> None:
    part = Part(np.array([4, 5]), np.array([1, 2]), np.zeros((2, 1)), (0,), np.array([[0], [1]]))
    problem = Problem((part,), (), (2,), np.zeros(1), np.ones(1), np.ones(1))
    slow = problem.at_rate(1)
    assert slow is not None
    assert slow.parts[0].options.tolist() == [4]
    assert slow.sizes == (1,)
    assert problem.at_rate(0) is None
