"""FIFO depths of the C++ form of a design, where they must be more than those of its RTL form.

The C++ windows keep whole rows and write and read in lockstep, so that a branch beside them has to
hold more words than one beside the RTL windows.
"""

from __future__ import annotations

import numpy as np

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH
from lepton_edge.ir.types import Array

SLACK = 16
"""Words added to a FIFO that balances two branches, for the pipelines of the slower one."""


def hls_depths(dataflow: Dataflow) -> dict[str, int]:
    """Return the least FIFO depths with which the C++ form of the network cannot deadlock.

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
            out = np.searchsorted(kernel.needed(0), arrived[0], side="right")
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
