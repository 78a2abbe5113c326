"""The passes in order: what happens to a network between its front end and a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lepton_edge.errors import CalibrationError, QuantError
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.types import Array
from lepton_edge.passes.base import Pass, Watcher, run_passes
from lepton_edge.passes.calibration import Observer
from lepton_edge.passes.equalize_layers import EqualizeLayers
from lepton_edge.passes.fold_affine import FoldAffine
from lepton_edge.passes.fold_constants import FoldConstants
from lepton_edge.passes.hoist_transposes import HoistTransposes
from lepton_edge.passes.insert_quantizers import (
    InsertQuantizers,
    has_float_weights,
    is_quantized,
    quantization_points,
)
from lepton_edge.passes.lower_integers import Lowered, lower_integers
from lepton_edge.passes.sink_views import SinkViews

SIMPLIFY: tuple[Pass, ...] = (
    FoldConstants(),
    SinkViews(),
    FoldConstants(),
    FoldAffine(),
    SinkViews(),
    HoistTransposes(),
)


@dataclass(frozen=True)
class QuantizeOptions:
    """How a float network becomes one of integers.

    Args:
        mode: auto (float networks are quantised to int8), none, or int8.
        observer: how ranges are chosen.
        equalize: cross-layer equalisation first.
        correct_bias: correct the mean error of quantised weights.
    """

    mode: str = "auto"
    observer: Observer = Observer.MINMAX
    equalize: bool = False
    correct_bias: bool = False


def simplify(graph: Graph, watch: Watcher | None = None) -> Graph:
    """Return the network without what a target need not see: layout, batch norms, identities."""
    return run_passes(graph, SIMPLIFY, watch)


def quantize(
    graph: Graph,
    options: QuantizeOptions,
    samples: Mapping[str, Array] | None,
    watch: Watcher | None = None,
) -> Graph:
    """Return a network that speaks of codes where it must.

    What is quantised already stays as it is, codes unchanged; where layers still read floats
    (an unquantised input, say), calibration samples quantise them.

    Raises:
        CalibrationError: a float network without usable calibration data.
        QuantError: quantisation was forbidden for a float network.
    """
    has_floats = bool(quantization_points(graph)) or has_float_weights(graph)
    if is_quantized(graph) and (samples is None or not has_floats):
        return graph
    if options.mode == "none":
        raise QuantError(
            "the network computes on floats, and the target needs integers",
            where=graph.name,
            hint="drop --quantize none and give --calibration, or give a quantised (QDQ) model",
        )
    if samples is None:
        raise CalibrationError(
            "a float network needs calibration data to be quantised",
            where=graph.name,
            hint="give --calibration FILE.npz: an array for each model input, 100 or more samples",
        )
    passes: list[Pass] = [EqualizeLayers()] if options.equalize else []
    passes.append(
        InsertQuantizers(samples, observer=options.observer, correct_bias=options.correct_bias)
    )
    return run_passes(graph, passes, watch)


def lower(graph: Graph, watch: Watcher | None = None) -> Lowered:
    """Return the exact integer form of a quantised network."""
    lowered = lower_integers(run_passes(graph, (FoldConstants(),), watch))
    if watch:
        watch("lower-integers", lowered.graph)
    return replace(lowered, graph=run_passes(lowered.graph, (HoistTransposes(),), watch))
