"""How cheap a choice within the limits can be at best: Lagrangian bounds.

Each limit is replaced by a multiplier, a price on top for each share of it; what remains is a
relaxation without limits, and its optimum is a lower bound for any multipliers. The best ones are
found by cutting planes (Kelley, "The cutting-plane method for solving convex programs", 1960). For
folding they are tight: within a few parts in a thousand of the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.fpga.folding.problem import Problem
from lepton_edge.backends.fpga.folding.relaxation import Relaxation
from lepton_edge.ir.types import Array

STEPS = 60
"""Most cutting planes of one bound; some ten are usual."""

CLOSE = 1e-3
"""A bound is good enough when it is as near as this to the best that is still possible."""

MOST_MULTIPLIER = 20.0
"""Most that a multiplier may be; the prices themselves are at most 1."""

SMOOTHING = 0.5
"""Part of the way from the best multipliers so far to those that the cuts propose."""


@dataclass(frozen=True)
class Bound:
    """What multipliers prove.

    Args:
        value: no choice within the limits has a lower price.
        weights: float64 [columns], prices and multipliers together, of a unit of each cost.
        offset: sum of the multipliers: what the limits are worth.
        rows: the cheapest choice within the limits that was met on the way; None if none was.
            Where limits may be exceeded: the choice that exceeds them least.
        price: of that choice, or by how much it exceeds them; infinite if none was met.
    """

    value: float
    weights: Array
    offset: float
    rows: list[int] | None
    price: float

    def least(self, relaxation: Relaxation) -> list[Array]:
        """Return the bound for choices that have an option, for each part and option."""
        return [m - self.offset for m in relaxation.marginals(self.weights)]


def price_bound(relaxation: Relaxation) -> Bound:
    """Return a lower bound on the price of a choice within the limits."""
    prices = relaxation.problem.prices
    return _ascend(relaxation, prices, _Region(MOST_MULTIPLIER))


def excess_bound(relaxation: Relaxation) -> Bound:
    """Return a bound that is above 0 only if there is no choice within the limits.

    The multipliers are weights with the sum 1, so the value is a weighted mean of shares, less 1.
    It is the best such value unless a smaller one, or a choice, decides the matter.
    """
    nothing = np.zeros_like(relaxation.problem.prices)
    return _ascend(relaxation, nothing, _Region(1.0, is_weighing=True))


def total_excess_bound(relaxation: Relaxation) -> Bound:
    """Return how far at least the limits are exceeded together, in shares of them."""
    nothing = np.zeros_like(relaxation.problem.prices)
    return _ascend(relaxation, nothing, _Region(1.0, is_elastic=True))


@dataclass(frozen=True)
class _Region:
    """Where multipliers may be: each in 0..``most``, and with the sum 1 if they weigh.

    If it is elastic, multipliers are what exceeding the limits costs: then any choice is one.
    """

    most: float
    is_weighing: bool = False
    is_elastic: bool = False

    def price(self, problem: Problem, sums: Array) -> float:
        """Return the price of a choice that costs ``sums``; infinite if it may not be."""
        if self.is_elastic:
            return problem.excess(sums)
        return problem.price(sums) if (sums <= problem.limits).all() else np.inf


def _ascend(relaxation: Relaxation, prices: Array, region: _Region) -> Bound:
    problem = relaxation.problem
    active = np.flatnonzero(problem.limits > 0)
    scale, prices = problem.scale, np.where(problem.limits > 0, prices, 0.0)
    start = 1 / max(1, len(active)) if region.is_weighing else 0.0
    multipliers = best_at = np.full(len(active), start)
    cuts = _Cuts(len(active), region)
    best, weights_at = -np.inf, scale * prices
    rows, price = None, np.inf
    for _ in range(STEPS):
        weights = prices.copy()
        weights[active] += multipliers
        weights *= scale
        least, chosen = relaxation.cheapest(weights)
        sums = problem.sums(chosen)
        if least - multipliers.sum() > best:
            best, best_at, weights_at = least - multipliers.sum(), multipliers, weights
        if problem.is_allowed(chosen) and region.price(problem, sums) < price:
            rows, price = chosen, region.price(problem, sums)
        if region.is_weighing and (best > 0 or rows is not None):
            break
        shares = (sums * scale)[active]
        cuts.add(float(prices * scale @ sums), shares - 1)
        possible, proposed = cuts.best()
        if min(possible, price) - best <= CLOSE * max(abs(best), float(region.most == 1.0)):
            break
        multipliers = best_at + SMOOTHING * (proposed - best_at)
    return Bound(float(best), weights_at, float(best_at.sum()), rows, float(price))


class _Cuts:
    """The linear programme over the multipliers: what choices met so far say about the bound."""

    def __init__(self, count: int, region: _Region) -> None:
        from ortools.linear_solver import pywraplp

        self._solver = pywraplp.Solver.CreateSolver("GLOP")
        self._multipliers = [self._solver.NumVar(0.0, region.most, "") for _ in range(count)]
        if region.is_weighing:
            total = self._solver.Constraint(1.0, 1.0)
            for variable in self._multipliers:
                total.SetCoefficient(variable, 1.0)
        self._value = self._solver.NumVar(-self._solver.infinity(), self._solver.infinity(), "")
        self._solver.Maximize(self._value)

    def add(self, constant: float, slopes: Array) -> None:
        """Add: the value is at most ``constant + slopes @ multipliers``."""
        cut = self._solver.Constraint(-self._solver.infinity(), constant)
        cut.SetCoefficient(self._value, 1.0)
        for variable, slope in zip(self._multipliers, slopes.tolist(), strict=True):
            cut.SetCoefficient(variable, -slope)

    def best(self) -> tuple[float, Array]:
        """Return the highest value that the cuts allow, and the multipliers there."""
        self._solver.Solve()
        found = np.array([variable.solution_value() for variable in self._multipliers])
        return self._value.solution_value(), found
