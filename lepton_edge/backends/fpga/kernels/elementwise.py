"""Two streams to one: weighted sums and products of codes."""

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
    Module,
    Port,
    as_frames,
    divisors,
    flat,
    typed,
)
from lepton_edge.backends.fpga.kernels.costs import counter_bits
from lepton_edge.backends.fpga.kernels.memories import block_ram, ram_luts
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.ir.types import Array


@dataclass(frozen=True)
class Join(Kernel):
    """Shared shape of kernels that combine two streams element by element.

    Args:
        a: elements of the first stream.
        b: elements of the second.
        out: elements of the result.
        pixels: pixels a frame.
        channels: elements of a pixel.
        lanes: elements in a word; divides the channels.
    """

    a: Elem
    b: Elem
    out: Elem
    pixels: int
    channels: int
    lanes: int = 1

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        elements = self.pixels * self.channels
        return (Port(self.a, elements, self.lanes), Port(self.b, elements, self.lanes))

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
    def type_parameters(self) -> dict[str, int | str]:
        """The module parameters that these kernels share."""
        types = {**typed("A", self.a), **typed("B", self.b), "OUT_BITS": self.out.bits}
        return {**types, "LANES": self.lanes}

    @property
    def type_arguments(self) -> tuple[str | int, ...]:
        """The first template arguments."""
        return (self.a.c_type, self.b.c_type, self.out.c_type, self.lanes)


def booth_digits(scale: int) -> int:
    """Return how many of a number's radix-4 Booth digits are not 0 (lepton_multiplier.sv)."""
    bits = 2 * (scale.bit_length() // 2 + 1)
    shifted = (scale & ((1 << bits) - 1)) << 1
    return sum((shifted >> place) & 7 not in (0, 7) for place in range(0, bits, 2))


@dataclass(frozen=True)
class ScaledAdd(Join):
    """``scale_a * a + scale_b * b + offset`` on raw codes."""

    kind: ClassVar[str] = "scaled_add"
    scale_a: int = 1
    scale_b: int = 1
    offset: int = 0

    @property
    def latency(self) -> int:
        """See Kernel: a cycle for each two bits of the scales."""
        return 3 + -(-self.scale_bits // 2)

    @property
    def scale_bits(self) -> int:
        """Bits of either scale, as signed numbers."""
        return Elem.for_values(np.array([self.scale_a, self.scale_b])).bits

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel: a multiplier by a constant has a row for each digit that is not 0."""
        lanes = self.lanes
        rows = -(-self.scale_bits // 2)
        digits = booth_digits(self.scale_a), booth_digits(self.scale_b)
        bits = self.a.bits + (not self.a.signed), self.b.bits + (not self.b.signed)
        return {
            "one": 1,
            "stages": rows,
            "inputs": lanes * sum(bits),
            "rows": lanes * sum((n - 1) * (b + 2) for n, b in zip(digits, bits, strict=True) if n),
            "lines": lanes * rows * sum(bits),
            "scaled": lanes * rows * sum(bits) if rows > 1 else 0,
            "sums": lanes * self.out.bits,
            "offset": lanes * self.out.bits if self.offset else 0,
        }

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        return (self.scale_a * arrays[0] + self.scale_b * arrays[1] + self.offset,)

    @property
    def call(self) -> Call:
        """See Kernel."""
        template = (*self.type_arguments, self.outputs[0].words)
        return Call(
            "elementwise.hpp", "scaled_add", template, (self.scale_a, self.scale_b, self.offset)
        )

    @property
    def module(self) -> Module:
        """See Kernel."""
        scales = {
            "SCALE_BITS": self.scale_bits,
            "SCALE_A": self.scale_a,
            "SCALE_B": self.scale_b,
            "OFFSET": self.offset,
        }
        return Module("lepton_scaled_add", {**self.type_parameters, **scales}, ("a_", "b_"))

    @property
    def summary(self) -> str:
        """See Kernel."""
        return f"{self.scale_a} * a + {self.scale_b} * b for {self.outputs[0].elements} elements"


@dataclass(frozen=True)
class Multiply(Join):
    """``(a - zero_a) * (b - zero_b)``; b may be one pixel, spread over all pixels of a."""

    kind: ClassVar[str] = "multiply"
    zero_a: int = 0
    zero_b: int = 0
    is_spread: bool = False

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        first, second = super().inputs
        return (
            (first, Port(self.b, self.channels, self.lanes)) if self.is_spread else (first, second)
        )

    @property
    def latency(self) -> int:
        """See Kernel."""
        return 5

    @property
    def steps(self) -> Steps:
        """See Kernel: one pixel of factors is read beside the first pixel."""
        words = self.outputs[0].words
        factors = np.arange(self.inputs[1].words)
        return Steps.of(words, (np.arange(words), factors), np.arange(words))

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        kept = self.channels // self.lanes if self.is_spread else 0
        return {
            "one": 1,
            "counters": counter_bits(kept, self.pixels) if self.is_spread else 0,
            "inputs": self.lanes * (self.a.bits + self.b.bits),
            "factors": ram_luts(self.lanes * self.b.bits, kept, has_one_address=True),
            "replayed": self.lanes * self.b.bits if kept else 0,
            "products": self.lanes * self.out.bits,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel."""
        kept = self.channels // self.lanes if self.is_spread else 0
        return Resources(dsp=self.lanes) + block_ram(self.lanes * self.b.bits, kept)

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        a = as_frames(arrays[0], self.pixels, self.channels) - self.zero_a
        b = as_frames(arrays[1], 1 if self.is_spread else self.pixels, self.channels) - self.zero_b
        return (flat(a * b),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        scalars = (self.zero_a, self.zero_b)
        if self.is_spread:
            template = (*self.type_arguments, self.channels, self.pixels)
            return Call("elementwise.hpp", "multiply_channels", template, scalars)
        return Call(
            "elementwise.hpp", "multiply", (*self.type_arguments, self.outputs[0].words), scalars
        )

    @property
    def module(self) -> Module:
        """See Kernel."""
        parameters = {**self.type_parameters, "ZERO_A": self.zero_a, "ZERO_B": self.zero_b}
        if self.is_spread:
            parameters |= {"CHANNELS": self.channels, "PIXELS": self.pixels}
            return Module("lepton_multiply_channels", parameters, ("a_", "b_"))
        return Module("lepton_multiply", parameters, ("a_", "b_"))

    @property
    def summary(self) -> str:
        """See Kernel."""
        spread = ", b spread over the pixels" if self.is_spread else ""
        return f"products of {self.outputs[0].elements} elements{spread}"
