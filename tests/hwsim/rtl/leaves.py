"""The RTL leaf of each kernel: module, parameters, streams and memory files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lepton_edge.backends.fpga.kernels.base import Elem, Kernel, Port, Table
from lepton_edge.backends.fpga.kernels.elementwise import Join, Multiply, ScaledAdd
from lepton_edge.backends.fpga.kernels.matrix_vector import Depthwise, MatrixVector
from lepton_edge.backends.fpga.kernels.plumbing import (
    AxisEnd,
    Concat,
    Fork,
    Slice,
    WidthConverter,
)
from lepton_edge.backends.fpga.kernels.pool import Pool
from lepton_edge.backends.fpga.kernels.requantize import (
    ChannelMap,
    Lookup,
    Requantize,
    Threshold,
)
from lepton_edge.backends.fpga.kernels.select import ArgMax, Softmax
from lepton_edge.backends.fpga.kernels.window import Padding, Pixels, SlidingWindow, Stretch
from lepton_edge.ir.ops.quantized import Rounding
from tests.hwsim.rtl.harness import Leaf, Stream, memory_text

Parameters = dict[str, int | str]

PARALLEL_LEVELS = 15
"""Thresholds that lepton_threshold compares at once."""


def leaf_of(kernel: Kernel, name: str) -> Leaf:
    """Return the RTL of a kernel, as an instance of that name; its files are named after it."""
    module, parameters, streams = _describe(kernel)
    files = {}
    for parameter, (suffix, text) in _memories(kernel).items():
        parameters[parameter] = f"{name}_{suffix}"
        for ending, content in text.items():
            files[f"{name}_{suffix}{ending}"] = content
    ties, opens = {}, {}
    if isinstance(kernel, AxisEnd):
        if kernel.is_input:
            ties = {"start": "1'b0", "frames": "32'd0"}
        else:
            opens = {"frame_done": 1, "axis_tkeep": kernel.axis_width // 8}
    return Leaf(name, module, parameters, streams, files, ties, opens)


def _stream(name: str, port: Port, is_input: bool) -> Stream:
    return Stream(name, port.width, is_input)


def _streams(kernel: Kernel, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[Stream, ...]:
    return (
        *(_stream(n, p, True) for n, p in zip(inputs, kernel.inputs, strict=True)),
        *(_stream(n, p, False) for n, p in zip(outputs, kernel.outputs, strict=True)),
    )


def _typed(prefix: str, elem: Elem) -> Parameters:
    return {f"{prefix}_BITS": elem.bits, f"{prefix}_SIGNED": int(elem.signed)}


def _style(is_dsp: bool) -> str:
    return "yes" if is_dsp else "no"


def _describe(kernel: Kernel) -> tuple[str, Parameters, tuple[Stream, ...]]:
    """Return the module, its parameters but memory files, and its streams."""
    one = (
        _streams(kernel, ("in",), ("out",))
        if len(kernel.inputs) == len(kernel.outputs) == 1
        else ()
    )
    match kernel:
        case MatrixVector():
            shape = {
                "ROWS": kernel.rows,
                "COLS": kernel.columns,
                "PE": kernel.pe,
                "SIMD": kernel.simd,
            }
            bits = {"W_BITS": kernel.weight_elem.bits, "OUT_BITS": kernel.acc.bits}
            style = {"USE_DSP": _style(kernel.is_dsp)}
            return "lepton_mvu", {**shape, **_typed("X", kernel.x), **bits, **style}, one
        case Depthwise():
            shape = {"CHANNELS": kernel.channels, "PE": kernel.pe, "TAPS": kernel.taps}
            bits = {"W_BITS": kernel.weight_elem.bits, "OUT_BITS": kernel.acc.bits}
            style = {"USE_DSP": _style(kernel.is_dsp)}
            return "lepton_depthwise", {**shape, **_typed("X", kernel.x), **bits, **style}, one
        case Pool():
            shape = {"PE": kernel.pe, **_typed("X", kernel.x), "OUT_BITS": kernel.acc.bits}
            shape |= {"IS_MAX": int(kernel.is_max), "OFFSET": kernel.offset}
            if kernel.is_global:
                shape |= {"CHANNELS": kernel.channels, "PIXELS": kernel.taps}
                return "lepton_global_pool", shape, one
            return "lepton_pool", {**shape, "TAPS": kernel.taps}, one
        case Pixels():
            return _pixels(kernel, one)
        case ChannelMap():
            return _channel_map(kernel, one)
        case Join():
            return _join(kernel)
        case AxisEnd():
            return _axis(kernel)
        case WidthConverter():
            lanes = {"IN_LANES": kernel.lanes, "OUT_LANES": kernel.out_lanes}
            return "lepton_width", {"X_BITS": kernel.x.bits, **lanes}, one
        case Fork():
            streams = _streams(kernel, ("in",), ("out0", "out1"))
            return "lepton_fork", {"BITS": kernel.inputs[0].width}, streams
        case Concat():
            words = {
                "WORDS_A": kernel.block_a // kernel.lanes,
                "WORDS_B": kernel.block_b // kernel.lanes,
            }
            streams = _streams(kernel, ("a", "b"), ("out",))
            return "lepton_concat", {"BITS": kernel.outputs[0].width, **words}, streams
        case Slice():
            words = {
                "WORDS": kernel.block // kernel.lanes,
                "BEGIN": kernel.begin // kernel.lanes,
                "END": kernel.end // kernel.lanes,
            }
            return "lepton_slice", {"BITS": kernel.outputs[0].width, **words}, one
        case ArgMax():
            shape = {"CHANNELS": kernel.channels, "LANES": kernel.lanes}
            return (
                "lepton_argmax",
                {**_typed("X", kernel.x), "OUT_BITS": kernel.out.bits, **shape},
                one,
            )
        case Softmax():
            shape = {
                "CHANNELS": kernel.channels,
                "LANES": kernel.lanes,
                "ENTRIES": len(kernel.table),
            }
            bits = {"OUT_BITS": kernel.out.bits, "EXP_BITS": int(kernel.table.max()).bit_length()}
            scale = {"NUMERATOR": kernel.ratio[0], "DENOMINATOR": kernel.ratio[1]}
            codes = {"ZERO_POINT": kernel.zero_point, **_bounds(*kernel.bounds)}
            return (
                "lepton_softmax",
                {**_typed("X", kernel.x), **bits, **shape, **scale, **codes},
                one,
            )
    raise NotImplementedError(kernel.kind)


def _bounds(lowest: int, highest: int) -> Parameters:
    return {"LOWEST": lowest, "HIGHEST": highest}


def _pixels(kernel: Pixels, one: tuple[Stream, ...]) -> tuple[str, Parameters, tuple[Stream, ...]]:
    shape: Parameters = {
        "X_BITS": kernel.x.bits,
        "LANES": kernel.lanes,
        "CHANNELS": kernel.channels,
        "HEIGHT": kernel.height,
        "WIDTH": kernel.width,
    }
    match kernel:
        case SlidingWindow():
            pairs = {
                "KERNEL": kernel.kernel,
                "STRIDE": kernel.strides,
                "DILATION": kernel.dilations,
            }
            for key, (h, w) in pairs.items():
                shape |= {f"{key}_H": h, f"{key}_W": w}
            shape["IS_CHANNELWISE"] = int(kernel.is_channelwise)
            return "lepton_window", shape, one
        case Padding():
            shape |= dict(zip(("TOP", "LEFT", "BOTTOM", "RIGHT"), kernel.pads, strict=True))
            return "lepton_pad", {**shape, "VALUE": kernel.value, "IS_EAGER": 0}, one
        case Stretch():
            shape |= {"FACTOR_H": kernel.factors[0], "FACTOR_W": kernel.factors[1]}
            if kernel.fill is None:
                del shape["HEIGHT"]
                return "lepton_repeat_nearest", shape, one
            return "lepton_insert_zeros", {**shape, "VALUE": kernel.fill}, one
    raise NotImplementedError(kernel.kind)


def _channel_map(
    kernel: ChannelMap, one: tuple[Stream, ...]
) -> tuple[str, Parameters, tuple[Stream, ...]]:
    types = {**_typed("X", kernel.x), "OUT_BITS": kernel.out.bits}
    # One table for all channels is a table for a word.
    is_shared = kernel.tables[-1].array.shape[0] == _depth_of_a_group(kernel)
    shape = {"CHANNELS": kernel.lanes if is_shared else kernel.channels, "LANES": kernel.lanes}
    match kernel:
        case Requantize():
            is_even = kernel.rounding is Rounding.HALF_EVEN and kernel.shift > 0
            bits = {
                "M_BITS": kernel.tables[0].elem.bits,
                "SUM_BITS": kernel.tables[1].elem.bits,
                "SHIFT": kernel.shift,
                "IS_HALF_EVEN": int(is_even),
            }
            bounds = _bounds(kernel.lowest, kernel.highest)
            return "lepton_requantize", {**types, **shape, **bits, **bounds}, one
        case Threshold():
            levels = {"LEVELS": kernel.levels, "LOWEST": kernel.lowest}
            return "lepton_threshold", {**types, **shape, **levels}, one
        case Lookup():
            entries = {"ENTRIES": kernel.entries, "FIRST": kernel.first}
            return "lepton_lookup", {**types, **shape, **entries}, one
    raise NotImplementedError(kernel.kind)


def _depth_of_a_group(kernel: ChannelMap) -> int:
    match kernel:
        case Threshold():
            return kernel.levels
        case Lookup():
            return kernel.entries
    return 1


def _join(kernel: Join) -> tuple[str, Parameters, tuple[Stream, ...]]:
    streams = _streams(kernel, ("a", "b"), ("out",))
    types = {**_typed("A", kernel.a), **_typed("B", kernel.b), "OUT_BITS": kernel.out.bits}
    shape: Parameters = {**types, "LANES": kernel.lanes}
    match kernel:
        case ScaledAdd():
            scales = {"SCALE_A": kernel.scale_a, "SCALE_B": kernel.scale_b, "OFFSET": kernel.offset}
            return "lepton_scaled_add", {**shape, **scales}, streams
        case Multiply():
            shape |= {"ZERO_A": kernel.zero_a, "ZERO_B": kernel.zero_b}
            if kernel.is_spread:
                shape |= {"CHANNELS": kernel.channels, "PIXELS": kernel.pixels}
                return "lepton_multiply_channels", shape, streams
            return "lepton_multiply", shape, streams
    raise NotImplementedError(kernel.kind)


def _axis(kernel: AxisEnd) -> tuple[str, Parameters, tuple[Stream, ...]]:
    shape: Parameters = {
        "LANES": kernel.lanes,
        "X_BITS": kernel.x.bits,
        "BYTES": kernel.x.num_bytes,
        "WORDS": kernel.inputs[0].words,
    }
    axis = ("axis_tdata", "axis_tvalid", "axis_tready")
    inside = kernel.inputs[0].width
    if kernel.is_input:
        return (
            "lepton_axis_in",
            shape,
            (Stream("in", kernel.axis_width, True, *axis), Stream("out", inside, False)),
        )
    return (
        "lepton_axis_out",
        {**shape, "X_SIGNED": int(kernel.x.signed)},
        (
            Stream("in", inside, True),
            Stream("out", kernel.axis_width + 1, False, *axis, "axis_tlast"),
        ),
    )


def _memories(kernel: Kernel) -> dict[str, tuple[str, dict[str, str]]]:
    """Return for each file parameter the file's stem and, by ending, the texts."""
    if isinstance(kernel, Threshold) and kernel.levels > PARALLEL_LEVELS:
        return {"ROM_FILE": ("thresholds", search_memories(kernel))}
    tables = {table.name: table for table in kernel.tables}
    if isinstance(kernel, Threshold):
        table = tables["thresholds"]
        words = table.array.reshape(-1, kernel.levels * kernel.lanes)
        tables["thresholds"] = Table(table.name, table.elem, words, table.comment)
    named = {
        "weights": "WEIGHTS_FILE",
        "bias": "BIAS_FILE",
        "multiplier": "MULTIPLIER_FILE",
        "addend": "ADDEND_FILE",
    }
    elems = {name: table.elem for name, table in tables.items()}
    if isinstance(kernel, Softmax):
        elems["exponentials"] = Elem(int(kernel.table.max()).bit_length(), signed=False)
    return {
        named.get(name, "ROM_FILE"): (
            f"{name}.mem",
            {"": memory_text(table.array.reshape(len(table.array), -1), elems[name].bits)},
        )
        for name, table in tables.items()
    }


def search_memories(kernel: Threshold) -> dict[str, str]:
    """Return the memory of each stage of a binary search, by the ending of its file's name."""
    (table,) = kernel.tables
    words = table.array.reshape(-1, kernel.levels, kernel.lanes)
    stages = kernel.levels.bit_length()
    texts = {}
    for stage in range(stages):
        index = (2 * np.arange(1 << stage) + 1) * (1 << (stages - 1 - stage)) - 1
        tried = words[:, np.minimum(index, kernel.levels - 1)]
        texts[f"_{stage:02d}.mem"] = memory_text(tried.reshape(-1, kernel.lanes), table.elem.bits)
    return texts
