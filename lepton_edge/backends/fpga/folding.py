"""Folding: how much of each layer is computed at once, chosen against a board's budget.

For a wanted number of cycles a frame, each actor takes the cheapest folding that is fast enough.
Where they need more of a resource than there is, the actors in turn take what brings the network
closest to the budget: a multiplier in LUTs instead of a DSP block, other proportions of rows and
columns, a memory of another shape. The fastest network that fits is found by bisection over the
cycle counts that foldings have.
"""

from __future__ import annotations

import bisect
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from lepton_edge.backends.boards import Board, Resources, list_boards
from lepton_edge.backends.fpga.dataflow import Actor, Dataflow, connect
from lepton_edge.backends.fpga.kernels.base import Kernel
from lepton_edge.backends.fpga.kernels.plumbing import Fork, Stream
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.backends.fpga.schedule import latency_cycles, sized
from lepton_edge.errors import ConfigError, DoesNotFitError, InternalError, UnknownNameError
from lepton_edge.ir.types import Array

BUDGET_SHARE = {"lut": 0.7, "ff": 0.5, "dsp": 0.8, "bram36": 0.8, "uram": 0.8}
"""Share of a board that a plan may take.

Source: the utilisation guideline of AMD's UltraFast design methodology (UG949, report_failfast):
beyond it, placement and timing become hard. It also leaves room for DMA and interconnect.
"""

DSP_PRICE = 0.15
"""Price of a share of the DSP blocks, where a share of any other resource costs 1.

Multipliers are what DSP blocks are for; only those of a few bits are cheaper in LUTs.
"""

PRICES = np.array([DSP_PRICE if f.name == "dsp" else 1.0 for f in fields(Resources)])
"""Price of a share of each resource, in the order of its fields."""

DEARER = 1 + 9 * np.eye(len(PRICES))
"""Factors of the prices at which a plan is tried again: each resource in turn ten times as dear."""

ROUNDS = 8
"""Times that a choice is revised for the width converters and FIFOs it leads to."""


LOOK_AHEAD = 4
"""Cycle counts below the fewest that bisection finds which are tried as well."""


SHARES_IN_WORDS = "70 % of a board's LUTs, 50 % of its flip-flops, 80 % of its DSP and RAM blocks"


@dataclass(frozen=True)
class Goal:
    """What a plan must reach.

    Args:
        cycles: most cycles a frame in steady state; None for as few as fit.
        latency: most cycles from the first input to the last output; None for any.
    """

    cycles: int | None = None
    latency: int | None = None


Pins = Mapping[str, Mapping[str, int]]
"""Folding parameters fixed by the user, by layer name."""


@dataclass(frozen=True)
class _Option:
    """One folding of an actor, with the window in front of it where the two must agree."""

    kernel: Kernel
    window: SlidingWindow | None

    @cached_property
    def cycles(self) -> int:
        return max(self.kernel.cycles, self.window.cycles if self.window else 0)

    @cached_property
    def resources(self) -> Resources:
        return self.kernel.resources + (self.window.resources if self.window else Resources())

    def kernels(self, name: str, window_name: str | None) -> dict[str, Kernel]:
        """Return the kernels that the option chooses, by actor name."""
        chosen = {name: self.kernel}
        return {**chosen, window_name: self.window} if window_name and self.window else chosen


def budget_of(board: Board) -> Resources:
    """Return what a plan may use of ``board``."""
    has = board.resources
    return Resources(
        lut=int(has.lut * BUDGET_SHARE["lut"]),
        ff=int(has.ff * BUDGET_SHARE["ff"]),
        dsp=int(has.dsp * BUDGET_SHARE["dsp"]),
        bram36=int(has.bram36 * BUDGET_SHARE["bram36"] * 2) / 2,
        uram=int(has.uram * BUDGET_SHARE["uram"]),
    )


def plan(dataflow: Dataflow, budget: Resources, goal: Goal, pins: Pins | None = None) -> Dataflow:
    """Return the network folded, connected, and with FIFO depths.

    Args:
        dataflow: as lowered.
        budget: what the design may use.
        goal: throughput or latency to reach, or as fast as fits.
        pins: foldings that the user fixed.

    Raises:
        DoesNotFitError: no folding meets the goal within the budget; says by how much.
        ConfigError: a pinned folding is not legal, with the legal values.
    """
    choices = _Choices(dataflow, budget, pins or {})
    candidates = choices.cycle_counts()
    if goal.cycles is not None:
        planned = _at_rate(choices, goal.cycles, budget)
        if goal.latency is None or latency_cycles(planned) <= goal.latency:
            return planned
        candidates = [c for c in candidates if c <= goal.cycles]
    index, best = _fastest(choices, candidates)
    if best is None:
        raise _does_not_fit(choices, candidates[-1], budget)
    if goal.latency is None:
        return best
    return _within_latency(choices, candidates[index:], goal.latency, best)


def _fastest(choices: _Choices, candidates: list[int]) -> tuple[int, Dataflow | None]:
    """Return the first of the ascending cycle counts at which a network fits, and the network.

    Now and then a plan is found at one rate and none at a lower one, so the rates just above the
    one that bisection finds are tried as well.
    """
    found: dict[int, Dataflow | None] = {}

    def fits(index: int) -> bool:
        if index not in found:
            found[index] = choices.fitting(candidates[index])
        return found[index] is not None

    first = bisect.bisect_left(range(len(candidates)), True, key=fits)
    if first == len(candidates):
        return first, None
    for index in range(first - 1, max(-1, first - 1 - LOOK_AHEAD), -1):
        first = index if fits(index) else first
    return first, found[first]


def _at_rate(choices: _Choices, cycles: int, budget: Resources) -> Dataflow:
    planned = choices.plan_for(cycles)
    if planned is None:
        slowest = choices.fastest_bottleneck()
        raise DoesNotFitError(
            f"layer {slowest[0]!r} takes at least {slowest[1]} cycles a frame; "
            f"the goal allows {cycles}",
            where=choices.dataflow.name,
            hint=f"ask for a lower rate: at most one frame in {slowest[1]} cycles",
        )
    if not planned.resources.fits(budget):
        raise _does_not_fit(choices, cycles, budget)
    return planned


def _within_latency(
    choices: _Choices, candidates: list[int], limit: int, fastest: Dataflow
) -> Dataflow:
    """Return the slowest, and so the smallest, plan that meets the latency."""
    best = fastest
    reached = latency_cycles(fastest)
    if reached > limit:
        raise DoesNotFitError(
            f"the fastest design that fits takes {reached} cycles from input to output; "
            f"the goal allows {limit}",
            where=choices.dataflow.name,
            hint="allow more latency, raise the clock, or choose a larger board",
        )
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high + 1) // 2
        planned = choices.fitting(candidates[middle])
        if planned is not None and latency_cycles(planned) <= limit:
            best, low = planned, middle
        else:
            high = middle - 1
    return best


class _Choices:
    """The foldings of every actor, ready for quick choice."""

    def __init__(self, dataflow: Dataflow, budget: Resources, pins: Pins) -> None:
        self.dataflow = dataflow
        self.budget = budget
        _check_pins(dataflow, pins)
        self.windows = _channelwise_windows(dataflow)
        followers = {window.name for window in self.windows.values()}
        followers |= {a.name for a in dataflow.actors if isinstance(a.kernel, Fork)}
        self.options = {
            actor.name: self._options(actor, pins.get(actor.layer, {}))
            for actor in dataflow.actors
            if actor.name not in followers
        }
        self.cycles = {n: np.array([o.cycles for o in opts]) for n, opts in self.options.items()}
        self.shares = {
            name: np.array([self.share(o.resources) for o in options])
            for name, options in self.options.items()
        }

    def _options(self, actor: Actor, pinned: Mapping[str, int]) -> list[_Option]:
        """Return the foldings of an actor that its pins allow."""
        window = self.windows.get(actor.name)
        options = [
            _Option(k, _window_for(window.kernel, k) if window else None)
            for k in actor.kernel.foldings()
        ]
        if not _is_foldable(actor):
            return options
        allowed = [
            o
            for o in options
            if _is_pinned(o.kernel, pinned) and (not o.window or _is_pinned(o.window, pinned))
        ]
        if not allowed:
            raise ConfigError(
                "the pinned parameters exclude each other", where=f"layer {actor.layer!r}"
            )
        return allowed

    def share(self, amount: Resources) -> Array:
        """Return the shares of the budget, in the order of the resources' fields."""
        return np.array([min(v, 1e6) for v in amount.utilisation(self.budget).values()])

    def cycle_counts(self) -> list[int]:
        """Return the cycle counts that some folding has, ascending, from the fastest possible."""
        floor = self.fastest_bottleneck()[1]
        return sorted({int(c) for counts in self.cycles.values() for c in counts if c >= floor})

    def fastest_bottleneck(self) -> tuple[str, int]:
        """Return the slowest layer when everything is as fast as it can be, and its cycles."""
        fastest = {name: int(counts.min()) for name, counts in self.cycles.items()}
        slowest = max(fastest, key=lambda name: fastest[name])
        layer = next(actor.layer for actor in self.dataflow.actors if actor.name == slowest)
        return layer, fastest[slowest]

    def plan_for(self, cycles: int) -> Dataflow | None:
        """Return the cheapest network with at most ``cycles`` a frame, or None if there is none.

        It is within the budget if one was found that is.
        """
        ready = {name: np.flatnonzero(counts <= cycles) for name, counts in self.cycles.items()}
        if not all(indices.size for indices in ready.values()):
            return None
        best: tuple[float, Dataflow] | None = None
        for prices in (PRICES, *(PRICES * row for row in DEARER)):
            beyond, planned = self._plan_at(prices, ready)
            if best is None or beyond < best[0]:
                best = beyond, planned
            if beyond == 0:
                break
        return best[1] if best else None

    def _plan_at(self, prices: Array, ready: Mapping[str, Array]) -> tuple[float, Dataflow]:
        """Return a network that is cheap at ``prices``, and how far it is beyond the budget."""
        plumbing = np.zeros(len(prices))
        chosen = {
            name: int(indices[np.argmin(self.shares[name][indices] @ prices)])
            for name, indices in ready.items()
        }
        best: tuple[float, Dataflow] | None = None
        for _ in range(ROUNDS):
            self._approach_budget(chosen, ready, prices, plumbing)
            planned = self._connected(chosen)
            needed = self.share(planned.resources)
            beyond = float(np.maximum(needed - 1, 0).sum())
            if best is not None and beyond >= best[0]:
                break
            best = beyond, planned
            if beyond == 0:
                break
            plumbing = np.maximum(plumbing, needed - self._kernels_share(chosen))
        if best is None:
            raise InternalError("no round was played", where=self.dataflow.name)
        return best

    def _kernels_share(self, chosen: Mapping[str, int]) -> Array:
        shares = np.array([self.shares[name][index] for name, index in chosen.items()])
        total: Array = shares.sum(axis=0)
        return total

    def _approach_budget(
        self, chosen: dict[str, int], ready: Mapping[str, Array], prices: Array, plumbing: Array
    ) -> None:
        """Let actors in turn take what brings the network nearest to the budget, then cheapest."""
        total = plumbing + self._kernels_share(chosen)
        is_settled = False
        while not is_settled and (total > 1).any():
            is_settled = True
            for name, indices in ready.items():
                shares = self.shares[name][indices]
                rest = total - self.shares[name][chosen[name]]
                beyond = np.maximum(rest + shares - 1, 0).sum(axis=1)
                best = int(indices[np.lexsort((shares @ prices, beyond.round(9)))[0]])
                if best != chosen[name]:
                    is_closer = beyond.min() < np.maximum(total - 1, 0).sum() - 1e-9
                    if is_closer:
                        chosen[name], is_settled = best, False
                        total = rest + self.shares[name][best]

    def _connected(self, chosen: Mapping[str, int]) -> Dataflow:
        kernels: dict[str, Kernel] = {}
        for name, index in chosen.items():
            window = self.windows.get(name)
            kernels |= self.options[name][index].kernels(name, window.name if window else None)
        planned = connect(self.dataflow.with_kernels(lambda a: kernels.get(a.name, a.kernel)))
        return sized(planned)

    def fitting(self, cycles: int) -> Dataflow | None:
        """Return the cheapest network with at most ``cycles`` a frame if the budget allows it."""
        planned = self.plan_for(cycles)
        return planned if planned is not None and planned.resources.fits(self.budget) else None


def _channelwise_windows(dataflow: Dataflow) -> dict[str, Actor]:
    """Return the window in front of each actor that reads windows channel group by channel group.

    The order of the words depends on the lanes, so both must have the same.
    """
    return {
        actor.name: writer
        for actor in dataflow.actors
        for stream in actor.inputs
        if stream in dataflow.writer
        and isinstance((writer := dataflow.writer[stream][0]).kernel, SlidingWindow)
        and writer.kernel.is_channelwise
    }


def _window_for(window: Kernel, reader: Kernel) -> SlidingWindow:
    """Return ``window`` with the lanes of its reader."""
    if not isinstance(window, SlidingWindow):
        raise InternalError(f"{window.kind} is not a sliding window")
    return replace(window, lanes=reader.inputs[0].lanes)


def _does_not_fit(choices: _Choices, cycles: int, budget: Resources) -> DoesNotFitError:
    planned = choices.plan_for(cycles)
    if planned is None:
        planned = connect(choices.dataflow)
    excess = planned.resources.excess(budget)
    needs = planned.resources.as_dict()
    has = budget.as_dict()
    parts = [f"{name} {needs[name]:g} of {has[name]:g}" for name in excess]
    worst = next(iter(excess), "lut")
    largest = max(planned.actors, key=lambda a: a.kernel.resources.as_dict()[worst])
    roomy = [b.name for b in list_boards() if planned.resources.fits(budget_of(b))]
    would_fit = (
        f"at this rate it would fit {', '.join(roomy)}" if roomy else "no known board fits it"
    )
    return DoesNotFitError(
        f"at {cycles} cycles a frame the design needs {', '.join(parts)} (estimated; a plan may "
        f"use {SHARES_IN_WORDS}); most {worst} goes to layer {largest.layer!r} "
        f"({largest.kernel.resources.as_dict()[worst]:g})",
        where=choices.dataflow.name,
        hint=f"ask for a lower rate, or quantise to fewer bits; {would_fit}",
    )


def _is_foldable(actor: Actor) -> bool:
    """Whether the actor has a folding of its own; forks and the like follow their neighbours."""
    return not isinstance(actor.kernel, Stream)


def _is_pinned(kernel: Kernel, pinned: Mapping[str, int]) -> bool:
    folding = kernel.folding
    return all(folding[k] == v for k, v in pinned.items() if k in folding)


def _check_pins(dataflow: Dataflow, pins: Pins) -> None:
    foldable = [actor for actor in dataflow.actors if _is_foldable(actor)]
    layers = {actor.layer for actor in foldable}
    for layer, pinned in pins.items():
        if layer not in layers:
            raise UnknownNameError.of("layer", layer, layers)
        foldings = [f.folding for a in foldable if a.layer == layer for f in a.kernel.foldings()]
        for key, value in pinned.items():
            legal = sorted({folding[key] for folding in foldings if key in folding})
            if not legal:
                known = sorted({name for folding in foldings for name in folding})
                raise ConfigError(
                    f"{key!r} is not a folding parameter of this layer; it has "
                    f"{', '.join(known) or 'none'}",
                    where=f"layer {layer!r}",
                )
            if value not in legal:
                raise ConfigError(
                    f"{key} = {value} is not a folding of this layer; wanted one of "
                    f"{', '.join(map(str, legal))}",
                    where=f"layer {layer!r}",
                )


def read_pins(path: Path) -> dict[str, dict[str, int]]:
    """Read pinned foldings: a TOML table for each layer, with pe, simd, lanes or dsp (0 or 1).

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not a TOML file: {error}", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path)) from None
    for layer, table in document.items():
        if not isinstance(table, dict) or not all(type(v) is int for v in table.values()):
            raise ConfigError(
                "wanted a table of whole numbers, such as pe = 4",
                where=f"{path}: layer {layer!r}",
                hint='layer names in quotes, then parameters:\n["block1.conv"]\npe = 4\nsimd = 8',
            )
    return document
