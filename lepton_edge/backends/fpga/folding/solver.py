"""The cheapest choice within the limits: bounds first, then CP-SAT on the options left.

A bound tells for every option how cheap a choice with it can be at best. Options for which that is
more than the optimum cannot be in it; CP-SAT gets the others, some two for each actor.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lepton_edge.backends.fpga.folding.bounds import (
    Bound,
    excess_bound,
    price_bound,
    total_excess_bound,
)
from lepton_edge.backends.fpga.folding.cpsat import NOTHING, Effort, Found, search
from lepton_edge.backends.fpga.folding.problem import Problem, Solution
from lepton_edge.backends.fpga.folding.relaxation import Relaxation
from lepton_edge.errors import DoesNotFitError
from lepton_edge.ir.types import Array

EXACT = Effort(gap=0.005, seconds=4.0, slacks=(0.001, 0.004, 0.02, np.inf))
"""For a choice that is to be proven."""

ROUGH = Effort(gap=0.03, seconds=0.5, slacks=(0.01, 0.05))
"""For a choice on the way to another one."""

PATIENT = Effort(gap=0.1, seconds=60.0, slacks=())
"""For any choice at all, where no bound helps to find one."""

ROUNDING = 1e-7
"""Error of a bound from floating point."""


NEARBY = 0.02
"""How far above the bound an option may be for the choice that exceeds the limits least."""


def is_excluded(problem: Problem) -> bool:
    """Whether bounds prove that no choice is within the limits."""
    affordable = problem.affordable()
    if affordable is None:
        return True
    relaxation = Relaxation(affordable)
    return relaxation.is_small and excess_bound(relaxation).value > ROUNDING


def cheapest(problem: Problem, effort: Effort = EXACT) -> Solution | None:
    """Return the cheapest choice within the limits; None if there is none."""
    affordable = problem.affordable()
    return None if affordable is None else _cheapest(affordable, effort)


def _cheapest(problem: Problem, effort: Effort) -> Solution | None:
    relaxation = Relaxation(problem)
    if not relaxation.is_small:
        found = search(problem, None, effort)
        return _solution(found, found.bound)
    excess = excess_bound(relaxation)
    if excess.value > ROUNDING:
        return None
    bound = price_bound(relaxation)
    proven = bound.value
    best = min(_met(problem, excess), _met(problem, bound), key=lambda f: f.price)
    if best.price <= proven * (1 + effort.gap):
        return _solution(best, proven)
    is_possible = [least <= ROUNDING for least in excess.least(relaxation)]
    prices = bound.least(relaxation)
    for slack in effort.slacks:
        limit = bound.value * (1 + slack) if slack < np.inf else np.inf
        keep = [
            possible & (least <= limit + ROUNDING)
            for possible, least in zip(is_possible, prices, strict=True)
        ]
        restricted = problem.restricted(keep)
        found = NOTHING if restricted is None else search(restricted, best.options, effort)
        best = min(found, best, key=lambda f: f.price)
        # A choice with an option that was left out costs more than the limit.
        proven = max(proven, min(limit, found.bound))
        if best.price <= proven * (1 + effort.gap):
            break
    return _solution(best, proven)


def _met(problem: Problem, bound: Bound) -> Found:
    """Return the choice that was met while a bound was sought."""
    if bound.rows is None:
        return NOTHING
    rows = zip(problem.parts, bound.rows, strict=True)
    return Found(tuple(int(part.options[row]) for part, row in rows), bound.price, -np.inf)


def _solution(found: Found, bound: float) -> Solution | None:
    if found.options is None:
        return None
    return Solution(found.options, found.price, min(found.price, bound))


def nearest(problem: Problem) -> tuple[int, ...]:
    """Return the choice that exceeds the limits least, in shares of them.

    Raises:
        DoesNotFitError: the network is so large that none was found.
    """
    never = problem.limits == 0
    without = problem.restricted([(p.costs[:, never] == 0).all(axis=1) for p in problem.parts])
    problem = without or replace(problem, limits=np.maximum(problem.limits, 1))
    relaxation = Relaxation(problem)
    if not relaxation.is_small:
        return _named(search(problem, None, PATIENT, is_elastic=True))
    bound = total_excess_bound(relaxation)
    least = bound.least(relaxation)
    limit = bound.value + NEARBY * (1 + bound.value)
    best = _met(problem, bound)
    found = search(_among(problem, least, limit), best.options, EXACT, is_elastic=True)
    best = min(found, best, key=lambda f: f.price)
    # In large networks the search may find nothing in its time; with more options it would not.
    if best.price > limit and found.bound > -np.inf:
        # What is nearer than that has only options whose bounds are below it.
        limit = best.price
        found = search(_among(problem, least, limit), best.options, EXACT, is_elastic=True)
        best = min(found, best, key=lambda f: f.price)
    return _named(best)


def _among(problem: Problem, least: list[Array], limit: float) -> Problem:
    """Return the problem with the options whose bounds are within a limit."""
    return problem.restricted([bounds <= limit + ROUNDING for bounds in least]) or problem


def _named(found: Found) -> tuple[int, ...]:
    if found.options is None:
        raise DoesNotFitError(
            "the network has more layers side by side than can be planned",
            hint="pin the folding of some layers (--folding), or give a smaller network",
        )
    return found.options
