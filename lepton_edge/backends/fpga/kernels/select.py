"""Kernels over the channels of a pixel: arg max and softmax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.kernels.base import (
    Call,
    Elem,
    Kernel,
    Memory,
    Module,
    Port,
    Table,
    as_frames,
    divisors,
    flat,
    typed,
)
from lepton_edge.backends.fpga.kernels.costs import counter_bits
from lepton_edge.backends.fpga.kernels.memories import (
    MemoryStyle,
    block_rom,
    is_in_blocks,
    rom_luts,
)
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.ir.types import Array


@dataclass(frozen=True)
class ArgMax(Kernel):
    """Index of the first largest channel of each pixel.

    Args:
        x: elements.
        channels: elements of a pixel.
        pixels: pixels a frame.
        lanes: elements in a word; divides the channels.
    """

    kind: ClassVar[str] = "argmax"
    x: Elem
    channels: int
    pixels: int
    lanes: int = 1

    @property
    def out(self) -> Elem:
        """The type of an index."""
        return Elem(max(1, (self.channels - 1).bit_length()), signed=False)

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.pixels * self.channels, self.lanes),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.out, self.pixels, 1),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"lanes": self.lanes}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for lanes in divisors(self.channels):
            yield replace(self, lanes=lanes)

    @property
    def latency(self) -> int:
        """See Kernel."""
        return 2 + (self.lanes - 1).bit_length()

    @property
    def steps(self) -> Steps:
        """See Kernel."""
        words, groups = self.inputs[0].words, self.channels // self.lanes
        return Steps.of(words, np.arange(words), np.arange(groups, words + 1, groups) - 1)

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        return {
            "one": 1,
            "counters": counter_bits(self.channels // self.lanes),
            "compared": self.lanes * (self.x.bits + 1),
            "indices": self.lanes * self.out.bits,
        }

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        return (flat(np.argmax(as_frames(arrays[0], self.pixels, self.channels), axis=2)),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        template = (self.x.c_type, self.out.c_type, self.channels, self.lanes, self.pixels)
        return Call("argmax.hpp", "argmax", template)

    @property
    def module(self) -> Module:
        """See Kernel."""
        shape = {"CHANNELS": self.channels, "LANES": self.lanes}
        parameters = {**typed("X", self.x), "OUT_BITS": self.out.bits, **shape}
        return Module("lepton_argmax", parameters)

    @property
    def summary(self) -> str:
        """See Kernel."""
        return f"index of the largest of {self.channels} channels at {self.pixels} pixels"


@dataclass(frozen=True, eq=False)
class Softmax(Kernel):
    """The integer softmax of ``ir.ops.quantized.SoftmaxCodes`` over each pixel's channels.

    Args:
        x: input elements.
        out: output elements.
        channels: elements of a pixel.
        pixels: pixels a frame.
        table: int64 [entries], exponentials by distance from the maximum.
        ratio: numerator and denominator of 1 / output scale.
        zero_point: of the output.
        bounds: lowest and highest output code.
        lanes: elements in a word; divides the channels.
    """

    kind: ClassVar[str] = "softmax"
    x: Elem
    out: Elem
    channels: int
    pixels: int
    table: Array
    ratio: tuple[int, int]
    zero_point: int
    bounds: tuple[int, int]
    lanes: int = 1

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.pixels * self.channels, self.lanes),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.out, self.pixels * self.channels, self.lanes),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"lanes": self.lanes}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for lanes in divisors(self.channels):
            yield replace(self, lanes=lanes)

    @property
    def latency(self) -> int:
        """See Kernel: the largest, the sum and a bit of the quotient a cycle, one after another."""
        groups, quotient = self.channels // self.lanes, self.ratio[0] // self.ratio[1] + 1
        return 2 * groups + 11 + 2 * (self.lanes - 1).bit_length() + quotient.bit_length()

    def needed(self, index: int) -> Array:
        """See Kernel: the C++ reads a whole pixel before it writes."""
        groups = self.channels // self.lanes
        return (np.arange(self.outputs[0].words) // groups + 1) * groups

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel: a divider for each lane, a row of subtractors, dominates."""
        lanes, entries = self.lanes, len(self.table)
        exponential = int(self.table.max()).bit_length()
        divisor = exponential + (self.channels * self.ratio[1]).bit_length()
        quotient = (self.ratio[0] // self.ratio[1] + 1).bit_length()
        return {
            "one": 1,
            "lanes": lanes,
            "words": lanes * self.x.bits,
            "exponentials": lanes * rom_luts(exponential, entries, self._style),
            "exponential words": lanes * exponential,
            "divider": lanes * quotient * divisor,
            "codes": lanes * self.out.bits,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel: a product by a power of two is a shift, others take a DSP block."""
        exponential = int(self.table.max()).bit_length()
        factors = sum(factor & (factor - 1) != 0 for factor in self.ratio)
        found = Resources(dsp=self.lanes * factors)
        return found + block_rom(self.table, exponential, self._style) * self.lanes

    @property
    def _style(self) -> MemoryStyle:
        exponential = int(self.table.max()).bit_length()
        return "block" if is_in_blocks(exponential, len(self.table)) else "distributed"

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        x = as_frames(arrays[0], self.pixels, self.channels)
        e = self.table[x.max(axis=2, keepdims=True) - x]
        total = e.sum(axis=2, keepdims=True) * self.ratio[1]
        codes = (2 * e * self.ratio[0] + total) // (2 * total) + self.zero_point
        return (flat(np.clip(codes, *self.bounds)),)

    @property
    def tables(self) -> tuple[Table, ...]:
        """See Kernel."""
        return (
            Table("exponentials", Elem(32, False), self.table, "exp(-scale * distance) * 2^24"),
        )

    @property
    def call(self) -> Call:
        """See Kernel."""
        template = (
            self.x.c_type,
            self.out.c_type,
            self.channels,
            self.lanes,
            self.pixels,
            len(self.table),
        )
        scalars = (*self.ratio, self.zero_point, *self.bounds)
        return Call("softmax.hpp", "softmax", template, scalars)

    @property
    def module(self) -> Module:
        """See Kernel."""
        bits = int(self.table.max()).bit_length()
        parameters = {
            **typed("X", self.x),
            "OUT_BITS": self.out.bits,
            "EXP_BITS": bits,
            "CHANNELS": self.channels,
            "LANES": self.lanes,
            "ENTRIES": len(self.table),
            "NUMERATOR": self.ratio[0],
            "DENOMINATOR": self.ratio[1],
            "ZERO_POINT": self.zero_point,
            "LOWEST": self.bounds[0],
            "HIGHEST": self.bounds[1],
        }
        memory = Memory("ROM_FILE", "exponentials", (self.table.reshape(-1, 1),), bits)
        return Module("lepton_softmax", parameters, memories=(memory,))

    @property
    def summary(self) -> str:
        """See Kernel."""
        return f"softmax over {self.channels} channels at {self.pixels} pixels"
