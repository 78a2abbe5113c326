"""What FIFOs cost (hls/rtl/lepton_fifo.sv)."""

from __future__ import annotations

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.kernels.costs import counter_bits, logic
from lepton_edge.backends.fpga.kernels.memories import block_ram, is_in_blocks, ram_luts

MIN_DEPTH = 2
"""Words of a plain FIFO: two let a writer and a reader work in the same cycle."""


def fifo_amounts(width: int, depth: int) -> dict[str, float]:
    """Return what the logic of a FIFO is made of."""
    if depth <= MIN_DEPTH:
        return {"plain": 1, "plain words": width}
    return {
        "one": 1,
        "counters": counter_bits(depth),
        "memory": ram_luts(width, depth),
        "words": width,
        "in blocks": is_in_blocks(width, depth),
    }


def fifo(width: int, depth: int) -> Resources:
    """Return the cost of a FIFO of ``depth`` words of ``width`` bits."""
    found = logic("fifo", fifo_amounts(width, depth))
    return found if depth <= MIN_DEPTH else found + block_ram(width, depth)
