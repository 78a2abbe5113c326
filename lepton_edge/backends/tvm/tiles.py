"""Tiles: how many sums are in registers at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lepton_edge.backends.tvm.machine import Machine
from lepton_edge.backends.tvm.steps import Step


@dataclass(frozen=True)
class Tile:
    """Pixels of a row and vectors of channels whose sums are in registers at once."""

    pixels: int
    blocks: int


LATENCY = 5
"""Cycles from one sum to the next in the same register (uops.info: vpdpbusd, vfmadd231ps)."""


def best_tile(machine: Machine, step: Step, width: int, blocks: int) -> Tile:
    """Return the tile that takes the fewest cycles, by a model of a core.

    It adds two vectors and loads two in a cycle, and a sum is ready for the next step after
    LATENCY. Registers are needed for all sums, the weights of a step, and an input, or those of all
    pixels where inputs of several steps are loaded at once.

    Args:
        machine: the processor.
        step: how it multiplies.
        width: pixels in a row.
        blocks: vectors of channels.
    """
    room = machine.num_registers - step.scratch
    candidates = [
        Tile(p, b)
        for p in range(1, min(width, room) + 1)
        for b in range(1, min(blocks, room) + 1)
        if p * b + b * step.parts + (p if step.group > 1 else 1) <= room
    ]
    return min(candidates, key=lambda t: (cycles_of(t, width, blocks), t.pixels * t.blocks))


def cycles_of(tile: Tile, width: int, blocks: int) -> float:
    """Return the cycles of a step of the reduction for a row of pixels and all channels."""
    total = 0.0
    for _, p in _parts(width, tile.pixels):
        for _, b in _parts(blocks, tile.blocks):
            total += max(p * b / 2, (p + b) / 2, LATENCY)
    return total


def _parts(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield begins and sizes of the parts of a range, the last one smaller."""
    for begin in range(0, count, size):
        yield begin, min(size, count - begin)
