"""Plans: choices together with the FIFOs that they need, at a rate or as fast as fits."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.folding.budget import price_of
from lepton_edge.backends.fpga.folding.problem import Problem
from lepton_edge.backends.fpga.folding.solver import EXACT, ROUGH, cheapest, is_excluded, nearest
from lepton_edge.backends.fpga.folding.space import Row, Space, Waiting
from lepton_edge.backends.fpga.schedule import sized
from lepton_edge.errors import InternalError

ROUNDS = 8
"""Times that a choice is made anew for the FIFOs that it led to."""


@dataclass(frozen=True)
class Plan:
    """A network with its foldings chosen.

    Args:
        options: what each deciding actor takes.
        dataflow: the network folded, connected, with FIFO depths.
        price: what it takes of the budget, each resource at its price.
        bound: no plan for the same goal, with FIFOs that hold as much, has a lower price.
    """

    options: tuple[int, ...]
    dataflow: Dataflow
    price: float
    bound: float

    @property
    def gap(self) -> float:
        """By how much of its price, at most, the plan could be cheaper: 0..1."""
        return max(0.0, 1 - self.bound / self.price) if self.price else 0.0


class Planner:
    """Finds plans of one network within one budget.

    What FIFOs must hold follows from a whole design, not from single choices. So a choice is made
    with what the FIFOs of the plan before had to hold, until that stays the same.

    Args:
        space: the network and its foldings.
        budget: what a plan may use.
        waiting: what FIFOs probably hold.
    """

    def __init__(
        self, space: Space, budget: Resources, waiting: Mapping[str, Waiting] | None = None
    ) -> None:
        self.space = space
        self.budget = budget
        self.waiting: Mapping[str, Waiting] = waiting or {}

    def problem(self, cycles: int, rows: Sequence[Row] = ()) -> Problem | None:
        """Return the choice among the options of at most ``cycles``; None without."""
        return self.space.problem(self.budget, self.waiting, rows).at_rate(cycles)

    def choice(self, cycles: int, rows: Sequence[Row] = ()) -> Plan | None:
        """Return the plan of the cheapest choice, which its FIFOs may bring beyond the budget.

        Args:
            cycles: most cycles a frame.
            rows: what else is limited.
        """
        problem = self.problem(cycles, rows)
        found = cheapest(problem, ROUGH if rows else EXACT) if problem else None
        return None if found is None else self.built(found.options, found.bound)

    def built(self, options: Sequence[int], bound: float) -> Plan:
        """Return the plan of a choice, and remember what its FIFOs hold."""
        connected = self.space.connected(options)
        planned = sized(connected)
        self.waiting = self.space.observed(planned)
        return Plan(tuple(options), planned, price_of(planned.resources, self.budget), bound)

    def is_within(self, plan: Plan) -> bool:
        """Whether a plan is within the budget."""
        return plan.dataflow.resources.fits(self.budget)

    def at_rate(self, cycles: int) -> Plan | None:
        """Return the cheapest plan with at most ``cycles`` a frame; None if none was found."""
        found = self._settled(cycles)
        if found is None and self.waiting:
            # The FIFOs of plans that do not fit may hold more than those of plans that do.
            self.waiting = {}
            found = self._settled(cycles)
        return found

    def _settled(self, cycles: int) -> Plan | None:
        best: Plan | None = None
        last: Plan | None = None
        seen: set[tuple[int, ...]] = set()
        for _ in range(ROUNDS):
            before = self.waiting
            plan = self.choice(cycles)
            if plan is None:
                break
            last = plan
            if self.is_within(plan) and (best is None or plan.price <= best.price):
                best = plan
            is_settled = plan.gap <= EXACT.gap or self.waiting == before
            if plan.options in seen or (best is plan and is_settled):
                break
            seen.add(plan.options)
        return best or (self._in_less(cycles, last) if last else None)

    def _in_less(self, cycles: int, beyond: Plan) -> Plan | None:
        """Return a plan chosen for less than the budget, so that its FIFOs have room; None without.

        Args:
            cycles: most cycles a frame.
            beyond: a plan that was chosen for the budget, and needs more with its FIFOs.
        """
        budget, plan = self.budget, beyond
        for _ in range(ROUNDS):
            budget = budget.less(plan.dataflow.resources.excess(self.budget))
            found = Planner(self.space, budget, self.waiting).choice(cycles)
            if found is None:
                return None
            plan = replace(found, bound=beyond.bound)
            if self.is_within(plan):
                price = price_of(plan.dataflow.resources, self.budget)
                return replace(plan, price=price)
        return None

    def fastest(self) -> Plan | None:
        """Return the cheapest of the plans with the fewest cycles a frame; None if none fits."""
        rates, waiting = self.space.cycle_counts, self.waiting
        first = 0
        while first < len(rates):
            # What FIFOs of plans held that do not fit excludes no slower plan.
            self.waiting = waiting
            first = bisect.bisect_left(
                range(len(rates)), True, lo=first, key=lambda k: self.may_fit(rates[k])
            )
            plan = self.at_rate(rates[first]) if first < len(rates) else None
            if plan:
                return plan
            first += 1
        return self.at_rate(rates[-1])

    def may_fit(self, cycles: int) -> bool:
        """Whether no bound excludes a plan at this rate."""
        problem = self.problem(cycles)
        return problem is not None and not is_excluded(problem)

    def nearest(self, cycles: int) -> Plan:
        """Return the plan that goes beyond the budget least."""
        problem = self.problem(cycles)
        if problem is None:
            raise InternalError(f"no folding takes {cycles} cycles", where=self.space.dataflow.name)
        return self.built(nearest(problem), 0.0)
