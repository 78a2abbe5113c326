"""Kernels that move words: fork, width converter, concatenation, slice, and the AXI ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lepton_edge.backends.fpga.kernels.base import (
    Call,
    Elem,
    Kernel,
    Module,
    Port,
    common_divisors,
    flat,
)
from lepton_edge.backends.fpga.kernels.costs import counter_bits
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.ir.types import Array


@dataclass(frozen=True)
class Stream(Kernel):
    """Shared shape of kernels that pass ``elements`` of ``x`` a frame.

    Args:
        x: elements.
        elements: elements a frame.
        lanes: elements in a word.
    """

    x: Elem
    elements: int
    lanes: int = 1

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.elements, self.lanes),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return self.inputs

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"lanes": self.lanes}

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        return {"one": 1, "words": self.lanes * self.x.bits}


@dataclass(frozen=True)
class Fork(Stream):
    """Two copies of a stream."""

    kind: ClassVar[str] = "fork"

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return self.inputs * 2

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        return arrays[0], arrays[0]

    @property
    def call(self) -> Call:
        """See Kernel."""
        return Call("fork.hpp", "fork", (self.x.c_type, self.lanes, self.inputs[0].words))

    @property
    def module(self) -> Module:
        """See Kernel."""
        bits = {"BITS": self.inputs[0].width}
        return Module("lepton_fork", bits, outputs=("out0_", "out1_"))

    @property
    def summary(self) -> str:
        """See Kernel."""
        return f"two copies of {self.elements} elements"


@dataclass(frozen=True)
class WidthConverter(Stream):
    """Words of ``lanes`` elements to words of ``out_lanes``."""

    kind: ClassVar[str] = "convert_width"
    out_lanes: int = 1

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.elements, self.out_lanes),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"from": self.lanes, "to": self.out_lanes}

    @property
    def latency(self) -> int:
        """See Kernel: a gearbox, where neither width divides the other, has a stage more."""
        return 2 if max(self.lanes, self.out_lanes) % min(self.lanes, self.out_lanes) else 1

    @property
    def steps(self) -> Steps:
        """See Kernel: the narrow side moves a word a step."""
        reads, writes = (np.arange(port.words) for port in (self.inputs[0], self.outputs[0]))
        if self.lanes > self.out_lanes:
            return Steps.of(len(writes), reads * self.lanes // self.out_lanes, writes)
        return Steps.of(len(reads), reads, -(-(writes + 1) * self.out_lanes // self.lanes) - 1)

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel: a gearbox between widths that do not divide each other needs shifters."""
        given, taken, bits = self.lanes, self.out_lanes, self.x.bits
        if given % taken == 0:
            counter = counter_bits(given // taken)
            return {"narrowing": 1, "narrow counters": counter, "narrowed": (given - taken) * bits}
        if taken % given == 0:
            counter = counter_bits(taken // given)
            return {"widening": 1, "wide counters": counter, "widened": taken * bits}
        unit = math.gcd(given, taken)
        held, places = given + taken - unit, (taken - unit) // unit + 1
        return {
            "gearbox": 1,
            "gears": held * bits,
            "gear places": given * bits * places,
            "gear words": taken * bits,
        }

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        return (arrays[0],)

    @property
    def call(self) -> Call:
        """See Kernel."""
        template = (self.x.c_type, self.lanes, self.out_lanes, self.elements)
        return Call("width.hpp", "convert_width", template)

    @property
    def module(self) -> Module:
        """See Kernel."""
        lanes = {"IN_LANES": self.lanes, "OUT_LANES": self.out_lanes}
        return Module("lepton_width", {"X_BITS": self.x.bits, **lanes})

    @property
    def summary(self) -> str:
        """See Kernel."""
        return f"words of {self.lanes} elements to words of {self.out_lanes}"


@dataclass(frozen=True)
class Concat(Kernel):
    """Blocks of a and blocks of b in turn.

    Args:
        x: elements of both.
        blocks: blocks a frame.
        block_a: elements of a block of a.
        block_b: elements of a block of b.
        lanes: elements in a word; divides both blocks.
    """

    kind: ClassVar[str] = "concat"
    x: Elem
    blocks: int
    block_a: int
    block_b: int
    lanes: int = 1

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (
            Port(self.x, self.blocks * self.block_a, self.lanes),
            Port(self.x, self.blocks * self.block_b, self.lanes),
        )

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.blocks * (self.block_a + self.block_b), self.lanes),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"lanes": self.lanes}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for lanes in common_divisors(self.block_a, self.block_b):
            yield replace(self, lanes=lanes)

    @property
    def steps(self) -> Steps:
        """See Kernel: blocks in turn."""
        words_a, words_b = self.block_a // self.lanes, self.block_b // self.lanes
        blocks = np.arange(self.blocks)[:, None] * (words_a + words_b)
        count = self.outputs[0].words
        return Steps.of(
            count,
            (
                (blocks + np.arange(words_a)).ravel(),
                (blocks + words_a + np.arange(words_b)).ravel(),
            ),
            np.arange(count),
        )

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        counters = counter_bits((self.block_a + self.block_b) // self.lanes)
        return {"one": 1, "counters": counters, "words": self.outputs[0].width}

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        a, b = (x.reshape(len(x), self.blocks, -1) for x in arrays)
        return (flat(np.concatenate([a, b], axis=2)),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        words = (self.block_a // self.lanes, self.block_b // self.lanes)
        return Call("concat.hpp", "concat", (self.x.c_type, self.lanes, self.blocks, *words))

    @property
    def module(self) -> Module:
        """See Kernel."""
        words = {"WORDS_A": self.block_a // self.lanes, "WORDS_B": self.block_b // self.lanes}
        return Module("lepton_concat", {"BITS": self.outputs[0].width, **words}, ("a_", "b_"))

    @property
    def summary(self) -> str:
        """See Kernel."""
        return f"{self.blocks} times {self.block_a} elements of a, then {self.block_b} of b"


@dataclass(frozen=True)
class Slice(Kernel):
    """A part of each block.

    Args:
        x: elements.
        blocks: blocks a frame.
        block: elements of a block.
        begin: first element kept.
        end: first element dropped again.
        lanes: elements in a word; divides block, begin and end.
    """

    kind: ClassVar[str] = "slice"
    x: Elem
    blocks: int
    block: int
    begin: int
    end: int
    lanes: int = 1

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.blocks * self.block, self.lanes),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.blocks * (self.end - self.begin), self.lanes),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"lanes": self.lanes}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for lanes in common_divisors(self.block, self.begin, self.end):
            yield replace(self, lanes=lanes)

    @property
    def steps(self) -> Steps:
        """See Kernel: what is not wanted is read and dropped."""
        count = self.inputs[0].words
        kept = np.arange(self.begin // self.lanes, self.end // self.lanes)
        blocks = np.arange(self.blocks)[:, None] * (self.block // self.lanes)
        return Steps.of(count, np.arange(count), (blocks + kept).ravel())

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        counters = counter_bits(self.block // self.lanes)
        return {"one": 1, "counters": counters, "words": self.outputs[0].width}

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        x = arrays[0].reshape(len(arrays[0]), self.blocks, self.block)
        return (flat(x[:, :, self.begin : self.end]),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        words = (self.block // self.lanes, self.begin // self.lanes, self.end // self.lanes)
        return Call("slice.hpp", "slice", (self.x.c_type, self.lanes, self.blocks, *words))

    @property
    def module(self) -> Module:
        """See Kernel."""
        words = {"WORDS": self.block, "BEGIN": self.begin, "END": self.end}
        parameters = {name: count // self.lanes for name, count in words.items()}
        return Module("lepton_slice", {"BITS": self.outputs[0].width, **parameters})

    @property
    def summary(self) -> str:
        """See Kernel."""
        return f"elements {self.begin}..{self.end - 1} of {self.blocks} blocks of {self.block}"


AXIS_BITS = 64
"""Widest AXI-Stream data: what one high-performance port of a Zynq-7000 moves in a cycle.

Source: AMD UG585 (v1.13), chapter 5, AXI_HP interfaces.
"""


@dataclass(frozen=True)
class AxisEnd(Stream):
    """An AXI-Stream port: elements in whole bytes, as numpy holds them.

    Args:
        is_input: from the port to a stream, else from a stream to the port.
    """

    kind: ClassVar[str] = "axis"
    is_input: bool = True

    @classmethod
    def lanes_for(cls, x: Elem, elements: int) -> int:
        """Return the most elements that fit a word of the port and divide the frame."""
        return math.gcd(elements, AXIS_BITS // (8 * x.num_bytes))

    @property
    def axis_width(self) -> int:
        """Bits of TDATA."""
        return 8 * self.x.num_bytes * self.lanes

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        way = "input" if self.is_input else "output"
        counters = counter_bits(self.inputs[0].words)
        return {way: 1, f"{way} counters": counters, f"{way} words": self.inputs[0].width}

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        return (arrays[0],)

    @property
    def call(self) -> Call:
        """See Kernel."""
        template = (
            self.x.c_type,
            self.lanes,
            self.x.num_bytes,
            self.axis_width,
            self.inputs[0].words,
        )
        function = "axis_to_stream" if self.is_input else "stream_to_axis"
        return Call("stream_io.hpp", function, template)

    @property
    def module(self) -> Module:
        """See Kernel."""
        parameters = {
            "LANES": self.lanes,
            "X_BITS": self.x.bits,
            "BYTES": self.x.num_bytes,
            "WORDS": self.inputs[0].words,
        }
        if self.is_input:
            return Module("lepton_axis_in", parameters, ("axis_t",))
        parameters["X_SIGNED"] = int(self.x.signed)
        return Module("lepton_axis_out", parameters, outputs=("axis_t",))

    @property
    def summary(self) -> str:
        """See Kernel."""
        size = f"{self.elements} elements of {self.x.num_bytes} byte(s)"
        return f"{size}, {self.axis_width}-bit AXI-Stream"


def converters(x: Elem, elements: int, lanes: int, out_lanes: int) -> Iterator[WidthConverter]:
    """Yield the width converters between two lane counts; none when they are equal."""
    if lanes != out_lanes:
        yield WidthConverter(x, elements, lanes, out_lanes)
