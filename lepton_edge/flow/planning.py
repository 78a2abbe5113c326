"""From a model to a planned design: import, simplify, quantise, lower, plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lepton_edge.backends.boards import Board, load_board
from lepton_edge.backends.fpga.design import (
    Design,
    Point,
    Request,
    explore_designs,
    make_design,
)
from lepton_edge.backends.fpga.folding import Caps, budget_of, read_pins
from lepton_edge.errors import (
    ConfigError,
    UnknownNameError,
    UnsupportedError,
    UserError,
)
from lepton_edge.flow.options import DEFAULT_BOARD, CompileOptions
from lepton_edge.flow.samples import read_samples
from lepton_edge.frontends import import_model
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.types import Array
from lepton_edge.passes.base import Watcher
from lepton_edge.passes.calibration import Observer
from lepton_edge.passes.insert_quantizers import is_quantized
from lepton_edge.passes.lower_integers import Lowered
from lepton_edge.passes.pipeline import QuantizeOptions, lower, quantize, simplify
from lepton_edge.passes.quantization_loss import QuantizationLoss, quantization_loss
from lepton_edge.progress import Progress

MIN_CLOCK_MHZ = 0.01
"""Slowest clock of any device: the 10 kHz oscillator of iCE40. Source: Lattice, FPGA-DS-02008."""


@dataclass(frozen=True)
class Planned:
    """What comes before anything is written.

    Args:
        network: the integer network.
        samples: calibration inputs.
        design: the planned hardware.
        loss: what quantisation cost on the samples; None for networks quantised before.
        doubts: what about the samples may be wrong.
    """

    network: Graph
    samples: dict[str, Array] | None
    design: Design
    loss: QuantizationLoss | None
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Exploration:
    """The designs worth considering for a network on a board, the fastest first."""

    model: str
    board: Board
    clock_mhz: float
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Prepared:
    """What comes before a target's own work.

    Args:
        graph: the simplified network, as it came.
        lowered: its integers, where it has any.
        samples: calibration inputs.
        doubts: what about the samples may be wrong.
        was_quantized: whether it came in floats and no longer is.
    """

    graph: Graph
    lowered: Lowered
    samples: dict[str, Array] | None
    doubts: tuple[str, ...]
    was_quantized: bool


def plan(
    model: Path | str | Any,
    options: CompileOptions,
    progress: Progress,
    watch: Watcher | None,
    example_inputs: Sequence[Any] | None,
) -> Planned:
    """Turn the model into integers and plan the hardware."""
    request = _request(options)
    prepared = prepare(model, options, progress, watch, example_inputs)
    lowered, samples = prepared.lowered, prepared.samples
    with progress.stage(f"plan the hardware for {request.board.title}"), _about(options.folding):
        design = make_design(lowered.graph, lowered.reasons, request)
    loss = None
    if samples and not is_quantized(prepared.graph):
        with progress.stage("compare the integers with the float network"):
            loss = quantization_loss(prepared.graph, lowered.graph, samples)
    return Planned(lowered.graph, samples, design, loss, prepared.doubts)


def survey(model: Path | str | Any, options: CompileOptions, progress: Progress) -> Exploration:
    """Turn the model into integers and plan the hardware for a whole range of rates."""
    request = _request(options)
    lowered = prepare(model, options, progress, None, None).lowered
    with progress.stage(f"explore what {request.board.title} can do"), _about(options.folding):
        points = explore_designs(lowered.graph, lowered.reasons, request, progress)
    return Exploration(lowered.graph.name, request.board, request.clock_mhz, points)


@contextmanager
def _about(folding: Path | str | None) -> Iterator[None]:
    """Name the file of pinned foldings in the errors of what it says."""
    try:
        yield
    except (ConfigError, UnknownNameError) as error:
        if folding:
            error.at(str(folding))
        raise


def _request(options: CompileOptions) -> Request:
    if options.target != "fpga":
        raise UnknownNameError.of("target", options.target, ("fpga",))
    board = load_board(DEFAULT_BOARD if options.board is None else options.board)
    clock_mhz = _clock(board, options.clock_mhz)
    pins = read_pins(Path(options.folding)) if options.folding else {}
    caps = Caps(options.lut, options.dsp, options.bram)
    budget_of(board, caps)  # refuses caps before any work is done
    return Request(board, clock_mhz, options.fps, options.latency_us, pins, caps)


def prepare(
    model: Path | str | Any,
    options: CompileOptions,
    progress: Progress,
    watch: Watcher | None,
    example_inputs: Sequence[Any] | None,
) -> Prepared:
    """Import a network, simplify it, and turn it into integers where the target wants them."""
    with progress.stage("import the model"):
        source = _import(model, example_inputs)
        _require_single_frames(source)
        samples, doubts = read_samples(source, options.calibration, progress)
    with progress.stage("simplify"):
        graph = simplify(source, watch)
    quantized = graph
    if options.target == "fpga" or options.quantize == "int8":
        with progress.stage("quantise"):
            quantized = quantize(graph, _quantize_options(options), samples, watch)
    with progress.stage("lower to exact integers"):
        lowered = lower(quantized, watch)
    return Prepared(
        graph, lowered, samples, doubts, not is_quantized(graph) and quantized is not graph
    )


def _import(model: Path | str | Any, example_inputs: Sequence[Any] | None) -> Graph:
    if isinstance(model, Path | str):
        return import_model(Path(model))
    from lepton_edge.frontends.torch import import_torch

    return import_torch(model, tuple(example_inputs or ()))


def _require_single_frames(graph: Graph) -> None:
    """Refuse a network for several frames at once, before its data is looked at."""
    for value in graph.inputs:
        shape = graph.types[value].shape
        if shape[:1] != (1,) and len(shape) > 1:
            raise UnsupportedError(
                f"input {value!r} has shape {list(shape)}; an accelerator takes one frame at once",
                where=graph.name,
                hint="export the model with batch size 1 (or a dynamic batch)",
            )


def _clock(board: Board, wanted: float | None) -> float:
    if wanted is None:
        return board.clock_mhz
    if wanted < MIN_CLOCK_MHZ:
        raise UserError(
            f"--clock-mhz {wanted:g} is below {MIN_CLOCK_MHZ:g} MHz",
            hint=f"use --clock-mhz {board.clock_mhz:g}, or leave it out",
        )
    if wanted > board.max_clock_mhz:
        raise UserError(
            f"{wanted:g} MHz is beyond the {board.max_clock_mhz:g} MHz that {board.title} is "
            "expected to reach",
            hint=f"use --clock-mhz {board.clock_mhz:g}, or leave it out",
        )
    return wanted


def _quantize_options(options: CompileOptions) -> QuantizeOptions:
    observers = {observer.value: observer for observer in Observer}
    if options.observer not in observers:
        raise UnknownNameError.of("observer", options.observer, observers)
    modes = ("auto", "none", "int8")
    if options.quantize not in modes:
        raise UnknownNameError.of("quantisation", options.quantize, modes)
    return QuantizeOptions(
        options.quantize, observers[options.observer], options.equalize, options.correct_bias
    )
