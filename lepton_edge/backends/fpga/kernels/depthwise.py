"""Depthwise layers: a sum of its own for each channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.kernels.base import (
    Call,
    Elem,
    Kernel,
    Module,
    Port,
    Table,
    as_frames,
    divisors,
    flat,
    grouped,
)
from lepton_edge.backends.fpga.kernels.costs import counter_bits
from lepton_edge.backends.fpga.kernels.memories import (
    MemoryStyle,
    block_rom,
    is_in_blocks,
    memory_styles,
    rom_luts,
)
from lepton_edge.backends.fpga.kernels.products import (
    arithmetics,
    cpp_bool,
    lut_multiplier_bits,
    multiplier_rows,
    product_parameters,
    weight_memories,
)
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.ir.types import Array


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
                for is_dsp in arithmetics(self.x, self.weight_elem):
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
    def uses_dsp(self) -> bool:
        """Whether synthesis puts the products into DSP blocks."""
        return self.is_dsp and arithmetics(self.x, self.weight_elem)[0]

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        x, weight, pe = self.x, self.weight_elem, self.pe
        groups, sums = self.channels // pe, pe * self.acc.bits
        words = groups * self.taps
        in_luts = not is_in_blocks(pe * weight.bits, words, self.style)
        amounts: dict[str, float] = {
            "one": 1,
            "counters": counter_bits(groups, groups, self.taps, words),
            "weights": rom_luts(pe * weight.bits, words, self.style),
            "weight registers": pe * weight.bits if in_luts else 0,
            "biases": rom_luts(sums, groups),
            "bias registers": sums if groups > 1 else 0,
            "inputs": pe * x.bits,
            "sums": sums,
        }
        if self.uses_dsp:
            return amounts
        rows = multiplier_rows(x, weight)
        return {
            **amounts,
            "multipliers": pe * lut_multiplier_bits(x, weight),
            "first rows": pe,
            "digits": pe * rows * (rows - 1),
            "input line": (rows - 1) * pe * x.bits,
            "LUT accumulators": sums,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel."""
        weights, bias = self.tables
        found = Resources(dsp=self.pe if self.uses_dsp else 0)
        found += block_rom(weights.array, weights.elem.bits, self.style)
        return found + block_rom(bias.array, bias.elem.bits)

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
        return Call("depthwise.hpp", "depthwise", (*types, *geometry, cpp_bool(self.is_dsp)))

    @property
    def module(self) -> Module:
        """See Kernel."""
        tables = self.tables
        types = product_parameters(self.x, tables, self.is_dsp, self.style)
        shape = {"CHANNELS": self.channels, "PE": self.pe, "TAPS": self.taps}
        return Module("lepton_depthwise", {**shape, **types}, memories=weight_memories(tables))

    @property
    def summary(self) -> str:
        """See Kernel."""
        return (
            f"depthwise sums of {self.taps} taps for {self.channels} channels at {self.pixels} "
            f"pixels, {self.pe} channels at once"
        )
