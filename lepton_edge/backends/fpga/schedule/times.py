"""Times of the words of a frame, and what follows from them where frames are alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.ir.types import Array


@dataclass(frozen=True)
class Schedule:
    """Times of a frame: for each stream when words are written, and their places freed.

    Both are int64 [words], ascending.
    """

    written: Mapping[str, Array]
    freed: Mapping[str, Array]


def evenly(dataflow: Dataflow) -> dict[str, Array]:
    """Return the times in a frame at which input words come evenly, at the network's rate."""
    period = dataflow.cycles
    ports = {port: dataflow.reader[port][1].words for port in dataflow.ports_in}
    return {p: np.arange(n) * period // n for p, n in ports.items()}


def at_once(dataflow: Dataflow, frame: int) -> dict[str, Array]:
    """Return the times of a frame's input words that come one a cycle, from frame 0 on."""
    ports = {port: dataflow.reader[port][1].words for port in dataflow.ports_in}
    return {port: np.arange(frame * n, (frame + 1) * n) for port, n in ports.items()}


def distance(before: Mapping[str, Array], after: Mapping[str, Array]) -> int | None:
    """Return the cycles by which all words of a frame come after those of another, if alike."""
    apart = [after[stream] - times for stream, times in before.items()]
    first = int(apart[0][0])
    return first if all(bool((cycles == first).all()) for cycles in apart) else None


def shifted(times: Array, words: int, period: int) -> Array:
    """Return for each word of a frame the time of the one that is ``words`` before it.

    Args:
        times: of the words of a frame.
        words: how far back; that may be several frames.
        period: cycles from frame to frame.
    """
    frames, word = np.divmod(np.arange(len(times)) - words, len(times))
    return np.asarray(times[word] + frames * period)


def most_waiting(written: Array, freed: Array, period: int) -> int:
    """Return the most words in a stream at once, where frames follow each other for ever.

    A place is free in the cycle after the one that frees it.

    Args:
        written: when each word of a frame is written.
        freed: when the place of each is freed.
        period: cycles from frame to frame.
    """
    earlier = max(0, -(-int(freed[0] - written[0]) // period)) + 1
    places = (freed + period * np.arange(-earlier, 1)[:, np.newaxis]).ravel()
    return most_held(written, places, earlier * len(freed))


def most_held(written: Array, places: Array, earlier: int) -> int:
    """Return the most words in a stream while those of a frame are written.

    Args:
        written: when each word of the frame is written.
        places: when the places of the last words before it, and of its own, are freed.
        earlier: how many of them are before it; what came still earlier has left.
    """
    gone = np.searchsorted(places, written, side="left") - earlier
    return int((np.arange(1, len(written) + 1) - gone).max())
