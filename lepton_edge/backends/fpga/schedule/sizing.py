"""Depths of FIFOs and line buffers that neither deadlock nor throttle.

They follow in two steps. First, the most words that wait in each stream of a schedule at the
network's rate (`just_in_time`). A network of such actors with bounded FIFOs that runs by itself
does nothing later than any schedule that its FIFOs allow (Sriram and Bhattacharyya, "Embedded
Multiprocessors", 2nd ed., chapter 7: self-timed execution is monotone), so with these depths it
neither deadlocks nor falls behind that rate.

Running by itself, though, it has its words elsewhere than in that schedule. So, second, that run is
followed (`self_timed`) until one frame is like the one before it. A FIFO that never was full in it
gets the depth that it did need: the run stays what it is, since nothing ever waited for that FIFO.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import TypeGuard

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.kernels.base import Kernel
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH
from lepton_edge.backends.fpga.kernels.memories import memory_styles
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.backends.fpga.schedule.just_in_time import just_in_time
from lepton_edge.backends.fpga.schedule.latency import fifo_waits, latency_cycles
from lepton_edge.backends.fpga.schedule.self_timed import Run, self_timed
from lepton_edge.backends.fpga.schedule.times import Schedule, distance, most_waiting

MOST_FRAMES = 4
"""Frames of a run, as multiples of those in flight at once, in which it must come to repeat itself.
Where many actors are busy for all but a few cycles it takes as long as FIFOs need to fill up by
those few cycles a frame."""

SETTLING = 4
"""Frames beyond those in flight: the first ones fill pipelines, and find line buffers empty."""

ROUNDS = 4
"""Times that depths are planned anew, since deep FIFOs, in block RAM, have words for longer."""

MEMORY_CYCLES = 2
"""Cycles in a FIFO whose depth is not known yet: those of one in LUT memory."""


def sized(dataflow: Dataflow) -> Dataflow:
    """Return the network with FIFOs and line buffers that neither deadlock nor throttle.

    See the module's head. What must wait in front of a line buffer waits in it: from a FIFO it
    would still have to move there, word by word, when it is wanted.
    """
    bare = dataflow.with_kernels(lambda a: _with_depth(a.kernel, 0))
    waits = dict.fromkeys(bare.streams, MEMORY_CYCLES)
    for _ in range(ROUNDS):
        room = _room_of(bare, just_in_time(bare, waits))
        planned = _with_room(bare, room)
        held = _held(planned, room)
        if held is not None:
            return _with_room(bare, _needed(planned, room, held))
        longer = {s: max(waits[s], cycles) for s, cycles in fifo_waits(planned).items()}
        if longer == waits:
            break
        waits = longer
    return planned


def _held(dataflow: Dataflow, room: Mapping[str, int]) -> Mapping[str, int] | None:
    """Return the most words in each stream in a run, which is all of its room at most.

    None if the run does not come to repeat itself at the network's rate. It does for ever once
    frames are alike back to those whose places the next one takes.
    """
    words = {stream: dataflow.reader[stream][1].words for stream in room}
    reach = 1 + max((-(-room[s] // words[s]) for s in room), default=0)
    frames = MOST_FRAMES * (latency_cycles(dataflow) // dataflow.cycles + SETTLING) + reach
    held, alike = dict.fromkeys(room, 0), 0
    last: Run | None = None
    period: int | None = None
    for run in islice(self_timed(dataflow, fifo_waits(dataflow), room), frames):
        held = {stream: max(most, run.held[stream]) for stream, most in held.items()}
        before, period = period, distance(last.written, run.written) if last else None
        alike = alike + 1 if period is not None and period == before else 0
        if alike == reach:
            return held if period == dataflow.cycles else None
        last = run
    return None


def _room_of(dataflow: Dataflow, schedule: Schedule) -> dict[str, int]:
    """Return the words that wait in each stream of a schedule, and in the line buffer behind it."""
    room, period = dict[str, int](), dataflow.cycles
    for stream, freed in schedule.freed.items():
        (reader, _), (writer, _) = dataflow.reader[stream], dataflow.writer[stream]
        # An actor that runs ahead of the schedule stops with words in its pipeline. Those that
        # follow are late by its depth, unless there is space for a word as soon as its step began.
        begun = schedule.written[stream] - (writer.kernel.latency - 1)
        room[stream] = max(_least(reader.kernel), most_waiting(begun, freed, period))
    return room


def _needed(dataflow: Dataflow, room: Mapping[str, int], held: Mapping[str, int]) -> dict[str, int]:
    """Return the room that each stream needs: what it held, and what its reader's kernel needs."""
    least = {stream: _least(dataflow.reader[stream][0].kernel) for stream in room}
    return {s: min(most, max(least[s], held[s])) for s, most in room.items()}


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
