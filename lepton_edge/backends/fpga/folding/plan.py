"""A plan for the user's goal, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from lepton_edge.backends.boards import Resources, list_boards
from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.folding.budget import budget_of
from lepton_edge.backends.fpga.folding.pins import Pins
from lepton_edge.backends.fpga.folding.planner import Plan, Planner
from lepton_edge.backends.fpga.folding.space import Space
from lepton_edge.backends.fpga.folding.within import quickest, within_latency
from lepton_edge.backends.fpga.schedule import latency_cycles
from lepton_edge.errors import DoesNotFitError


@dataclass(frozen=True)
class Goal:
    """What a plan must reach.

    Args:
        cycles: most cycles a frame in steady state; None for as few as fit.
        latency: most cycles from the first input to the last output; None for any.
    """

    cycles: int | None = None
    latency: int | None = None


def plan(dataflow: Dataflow, budget: Resources, goal: Goal, pins: Pins | None = None) -> Dataflow:
    """Return the network folded, connected, and with FIFO depths.

    See `find_plan`.
    """
    return find_plan(Planner(Space(dataflow, pins or {}), budget), goal).dataflow


def find_plan(planner: Planner, goal: Goal) -> Plan:
    """Return the cheapest plan that reaches the goal.

    Without a goal that is the cheapest of those with the fewest cycles a frame.

    Args:
        planner: the network and the budget.
        goal: throughput or latency to reach, or as fast as fits.

    Raises:
        DoesNotFitError: no folding meets the goal within the budget; says by how much.
    """
    rates = planner.space.cycle_counts
    if goal.cycles is not None and goal.cycles < rates[0]:
        raise _too_fast(planner, goal.cycles)
    cycles = rates[-1] if goal.cycles is None else goal.cycles
    if goal.latency is not None:
        found = within_latency(planner, cycles, goal.latency)
    elif goal.cycles is not None:
        found = planner.at_rate(cycles)
    else:
        found = planner.fastest()
    if found is not None:
        return found
    if goal.latency is not None:
        least = quickest(planner, cycles, goal.latency)
        if least is not None:
            raise _too_late(planner, latency_cycles(least.dataflow), goal.latency)
    near = planner.nearest(cycles)
    if goal.latency is None and planner.is_within(near):
        return near
    raise does_not_fit(planner, cycles)


def _too_late(planner: Planner, reached: int, latency: int) -> DoesNotFitError:
    return DoesNotFitError(
        f"the quickest design found that fits takes {reached} cycles from input to output; "
        f"the goal allows {latency}",
        where=planner.space.dataflow.name,
        hint="allow more latency, raise the clock, or choose a larger board",
    )


def _too_fast(planner: Planner, cycles: int) -> DoesNotFitError:
    layer, least = planner.space.bottleneck.layer, planner.space.cycle_counts[0]
    return DoesNotFitError(
        f"layer {layer!r} takes at least {least} cycles a frame; the goal allows {cycles}",
        where=planner.space.dataflow.name,
        hint=f"ask for a lower rate: at most one frame in {least} cycles",
    )


def does_not_fit(planner: Planner, cycles: int) -> DoesNotFitError:
    """Say what the plan that comes nearest to the budget needs, and which boards have that."""
    planned = planner.nearest(cycles).dataflow
    excess = planned.resources.excess(planner.budget)
    needs, has = planned.resources.as_dict(), planner.budget.as_dict()
    parts = [f"{name} {needs[name]:g} of {has[name]:g}" for name in excess]
    worst = next(iter(excess), "lut")
    largest = max(planned.actors, key=lambda a: a.kernel.resources.as_dict()[worst])
    roomy = [
        board.name
        for board in list_boards()
        if planned.resources.fits(budget_of(board))
        or Planner(planner.space, budget_of(board), planner.waiting).may_fit(cycles)
    ]
    would_fit = (
        f"at this rate it would fit {', '.join(roomy)}" if roomy else "no known board fits it"
    )
    advice = "quantise to fewer bits"
    if cycles < planner.space.cycle_counts[-1]:  # else slower designs are no smaller
        advice = f"ask for a lower rate, or {advice}"
    return DoesNotFitError(
        f"at {cycles} cycles a frame the design needs {', '.join(parts)} allowed (estimated); "
        f"most {worst} goes to layer {largest.layer!r} "
        f"({largest.kernel.resources.as_dict()[worst]:g})",
        where=planner.space.dataflow.name,
        hint=f"{advice}; {would_fit}",
    )
