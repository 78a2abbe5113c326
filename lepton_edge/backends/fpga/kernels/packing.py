"""Products that share a DSP block: several rows' weights in one factor, a field for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.boards import DspKind, Resources
from lepton_edge.backends.fpga.kernels.base import Elem
from lepton_edge.ir.types import Array

WIDE_BITS: Mapping[DspKind, int] = {"DSP48E1": 25, "DSP48E2": 27}
"""Bits of the wider factor of blocks that can add in a chain and have room for several weights.

Source: AMD UG479 (DSP48E1), UG579 (DSP48E2). The narrower factor has 18 bits. The blocks of other
families multiply 18 bits at most, in which no two 8-bit products are apart.
"""

NARROW_BITS = 18
"""Bits of their narrower factor."""

MOST_FIELDS = 4
"""Products that a block makes at most. Five weights of 2 bits would fit, but not their sums."""

MAX_CHAIN = 4
"""DSP blocks that add each other's products in a row (hls/rtl/lepton_dot.sv)."""


@dataclass(frozen=True)
class Packing:
    """How the products of some rows share a DSP block.

    Args:
        fields: rows that share it.
        field_bits: from a field to the next.
        chain: most blocks that may add each other's products in a row.
        weight: type of the weights as stored, see ``borrowed``.
    """

    fields: int
    field_bits: int
    chain: int
    weight: Elem

    def chains(self, simd: int) -> tuple[int, int]:
        """Return how many chains ``simd`` products take, and how long the longest of them is."""
        count = -(-simd // self.chain)
        return count, -(-simd // count)


def packings(x: Elem, weights: Array, wide_bits: int) -> dict[int, Packing]:
    """Return the packings that are exact for every input, by how many rows share a block.

    Row r of a layer is field r % fields. The widest fields are taken, which let the most blocks
    add up in a row.

    Args:
        x: input elements.
        weights: int64 [rows, columns].
        wide_bits: of the wider factor of a block; 0 for none.
    """
    found: dict[int, Packing] = {}
    if x.bits + (not x.signed) > NARROW_BITS:
        return found
    for fields in range(2, MOST_FIELDS + 1):
        if len(weights) % fields or not weights.size:
            continue
        weight = Elem.for_values(borrowed(weights, fields))
        field_bits = (wide_bits - weight.bits) // (fields - 1)
        if field_bits >= weight.bits:
            chain = _longest_chain(x, weights, fields, field_bits)
            if chain:
                found[fields] = Packing(fields, field_bits, chain, weight)
    return found


def borrowed(weights: Array, fields: int) -> Array:
    """Return what is stored for weights that share a factor: int64 [rows, columns].

    The factor is ``sum(w[f] << f * field_bits)``. In two's complement a field below zero borrows
    one from the field above: so that has to be one less.
    """
    stored = weights.copy()
    for field in range(1, fields):
        stored[field::fields] -= stored[field - 1 :: fields] < 0
    return stored


def packed_cost(packing: Packing, x: Elem, pe: int, simd: int) -> Resources:
    """Return the cost of ``pe`` dot products of ``simd`` lanes (hls/rtl/lepton_packed_dot.sv).

    Only the sums of chains are added outside of the blocks, in a tree with a register for each
    number on each level. Block k of a chain gets its factors k cycles late: the inputs, which all
    rows share, from registers; the weights from up to two registers, or from a shift register in a
    LUT. At six foldings of 4 and 8 bits Yosys 0.70 took as many LUTs within 4 %, and up to 12 %
    more registers.
    """
    chains, chain = packing.chains(simd)
    blocks = pe // packing.fields
    sums = pe * (x.bits + packing.weight.bits + 2)
    held, left = 0, chains
    while left > 1:
        left = -(-left // 2)
        held += left
    # The last chain is the shorter one, and ends with the others.
    places = [
        k
        for length in (chain,) * (chains - 1) + (simd - (chains - 1) * chain,)
        for k in range(chain - length, chain)
    ]
    late = blocks * packing.fields * packing.weight.bits
    in_registers = late * sum(k for k in places if k <= 2)
    in_luts = late * sum(k > 2 for k in places)
    return Resources(
        lut=sums * (chains - 1) + in_luts,
        ff=sums * held + in_registers + simd * x.bits * (chain - 1),
        dsp=blocks * simd,
    )


def _longest_chain(x: Elem, weights: Array, fields: int, field_bits: int) -> int:
    """Return how many products of neighbouring columns every field but the top one can hold.

    A chain sums products of neighbours in a row of the matrix, whatever the folding is. Since an
    input may be zero, a shorter chain stays within the range of a longer one. The top field has
    all the bits that are left of 48.
    """
    low_rows = np.delete(weights, np.s_[fields - 1 :: fields], axis=0)
    ends = np.stack([low_rows * x.lowest, low_rows * x.highest])
    room = 1 << (field_bits - 1)
    for chain in range(min(MAX_CHAIN, weights.shape[1]), 0, -1):
        most, least = (_largest_window(side, chain) for side in (ends.max(0), -ends.min(0)))
        if most < room and least <= room:
            return chain
    return 0


def _largest_window(values: Array, length: int) -> int:
    """Return the largest sum of ``length`` neighbours in a row of [rows, columns]."""
    sums = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    return int((sums[:, length:] - sums[:, :-length]).max())
