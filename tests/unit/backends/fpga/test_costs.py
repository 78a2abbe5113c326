"""Costs: memories as synthesis lays them out, prices for all that kernels are made of."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from lepton_edge.backends.boards import Resources, load_board
from lepton_edge.backends.fpga.design import Request, make_design, metrics
from lepton_edge.backends.fpga.kernels.base import Elem, Kernel
from lepton_edge.backends.fpga.kernels.costs import COSTS, costs, counter_bits, logic, tree_bits
from lepton_edge.backends.fpga.kernels.elementwise import booth_digits
from lepton_edge.backends.fpga.kernels.fifo import fifo, fifo_amounts
from lepton_edge.backends.fpga.kernels.matrix_vector import MatrixVector
from lepton_edge.backends.fpga.kernels.memories import (
    block_ram,
    block_rom,
    is_in_blocks,
    memory_styles,
    ram_luts,
    rom_luts,
)
from lepton_edge.backends.fpga.kernels.requantize import Requantize
from lepton_edge.ir.ops.quantized import Rounding
from tests.hwsim.kernel_samples import S8, SAMPLES, U8, matrix

every_sample = pytest.mark.parametrize("kernel", SAMPLES.values(), ids=SAMPLES)


@pytest.mark.parametrize(
    ("width", "depth", "halves"),
    [
        (24, 12288, 16), (256, 1152, 22), (64, 2304, 9), (128, 1152, 11), (256, 1270, 22),
        (8, 12544, 6), (1024, 128, 29), (512, 125, 15), (384, 48, 11), (16, 8192, 8),
        (128, 784, 8), (32, 904, 2), (64, 72, 2), (8, 354, 1), (32, 4096, 8),
    ],
)  # fmt: skip
def test_block_ram_is_what_yosys_made_of_it(width: int, depth: int, halves: int) -> None:
    """Yosys 0.70, synth_xilinx -family xc7."""
    assert block_ram(width, depth, "block") == Resources(bram36=halves / 2)


def test_constant_bits_take_no_block_ram() -> None:
    """As test_synthesis.py sees Yosys do: what is the same in all words is a wire."""
    words = np.random.default_rng(0).integers(-8, 8, (128, 18))
    assert block_rom(words, 4) == block_ram(72, 128) == Resources(bram36=1)
    words[:, 9:] = -3
    assert block_rom(words, 4) == block_ram(36, 128, "block") == Resources(bram36=0.5)
    assert block_rom(np.full((128, 18), 5), 4) == Resources()
    assert block_rom(words[:64], 4) == Resources()  # too few words for block RAM


@pytest.mark.parametrize(
    ("depth", "luts"), [(64, 256), (72, 509), (128, 516), (144, 1024), (256, 1024), (1152, 6025)]
)
def test_constants_in_luts_are_what_yosys_made_of_them(depth: int, luts: int) -> None:
    """Random words of 256 bits; Yosys 0.70, synth_xilinx -family xc7."""
    assert rom_luts(256, depth, "distributed") == pytest.approx(luts, rel=0.12)


def test_a_few_words_have_few_different_bits() -> None:
    assert rom_luts(1000, 2) <= 4
    assert rom_luts(1000, 1) == 0
    assert rom_luts(1000, 16) == 1000


@pytest.mark.parametrize(
    ("width", "depth", "has_one_address", "luts"),
    [
        (128, 5, False, 88), (64, 64, False, 88), (16, 16, True, 8), (16, 64, True, 16),
        (8, 5, True, 4),
    ],
)  # fmt: skip
def test_memory_in_luts(width: int, depth: int, has_one_address: bool, luts: int) -> None:
    """RAM32M, RAM64M and RAM64X1S, as Yosys used them."""
    assert ram_luts(width, depth, has_one_address=has_one_address) == luts


def test_memories_are_in_one_place() -> None:
    for width, depth in ((8, 64), (8, 65), (64, 64), (64, 65), (4, 5000)):
        for style in ("auto", *memory_styles(width, depth)):
            in_blocks = is_in_blocks(width, depth, style)
            assert (block_ram(width, depth, style).bram36 > 0) == in_blocks
            assert (rom_luts(width, depth, style) > 0) != in_blocks
            assert (ram_luts(width, depth, style) > 0) != in_blocks


@pytest.mark.parametrize(
    ("width", "depth", "styles"),
    [
        (8, 1, ["distributed"]),
        (64, 32, ["distributed"]),  # a shift register's worth
        (8, 127, ["distributed"]),
        (8, 128, ["distributed", "block"]),
        (288, 64, ["distributed", "block"]),
        (8, 8192, ["distributed", "block"]),
        (8, 8193, ["block"]),
    ],
)
def test_a_tiny_memory_is_never_in_blocks_and_a_huge_one_never_in_luts(
    width: int, depth: int, styles: list[str]
) -> None:
    assert list(memory_styles(width, depth)) == styles


def test_counters_and_trees() -> None:
    assert counter_bits(1, 2, 3, 64, 65) == 0 + 1 + 2 + 6 + 7
    assert tree_bits(1, 8) == 0
    assert tree_bits(4, 8) == 2 * 9 + 10
    assert tree_bits(3, 8) == 9 + 10


@pytest.mark.parametrize("scale", [0, 1, -1, 2, 3, -5, 11, 77, 4096, 142758, -(1 << 20), 515751])
def test_booth_digits_are_counted(scale: int) -> None:
    """As many as the recoding has, which gives the number back."""
    digits = []
    bits = f"{scale & ((1 << 64) - 1):064b}0"[::-1]
    for place in range(0, 64, 2):
        low, middle, high = (int(bits[place + k]) for k in (0, 1, 2))
        digits.append(low + middle - 2 * high)
    assert sum(d * 4**k for k, d in enumerate(digits)) == scale
    assert booth_digits(scale) == sum(d != 0 for d in digits)


@every_sample
def test_every_kernel_has_prices(kernel: Kernel) -> None:
    """And takes what it is made of: an amount without a price in any kernel is a misspelt one."""
    prices = costs().prices[kernel.kind]
    for folded in (kernel, *list(kernel.foldings())[-3:]):
        amounts = {name: n for name, n in folded.amounts.items() if n}
        assert prices.keys() & amounts.keys()
        logic_of = logic(kernel.kind, folded.amounts)
        assert logic_of.lut > 0
        assert logic_of.ff > 0
        assert folded.resources == folded.hard_blocks + logic_of


def test_prices_are_of_amounts_that_exist() -> None:
    known: dict[str, set[str]] = {"fifo": set(), "registers": {"one"}}
    for width, depth in ((8, 2), (8, 20), (64, 200)):
        known["fifo"] |= fifo_amounts(width, depth).keys()
    for kernel in SAMPLES.values():
        for folded in kernel.foldings():
            known.setdefault(kernel.kind, set()).update(folded.amounts)
    for kind, prices in costs().prices.items():
        assert prices.keys() <= known[kind], kind
        assert all(lut >= 0 and ff >= 0 for lut, ff in prices.values())


def test_the_known_error_is_that_of_enough_designs() -> None:
    document = json.loads(COSTS.read_text())
    assert document["designs"] >= 20
    assert document["source"].startswith("Yosys ")
    mean, worst = costs().error["lut"]
    assert 0 < mean < worst
    assert costs().known_error("lut") == (
        f"{mean:.1%} on average, {worst:.1%} at most, of {document['designs']} designs"
    )
    assert costs().known_error("latency_us") == ""
    exact = replace(costs(), designs=21, error={"dsp": (0.0, 0.0)})
    assert exact.known_error("dsp") == "exact in 21 designs"


def test_memories_grow_with_what_they_hold() -> None:
    depths = (1, 2, 64, 65, 512, 1024, 5000, 40_000)
    for width in (1, 8, 36, 200):
        blocks = [block_ram(width, depth).bram36 for depth in depths]
        assert blocks == sorted(blocks)
        luts = [ram_luts(width, depth) for depth in (2, 3, 32, 33, 64)]
        assert luts == sorted(luts)


def test_fifos_cost_more_when_they_hold_more() -> None:
    assert fifo(8, 2).lut < fifo(8, 30).lut < fifo(8, 300).lut
    assert fifo(64, 1000).bram36 == 2
    assert fifo(64, 1000).lut < fifo(64, 60).lut + 100


@pytest.mark.parametrize(
    ("x_bits", "factor_bits", "blocks"),
    [(20, 16, 1), (18, 20, 1), (26, 18, 2), (32, 17, 2), (32, 24, 2)],
)
def test_long_factors_are_cut_into_pieces(x_bits: int, factor_bits: int, blocks: int) -> None:
    factor = np.array([(1 << (factor_bits - 1)) - 1])
    floor, zero = Rounding.FLOOR, np.array([0])
    kernel = Requantize(Elem(x_bits), S8, 4, 4, 2, factor, zero, 20, -128, 127, floor)
    assert kernel.resources.dsp == 2 * blocks
    unit = replace(kernel, multiplier=np.array([1]))
    assert unit.resources.dsp == 0
    assert unit.latency <= kernel.latency


def test_short_products_are_not_offered_dsp_blocks() -> None:
    """Synthesis would not use them."""
    short = matrix(Elem(4, False), Elem(4), 4, 4, 1)
    long = matrix(U8, S8, 4, 4, 1)
    assert {k.folding["dsp"] for k in short.foldings()} == {0}
    assert {k.folding["dsp"] for k in long.foldings()} == {0, 1}
    assert replace(short, is_dsp=True).resources.dsp == 0
    assert isinstance(long, MatrixVector)


def test_the_report_tells_the_known_error(net) -> None:
    n = net("report")
    graph = n.graph(n.layer("c", n.input(6, 6, 2), 4))
    for board, expected in (
        ("pynq-z2", costs().known_error("lut")),
        ("ulx3s-85f", "fitted to xc7 alone"),
    ):
        chosen = load_board(board)
        design = make_design(graph, {}, Request(chosen, chosen.clock_mhz))
        found = {m.name: m.error for m in metrics(design)}
        assert found["lut"] == expected
        assert found["cycles_per_frame"] == "RTL simulation: within 1 %"
