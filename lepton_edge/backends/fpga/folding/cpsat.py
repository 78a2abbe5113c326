"""The choice as a model for CP-SAT, the constraint solver of OR-tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from lepton_edge.backends.fpga.folding.problem import Joint, Problem
from lepton_edge.ir.types import Array

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import CpModel, CpSolver, IntVar, LinearExpr

SEED = 1
PRICE_UNITS = 10**7
"""Whole numbers that the price of one whole limit becomes."""

EXCESS_PRICE = 1000
"""Price of exceeding a limit by as much as it is."""


@dataclass(frozen=True)
class Found:
    """What a search found.

    Args:
        options: the choice, in the names of ``Part.options``; None if there is none.
        price: of the choice; infinite without one.
        bound: no choice has a lower price; infinite if it is proven that there is none.
    """

    options: tuple[int, ...] | None
    price: float
    bound: float


NOTHING = Found(None, np.inf, np.inf)
"""There is no choice."""


@dataclass(frozen=True)
class Effort:
    """How far a search goes.

    Args:
        gap: part of the price by which a choice may be above the least.
        seconds: most work, in the solver's own deterministic seconds, which repeat exactly.
        slacks: how far above the bound options may be that are searched, first to last attempt.
    """

    gap: float
    seconds: float
    slacks: tuple[float, ...]


def search(
    problem: Problem, known: tuple[int, ...] | None, effort: Effort, *, is_elastic: bool = False
) -> Found:
    """Return the cheapest choice within the limits.

    Args:
        problem: what to choose; few options, or it takes long.
        known: a choice to start from.
        effort: how far to go.
        is_elastic: limits may be exceeded, as little as possible; by how much is then called the
            price, and the bound says nothing.
    """
    from ortools.sat.python import cp_model

    model = _Model(problem, cp_model.CpModel(), is_elastic)
    if known is not None:
        model.hint(known)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    # Its handler would stay behind in place of ours: Ctrl-C would end us on the spot.
    solver.parameters.catch_sigint_signal = False
    solver.parameters.random_seed = SEED
    solver.parameters.max_deterministic_time = effort.seconds
    solver.parameters.relative_gap_limit = effort.gap / 2
    # Both cost more time than they save here.
    solver.parameters.cp_model_probing_level = 0
    solver.parameters.symmetry_level = 0
    status = solver.status_name(solver.solve(model.model))
    if status not in ("OPTIMAL", "FEASIBLE"):
        return Found(None, np.inf, np.inf if status == "INFEASIBLE" else -np.inf)
    rows = model.rows(solver)
    sums = problem.sums(rows)
    price = problem.excess(sums) if is_elastic else problem.price(sums)
    bound = solver.best_objective_bound / PRICE_UNITS + problem.price(problem.fixed)
    options = tuple(int(p.options[r]) for p, r in zip(problem.parts, rows, strict=True))
    return Found(options, price, min(bound, price))


class _Model:
    """A boolean for each option and, at each joint, for each pair of lanes."""

    def __init__(self, problem: Problem, model: CpModel, is_elastic: bool) -> None:
        self.model = model
        self._problem = problem
        self._options = [[model.new_bool_var("") for _ in p.options] for p in problem.parts]
        self._terms: list[tuple[IntVar, Array]] = []
        # For each variable, and each value of it, the options that choose this value.
        self._choosing: dict[int, list[list[IntVar]]] = {}
        for part, options in zip(problem.parts, self._options, strict=True):
            model.add_exactly_one(options)
            self._terms += zip(options, part.costs, strict=True)
            for column, variable in enumerate(part.scope):
                values: list[list[IntVar]] = [[] for _ in range(problem.sizes[variable])]
                for option, place in zip(options, part.places[:, column].tolist(), strict=True):
                    values[place].append(option)
                self._choosing[variable] = values
        for joint in problem.joints:
            self._add_joint(joint)
        self._add_limits(is_elastic)

    def _add_joint(self, joint: Joint) -> None:
        """Exactly that pair is true whose lanes the options at both ends choose."""
        ends = [self._choosing[variable] for variable in joint.scope]
        if min(map(len, ends)) == 1:
            self._add_costs(joint)
            return
        places = [(int(a), int(b)) for a, b in np.argwhere(joint.is_allowed)]
        pairs = [self.model.new_bool_var("") for _ in places]
        self._terms += ((v, joint.costs[place]) for v, place in zip(pairs, places, strict=True))
        for end, values in enumerate(ends):
            for value, options in enumerate(values):
                met = [v for v, place in zip(pairs, places, strict=True) if place[end] == value]
                signs = [1] * len(met) + [-1] * len(options)
                self.model.add(_weighted([*met, *options], signs) == 0)

    def _add_costs(self, joint: Joint) -> None:
        """Where one end has no choice, the options at the other one bear the costs."""
        end = int(joint.costs.shape[0] == 1)
        costs, allowed = (np.moveaxis(t, end, 0)[:, 0] for t in (joint.costs, joint.is_allowed))
        for options, cost, is_allowed in zip(
            self._choosing[joint.scope[end]], costs, allowed, strict=True
        ):
            self._terms += ((option, cost) for option in options)
            if not is_allowed:
                self.model.add_bool_and([option.negated() for option in options])

    def _add_limits(self, is_elastic: bool) -> None:
        variables = [variable for variable, _ in self._terms]
        costs = np.stack([cost for _, cost in self._terms])
        problem = self._problem
        units = PRICE_UNITS * problem.scale
        goal = [_weighted(variables, np.rint(costs @ (problem.prices * units)).tolist())]
        for column, limit in enumerate((problem.limits - problem.fixed).tolist()):
            used = np.flatnonzero(costs[:, column]).tolist()
            shares = costs[used, column].tolist()
            total = _weighted([variables[k] for k in used], shares)
            if is_elastic:
                excess = self.model.new_int_var(0, sum(shares) + abs(limit), "")
                self.model.add(total - excess <= limit)
                goal.append(_weighted([excess], [units[column] * EXCESS_PRICE]))
            elif used or limit < 0:
                self.model.add(total <= limit)
        self.model.minimize(sum(goal))

    def hint(self, known: tuple[int, ...]) -> None:
        """Tell the solver a choice that it may start from."""
        for part, options, name in zip(self._problem.parts, self._options, known, strict=True):
            for option, variable in zip(part.options.tolist(), options, strict=True):
                self.model.add_hint(variable, int(option == name))

    def rows(self, solver: CpSolver) -> list[int]:
        """Return the row of the option taken, for each part."""
        return [next(k for k, v in enumerate(o) if solver.value(v)) for o in self._options]


def _weighted(variables: Sequence[IntVar], weights: Sequence[float]) -> LinearExpr:
    """Return a weighted sum, which is quicker to make than from single terms."""
    from ortools.sat.python.cp_model import LinearExpr

    whole = [int(weight) for weight in weights]
    return cast("LinearExpr", LinearExpr.weighted_sum(variables, whole))
