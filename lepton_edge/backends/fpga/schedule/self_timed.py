"""What happens when every actor works as soon as it can: with FIFOs without end, or with real ones.

Times without bounds take one sweep over the actors. With bounds an actor also waits for places,
which later actors free: sweeps along the streams and against them follow each other until no time
changes. They begin with times that are too early and only ever make them later, so what they end
with is the earliest schedule that the bounds allow (the least fixed point of a monotone system;
Baccelli et al., "Synchronization and Linearity", 1992, chapter 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.schedule.times import Schedule, repeated
from lepton_edge.ir.types import Array

MOST_SWEEPS = 100
"""Pairs of sweeps before giving up. Networks that keep their rate take a handful."""

EARLIEST = -np.int64(1 << 60)
"""Before anything happens."""


class Sweep:
    """An actor's steps over several frames, and which of them wait for what."""

    def __init__(self, actor: Actor, room: Mapping[str, int], frames: int) -> None:
        """Prepare the steps.

        Args:
            actor: the actor.
            room: words that fit into its outputs; as many as come where nothing is said.
            frames: how often the steps of a frame follow each other.
        """
        steps = actor.kernel.steps
        self._writes = repeated(steps.writes, steps.count, frames)
        self._latency = actor.kernel.latency
        self._room = [room[s] for s in actor.outputs if s in room]
        waiting = [repeated(r, steps.count, frames) for r in steps.reads]
        waiting += [self._writes[r:] for r in self._room]
        joined = np.concatenate(waiting)
        self._order = np.argsort(joined, kind="stable") if len(waiting) > 1 else None
        self._waiting = joined if self._order is None else joined[self._order]
        self._frees = [repeated(f, steps.count, frames) for f in steps.frees]
        self._before_write = self._last_before(self._writes)
        self._before_free = [self._last_before(f) for f in self._frees]

    def written(self, delay: Array) -> Array:
        """Return when output words are written."""
        return np.asarray(delay[self._before_write] + (self._writes + self._latency))

    def freed(self, delay: Array) -> list[Array]:
        """Return for each input when the places of its words are freed."""
        return [delay[b] + f for b, f in zip(self._before_free, self._frees, strict=True)]

    def delay(self, arrived: Sequence[Array], freed: Sequence[Array] = ()) -> Array:
        """Return by how much the steps are late that wait for something, each after the one before.

        Args:
            arrived: for each input when its words are there.
            freed: for each output with bounds when the places of its words are freed.
        """
        places = [f[:-r] + 1 - self._latency for f, r in zip(freed, self._room, strict=True)]
        there = np.concatenate([*arrived, *places])
        return np.maximum.accumulate(
            (there if self._order is None else there[self._order]) - self._waiting
        )

    def _last_before(self, steps: Array) -> Array:
        """Return for each step the last one up to it that waits for something."""
        return np.maximum(np.searchsorted(self._waiting, steps, side="right") - 1, 0)


def written_early(
    dataflow: Dataflow,
    given: Mapping[str, Array],
    frames: int,
    waits: Mapping[str, int],
) -> dict[str, Array]:
    """Return when each stream's words are written if FIFOs hold whatever comes.

    Args:
        dataflow: the network.
        given: when the words of each input port come.
        frames: frames that come.
        waits: cycles that a word spends in each stream's FIFO at least.
    """
    times: dict[str, Array] = {}
    for actor in dataflow.actors:
        arrived = [times[s] + waits[s] if s in times else given[s] for s in actor.inputs]
        sweep = Sweep(actor, {}, frames)
        times |= dict.fromkeys(actor.outputs, sweep.written(sweep.delay(arrived)))
    return times


def self_timed(
    dataflow: Dataflow,
    given: Mapping[str, Array],
    frames: int,
    waits: Mapping[str, int],
    room: Mapping[str, int],
) -> Schedule | None:
    """Return the earliest schedule that bounded FIFOs allow; None if it takes too many sweeps.

    Args:
        dataflow: the network.
        given: when the words of each input port come.
        frames: frames that come.
        waits: cycles that a word spends in each stream's FIFO at least.
        room: words that each stream holds.
    """
    sweeps = [(actor, Sweep(actor, room, frames)) for actor in dataflow.actors]
    written: dict[str, Array] = {}
    freed: dict[str, Array] = {
        s: np.full(dataflow.reader[s][1].words * frames, EARLIEST) for s in dataflow.streams
    }
    delays: dict[str, Array] = {}
    along = [*sweeps, *reversed(sweeps)]
    for _ in range(MOST_SWEEPS):
        is_settled = True
        for actor, sweep in along:
            arrived = [written[s] + waits[s] if s in written else given[s] for s in actor.inputs]
            delay = sweep.delay(arrived, [freed[s] for s in actor.outputs if s in room])
            if actor.name in delays and np.array_equal(delay, delays[actor.name]):
                continue
            is_settled = False
            delays[actor.name] = delay
            written |= dict.fromkeys(actor.outputs, sweep.written(delay))
            freed |= dict(zip(actor.inputs, sweep.freed(delay), strict=True))
        if is_settled:
            return Schedule(written, freed)
    return None
