"""The matrix-vector unit: dense layers, and convolutions behind a sliding window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.kernels.base import (
    Call,
    Elem,
    Kernel,
    Memory,
    MemoryStyle,
    Module,
    Port,
    Table,
    as_frames,
    control,
    divisors,
    flat,
    grouped,
    memory,
    memory_styles,
    typed,
)
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.errors import RangeError
from lepton_edge.ir.ops.linear import exact_matmul
from lepton_edge.ir.types import Array, bits_for_range

LUT_INPUTS = 6
"""Inputs of a look-up table: factors of as many bits together are multiplied by tables."""


def multiplier_cost(a: int, b: int, acc: int, count: int, is_dsp: bool) -> Resources:
    """Return the cost of ``count`` multipliers of a x b bits and the adders behind them.

    A multiplier of LUTs takes about one LUT for each partial product bit; an adder one LUT for
    each bit. Calibrated on nothing yet: one probe layer agreed within a third.
    """
    width = min(a + b + 2, acc)
    adders = count * width
    if is_dsp:
        return Resources(lut=adders, ff=adders, dsp=count)
    return Resources(lut=count * a * b + adders, ff=count * (a + b) + adders)


def tree_cost(count: int, bits: int) -> Resources:
    """Return the cost of a pipelined adder tree over ``count`` numbers (hls/rtl/lepton_sum.sv)."""
    lut = ff = 0
    while count > 1:
        pairs, count, bits = count // 2, (count + 1) // 2, bits + 1
        lut, ff = lut + pairs * bits, ff + count * bits
    return Resources(lut=lut, ff=ff)


def count_cost(simd: int) -> Resources:
    """Return the cost of counting equal signs (hls/rtl/lepton_xnor_dot.sv)."""
    triples = -(-simd // 3)
    cost = Resources(lut=2 * triples, ff=2 * triples)
    if triples == 1:
        return cost
    nines = -(-triples // 3)
    return cost + Resources(lut=4 * nines, ff=4 * nines) + tree_cost(nines, 4)


def negations_cost(x: Elem, simd: int) -> Resources:
    """Return the cost of a sum of inputs or their complements (hls/rtl/lepton_sign_dot.sv)."""
    bits = x.bits + (not x.signed)
    if simd == 1:
        return Resources(lut=bits, ff=bits)
    complements = 0 if bits == 2 else simd * bits
    return Resources(lut=complements) + tree_cost(simd, bits)


MAX_CHAIN = 4
"""DSP blocks that add each other's products in a row (hls/rtl/lepton_dot.sv)."""


def multiplier_rows(x: Elem, weight: Elem) -> int:
    """Return the Booth rows of a multiplier in LUTs, a cycle each (lepton_multiplier.sv)."""
    bits = x.bits + (not x.signed)
    return 1 if bits + weight.bits <= LUT_INPUTS else -(-min(bits, weight.bits) // 2)


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


@dataclass(frozen=True, eq=False)
class MatrixVector(Kernel):
    """``y = W x + bias`` for each of ``vectors`` input vectors a frame.

    Weights that are all -1 or +1 are kept as the bits 0 and 1. With them, a product is x or its
    complement, or whether two signs are equal; see ``start``.

    Args:
        x: input elements.
        acc: accumulator elements.
        weights: int64 [rows, columns].
        bias: int64 [rows], zero points of the input folded in.
        vectors: input vectors a frame.
        pe: rows computed at once; divides the rows.
        simd: columns multiplied at once; divides the columns.
        is_dsp: multiply in DSP blocks, else in LUTs; signs are never multiplied.
        style: where the weights are kept.
        x_is_bipolar: the input codes 0 and 1 stand for -1 and +1; only where weights are signs.
        x_is_narrow: the lowest input code does not occur.
    """

    kind: ClassVar[str] = "matrix_vector"
    x: Elem
    acc: Elem
    weights: Array
    bias: Array
    vectors: int
    pe: int = 1
    simd: int = 1
    is_dsp: bool = True
    style: MemoryStyle = "auto"
    x_is_bipolar: bool = False
    x_is_narrow: bool = False

    def __post_init__(self) -> None:
        if self.x_is_bipolar and (self.x != Elem(1, False) or not self.has_signs):
            raise RangeError("signs of inputs take one bit, and weights that are signs")

    @property
    def rows(self) -> int:
        """Outputs of a vector."""
        return int(self.weights.shape[0])

    @property
    def columns(self) -> int:
        """Inputs of a vector."""
        return int(self.weights.shape[1])

    @cached_property
    def weight_elem(self) -> Elem:
        """The type of a weight as it is kept: a bit where all weights are signs."""
        return Elem(1, False) if are_signs(self.weights) else Elem.for_values(self.weights)

    @property
    def has_signs(self) -> bool:
        """Whether all weights are -1 or +1."""
        return not self.weight_elem.signed

    @cached_property
    def product_bits(self) -> int:
        """Bits that hold every product that occurs."""
        ends = (self.x.lowest + self.x_is_narrow, self.x.highest)
        corners = np.multiply.outer(ends, (int(self.weights.min()), int(self.weights.max())))
        return bits_for_range(int(corners.min()), int(corners.max()))

    @property
    def start(self) -> Array:
        """Where sums start: the bias, and what products with signs leave out, int64 [rows].

        ``w x`` is ``x`` or ``~x + 1``, and the ones belong to the weights; for signs in one bit
        it is ``2 (w == x) - 1``. Wrapped to the accumulator's type, as the sums themselves are.
        """
        if not self.has_signs:
            return self.bias
        ones = -self.columns if self.x_is_bipolar else (self.weights < 0).sum(axis=1)
        half = 1 << (self.acc.bits - 1)
        return np.asarray((self.bias + ones + half) % (2 * half) - half)

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.vectors * self.columns, self.simd),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.acc, self.vectors * self.rows, self.pe),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        is_dsp = self.is_dsp and not self.has_signs
        arithmetic = {"dsp": int(is_dsp), "bram": int(self.style == "block")}
        return {"pe": self.pe, "simd": self.simd, **arithmetic}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for pe in divisors(self.rows):
            for simd in divisors(self.columns):
                folds = (self.rows // pe) * (self.columns // simd)
                for style in memory_styles(pe * simd * self.weight_elem.bits, folds):
                    for is_dsp in (False,) if self.has_signs else (True, False):
                        yield self._folded(pe=pe, simd=simd, is_dsp=is_dsp, style=style)

    def _folded(self, **folding: Any) -> MatrixVector:
        """Return another folding, which has the same weights and so the same types."""
        kernel = replace(self, **folding)
        kernel.__dict__.update(weight_elem=self.weight_elem, product_bits=self.product_bits)
        return kernel

    @property
    def cycles(self) -> int:
        """See Kernel. Source: rows/PE x columns/SIMD x vectors, as in FINN's MVAU."""
        return self.vectors * (self.rows // self.pe) * (self.columns // self.simd)

    @property
    def latency(self) -> int:
        """See Kernel."""
        first = 4 if self.columns == self.simd else 5
        if self.x_is_bipolar:
            return first + count_latency(self.simd)
        if self.has_signs:
            return first + negations_latency(self.simd)
        return first + dot_latency(self.x, self.weight_elem, self.simd, self.is_dsp)

    @property
    def steps(self) -> Steps:
        """See Kernel: the first rows take the vector, the others see it again."""
        reads, groups = self.columns // self.simd, self.rows // self.pe
        vectors = np.arange(self.vectors)[:, None] * reads * groups
        return Steps.of(
            self.cycles,
            (vectors + np.arange(reads)).ravel(),
            (vectors + np.arange(1, groups + 1) * reads - 1).ravel(),
        )

    @property
    def resources(self) -> Resources:
        """See Kernel."""
        folds = (self.rows // self.pe) * (self.columns // self.simd)
        weights = self.weight_elem
        cost = self._products_cost()
        cost += memory(self.pe * self.simd * weights.bits, folds, style=self.style)
        cost += memory(self.pe * self.acc.bits, self.rows // self.pe)
        if self.rows > self.pe:
            cost += memory(self.simd * self.x.bits, self.columns // self.simd, ports=2)
        accumulators = self.pe * self.acc.bits
        return cost + Resources(lut=accumulators, ff=accumulators) + control(self.vectors * folds)

    def _products_cost(self) -> Resources:
        count = self.pe * self.simd
        if self.x_is_bipolar:
            return count_cost(self.simd) * self.pe
        if self.has_signs:
            return negations_cost(self.x, self.simd) * self.pe
        bits = (self.x.bits, self.weight_elem.bits)
        if not self.is_dsp and sum(bits) + (not self.x.signed) <= LUT_INPUTS:
            table = Resources(lut=self.product_bits, ff=self.product_bits)
            return table * count + tree_cost(self.simd, self.product_bits) * self.pe
        return multiplier_cost(*bits, self.acc.bits, count, self.is_dsp)

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        x = as_frames(arrays[0], self.vectors, self.columns)
        if self.x_is_bipolar:
            x = 2 * x - 1
        return (flat(exact_matmul(x, self.weights.T) + self.bias),)

    @property
    def tables(self) -> tuple[Table, ...]:
        """See Kernel."""
        rows, columns = self.rows // self.pe, self.columns // self.simd
        weights = (self.weights + 1) // 2 if self.has_signs else self.weights
        tiles = weights.reshape(rows, self.pe, columns, self.simd).transpose(0, 2, 1, 3)
        comment = f"{self.rows} rows of {self.columns} weights, as PE x SIMD tiles"
        return (
            Table("weights", self.weight_elem, tiles.reshape(-1, self.pe, self.simd), comment),
            Table("bias", self.acc, grouped(self.start, self.pe), f"start of {self.rows} sums"),
        )

    @property
    def call(self) -> Call:
        """See Kernel."""
        types = (self.x.c_type, self.weight_elem.c_type, self.acc.c_type)
        geometry = (self.rows, self.columns, self.pe, self.simd, self.vectors)
        products: tuple[str, ...] = (_cpp_bool(self.is_dsp),)
        if self.has_signs:
            products = ("false", "lepton::EqualSigns" if self.x_is_bipolar else "lepton::Negation")
        return Call("mvu.hpp", "matrix_vector", (*types, *geometry, *products))

    @property
    def module(self) -> Module:
        """See Kernel."""
        shape = {"ROWS": self.rows, "COLS": self.columns, "PE": self.pe, "SIMD": self.simd}
        products: dict[str, int] = {}
        if self.has_signs:
            products = {"W_SIGNS": 1, "X_BIPOLAR": int(self.x_is_bipolar)}
        elif not self.is_dsp and self.product_bits < self.x.bits + self.weight_elem.bits:
            products = {"PRODUCT_BITS": self.product_bits}
        return Module("lepton_mvu", {**shape, **_types(self), **products}, memories=_memories(self))

    @property
    def summary(self) -> str:
        """See Kernel."""
        return (
            f"{self.vectors} products of {self.rows}x{self.columns} weights with a vector, "
            f"{self.pe} rows x {self.simd} columns at once"
        )


@dataclass(frozen=True, eq=False)
class Depthwise(Kernel):
    """A weighted sum over the taps of each channel's own window.

    Args:
        x: input elements, in channelwise window order.
        acc: accumulator elements.
        weights: int64 [channels, taps].
        bias: int64 [channels].
        pixels: windows a frame.
        pe: channels computed at once; divides the channels.
        is_dsp: multiply in DSP blocks, else in LUTs.
        style: where the weights are kept.
    """

    kind: ClassVar[str] = "depthwise"
    x: Elem
    acc: Elem
    weights: Array
    bias: Array
    pixels: int
    pe: int = 1
    is_dsp: bool = True
    style: MemoryStyle = "auto"

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.weights.shape[0])

    @property
    def taps(self) -> int:
        """Window positions."""
        return int(self.weights.shape[1])

    @cached_property
    def weight_elem(self) -> Elem:
        """The type of a weight."""
        return Elem.for_values(self.weights)

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.pixels * self.channels * self.taps, self.pe),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.acc, self.pixels * self.channels, self.pe),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"pe": self.pe, "dsp": int(self.is_dsp), "bram": int(self.style == "block")}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for pe in divisors(self.channels):
            words = self.channels // pe * self.taps
            for style in memory_styles(pe * self.weight_elem.bits, words):
                for is_dsp in (True, False):
                    yield replace(self, pe=pe, is_dsp=is_dsp, style=style)

    @property
    def latency(self) -> int:
        """See Kernel."""
        rows = 1 if self.is_dsp else multiplier_rows(self.x, self.weight_elem)
        return (5 if self.taps == 1 else 6) + rows - 1

    @property
    def steps(self) -> Steps:
        """See Kernel."""
        words = self.inputs[0].words
        return Steps.of(words, np.arange(words), np.arange(self.taps, words + 1, self.taps) - 1)

    @property
    def resources(self) -> Resources:
        """See Kernel."""
        weights = self.weight_elem
        folds = self.channels // self.pe
        cost = multiplier_cost(self.x.bits, weights.bits, self.acc.bits, self.pe, self.is_dsp)
        cost += memory(self.pe * weights.bits, folds * self.taps, style=self.style)
        cost += memory(self.pe * self.acc.bits, folds)
        accumulators = self.pe * self.acc.bits
        return cost + Resources(lut=accumulators, ff=accumulators) + control(self.inputs[0].words)

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        groups = self.channels // self.pe
        x = as_frames(arrays[0], self.pixels, groups, self.taps, self.pe)
        weights = self.weights.reshape(groups, self.pe, self.taps).transpose(0, 2, 1)
        sums = (x * weights).sum(axis=3).reshape(len(x), self.pixels, self.channels)
        return (flat(sums + self.bias),)

    @property
    def tables(self) -> tuple[Table, ...]:
        """See Kernel."""
        groups = self.channels // self.pe
        words = self.weights.reshape(groups, self.pe, self.taps).transpose(0, 2, 1)
        comment = f"{self.channels} channels of {self.taps} taps"
        return (
            Table("weights", self.weight_elem, words.reshape(-1, self.pe), comment),
            Table("bias", self.acc, grouped(self.bias, self.pe), f"start of {self.channels} sums"),
        )

    @property
    def call(self) -> Call:
        """See Kernel."""
        types = (self.x.c_type, self.weight_elem.c_type, self.acc.c_type)
        geometry = (self.channels, self.pe, self.taps, self.pixels)
        return Call("depthwise.hpp", "depthwise", (*types, *geometry, _cpp_bool(self.is_dsp)))

    @property
    def module(self) -> Module:
        """See Kernel."""
        shape = {"CHANNELS": self.channels, "PE": self.pe, "TAPS": self.taps}
        return Module("lepton_depthwise", {**shape, **_types(self)}, memories=_memories(self))

    @property
    def summary(self) -> str:
        """See Kernel."""
        return (
            f"depthwise sums of {self.taps} taps for {self.channels} channels at {self.pixels} "
            f"pixels, {self.pe} channels at once"
        )


def _types(kernel: MatrixVector | Depthwise) -> dict[str, int | str]:
    """Return the parameters of types, arithmetic and memory that both modules have."""
    bits = {"W_BITS": kernel.weight_elem.bits, "OUT_BITS": kernel.acc.bits}
    styles = {"USE_DSP": "yes" if kernel.is_dsp else "no", "ROM_STYLE": kernel.style}
    return {**typed("X", kernel.x), **bits, **styles}


def _memories(kernel: MatrixVector | Depthwise) -> tuple[Memory, ...]:
    weights, bias = kernel.tables
    return Memory.of("WEIGHTS_FILE", weights), Memory.of("BIAS_FILE", bias)


def _cpp_bool(value: bool) -> str:
    return "true" if value else "false"


def bias_without_zero_point(weights: Array, bias: Array | None, zero_point: int) -> Array:
    """Return the bias that lets a layer sum raw codes: ``bias - zero_point * sum(weights)``."""
    start = np.zeros(len(weights), np.int64) if bias is None else bias
    return np.asarray(start - zero_point * weights.reshape(len(weights), -1).sum(axis=1))
