"""Memories on the fabric: where they are, and how many LUTs and blocks they take."""

from __future__ import annotations

from typing import Literal

import numpy as np

from lepton_edge.backends.boards import Resources
from lepton_edge.ir.types import Array

RAMB18_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""Depth and width of an 18-kbit block RAM. Source: AMD UG473 (v1.14), table 1-7."""

RAMB36_SHAPES = (
    *((depth, 2 * width) for depth, width in RAMB18_SHAPES[:3]),
    (4096, 9), (8192, 4), (16384, 2), (32768, 1),
)  # fmt: skip
"""The same of one of 36 kbit: 512 x 72 down to 32768 x 1."""

LUTRAM_DEPTH = 64
"""Entries that one LUT holds for each bit. Source: AMD UG474 (v1.8), distributed RAM."""

WIDEST_LUTS = 256
"""Entries that the LUTs of a slice hold for each bit, joined by its multiplexers. Source: UG474."""

BLOCK_RAM_BITS = 4096
"""Memories of at least this many bits, deeper than LUTRAM_DEPTH, go to block RAM by themselves."""

MUX_OF_CONSTANTS = 0.85
"""LUTs by which a bit of constants is chosen from each further WIDEST_LUTS words (Yosys 0.70)."""

LEAST_BLOCK_BITS = 1024
"""Memories of fewer bits are never planned in block RAM: they would leave most of it empty."""

LEAST_BLOCK_DEPTH = 33
"""Nor are those of fewer words: a LUT holds 32 words of two bits."""

MOST_DISTRIBUTED_BITS = 1 << 16
"""Memories of more bits are never planned in LUTs: reading a thousand of them takes too long."""

MemoryStyle = Literal["auto", "block", "distributed"]
"""Where a memory is: in block RAM, in LUTs, or by its size; as RTL parameters say it."""


def memory_styles(width: int, depth: int) -> tuple[MemoryStyle, ...]:
    """Return the styles worth planning for ``depth`` words of ``width`` bits."""
    if depth < LEAST_BLOCK_DEPTH or width * depth < LEAST_BLOCK_BITS:
        return ("distributed",)
    return ("block",) if width * depth > MOST_DISTRIBUTED_BITS else ("distributed", "block")


def is_in_blocks(width: int, depth: int, style: MemoryStyle = "auto") -> bool:
    """Whether a memory is in block RAM. Source of the rule for "auto": hls/rtl/lepton_ram.sv."""
    is_large = depth > LUTRAM_DEPTH and width * depth >= BLOCK_RAM_BITS
    return depth > 1 and (style == "block" or (style == "auto" and is_large))


def block_ram(width: int, depth: int, style: MemoryStyle = "auto") -> Resources:
    """Return the block RAM of a memory that is written."""
    return _blocks(width, depth) if is_in_blocks(width, depth, style) else Resources()


def block_rom(words: Array, bits: int, style: MemoryStyle = "auto") -> Resources:
    """Return the block RAM of constants.

    Bits that are the same in all words are wires (Yosys 0.70, opt_mem).

    Args:
        words: int64 [depth, ...], the elements of each word.
        bits: of an element, 1..63.
        style: where the memory is.
    """
    depth = len(words)
    if not is_in_blocks(words[0].size * bits, depth, style):
        return Resources()
    differing = np.bitwise_or.reduce(words ^ words[:1], axis=0) & ((1 << bits) - 1)
    return _blocks(int(np.bitwise_count(differing).sum()), depth)


def block_roms_by_lane(words: Array, bits: int) -> Resources:
    """Return the block RAM where each lane has a memory of its own, for an address of its own.

    Args:
        words: int64 [depth, lanes].
        bits: of an element, 1..63.
    """
    found = Resources()
    for lane in words.T:
        found += block_rom(lane, bits, "block")
    return found


def _blocks(width: int, depth: int) -> Resources:
    """Return the blocks of a memory as Yosys lays it out (0.70, memory_libmap).

    A memory deeper than a block becomes a wider one, of which multiplexers take a word.
    """
    halves = (-(-width * -(-depth // d) // w) for d, w in RAMB18_SHAPES)
    wholes = (2 * -(-width * -(-depth // d) // w) for d, w in RAMB36_SHAPES)
    return Resources(bram36=min(*halves, *wholes) / 2)


def rom_luts(width: int, depth: int, style: MemoryStyle = "auto") -> float:
    """Return the LUTs of constants: 1, 2 or 4 a bit, joined by the slices' multiplexers.

    Words beyond WIDEST_LUTS are joined by LUTs. Of a few words many bits are alike.
    """
    if depth <= 1 or is_in_blocks(width, depth, style):
        return 0
    if depth <= LUTRAM_DEPTH:
        alike = (1 << depth) if depth < 16 else width  # there are no more functions of so few words
        return min(width, alike)
    if depth <= WIDEST_LUTS:
        return width * (2 if depth <= 2 * LUTRAM_DEPTH else 4)
    parts = -(-depth // WIDEST_LUTS)
    return width * (4 * parts + MUX_OF_CONSTANTS * (parts - 1))


def ram_luts(
    width: int, depth: int, style: MemoryStyle = "auto", *, has_one_address: bool = False
) -> float:
    """Return the LUTs of a memory that is written: RAM32M, RAM64M, or RAM64X1S for one address.

    Source: AMD UG474 (v1.8), table 2-3: four LUTs hold 6 bits of 32 words, or 3 bits of 64, read at
    a second address; 8 bits of 32, or 4 of 64, at the same one.
    """
    if depth <= 1 or is_in_blocks(width, depth, style):
        return 0
    if depth <= LUTRAM_DEPTH // 2:
        return 4 * -(-width // (8 if has_one_address else 6))
    parts = -(-depth // LUTRAM_DEPTH)
    luts = width if has_one_address else 4 * -(-width // 3)
    return parts * luts + width * _mux_luts(parts)


def _mux_luts(words: int) -> float:
    """Return the LUTs that choose a bit of several: a LUT chooses one of four."""
    return (words - 1) / 3
