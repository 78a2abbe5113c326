"""Inputs to calibrate and to compare with: read, checked, or drawn at random."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lepton_edge.artifact.arrays import MAX_BYTES, load_arrays
from lepton_edge.artifact.manifest import TensorSpec
from lepton_edge.errors import (
    CalibrationError,
    UserError,
)
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.ops.quantized import Quantize
from lepton_edge.ir.types import Array, QuantType
from lepton_edge.progress import Progress

MOST_SAMPLES = 10_000
"""Calibration samples that are used: ranges hardly change after some hundred."""


def read_samples(
    graph: Graph, path: Path | str | None, progress: Progress
) -> tuple[dict[str, Array] | None, tuple[str, ...]]:
    """Return the calibration inputs, checked against the model, and what looks wrong with them.

    Args:
        graph: the model.
        path: file with an array for each input; None for no samples.
        progress: told where only the first samples are used.

    Raises:
        CalibrationError: the file is not what the model reads.
    """
    if path is None:
        return None, ()
    specs = specs_of(graph, graph.inputs)
    arrays = load_arrays(Path(path), specs, CalibrationError)
    counts = {array.shape[:1] for array in arrays.values()}
    if all(spec.shape[:1] == (1,) for spec in specs) and len(counts) == 1:
        arrays = _first(arrays, progress)
    try:
        return interpreter.checked_inputs(graph, arrays), tuple(_doubts(graph, arrays))
    except UserError as error:
        raise CalibrationError(
            error.what,
            where=str(path),
            hint=error.hint or "one array per model input, samples first",
        ) from None


def _first(arrays: dict[str, Array], progress: Progress) -> dict[str, Array]:
    """Return as many samples as are used; the arrays hold equally many."""
    count = len(next(iter(arrays.values())))
    if count <= MOST_SAMPLES:
        return arrays
    progress.note(f"of {count:,} calibration samples the first {MOST_SAMPLES:,} are used")
    return {name: array[:MOST_SAMPLES] for name, array in arrays.items()}


def _doubts(graph: Graph, arrays: Mapping[str, Array]) -> Iterator[str]:
    """Say where calibration data may not be what the network reads in use."""
    for value, array in arrays.items():
        if graph.types[value].is_float and array.dtype.kind in "iu":
            yield (
                f"the calibration data of input {value!r} is {array.dtype}, the network reads "
                "float32: make sure that it is scaled as in use (0..1, say, not 0..255)"
            )


def specs_of(graph: Graph, values: Sequence[str]) -> tuple[TensorSpec, ...]:
    """Return what the host gives or gets for values of a graph."""
    return tuple(TensorSpec.of(value, graph.types[value]) for value in values)


def random_inputs(graph: Graph, count: int, seed: int = 0) -> dict[str, Array]:
    """Return inputs spread over everything that the network's input types can hold.

    Args:
        graph: an integer network.
        count: samples.
        seed: of the generator.

    Raises:
        UserError: they would take too much memory.
    """
    # Numbers are drawn with 8 bytes each, whatever their type.
    size = 8 * sum(math.prod(graph.types[value].shape[1:]) for value in graph.inputs)
    if count * size > MAX_BYTES:
        raise UserError(
            f"--samples {count} takes {count * size / 2**30:.1f} GiB; at most "
            f"{MAX_BYTES >> 30} GiB are drawn",
            hint=f"--samples {MAX_BYTES // size} is the most",
        )
    rng = np.random.default_rng(seed)
    return {value: _random_input(graph, value, count, rng) for value in graph.inputs}


def _random_input(graph: Graph, value: str, count: int, rng: np.random.Generator) -> Array:
    type_ = graph.types[value]
    shape = (count, *type_.shape[1:])
    if isinstance(type_.elem, QuantType):
        return rng.integers(type_.elem.lowest, type_.elem.highest + 1, shape).astype(
            type_.elem.dtype
        )
    for node in graph.consumers[value]:
        if isinstance(node.op, Quantize):
            quant = node.op.out
            codes = rng.integers(quant.lowest, quant.highest + 1, shape)
            return quant.dequantize(codes.astype(quant.dtype))
    if type_.is_float:
        return rng.standard_normal(shape).astype(np.float32)
    return rng.integers(0, 2, shape).astype(type_.elem.dtype)


def extended(kept: Mapping[str, Array], graph: Graph, count: int) -> dict[str, Array]:
    """Return ``count`` samples: the kept ones first, then random ones."""
    found = len(next(iter(kept.values())))
    if count <= found:
        return {k: v[:count] for k, v in kept.items()}
    extra = random_inputs(graph, count - found, seed=1)
    return {k: np.concatenate([v, extra[k]]) for k, v in kept.items()}
