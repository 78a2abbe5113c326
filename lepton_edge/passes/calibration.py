"""Calibration: which reals values take on sample inputs, and the integer types that fit them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from lepton_edge.errors import CalibrationError, LeptonError
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.types import Array, QuantType

NUM_BINS = 2048
PERCENTILE = 99.99
"""Share of the values, in percent, that the percentile observer keeps unclipped."""

MSE_STEPS = 64
"""Candidate ranges that the MSE observer tries between half and the whole of the observed one."""


class Observer(Enum):
    """How a range is chosen from what was observed."""

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    MSE = "mse"


@dataclass(frozen=True)
class Observed:
    """What one value did on the calibration samples.

    Args:
        lowest: smallest value, at most 0.
        highest: largest value, at least 0.
        counts: histogram of NUM_BINS equal bins between the two; empty when not taken.
        mean: mean over samples of the whole tensor, [1, ...].
    """

    lowest: float
    highest: float
    counts: Array
    mean: Array

    @property
    def centres(self) -> Array:
        """Centres of the histogram's bins."""
        width = (self.highest - self.lowest) / NUM_BINS
        return self.lowest + width * (np.arange(NUM_BINS) + 0.5)


def check_samples(graph: Graph, samples: Mapping[str, Array]) -> dict[str, Array]:
    """Return the samples in the graph's types.

    Raises:
        CalibrationError: wrong names, shapes or types, no sample, or values that are not finite.
    """
    try:
        return interpreter.checked_inputs(graph, samples)
    except LeptonError as error:
        raise CalibrationError(
            error.what,
            where="calibration data",
            hint="give an .npz with one array per model input: real inputs, 100 or more samples",
        ) from None


def observe(
    graph: Graph, samples: Mapping[str, Array], values: Collection[str], with_histogram: bool
) -> dict[str, Observed]:
    """Run the float graph on the samples and observe ``values``."""
    wanted = set(values)
    lows, highs = dict.fromkeys(wanted, 0.0), dict.fromkeys(wanted, 0.0)
    sums: dict[str, Array] = {}
    count = 0

    def take_range(value: str, array: Array) -> None:
        nonlocal count
        if value == graph.inputs[0]:
            count += len(np.atleast_1d(array))
        if (value in wanted or value in graph.outputs) and not np.isfinite(array).all():
            raise CalibrationError(
                f"value {value!r} is not finite on the calibration data",
                where=graph.name,
                hint="look for a division by zero or an overflow in the float model",
            )
        if value in wanted:
            lows[value] = min(lows[value], float(array.min()))
            highs[value] = max(highs[value], float(array.max()))
            total = array.sum(axis=0, keepdims=True, dtype=np.float64)
            sums[value] = sums.get(value, 0.0) + total

    with np.errstate(all="ignore"):  # what is not finite is told in words
        interpreter.run(graph, samples, observe=take_range)
    counts = {value: np.zeros(NUM_BINS if with_histogram else 0) for value in wanted}

    def take_histogram(value: str, array: Array) -> None:
        if value in wanted and highs[value] > lows[value]:
            counts[value] += np.histogram(array, NUM_BINS, (lows[value], highs[value]))[0]

    if with_histogram:
        interpreter.run(graph, samples, observe=take_histogram)
    return {
        v: Observed(lows[v], highs[v], counts[v], np.asarray(sums[v] / max(count, 1)))
        for v in wanted
    }


def activation_type(observed: Observed, bits: int, observer: Observer) -> QuantType:
    """Return the signed type whose codes cover what was observed; real 0 has a code."""
    low, high = observed.lowest, observed.highest
    if high > low and observer is Observer.PERCENTILE:
        low, high = _percentile_range(observed)
    elif high > low and observer is Observer.MSE:
        low, high = _mse_range(observed, bits)
    return _type_for_range(low, high, bits)


def _type_for_range(low: float, high: float, bits: int) -> QuantType:
    low, high = min(low, 0.0), max(high, 0.0)
    steps = (1 << bits) - 1
    scale = float(np.float32((high - low) / steps))
    if not scale > float(np.finfo(np.float32).tiny):
        scale = 1.0
    lowest = -(1 << (bits - 1))
    zero = min(max(lowest - round(low / scale), lowest), -lowest - 1)
    return QuantType(bits, True, (scale,), (zero,))


def _percentile_range(observed: Observed) -> tuple[float, float]:
    share = np.cumsum(observed.counts) / observed.counts.sum()
    tail = (1 - PERCENTILE / 100) / 2
    inside = np.flatnonzero((share > tail) & (share <= 1 - tail + 1e-12))
    if not inside.size:
        return observed.lowest, observed.highest
    centres = observed.centres
    return float(centres[inside[0]]), float(centres[min(inside[-1] + 1, NUM_BINS - 1)])


def _mse_range(observed: Observed, bits: int) -> tuple[float, float]:
    centres, counts = observed.centres, observed.counts
    best, best_error = (observed.lowest, observed.highest), np.inf
    for fraction in np.linspace(1.0, 0.5, MSE_STEPS):
        low, high = observed.lowest * fraction, observed.highest * fraction
        type_ = _type_for_range(low, high, bits)
        error = float((counts * (type_.dequantize(type_.quantize(centres)) - centres) ** 2).sum())
        if error < best_error:
            best, best_error = (low, high), error
    return best


def weight_type(weights: Array, bits: int, least_scale: Array | None = None) -> QuantType:
    """Return the symmetric per-channel type of weights [M, ...].

    Args:
        weights: float weights, output channel first.
        bits: width; codes -(2^(bits-1) - 1) .. 2^(bits-1) - 1.
        least_scale: for each channel a scale that must not be undercut (so that biases fit).
    """
    peak = np.abs(weights.reshape(len(weights), -1)).max(axis=1).astype(np.float64)
    scale = peak / ((1 << (bits - 1)) - 1)
    if least_scale is not None:
        scale = np.maximum(scale, least_scale)
    scale = np.where(scale > float(np.finfo(np.float32).tiny), scale, 1.0).astype(np.float32)
    return QuantType(bits, True, tuple(float(s) for s in scale), axis=0, narrow=bits > 1)
