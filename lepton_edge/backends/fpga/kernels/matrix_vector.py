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
from lepton_edge.backends.fpga.kernels.packing import (
    MAX_CHAIN,
    Packing,
    borrowed,
    packed_cost,
    packings,
)
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.ir.ops.linear import exact_matmul
from lepton_edge.ir.types import Array


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


def multiplier_rows(x: Elem, weight: Elem) -> int:
    """Return the Booth rows of a multiplier in LUTs, a cycle each (lepton_multiplier.sv)."""
    return -(-min(x.bits + (not x.signed), weight.bits) // 2)


def dot_latency(x: Elem, weight: Elem, simd: int, is_dsp: bool) -> int:
    """Return the pipeline stages of a dot product (hls/rtl/lepton_dot.sv)."""
    chain = min(simd, MAX_CHAIN) if is_dsp else 1
    first = (1 if chain == 1 else chain + 1) if is_dsp else multiplier_rows(x, weight)
    return first + (-(-simd // chain) - 1).bit_length()


@dataclass(frozen=True, eq=False)
class MatrixVector(Kernel):
    """``y = W x + bias`` for each of ``vectors`` input vectors a frame.

    Args:
        x: input elements.
        acc: accumulator elements.
        weights: int64 [rows, columns].
        bias: int64 [rows], zero points of the input folded in.
        vectors: input vectors a frame.
        pe: rows computed at once; divides the rows.
        simd: columns multiplied at once; divides the columns.
        is_dsp: multiply in DSP blocks, else in LUTs.
        style: where the weights are kept.
        fields: rows that share a DSP block; 1, or one of ``packings``, and divides ``pe``.
        wide_bits: of the wider factor of the board's DSP blocks; 0 where no rows can share one.
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
    fields: int = 1
    wide_bits: int = 0

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
        """The type of a weight."""
        return Elem.for_values(self.weights)

    @cached_property
    def packings(self) -> dict[int, Packing]:
        """The ways in which rows can share DSP blocks, by how many do."""
        return packings(self.x, self.weights, self.wide_bits)

    @property
    def packing(self) -> Packing | None:
        """The way in which rows share DSP blocks; None where they do not."""
        return self.packings[self.fields] if self.fields > 1 else None

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
        arithmetic = {"dsp": self.is_dsp * self.fields, "bram": int(self.style == "block")}
        return {"pe": self.pe, "simd": self.simd, **arithmetic}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for pe in divisors(self.rows):
            for simd in divisors(self.columns):
                folds = (self.rows // pe) * (self.columns // simd)
                for style in memory_styles(pe * simd * self.weight_elem.bits, folds):
                    yield self._folded(pe=pe, simd=simd, style=style)
                    for fields in self.packings:
                        if pe % fields == 0:
                            yield self._folded(pe=pe, simd=simd, style=style, fields=fields)
                    yield self._folded(pe=pe, simd=simd, style=style, is_dsp=False)

    def _folded(self, **folding: Any) -> MatrixVector:
        """Return another folding, which has the same weights and so the same types of them."""
        kernel = replace(self, **{"is_dsp": True, "fields": 1, **folding})
        kernel.__dict__.update(weight_elem=self.weight_elem, packings=self.packings)
        return kernel

    @property
    def stored_elem(self) -> Elem:
        """The type of a weight as it is stored."""
        return self.packing.weight if self.packing else self.weight_elem

    @property
    def cycles(self) -> int:
        """See Kernel. Source: rows/PE x columns/SIMD x vectors, as in FINN's MVAU."""
        return self.vectors * (self.rows // self.pe) * (self.columns // self.simd)

    @property
    def latency(self) -> int:
        """See Kernel."""
        is_once = self.columns == self.simd
        if self.packing:
            chains, chain = self.packing.chains(self.simd)
            dot = chain + 1 + (chains - 1).bit_length()
        else:
            dot = dot_latency(self.x, self.weight_elem, self.simd, self.is_dsp)
        return (4 if is_once else 5) + dot

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
        weights = self.stored_elem
        if self.packing:
            cost = packed_cost(self.packing, self.x, self.pe, self.simd)
        else:
            cost = multiplier_cost(
                self.x.bits, weights.bits, self.acc.bits, self.pe * self.simd, self.is_dsp
            )
        cost += memory(self.pe * self.simd * weights.bits, folds, style=self.style)
        cost += memory(self.pe * self.acc.bits, self.rows // self.pe)
        if self.rows > self.pe:
            cost += memory(self.simd * self.x.bits, self.columns // self.simd, ports=2)
        accumulators = self.pe * self.acc.bits
        return cost + Resources(lut=accumulators, ff=accumulators) + control(self.vectors * folds)

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        x = as_frames(arrays[0], self.vectors, self.columns)
        return (flat(exact_matmul(x, self.weights.T) + self.bias),)

    @property
    def tables(self) -> tuple[Table, ...]:
        """See Kernel."""
        rows, columns = self.rows // self.pe, self.columns // self.simd
        stored = borrowed(self.weights, self.fields)
        tiles = stored.reshape(rows, self.pe, columns, self.simd).transpose(0, 2, 1, 3)
        comment = f"{self.rows} rows of {self.columns} weights, as PE x SIMD tiles"
        if self.packing:
            comment += f", {self.fields} rows a DSP block: 1 less above a negative one"
        return (
            Table("weights", self.stored_elem, tiles.reshape(-1, self.pe, self.simd), comment),
            Table("bias", self.acc, grouped(self.bias, self.pe), f"start of {self.rows} sums"),
        )

    @property
    def call(self) -> Call:
        """See Kernel."""
        types = (self.x.c_type, self.stored_elem.c_type, self.acc.c_type)
        geometry = (self.rows, self.columns, self.pe, self.simd, self.vectors)
        packed = self._packed.values()
        return Call(
            "mvu.hpp", "matrix_vector", (*types, *geometry, _cpp_bool(self.is_dsp), *packed)
        )

    @property
    def module(self) -> Module:
        """See Kernel."""
        shape = {"ROWS": self.rows, "COLS": self.columns, "PE": self.pe, "SIMD": self.simd}
        parameters = {**shape, **_types(self), **self._packed}
        return Module("lepton_mvu", parameters, memories=_memories(self))

    @property
    def _packed(self) -> dict[str, int]:
        """The parameters of rows that share DSP blocks."""
        if not self.packing:
            return {}
        _, chain = self.packing.chains(self.simd)
        return {"FIELDS": self.fields, "FIELD_BITS": self.packing.field_bits, "CHAIN": chain}

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
    weights, _ = kernel.tables
    bits = {"W_BITS": weights.elem.bits, "OUT_BITS": kernel.acc.bits}
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
