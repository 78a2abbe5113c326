"""How fast a synthesised netlist can be clocked, estimated, and what holds it back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import compress, pairwise
from typing import Any

from lepton_edge.artifact.report import Evidence, Metric
from lepton_edge.backends.fpga.timing.ecp5 import ECP5
from lepton_edge.backends.fpga.timing.fabric import Fabric
from lepton_edge.backends.fpga.timing.netlist import Netlist, flatten
from lepton_edge.backends.fpga.timing.paths import PORT, Path, longest_path
from lepton_edge.backends.fpga.timing.words import best_name, instance_of, readable
from lepton_edge.backends.fpga.timing.xc7 import XC7
from lepton_edge.errors import UnknownNameError, UserError

FABRICS = {"xc7": XC7, "ecp5": ECP5}
"""By the family of a board."""


@dataclass(frozen=True)
class Step:
    """A net, and the cell that it leads into, as part of a path.

    Args:
        cell: kind of the cell: ``LUT6``; ``port`` at an output of the netlist.
        instance: its name in the netlist.
        pin: where the net enters.
        net: the source's name of the net; "" where it has none.
        loads: how many pins the net leads to.
        net_ns: delay of the net.
        cell_ns: delay through the cell; of the last, its setup time.
    """

    cell: str
    instance: str
    pin: str
    net: str
    loads: int
    net_ns: float
    cell_ns: float


@dataclass(frozen=True)
class Timing:
    """How fast a netlist can be clocked: an estimate, and the path that sets it.

    Args:
        node: what was analysed: an actor, or a whole design.
        fabric: family and speed grade.
        fmax_mhz: the estimate.
        low_mhz: what it may be in truth, at the least.
        high_mhz: what it may be at the most.
        start: the register, or input port, where the path begins.
        end: where it ends; steps[-1] has the pin.
        launch_ns: from the clock's edge until the start's output is valid.
        steps: from there to the end.
        clock_ns: what skew and jitter take.
        source: where the delays are from.
    """

    node: str
    fabric: str
    fmax_mhz: float
    low_mhz: float
    high_mhz: float
    start: str
    end: str
    launch_ns: float
    steps: tuple[Step, ...]
    clock_ns: float
    source: str

    @property
    def period_ns(self) -> float:
        """The shortest period, by the estimate."""
        return 1000 / self.fmax_mhz

    @property
    def logic(self) -> tuple[str, ...]:
        """What the path leads through, in words; a chain of carries is one."""
        kinds = [_kind_in_words(step.cell) for step in self.steps[:-1]]
        is_first = (kind != before or kind != _CHAIN for before, kind in pairwise(["", *kinds]))
        return tuple(compress(kinds, is_first))

    @property
    def wires_ns(self) -> float:
        """The part of the period that nets take."""
        return sum(step.net_ns for step in self.steps)

    def __str__(self) -> str:
        return (
            f"{self.fmax_mhz:.0f} MHz estimated, {self.low_mhz:.0f} to {self.high_mhz:.0f}; "
            f"the longest path is in {self.node}, from {self.start} to {self.end}"
            f"{_pin_in_words(self.steps[-1])}: {self.period_ns:.1f} ns, {self._through()}, "
            f"{100 * self.wires_ns / self.period_ns:.0f} % in wires; most is {self.bottleneck}"
        )

    def _through(self) -> str:
        if not self.logic:
            return "with no logic between"
        return "through " + ", ".join(_count(n, kind) for kind, n in Counter(self.logic).items())

    @property
    def bottleneck(self) -> str:
        """What takes the longest, in words: a net with its loads, a cell, or the sum of levels."""
        net = max(self.steps, key=lambda step: step.net_ns)
        cell = max(self.steps, key=lambda step: step.cell_ns)
        largest = max(net.net_ns, cell.cell_ns, self.launch_ns)
        if largest < 0.25 * self.period_ns:
            return f"the sum of {len(self.logic)} levels of logic"
        if largest == net.net_ns:
            return f"a net with {_count(net.loads, 'load')} ({largest:.1f} ns)"
        if largest == cell.cell_ns:
            return f"the {cell.cell} ({largest:.1f} ns)"
        return f"the start's clock to output ({largest:.1f} ns)"

    def metric(self) -> Metric:
        """Return the estimate as a figure of the report."""
        return Metric(
            "fmax_mhz",
            round(self.fmax_mhz, 1),
            "MHz",
            Evidence.ESTIMATED,
            f"static timing analysis, {self.fabric}: {self.source}",
            f"{self.low_mhz:.0f} to {self.high_mhz:.0f} MHz; see docs/timing.md",
        )


def analyse(netlist: Mapping[str, Any], family: str) -> Timing:
    """Estimate how fast a netlist can be clocked.

    All registers count as clocked by one clock. Inputs count as coming from a register, and
    outputs as going to one, so that parts of a design that meet at registers can be analysed one by
    one.

    Args:
        netlist: what Yosys' ``write_json`` wrote after synthesis for the family.
        family: of the board: ``xc7``, or ``ecp5`` to compare with place and route.

    Raises:
        UnknownNameError: there is no timing for that family.
        ToolFailedError: the netlist is malformed.
        UnsupportedError: no delays are known for one of its cells.
        UserError: it has no path from register to register.
        InternalError: it has a combinational loop.
    """
    fabric = FABRICS.get(family)
    if fabric is None:
        raise UnknownNameError.of("family with a timing model", family, FABRICS)
    flat = flatten(netlist)
    path = longest_path(flat, fabric)
    if path is None:
        raise UserError(
            "the netlist has no path that a clock could be too fast for",
            where=flat.name,
            hint="analyse a design with registers, inputs or outputs",
        )
    return _timing(flat, fabric, path)


def slowest(timings: Mapping[str, Timing]) -> Timing:
    """Return the timing of a design from that of its parts.

    Args:
        timings: by the name of the part (the actor), which becomes the node of the result; at least
            one.
    """
    name = min(timings, key=lambda key: timings[key].fmax_mhz)
    return replace(timings[name], node=name)


# -- from a path to names ------------------------------------------------------------------------

_CHAIN = "carry chain"

_KINDS = {
    "LUT": frozenset({"INV", *(f"LUT{size}" for size in range(1, 7))}),
    _CHAIN: frozenset({"CARRY4", "CCU2C"}),
    "multiplexer": frozenset({"MUXF7", "MUXF8", "PFUMX", "L6MUX21"}),
    "DSP block": frozenset({"DSP48E1", "MULT18X18D"}),
    "RAM": frozenset({"RAMB18E1", "RAMB36E1", "DP16KD"}),
}


def _timing(flat: Netlist, fabric: Fabric, path: Path) -> Timing:
    nets = flat.names_of(hop.net for hop in path.hops)
    names = {net: best_name(found) for net, found in nets.items()}
    loads = Counter(
        net
        for pins in (*(cell.inputs for cell in flat.cells), flat.outputs)
        for bits in pins.values()
        for net in bits
        if net in nets
    )
    steps = tuple(
        Step(
            "port" if hop.cell == PORT else flat.cells[hop.cell].kind,
            "" if hop.cell == PORT else flat.cells[hop.cell].name,
            hop.pin,
            names[hop.net],
            loads[hop.net],
            hop.net_ps / 1000,
            hop.cell_ps / 1000,
        )
        for hop in path.hops
    )
    fmax_mhz = 1e6 / (path.delay_ps + fabric.clock_ps)
    start = path.start_pin if path.start == PORT else names[path.hops[0].net]
    start = start or flat.cells[path.start].name
    end = steps[-1].pin if path.hops[-1].cell == PORT else _register(flat, path.hops[-1].cell)
    node = instance_of(end) or instance_of(start) or flat.name
    return Timing(
        node=node,
        fabric=fabric.name,
        fmax_mhz=fmax_mhz,
        low_mhz=fmax_mhz * fabric.error[0],
        high_mhz=fmax_mhz * fabric.error[1],
        start=readable(start),
        end=readable(end),
        launch_ns=path.launch_ps / 1000,
        steps=steps,
        clock_ns=fabric.clock_ps / 1000,
        source=fabric.source,
    )


def _register(flat: Netlist, index: int) -> str:
    """Return the source's name of a clocked cell: of what it drives, else of the cell itself."""
    cell = flat.cells[index]
    if cell.kind in _KINDS["DSP block"] | _KINDS["RAM"] or cell.kind.startswith("RAM"):
        return cell.name
    driven = [net for bits in cell.outputs.values() for net in bits]
    names = flat.names_of(driven)
    return next(filter(None, map(best_name, names.values())), cell.name)


def _kind_in_words(kind: str) -> str:
    return next((words for words, kinds in _KINDS.items() if kind in kinds), kind)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _pin_in_words(step: Step) -> str:
    """Return which of a register's inputs a path ends at, where that is not its data."""
    port = step.pin.partition("[")[0]
    if port.startswith("CE"):
        return " (clock enable)"
    if port in ("R", "S", "CLR", "PRE", "LSR") or port.startswith("RST"):
        return " (reset)"
    return " (write enable)" if port in ("WE", "WEA", "WEBWE", "WRE") else ""
