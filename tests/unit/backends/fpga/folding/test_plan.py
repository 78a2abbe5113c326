"""Plans: as good as exhaustive search, within the budget, or refused with numbers."""

from __future__ import annotations

import re
from dataclasses import astuple, replace

import numpy as np
import pytest

from lepton_edge.backends.boards import Resources, load_board
from lepton_edge.backends.fpga.folding import (
    Goal,
    Plan,
    Planner,
    Space,
    budget_of,
    find_plan,
    plan,
    solver,
)
from lepton_edge.backends.fpga.folding.budget import counts
from lepton_edge.backends.fpga.schedule import latency_cycles
from lepton_edge.errors import DoesNotFitError
from tests.unit.backends.fpga.folding.networks import (
    SMALL,
    Everything,
    conv,
    deep_residual,
    depthwise,
    mlp,
    random_budgets,
    residual,
)

every_network = pytest.mark.parametrize("make", SMALL, ids=lambda make: make.__name__)

NEAR = 1.05
"""How near to the optimum a plan must be."""


OVERLOOKED = 0.08
"""Share of tight budgets at which a plan may be slower or dearer than it need."""


@pytest.fixture(scope="module")
def everything(net):
    """Give a function that returns all designs of a network."""
    found: dict[str, Everything] = {}

    def of(make) -> Everything:
        if make.__name__ not in found:
            found[make.__name__] = Everything.of(make(net))
        return found[make.__name__]

    return of


def planned(space: Space, budget: Resources, goal: Goal) -> Plan | None:
    try:
        return find_plan(Planner(space, budget), goal)
    except DoesNotFitError:
        return None


# -- against exhaustive search --------------------------------------------------------------------


@every_network
def test_no_design_that_fits_is_faster_or_cheaper(net, board, make, everything) -> None:
    """And what fits is not refused, but for FIFOs: what they hold is known once a choice is made.

    Where a budget is tight, a design that holds less in its FIFOs is now and then overlooked.
    """
    space, all_ = Space(make(net), {}), everything(make)
    fitting = overlooked = 0
    for budget in random_budgets(board, 50):
        fits = all_.within(budget)
        found = planned(space, budget, Goal())
        if not fits.any():
            assert found is None
            continue
        fitting += 1
        if found is None:
            overlooked += 1
            continue
        assert found.dataflow.resources.fits(budget)
        fastest = fits & (all_.cycles == found.dataflow.cycles)
        is_fastest = found.dataflow.cycles == all_.cycles[fits].min()
        is_cheap = found.price <= NEAR * all_.least_price(budget, fastest)
        overlooked += not (is_fastest and is_cheap)
    assert fitting > 20
    assert overlooked <= OVERLOOKED * fitting


@every_network
def test_a_rate_is_met_at_the_least_price(net, board, make, everything) -> None:
    """And no design is cheaper than the gap allows."""
    space, all_ = Space(make(net), {}), everything(make)
    rng = np.random.default_rng(3)
    for budget in random_budgets(board, 25, seed=6):
        fits = all_.within(budget)
        if not fits.any():
            continue
        goal = int(rng.choice(all_.cycles[fits]))
        found = planned(space, budget, Goal(cycles=goal))
        assert found is not None
        assert found.dataflow.cycles <= goal
        least = all_.least_price(budget, fits & (all_.cycles <= goal))
        assert found.price <= NEAR * least
        assert found.price * (1 - found.gap) <= NEAR * least


@every_network
def test_a_latency_is_met_at_nearly_the_least_price(net, board, make, everything) -> None:
    """Unless it is within 5 % of the least possible, where a plan may cost more.

    Latency depends on FIFO depths as well, which are known once a choice is made.
    """
    space, all_ = Space(make(net), {}), everything(make)
    rng = np.random.default_rng(4)
    for budget in random_budgets(board, 12, seed=7):
        fits = all_.within(budget)
        if not fits.any():
            continue
        latencies = all_.latencies[fits]
        lax = latencies[latencies > 1.05 * latencies.min()]
        for limit in (int(latencies.min() * 1.02) + 1, int(rng.choice(lax))):
            found = planned(space, budget, Goal(latency=limit))
            assert found is not None
            assert found.dataflow.resources.fits(budget)
            assert latency_cycles(found.dataflow) <= limit
            price = all_.least_price(budget, fits & (all_.latencies <= limit))
            if limit in lax:
                assert found.price <= NEAR**2 * price


@every_network
def test_costs_are_those_of_the_design(net, plenty, make) -> None:
    """Forks, converters and FIFOs included."""
    space = Space(make(net), {})
    problem = space.problem(plenty, {})
    rng = np.random.default_rng(0)
    seen = 0
    while seen < 20:
        rows = [int(rng.integers(len(part.options))) for part in problem.parts]
        if problem.is_allowed(rows):
            seen += 1
            design = space.connected(rows)
            np.testing.assert_array_equal(problem.sums(rows), counts(design.resources))
            assert design.cycles == max(
                p.cycles[r] for p, r in zip(problem.parts, rows, strict=True)
            )


@every_network
def test_without_bounds_the_plan_is_the_same(net, board, make, monkeypatch) -> None:
    """Where the tables of the bounds would be too large, the solver gets the whole choice."""
    space = Space(make(net), {})
    budgets = list(random_budgets(board, 3, seed=8))
    wanted = [planned(space, budget, Goal()) for budget in budgets]
    monkeypatch.setattr("lepton_edge.backends.fpga.folding.relaxation.MOST_ENTRIES", 0)
    for budget, with_bounds in zip(budgets, wanted, strict=True):
        found = planned(space, budget, Goal())
        assert (found is None) == (with_bounds is None)
        if found is not None and with_bounds is not None:
            assert found.dataflow.cycles == with_bounds.dataflow.cycles
            assert found.price == pytest.approx(with_bounds.price, rel=solver.EXACT.gap)


@every_network
def test_a_larger_budget_is_never_slower(net, board, make) -> None:
    space = Space(make(net), {})
    for budget in random_budgets(board, 10):
        plans = [
            planned(space, Resources(*(int(v * k) for v in astuple(budget))), Goal())
            for k in (1, 1.5, 2, 4)
        ]
        cycles = [found.dataflow.cycles if found else np.inf for found in plans]
        assert cycles == sorted(cycles, reverse=True)


def test_the_same_question_has_the_same_answer(net, board) -> None:
    flow = deep_residual(net, 3, (8, 16, 32), 16)
    first, second = (find_plan(Planner(Space(flow, {}), budget_of(board)), Goal()) for _ in "ab")
    assert first.options == second.options
    assert first.dataflow.depths == second.dataflow.depths


def test_a_residual_network_is_planned_to_a_proven_price(net, board) -> None:
    found = find_plan(
        Planner(Space(deep_residual(net, 3, (8, 16, 32), 16), {}), budget_of(board)), Goal()
    )
    assert found.dataflow.resources.fits(budget_of(board))
    assert found.gap <= 0.01


@pytest.mark.slow
def test_fifty_layers_are_planned_to_a_proven_price(net) -> None:
    """24 blocks: 52 layers with weights, 279 actors."""
    budget = budget_of(load_board("zcu104"))
    planner = Planner(Space(deep_residual(net, 24, (16, 32, 64), 32), {}), budget)
    found = find_plan(planner, Goal())
    assert found.dataflow.resources.fits(budget)
    assert found.gap <= 0.01
    assert not planner.may_fit(found.dataflow.cycles * 9 // 10)


def test_a_fork_does_not_limit_the_rate(net, plenty) -> None:
    """Its words are as wide as its writer's, whatever they were before folding."""
    n = net()
    x = n.requantize("stem_q", n.dense("stem", n.input(64), 64))
    flow = n.dataflow(n.add("sum", n.requantize("q", n.dense("a", x, 64)), x))
    assert (
        plan(flow, replace(plenty, lut=10**7, ff=10**7), Goal()).cycles == 8
    )  # 64 codes, 8 a word


def test_a_huge_layer_is_planned(net, plenty) -> None:
    n = net()
    flow = n.dataflow(n.dense("fc", n.input(2048), 1000))
    assert plan(flow, plenty, Goal()).resources.fits(plenty)


def test_multipliers_move_to_luts_when_dsps_run_out(net, plenty) -> None:
    flow = mlp(net)
    fast = plan(flow, plenty, Goal())
    assert plan(flow, replace(plenty, dsp=4), Goal()).cycles == fast.cycles


# -- goals ----------------------------------------------------------------------------------------


def test_a_rate_beyond_reach_says_what_limits_it(net, plenty) -> None:
    flow = conv(net)
    fastest = plan(flow, plenty, Goal()).cycles
    with pytest.raises(DoesNotFitError) as caught:
        plan(flow, plenty, Goal(cycles=fastest - 1))
    text = str(caught.value)
    assert f"takes at least {fastest} cycles a frame; the goal allows {fastest - 1}" in text
    assert f"at most one frame in {fastest} cycles" in text
    assert plan(flow, plenty, Goal(cycles=fastest)).cycles == fastest


def test_a_rate_beyond_the_budget_says_by_how_much(net) -> None:
    flow = conv(net)
    with pytest.raises(DoesNotFitError) as caught:
        plan(flow, Resources(lut=900, ff=5000, dsp=9), Goal(cycles=250))
    text = str(caught.value)
    assert "cycles a frame the design needs lut" in text
    assert "of 900" in text
    assert "most lut goes to layer 'c'" in text
    assert "it would fit" in text


@pytest.mark.parametrize("budget", [Resources(), Resources(lut=1), Resources(dsp=100)])
def test_next_to_nothing_is_refused(net, budget: Resources) -> None:
    for make in (mlp, conv, depthwise, residual):
        with pytest.raises(DoesNotFitError, match="the design needs lut"):
            plan(make(net), budget, Goal())


def test_latency_is_met_by_a_smaller_design_or_refused(net, plenty) -> None:
    flow = conv(net)
    fastest = plan(flow, plenty, Goal())
    least = latency_cycles(fastest)
    relaxed = plan(flow, plenty, Goal(latency=3 * least))
    assert latency_cycles(relaxed) <= 3 * least
    assert relaxed.resources.lut < fastest.resources.lut
    with pytest.raises(
        DoesNotFitError, match=r"takes (\d+) cycles .*; the goal allows 30"
    ) as caught:
        plan(flow, plenty, Goal(latency=30))
    reached = int(re.search(r"takes (\d+)", str(caught.value)).group(1))
    assert 30 < reached <= least
    assert latency_cycles(plan(flow, plenty, Goal(latency=reached))) <= reached


def test_rate_and_latency_together(net, plenty) -> None:
    flow = conv(net)
    slow = plan(flow, plenty, Goal(cycles=600))
    limit = latency_cycles(slow) - 1
    both = plan(flow, plenty, Goal(cycles=600, latency=limit))
    assert both.cycles <= 600
    assert latency_cycles(both) <= limit
