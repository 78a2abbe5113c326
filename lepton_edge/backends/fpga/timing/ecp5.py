"""Lattice ECP5, speed grade 6, as synth_ecp5 leaves it.

It is here to be compared with: nextpnr places and routes ECP5 designs, so it shows how far the
method itself is off. Source of the cell delays: the SDF that nextpnr-ecp5 0.11.1 writes for
``--speed 6`` (slowest values), which has them from Project Trellis. The wires were fitted to the
routed nets in the SDF of the designs of ``benchmarks/timing.py``.
"""

from __future__ import annotations

from lepton_edge.backends.fpga.timing.fabric import (
    Arc,
    CellTiming,
    Fabric,
    Routing,
    Wire,
    arcs_of,
)
from lepton_edge.backends.fpga.timing.netlist import Cell


def _bits(port: str, count: int) -> tuple[str, ...]:
    """Return the ports of a bus that ECP5 cells spell out: A0, A1, ..."""
    return tuple(f"{port}{index}" for index in range(count))


_LUT_PS, _CARRY_IN_PS, _CARRY_OUT_PS = 236, 447, 443
_MUX_DATA = frozenset({("PFUMX", "ALUT"), ("PFUMX", "BLUT"), ("L6MUX21", "D0"), ("L6MUX21", "D1")})
_FROM_LUT = frozenset({"LUT4", "PFUMX", "L6MUX21", "CCU2C"})

_CELLS = {
    "LUT4": CellTiming((Arc(tuple("ABCD"), ("Z",), _LUT_PS),)),
    "PFUMX": CellTiming((Arc(("ALUT", "BLUT"), ("Z",), 165), Arc(("C0",), ("Z",), 256))),
    "L6MUX21": CellTiming((Arc(("D0", "D1"), ("Z",), 242), Arc(("SD",), ("Z",), 256))),
    "CCU2C": CellTiming(
        (
            Arc(("A0", "B0", "C0", "D0"), ("S0",), _LUT_PS),
            Arc(("A0", "B0", "C0", "D0"), ("S1",), _CARRY_IN_PS + 403),
            Arc(("A1", "B1", "C1", "D1"), ("S1",), _LUT_PS),
            Arc((*_bits("A", 2), *_bits("B", 2), *_bits("C", 2)), ("COUT",), _CARRY_IN_PS),
            Arc(_bits("D", 2), ("COUT",), _CARRY_IN_PS),
            *arcs_of({("CIN", "COUT"): 71, ("CIN", "S0"): _CARRY_OUT_PS, ("CIN", "S1"): 71 + 403}),
        )
    ),
    "TRELLIS_FF": CellTiming((), {"Q": 525}, {"DI": 0, "M": 0, "CE": 0, "LSR": 424}),
    "TRELLIS_DPR16X4": CellTiming(
        (Arc(("RAD",), ("DO",), _LUT_PS),), {}, {"DI": 0, "WAD": 0, "WRE": 392}
    ),
    "DP16KD": CellTiming(
        (),
        dict.fromkeys(_bits("DOA", 18), 5609) | dict.fromkeys(_bits("DOB", 18), 5830),
        dict.fromkeys(_bits("ADA", 14), 251)
        | dict.fromkeys(_bits("ADB", 14), 205)
        | dict.fromkeys(_bits("DIA", 18), 218)
        | dict.fromkeys(_bits("DIB", 18), 134)
        | {"CEA": 340, "CEB": 340, "WEA": 139, "WEB": 139},
        is_block=True,
    ),
    "MULT18X18D": CellTiming(
        (Arc((*_bits("A", 18), *_bits("B", 18)), _bits("P", 36), 3927),), is_block=True
    ),
}


def _cell(cell: Cell) -> CellTiming | None:
    return _CELLS.get(cell.kind)


def _wire(driver: Cell, out_port: str, load: Cell, in_port: str) -> Wire:
    if (out_port, in_port) == ("COUT", "CIN") or (load.kind, in_port) in _MUX_DATA:
        return Wire.CASCADE
    if load.kind == "TRELLIS_FF" and in_port == "DI" and driver.kind in _FROM_LUT:
        return Wire.SLICE
    return Wire.ROUTED


def _feed_ps(driver: Cell, out_port: str, load: Cell, in_port: str) -> float:
    """A carry leaves, and enters, its chain through half a CCU2C."""
    leaves = out_port == "COUT" and driver.kind == "CCU2C"
    enters = in_port == "CIN" and load.kind == "CCU2C"
    return _CARRY_OUT_PS * leaves + _CARRY_IN_PS * enters


ECP5 = Fabric(
    name="ECP5-6",
    cell=_cell,
    wire=_wire,
    feed_ps=_feed_ps,
    is_chain_split=True,
    routing=Routing(850, 55, 0.12),
    block_routing=Routing(1150, 75, 0.12),
    slice_ps=130,
    input_ps=525,
    output_ps=0,
    clock_ps=0,
    error=(0.85, 1.2),
    source="cells of nextpnr-ecp5 0.11.1",
)
