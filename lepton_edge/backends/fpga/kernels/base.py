"""What a hardware kernel is: a streaming actor with ports, foldings, cost, meaning and text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.kernels.costs import logic
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.ir.types import Array, bits_for_range


@dataclass(frozen=True)
class Elem:
    """The integer type of a stream's elements.

    Args:
        bits: 1..64.
        signed: two's complement when true.
    """

    bits: int
    signed: bool = True

    @property
    def c_type(self) -> str:
        """The HLS type."""
        return f"ap_{'' if self.signed else 'u'}int<{self.bits}>"

    @property
    def lowest(self) -> int:
        """The lowest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The highest value."""
        return (1 << (self.bits - 1 if self.signed else self.bits)) - 1

    @property
    def num_bytes(self) -> int:
        """Bytes of the smallest C integer that holds an element: 1, 2, 4 or 8."""
        return max(8, 1 << (self.bits - 1).bit_length()) // 8

    @classmethod
    def for_values(cls, array: Array) -> Elem:
        """Return the narrowest signed type that holds every value (at least 2 bits)."""
        if not array.size:
            return cls(2)
        return cls(max(2, bits_for_range(int(array.min()), int(array.max()))))


@dataclass(frozen=True)
class Port:
    """One end of a stream: ``elements`` a frame, ``lanes`` of them in a word."""

    elem: Elem
    elements: int
    lanes: int

    @property
    def words(self) -> int:
        """Words a frame."""
        return self.elements // self.lanes

    @property
    def width(self) -> int:
        """Bits of a word."""
        return self.elem.bits * self.lanes


@dataclass(frozen=True)
class Table:
    """Constants of a kernel: an array of words, each a scalar, a Vec or a Tile.

    Args:
        name: suffix of the C array's name.
        elem: type of an entry.
        array: [words] of scalars, [words, lanes] of Vecs or [words, PE, SIMD] of Tiles.
        comment: what it holds, with shapes.
    """

    name: str
    elem: Elem
    array: Array
    comment: str

    @property
    def c_type(self) -> str:
        """The HLS type of a word."""
        dims = self.array.shape[1:]
        if not dims:
            return self.elem.c_type
        kind = "Vec" if len(dims) == 1 else "Tile"
        return f"lepton::{kind}<{self.elem.c_type}, {', '.join(map(str, dims))}>"

    @property
    def width(self) -> int:
        """Bits of a word."""
        return self.elem.bits * math.prod(self.array.shape[1:])


@dataclass(frozen=True)
class Call:
    """The HLS call of a kernel.

    ``function<template>(inputs, outputs, tables, scalars, frames)``.
    """

    header: str
    function: str
    template: tuple[str | int, ...]
    scalars: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class Memory:
    """Constants of an RTL module, which it reads by ``$readmemh``.

    Args:
        parameter: the module's parameter that takes the file's name.
        name: what it holds; becomes part of the file's name.
        banks: int64 [words, lanes] each. One bank is one file; of several the parameter takes the
            stem, to which the module appends ``_00.mem``, ``_01.mem`` and so on.
        bits: of an element, 1..64.
    """

    parameter: str
    name: str
    banks: tuple[Array, ...]
    bits: int

    @classmethod
    def of(cls, parameter: str, table: Table) -> Memory:
        """Return a table's words as a memory."""
        words = table.array.reshape(len(table.array), -1)
        return cls(parameter, table.name, (words,), table.elem.bits)


@dataclass(frozen=True)
class Module:
    """The RTL of a kernel: an instance of a module in ``hls/rtl``.

    Args:
        name: of the module.
        parameters: by name, without the memory files; those in WIDE_PARAMETERS are 64 bits wide.
        inputs: prefixes of the input streams' ports, in the order of ``Kernel.inputs``.
        outputs: the same for the outputs.
        memories: the constants.
    """

    name: str
    parameters: Mapping[str, int | str]
    inputs: tuple[str, ...] = ("in_",)
    outputs: tuple[str, ...] = ("out_",)
    memories: tuple[Memory, ...] = ()


def typed(prefix: str, elem: Elem) -> dict[str, int]:
    """Return the parameters that tell a module the type of a stream's elements."""
    return {f"{prefix}_BITS": elem.bits, f"{prefix}_SIGNED": int(elem.signed)}


@dataclass(frozen=True)
class Kernel:
    """A streaming actor. Subclasses are frozen dataclasses of geometry, folding and constants.

    Arrays in ``evaluate`` are int64 [N, elements], in stream order.
    """

    kind: ClassVar[str] = ""

    @property
    def inputs(self) -> tuple[Port, ...]:
        """The ports read."""
        raise NotImplementedError

    @property
    def outputs(self) -> tuple[Port, ...]:
        """The ports written."""
        raise NotImplementedError

    @property
    def folding(self) -> dict[str, int]:
        """The folding parameters by name."""
        return {}

    def foldings(self) -> Iterator[Kernel]:
        """Yield this kernel in every legal folding."""
        yield self

    @property
    def cycles(self) -> int:
        """Clock cycles a frame in steady state, in RTL."""
        return max(p.words for p in (*self.inputs, *self.outputs))

    @property
    def latency(self) -> int:
        """Cycles from the word that completes an output to that output, in RTL: pipeline depth."""
        return 1

    @property
    def steps(self) -> Steps:
        """When words move; ``count`` is ``cycles``, unless the kernel waits for itself."""
        return Steps.word_for_word(self.inputs[0].words, len(self.inputs))

    def needed(self, index: int) -> Array:
        """Return, for each output word, how many words of input ``index`` the C++ reads before it.

        In most kernels that is what the steps say.
        """
        steps = self.steps
        return np.searchsorted(steps.reads[index], steps.writes, side="right")

    @property
    def amounts(self) -> Mapping[str, float]:
        """What the kernel's logic is made of, by the names that `costs` has prices for."""
        raise NotImplementedError

    @property
    def hard_blocks(self) -> Resources:
        """The DSP blocks and the block RAM, exactly."""
        return Resources()

    @property
    def resources(self) -> Resources:
        """What the kernel needs: blocks, and its logic as estimated."""
        return self.hard_blocks + logic(self.kind, self.amounts)

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """Compute the outputs of N frames."""
        raise NotImplementedError

    @property
    def tables(self) -> tuple[Table, ...]:
        """The constants."""
        return ()

    @property
    def call(self) -> Call:
        """The HLS call."""
        raise NotImplementedError

    @property
    def module(self) -> Module:
        """The RTL instance."""
        raise NotImplementedError

    @property
    def summary(self) -> str:
        """What the kernel does, with shapes, for people who read the generated project."""
        raise NotImplementedError


def divisors(number: int) -> list[int]:
    """Return the divisors of ``number``, ascending."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def common_divisors(*numbers: int) -> list[int]:
    """Return the common divisors of ``numbers``, ascending."""
    return divisors(math.gcd(*numbers))


def as_frames(array: Array, *shape: int) -> Array:
    """Return [N, elements] as [N, *shape]."""
    return array.reshape(len(array), *shape)


def flat(array: Array) -> Array:
    """Return [N, ...] as [N, elements]."""
    return np.ascontiguousarray(array.reshape(len(array), -1))


def grouped(params: Array, lanes: int) -> Array:
    """Return per-channel parameters [C, ...] as words [C / lanes, ..., lanes]."""
    words = params.reshape(len(params) // lanes, lanes, *params.shape[1:])
    return np.moveaxis(words, 1, -1)


def text_shape(shape: Sequence[int]) -> str:
    """Return a shape as people write it: 32x32x16."""
    return "x".join(map(str, shape))
