"""Products of inputs and weights: how they are computed, how long that takes, in which types."""

from __future__ import annotations

import numpy as np

from lepton_edge.backends.fpga.kernels.base import Elem, Memory, Table, typed
from lepton_edge.backends.fpga.kernels.memories import MemoryStyle
from lepton_edge.backends.fpga.kernels.packing import MAX_CHAIN
from lepton_edge.ir.types import Array

LUT_INPUTS = 6
"""Inputs of a look-up table: factors of as many bits together are multiplied by tables."""

LEAST_DSP_BITS = 9
"""Bits of a product from which synthesis puts it into a DSP block (Yosys 0.70, mul2dsp)."""


def arithmetics(x: Elem, weight: Elem) -> tuple[bool, ...]:
    """Return how a product may be computed: in DSP blocks (True), in LUTs (False)."""
    return (True, False) if x.bits + weight.bits >= LEAST_DSP_BITS else (False,)


def multiplier_rows(x: Elem, weight: Elem) -> int:
    """Return the Booth rows of a multiplier in LUTs, a cycle each (lepton_multiplier.sv)."""
    bits = x.bits + (not x.signed)
    return 1 if bits + weight.bits <= LUT_INPUTS else -(-min(bits, weight.bits) // 2)


def lut_multiplier_bits(x: Elem, weight: Elem) -> int:
    """Return the adder bits of a multiplier in LUTs: two more than the wider factor a row."""
    wide = max(x.bits + (not x.signed), weight.bits)
    return (wide + 2) * multiplier_rows(x, weight)


def dot_latency(x: Elem, weight: Elem, simd: int, is_dsp: bool) -> int:
    """Return the pipeline stages of a dot product (hls/rtl/lepton_dot.sv)."""
    chain = min(simd, MAX_CHAIN) if is_dsp else 1
    first = (1 if chain == 1 else chain + 1) if is_dsp else multiplier_rows(x, weight)
    return first + (-(-simd // chain) - 1).bit_length()


def count_latency(simd: int) -> int:
    """Return the pipeline stages of a count of equal signs (hls/rtl/lepton_xnor_dot.sv)."""
    return 1 + (simd > 3) + (-(-simd // 9) - 1).bit_length()


def negations_latency(simd: int) -> int:
    """Return the pipeline stages of a sum of negations (hls/rtl/lepton_sign_dot.sv)."""
    return max(1, (simd - 1).bit_length())


def are_signs(weights: Array) -> bool:
    """Whether all weights are -1 or +1, which take a bit each and no multiplier."""
    return weights.size > 0 and bool((np.abs(weights) == 1).all())


def product_parameters(
    x: Elem, tables: tuple[Table, ...], is_dsp: bool, style: MemoryStyle
) -> dict[str, int | str]:
    """Return the parameters of types, arithmetic and memory of a module that multiplies.

    Args:
        x: input elements.
        tables: the weights, and where sums start.
        is_dsp: multiply in DSP blocks, else in LUTs.
        style: where the weights are kept.
    """
    weights, start = tables
    bits = {"W_BITS": weights.elem.bits, "OUT_BITS": start.elem.bits}
    styles = {"USE_DSP": "yes" if is_dsp else "no", "ROM_STYLE": style}
    return {**typed("X", x), **bits, **styles}


def weight_memories(tables: tuple[Table, ...]) -> tuple[Memory, ...]:
    """Return the memories of such a module."""
    weights, start = tables
    return Memory.of("WEIGHTS_FILE", weights), Memory.of("BIAS_FILE", start)


def cpp_bool(value: bool) -> str:
    """Return a C++ truth value."""
    return "true" if value else "false"


def bias_without_zero_point(weights: Array, bias: Array | None, zero_point: int) -> Array:
    """Return the bias that lets a layer sum raw codes: ``bias - zero_point * sum(weights)``."""
    start = np.zeros(len(weights), np.int64) if bias is None else bias
    return np.asarray(start - zero_point * weights.reshape(len(weights), -1).sum(axis=1))
