"""When words move: latency of a frame, and FIFO depths that neither deadlock nor throttle.

Both follow words through the network by arrays of times, a sweep over the actors instead of a
simulation cycle by cycle. What an actor reads and writes in which step its kernel says (`Steps`);
a step takes a cycle and happens no earlier than its words are there.

FIFO depths follow from one schedule of frames that come at the network's own rate, found in three
sweeps. Forwards, every step happens as early as it can, which tells when the results leave.
Backwards from there, every step happens as late as it may, so that no word is made before it is
wanted; forwards again, those actors work earlier that make few bits out of many. The most words
that wait in a stream of that schedule is its FIFO's depth. A network of
such actors with bounded FIFOs that runs by itself does nothing later than any schedule that its
FIFOs allow (Sriram and Bhattacharyya, "Embedded Multiprocessors", 2nd ed., chapter 7: self-timed
execution is monotone), so with these depths it neither deadlocks nor falls behind that rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.kernels.base import Kernel
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH
from lepton_edge.backends.fpga.kernels.memories import is_in_blocks, memory_styles
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.ir.types import Array

SETTLING = 4
"""Frames of a schedule, beyond those in flight at once, to begin with: the first ones fill the
pipelines and find line buffers empty, the last has nothing behind it. Where many actors are busy
all the time it takes more of them until one frame is like the next."""

MOST_SETTLING = 4
"""Times as many frames as at first, at most. Actors that are busy for all but a few cycles settle
by those few cycles a frame, and cannot fall further behind than that if they have not settled."""

NEVER = np.int64(1) << 60
"""When steps happen that nothing waits for."""

FIFO_CYCLES = 2
"""Cycles in a FIFO whose depth is not known yet: see `fifo_latency`."""


def fifo_latency(width: int, depth: int) -> int:
    """Return the cycles from a word's arrival at a FIFO to its departure.

    Source: hls/rtl/lepton_fifo.sv.
    """
    if depth <= MIN_DEPTH:
        return 1
    return 3 if is_in_blocks(width, depth) else 2


def latency_cycles(dataflow: Dataflow) -> int:
    """Return the cycles from the first input word to the last output word of a single frame.

    Inputs come one word a cycle.
    """
    given = {p: np.arange(dataflow.reader[p][1].words) for p in dataflow.ports_in}
    waits = {
        s: fifo_latency(dataflow.writer[s][1].width, dataflow.depth(s)) for s in dataflow.streams
    }
    written = _as_early(dataflow, given, 1, waits)
    return int(max(written[port][-1] for port in dataflow.ports_out)) + 1


def sized(dataflow: Dataflow) -> Dataflow:
    """Return the network with FIFOs and line buffers that neither deadlock nor throttle.

    See the module's head. What must wait in front of a line buffer waits in it: from a FIFO it
    would still have to move there, word by word, when it is wanted.
    """
    empty = dataflow.with_kernels(lambda a: _with_extra(a.kernel, 0))
    frames = latency_cycles(empty) // empty.cycles + SETTLING
    room, longer = _room(empty, frames), frames
    while longer < MOST_SETTLING * frames:
        longer += SETTLING // 2
        before, room = room, _room(empty, longer)
        if room == before:
            break
    depths, extra = room
    buffered = empty.with_kernels(lambda a: _with_extra(a.kernel, extra.get(a.name, 0)))
    return replace(buffered, depths=depths)


def _room(dataflow: Dataflow, frames: int) -> tuple[dict[str, int], dict[str, int]]:
    """Return depths of streams' FIFOs and extra words of windows for a schedule of some frames."""
    schedule = _just_in_time(dataflow, frames)
    depths: dict[str, int] = {}
    extra: dict[str, int] = {}
    for stream in dataflow.streams:
        reader, port = dataflow.reader[stream]
        writer = dataflow.writer[stream][0].kernel
        # An actor that runs ahead of the schedule stops with words in its pipeline. Those that
        # follow are late by its depth, unless there is space for a word as soon as its step began.
        begun = schedule.written[stream] - (writer.latency - 1)
        waiting = _most_waiting(begun, schedule.freed[stream], port.words)
        if isinstance(reader.kernel, SlidingWindow) and not reader.kernel.is_wide:
            extra[reader.name] = max(0, waiting - reader.kernel.depth)
        elif waiting > MIN_DEPTH:
            depths[stream] = waiting
    return depths, extra


def _with_extra(kernel: Kernel, extra: int) -> Kernel:
    """Return a window with so many words more, in block RAM where they become many."""
    if not isinstance(kernel, SlidingWindow):
        return kernel
    window = replace(kernel, extra=extra)
    styles = memory_styles(*window.buffer)
    is_chosen = window.style == "auto" or window.style in styles
    return window if is_chosen else replace(window, style=styles[-1])


def _most_waiting(written: Array, freed: Array, words: int) -> int:
    """Return the most words in a stream at once, in all frames but the last.

    A place is free in the cycle after the one that frees it.
    """
    count = len(written) - words
    gone = np.searchsorted(freed, written[:count], side="left")
    return int((np.arange(1, count + 1) - gone).max())


# -- schedules ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Schedule:
    """Times of several frames: for each stream when words are written, and their places freed."""

    written: Mapping[str, Array]
    freed: Mapping[str, Array]


def _just_in_time(dataflow: Dataflow, frames: int) -> _Schedule:
    """Return a schedule at the network's rate in which few bits wait in FIFOs.

    Nothing happens later than the results allow. Actors that write fewer bits than they read work
    as soon as they can, so that words wait where they are narrow; the others do where there is
    space that the latest schedule needs anyway.
    """
    early = _as_early(dataflow, _paced(dataflow, frames), frames)
    delays = _as_late(dataflow, {port: early[port] for port in dataflow.ports_out}, frames)
    schedule = _schedule_of(dataflow, delays, frames)
    space = {stream: _space(dataflow, stream, schedule) for stream in dataflow.streams}
    return _schedule_of(dataflow, _sooner(dataflow, delays, schedule, space, frames), frames)


def _sooner(
    dataflow: Dataflow,
    delays: Mapping[str, Array],
    schedule: _Schedule,
    space: Mapping[str, int],
    frames: int,
) -> dict[str, Array]:
    """Return delays that are no longer, of a schedule that needs no more space where it is wide.

    Args:
        dataflow: the network.
        delays: for each actor and write how long after its step's number it happens.
        schedule: the schedule of these delays.
        space: words that each stream may hold.
        frames: frames of the schedule.
    """
    written: dict[str, Array] = {}
    sooner: dict[str, Array] = {}
    for actor in dataflow.actors:
        steps, latency = actor.kernel.steps, actor.kernel.latency
        writes = _repeated(steps.writes, steps.count, frames)
        delay = delays[actor.name]
        if all(s in written for s in actor.inputs):
            arrived = [written[s] + FIFO_CYCLES for s in actor.inputs]
            soon = _written(steps, arrived, frames) - writes
            for stream in () if _is_narrowing(actor) else actor.outputs:
                if stream in space:
                    words = space[stream]
                    free = schedule.freed[stream][:-words] + 1 - latency
                    soon[words:] = np.maximum(soon[words:], free - writes[words:])
            delay = np.minimum(np.maximum.accumulate(soon), delay)
        sooner[actor.name] = delay
        written |= dict.fromkeys(actor.outputs, delay + writes + latency)
    return sooner


def _schedule_of(dataflow: Dataflow, delays: Mapping[str, Array], frames: int) -> _Schedule:
    """Return the schedule in which each actor's writes have the given delays."""
    written: dict[str, Array] = {}
    freed: dict[str, Array] = {}
    for actor in dataflow.actors:
        steps, delay = actor.kernel.steps, delays[actor.name]
        writes = _repeated(steps.writes, steps.count, frames)
        written |= dict.fromkeys(actor.outputs, delay + writes + actor.kernel.latency)
        for stream, frees in zip(actor.inputs, steps.frees, strict=True):
            freed[stream] = _following(delay, writes, _repeated(frees, steps.count, frames))
    return _Schedule(written, freed)


def _space(dataflow: Dataflow, stream: str, schedule: _Schedule) -> int:
    """Return the words that a stream and its reader must, or can anyway, hold."""
    reader, port = dataflow.reader[stream]
    room = reader.kernel.steps.room[reader.inputs.index(stream)]
    waiting = _most_waiting(schedule.written[stream], schedule.freed[stream], port.words)
    return max(waiting, room + MIN_DEPTH)


def _is_narrowing(actor: Actor) -> bool:
    """Whether an actor writes no more bits than it reads."""
    read, written = (
        sum(port.words * port.width for port in ports)
        for ports in (actor.kernel.inputs, actor.kernel.outputs)
    )
    return written <= read


def _paced(dataflow: Dataflow, frames: int) -> dict[str, Array]:
    """Return times at which input words come evenly, at the network's rate."""
    period = dataflow.cycles
    ports = {port: dataflow.reader[port][1].words for port in dataflow.ports_in}
    return {p: _repeated(np.arange(n) * period // n, period, frames) for p, n in ports.items()}


def _as_late(dataflow: Dataflow, due: Mapping[str, Array], frames: int) -> dict[str, Array]:
    """Return for each actor and write how long after its step's number it happens, at the latest.

    Args:
        dataflow: the network.
        due: when the words of each output port must be written.
        frames: frames of the schedule.
    """
    wanted: dict[str, Array] = dict(due)
    delays: dict[str, Array] = {}
    for actor in reversed(dataflow.actors):
        steps = actor.kernel.steps
        writes = _repeated(steps.writes, steps.count, frames)
        soonest = np.minimum.reduce([wanted[stream] for stream in actor.outputs])
        # A step is no later than the next write allows, less the steps between.
        slack = soonest - actor.kernel.latency - writes
        delay = np.minimum.accumulate(slack[::-1])[::-1]
        delays[actor.name] = delay
        for stream, reads in zip(actor.inputs, steps.reads, strict=True):
            taken = _following(delay, writes, _repeated(reads, steps.count, frames))
            wanted[stream] = taken - FIFO_CYCLES
    return delays


def _repeated(once: Array, period: int, frames: int) -> Array:
    """Return times or steps of one frame for several, one after the other."""
    return np.asarray((np.arange(frames)[:, None] * period + once).ravel())


def _following(delay: Array, writes: Array, steps: Array) -> Array:
    """Return when steps happen that share the delay of the write that follows them."""
    index = np.searchsorted(writes, steps, side="left")
    bound = np.append(delay, NEVER)[index]
    return np.asarray(np.where(bound == NEVER, NEVER, bound + steps))


def _as_early(
    dataflow: Dataflow,
    given: Mapping[str, Array],
    frames: int,
    waits: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """Return when each stream's words are written if every step happens as early as it can.

    Args:
        dataflow: the network; its FIFOs hold whatever comes.
        given: when the words of each input port come.
        frames: frames that come.
        waits: cycles that a word spends in each stream's FIFO at least; FIFO_CYCLES where nothing
            is said.
    """
    times: dict[str, Array] = {}
    for actor in dataflow.actors:
        arrived = [
            times[s] + (waits or {}).get(s, FIFO_CYCLES) if s in times else given[s]
            for s in actor.inputs
        ]
        written = _written(actor.kernel.steps, arrived, frames) + actor.kernel.latency
        times |= dict.fromkeys(actor.outputs, written)
    return times


def _written(steps: Steps, arrived: Sequence[Array], frames: int) -> Array:
    """Return in which cycles the writing steps happen, when words are there from ``arrived`` on."""
    read = [_repeated(r, steps.count, frames) for r in steps.reads]
    step, there = read[0], arrived[0]
    if len(read) > 1:
        step, there = np.concatenate(read), np.concatenate(arrived)
        order = np.argsort(step, kind="stable")
        step, there = step[order], there[order]
    # Each step is a cycle after the one before, at least.
    delay = np.maximum.accumulate(there - step)
    writes = _repeated(steps.writes, steps.count, frames)
    known = np.searchsorted(step, writes, side="right") - 1
    return np.asarray(delay[np.maximum(known, 0)] + writes)
