"""Kernels to try, what each computes in plain loops, and in which order it reads and writes.

Nothing here uses a kernel's own ``evaluate``, ``produced`` or ``needed``: it is what these are
compared with. ``test_kernel_meaning.py`` proves the orders against the C++ text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from lepton_edge.backends.fpga.kernels.base import Elem, Kernel
from lepton_edge.backends.fpga.kernels.depthwise import Depthwise
from lepton_edge.backends.fpga.kernels.elementwise import Multiply, ScaledAdd
from lepton_edge.backends.fpga.kernels.matrix_vector import MatrixVector
from lepton_edge.backends.fpga.kernels.plumbing import (
    AxisEnd,
    Concat,
    Fork,
    Slice,
    WidthConverter,
)
from lepton_edge.backends.fpga.kernels.pool import Pool
from lepton_edge.backends.fpga.kernels.requantize import Lookup, Requantize, Threshold
from lepton_edge.backends.fpga.kernels.select import ArgMax, Softmax
from lepton_edge.backends.fpga.kernels.window import Padding, SlidingWindow, Stretch
from lepton_edge.ir.ops.quantized import Rounding
from lepton_edge.ir.types import Array, bits_for_range

U1, U3, U4, U8, U16 = (Elem(bits, False) for bits in (1, 3, 4, 8, 16))
S1, S2, S3, S4, S5, S8, S16 = (Elem(bits) for bits in (1, 2, 3, 4, 5, 8, 16))


def codes(elem: Elem, *shape: int, seed: int = 7) -> Array:
    """Return codes of everything a type can hold, its ends among them."""
    rng = np.random.default_rng(seed)
    values = rng.integers(elem.lowest, elem.highest, shape, endpoint=True, dtype=np.int64)
    values.flat[0], values.flat[-1] = elem.lowest, elem.highest
    return values


def sum_elem(x: Elem, weights: Array, bias: Array) -> Elem:
    """Return a type that holds every sum of a layer."""
    reach = np.abs(weights).sum(axis=1) * max(-x.lowest, x.highest) + np.abs(bias)
    return Elem(bits_for_range(-int(reach.max()), int(reach.max())))


def matrix(x: Elem, w: Elem, rows: int, columns: int, vectors: int) -> MatrixVector:
    weights, bias = codes(w, rows, columns), codes(Elem(12), rows)
    return MatrixVector(x, sum_elem(x, weights, bias), weights, bias, vectors)


def ternary(rows: int, columns: int, vectors: int) -> MatrixVector:
    """Weights of -1, 0 and +1; input codes too, in two bits."""
    weights, bias = codes(S2, rows, columns).clip(-1), codes(S5, rows)
    acc = sum_elem(S2, weights, bias)
    return MatrixVector(S2, acc, weights, bias, vectors, x_is_narrow=True)


def signs(x: Elem, rows: int, columns: int, vectors: int, *, bipolar: bool) -> MatrixVector:
    """Weights of -1 and +1."""
    weights, bias = 2 * codes(U1, rows, columns) - 1, codes(S5, rows)
    acc = sum_elem(Elem(2) if bipolar else x, weights, bias)
    return MatrixVector(x, acc, weights, bias, vectors, x_is_bipolar=bipolar)


def shared_dsp(x: Elem, w: Elem, rows: int, columns: int, fields: int) -> MatrixVector:
    """A layer whose rows share DSP blocks of 25 bits, with the largest sums that its packing has.

    All weights are next to the ends of their type; the lowest only where no row below borrows.
    """
    rng = np.random.default_rng(fields)
    weights = rng.choice([w.lowest + 1, w.highest], (rows, columns))
    weights[fields - 1 :: fields, 0] = w.lowest
    weights[fields - 2 :: fields, 0] = w.highest
    bias = codes(Elem(12), rows)
    return MatrixVector(x, sum_elem(x, weights, bias), weights, bias, 2, wide_bits=25)


def depthwise(x: Elem, w: Elem, channels: int, taps: int, pixels: int) -> Depthwise:
    weights, bias = codes(w, channels, taps), codes(S8, channels)
    return Depthwise(x, sum_elem(x, weights, bias), weights, bias, pixels)


def wrapping_matrix() -> MatrixVector:
    """16-bit codes around 32768: the products of raw codes overflow, the sums do not."""
    weights = np.array([[32767, -32768, 30000], [-32768, -32768, 32767]])
    return MatrixVector(U16, Elem(32), weights, -32768 * weights.sum(axis=1), 2)


def requantize(
    x: Elem, out: Elem, channels: int, pixels: int, shift: int, rounding: Rounding, params: int
) -> Requantize:
    factor = codes(S8, params) if shift else np.ones(params, np.int64)
    addend = codes(Elem(x.bits + 4), params) if shift else np.zeros(params, np.int64)
    low, high = out.lowest, out.highest
    return Requantize(x, out, pixels, channels, 1, factor, addend, shift, low, high, rounding)


def threshold(x: Elem, out: Elem, channels: int, levels: int, rows: int) -> Threshold:
    table = np.sort(codes(x, rows, levels), axis=1)
    return Threshold(x, out, 3, channels, 1, table, out.lowest)


def softmax(x: Elem, out: Elem, channels: int) -> Softmax:
    size = x.highest - x.lowest + 1
    table = np.rint(np.exp(-0.3 * np.arange(size)) * ((1 << 24) - 1)).astype(np.int64)
    zero = out.lowest
    return Softmax(x, out, channels, 3, table, (255, 2), zero, (out.lowest, out.highest))


def window(x: Elem, height: int, width: int, channels: int, **geometry: object) -> SlidingWindow:
    return SlidingWindow(x, height, width, channels, **geometry)  # type: ignore[arg-type]


SAMPLES: dict[str, Kernel] = {
    "dense": matrix(U8, S8, 6, 10, 1),
    "dense_shared_dsp": shared_dsp(S8, S8, 6, 10, 2),
    "dense_prime": matrix(S5, S2, 7, 5, 3),
    "dense_bits": matrix(U1, S2, 4, 9, 2),
    "dense_tables": matrix(Elem(3), Elem(3), 4, 6, 2),
    "dense_ternary": ternary(4, 9, 2),
    "dense_signs": signs(U1, 6, 12, 2, bipolar=True),
    "dense_negations": signs(S2, 4, 10, 2, bipolar=False),
    "dense_wide": matrix(S16, S16, 2, 6, 2),
    "dense_wrapping": wrapping_matrix(),
    "depthwise": depthwise(U3, S8, 6, 9, 4),
    "depthwise_one_tap": depthwise(S16, S16, 3, 1, 2),
    "window": window(U3, 5, 7, 4, kernel=(3, 3)),
    "window_even": window(S8, 6, 5, 3, kernel=(2, 3), strides=(2, 1)),
    "window_stride": window(U1, 7, 6, 2, kernel=(1, 1), strides=(3, 2)),
    "window_dilated": window(S5, 9, 8, 2, kernel=(3, 2), strides=(2, 3), dilations=(2, 4)),
    "window_whole": window(S8, 3, 4, 2, kernel=(3, 4)),
    "window_rows_left_over": window(U8, 8, 3, 1, kernel=(2, 2), strides=(5, 1)),
    "window_taps": window(S8, 6, 7, 2, lanes=2, kernel=(3, 3), word_taps=3),
    "window_channelwise": window(U3, 5, 6, 6, kernel=(3, 2), is_channelwise=True),
    "window_channelwise_stride": window(
        S8, 6, 6, 4, kernel=(2, 2), strides=(2, 2), is_channelwise=True
    ),
    "max_pool": Pool(S5, S5, 6, 4, 3, True, False),
    "sum_pool": Pool(U8, Elem(20), 4, 6, 2, False, False, -300),
    "global_max": Pool(U3, U3, 5, 7, 1, True, True),
    "global_sum": Pool(U16, Elem(24), 6, 5, 1, False, True, -5 * 1234),
    "requantize": requantize(Elem(20), U8, 6, 4, 12, Rounding.FLOOR, 6),
    "requantize_shared": requantize(Elem(20), S8, 5, 4, 9, Rounding.FLOOR, 1),
    "requantize_half_even": requantize(Elem(14), S5, 4, 5, 4, Rounding.HALF_EVEN, 4),
    "requantize_half": requantize(S8, U1, 4, 5, 1, Rounding.HALF_EVEN, 1),
    "requantize_wide": requantize(Elem(48), U16, 3, 4, 40, Rounding.HALF_EVEN, 3),
    "requantize_unsigned": requantize(U16, U3, 2, 9, 20, Rounding.FLOOR, 2),
    "requantize_one": requantize(U3, Elem(6), 3, 2, 0, Rounding.FLOOR, 1),
    "threshold": threshold(Elem(12), U3, 6, 7, 6),
    "threshold_shared": threshold(Elem(18), S2, 4, 3, 1),
    "threshold_many": threshold(Elem(16), U8, 4, 200, 4),
    "threshold_one": threshold(S5, U1, 3, 1, 1),
    "lookup": Lookup(U3, S8, 3, 4, 1, codes(S8, 1, 8), 0),
    "lookup_channels": Lookup(S5, U16, 2, 6, 1, codes(U16, 6, 32), -16),
    "scaled_add": ScaledAdd(U8, S5, Elem(20), 5, 6, 1, 11, -23, -1411),
    "scaled_add_wide": ScaledAdd(U16, U16, Elem(40), 2, 3, 1, 1 << 20, -(1 << 20), 77),
    "multiply": Multiply(U8, S8, Elem(18), 4, 6, 1, 17, -3),
    "multiply_spread": Multiply(S5, U16, Elem(24), 5, 6, 1, -2, 30_000, True),
    "argmax": ArgMax(S8, 12, 3),
    "argmax_ties": ArgMax(U1, 5, 6),
    "argmax_one": ArgMax(S8, 1, 4),
    "softmax": softmax(U8, U8, 6),
    "softmax_signed": softmax(S5, S8, 5),
    "fork": Fork(S5, 6, 3),
    "concat": Concat(U3, 4, 6, 2),
    "concat_rows": Concat(S8, 1, 5, 10),
    "slice": Slice(S5, 3, 8, 2, 6),
    "slice_head": Slice(U1, 2, 5, 0, 3),
    "slice_tail": Slice(U16, 1, 9, 6, 9),
    "pad": Padding(S5, 3, 2, 4, pads=(1, 2, 0, 3), value=-7),
    "pad_none": Padding(U3, 2, 3, 2, value=1),
    "repeat": Stretch(U8, 3, 2, 4, factors=(2, 3)),
    "repeat_columns": Stretch(S5, 2, 3, 2, factors=(1, 2)),
    "insert_zeros": Stretch(S8, 3, 2, 4, factors=(2, 3), fill=5),
    "insert_zeros_one": Stretch(U3, 1, 4, 1, factors=(3, 2), fill=2),
    "axis_in": AxisEnd(S5, 12, AxisEnd.lanes_for(S5, 12), True),
    "axis_out": AxisEnd(Elem(20), 6, AxisEnd.lanes_for(Elem(20), 6), False),
    **{
        f"width_{a}_{b}": WidthConverter(U3, 24, a, b)
        for a, b in ((1, 4), (4, 1), (6, 2), (2, 6), (3, 2), (4, 6), (6, 4), (8, 3))
    },
}


SHARED: dict[str, MatrixVector] = {
    f"shared_{name}_{fields}_{pe}x{simd}": replace(
        shared_dsp(x, w, rows, columns, fields), pe=pe, simd=simd, fields=fields
    )
    for name, x, w, rows, columns, fields, pe, simd in (
        ("s8_s8", S8, S8, 8, 22, 2, 4, 11),
        ("s8_s8", S8, S8, 4, 6, 2, 2, 1),
        ("u8_s8", U8, S8, 4, 15, 2, 4, 5),
        ("u8_s8", U8, S8, 6, 15, 2, 2, 15),
        ("u4_s4", U4, S4, 6, 15, 3, 3, 5),
        ("s4_s4", S4, S4, 8, 14, 4, 8, 7),
        ("u4_s3", U4, S3, 8, 15, 4, 4, 3),
        ("u3_s2", U3, S2, 8, 14, 4, 4, 14),
    )
}
"""Rows that share DSP blocks, with sums at the ends of their fields."""


def inputs(kernel: Kernel, frames: int = 2) -> list[Array]:
    """Return frames of codes for each input port."""
    arrays = [codes(p.elem, frames, p.elements, seed=i) for i, p in enumerate(kernel.inputs)]
    if isinstance(kernel, MatrixVector) and kernel.x_is_narrow:
        arrays = [x.clip(kernel.x.lowest + 1) for x in arrays]
    return arrays


def extreme_inputs(kernel: MatrixVector, frames: int) -> Array:
    """Return frames of the vectors that bring a row's sum to its ends, row by row."""
    count = frames * kernel.vectors
    signs = np.resize(np.vstack([kernel.weights, -kernel.weights]), (count, kernel.columns))
    vectors = np.where(signs > 0, kernel.x.highest, kernel.x.lowest)
    return vectors.reshape(frames, -1)


# -- what kernels compute, in plain loops ---------------------------------------------------------


def meaning(kernel: Kernel, *arrays: Array) -> list[list[list[int]]]:
    """Return what a kernel computes: for each output a list of frames of elements."""
    frames = [_frame(kernel, *(a[n].tolist() for a in arrays)) for n in range(len(arrays[0]))]
    return [list(outputs) for outputs in zip(*frames, strict=True)]


def _frame(kernel: Kernel, *given: list[int]) -> list[list[int]]:  # noqa: C901
    x = given[0]
    match kernel:
        case MatrixVector():
            w, b = kernel.weights.tolist(), kernel.bias.tolist()
            if kernel.x_is_bipolar:
                x = [1 if bit else -1 for bit in x]
            vectors = [x[i : i + len(w[0])] for i in range(0, len(x), len(w[0]))]
            return [[b[r] + dot(w[r], v) for v in vectors for r in range(len(w))]]
        case Depthwise():
            w, b = kernel.weights.tolist(), kernel.bias.tolist()
            return [[b[c] + dot(w[c], tap) for c, tap in _taps(kernel, x, kernel.pe)]]
        case Pool(is_global=True):
            tap = [x[c :: kernel.channels] for c in range(kernel.channels)]
            return [[max(t) if kernel.is_max else kernel.offset + sum(t) for t in tap]]
        case Pool():
            taps = _taps(kernel, x, kernel.pe)
            return [[max(t) if kernel.is_max else kernel.offset + sum(t) for _, t in taps]]
        case SlidingWindow():
            return [_windows(kernel, x)]
        case Requantize():
            return [[_requantized(kernel, i % kernel.channels, v) for i, v in enumerate(x)]]
        case Threshold():
            rows = kernel.thresholds.tolist()
            return [
                [
                    kernel.lowest + sum(t <= v for t in rows[i % kernel.channels % len(rows)])
                    for i, v in enumerate(x)
                ]
            ]
        case Lookup():
            rows = kernel.table.tolist()
            return [
                [rows[i % kernel.channels % len(rows)][v - kernel.first] for i, v in enumerate(x)]
            ]
        case ScaledAdd():
            pairs = zip(*given, strict=True)
            return [[kernel.scale_a * a + kernel.scale_b * b + kernel.offset for a, b in pairs]]
        case Multiply():
            b = given[1]
            return [
                [(v - kernel.zero_a) * (b[i % len(b)] - kernel.zero_b) for i, v in enumerate(x)]
            ]
        case ArgMax():
            pixels = [x[i : i + kernel.channels] for i in range(0, len(x), kernel.channels)]
            return [[pixel.index(max(pixel)) for pixel in pixels]]
        case Softmax():
            pixels = [x[i : i + kernel.channels] for i in range(0, len(x), kernel.channels)]
            return [[code for pixel in pixels for code in _softmax(kernel, pixel)]]
        case Fork():
            return [x, x]
        case Concat():
            parts = [
                (x[i * kernel.block_a :][: kernel.block_a], given[1][i * kernel.block_b :])
                for i in range(kernel.blocks)
            ]
            return [[v for a, b in parts for v in (*a, *b[: kernel.block_b])]]
        case Slice():
            return [[v for i, v in enumerate(x) if kernel.begin <= i % kernel.block < kernel.end]]
        case Padding() | Stretch():
            return [_rearranged(kernel, x)]
        case WidthConverter() | AxisEnd():
            return [x]
    raise AssertionError(f"nothing says what {type(kernel).__name__} computes")


def dot(a: list[int], b: list[int]) -> int:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _taps(kernel: Depthwise | Pool, x: list[int], lanes: int) -> Iterator[tuple[int, list[int]]]:
    """Yield channel and taps from channelwise windows: group, tap, lane."""
    size = kernel.taps * lanes
    for start in range(0, len(x), size):
        for lane in range(lanes):
            channel = (start // size * lanes + lane) % kernel.channels
            yield channel, x[start + lane : start + size : lanes]


def _windows(kernel: SlidingWindow, x: list[int]) -> list[int]:
    (kh, kw), (sh, sw), (dh, dw) = kernel.kernel, kernel.strides, kernel.dilations
    out_h = (kernel.height - (kh - 1) * dh - 1) // sh + 1
    out_w = (kernel.width - (kw - 1) * dw - 1) // sw + 1
    groups = [range(g, g + kernel.lanes) for g in range(0, kernel.channels, kernel.lanes)]
    out = []
    for row, col in product(range(out_h), range(out_w)):
        taps = list(product(range(kh), range(kw)))
        order = (
            [(tap, g) for g in groups for tap in taps]
            if kernel.is_channelwise
            else [(tap, g) for tap in taps for g in groups]
        )
        for (i, j), group in order:
            pixel = (row * sh + i * dh) * kernel.width + col * sw + j * dw
            out += [x[pixel * kernel.channels + c] for c in group]
    return out


def _requantized(kernel: Requantize, channel: int, value: int) -> int:
    factor = kernel.multiplier.tolist()[channel % len(kernel.multiplier)]
    addend = kernel.addend.tolist()[channel % len(kernel.addend)]
    total, unit = factor * value + addend, 1 << kernel.shift
    code = total // unit
    if kernel.rounding is Rounding.HALF_EVEN:
        twice = 2 * (total - code * unit)
        code += twice > unit or (twice == unit and code % 2)
    return min(max(code, kernel.lowest), kernel.highest)


def _softmax(kernel: Softmax, pixel: list[int]) -> list[int]:
    exponentials = [int(kernel.table[max(pixel) - v]) for v in pixel]
    below = sum(exponentials) * kernel.ratio[1]
    rounded = [(2 * e * kernel.ratio[0] + below) // (2 * below) for e in exponentials]
    return [min(max(v + kernel.zero_point, kernel.bounds[0]), kernel.bounds[1]) for v in rounded]


def _rearranged(kernel: Padding | Stretch, x: list[int]) -> list[int]:
    out = []
    for row, col, channel in product(*map(range, kernel.out_size), range(kernel.channels)):
        if isinstance(kernel, Padding):
            i, j = row - kernel.pads[0], col - kernel.pads[1]
            inside = 0 <= i < kernel.height and 0 <= j < kernel.width
            border = kernel.value
        else:
            i, di = divmod(row, kernel.factors[0])
            j, dj = divmod(col, kernel.factors[1])
            inside, border = kernel.fill is None or (di == 0 and dj == 0), kernel.fill or 0
        out.append(x[(i * kernel.width + j) * kernel.channels + channel] if inside else border)
    return out


# -- in which order kernels read and write --------------------------------------------------------

Event = tuple[str, int]
"""``("read", i)`` or ``("write", i)``: one word of input or output port i."""


def events(kernel: Kernel) -> list[Event]:
    """Return the order in which a kernel reads and writes the words of a frame."""
    return list(_events(kernel))


def _events(kernel: Kernel) -> Iterator[Event]:  # noqa: C901
    read, write = ("read", 0), ("write", 0)
    words = kernel.inputs[0].words
    match kernel:
        case MatrixVector():
            columns, rows = kernel.columns // kernel.simd, kernel.rows // kernel.pe
            for _, row, col in product(range(kernel.vectors), range(rows), range(columns)):
                yield from [read] * (row == 0)
                yield from [write] * (col == columns - 1)
        case Depthwise() | Pool(is_global=False):
            yield from ([read] * kernel.taps + [write]) * kernel.outputs[0].words
        case Pool():
            groups = kernel.channels // kernel.pe
            yield from [read] * (words - groups) + [read, write] * groups
        case SlidingWindow():
            yield from _window_events(kernel)
        case Multiply(is_spread=True):
            groups = kernel.channels // kernel.lanes
            yield from [read, ("read", 1), write] * groups + [read, write] * (words - groups)
        case ScaledAdd() | Multiply():
            yield from [read, ("read", 1), write] * words
        case Fork():
            yield from [read, write, ("write", 1)] * words
        case Concat():
            a, b = kernel.block_a // kernel.lanes, kernel.block_b // kernel.lanes
            yield from ([read, write] * a + [("read", 1), write] * b) * kernel.blocks
        case Slice():
            for word in range(words):
                element = word * kernel.lanes % kernel.block
                yield from [read] + [write] * (kernel.begin <= element < kernel.end)
        case ArgMax():
            yield from ([read] * (kernel.channels // kernel.lanes) + [write]) * kernel.pixels
        case Softmax():
            groups = kernel.channels // kernel.lanes
            yield from ([read] * groups + [write] * groups) * kernel.pixels
        case Padding():
            for row, col in product(*map(range, kernel.out_size)):
                i, j = row - kernel.pads[0], col - kernel.pads[1]
                inside = 0 <= i < kernel.height and 0 <= j < kernel.width
                yield from ([read, write] if inside else [write]) * kernel.groups
        case Stretch():
            for row, col in product(*map(range, kernel.out_size)):
                first = row % kernel.factors[0] == 0 and col % kernel.factors[1] == 0
                yield from ([read, write] if first else [write]) * kernel.groups
        case WidthConverter():
            held = 0
            for _ in range(words):
                held += kernel.lanes
                yield read
                while held >= kernel.out_lanes:
                    held -= kernel.out_lanes
                    yield write
        case _:
            yield from [read, write] * words


def _wide_window_events(kernel: SlidingWindow) -> Iterator[Event]:
    """Yield a read for each pixel, and the words of a window where a pixel completes one."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel.kernel, kernel.dilations, strict=True)]
    for row in range(kernel.height):
        for column in range(kernel.width):
            yield "read", 0
            over = row + 1 - reach[0], column + 1 - reach[1]
            if min(over) >= 0 and not any(o % s for o, s in zip(over, kernel.strides, strict=True)):
                yield from [("write", 0)] * (kernel.taps // kernel.word_taps)


def _window_events(kernel: SlidingWindow) -> Iterator[Event]:
    if kernel.is_wide:
        yield from _wide_window_events(kernel)
        return
    reach = (kernel.kernel[0] - 1) * kernel.dilations[0] + 1
    out_h, out_w = kernel.out_size
    row_words = kernel.width * kernel.groups
    writes = out_w * kernel.kernel[0] * kernel.kernel[1] * kernel.groups
    yield from [("read", 0)] * (reach * row_words)
    for row in range(out_h):
        rows_left = kernel.height - reach - row * kernel.strides[0]
        reads = row_words * (kernel.strides[0] if row < out_h - 1 else rows_left)
        for step in range(max(reads, writes)):
            yield from [("read", 0)] * (step < reads)
            yield from [("write", 0)] * (step < writes)
