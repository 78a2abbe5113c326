"""A schedule at the network's rate in which few bits wait, one frame of many that are alike.

Found in three sweeps. Forwards, every step happens as early as it can, which tells when the results
leave. Backwards from there, every step happens as late as it may, so that no word is made before it
is wanted; forwards again, those actors work earlier that make few bits out of many.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH
from lepton_edge.backends.fpga.schedule.sweep import Sweep
from lepton_edge.backends.fpga.schedule.times import Schedule, evenly, most_waiting, shifted
from lepton_edge.ir.types import Array


def just_in_time(dataflow: Dataflow, waits: Mapping[str, int]) -> Schedule:
    """Return a schedule at the network's rate in which few bits wait in FIFOs.

    Nothing happens later than the results allow. Actors that write fewer bits than they read work
    as soon as they can, so that words wait where they are narrow; the others do where there is
    space that the latest schedule needs anyway.

    Args:
        dataflow: the network.
        waits: cycles that a word spends in each stream's FIFO at least.
    """
    late = _as_late(dataflow, _results(dataflow, waits), waits)
    latest = _schedule_of(dataflow, late)
    return _schedule_of(dataflow, _sooner(dataflow, late, latest, waits))


def _results(dataflow: Dataflow, waits: Mapping[str, int]) -> dict[str, Array]:
    """Return when the words of each output port are written if every step is as early as it can."""
    times, given = dict[str, Array](), evenly(dataflow)
    for actor in dataflow.actors:
        arrived = [times[s] + waits[s] if s in times else given[s] for s in actor.inputs]
        sweep = Sweep(actor)
        late = sweep.late_among_many(arrived, dataflow.cycles)
        times |= dict.fromkeys(actor.outputs, sweep.written(late))
    return {port: times[port] for port in dataflow.ports_out}


def _as_late(
    dataflow: Dataflow, due: Mapping[str, Array], waits: Mapping[str, int]
) -> dict[str, Array]:
    """Return for each actor and write how late it is, at the most.

    Args:
        dataflow: the network.
        due: when the words of each output port must be written.
        waits: cycles that a word spends in each stream's FIFO at least.
    """
    wanted, lateness = dict(due), dict[str, Array]()
    for actor in reversed(dataflow.actors):
        steps, period = actor.kernel.steps, dataflow.cycles
        soonest = np.minimum.reduce([wanted[stream] for stream in actor.outputs])
        # A step is no later than the next write allows, less the steps between.
        slack = soonest - actor.kernel.latency - steps.writes
        most = slack.min() + period - steps.count
        late = np.minimum(np.minimum.accumulate(slack[::-1])[::-1], most)
        lateness[actor.name] = late
        for stream, reads in zip(actor.inputs, steps.reads, strict=True):
            wanted[stream] = _with_next_write(actor, late, reads, period) - waits.get(stream, 0)
    return lateness


def _sooner(
    dataflow: Dataflow,
    lateness: Mapping[str, Array],
    latest: Schedule,
    waits: Mapping[str, int],
) -> dict[str, Array]:
    """Return writes that are no later, in a schedule that needs no more space where it is wide.

    Args:
        dataflow: the network.
        lateness: for each actor and write how late it is.
        latest: the schedule of that.
        waits: cycles that a word spends in each stream's FIFO at least.
    """
    written, sooner, period = dict[str, Array](), dict[str, Array](), dataflow.cycles
    for actor in dataflow.actors:
        steps, latency, late = actor.kernel.steps, actor.kernel.latency, lateness[actor.name]
        if all(s in written for s in actor.inputs):
            sweep = Sweep(actor)
            arrived = [written[s] + waits[s] for s in actor.inputs]
            soon = sweep.written(sweep.late_among_many(arrived, period)) - (steps.writes + latency)
            for stream in () if _is_narrowing(actor) else actor.outputs:
                if stream in latest.freed:
                    space = _space(dataflow, stream, latest)
                    free = shifted(latest.freed[stream], space, period) + 1 - latency
                    soon = np.maximum(soon, free - steps.writes)
            soon = np.maximum(np.maximum.accumulate(soon), soon.max() + steps.count - period)
            late = np.minimum(soon, late)
        sooner[actor.name] = late
        written |= dict.fromkeys(actor.outputs, late + steps.writes + latency)
    return sooner


def _schedule_of(dataflow: Dataflow, lateness: Mapping[str, Array]) -> Schedule:
    """Return the schedule in which each actor's writes are so late."""
    written: dict[str, Array] = {}
    freed: dict[str, Array] = {}
    for actor in dataflow.actors:
        steps, late = actor.kernel.steps, lateness[actor.name]
        written |= dict.fromkeys(actor.outputs, late + steps.writes + actor.kernel.latency)
        for stream, frees in zip(actor.inputs, steps.frees, strict=True):
            if stream in dataflow.writer:
                freed[stream] = _with_next_write(actor, late, frees, dataflow.cycles)
    return Schedule(written, freed)


def _with_next_write(actor: Actor, late: Array, steps: Array, period: int) -> Array:
    """Return when steps happen that are as late as the write that follows them.

    Args:
        actor: whose steps they are.
        late: how late each write is.
        steps: steps of a frame, up to their count.
        period: cycles from frame to frame.
    """
    writes, count = actor.kernel.steps.writes, actor.kernel.steps.count
    following = np.append(late, late[0] + period - count)
    return np.asarray(following[np.searchsorted(writes, steps, side="left")] + steps)


def _space(dataflow: Dataflow, stream: str, schedule: Schedule) -> int:
    """Return the words that a stream and its reader must, or can anyway, hold."""
    reader, _ = dataflow.reader[stream]
    room = reader.kernel.steps.room[reader.inputs.index(stream)]
    times = schedule.written[stream], schedule.freed[stream]
    return max(most_waiting(*times, dataflow.cycles), room + MIN_DEPTH)


def _is_narrowing(actor: Actor) -> bool:
    """Whether an actor writes no more bits than it reads."""
    read, written = (
        sum(port.words * port.width for port in ports)
        for ports in (actor.kernel.inputs, actor.kernel.outputs)
    )
    return written <= read
