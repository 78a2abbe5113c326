"""Exploring: a front of plans, with the one that the goal chooses."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lepton_edge.backends.fpga.folding import Goal, Planner, Space, budget_of, explore, find_plan
from lepton_edge.backends.fpga.schedule import latency_cycles
from lepton_edge.errors import DoesNotFitError
from tests.unit.backends.fpga.folding.networks import conv, deep_residual


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def test_slower_plans_are_cheaper(net, board) -> None:
    planner = Planner(Space(deep_residual(net, 3, (8, 16, 32), 16), {}), budget_of(board))
    plans, chosen = explore(planner, Goal(), silent)
    assert len(plans) >= 8
    assert chosen == 0  # without a goal the fastest
    for faster, slower in pairwise(plans):
        assert faster.dataflow.cycles < slower.dataflow.cycles
        assert faster.price > slower.price
    assert all(plan.dataflow.resources.fits(planner.budget) for plan in plans)


@pytest.mark.parametrize("goal", [Goal(cycles=500), Goal(latency=600), Goal(700, 650)])
def test_the_plan_of_the_goal_is_among_them(net, plenty, goal: Goal) -> None:
    space = Space(conv(net), {})
    plans, chosen = explore(Planner(space, plenty), goal, silent)
    found = plans[chosen]
    assert found.dataflow.cycles <= (goal.cycles or found.dataflow.cycles)
    assert latency_cycles(found.dataflow) <= (goal.latency or 10**9)
    assert found.price == pytest.approx(find_plan(Planner(space, plenty), goal).price)
    assert min(plan.dataflow.cycles for plan in plans) == plans[0].dataflow.cycles


def test_a_goal_out_of_reach_is_refused(net, plenty) -> None:
    with pytest.raises(DoesNotFitError, match="the goal allows 3"):
        explore(Planner(Space(conv(net), {}), plenty), Goal(cycles=3), silent)
