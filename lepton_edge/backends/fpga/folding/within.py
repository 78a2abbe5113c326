"""Plans within a latency: choices under a linear view of the latency, then small changes.

The linear view (`latency`) holds near the design from which it is taken. So a choice is made, seen
for what it is, and made anew with its own view as a further limit; and at the end neighbouring
actors are changed for the better (`changes`), each time with the latency of the whole design.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lepton_edge.backends.fpga.folding.changes import changes
from lepton_edge.backends.fpga.folding.latency import latency_row
from lepton_edge.backends.fpga.folding.planner import ROUNDS, Plan, Planner
from lepton_edge.backends.fpga.folding.problem import Problem
from lepton_edge.backends.fpga.folding.solver import ROUGH, cheapest
from lepton_edge.backends.fpga.folding.space import Row
from lepton_edge.backends.fpga.schedule import latency_cycles, sized

TRIES = 50
"""Most designs whose latency is looked at to change a plan."""

WORTHWHILE = 1e-3
"""Least part of the price that a change must save."""

DOUBT = 0.2
"""How far above its limit the linear view of a latency may be for a change to be looked at."""


def within_latency(planner: Planner, cycles: int, limit: int) -> Plan | None:
    """Return a cheap plan within a latency; None if none was found.

    Its bound is that of plans with any latency.

    Args:
        planner: the network and the budget.
        cycles: most cycles a frame.
        limit: most cycles from the first input to the last output.
    """
    cheap = planner.at_rate(cycles)
    if cheap is None:
        return None
    if latency_cycles(cheap.dataflow) <= limit:
        return cheap
    starts = [_bent(planner, cheap, cycles, limit), _slowed(planner, cycles, limit)]
    found = [plan for plan in starts if plan is not None]
    if not found:
        plan = quickest(planner, cycles, limit)
        found = [plan] if plan and latency_cycles(plan.dataflow) <= limit else []
    plans = [_cheaper(planner, plan, cycles, limit) for plan in found]
    best = min(plans, key=lambda plan: plan.price, default=None)
    return None if best is None else replace(best, bound=cheap.bound)


def _bent(planner: Planner, plan: Plan, cycles: int, limit: int) -> Plan | None:
    """Return a plan found by making the choice anew with ever more views of the latency."""
    rows: list[Row] = []
    for _ in range(ROUNDS):
        reached = latency_cycles(plan.dataflow)
        if reached <= limit and planner.is_within(plan):
            return plan
        rows.append(latency_row(planner.space, plan.dataflow, reached, limit))
        chosen = planner.choice(cycles, rows)
        if chosen is None or chosen.options == plan.options:
            return None
        plan = chosen
    return None


def _slowed(planner: Planner, cycles: int, limit: int) -> Plan | None:
    """Return the plan of the slowest rate whose latency is within the limit."""
    rates = [rate for rate in planner.space.cycle_counts if rate <= cycles]
    best, low, high = None, 0, len(rates)
    while low < high:
        middle = (low + high) // 2
        plan = planner.at_rate(rates[middle])
        if plan is None or latency_cycles(plan.dataflow) <= limit:
            best, low = plan or best, middle + 1
        else:
            high = middle
    return best


def quickest(planner: Planner, cycles: int, enough: int) -> Plan | None:
    """Return the plan with the least latency that was found; None if none fits.

    Args:
        planner: the network and the budget.
        cycles: most cycles a frame.
        enough: the latency below which no better one is sought.
    """
    best = planner.fastest()
    if best is None or best.dataflow.cycles > cycles:
        return None
    plan, rows = best, []
    for _ in range(ROUNDS):
        reached, least = latency_cycles(plan.dataflow), latency_cycles(best.dataflow)
        if planner.is_within(plan) and reached < least:
            best, least = plan, reached
        if least <= enough:
            break
        rows.append(latency_row(planner.space, plan.dataflow, reached, least - 1))
        problem = planner.problem(cycles, rows)
        chosen = cheapest(_with_price_of_latency(problem), ROUGH) if problem else None
        if chosen is None:
            break
        plan = planner.built(chosen.options, chosen.bound)
    return _quicker(planner, best, cycles, enough)


def _with_price_of_latency(problem: Problem) -> Problem:
    """Return the problem in which the last row has a price, and nothing else."""
    prices = np.zeros_like(problem.prices)
    prices[-1] = 1.0
    return replace(problem, prices=prices)


def _quicker(planner: Planner, plan: Plan, cycles: int, enough: int) -> Plan:
    """Change a few actors as long as that lowers the latency."""
    tries = TRIES
    while (reached := latency_cycles(plan.dataflow)) > enough:
        row = latency_row(planner.space, plan.dataflow, reached, 2 * reached)
        problem = planner.problem(cycles, [row])
        if problem is None:
            return plan
        for options in changes(_with_price_of_latency(problem), plan, np.inf):
            tries -= 1
            if tries < 0:
                return plan
            if latency_cycles(sized(planner.space.connected(options))) < reached:
                changed = planner.built(options, plan.bound)
                if planner.is_within(changed):
                    plan = changed
                    break
        else:
            return plan
    return plan


def _cheaper(planner: Planner, plan: Plan, cycles: int, limit: int) -> Plan:
    """Change a few actors as long as that saves something and keeps the limits."""
    tries = TRIES
    while True:
        reached = latency_cycles(plan.dataflow)
        row = latency_row(planner.space, plan.dataflow, reached, int(limit * (1 + DOUBT)))
        problem = planner.problem(cycles, [row])
        if problem is None:
            return plan
        for options in changes(problem, plan, plan.price * (1 - WORTHWHILE)):
            tries -= 1
            if tries < 0:
                return plan
            if latency_cycles(sized(planner.space.connected(options))) <= limit:
                changed = planner.built(options, plan.bound)
                if planner.is_within(changed) and changed.price < plan.price:
                    plan = changed
                    break
        else:
            return plan
