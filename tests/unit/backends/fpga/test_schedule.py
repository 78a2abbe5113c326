"""FIFO depths, proven against an execution word by word; latency on chains."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from itertools import islice, pairwise

import numpy as np
import pytest

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.dataflow import Actor, Dataflow, connect
from lepton_edge.backends.fpga.folding import Goal, plan
from lepton_edge.backends.fpga.hls_depths import SLACK, hls_depths
from lepton_edge.backends.fpga.kernels.base import Kernel
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.backends.fpga.schedule import latency_cycles, sized, sizing
from lepton_edge.backends.fpga.schedule.just_in_time import just_in_time
from lepton_edge.backends.fpga.schedule.latency import fifo_waits
from lepton_edge.backends.fpga.schedule.self_timed import Run, first_frame, self_timed
from lepton_edge.backends.fpga.schedule.times import distance, most_waiting, shifted
from lepton_edge.ir.ops import pool, quantized, shape
from lepton_edge.ir.types import Array
from tests.hwsim.kernel_samples import events
from tests.hwsim.rtl import harness

FRAMES = 3


def stuck(dataflow: Dataflow, depth: Callable[[str], int], seed: int = 0) -> list[str]:
    """Run the network word by word with FIFOs of limited depth; return the streams that are full
    when nothing moves any more, or nothing when all frames come through.

    Every actor reads and writes in the order of its C++ text, and waits when a FIFO is empty or
    full. Hosts give and take words whenever they can. The scheduler is unfair on purpose.
    """
    orders = [events(actor.kernel) * FRAMES for actor in dataflow.actors]
    at = [0] * len(orders)
    held = dict.fromkeys(dataflow.streams, 0)
    ports = {*dataflow.ports_in, *dataflow.ports_out}
    rng = random.Random(seed)
    priorities = list(range(len(orders)))
    moved = True
    while moved:
        moved = False
        rng.shuffle(priorities)
        for index in priorities:
            actor, order = dataflow.actors[index], orders[index]
            burst = rng.choice([1, 3, len(order)])
            while at[index] < len(order) and burst:
                kind, port = order[at[index]]
                stream = (actor.inputs if kind == "read" else actor.outputs)[port]
                if stream not in ports:
                    if kind == "read" and held[stream] == 0:
                        break
                    if kind == "write" and held[stream] == depth(stream):
                        break
                    held[stream] += 1 if kind == "write" else -1
                at[index] += 1
                burst -= 1
                moved = True
    if all(done == len(order) for done, order in zip(at, orders, strict=True)):
        assert not any(held.values())
        return []
    return [s for s, words in held.items() if words == depth(s)]


def residual(net):
    n = net("residual")
    x = n.input(6, 5, 2)
    deep = n.layer("c2", n.layer("c1", x, 4), 2)
    return n, n.add("sum", deep, x)


def nested(net):
    n = net("nested")
    x = n.input(6, 6, 2)
    inner = n.add("inner", n.layer("b", n.layer("a", x, 2), 2, 1), x)
    left = n.layer("d", n.layer("c", inner, 2, 5), 2)
    return n, n.add("outer", n.add("middle", left, inner), x)


def branches(net):
    n = net("branches")
    x = n.input(6, 6, 3)
    short = n.layer("one", x, 2, 1)
    long = n.layer("five", n.layer("three", x, 2), 4, 5)
    pooled = n.emit("max", pool.MaxPool((3, 3), (1, 1), (1, 1, 1, 1)), x)
    return n, n.emit("concat", shape.Concat(3), short, long, pooled)


def rows(net):
    n = net("rows")
    x = n.input(4, 5, 2)
    return n, n.emit("stack", shape.Concat(1), n.layer("c", x, 2), x, n.layer("d", x, 2, 1))


def squeeze(net):
    n = net("squeeze")
    x = n.layer("stem", n.input(5, 6, 2), 4)
    mean = n.requantize("mean", n.global_sum("pool", x))
    gate = n.requantize("gate", n.dense("up", n.requantize("mid", n.dense("down", mean, 2)), 4))
    return n, n.requantize("scaled", n.emit("scale", quantized.Product(16), x, gate))


def dense(net):
    n = net("dense")
    x = n.input(12)
    h = n.requantize("aq", n.dense("a", x, 12))
    return n, n.add("sum", n.requantize("bq", n.dense("b", h, 12)), x)


def up_and_down(net):
    n = net("unet")
    x = n.input(8, 6, 2)
    down = n.layer("c", n.emit("half", pool.MaxPool((2, 2), (2, 2)), x), 2)
    up = n.emit("up", shape.RepeatNearest((2, 2)), down)
    return n, n.emit("skip", shape.Concat(3), up, x)


def zeros(net):
    n = net("zeros")
    x = n.input(3, 8, 2)
    apart = n.emit("apart", shape.InsertZeros((3, 2)), n.layer("c", x, 2, 1))
    near = n.emit("near", shape.Slice(2, 0, 15), n.emit("rep", shape.RepeatNearest((3, 2)), x))
    near = n.emit("crop", shape.Slice(1, 0, 7), near)
    return n, n.add("sum", apart, near)


def strided(net):
    n = net("strided")
    x = n.input(9, 8, 2)
    a = n.requantize("aq", n.conv("a", x, 4, 3, strides=(2, 2)))
    b = n.requantize("bq", n.conv("b", x, 4, 1, strides=(2, 2)))
    return n, n.add("sum", a, b)


NETWORKS = (residual, nested, branches, rows, squeeze, dense, up_and_down, zeros, strided)
every_network = pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)


def planned_ways(net, make, plenty: Resources) -> list[Dataflow]:
    """Plan a network as small and slow, as fast, and as something between."""
    n, output = make(net)
    lowered = n.dataflow(output)
    smallest = connect(lowered)
    slow = sized(smallest)
    fast = plan(lowered, plenty, Goal())
    between = plan(lowered, plenty, Goal(cycles=(slow.cycles + fast.cycles) // 2))
    return [slow, between, fast]


def hls_depth(planned: Dataflow, slack: int = 0) -> Callable[[str], int]:
    """Return the depths of the C++ form, and no more than it needs."""
    depths = hls_depths(planned)
    return lambda stream: max(depths.get(stream, 0) - slack, MIN_DEPTH)


def lines_of(planned: Dataflow) -> list[int]:
    """Return the words of all line buffers."""
    return [a.kernel.depth for a in planned.actors if isinstance(a.kernel, SlidingWindow)]


@every_network
def test_no_deadlock_of_the_cpp_form(net, make, plenty) -> None:
    for planned in planned_ways(net, make, plenty):
        for seed in range(3):
            assert stuck(planned, hls_depth(planned), seed) == []


@every_network
def test_the_slack_is_not_what_prevents_deadlock(net, make, plenty) -> None:
    for planned in planned_ways(net, make, plenty):
        assert stuck(planned, hls_depth(planned, SLACK)) == []


@pytest.mark.parametrize("make", [residual, squeeze, up_and_down], ids=lambda m: m.__name__)
def test_too_small_a_fifo_deadlocks(net, make, plenty) -> None:
    """The execution above does find deadlocks: here the branch that waits has no room."""
    slow, *_ = planned_ways(net, make, plenty)
    depth = hls_depth(slow)
    deep = max(slow.streams, key=depth)
    assert depth(deep) > MIN_DEPTH + SLACK
    assert deep in stuck(slow, lambda s: MIN_DEPTH if s == deep else depth(s))


def test_depths_are_not_much_more_than_needed(net, plenty) -> None:
    """A residual around one 3x3 layer holds some rows, not a frame."""
    n = net()
    x = n.input(32, 8, 2)
    planned = plan(n.dataflow(n.add("sum", n.layer("c", x, 2), x)), plenty, Goal())
    bits = sum(planned.depth(s) * planned.writer[s][1].width for s in planned.depths if "fork" in s)
    row = 8 * 2 * 4
    assert row < bits <= 6 * row


# -- schedules ------------------------------------------------------------------------------------


def room_of(planned: Dataflow) -> dict[str, int]:
    """Return the words that fit into each stream, or into the line buffer behind it."""
    lines = {a.inputs[0]: a.kernel.depth for a in planned.actors if is_buffered(a.kernel)}
    return {s: lines.get(s, planned.depth(s)) for s in planned.streams}


def is_buffered(kernel: Kernel) -> bool:
    return isinstance(kernel, SlidingWindow) and not kernel.is_wide


def step_by_step(
    planned: Dataflow, frames: int, waits: Mapping[str, int], room: Mapping[str, int]
) -> dict[str, list[float]]:
    """Put off every step until all holds that it waits for; return when words are written.

    A step is a cycle after the one before it, at least; the words that it reads have come; a word
    that it writes finds a place when it has gone through the pipeline.
    """
    written: dict[str, list[float]] = {}
    freed: dict[str, list[float]] = {}

    def of_frames(steps: Array, count: int) -> list[int]:
        return [f * count + int(s) for f in range(frames) for s in steps]

    def times_of(actor: Actor) -> list[float]:
        steps, latency = actor.kernel.steps, actor.kernel.latency
        soonest = [0.0] * (steps.count * frames + 1)
        for stream, reads in zip(actor.inputs, steps.reads, strict=True):
            for word, step in enumerate(of_frames(reads, steps.count)):
                come = written[stream][word] + waits[stream] if stream in written else word
                soonest[step] = max(soonest[step], come)
        for word, step in enumerate(of_frames(steps.writes, steps.count)):
            for stream in set(actor.outputs) & set(freed):
                if word >= room[stream]:
                    free = freed[stream][word - room[stream]] + 1
                    soonest[step] = max(soonest[step], free - latency)
        for step in range(1, len(soonest)):
            soonest[step] = max(soonest[step], soonest[step - 1] + 1)
        return soonest

    before: dict[str, list[float]] | None = None
    while before != written:
        before = dict(written)
        for actor in planned.actors:
            steps, times = actor.kernel.steps, times_of(actor)
            went = [times[s] + actor.kernel.latency for s in of_frames(steps.writes, steps.count)]
            written |= dict.fromkeys(actor.outputs, went)
            for stream, frees in zip(actor.inputs, steps.frees, strict=True):
                if stream in room:
                    freed[stream] = [times[s] for s in of_frames(frees, steps.count)]
    return written


def runs_of(planned: Dataflow, frames: int) -> list[Run]:
    """Return the first frames of a network's run."""
    return list(islice(self_timed(planned, fifo_waits(planned), room_of(planned)), frames))


@pytest.mark.parametrize("make", [residual, squeeze, strided, rows], ids=lambda m: m.__name__)
def test_a_run_is_what_its_steps_say(net, make, plenty) -> None:
    """Times found by arrays equal those found word by word."""
    frames = 3
    for planned in planned_ways(net, make, plenty)[1:]:
        runs = runs_of(planned, frames)
        found = step_by_step(planned, frames, fifo_waits(planned), room_of(planned))
        for stream, times in found.items():
            assert [t for run in runs for t in run.written[stream].tolist()] == times, stream


@every_network
def test_a_run_holds_what_is_written_and_not_freed(net, make, plenty) -> None:
    planned = planned_ways(net, make, plenty)[1]
    runs = runs_of(planned, 4)
    for stream in planned.streams:
        written = [t for run in runs for t in run.written[stream].tolist()]
        freed = [t for run in runs for t in run.freed[stream].tolist()]
        most = max(sum(w <= now for w in written) - sum(f < now for f in freed) for now in written)
        assert max(run.held[stream] for run in runs) == most
        assert most <= room_of(planned)[stream]


@every_network
def test_a_schedule_keeps_what_its_steps_say(net, make, plenty) -> None:
    """Frames of the planned schedule follow each other without a step that comes too early."""
    for planned in planned_ways(net, make, plenty)[1:]:
        waits, period = fifo_waits(planned), planned.cycles
        schedule = just_in_time(planned, waits)
        for actor in planned.actors:
            steps = actor.kernel.steps
            wrote = schedule.written[actor.outputs[0]]
            late = wrote - actor.kernel.latency - steps.writes
            assert (late[1:] >= late[:-1]).all()  # a step is a cycle after the one before it
            assert late[0] + period >= late[-1] + steps.count  # and so is the next frame's first
            for stream, reads in zip(actor.inputs, steps.reads, strict=True):
                if stream in planned.writer:
                    last_read = [int((reads <= step).sum()) for step in steps.writes]
                    come = schedule.written[stream] + waits[stream]
                    soonest = [come[n - 1] - reads[n - 1] if n else -(10**9) for n in last_read]
                    assert (late >= soonest).all()


def test_words_waiting_among_frames_that_overlap() -> None:
    """Three words a frame of ten cycles, each gone twenty-five cycles after it came."""
    written = np.array([0, 4, 8])
    assert most_waiting(written, written + 25, 10) == 8
    assert most_waiting(written, written + 3, 10) == 2
    assert shifted(written, 4, 10).tolist() == [-12, -10, -6]


@every_network
def test_frames_come_at_the_planned_rate(net, make, plenty) -> None:
    for planned in planned_ways(net, make, plenty):
        *_, before, last = runs_of(planned, latency_cycles(planned) // planned.cycles + 12)
        assert distance(before.written, last.written) == planned.cycles


def test_without_places_everything_is_later(net, plenty) -> None:
    _, planned, _ = planned_ways(net, residual, plenty)
    wide = dict.fromkeys(planned.streams, 10**6)
    free = list(islice(self_timed(planned, fifo_waits(planned), wide), 4))
    bound = runs_of(planned, 4)
    both = [(f.written[s], b.written[s]) for f, b in zip(free, bound, strict=True) for s in wide]
    assert all((late >= early).all() for early, late in both)
    assert any((late > early).any() for early, late in both)


def test_a_single_frame_waits_for_no_place(net, plenty) -> None:
    _, planned, _ = planned_ways(net, residual, plenty)
    wide = dict.fromkeys(planned.streams, 10**6)
    first = next(self_timed(planned, fifo_waits(planned), wide))
    for stream, times in first_frame(planned, fifo_waits(planned)).items():
        assert times.tolist() == first.written[stream].tolist()


def test_what_never_was_full_is_cut(net, plenty) -> None:
    """Words that the schedule keeps in front of the sum wait for it elsewhere in the run."""
    n = net()
    x = n.input(16, 8, 4)
    deep = n.layer("c2", n.layer("c1", x, 8), 4)
    bare = connect(n.dataflow(n.layer("after", n.add("sum", deep, x), 8)))
    planned = sized(bare)
    runs = runs_of(planned, latency_cycles(planned) // planned.cycles + 8)
    held = {s: max(run.held[s] for run in runs) for s in planned.streams}
    width = {s: planned.writer[s][1].width for s in planned.streams}
    deep_ones = [s for s, words in room_of(planned).items() if words > MIN_DEPTH]
    room = sum(room_of(planned)[s] * width[s] for s in deep_ones)
    assert room <= 1.1 * sum(held[s] * width[s] for s in deep_ones)


# -- latency --------------------------------------------------------------------------------------


def chain(net, layers: int) -> Dataflow:
    n = net()
    value = n.input(8, 8, 2)
    for i in range(layers):
        value = n.layer(f"c{i}", value, 2)
    return connect(n.dataflow(value))


def test_latency_of_one_layer_is_at_least_its_work(net) -> None:
    flow = chain(net, 1)
    assert latency_cycles(flow) >= flow.cycles


def test_latency_grows_with_every_layer_but_by_less_than_its_whole_work(net) -> None:
    latencies = [latency_cycles(chain(net, layers)) for layers in (1, 2, 3, 4)]
    steps = [b - a for a, b in pairwise(latencies)]
    assert all(0 < step < latencies[0] for step in steps)


def test_latency_of_dense_layers_is_their_sum(net) -> None:
    """A dense layer needs its whole input, so nothing overlaps."""
    n = net()
    a = n.requantize("aq", n.dense("a", n.input(16), 16))
    flow = connect(n.dataflow(n.dense("b", a, 16)))
    work = sum(x.kernel.cycles for x in flow.actors if x.kernel.kind == "matrix_vector")
    assert work <= latency_cycles(flow) <= work + 200


def test_more_frames_do_not_ask_for_more_room(net, plenty, monkeypatch) -> None:
    """A chain in which every layer is busy all the time settles only after many frames."""
    n = net("busy")
    x = n.input(6, 6, 4)
    for index in range(6):
        x = n.requantize(f"d{index}q", n.conv(f"d{index}", x, 4, groups=4))
        x = n.layer(f"p{index}", x, 4, 1)
    planned = plan(n.dataflow(x), plenty, Goal(cycles=324))

    monkeypatch.setattr(sizing, "SETTLING", 5 * sizing.SETTLING)
    longer = sized(planned)

    assert longer.depths == planned.depths
    assert lines_of(longer) == lines_of(planned)


def test_more_parallel_is_not_slower(net, plenty) -> None:
    n = net()
    lowered = n.dataflow(n.layer("b", n.layer("a", n.input(6, 6, 4), 4), 4))
    fast, slow = plan(lowered, plenty, Goal()), connect(lowered)
    assert latency_cycles(fast) < latency_cycles(slow)


# -- against the hardware -------------------------------------------------------------------------

IN_RTL = {
    "residual": residual,
    "squeeze": squeeze,
    "strided": strided,
    "up_and_down": up_and_down,
}


@harness.needs_simulator
@pytest.mark.parametrize("name", IN_RTL)
def test_rtl_takes_the_planned_cycles(net, name: str, plenty, simulate_rtl) -> None:
    """Frames back to back come at the planned rate, and the first one with the planned latency."""
    n, output = IN_RTL[name](net)
    planned = plan(n.dataflow(output), plenty, Goal(cycles=300))
    run = simulate_rtl(planned, frames=12)
    assert run.cycles_per_frame == pytest.approx(planned.cycles, rel=0.01, abs=4)
    assert run.latency_cycles == pytest.approx(latency_cycles(planned), rel=0.01, abs=2)
