"""Integers to codes: multiplier and shift, thresholds, and lookup tables."""

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
    grouped,
    typed,
)
from lepton_edge.backends.fpga.kernels.costs import counter_bits
from lepton_edge.backends.fpga.kernels.memories import (
    MemoryStyle,
    block_rom,
    block_roms_by_lane,
    is_in_blocks,
    rom_luts,
)
from lepton_edge.ir.ops.quantized import Rounding
from lepton_edge.ir.types import Array, bits_for_range

PARALLEL_LEVELS = 15
"""Thresholds that the threshold kernels (C++ and RTL) compare at once; more are searched."""


@dataclass(frozen=True, eq=False)
class ChannelMap(Kernel):
    """Shared shape of kernels that map elements by parameters of their channel.

    Args:
        x: input elements.
        out: output elements.
        pixels: pixels a frame.
        channels: elements of a pixel.
        lanes: elements in a word; divides the channels.
    """

    x: Elem
    out: Elem
    pixels: int
    channels: int
    lanes: int

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

    def _words(self, params: Array) -> Array:
        """Per-channel parameters as words; one word for all when the channels share them."""
        if len(params) == 1:
            return grouped(np.repeat(params, self.lanes, axis=0), self.lanes)
        return grouped(params, self.lanes)

    def _period(self, params: Array) -> int:
        """Channels after which parameters repeat, as the kernels' template wants them."""
        return self.lanes if len(params) == 1 else self.channels

    def _parameters(self, is_shared: bool) -> dict[str, int | str]:
        """The module parameters that these kernels share; shared constants make one group."""
        shape = {"CHANNELS": self.lanes if is_shared else self.channels, "LANES": self.lanes}
        return {**typed("X", self.x), "OUT_BITS": self.out.bits, **shape}

    def _pixels(self, array: Array) -> Array:
        return as_frames(array, self.pixels, self.channels)


@dataclass(frozen=True, eq=False)
class Requantize(ChannelMap):
    """``clamp((multiplier * x + addend) >> shift, lowest, highest)``.

    Args:
        multiplier: int64 [C] or [1].
        addend: int64 [C] or [1].
        shift: bits.
        lowest: lowest code.
        highest: highest code.
        rounding: FLOOR or HALF_EVEN.
    """

    kind: ClassVar[str] = "requantize"
    multiplier: Array
    addend: Array
    shift: int
    lowest: int
    highest: int
    rounding: Rounding

    @property
    def _shared(self) -> bool:
        return len(self.multiplier) == len(self.addend) == 1

    @property
    def sum_elem(self) -> Elem:
        """The type that holds multiplier * x + addend."""
        peak = 1 << (self.x.bits - 1 if self.x.signed else self.x.bits)
        bound = int(np.abs(self.multiplier).max()) * peak + int(np.abs(self.addend).max())
        return Elem(min(64, bits_for_range(-bound, bound)))

    @property
    def is_unit(self) -> bool:
        """Whether nothing is multiplied."""
        return bool((self.multiplier == 1).all())

    @property
    def partial_products(self) -> int:
        """Products of pieces that fit a DSP block, whichever factor is cut for its wide input.

        Source: hls/rtl/lepton_requantize.sv; AMD UG479: 25 x 18 bits, signed.
        """
        if self.is_unit:
            return 1
        factor = Elem.for_values(self.multiplier).bits
        x = self.x.bits + (not self.x.signed)
        return min(_pieces(x, 25) * _pieces(factor, 18), _pieces(x, 18) * _pieces(factor, 25))

    @property
    def latency(self) -> int:
        """See Kernel: a stage of adders for each halving of the partial products and the addend."""
        is_even = self.rounding is Rounding.HALF_EVEN and self.shift > 0
        return 5 + self.partial_products.bit_length() + is_even

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        factor, total = (table.elem.bits for table in self.tables)
        groups = 1 if self._shared else self.channels // self.lanes
        products, lanes = self.partial_products, self.lanes
        kept = max(total - self.shift, self.out.bits) + 1
        is_even = self.rounding is Rounding.HALF_EVEN and self.shift > 0
        return {
            "one": 1,
            "counters": counter_bits(groups),
            "parameters": rom_luts(lanes * factor, groups) + rom_luts(lanes * total, groups),
            "parameter registers": lanes * (2 * factor + 3 * total) if groups > 1 else 0,
            "inputs": lanes * self.x.bits,
            "first sum": lanes * total,
            "further sums": lanes * total * (products - 1),
            "unit products": lanes * self.x.bits if self.is_unit else 0,
            "clamp": lanes * kept,
            "codes": lanes * self.out.bits,
            "rounded": lanes * kept if is_even else 0,
            "rest": lanes * self.shift if is_even else 0,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel: multipliers beyond 25 x 18 bits take several DSP blocks."""
        found = Resources(dsp=0 if self.is_unit else self.lanes * self.partial_products)
        for table in self.tables:
            found += block_rom(table.array, table.elem.bits)
        return found

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        total = self._pixels(arrays[0]) * self.multiplier + self.addend
        codes = total >> self.shift
        if self.rounding is Rounding.HALF_EVEN and self.shift:
            rest, half = total - (codes << self.shift), np.int64(1) << (self.shift - 1)
            codes = codes + ((rest > half) | ((rest == half) & (codes & 1 == 1)))
        return (flat(np.clip(codes, self.lowest, self.highest)),)

    @property
    def tables(self) -> tuple[Table, ...]:
        """See Kernel."""
        multiplier, addend = self.multiplier, self.addend
        if not self._shared:
            multiplier, addend = (
                np.broadcast_to(p, (self.channels,)) for p in (multiplier, addend)
            )
        factor = Elem.for_values(multiplier)
        return (
            Table("multiplier", factor, self._words(multiplier), "codes per unit, times 2^shift"),
            Table("addend", self.sum_elem, self._words(addend), "zero point and rounding half"),
        )

    @property
    def call(self) -> Call:
        """See Kernel."""
        is_even = self.rounding is Rounding.HALF_EVEN and self.shift > 0
        types = (
            self.x.c_type,
            Elem.for_values(self.multiplier).c_type,
            self.sum_elem.c_type,
            self.out.c_type,
        )
        period = self.lanes if self._shared else self.channels
        template = (*types, self.shift, period, self.lanes, self.outputs[0].words)
        function = "requantize_half_even" if is_even else "requantize"
        return Call("requantize.hpp", function, template, (self.lowest, self.highest))

    @property
    def module(self) -> Module:
        """See Kernel."""
        multiplier, addend = self.tables
        parameters = {
            **self._parameters(self._shared),
            "M_BITS": multiplier.elem.bits,
            "SUM_BITS": addend.elem.bits,
            "SHIFT": self.shift,
            "IS_HALF_EVEN": int(self.rounding is Rounding.HALF_EVEN and self.shift > 0),
            "IS_UNIT": int(self.is_unit),
            "LOWEST": self.lowest,
            "HIGHEST": self.highest,
        }
        memories = Memory.of("MULTIPLIER_FILE", multiplier), Memory.of("ADDEND_FILE", addend)
        return Module("lepton_requantize", parameters, memories=memories)

    @property
    def summary(self) -> str:
        """See Kernel."""
        return (
            f"{self.x.bits}-bit sums to codes {self.lowest}..{self.highest} by multiplier and "
            f"shift {self.shift}, {self.channels} channels at {self.pixels} pixels"
        )


def _pieces(bits: int, most: int) -> int:
    """Return the pieces of a signed number, all but the last one unsigned and a bit narrower."""
    return max(0, bits - 2) // (most - 1) + 1


@dataclass(frozen=True, eq=False)
class Threshold(ChannelMap):
    """``lowest + number of thresholds <= x``.

    Args:
        thresholds: int64 [C or 1, levels], ascending.
        lowest: the code below all thresholds.
    """

    kind: ClassVar[str] = "threshold"
    thresholds: Array
    lowest: int

    @property
    def levels(self) -> int:
        """Number of thresholds of a channel."""
        return int(self.thresholds.shape[1])

    @property
    def latency(self) -> int:
        """See Kernel."""
        return 5 if self.levels <= PARALLEL_LEVELS else 3 * self.levels.bit_length() + 2

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel: few levels are compared at once; many by a pipelined binary search."""
        groups, lanes, bits = self._groups, self.lanes, self.x.bits
        if self.levels <= PARALLEL_LEVELS:
            thresholds = lanes * self.levels * bits
            return {
                "one": 1,
                "counters": counter_bits(groups),
                "thresholds": rom_luts(thresholds, groups),
                "threshold registers": thresholds if groups > 1 else 0,
                "inputs": lanes * bits,
                "constant compared": thresholds if groups == 1 else 0,
                "compared": thresholds if groups > 1 else 0,
                "counted": lanes * self.levels,
                "codes": lanes * self.out.bits,
            }
        stages = self.levels.bit_length()
        words = lanes * bits
        return {
            "search": 1,
            "search counters": counter_bits(groups) * stages,
            "searched": sum(
                lanes * rom_luts(bits, groups << s)
                for s in range(stages)
                if not is_in_blocks(words, groups << s)
            ),
            "searched blocks": sum(
                lanes for s in range(stages) if is_in_blocks(words, groups << s)
            ),
            "search words": words * stages,
            "search counts": lanes * stages * stages,
            "search codes": lanes * self.out.bits,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel: each lane of a search has its own memory, of which it takes its lane."""
        found = Resources()
        for words in self._banks:
            if self.levels <= PARALLEL_LEVELS:
                found += block_rom(words, self.x.bits)
            elif is_in_blocks(self.lanes * self.x.bits, len(words)):
                found += block_roms_by_lane(words, self.x.bits)
        return found

    @property
    def _groups(self) -> int:
        return self.channels // self.lanes if len(self.thresholds) > 1 else 1

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        x = self._pixels(arrays[0])
        codes = np.empty_like(x)
        for channel in range(self.channels):
            row = self.thresholds[channel if len(self.thresholds) > 1 else 0]
            codes[..., channel] = np.searchsorted(row, x[..., channel], side="right")
        return (flat(codes + self.lowest),)

    @property
    def tables(self) -> tuple[Table, ...]:
        """See Kernel."""
        words = self._words(self.thresholds).reshape(-1, self.lanes)
        comment = f"{self.levels} ascending thresholds for each channel"
        return (Table("thresholds", self.x, words, comment),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        period = self._period(self.thresholds)
        words = self.outputs[0].words
        template = (self.x.c_type, self.out.c_type, self.levels, period, self.lanes, words)
        return Call("threshold.hpp", "threshold", template, (self.lowest,))

    @property
    def module(self) -> Module:
        """See Kernel."""
        (table,) = self.tables
        shared = self._parameters(len(self.thresholds) == 1)
        parameters = {**shared, "LEVELS": self.levels, "LOWEST": self.lowest}
        memory = Memory("ROM_FILE", table.name, self._banks, table.elem.bits)
        return Module("lepton_threshold", parameters, memories=(memory,))

    @property
    def _banks(self) -> tuple[Array, ...]:
        """The words of the memories: one, or one for each stage of a binary search."""
        words = self.tables[0].array.reshape(-1, self.levels, self.lanes)
        if self.levels > PARALLEL_LEVELS:
            return tuple(self._searched(words))
        return (words.reshape(len(words), -1),)

    def _searched(self, words: Array) -> Iterator[Array]:
        """Yield the thresholds that each stage of a binary search compares with.

        Args:
            words: int64 [groups, levels, lanes].
        """
        stages = self.levels.bit_length()
        for stage in range(stages):
            index = (2 * np.arange(1 << stage) + 1) * (1 << (stages - 1 - stage)) - 1
            yield words[:, np.minimum(index, self.levels - 1)].reshape(-1, self.lanes)

    @property
    def summary(self) -> str:
        """See Kernel."""
        return f"{self.levels} thresholds, {self.channels} channels at {self.pixels} pixels"


@dataclass(frozen=True, eq=False)
class Lookup(ChannelMap):
    """``table[channel, x - first]``.

    Args:
        table: int64 [C or 1, entries].
        first: the code of entry 0.
    """

    kind: ClassVar[str] = "lookup"
    table: Array
    first: int

    @property
    def entries(self) -> int:
        """Entries of a channel's table."""
        return int(self.table.shape[1])

    @property
    def latency(self) -> int:
        """See Kernel."""
        return 4

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel: each lane needs a table of its own, for an address of its own."""
        return {
            "one": 1,
            "counters": counter_bits(self._groups, self._depth),
            "tables": self.lanes * rom_luts(self.out.bits, self._depth, self._style),
            "addresses": self.lanes * counter_bits(self._depth),
            "codes": self.lanes * self.out.bits,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel."""
        if self._style != "block":
            return Resources()
        return block_roms_by_lane(self.tables[0].array, self.out.bits)

    @property
    def _groups(self) -> int:
        return self.channels // self.lanes if len(self.table) > 1 else 1

    @property
    def _depth(self) -> int:
        return self._groups * self.entries

    @property
    def _style(self) -> MemoryStyle:
        """Where the tables are: a memory holds the words of all lanes, of which each takes one."""
        is_large = is_in_blocks(self.lanes * self.out.bits, self._depth)
        return "block" if is_large else "distributed"

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        index = self._pixels(arrays[0]) - self.first
        channel = np.arange(self.channels) if len(self.table) > 1 else np.zeros(self.channels, int)
        return (flat(self.table.astype(np.int64)[channel, index]),)

    @property
    def tables(self) -> tuple[Table, ...]:
        """See Kernel."""
        words = self._words(self.table.astype(np.int64)).reshape(-1, self.lanes)
        return (Table("table", self.out, words, f"{self.entries} entries for each channel"),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        period = self._period(self.table)
        template = (
            self.x.c_type,
            self.out.c_type,
            self.entries,
            period,
            self.lanes,
            self.outputs[0].words,
        )
        return Call("lookup.hpp", "lookup", template, (self.first,))

    @property
    def module(self) -> Module:
        """See Kernel."""
        shared = self._parameters(len(self.table) == 1)
        parameters = {**shared, "ENTRIES": self.entries, "FIRST": self.first}
        memories = (Memory.of("ROM_FILE", self.tables[0]),)
        return Module("lepton_lookup", parameters, memories=memories)

    @property
    def summary(self) -> str:
        """See Kernel."""
        return f"table of {self.entries} codes, {self.channels} channels at {self.pixels} pixels"
