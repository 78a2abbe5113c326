"""What cells occupy. The counts are of netlists that Yosys 0.70 wrote."""

from __future__ import annotations

import pytest

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.cells import (
    FREE,
    PRICES,
    ROUTED,
    resources_of,
    routed_resources,
    unknown_cells,
)

XC7 = {
    "CARRY4": 3122, "DSP48E1": 171, "FDRE": 42361, "FDSE": 47, "INV": 441, "LUT1": 1, "LUT2": 4681,
    "LUT3": 6174, "LUT4": 3043, "LUT5": 1595, "LUT6": 5525, "MUXF7": 16, "MUXF8": 4,
    "RAM32M": 50, "RAM64X1S": 16, "RAMB18E1": 6, "SRL16E": 2130,
}  # fmt: skip
ECP5 = {
    "CCU2C": 934, "DP16KD": 14, "LUT4": 2914, "MULT18X18D": 47, "TRELLIS_DPR16X4": 50,
    "TRELLIS_FF": 7125,
}  # fmt: skip


def test_xilinx_counts_luts_of_all_kinds() -> None:
    tables = 441 + 1 + 4681 + 6174 + 3043 + 1595 + 5525
    memories = 4 * 50 + 16 + 2130
    assert resources_of(XC7, "xc7") == Resources(tables + memories, 42361 + 47, 171, 3)
    assert unknown_cells(XC7, "xc7") == ()


def test_ecp5_counts_carries_and_memories_as_the_luts_they_take() -> None:
    assert resources_of(ECP5, "ecp5") == Resources(2914 + 2 * 934 + 6 * 50, 7125, 47, 7)
    assert unknown_cells(ECP5, "ecp5") == ()


def test_ice40_counts_small_block_rams_in_units_of_36_kbit() -> None:
    cells = {"SB_LUT4": 100, "SB_CARRY": 20, "SB_DFFESR": 7, "SB_RAM40_4K": 9, "SB_MAC16": 2}
    found = resources_of(cells, "ice40")
    assert found.bram36 == pytest.approx(1.0)
    assert (found.lut, found.ff, found.dsp) == (100, 7, 2)
    assert unknown_cells(cells, "ice40") == ()


def test_gowin() -> None:
    cells = {"LUT4": 10, "ALU": 8, "DFFRE": 5, "MULT18X18": 1, "pROM": 3, "RAM16SDP4": 2}
    assert resources_of(cells, "gowin") == Resources(10 + 8 + 8, 5, 1, 1.5)
    assert unknown_cells(cells, "gowin") == ()


def test_what_is_not_known_is_named() -> None:
    assert unknown_cells({"LUT4": 1, "WIDGET": 2, "GADGET": 1}, "ecp5") == ("GADGET", "WIDGET")


def test_a_routed_design_is_counted_by_the_routers_names() -> None:
    used = {"TRELLIS_COMB": 5552, "TRELLIS_RAMW": 50, "TRELLIS_FF": 7125, "MULT18X18D": 47}
    assert routed_resources({**used, "DP16KD": 14, "DCCA": 1}, "ecp5") == Resources(
        5552 + 100, 7125, 47, 7
    )


def test_nothing_is_both_counted_and_free() -> None:
    for family, prices in PRICES.items():
        assert not FREE & prices.keys(), family
    assert ROUTED.keys() < PRICES.keys()
