"""What else a board could do: plans over the whole range of rates."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable

import numpy as np

from lepton_edge.backends.fpga.folding.plan import Goal, does_not_fit, find_plan
from lepton_edge.backends.fpga.folding.planner import Plan, Planner

POINTS = 16
"""Rates asked for, evenly spaced on a logarithmic scale."""

CHEAPER = 0.01
"""Part of the price that a slower plan must save to be worth showing."""


def explore(
    planner: Planner, goal: Goal, advance: Callable[[int, int], None]
) -> tuple[list[Plan], int]:
    """Return plans from the fastest that fits to the cheapest, and which of them the goal chooses.

    Of all others than the chosen one, none is slower than another one without being cheaper.

    Args:
        planner: the network and the budget.
        goal: as for `find_plan`.
        advance: told how many plans of how many are made.

    Raises:
        DoesNotFitError: no folding meets the goal within the budget.
    """
    chosen = find_plan(planner, goal)
    fastest = chosen if goal == Goal() else planner.fastest()
    rates = planner.space.cycle_counts
    if fastest is None:
        raise does_not_fit(planner, rates[-1])
    wanted = np.geomspace(fastest.dataflow.cycles, rates[-1], POINTS)[1:]
    slower = dict.fromkeys(bisect.bisect_right(rates, cycles + 0.5) - 1 for cycles in wanted)
    made = (planner.at_rate(rates[index]) for index in slower)
    plans: dict[tuple[int, ...], Plan] = {chosen.options: chosen}
    least = np.inf
    for done, plan in enumerate(itertools.chain([fastest], made)):
        advance(done, len(slower))
        if plan is not None and plan.price < least * (1 - CHEAPER):
            least = plan.price
            plans[plan.options] = plan
    ordered = sorted(plans.values(), key=lambda p: (p.dataflow.cycles, -p.price))
    return ordered, next(k for k, p in enumerate(ordered) if p.options == chosen.options)
