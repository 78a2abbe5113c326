"""Sliding windows, padding, and stretching: kernels that rearrange pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.kernels.base import (
    Call,
    Elem,
    Kernel,
    MemoryStyle,
    Module,
    Port,
    as_frames,
    control,
    divisors,
    flat,
    memory,
    memory_styles,
    text_shape,
)
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
        style: where the line buffer is.
    """

    kind: ClassVar[str] = "sliding_window"
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    is_channelwise: bool = False
    style: MemoryStyle = "auto"

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        return {"lanes": self.lanes, "line_bram": int(self.style == "block")}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for lanes in divisors(self.channels):
            kernel = replace(self, lanes=lanes)
            for style in memory_styles(lanes * self.x.bits, kernel.buffer_words):
                yield replace(kernel, style=style)

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
        return (Port(self.x, count, self.lanes),)

    @property
    def buffer_words(self) -> int:
        """Words of the line buffer: the rows of a window, and those that the next one adds."""
        rows = self.extent[0] + (self.strides[0] if self.out_size[0] > 1 else 0)
        return rows * self.width * self.groups

    @property
    def cycles(self) -> int:
        """See Kernel: the first rows fill the buffer; then writing, or reading, sets the pace."""
        settle = 8 if self.out_size[1] * self.groups < 8 else 0
        fill = self.extent[0] * self.width * self.groups + settle
        write = self.out_size[1] * self.taps * self.groups
        read = self.strides[0] * self.width * self.groups
        return fill + self.out_size[0] * (max(write, read) + settle)

    def produced(self, consumed: Array) -> Array:
        """See Kernel: a row of windows starts once all its pixels have come.

        Each word of the row then goes out in the same step in which a word of the next row's
        pixels comes in, as long as there are any.
        """
        (out_h, out_w), row_words = self.out_size, self.width * self.groups
        fill, step = self.extent[0] * row_words, self.strides[0] * row_words
        out_row = out_w * self.taps * self.groups
        beyond = np.asarray(consumed) - fill
        row = np.clip(beyond // step, 0, out_h - 1)
        read = beyond - row * step
        rest = self.height * row_words - fill - (out_h - 1) * step
        to_read = np.where(row == out_h - 1, rest, step)
        written = np.where(read >= to_read, out_row, np.minimum(read, out_row))
        return np.where(beyond < 0, 0, row * out_row + written)

    @property
    def resources(self) -> Resources:
        """See Kernel."""
        buffer = memory(self.lanes * self.x.bits, self.buffer_words, ports=2, style=self.style)
        return buffer + control(self.outputs[0].words) + Resources(lut=80, ff=60)

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
        name = "sliding_window_channelwise" if self.is_channelwise else "sliding_window"
        geometry = (*self.kernel, *self.strides, *self.dilations)
        storage = () if self.style == "auto" else (f"lepton::Storage::{self.style}",)
        return Call("window.hpp", name, (*self.shape_arguments, *geometry, *storage))

    @property
    def module(self) -> Module:
        """See Kernel."""
        parameters = {**self.shape_parameters, "IS_CHANNELWISE": int(self.is_channelwise)}
        parameters["RAM_STYLE"] = self.style
        for name, (along_h, along_w) in (
            ("KERNEL", self.kernel),
            ("STRIDE", self.strides),
            ("DILATION", self.dilations),
        ):
            parameters |= {f"{name}_H": along_h, f"{name}_W": along_w}
        return Module("lepton_window", parameters)

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

    def produced(self, consumed: Array) -> Array:
        """See Kernel: everything up to the next real pixel follows at once."""
        top, left, _, _ = self.pads
        rows, rest = np.divmod(consumed, self.width * self.groups)
        row_words = self.out_size[1] * self.groups
        ahead = (rows + top) * row_words + left * self.groups + rest
        total = self.outputs[0].words
        return np.where(consumed >= self.inputs[0].words, total, np.minimum(ahead, total))

    @property
    def resources(self) -> Resources:
        """See Kernel."""
        return control(self.outputs[0].words) + Resources(
            lut=self.outputs[0].width + 40, ff=self.outputs[0].width + 20
        )

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

    def produced(self, consumed: Array) -> Array:
        """See Kernel: everything up to the next pixel that is read follows at once."""
        row, rest = np.divmod(consumed, self.width * self.groups)
        column, group = np.divmod(rest, self.groups)
        row_words = self.out_size[1] * self.groups
        ahead = row * self.factors[0] * row_words + column * self.factors[1] * self.groups + group
        produced: Array = np.minimum(ahead, self.outputs[0].words)
        return produced

    @property
    def resources(self) -> Resources:
        """See Kernel: a row is kept to repeat it below, a pixel to repeat it beside."""
        kept = (self.width if self.factors[0] > 1 else 1) * self.groups if self.fill is None else 0
        row = memory(self.inputs[0].width, kept, ports=2)
        return row + control(self.outputs[0].words) + Resources(lut=60, ff=40)

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
