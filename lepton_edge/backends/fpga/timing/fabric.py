"""What timing analysis must know of a fabric: its cells, its wires, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from lepton_edge.backends.fpga.timing.netlist import CONSTANT, Bits, Cell

Pin = str
"""A port of a cell, for all its bits: ``CO``; or one bit of it: ``CO[3]``."""


@dataclass(frozen=True, slots=True)
class Arc:
    """A combinational path through a cell, from each source to each target.

    Args:
        sources: input pins.
        targets: output pins.
        delay_ps: of the slowest transition.
    """

    sources: tuple[Pin, ...]
    targets: tuple[Pin, ...]
    delay_ps: float


@dataclass(frozen=True, slots=True)
class CellTiming:
    """The timing of a cell. What it does not list takes no part: clocks, for one.

    Args:
        arcs: combinational paths.
        launch_ps: from the clock's edge to a valid output, by output pin.
        setup_ps: from a valid input to the clock's edge, by input pin.
        is_block: it stands in a column of its own, as block RAM does.
    """

    arcs: tuple[Arc, ...] = ()
    launch_ps: Mapping[Pin, float] = field(default_factory=dict)
    setup_ps: Mapping[Pin, float] = field(default_factory=dict)
    is_block: bool = False


def arcs_of(delays: Mapping[tuple[Pin, Pin], float]) -> tuple[Arc, ...]:
    """Return arcs from delays in ps by source and target."""
    return tuple(Arc((a,), (b,), delay) for (a, b), delay in delays.items())


def pins(cell_pins: Mapping[str, Bits], pin: Pin) -> list[tuple[Pin, int]]:
    """Return the bits of a pin that are connected, and their nets."""
    port, _, index = pin.partition("[")
    nets = cell_pins.get(port, ())
    places = [int(index[:-1])] if index else range(len(nets))
    return [
        (f"{port}[{place}]" if len(nets) > 1 else port, nets[place])
        for place in places
        if place < len(nets) and nets[place] != CONSTANT
    ]


def parameter(cell: Cell, name: str, default: int) -> int:
    """Return a parameter of a cell that Yosys writes as a binary number."""
    text = cell.parameters.get(name, "")
    return int(text, 2) if text and not text.strip("01") else default


class Wire(Enum):
    """How a driver reaches a load."""

    CASCADE = "cascade"
    """By a wire of its own between neighbours, such as a carry chain's."""
    SLICE = "slice"
    """Inside a slice, unless another load wants the same place."""
    ROUTED = "routed"
    """Through the routing of the fabric."""


@dataclass(frozen=True, slots=True)
class Routing:
    """The delay of a routed net: ``(base_ps + slope_ps * log2(loads)) * (cells / 1000) ** growth``.

    Args:
        base_ps: to the only load, in a netlist of 1,000 cells.
        slope_ps: more for each doubling of the loads.
        growth: how it grows with the netlist, which takes more room.
    """

    base_ps: float
    slope_ps: float
    growth: float

    def delay_ps(self, loads: int, cells: int) -> float:
        """Return the delay to each of its loads (at least 1) among so many cells."""
        spread = (max(cells, 1) / 1000) ** self.growth
        return float((self.base_ps + self.slope_ps * math.log2(max(loads, 1))) * spread)


@dataclass(frozen=True, slots=True)
class Fabric:
    """A family of parts at one speed grade.

    Args:
        name: in print, with the speed grade.
        cell: gives the timing of a cell; None for a kind that it does not know.
        wire: says how a driver's port reaches a load's: (driver, port, load, port).
        feed_ps: by the same, what a cell costs that packing puts between the two.
        is_chain_split: a net that has a wire of its own loses it by any other load.
        routing: between cells of slices.
        block_routing: from or to a cell that is a block.
        slice_ps: delay of a net inside a slice.
        input_ps: when inputs of the netlist are valid, after the clock's edge.
        output_ps: when its outputs must be valid, before the clock's edge.
        clock_ps: what skew and jitter take of each period.
        error: how far the true Fmax may be off, as factors of the estimate: (lowest, highest).
        source: where the figures are from, in a few words.
    """

    name: str
    cell: Callable[[Cell], CellTiming | None]
    wire: Callable[[Cell, str, Cell, str], Wire]
    feed_ps: Callable[[Cell, str, Cell, str], float]
    is_chain_split: bool
    routing: Routing
    block_routing: Routing
    slice_ps: float
    input_ps: float
    output_ps: float
    clock_ps: float
    error: tuple[float, float]
    source: str
