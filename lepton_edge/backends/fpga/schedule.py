"""When words move: latency of a frame, and FIFO depths that cannot deadlock.

Both follow the words of one frame through the network, with arrays over words instead of a
simulation cycle by cycle. Kernels say how many input words each output word needs (`needed`).
"""

from __future__ import annotations

import numpy as np

from lepton_edge.backends.fpga.dataflow import MIN_DEPTH, Actor, Dataflow
from lepton_edge.ir.types import Array

SLACK = 16
"""Words added to a FIFO that balances two branches, for the pipelines of the slower one."""


def latency_cycles(dataflow: Dataflow) -> int:
    """Return the cycles from the first input word to the last output word of a single frame.

    Each actor emits a word once the words it needs have come, and not faster than its own pace
    of ``cycles / output words``; then its pipeline adds its depth. Inputs come one word a cycle.
    """
    times: dict[str, Array] = {}
    for actor in dataflow.actors:
        kernel = actor.kernel
        ready = np.zeros(kernel.outputs[0].words)
        for index, (stream, port) in enumerate(zip(actor.inputs, kernel.inputs, strict=True)):
            arrival = times.get(stream, np.arange(port.words, dtype=np.float64))
            ready = np.maximum(ready, arrival[np.maximum(kernel.needed(index) - 1, 0)])
        pace = _pace(actor)
        steps = np.arange(len(ready)) * pace
        emitted = np.maximum.accumulate(ready - steps) + steps + kernel.latency
        for stream in actor.outputs:
            times[stream] = emitted
    return int(max(times[port][-1] for port in dataflow.ports_out)) + 1


def _pace(actor: Actor) -> float:
    """Cycles between two output words when the actor works without waiting."""
    kernel = actor.kernel
    out_words, in_words = kernel.outputs[0].words, max(p.words for p in kernel.inputs)
    if kernel.cycles <= in_words:
        return 1.0
    return max(
        1.0,
        (kernel.cycles - in_words) / out_words
        if out_words > in_words
        else kernel.cycles / out_words,
    )


def fifo_depths(dataflow: Dataflow) -> dict[str, int]:
    """Return FIFO depths with which the network cannot deadlock.

    The words of the input are injected one by one, and after each the network runs until nothing
    moves, with actors that take what they can get. Streams into actors with one input are drained
    at once and need no more than the least depth. Where branches meet, the words of the earlier
    branch wait; the most that wait, plus what comes at once, is the FIFO's depth. The order is one
    valid schedule of a Kahn process network, so no schedule with these depths can deadlock
    (Kahn, "The Semantics of a Simple Language for Parallel Programming", 1974: what a network
    computes does not depend on the order in which its actors run).
    """
    steps = max(dataflow.reader[port][1].words for port in dataflow.ports_in) + 1
    written: dict[str, Array] = {}
    for port in dataflow.ports_in:
        words = dataflow.reader[port][1].words
        written[port] = (
            -(-np.arange(steps) * words // (steps - 1)) if steps > 1 else np.array([words])
        )
    depths: dict[str, int] = {}
    for actor in dataflow.actors:
        kernel = actor.kernel
        arrived = [written[s] for s in actor.inputs]
        if len(arrived) == 1:
            out = kernel.produced(arrived[0])
        else:
            needs = [kernel.needed(i) for i in range(len(arrived))]
            enabled = [
                np.searchsorted(n, a, side="right") for n, a in zip(needs, arrived, strict=True)
            ]
            out = np.minimum.reduce(enabled)
            for index, stream in enumerate(actor.inputs):
                # Within a step the other branches have at least what they had before it.
                earlier = [
                    np.concatenate([[0], e[:-1]]) for i, e in enumerate(enabled) if i != index
                ]
                certain = np.minimum.reduce([enabled[index], *earlier])
                taken = np.concatenate([[0], needs[index]])[certain]
                waiting = int((arrived[index] - taken).max())
                depths[stream] = MIN_DEPTH if waiting <= 1 else waiting + SLACK
        for stream in actor.outputs:
            written[stream] = out
    return depths
