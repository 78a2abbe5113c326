"""Sliding windows, padding, and stretching: kernels that rearrange pixels."""

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
    text_shape,
)
from lepton_edge.backends.fpga.kernels.costs import counter_bits
from lepton_edge.backends.fpga.kernels.memories import (
    MemoryStyle,
    block_ram,
    memory_styles,
    ram_luts,
)
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.ir.ops.linear import windows
from lepton_edge.ir.types import Array


@dataclass(frozen=True)
class Pixels(Kernel):
    """Shared shape of kernels on [height, width, channels] frames.

    Args:
        x: elements.
        height: of the input.
        width: of the input.
        channels: of input and output.
        lanes: channels in a word; divides the channels.
    """

    x: Elem
    height: int
    width: int
    channels: int
    lanes: int = 1

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.height * self.width * self.channels, self.lanes),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"lanes": self.lanes}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for lanes in divisors(self.channels):
            yield replace(self, lanes=lanes)

    @property
    def groups(self) -> int:
        """Words of a pixel."""
        return self.channels // self.lanes

    @property
    def shape_arguments(self) -> tuple[str | int, ...]:
        """The first template arguments that these kernels share."""
        return (self.x.c_type, self.lanes, self.channels, self.height, self.width)

    @property
    def shape_parameters(self) -> dict[str, int | str]:
        """The module parameters that these kernels share."""
        return {
            "X_BITS": self.x.bits,
            "LANES": self.lanes,
            "CHANNELS": self.channels,
            "HEIGHT": self.height,
            "WIDTH": self.width,
        }

    def _pixels(self, array: Array) -> Array:
        return as_frames(array, self.height, self.width, self.channels)


@dataclass(frozen=True)
class SlidingWindow(Pixels):
    """The windows of a convolution or pool, one after the other, from a line buffer.

    Args:
        kernel: height, width.
        strides: along H, W.
        dilations: along H, W.
        is_channelwise: order taps within channel groups (depthwise, pool) instead of channels
            within taps (matrix-vector unit).
        spare: words of line buffer beyond those that a window spans; None for as many as a window
            by itself needs to keep its rate.
        word_taps: neighbouring taps in an output word, a divisor of the taps; more than one only
            where a word holds all channels, and not channelwise. Such windows have a line memory
            of whole rows and registers for a window instead of the circular buffer.
        style: where the line buffer is.
    """

    kind: ClassVar[str] = "sliding_window"
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    is_channelwise: bool = False
    spare: int | None = None
    word_taps: int = 1
    style: MemoryStyle = "auto"

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        lanes = {"lanes": self.lanes, "line_bram": int(self.style == "block")}
        return lanes if self.is_channelwise else {**lanes, "taps": self.word_taps}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel: taps at once are a row of the kernel, or all of it."""
        shapes = [(lanes, 1) for lanes in divisors(self.channels)]
        if not self.is_channelwise:
            shapes += [(self.channels, taps) for taps in sorted({self.kernel[1], self.taps} - {1})]
        for lanes, taps in shapes:
            kernel = replace(self, lanes=lanes, word_taps=taps)
            for style in memory_styles(*kernel.buffer):
                yield replace(kernel, style=style)

    @property
    def is_wide(self) -> bool:
        """Whether a word holds several taps."""
        return self.word_taps > 1

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width that a window spans."""
        return (
            (self.kernel[0] - 1) * self.dilations[0] + 1,
            (self.kernel[1] - 1) * self.dilations[1] + 1,
        )

    @property
    def out_size(self) -> tuple[int, int]:
        """Windows along H and W."""
        return (
            (self.height - self.extent[0]) // self.strides[0] + 1,
            (self.width - self.extent[1]) // self.strides[1] + 1,
        )

    @property
    def taps(self) -> int:
        """Positions of a window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        count = self.out_size[0] * self.out_size[1] * self.taps * self.channels
        return (Port(self.x, count, self.lanes * self.word_taps),)

    @property
    def _starts(self) -> Array:
        """The word of the frame that each window starts with, and the next frame's first."""
        (out_h, out_w), pixel = self.out_size, self.groups
        rows = np.arange(out_h)[:, None] * self.strides[0] * self.width * pixel
        starts = (rows + np.arange(out_w) * self.strides[1] * pixel).ravel()
        return np.append(starts, self.inputs[0].words)

    @property
    def span(self) -> int:
        """Words from a window's first to its last."""
        return ((self.extent[0] - 1) * self.width + self.extent[1]) * self.groups

    @property
    def depth(self) -> int:
        """Words of the line buffer (hls/rtl/lepton_window.sv)."""
        return self.span + (self.usual_spare if self.spare is None else self.spare)

    @property
    def usual_spare(self) -> int:
        """Words beyond a window's span that are read while it goes out, and is moved on."""
        (out_h, out_w), pixel = self.out_size, self.groups
        next_column = self.strides[1] * pixel
        next_row = self.strides[0] * self.width * pixel - (out_w - 1) * next_column
        advance = max(next_row, next_column) if out_h > 1 else next_column
        return advance + next_column + 2

    @property
    def buffer(self) -> tuple[int, int]:
        """Width in bits and depth in words of the line buffer."""
        pixel = self.lanes * self.x.bits
        if self.is_wide:
            return (self.extent[0] - 1) * pixel, self.width
        return pixel, self.depth

    @property
    def cycles(self) -> int:
        """See Kernel: windows go out and words come in side by side.

        That takes a line buffer that is deep enough (``spare``) to hold what the next frame's
        first window needs while the last window of this one goes out. Several taps at once take a
        cycle a pixel, and instead of it the words of a window where a pixel completes one.
        """
        if self.is_wide:
            windows = self.out_size[0] * self.out_size[1]
            return self.height * self.width + windows * (self.taps // self.word_taps - 1)
        return max(p.words for p in (*self.inputs, *self.outputs))

    @property
    def latency(self) -> int:
        """See Kernel."""
        if self.is_wide:
            return 2 if self.word_taps == self.taps else 3
        return 4

    @property
    def steps(self) -> Steps:
        """See Kernel: a window starts once all of it is there, and frees what it is done with."""
        if self.is_wide:
            return self._wide_steps()
        starts, window = self._starts, self.taps * self.groups
        count = window * (len(starts) - 1)
        words = np.arange(self.inputs[0].words)
        # The window that needs a word is the first to reach it; its place is free with the last
        # word of the window before the first that starts beyond it.
        reads = window * np.searchsorted(starts + self.span, words, side="right")
        frees = window * np.searchsorted(starts, words, side="right") - 1
        writes = np.arange(count)
        return Steps(count, (np.minimum(reads, count),), writes, (frees,), (self.depth,))

    def _wide_steps(self) -> Steps:
        """Return the steps of a window whose registers rest while its words go out."""
        pieces = self.taps // self.word_taps
        ends = self._starts[:-1] + self.span - 1  # the pixel that completes each window
        pixels = np.arange(self.height * self.width)
        taken = pixels + (pieces - 1) * np.searchsorted(ends, pixels, side="left")
        writes = (taken[ends][:, None] + np.arange(pieces)).ravel()
        return Steps.of(self.cycles, taken, writes)

    def needed(self, index: int) -> Array:
        """See Kernel: in C++ a row of windows starts once all its pixels have come.

        Each word of the row then goes out in the same step in which a word of the next row's
        pixels comes in, as long as there are any.
        """
        if self.is_wide:
            return super().needed(index)
        consumed = np.arange(self.inputs[0].words + 1)
        (out_h, out_w), row_words = self.out_size, self.width * self.groups
        fill, step = self.extent[0] * row_words, self.strides[0] * row_words
        out_row = out_w * self.taps * self.groups
        beyond = consumed - fill
        row = np.clip(beyond // step, 0, out_h - 1)
        read = beyond - row * step
        rest = self.height * row_words - fill - (out_h - 1) * step
        to_read = np.where(row == out_h - 1, rest, step)
        written = np.where(read >= to_read, out_row, np.minimum(read, out_row))
        produced = np.where(beyond < 0, 0, row * out_row + written)
        return np.searchsorted(produced, np.arange(1, self.outputs[0].words + 1), side="left")

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        pixel, (width, depth) = self.lanes * self.x.bits, self.buffer
        buffer = ram_luts(width, depth, self.style)
        if not self.is_wide:
            limits = (self.groups, *self.kernel, *self.out_size)
            return {
                "one": 1,
                "counters": counter_bits(*limits),
                "places": counter_bits(self.depth),
                "ahead": counter_bits(max(self.depth, self.inputs[0].words)),
                "buffer": buffer,
                "words": pixel,
            }
        pieces = self.taps // self.word_taps
        registers = pixel * (self.kernel[0] * (self.extent[1] - 1) + self.extent[0])
        return {
            "wide": 1,
            "wide counters": counter_bits(self.height, self.width, self.groups),
            "lines": buffer,
            "pixels": pixel,
            "pixel registers": registers,
            "pieces": self.outputs[0].width * -(-(pieces - 1) // 3),
            "piece registers": self.outputs[0].width if pieces > 1 else 0,
            "whole windows": self.outputs[0].width if pieces == 1 else 0,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel."""
        return block_ram(*self.buffer, self.style)

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        view = windows(self._pixels(arrays[0]), self.kernel, self.strides, self.dilations)
        if not self.is_channelwise:
            return (flat(view),)
        n, h, w = view.shape[:3]
        split = view.reshape(n, h, w, self.taps, self.groups, self.lanes)
        return (flat(split.transpose(0, 1, 2, 4, 3, 5)),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        geometry = (*self.kernel, *self.strides, *self.dilations)
        if self.is_wide:
            shape = (self.x.c_type, self.channels, self.height, self.width)
            return Call("window.hpp", "sliding_window_taps", (*shape, *geometry, self.word_taps))
        name = "sliding_window_channelwise" if self.is_channelwise else "sliding_window"
        storage = () if self.style == "auto" else (f"lepton::Storage::{self.style}",)
        return Call("window.hpp", name, (*self.shape_arguments, *geometry, *storage))

    @property
    def module(self) -> Module:
        """See Kernel."""
        order = {"IS_CHANNELWISE": int(self.is_channelwise), "SPARE": self.depth - self.span}
        parameters = {
            **self.shape_parameters,
            **({"TAPS": self.word_taps} if self.is_wide else order),
            "RAM_STYLE": self.style,
        }
        for name, (along_h, along_w) in (
            ("KERNEL", self.kernel),
            ("STRIDE", self.strides),
            ("DILATION", self.dilations),
        ):
            parameters |= {f"{name}_H": along_h, f"{name}_W": along_w}
        return Module("lepton_window_taps" if self.is_wide else "lepton_window", parameters)

    @property
    def summary(self) -> str:
        """See Kernel."""
        shape = text_shape((self.height, self.width, self.channels))
        return (
            f"{text_shape(self.kernel)} windows of {shape}, strides {text_shape(self.strides)}: "
            f"{text_shape(self.out_size)} windows"
        )


@dataclass(frozen=True)
class Padding(Pixels):
    """A border of one value.

    Args:
        pads: top, left, bottom, right.
        value: the code written into the border.
    """

    kind: ClassVar[str] = "pad"
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    value: int = 0

    @property
    def out_size(self) -> tuple[int, int]:
        """Height and width with the border."""
        top, left, bottom, right = self.pads
        return self.height + top + bottom, self.width + left + right

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.out_size[0] * self.out_size[1] * self.channels, self.lanes),)

    @property
    def steps(self) -> Steps:
        """See Kernel: the border above a frame waits for the frame's first word."""
        top, left, _, _ = self.pads
        row_words = self.out_size[1] * self.groups
        rows = (np.arange(self.height)[:, None] + top) * row_words
        taken = (rows + left * self.groups + np.arange(self.width * self.groups)).ravel()
        needed = taken.copy()
        needed[0] = 0
        count = self.outputs[0].words
        return Steps(count, (needed,), np.arange(count), (taken,), (0,))

    def needed(self, index: int) -> Array:
        """See Kernel: the C++ writes everything up to the next real pixel at once."""
        consumed = np.arange(self.inputs[0].words + 1)
        top, left, _, _ = self.pads
        rows, rest = np.divmod(consumed, self.width * self.groups)
        row_words = self.out_size[1] * self.groups
        ahead = (rows + top) * row_words + left * self.groups + rest
        total = self.outputs[0].words
        produced = np.where(consumed >= self.inputs[0].words, total, np.minimum(ahead, total))
        return np.searchsorted(produced, np.arange(1, total + 1), side="left")

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        counters = counter_bits(self.groups, *self.out_size)
        return {"one": 1, "counters": counters, "words": self.outputs[0].width}

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        top, left, bottom, right = self.pads
        border = ((0, 0), (top, bottom), (left, right), (0, 0))
        return (flat(np.pad(self._pixels(arrays[0]), border, constant_values=self.value)),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        return Call("pad.hpp", "pad", (*self.shape_arguments, *self.pads), (self.value,))

    @property
    def module(self) -> Module:
        """See Kernel."""
        pads = dict(zip(("TOP", "LEFT", "BOTTOM", "RIGHT"), self.pads, strict=True))
        more = {"VALUE": self.value, "IS_EAGER": 0}
        return Module("lepton_pad", {**self.shape_parameters, **pads, **more})

    @property
    def summary(self) -> str:
        """See Kernel."""
        return (
            f"border of {self.value} around {text_shape((self.height, self.width, self.channels))}"
        )


@dataclass(frozen=True)
class Stretch(Pixels):
    """Every pixel repeated, or pixels set apart by a value.

    Args:
        factors: along H, W.
        fill: None repeats pixels; a code is written between them otherwise.
    """

    kind: ClassVar[str] = "stretch"
    factors: tuple[int, int] = (1, 1)
    fill: int | None = None

    @property
    def out_size(self) -> tuple[int, int]:
        """Height and width afterwards."""
        if self.fill is None:
            return self.height * self.factors[0], self.width * self.factors[1]
        return (self.height - 1) * self.factors[0] + 1, (self.width - 1) * self.factors[1] + 1

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.out_size[0] * self.out_size[1] * self.channels, self.lanes),)

    @property
    def latency(self) -> int:
        """See Kernel."""
        return 3 if self.fill is None else 1

    @property
    def steps(self) -> Steps:
        """See Kernel: a word is taken as it first goes out."""
        row_words = self.out_size[1] * self.groups
        rows = np.arange(self.height)[:, None, None] * self.factors[0] * row_words
        columns = np.arange(self.width)[:, None] * self.factors[1] * self.groups
        taken = (rows + columns + np.arange(self.groups)).ravel()
        count = self.outputs[0].words
        return Steps.of(count, taken, np.arange(count))

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel: a row is kept to repeat it below, a pixel to repeat it beside."""
        counters = counter_bits(self.groups, self.height, self.width, *self.factors)
        word = self.inputs[0].width
        if self.fill is not None:
            return {"zeros": 1, "zero counters": counters, "zero words": word}
        return {
            "one": 1,
            "counters": counters,
            "kept": ram_luts(word, self._kept, has_one_address=True),
            "words": word,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel."""
        return block_ram(self.inputs[0].width, 0 if self.fill is not None else self._kept)

    @property
    def _kept(self) -> int:
        """Words that are kept."""
        return (self.width if self.factors[0] > 1 else 1) * self.groups

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        x = self._pixels(arrays[0])
        if self.fill is None:
            return (flat(x.repeat(self.factors[0], axis=1).repeat(self.factors[1], axis=2)),)
        out = np.full((len(x), *self.out_size, self.channels), self.fill, x.dtype)
        out[:, :: self.factors[0], :: self.factors[1]] = x
        return (flat(out),)

    @property
    def call(self) -> Call:
        """See Kernel."""
        name = "repeat_nearest" if self.fill is None else "insert_zeros"
        scalars = () if self.fill is None else (self.fill,)
        return Call("stretch.hpp", name, (*self.shape_arguments, *self.factors), scalars)

    @property
    def module(self) -> Module:
        """See Kernel."""
        factors = {"FACTOR_H": self.factors[0], "FACTOR_W": self.factors[1]}
        parameters = {**self.shape_parameters, **factors}
        if self.fill is None:
            del parameters["HEIGHT"]  # rows are repeated as they come
            return Module("lepton_repeat_nearest", parameters)
        return Module("lepton_insert_zeros", {**parameters, "VALUE": self.fill})

    @property
    def summary(self) -> str:
        """See Kernel."""
        shape = text_shape((self.height, self.width, self.channels))
        return f"{shape} stretched by {text_shape(self.factors)}"
