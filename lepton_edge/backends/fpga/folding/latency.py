"""Latency as a limit of the choice: what each actor adds along the critical path of a design.

The latency of a frame is no sum over actors, but near a design it behaves as one: the last word
leaves after a chain of waits, each spent in one actor. An actor's wait is taken to grow with its
cycles a frame, and the sum to be right where it was taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.folding.space import Row, Space
from lepton_edge.backends.fpga.kernels.plumbing import WidthConverter
from lepton_edge.ir.types import Array


def latency_row(space: Space, planned: Dataflow, reached: int, limit: int) -> Row:
    """Return the limit of the latency, as seen from one design.

    Args:
        space: the choice.
        planned: the design, a choice in it.
        reached: its latency.
        limit: the most that the latency may be.
    """
    waits = _critical_waits(planned)
    actors = {actor.name: actor for actor in planned.actors}
    options = []
    total = 0
    for decision in space.decisions:
        name = decision.actor.name
        now, wait = actors[name].kernel, waits.get(name)
        if wait is None:
            options.append(np.zeros(len(decision.kernels), np.int64))
            continue
        pipelines = np.array([kernel.latency for kernel in decision.kernels])
        options.append(np.ceil(wait * decision.cycles / now.cycles).astype(np.int64) + pipelines)
        total += int(np.ceil(wait)) + now.latency
    converters = []
    for link in space.links:
        reader = planned.reader[link.stream][0]
        wait = waits.get(reader.name)
        is_there = isinstance(reader.kernel, WidthConverter)
        cost = 0 if wait is None else reader.kernel.latency + int(wait) if is_there else PIPELINE
        converters.append(cost)
        total += cost if is_there else 0
    return Row(tuple(options), tuple(converters), reached - total, limit)


PIPELINE = 4
"""Cycles that a width converter takes where there is none yet: its pipeline."""


@dataclass(frozen=True)
class _Timing:
    """When an actor's words come and go.

    Args:
        arrivals: for each input, when the last word that an output word needs has come.
        pace: cycles between output words that wait for nothing.
    """

    arrivals: list[Array]
    pace: float


def _critical_waits(planned: Dataflow) -> dict[str, float]:
    """Return the cycles that each actor on the critical path spends there, pipelines left out."""
    times: dict[str, Array] = {}
    timings: dict[str, _Timing] = {}
    for actor in planned.actors:
        timing = _timing(actor, times)
        timings[actor.name] = timing
        steps = np.arange(actor.kernel.outputs[0].words) * timing.pace
        ready = np.maximum.reduce(timing.arrivals)
        emitted = np.maximum.accumulate(ready - steps) + steps + actor.kernel.latency
        times |= dict.fromkeys(actor.outputs, emitted)
    last = max(planned.ports_out, key=lambda port: float(times[port][-1]))
    actor, word = planned.writer[last][0], len(times[last]) - 1
    waits: dict[str, float] = {}
    while True:
        timing = timings[actor.name]
        starts = (
            np.maximum.reduce(timing.arrivals) - np.arange(len(timing.arrivals[0])) * timing.pace
        )
        first = int(np.argmax(starts[: word + 1]))
        waits[actor.name] = (word - first) * timing.pace
        port = int(np.argmax([arrival[first] for arrival in timing.arrivals]))
        word = max(int(actor.kernel.needed(port)[first]) - 1, 0)
        if actor.inputs[port] not in planned.writer:
            return waits
        actor = planned.writer[actor.inputs[port]][0]


def _timing(actor: Actor, times: dict[str, Array]) -> _Timing:
    kernel = actor.kernel
    arrivals = []
    for port, stream in enumerate(actor.inputs):
        words = kernel.inputs[port].words
        came = times.get(stream, np.arange(words, dtype=np.float64))
        arrivals.append(came[np.maximum(kernel.needed(port) - 1, 0)])
    words_in, words_out = max(p.words for p in kernel.inputs), kernel.outputs[0].words
    # Windows read for a while before they write; others spread their output over the frame.
    busy = kernel.cycles - words_in if words_out > words_in else kernel.cycles
    return _Timing(arrivals, max(1.0, busy / words_out if kernel.cycles > words_in else 1.0))
