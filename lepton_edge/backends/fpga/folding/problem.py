"""The choice as a problem in numbers: a graph of small tables of costs, with a limit on each sum.

The *variables* are the lanes of ports. A *part* is an actor: each of its options has a cost and
fixes the lanes of its ports. A *joint* is what lies between two actors: its cost depends on the
lanes at both ends. Costs are vectors: the resources, and whatever else is limited.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lepton_edge.ir.types import Array


@dataclass(frozen=True)
class Part:
    """One actor's options.

    Args:
        options: int64 [n], what the options are called outside.
        cycles: int64 [n], cycles a frame.
        costs: int64 [n, columns].
        scope: the variables that an option fixes.
        places: int64 [n, scope], which value it gives to each.
    """

    options: Array
    cycles: Array
    costs: Array
    scope: tuple[int, ...]
    places: Array

    def filtered(self, keep: Array) -> Part:
        """Return the part with the options in the mask ``keep``."""
        return replace(
            self,
            options=self.options[keep],
            cycles=self.cycles[keep],
            costs=self.costs[keep],
            places=self.places[keep],
        )


@dataclass(frozen=True)
class Joint:
    """What two lanes cost together.

    Args:
        scope: the variables at both ends.
        costs: int64 [values, values, columns].
        is_allowed: bool [values, values].
    """

    scope: tuple[int, int]
    costs: Array
    is_allowed: Array


@dataclass(frozen=True)
class Problem:
    """What to choose.

    Args:
        parts: the actors; every variable is in the scope of exactly one.
        joints: what is between them.
        sizes: how many values each variable has.
        fixed: int64 [columns], what is there whatever is chosen.
        limits: int64 [columns], the most that the sums may be.
        prices: float64 [columns], of the whole limit of each column.
    """

    parts: tuple[Part, ...]
    joints: tuple[Joint, ...]
    sizes: tuple[int, ...]
    fixed: Array
    limits: Array
    prices: Array

    def restricted(self, keep: Sequence[Array]) -> Problem | None:
        """Return the problem with fewer options; None if an actor has none left.

        Args:
            keep: a mask over the options of each part.
        """
        if not all(mask.any() for mask in keep):
            return None
        parts = [part.filtered(mask) for part, mask in zip(self.parts, keep, strict=True)]
        used: dict[int, Array] = {}
        for index, part in enumerate(parts):
            found = [np.unique(column, return_inverse=True) for column in part.places.T]
            used |= {v: values for v, (values, _) in zip(part.scope, found, strict=True)}
            places = np.stack([inverse for _, inverse in found], axis=1)
            parts[index] = replace(part, places=places)
        joints = [
            Joint(j.scope, j.costs[np.ix_(a, b)], j.is_allowed[np.ix_(a, b)])
            for j in self.joints
            for a, b in [(used[j.scope[0]], used[j.scope[1]])]
        ]
        sizes = tuple(len(used[v]) for v in range(len(self.sizes)))
        return replace(self, parts=tuple(parts), joints=tuple(joints), sizes=sizes)

    def at_rate(self, cycles: int) -> Problem | None:
        """Return the problem with the options that are fast enough; None without."""
        return self.restricted([np.asarray(part.cycles <= cycles) for part in self.parts])

    def affordable(self) -> Problem | None:
        """Return the problem without options that alone are beyond a limit; None without."""
        most = self.limits - self.fixed
        return self.restricted([np.all(part.costs <= most, axis=1) for part in self.parts])

    @cached_property
    def scale(self) -> Array:
        """What turns a cost into a share of its limit; 0 where the limit, and so the cost, is."""
        return np.where(self.limits > 0, 1 / np.maximum(self.limits, 1), 0.0)

    def sums(self, rows: Sequence[int]) -> Array:
        """Return the costs of a choice, int64 [columns].

        Args:
            rows: the row of the option taken, for each part.
        """
        places = self.places(rows)
        costs = [p.costs[row] for p, row in zip(self.parts, rows, strict=True)]
        costs += [j.costs[place] for j, place in zip(self.joints, places, strict=True)]
        return np.asarray(np.stack([self.fixed, *costs]).sum(axis=0))

    def is_allowed(self, rows: Sequence[int]) -> bool:
        """Whether neighbours that must agree do so in a choice."""
        places = self.places(rows)
        return all(j.is_allowed[place] for j, place in zip(self.joints, places, strict=True))

    def places(self, rows: Sequence[int]) -> list[tuple[int, int]]:
        """Return for each joint the values of its variables."""
        values: dict[int, int] = {}
        for part, row in zip(self.parts, rows, strict=True):
            values |= zip(part.scope, part.places[row].tolist(), strict=True)
        return [(values[joint.scope[0]], values[joint.scope[1]]) for joint in self.joints]

    def price(self, sums: Array) -> float:
        """Return the price of a choice that costs ``sums``."""
        return float(self.prices * self.scale @ sums)

    def excess(self, sums: Array) -> float:
        """Return how far a choice that costs ``sums`` exceeds the limits, in shares of them."""
        return float((np.maximum(sums - self.limits, 0) / np.maximum(self.limits, 1)).sum())


@dataclass(frozen=True)
class Solution:
    """A choice and how good it is.

    Args:
        options: what each part takes, in the names of ``Part.options``.
        price: of the choice.
        bound: no choice within the limits has a lower price.
    """

    options: tuple[int, ...]
    price: float
    bound: float
