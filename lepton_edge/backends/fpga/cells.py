"""What the cells of a netlist occupy, by fabric family."""

from __future__ import annotations

from collections.abc import Mapping

from lepton_edge.backends.boards import Resources

LUT_MEMORIES = {
    **{f"RAM{depth}X1S": luts for depth, luts in ((32, 1), (64, 1), (128, 2), (256, 4), (512, 8))},
    **{f"RAM{depth}X1D": luts for depth, luts in ((32, 2), (64, 2), (128, 4), (256, 8))},
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "SRL16E": 1,
    "SRLC32E": 1,
}
"""LUTs that a memory in LUTs occupies on AMD parts.

Source: AMD UG474 (v1.8), tables 2-3 and 2-4 for 7 series; UG574 (v1.5), table 2-2 for UltraScale.
Two shift registers of up to 16 stages can share a LUT; what a placer makes of that is not known.
"""

_XILINX: Mapping[str, Resources] = {
    **{f"LUT{inputs}": Resources(lut=1) for inputs in range(1, 7)},
    "INV": Resources(lut=1),  # Yosys' name of a LUT1 that inverts
    **{cell: Resources(lut=luts) for cell, luts in LUT_MEMORIES.items()},
    **{
        f"FD{kind}{edge}": Resources(ff=1)
        for kind in ("RE", "SE", "CE", "PE")
        for edge in ("", "_1")
    },
    **{cell: Resources(ff=1) for cell in ("LDCE", "LDPE")},
    **{cell: Resources(dsp=1) for cell in ("DSP48E1", "DSP48E2")},
    **{cell: Resources(bram36=0.5) for cell in ("RAMB18E1", "RAMB18E2")},
    **{cell: Resources(bram36=1) for cell in ("RAMB36E1", "RAMB36E2")},
    "URAM288": Resources(uram=1),
}

_ECP5: Mapping[str, Resources] = {
    "LUT4": Resources(lut=1),
    "CCU2C": Resources(lut=2),
    # Four LUTs hold the words; the write port takes the inputs of two more.
    "TRELLIS_DPR16X4": Resources(lut=6),
    "TRELLIS_FF": Resources(ff=1),
    "MULT18X18D": Resources(dsp=1),
    **{cell: Resources(bram36=0.5) for cell in ("DP16KD", "PDPW16KD")},
}
"""Source: Lattice FPGA-DS-02012, sections 2.4 (slices) and 2.8 (sysMEM)."""

_RAM40 = Resources(bram36=1 / 9)
"""4 kbit, in units of 36 kbit. Source: Lattice FPGA-DS-02029, section 3.1.3."""

_ICE40_FF = ("", "E", "SR", "R", "SS", "S", "ESR", "ER", "ESS", "ES")
_ICE40: Mapping[str, Resources] = {
    "SB_LUT4": Resources(lut=1),
    **{f"SB_DFF{edge}{kind}": Resources(ff=1) for edge in ("", "N") for kind in _ICE40_FF},
    "SB_MAC16": Resources(dsp=1),
    **{f"SB_RAM40_4K{edges}": _RAM40 for edges in ("", "NR", "NW", "NRNW")},
}

_GOWIN_FF = ("", "E", "S", "SE", "R", "RE", "P", "PE", "C", "CE")
_GOWIN_RAM = ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9")
_GOWIN: Mapping[str, Resources] = {
    **{f"LUT{inputs}": Resources(lut=1) for inputs in range(1, 5)},
    "ALU": Resources(lut=1),
    **{f"RAM16S{ports}{bits}": Resources(lut=bits) for ports in ("", "DP") for bits in (1, 2, 4)},
    **{f"DFF{edge}{kind}": Resources(ff=1) for edge in ("", "N") for kind in _GOWIN_FF},
    **{cell: Resources(bram36=0.5) for cell in _GOWIN_RAM},
    "MULT18X18": Resources(dsp=1),
    "MULT36X36": Resources(dsp=4),
}
"""Source: Gowin UG288 (configurable functional units), UG285 (block memory), UG287 (DSP)."""

PRICES: Mapping[str, Mapping[str, Resources]] = {
    "xc7": _XILINX,
    "xcup": _XILINX,
    "ecp5": _ECP5,
    "ice40": _ICE40,
    "gowin": _GOWIN,
}
"""What each cell occupies, by family; block RAM in units of 36 kbit."""

ROUTED: Mapping[str, Mapping[str, Resources]] = {
    "ecp5": {
        "TRELLIS_COMB": Resources(lut=1),
        "TRELLIS_RAMW": Resources(lut=2),
        "TRELLIS_FF": Resources(ff=1),
        "MULT18X18D": Resources(dsp=1),
        "DP16KD": Resources(bram36=0.5),
    },
    "ice40": {
        "ICESTORM_LC": Resources(lut=1, ff=1),
        "ICESTORM_DSP": Resources(dsp=1),
        "ICESTORM_RAM": _RAM40,
    },
    "gowin": {
        "LUT4": Resources(lut=1),
        "ALU": Resources(lut=1),
        "RAM16SDP4": Resources(lut=4),
        "DFF": Resources(ff=1),
        "BSRAM": Resources(bram36=0.5),
        "MULT18X18": Resources(dsp=1),
        "MULT36X36": Resources(dsp=4),
    },
}
"""What each kind of cell in nextpnr's utilisation report occupies, by family."""

FREE = frozenset(
    {"CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "BUFG", "IBUF", "OBUF", "VCC", "GND"}
    | {"PFUMX", "L6MUX21", "SB_CARRY", "SB_GB", "SB_IO"}
    | {f"MUX2_LUT{inputs}" for inputs in range(5, 9)}
    | {"$scopeinfo"}
)
"""Cells that stand beside what is counted: carry chains, multiplexers between LUTs, pads."""


def resources_of(cells: Mapping[str, int], family: str) -> Resources:
    """Return what the cells of a netlist occupy.

    Args:
        cells: number of cells by type.
        family: a key of `PRICES`.
    """
    total = Resources()
    for cell, count in cells.items():
        total += PRICES[family].get(cell, Resources()) * count
    return total


def routed_resources(used: Mapping[str, int], family: str) -> Resources:
    """Return what a routed design occupies.

    Args:
        used: cells used, by nextpnr's name of their kind.
        family: a key of `ROUTED`.
    """
    total = Resources()
    for kind, count in used.items():
        total += ROUTED[family].get(kind, Resources()) * count
    return total


def unknown_cells(cells: Mapping[str, int], family: str) -> tuple[str, ...]:
    """Return the types of cells that `resources_of` does not know, and so leaves out."""
    return tuple(sorted(cell for cell in cells if cell not in PRICES[family] and cell not in FREE))
