"""Depths of FIFOs and line buffers that neither deadlock nor throttle.

They follow in two steps. First, the most words that wait in each stream of a schedule at the
network's rate (`just_in_time`). A network of such actors with bounded FIFOs that runs by itself
does nothing later than any schedule that its FIFOs allow (Sriram and Bhattacharyya, "Embedded
Multiprocessors", 2nd ed., chapter 7: self-timed execution is monotone), so with these depths it
neither deadlocks nor falls behind that rate.

Running by itself, though, it has its words elsewhere than in that schedule. So, second, that run is
followed until one frame is like the one before it. A FIFO that never was full in it gets the depth
that it did need: the run stays what it is, since nothing in it ever waited for that FIFO.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeGuard

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.kernels.base import Kernel
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH
from lepton_edge.backends.fpga.kernels.memories import memory_styles
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.backends.fpga.schedule.just_in_time import just_in_time
from lepton_edge.backends.fpga.schedule.latency import fifo_waits, latency_cycles
from lepton_edge.backends.fpga.schedule.self_timed import self_timed, written_early
from lepton_edge.backends.fpga.schedule.times import (
    Schedule,
    at_once,
    is_periodic,
    most_waiting,
    paced,
)

SETTLING = 4
"""Frames of a schedule, beyond those in flight at once, to begin with: the first ones fill the
pipelines and find line buffers empty, the last has nothing behind it. Where many actors are busy
all the time it takes more of them until one frame is like the next."""

MOST_SETTLING = 4
"""Times as many frames as at first, at most. Actors that are busy for all but a few cycles settle
by those few cycles a frame, and cannot fall further behind than that if they have not settled."""

MEMORY_CYCLES = 2
"""Cycles in a FIFO whose depth is not known yet: those of one in LUT memory."""


def sized(dataflow: Dataflow) -> Dataflow:
    """Return the network with FIFOs and line buffers that neither deadlock nor throttle.

    See the module's head. What must wait in front of a line buffer waits in it: from a FIFO it
    would still have to move there, word by word, when it is wanted.
    """
    bare = dataflow.with_kernels(lambda a: _with_depth(a.kernel, 0))
    waits = dict.fromkeys(bare.streams, MEMORY_CYCLES)
    frames = least = latency_cycles(bare) // bare.cycles + SETTLING
    most = MOST_SETTLING * least
    while frames < most and not _is_settled(bare, frames, waits):
        frames += SETTLING // 2
    while True:
        room = _room_of(bare, just_in_time(bare, frames, waits))
        planned = _with_room(bare, room)
        run = _settled_run(planned, room, frames + SETTLING // 2)
        if run is not None:
            return _with_room(bare, _needed(planned, room, run))
        if frames >= most:
            return planned
        # Deeper FIFOs have words for longer.
        waits = {s: max(MEMORY_CYCLES, cycles) for s, cycles in fifo_waits(planned).items()}
        frames += SETTLING // 2


def _is_settled(dataflow: Dataflow, frames: int, waits: Mapping[str, int]) -> bool:
    """Whether frames at the network's rate come to be alike."""
    early = written_early(dataflow, paced(dataflow, frames), frames, waits)
    return is_periodic(early, frames, dataflow.cycles)


def _settled_run(dataflow: Dataflow, room: Mapping[str, int], frames: int) -> Schedule | None:
    """Return the run of frames as fast as they are taken; None if they do not come to be alike.

    Where one is like the one before, it goes on like that.
    """
    given, waits = at_once(dataflow, frames), fifo_waits(dataflow)
    run = self_timed(dataflow, given, frames, waits, room)
    is_settled = run is not None and is_periodic(run.written, frames, dataflow.cycles)
    return run if is_settled else None


def _room_of(dataflow: Dataflow, schedule: Schedule) -> dict[str, int]:
    """Return the words that wait in each stream of a schedule, and in the line buffer behind it."""
    room: dict[str, int] = {}
    for stream, freed in schedule.freed.items():
        if stream not in dataflow.writer:
            continue
        (reader, port), (writer, _) = dataflow.reader[stream], dataflow.writer[stream]
        # An actor that runs ahead of the schedule stops with words in its pipeline. Those that
        # follow are late by its depth, unless there is space for a word as soon as its step began.
        begun = schedule.written[stream] - (writer.kernel.latency - 1)
        room[stream] = max(_least(reader.kernel), most_waiting(begun, freed, port.words))
    return room


def _needed(dataflow: Dataflow, room: Mapping[str, int], run: Schedule) -> dict[str, int]:
    """Return for each stream the most words in it in a run, which is all of its room at most."""
    needed: dict[str, int] = {}
    for stream, most in room.items():
        reader, port = dataflow.reader[stream]
        held = most_waiting(run.written[stream], run.freed[stream], port.words)
        needed[stream] = min(most, max(_least(reader.kernel), held))
    return needed


def _least(kernel: Kernel) -> int:
    """Return the fewest words that fit into a kernel's input, and into its line buffer."""
    return max(kernel.span, MIN_DEPTH) if _is_buffered(kernel) else MIN_DEPTH


def _is_buffered(kernel: Kernel) -> TypeGuard[SlidingWindow]:
    """Whether a kernel has a line buffer that may be as deep as one likes."""
    return isinstance(kernel, SlidingWindow) and not kernel.is_wide


def _with_room(dataflow: Dataflow, room: Mapping[str, int]) -> Dataflow:
    """Return the network with so many words in each stream, or in the line buffer behind it."""
    depths: dict[str, int] = {}
    lines: dict[str, int] = {}
    for stream, words in room.items():
        reader, _ = dataflow.reader[stream]
        if _is_buffered(reader.kernel):
            lines[reader.name] = words
        elif words > MIN_DEPTH:
            depths[stream] = words
    buffered = dataflow.with_kernels(lambda a: _with_depth(a.kernel, lines.get(a.name, 0)))
    return replace(buffered, depths=depths)


def _with_depth(kernel: Kernel, depth: int) -> Kernel:
    """Return a window with so deep a line buffer, at least; in block RAM where that is deep."""
    if not _is_buffered(kernel):
        return kernel
    window = replace(kernel, spare=max(depth, _least(kernel)) - kernel.span)
    styles = memory_styles(*window.buffer)
    is_chosen = window.style == "auto" or window.style in styles
    return window if is_chosen else replace(window, style=styles[-1])
