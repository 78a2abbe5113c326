"""The choice without its limits: solved exactly for any weights of the costs.

With a weight for each column the costs become numbers, and the cheapest choice follows by
eliminating one variable after the other (bucket elimination: Dechter, "Bucket elimination: a
unifying framework for reasoning", Artificial Intelligence 113, 1999). Networks of layers are
nearly chains, so the tables stay small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lepton_edge.backends.fpga.folding.problem import Part, Problem
from lepton_edge.ir.types import Array

FORBIDDEN = 1e9
"""Cost of what is not allowed; weighted costs are shares of limits, of the order of 1."""

MOST_ENTRIES = 2_000_000
"""Entries that the tables of an elimination may have in all."""


@dataclass
class _Bucket:
    """The step that eliminates one variable.

    Args:
        axes: the variables of its table; the eliminated one is the last.
        factors: indices of the factors that are summed here.
        children: buckets whose results are summed here.
        parent: the bucket that takes the result; None where it is a number.
    """

    axes: tuple[int, ...]
    factors: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    parent: int | None = None


class Relaxation:
    """A problem prepared for many weights.

    Args:
        problem: what to choose.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._scopes = [p.scope for p in problem.parts] + [j.scope for j in problem.joints]
        self._cells = [_cells(part, problem.sizes) for part in problem.parts]
        self._order = [np.argsort(cells, kind="stable") for cells in self._cells]
        self._firsts = [
            np.unique(cells[order], return_index=True)
            for cells, order in zip(self._cells, self._order, strict=True)
        ]
        self._buckets = _buckets(self._scopes, problem.sizes)

    @property
    def is_small(self) -> bool:
        """Whether the tables are small enough to be worth it."""
        sizes = self.problem.sizes
        return sum(math.prod(sizes[v] for v in b.axes) for b in self._buckets) <= MOST_ENTRIES

    def cheapest(self, weights: Array) -> tuple[float, list[int]]:
        """Return the least cost, what is fixed included, and the row of each part's option.

        Args:
            weights: float64 [columns], of a unit of each cost.
        """
        tables, results = self._eliminate(self._factors(weights))
        values: dict[int, int] = {}
        for bucket, table in zip(reversed(self._buckets), reversed(tables), strict=True):
            row = table[tuple(values[v] for v in bucket.axes[:-1])]
            values[bucket.axes[-1]] = int(row.argmin())
        total = float(self.problem.fixed @ weights)
        roots = (r for b, r in zip(self._buckets, results, strict=True) if b.parent is None)
        return total + sum(float(result) for result in roots), self._rows(values, weights)

    def _rows(self, values: dict[int, int], weights: Array) -> list[int]:
        """Return the cheapest option of each part with the lanes in ``values``."""
        rows = []
        for part, cells in zip(self.problem.parts, self._cells, strict=True):
            shape = [self.problem.sizes[v] for v in part.scope]
            cell = np.ravel_multi_index([values[v] for v in part.scope], shape)
            found = np.flatnonzero(cells == cell)
            rows.append(int(found[(part.costs[found] @ weights).argmin()]))
        return rows

    def marginals(self, weights: Array) -> list[Array]:
        """Return, for each part and option, the least cost of a choice that has this option.

        Args:
            weights: float64 [columns], of a unit of each cost.
        """
        factors = self._factors(weights)
        tables, results = self._eliminate(factors)
        fixed = float(self.problem.fixed @ weights)
        roots = sum(
            float(r) for b, r in zip(self._buckets, results, strict=True) if b.parent is None
        )
        marginals: dict[int, Array] = {}
        # The least cost of everything, given the variables of a bucket.
        complete: list[Array] = [np.empty(0)] * len(self._buckets)
        for index in reversed(range(len(self._buckets))):
            bucket = self._buckets[index]
            if bucket.parent is None:
                complete[index] = tables[index] + (roots + fixed - float(results[index]))
            else:
                axes = self._buckets[bucket.parent].axes
                inside = _aligned(results[index], bucket.axes[:-1], axes)
                outside = _projected(complete[bucket.parent] - inside, axes, bucket.axes[:-1])
                complete[index] = tables[index] + outside[..., None]
            for factor in bucket.factors:
                if factor < len(self.problem.parts):
                    best = _projected(complete[index], bucket.axes, self._scopes[factor])
                    rest = (best - factors[factor]).ravel()[self._cells[factor]]
                    marginals[factor] = rest + self.problem.parts[factor].costs @ weights
        return [marginals[index] for index in range(len(self.problem.parts))]

    def _factors(self, weights: Array) -> list[Array]:
        """Return the weighted costs as a table over each scope, at the cheapest option."""
        sizes, factors = self.problem.sizes, []
        for index, part in enumerate(self.problem.parts):
            cells, firsts = self._firsts[index]
            costs = part.costs[self._order[index]] @ weights
            table = np.full(math.prod(sizes[v] for v in part.scope), FORBIDDEN)
            table[cells] = np.minimum.reduceat(costs, firsts)
            factors.append(table.reshape([sizes[v] for v in part.scope]))
        joints = self.problem.joints
        return factors + [np.where(j.is_allowed, j.costs @ weights, FORBIDDEN) for j in joints]

    def _eliminate(self, factors: Sequence[Array]) -> tuple[list[Array], list[Array]]:
        """Return each bucket's table, and its minimum over the eliminated variable."""
        tables: list[Array] = []
        results: list[Array] = []
        for bucket in self._buckets:
            table = np.zeros([self.problem.sizes[v] for v in bucket.axes])
            for factor in bucket.factors:
                table += _aligned(factors[factor], self._scopes[factor], bucket.axes)
            for child in bucket.children:
                table += _aligned(results[child], self._buckets[child].axes[:-1], bucket.axes)
            tables.append(table)
            results.append(table.min(axis=-1))
        return tables, results


def _cells(part: Part, sizes: Sequence[int]) -> Array:
    """Return the entry of the part's table that each option belongs to."""
    shape = [sizes[v] for v in part.scope]
    return np.asarray(np.ravel_multi_index(tuple(part.places.T), shape))


def _buckets(scopes: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[_Bucket]:
    """Plan the elimination: next is always the variable whose table is the smallest."""
    near: dict[int, set[int]] = {variable: {variable} for variable in range(len(sizes))}
    for scope in scopes:
        for variable in scope:
            near[variable] |= set(scope)
    tables: list[set[int]] = []
    turn: dict[int, int] = {}
    entries = {v: math.prod(sizes[u] for u in near[v]) for v in near}
    while entries:
        variable = min(entries, key=lambda v: (entries[v], v))
        del entries[variable]
        turn[variable] = len(tables)
        tables.append(near[variable])
        others = near[variable] - {variable}
        for other in others:
            near[other] = (near[other] | others) - {variable}
            entries[other] = math.prod(sizes[u] for u in near[other])
    buckets = [_Bucket(tuple(sorted(t, key=turn.__getitem__, reverse=True))) for t in tables]
    for index, scope in enumerate(scopes):
        buckets[min(turn[v] for v in scope)].factors.append(index)
    for index, bucket in enumerate(buckets):
        if len(bucket.axes) > 1:
            bucket.parent = turn[bucket.axes[-2]]
            buckets[bucket.parent].children.append(index)
    return buckets


def _aligned(table: Array, scope: Sequence[int], axes: Sequence[int]) -> Array:
    """Return a view of a table over ``scope`` that broadcasts over ``axes``."""
    order = sorted(range(len(scope)), key=lambda k: axes.index(scope[k]))
    shape = [1] * len(axes)
    for k in order:
        shape[axes.index(scope[k])] = table.shape[k]
    return table.transpose(order).reshape(shape)


def _projected(table: Array, axes: Sequence[int], scope: Sequence[int]) -> Array:
    """Return the minima of a table over ``axes``, as a table over ``scope``."""
    least = np.min(table, axis=tuple(k for k, v in enumerate(axes) if v not in scope))
    kept = [v for v in axes if v in scope]
    return np.transpose(least, [kept.index(v) for v in scope])
