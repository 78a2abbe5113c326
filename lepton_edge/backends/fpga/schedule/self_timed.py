"""What happens when every actor works as soon as it can, with FIFOs and line buffers as they are.

Frames follow each other from an empty network on. An actor waits for words, and for places, which
later actors free: within a frame, sweeps along the streams and against them follow each other until
no time changes. They begin with times that are too early and only ever make them later, so what
they end with is the earliest schedule that the bounds allow (the least fixed point of a monotone
system; Baccelli et al., "Synchronization and Linearity", 1992, chapter 2). No word of a frame waits
for one of a later frame.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.schedule.sweep import Sweep
from lepton_edge.backends.fpga.schedule.times import Schedule, at_once, most_held
from lepton_edge.errors import InternalError
from lepton_edge.ir.types import Array

MOST_SWEEPS = 1000
"""Sweeps over a frame before giving up. Networks that keep their rate take a handful."""

EARLIEST = -(1 << 60)
"""Before anything happens."""


@dataclass(frozen=True)
class Run(Schedule):
    """A frame of a run.

    Args:
        held: the most words in each stream with bounds while the frame's words are written.
    """

    held: Mapping[str, int]


def first_frame(dataflow: Dataflow, waits: Mapping[str, int]) -> dict[str, Array]:
    """Return when the words of a single frame are written, in FIFOs that hold whatever comes.

    Args:
        dataflow: the network.
        waits: cycles that a word spends in each stream's FIFO at least.
    """
    times, given = dict[str, Array](), at_once(dataflow, 0)
    for actor in dataflow.actors:
        arrived = [times[s] + waits[s] if s in times else given[s] for s in actor.inputs]
        sweep = Sweep(actor)
        times |= dict.fromkeys(actor.outputs, sweep.written(sweep.late(arrived, 0)))
    return times


def self_timed(
    dataflow: Dataflow, waits: Mapping[str, int], room: Mapping[str, int]
) -> Iterator[Run]:
    """Yield frame after frame, whose inputs come one word a cycle or as fast as they are taken.

    Args:
        dataflow: the network.
        waits: cycles that a word spends in each stream's FIFO at least.
        room: words that each stream holds.

    Raises:
        InternalError: no schedule was found.
    """
    sweeps = {actor.name: Sweep(actor, room) for actor in dataflow.actors}
    begins = dict.fromkeys(sweeps, 0)
    places = {s: np.full(words, EARLIEST) for s, words in room.items()}
    frees = {s: np.full(dataflow.reader[s][1].words, EARLIEST) for s in room}
    for number in itertools.count():
        frame = _Frame(dataflow, sweeps, at_once(dataflow, number), waits, begins, places, frees)
        frame.settle()
        held = {
            s: most_held(frame.written[s], np.concatenate([p, frame.freed[s]]), len(p))
            for s, p in places.items()
        }
        yield Run(frame.written, frame.freed, held)
        begins = {name: sweeps[name].ends(late) for name, late in frame.late.items()}
        places = {s: np.concatenate([p, frame.freed[s]])[-len(p) :] for s, p in places.items()}
        # A step comes at least so many cycles after that of the frame before.
        frees = {s: f + sweeps[dataflow.reader[s][0].name].count for s, f in frame.freed.items()}


class _Frame:
    """The times of a frame while they become what they are."""

    def __init__(
        self,
        dataflow: Dataflow,
        sweeps: Mapping[str, Sweep],
        given: Mapping[str, Array],
        waits: Mapping[str, int],
        begins: Mapping[str, int],
        places: Mapping[str, Array],
        frees: Mapping[str, Array],
    ) -> None:
        """Begin with times that are too early.

        Args:
            dataflow: the network.
            sweeps: of each actor.
            given: when the words of each input port come.
            waits: cycles that a word spends in each stream's FIFO at least.
            begins: when each actor's first step can be.
            places: of each stream with bounds, when the places of its last words were freed.
            frees: not after the times when those of this frame's words are.
        """
        self._dataflow, self._sweeps, self._given = dataflow, sweeps, given
        self._waits, self._begins, self._places = waits, begins, places
        self._changed = set(sweeps)
        self.late: dict[str, Array] = {}
        self.written: dict[str, Array] = {}
        self.freed = dict(frees)

    def settle(self) -> None:
        """Sweep until no time changes."""
        actors = self._dataflow.actors
        along: Sequence[Actor] = [*actors, *reversed(actors)]
        for _ in range(MOST_SWEEPS):
            for actor in along:
                if actor.name in self._changed:
                    self._update(actor)
            if not self._changed:
                return
        raise InternalError(f"{MOST_SWEEPS} sweeps find no schedule", where=self._dataflow.name)

    def _update(self, actor: Actor) -> None:
        """Put an actor's steps off until all is there that they wait for."""
        self._changed.discard(actor.name)
        sweep, latency, flow = self._sweeps[actor.name], actor.kernel.latency, self._dataflow
        moments = [
            self.written[s] + self._waits[s] if s in self.written else self._given[s]
            for s in actor.inputs
        ]
        moments += [self._free(s) + 1 - latency for s in actor.outputs if s in self._places]
        late = sweep.late(moments, self._begins[actor.name])
        if actor.name in self.late and np.array_equal(late, self.late[actor.name]):
            return
        self.late[actor.name] = late
        written = sweep.written(late)
        for stream in actor.outputs:
            if stream not in self.written or not np.array_equal(self.written[stream], written):
                self.written[stream] = written
                if stream in flow.reader:
                    self._changed.add(flow.reader[stream][0].name)
        for stream, freed in zip(actor.inputs, sweep.freed(late), strict=True):
            if stream in self._places and not np.array_equal(self.freed[stream], freed):
                self.freed[stream] = freed
                self._changed.add(flow.writer[stream][0].name)

    def _free(self, stream: str) -> Array:
        """Return when there is a place for each word of the frame."""
        words = len(self.freed[stream])
        return np.concatenate([self._places[stream], self.freed[stream]])[:words]
