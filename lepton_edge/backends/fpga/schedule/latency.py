"""The latency of a frame."""

from __future__ import annotations

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH
from lepton_edge.backends.fpga.kernels.memories import is_in_blocks
from lepton_edge.backends.fpga.schedule.self_timed import first_frame


def fifo_latency(width: int, depth: int) -> int:
    """Return the cycles from a word's arrival at a FIFO to its departure.

    Source: hls/rtl/lepton_fifo.sv.
    """
    if depth <= MIN_DEPTH:
        return 1
    return 3 if is_in_blocks(width, depth) else 2


def fifo_waits(dataflow: Dataflow) -> dict[str, int]:
    """Return for each stream the cycles that a word spends in its FIFO at least."""
    return {
        s: fifo_latency(dataflow.writer[s][1].width, dataflow.depth(s)) for s in dataflow.streams
    }


def latency_cycles(dataflow: Dataflow) -> int:
    """Return the cycles from the first input word to the last output word of a single frame.

    Inputs come one word a cycle.
    """
    written = first_frame(dataflow, fifo_waits(dataflow))
    return int(max(written[port][-1] for port in dataflow.ports_out)) + 1
