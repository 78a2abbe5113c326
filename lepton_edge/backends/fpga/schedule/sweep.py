"""How late the steps of an actor are.

A step is as late as its time is beyond its number in the frame. From one step to the next that
never becomes less, and the first step of a frame is a cycle after the last one of the frame before.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np

from lepton_edge.backends.fpga.dataflow import Actor
from lepton_edge.ir.types import Array


class Sweep:
    """The steps of a frame of an actor, and which of them wait for what."""

    def __init__(self, actor: Actor, bounded: Container[str] = ()) -> None:
        """Prepare the steps.

        Args:
            actor: the actor.
            bounded: the streams in which words wait for places.
        """
        steps = actor.kernel.steps
        self.count = steps.count
        waits = [*steps.reads, *(steps.writes for stream in actor.outputs if stream in bounded)]
        joined = np.concatenate(waits)
        self._order = np.argsort(joined, kind="stable") if len(waits) > 1 else None
        self._waiting = joined if self._order is None else joined[self._order]
        self._writes = steps.writes + actor.kernel.latency
        self._frees = steps.frees
        self._before_write = self._last_before(steps.writes)
        self._before_free = [self._last_before(frees) for frees in steps.frees]

    def late(self, moments: Sequence[Array], begins: int) -> Array:
        """Return how late the frame is at its begin, and from each wait on.

        Args:
            moments: when that is there which steps wait for: of each input its words, then of each
                output with bounds the places for its words, less the pipeline's depth.
            begins: when the first step can be, if it waits for nothing.
        """
        return np.maximum.accumulate(np.concatenate([[begins], self._each(moments)]))

    def late_among_many(self, moments: Sequence[Array], period: int) -> Array:
        """Return the same where frames follow each other for ever, a period apart."""
        each = self._each(moments)
        return np.maximum.accumulate(np.concatenate([[each.max() + self.count - period], each]))

    def written(self, late: Array) -> Array:
        """Return when output words are written."""
        return np.asarray(late[self._before_write] + self._writes)

    def freed(self, late: Array) -> list[Array]:
        """Return for each input when the places of its words are freed."""
        return [late[b] + f for b, f in zip(self._before_free, self._frees, strict=True)]

    def ends(self, late: Array) -> int:
        """Return when the first step of the next frame can be."""
        return int(late[-1]) + self.count

    def _each(self, moments: Sequence[Array]) -> Array:
        there = np.concatenate(moments) if len(moments) > 1 else moments[0]
        return np.asarray((there if self._order is None else there[self._order]) - self._waiting)

    def _last_before(self, steps: Array) -> Array:
        """Return for each step where the last wait up to it is in what ``late`` returns."""
        return np.searchsorted(self._waiting, steps, side="right")
