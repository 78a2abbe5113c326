"""Small changes of a choice: other options for up to three neighbouring actors at once.

One actor alone can seldom change for the better: what it does with fewer lanes, the actors beside
it must do with fewer as well, or a width converter takes what was saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.fpga.folding.planner import Plan
from lepton_edge.backends.fpga.folding.problem import Problem
from lepton_edge.ir.types import Array

MOST_CHANGES = 20_000
"""Combinations of a group's options that are looked at; groups with more of them are left out."""


@dataclass(frozen=True)
class _Changes:
    """Choices that differ from a plan's in a group of parts.

    Args:
        group: indices of the parts.
        rows: int64 [changes, group], the options' rows.
        prices: float64 [changes].
    """

    group: tuple[int, ...]
    rows: Array
    prices: Array


def changes(problem: Problem, plan: Plan, below: float) -> Iterator[tuple[int, ...]]:
    """Yield the choices near a plan that are within the limits, the cheapest first.

    Args:
        problem: the choice.
        plan: where to start; its options are among the problem's.
        below: the price that a choice must be below.
    """
    rows = [
        int(np.flatnonzero(part.options == option)[0])
        for part, option in zip(problem.parts, plan.options, strict=True)
    ]
    found = [_changes(problem, rows, group, below) for group in _groups(problem)]
    prices = np.concatenate([changes.prices for changes in found])
    places = [(changes, row) for changes in found for row in changes.rows]
    seen = set()
    for place in np.argsort(prices, kind="stable"):
        changes, row = places[place]
        options = list(plan.options)
        for index, taken in zip(changes.group, row, strict=True):
            options[index] = int(problem.parts[index].options[taken])
        if (choice := tuple(options)) != plan.options and choice not in seen:
            seen.add(choice)
            yield choice


def _changes(
    problem: Problem, rows: Sequence[int], group: tuple[int, ...], below: float
) -> _Changes:
    """Return what a group's options make of a choice, where that is allowed and cheap enough."""
    shape = [len(problem.parts[index].options) for index in group]
    if np.prod(shape) > MOST_CHANGES:
        return _Changes(group, np.zeros((0, len(group)), np.int64), np.zeros(0))
    taken = np.indices(shape).reshape(len(group), -1).T
    values: dict[int, Array] = {}
    for index, part in enumerate(problem.parts):
        row = taken[:, group.index(index)] if index in group else np.full(1, rows[index])
        values |= zip(part.scope, part.places[row].T, strict=True)
    sums = problem.sums(rows) * np.ones((len(taken), 1), np.int64)
    is_allowed = np.ones(len(taken), bool)
    for place, index in enumerate(group):
        costs = problem.parts[index].costs
        sums += costs[taken[:, place]] - costs[rows[index]]
    before = problem.places(rows)
    changing = {variable for index in group for variable in problem.parts[index].scope}
    for joint, old in zip(problem.joints, before, strict=True):
        if changing.intersection(joint.scope):
            ends = values[joint.scope[0]], values[joint.scope[1]]
            sums += joint.costs[ends] - joint.costs[old]
            is_allowed &= joint.is_allowed[ends]
    prices = sums @ (problem.prices * problem.scale)
    keep = is_allowed & (sums <= problem.limits).all(axis=1) & (prices < below)
    return _Changes(group, taken[keep], prices[keep])


def _groups(problem: Problem) -> list[tuple[int, ...]]:
    """Return the parts that change together: each alone, with a neighbour, and with two."""
    owner = {variable: index for index, part in enumerate(problem.parts) for variable in part.scope}
    neighbours: dict[int, set[int]] = {index: set() for index in range(len(problem.parts))}
    for joint in problem.joints:
        first, second = owner[joint.scope[0]], owner[joint.scope[1]]
        if first != second:
            neighbours[first].add(second)
            neighbours[second].add(first)
    groups: set[tuple[int, ...]] = {(index,) for index in neighbours}
    for index, near in neighbours.items():
        groups |= {tuple(sorted((index, other))) for other in near}
        groups |= {tuple(sorted((index, a, b))) for a in near for b in near if a < b}
    return sorted(groups)
