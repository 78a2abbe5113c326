"""Pooling: maxima and sums over windows, or over the whole frame."""

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
class Pool(Kernel):
    """Maximum or sum over each channel's window.

    Args:
        x: input elements: channelwise windows, or plain pixels when ``is_global``.
        acc: output elements; those of x for a maximum.
        channels: number of channels.
        taps: positions of a window; of the whole frame when ``is_global``.
        pixels: windows a frame; 1 when ``is_global``.
        is_max: maximum, else sum.
        is_global: the window is the whole frame, so no line buffer is needed.
        offset: start of each sum (zero points folded in).
        pe: channels at once; divides the channels.
    """

    kind: ClassVar[str] = "pool"
    x: Elem
    acc: Elem
    channels: int
    taps: int
    pixels: int
    is_max: bool
    is_global: bool
    offset: int = 0
    pe: int = 1

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.pixels * self.taps * self.channels, self.pe),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.acc, self.pixels * self.channels, self.pe),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"pe": self.pe}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for pe in divisors(self.channels):
            yield replace(self, pe=pe)

    @property
    def cycles(self) -> int:
        """See Kernel."""
        return self.inputs[0].words

    @property
    def latency(self) -> int:
        """See Kernel."""
        return 3 if self.is_global else 2

    @property
    def steps(self) -> Steps:
        """See Kernel: a global pool writes as the last pixel comes."""
        words = self.inputs[0].words
        writes = (
            np.arange(words - self.channels // self.pe, words)
            if self.is_global
            else np.arange(self.taps, words + 1, self.taps) - 1
        )
        return Steps.of(words, np.arange(words), writes)

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        word, groups = self.pe * self.acc.bits, self.channels // self.pe
        kind = "maxima" if self.is_max else "sums"
        if not self.is_global:
            skid = word if self.taps == 1 else 0
            return {"one": 1, "counters": counter_bits(self.taps), kind: word, "skid": skid}
        return {
            "global": 1,
            "global counters": counter_bits(groups, self.taps),
            "global inputs": self.pe * self.x.bits,
            "kept": ram_luts(word, groups),
            "kept words": word if groups > 1 else 0,
            f"global {kind}": word,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel."""
        return block_ram(self.pe * self.acc.bits, self.channels // self.pe if self.is_global else 0)

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        if self.is_global:
            x = as_frames(arrays[0], 1, self.taps, 1, self.channels)
        else:
            groups = self.channels // self.pe
            x = as_frames(arrays[0], self.pixels, groups, self.taps, self.pe).transpose(
                0, 1, 3, 2, 4
            )
        return (flat(x.max(axis=2) if self.is_max else x.sum(axis=2) + self.offset),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        function = f"{'global_' if self.is_global else ''}{'max' if self.is_max else 'sum'}"
        function = function if self.is_global else f"{function}_pool"
        types = (self.x.c_type,) if self.is_max else (self.x.c_type, self.acc.c_type)
        if self.is_global:
            geometry: tuple[int, ...] = (self.channels, self.pe, self.taps)
        else:
            geometry = (self.channels, self.pe, self.taps, self.pixels)
        scalars = () if self.is_max else (self.offset,)
        return Call("pool.hpp", function, (*types, *geometry), scalars)

    @property
    def module(self) -> Module:
        """See Kernel."""
        types = {**typed("X", self.x), "OUT_BITS": self.acc.bits}
        shape = {"PE": self.pe, "IS_MAX": int(self.is_max), "OFFSET": self.offset}
        if self.is_global:
            shape |= {"CHANNELS": self.channels, "PIXELS": self.taps}
            return Module("lepton_global_pool", {**types, **shape})
        return Module("lepton_pool", {**types, **shape, "TAPS": self.taps})

    @property
    def summary(self) -> str:
        """See Kernel."""
        what = "maximum" if self.is_max else "sum"
        return f"{what} of {self.taps} taps for {self.channels} channels at {self.pixels} pixels"
