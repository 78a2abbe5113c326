"""Times of steps and words over several frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.ir.types import Array


@dataclass(frozen=True)
class Schedule:
    """Times of several frames: for each stream when words are written, and their places freed."""

    written: Mapping[str, Array]
    freed: Mapping[str, Array]


def repeated(once: Array, period: int, frames: int) -> Array:
    """Return times or steps of one frame for several, one after the other."""
    return np.asarray((np.arange(frames)[:, None] * period + once).ravel())


def paced(dataflow: Dataflow, frames: int) -> dict[str, Array]:
    """Return times at which input words come evenly, at the network's rate."""
    period = dataflow.cycles
    ports = {port: dataflow.reader[port][1].words for port in dataflow.ports_in}
    return {p: repeated(np.arange(n) * period // n, period, frames) for p, n in ports.items()}


def at_once(dataflow: Dataflow, frames: int) -> dict[str, Array]:
    """Return times at which input words come one a cycle."""
    return {p: np.arange(dataflow.reader[p][1].words * frames) for p in dataflow.ports_in}


def is_periodic(times: Mapping[str, Array], frames: int, period: int) -> bool:
    """Whether the last frame's words all come a period after those of the one before.

    Args:
        times: of the words of each stream, in all frames.
        frames: frames.
        period: cycles.
    """
    last = (words.reshape(frames, -1)[-2:] for words in times.values())
    return all(bool(np.all(after - before == period)) for before, after in last)


def most_waiting(written: Array, freed: Array, words: int) -> int:
    """Return the most words in a stream at once, in all frames but the last.

    A place is free in the cycle after the one that frees it.

    Args:
        written: when each word is written.
        freed: when the place of each is freed.
        words: of a frame.
    """
    count = len(written) - words
    gone = np.searchsorted(freed, written[:count], side="left")
    return int((np.arange(1, count + 1) - gone).max())
