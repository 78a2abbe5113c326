"""A schedule at the network's rate in which few bits wait.

Found in three sweeps. Forwards, every step happens as early as it can, which tells when the results
leave. Backwards from there, every step happens as late as it may, so that no word is made before it
is wanted; forwards again, those actors work earlier that make few bits out of many.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH
from lepton_edge.backends.fpga.schedule.self_timed import Sweep, written_early
from lepton_edge.backends.fpga.schedule.times import (
    Schedule,
    most_waiting,
    paced,
    repeated,
)
from lepton_edge.ir.types import Array

NEVER = np.int64(1) << 60
"""When steps happen that nothing waits for."""


def just_in_time(dataflow: Dataflow, frames: int, waits: Mapping[str, int]) -> Schedule:
    """Return a schedule at the network's rate in which few bits wait in FIFOs.

    Nothing happens later than the results allow. Actors that write fewer bits than they read work
    as soon as they can, so that words wait where they are narrow; the others do where there is
    space that the latest schedule needs anyway.

    Args:
        dataflow: the network.
        frames: frames of the schedule.
        waits: cycles that a word spends in each stream's FIFO at least.
    """
    early = written_early(dataflow, paced(dataflow, frames), frames, waits)
    due = {port: early[port] for port in dataflow.ports_out}
    delays = _as_late(dataflow, due, frames, waits)
    schedule = _schedule_of(dataflow, delays, frames)
    space = {stream: _space(dataflow, stream, schedule) for stream in dataflow.streams}
    sooner = _sooner(dataflow, delays, schedule, space, frames, waits)
    return _schedule_of(dataflow, sooner, frames)


def _sooner(
    dataflow: Dataflow,
    delays: Mapping[str, Array],
    schedule: Schedule,
    space: Mapping[str, int],
    frames: int,
    waits: Mapping[str, int],
) -> dict[str, Array]:
    """Return delays that are no longer, of a schedule that needs no more space where it is wide.

    Args:
        dataflow: the network.
        delays: for each actor and write how long after its step's number it happens.
        schedule: the schedule of these delays.
        space: words that each stream may hold.
        frames: frames of the schedule.
        waits: cycles that a word spends in each stream's FIFO at least.
    """
    written: dict[str, Array] = {}
    sooner: dict[str, Array] = {}
    for actor in dataflow.actors:
        steps, latency = actor.kernel.steps, actor.kernel.latency
        writes = repeated(steps.writes, steps.count, frames)
        delay = delays[actor.name]
        if all(s in written for s in actor.inputs):
            sweep = Sweep(actor, {}, frames)
            arrived = [written[s] + waits[s] for s in actor.inputs]
            soon = sweep.written(sweep.delay(arrived)) - (writes + latency)
            for stream in () if _is_narrowing(actor) else actor.outputs:
                if stream in space:
                    words = space[stream]
                    free = schedule.freed[stream][:-words] + 1 - latency
                    soon[words:] = np.maximum(soon[words:], free - writes[words:])
            delay = np.minimum(np.maximum.accumulate(soon), delay)
        sooner[actor.name] = delay
        written |= dict.fromkeys(actor.outputs, delay + writes + latency)
    return sooner


def _schedule_of(dataflow: Dataflow, delays: Mapping[str, Array], frames: int) -> Schedule:
    """Return the schedule in which each actor's writes have the given delays."""
    written: dict[str, Array] = {}
    freed: dict[str, Array] = {}
    for actor in dataflow.actors:
        steps, delay = actor.kernel.steps, delays[actor.name]
        writes = repeated(steps.writes, steps.count, frames)
        written |= dict.fromkeys(actor.outputs, delay + writes + actor.kernel.latency)
        for stream, frees in zip(actor.inputs, steps.frees, strict=True):
            freed[stream] = _following(delay, steps.writes, frees, steps.count, frames)
    return Schedule(written, freed)


def _space(dataflow: Dataflow, stream: str, schedule: Schedule) -> int:
    """Return the words that a stream and its reader must, or can anyway, hold."""
    reader, port = dataflow.reader[stream]
    room = reader.kernel.steps.room[reader.inputs.index(stream)]
    waiting = most_waiting(schedule.written[stream], schedule.freed[stream], port.words)
    return max(waiting, room + MIN_DEPTH)


def _is_narrowing(actor: Actor) -> bool:
    """Whether an actor writes no more bits than it reads."""
    read, written = (
        sum(port.words * port.width for port in ports)
        for ports in (actor.kernel.inputs, actor.kernel.outputs)
    )
    return written <= read


def _as_late(
    dataflow: Dataflow, due: Mapping[str, Array], frames: int, waits: Mapping[str, int]
) -> dict[str, Array]:
    """Return for each actor and write how long after its step's number it happens, at the latest.

    Args:
        dataflow: the network.
        due: when the words of each output port must be written.
        frames: frames of the schedule.
        waits: cycles that a word spends in each stream's FIFO at least.
    """
    wanted: dict[str, Array] = dict(due)
    delays: dict[str, Array] = {}
    for actor in reversed(dataflow.actors):
        steps = actor.kernel.steps
        writes = repeated(steps.writes, steps.count, frames)
        soonest = np.minimum.reduce([wanted[stream] for stream in actor.outputs])
        # A step is no later than the next write allows, less the steps between.
        slack = soonest - actor.kernel.latency - writes
        delay = np.minimum.accumulate(slack[::-1])[::-1]
        delays[actor.name] = delay
        for stream, reads in zip(actor.inputs, steps.reads, strict=True):
            taken = _following(delay, steps.writes, reads, steps.count, frames)
            wanted[stream] = taken - waits.get(stream, 0)
    return delays


def _following(delay: Array, writes: Array, steps: Array, period: int, frames: int) -> Array:
    """Return when steps happen that share the delay of the write that follows them.

    Args:
        delay: of each write, in all frames.
        writes: the writing steps of a frame.
        steps: steps of a frame, up to ``period``.
        period: steps a frame.
        frames: frames.
    """
    following = np.searchsorted(writes, steps, side="left")
    bound = np.append(delay, NEVER)[repeated(following, len(writes), frames)]
    return np.asarray(np.where(bound == NEVER, NEVER, bound + repeated(steps, period, frames)))
