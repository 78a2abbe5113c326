"""Kernels that the networks at hand have few of, for the calibration of costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lepton_edge.backends.fpga.kernels.base import Elem, Kernel
from lepton_edge.backends.fpga.kernels.elementwise import Multiply, ScaledAdd
from lepton_edge.backends.fpga.kernels.matrix_vector import MatrixVector
from lepton_edge.backends.fpga.kernels.plumbing import Concat, Slice
from lepton_edge.backends.fpga.kernels.pool import Pool
from lepton_edge.backends.fpga.kernels.requantize import Lookup, Threshold
from lepton_edge.backends.fpga.kernels.select import ArgMax, Softmax
from lepton_edge.backends.fpga.kernels.window import Stretch

U4, U8, S8 = Elem(4, False), Elem(8, False), Elem(8)


def _values(elem: Elem, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    rng = np.random.default_rng(sum(shape))
    return rng.integers(elem.lowest, elem.highest, shape, endpoint=True, dtype=np.int64)


def rare_kernels() -> Iterator[Kernel]:
    """Yield kernels of all kinds that networks seldom have, in several sizes and foldings."""
    yield from _tables()
    yield from _over_channels()
    yield from _narrow_products()
    for lanes in (1, 4, 8):
        yield from _others(lanes)


def _tables() -> Iterator[Kernel]:
    few = ((12, 16, 3), (20, 16, 15), (10, 64, 1), (16, 8, 7))
    for bits, channels, levels in (*few, (16, 4, 255), (20, 16, 255)):
        for lanes in (1, 4) if levels < 16 else (1, 2):
            for rows in (1, channels):
                table = np.sort(_values(Elem(bits), rows, levels), axis=1)
                out = U4 if levels < 16 else U8
                yield Threshold(Elem(bits), out, 4, channels, lanes, table, 0)
    for x, channels in ((U4, 8), (S8, 8), (U8, 32)):
        for lanes in (1, 4):
            for rows in (1, channels):
                table = _values(S8, rows, 1 << x.bits)
                yield Lookup(x, S8, 4, channels, lanes, table, x.lowest)


def _narrow_products() -> Iterator[Kernel]:
    """Weights that are signs, and products of so few bits that tables hold them."""
    sizes = ((1, 8), (4, 4), (2, 16), (8, 32), (1, 64), (16, 1))
    for pe, simd in sizes:
        signs = 2 * _values(Elem(1, False), 16, 64) - 1
        bias, sums = np.zeros(16, np.int64), Elem(12)
        folding = {"pe": pe, "simd": simd, "is_dsp": False, "style": "distributed"}
        yield MatrixVector(Elem(1, False), sums, signs, bias, 4, x_is_bipolar=True, **folding)
        for x in (Elem(2), U4):
            yield MatrixVector(x, sums, signs, bias, 4, **folding)
        for x, weight in ((Elem(2), Elem(2)), (Elem(2, False), Elem(4)), (Elem(3), Elem(3))):
            weights = _values(weight, 16, 64)
            yield MatrixVector(x, Elem(14), weights, bias, 4, **folding)


def _over_channels() -> Iterator[Kernel]:
    for channels in (4, 12):
        for bits, lanes in ((8, 1), (8, 4), (4, 2)):
            yield ArgMax(Elem(bits), channels, 3, lanes)
    table = np.rint(np.exp(-0.05 * np.arange(256)) * ((1 << 24) - 1)).astype(np.int64)
    for channels, ratio in ((10, (256, 1)), (12, (255, 2)), (4, (256, 1))):
        for lanes in (1, 2):
            yield Softmax(S8, S8, channels, 1, table, ratio, -128, (-128, 127), lanes)


def _others(lanes: int) -> Iterator[Kernel]:
    yield Multiply(U8, S8, Elem(18), 16, 16, lanes, 17, -3)
    yield Multiply(S8, U8, Elem(18), 16, 16, lanes, 0, 3, True)
    yield Concat(S8, 4, 64, 32, lanes)
    yield Slice(S8, 4, 64, 16, 48, lanes)
    yield Stretch(S8, 6, 5, 16, lanes=lanes, factors=(2, 2))
    yield Stretch(U4, 6, 5, 16, lanes=lanes, factors=(1, 3))
    yield Stretch(S8, 6, 5, 16, lanes=lanes, factors=(2, 2), fill=3)
    for is_max in (False, True):
        acc = S8 if is_max else Elem(14)
        yield Pool(S8, acc, 16, 9, 4, is_max, False, pe=lanes)
        yield Pool(S8, acc, 16, 64, 1, is_max, True, pe=lanes)
    for a, b in ((1, 1), (3, -5), (142_758, 515_751), (1 << 12, 77)):
        bits = 8 + max(abs(a), abs(b)).bit_length() + 2
        yield ScaledAdd(S8, U8, Elem(bits), 4, 16, lanes, a, b, 1234)
