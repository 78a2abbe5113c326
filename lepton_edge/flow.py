"""From a network to a verified design: every step, in order, on one page."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lepton_edge import __version__
from lepton_edge.artifact.arrays import load_arrays, save_arrays
from lepton_edge.artifact.manifest import Manifest, TensorSpec
from lepton_edge.artifact.report import Evidence, Metric, Report, VerificationRow
from lepton_edge.artifact.store import ArtifactWriter, StoredArtifact, load_artifact, update_report
from lepton_edge.backends.boards import Board, load_board
from lepton_edge.backends.fpga.design import (
    Design,
    fallbacks,
    layer_rows,
    make_design,
    metrics,
    warnings,
)
from lepton_edge.backends.fpga.folding import read_pins
from lepton_edge.backends.fpga.hls_text import port_dtype, vector_files
from lepton_edge.errors import (
    CalibrationError,
    UnknownNameError,
    UnsupportedError,
    UserError,
    VerifyError,
)
from lepton_edge.frontends import import_model
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.ops.quantized import Quantize
from lepton_edge.ir.serde import load_graph, save_graph
from lepton_edge.ir.text import to_text
from lepton_edge.ir.types import Array, QuantType
from lepton_edge.passes.base import Watcher
from lepton_edge.passes.calibration import Observer
from lepton_edge.passes.insert_quantizers import is_quantized
from lepton_edge.passes.pipeline import QuantizeOptions, lower, quantize, simplify
from lepton_edge.passes.quantization_loss import QuantizationLoss, quantization_loss
from lepton_edge.progress import Progress, Silent
from lepton_edge.runtime.csim import CSimulation, PortSpec
from lepton_edge.toolchain.gxx import build_library

DEFAULT_BOARD = "pynq-z2"
LEVELS = ("reference", "csim")
GOLDEN_FRAMES = 8
"""Frames that travel with the project's own testbench."""

SOURCE_FOLDERS = ("hls/src", "hls/include", "hls/sim")
"""Folders in an artifact whose files g++ reads."""

KEPT_SAMPLES = 128
"""Samples that an artifact keeps for later verification."""


@dataclass(frozen=True)
class CompileOptions:
    """What ``compile`` is asked for.

    Args:
        target: kind of device; "fpga".
        board: a known board or a .toml file; DEFAULT_BOARD when None.
        calibration: .npz or .npy with real inputs.
        quantize: auto, none or int8.
        observer: minmax, percentile or mse.
        equalize: cross-layer equalisation before quantisation.
        correct_bias: bias correction after quantisation.
        fps: frames a second to reach.
        latency_us: latency to stay within.
        clock_mhz: clock; the board's default when None.
        folding: TOML with pinned foldings.
        samples: frames to prove in C simulation.
        csim: run C simulation.
        keep_stages: save the graph after each pass.
    """

    target: str = "fpga"
    board: str | None = None
    calibration: Path | str | None = None
    quantize: str = "auto"
    observer: str = "minmax"
    equalize: bool = False
    correct_bias: bool = False
    fps: float | None = None
    latency_us: float | None = None
    clock_mhz: float | None = None
    folding: Path | str | None = None
    samples: int = 32
    csim: bool = True
    keep_stages: bool = False


def compile_model(
    model: Path | str | Any,
    output: Path | str,
    options: CompileOptions | None = None,
    progress: Progress | None = None,
    *,
    example_inputs: Sequence[Any] | None = None,
) -> Artifact:
    """Compile a network to a design, prove it in C simulation, and write the artifact.

    Args:
        model: path of an ONNX or .pt2 file, or a torch.nn.Module.
        output: the artifact's directory; replaced only when everything has succeeded.
        options: what is wanted.
        progress: told what is going on.
        example_inputs: example arguments of a torch.nn.Module.

    Raises:
        LeptonError: what went wrong, where, and what to do.
    """
    options, progress = options or CompileOptions(), progress or Silent()
    started = time.monotonic()
    with ArtifactWriter(Path(output)) as writer:
        watch = _stage_saver(writer.root) if options.keep_stages else None
        planned = _plan(model, options, progress, watch, example_inputs)
        network, samples, design = planned.network, planned.samples, planned.design
        with progress.stage("write the HLS project"):
            _write_design(writer.root, network, design)
            samples = samples or random_inputs(network, options.samples)
            kept = {k: v[:KEPT_SAMPLES] for k, v in samples.items()}
            save_arrays(writer.root / "samples.npz", kept)
            _write_vectors(writer.root / "hls", design, kept)
        report = _report(planned, options)
        compile_s = time.monotonic() - started
        report = report.with_metric(
            Metric(
                "compile_s",
                round(compile_s, 3),
                "s",
                Evidence.MEASURED,
                "this machine, without C simulation",
            )
        )
        levels = LEVELS[1:] if options.csim else ()
        rows = _verify_levels(
            writer.root,
            _manifest(network, design, options),
            samples,
            options.samples,
            levels,
            progress,
        )
        for row in rows:
            report = report.with_verification(row)
        _require_equal(rows, str(output))
        stored = writer.commit(_manifest(network, design, options), report)
    return Artifact(stored)


def plan_model(
    model: Path | str | Any, options: CompileOptions | None = None, progress: Progress | None = None
) -> Report:
    """Plan a network and return the report with its estimates; writes nothing."""
    options, progress = options or CompileOptions(), progress or Silent()
    return _report(_plan(model, options, progress, None, None), options)


def open_artifact(path: Path | str) -> Artifact:
    """Return the artifact that ``compile_model`` wrote to ``path``."""
    return Artifact(load_artifact(Path(path)))


class Artifact:
    """A compiled network."""

    def __init__(self, stored: StoredArtifact) -> None:
        self._stored = stored
        self._report = stored.report

    @property
    def root(self) -> Path:
        """The artifact's directory."""
        return self._stored.root

    @property
    def manifest(self) -> Manifest:
        """What the artifact holds."""
        return self._stored.manifest

    @property
    def report(self) -> Report:
        """The figures."""
        return self._report

    def run(
        self, inputs: Mapping[str, Array], level: str = "csim", progress: Progress | None = None
    ) -> dict[str, Array]:
        """Compute the network's outputs.

        Args:
            inputs: an array [N, ...] for each input of the model.
            level: reference (the interpreter) or csim (the generated HLS source, by g++).
            progress: told what is going on.
        """
        if level not in LEVELS:
            raise UnknownNameError.of("level", level, LEVELS)
        self._check()
        return _run_network(self.root, self.manifest, inputs, level, progress or Silent())

    def verify(
        self,
        samples: int = 100,
        inputs: Mapping[str, Array] | None = None,
        levels: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Compare every level with the interpreter, bit for bit, and update the report.

        Args:
            samples: how many frames; the kept samples first, then random ones.
            inputs: frames to use instead.
            levels: levels to compare; all when None.
            progress: told what is going on.

        Raises:
            VerifyError: a level differs; the report says how often.
        """
        for level in levels or ():
            if level not in LEVELS:
                raise UnknownNameError.of("level", level, LEVELS)
        self._check()
        network = load_graph(self.root / "graphs" / "network.npz")
        if inputs is None:
            kept = load_arrays(self.root / "samples.npz", self.manifest.inputs)
            inputs = _extended(kept, network, samples)
        wanted = [level for level in levels or LEVELS if level != "reference"]
        rows = _verify_levels(self.root, self.manifest, inputs, None, wanted, progress or Silent())
        for row in rows:
            self._report = self._report.with_verification(row)
        update_report(self.root, self._report)
        _require_equal(rows, str(self.root))
        return self._report

    def _check(self) -> None:
        """See that what is about to be compiled and loaded is what compile wrote."""
        self._stored.check_files()
        self._stored.check_alone(*SOURCE_FOLDERS)


# -- compile, step by step ------------------------------------------------------------------------


def _plan(
    model: Path | str | Any,
    options: CompileOptions,
    progress: Progress,
    watch: Watcher | None,
    example_inputs: Sequence[Any] | None,
) -> _Planned:
    """Turn the model into integers and plan the hardware."""
    if options.target != "fpga":
        raise UnknownNameError.of("target", options.target, ("fpga",))
    board = load_board(DEFAULT_BOARD if options.board is None else options.board)
    clock_mhz = _clock(board, options.clock_mhz)
    pins = read_pins(Path(options.folding)) if options.folding else None
    with progress.stage("import the model"):
        source = _import(model, example_inputs)
        _require_single_frames(source)
        samples, doubts = _samples(source, options.calibration)
    with progress.stage("simplify"):
        graph = simplify(source, watch)
    with progress.stage("quantise"):
        quantized = quantize(graph, _quantize_options(options), samples, watch)
    with progress.stage("lower to exact integers"):
        lowered = lower(quantized, watch)
    with progress.stage(f"plan the hardware for {board.title}"):
        design = make_design(
            lowered.graph, lowered.reasons, board, clock_mhz,
            fps=options.fps, latency_us=options.latency_us, pins=pins,
        )  # fmt: skip
    loss = None
    if samples and not is_quantized(graph):
        with progress.stage("compare the integers with the float network"):
            loss = quantization_loss(graph, lowered.graph, samples)
    return _Planned(lowered.graph, samples, design, loss, doubts)


@dataclass(frozen=True)
class _Planned:
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


def _samples(
    graph: Graph, path: Path | str | None
) -> tuple[dict[str, Array] | None, tuple[str, ...]]:
    """Return the calibration inputs, checked against the model, and what looks wrong with them."""
    if path is None:
        return None, ()
    arrays = load_arrays(Path(path), _specs(graph, graph.inputs), CalibrationError)
    try:
        return interpreter.checked_inputs(graph, arrays), tuple(_doubts(graph, arrays))
    except UserError as error:
        raise CalibrationError(
            error.what,
            where=str(path),
            hint=error.hint or "one array per model input, samples first",
        ) from None


def _doubts(graph: Graph, arrays: Mapping[str, Array]) -> Iterator[str]:
    """Say where calibration data may not be what the network reads in use."""
    for value, array in arrays.items():
        if graph.types[value].is_float and array.dtype.kind in "iu":
            yield (
                f"the calibration data of input {value!r} is {array.dtype}, the network reads "
                "float32: make sure that it is scaled as in use (0..1, say, not 0..255)"
            )


def _specs(graph: Graph, values: Sequence[str]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec.of(value, graph.types[value]) for value in values)


def _stage_saver(root: Path) -> Watcher:
    folder = root / "stages"
    folder.mkdir()
    count = 0

    def save(name: str, graph: Graph) -> None:
        nonlocal count
        count += 1
        (folder / f"{count:02d}-{name}.txt").write_text(to_text(graph), encoding="utf-8")
        save_graph(graph, folder / f"{count:02d}-{name}.npz")

    return save


def _write_design(root: Path, network: Graph, design: Design) -> None:
    graphs = root / "graphs"
    graphs.mkdir()
    regions = design.regions
    parts = {"before": regions.before, "core": regions.core, "after": regions.after}
    for name, graph in {"network": network, **parts}.items():
        save_graph(graph, graphs / f"{name}.npz")
    (graphs / "network.txt").write_text(to_text(network), encoding="utf-8")
    for path, text in design.files.items():
        target = root / "hls" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _write_vectors(root: Path, design: Design, samples: Mapping[str, Array]) -> None:
    """Put a few golden frames beside the project's testbench."""
    regions = design.regions
    frames = {k: v[:GOLDEN_FRAMES] for k, v in samples.items()}
    codes = interpreter.run(regions.before, frames)
    results = interpreter.run(regions.core, {v: codes[v] for v in regions.core.inputs})
    arrays = [
        [source[v].reshape(len(source[v]), -1) for v in values]
        for source, values in ((codes, regions.core.inputs), (results, regions.core.outputs))
    ]
    for path, content in vector_files(design.dataflow, *arrays).items():
        (root / path).write_bytes(content)


def _manifest(network: Graph, design: Design, options: CompileOptions) -> Manifest:
    kept = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()}
    return Manifest(
        name=network.name,
        target=options.target,
        board=design.board.name,
        clock_mhz=design.clock_mhz,
        design_id=f"{design.design_id:08x}",
        inputs=_specs(network, network.inputs),
        outputs=_specs(network, network.outputs),
        tools={
            "lepton-edge": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        options={**kept, "design": design.dataflow.name, "ports": _ports(design)},
    )


def _ports(design: Design) -> dict[str, list[dict[str, Any]]]:
    dataflow, core = design.dataflow, design.regions.core
    return {
        side: [
            asdict(PortSpec(name, value, port_dtype(ends[name][1]).str, ends[name][1].elements))
            for name, value in zip(names, values, strict=True)
        ]
        for side, names, values, ends in (
            ("inputs", dataflow.ports_in, core.inputs, dataflow.reader),
            ("outputs", dataflow.ports_out, core.outputs, dataflow.writer),
        )
    }


def _report(planned: _Planned, options: CompileOptions) -> Report:
    design = planned.design
    return Report(
        model=planned.network.name,
        target=options.target,
        board=design.board.name,
        metrics=(*metrics(design), *_loss_metrics(planned.loss)),
        layers=layer_rows(design),
        fallbacks=fallbacks(design),
        warnings=(*planned.doubts, *warnings(design)),
    )


def _loss_metrics(loss: QuantizationLoss | None) -> Iterator[Metric]:
    """Return what quantisation cost: on the calibration samples, against the float network."""
    if loss is None:
        return
    source = f"integers against floats on {loss.samples} calibration samples"
    error = 100 * loss.relative_error
    yield Metric("output_error_percent", round(error, 3), "%", Evidence.MEASURED, source)
    if loss.same_top1 is not None:
        same = round(100 * loss.same_top1, 2)
        yield Metric("same_top1_percent", same, "%", Evidence.MEASURED, source)


# -- run and verify -------------------------------------------------------------------------------


def _simulation(root: Path, manifest: Manifest, progress: Progress) -> CSimulation:
    with progress.stage("build the C simulation"):
        project = root / "hls"
        sources = (f"src/{manifest.options['design']}.cpp", "sim/csim.cpp")
        library = build_library(project, sources, ("sim", "include"))
    ports = manifest.options["ports"]
    inputs, outputs = ([PortSpec(**p) for p in ports[side]] for side in ("inputs", "outputs"))
    return CSimulation(library, inputs, outputs, int(manifest.design_id, 16))


def _run_core(
    root: Path, manifest: Manifest, codes: Mapping[str, Array], level: str, progress: Progress
) -> dict[str, Array]:
    """Compute the FPGA's part at one level."""
    core = load_graph(root / "graphs" / "core.npz")
    codes = {value: codes[value] for value in core.inputs}
    if level == "reference":
        with progress.stage("interpret"):
            return interpreter.run(core, codes)
    simulation = _simulation(root, manifest, progress)
    with progress.stage("simulate the HLS source"):
        results = simulation.run(codes, progress.advance)
    return {
        v: r.reshape(len(r), *core.types[v].shape[1:]).astype(core.types[v].elem.dtype)
        for v, r in results.items()
    }


def _run_network(
    root: Path, manifest: Manifest, inputs: Mapping[str, Array], level: str, progress: Progress
) -> dict[str, Array]:
    before = load_graph(root / "graphs" / "before.npz")
    after = load_graph(root / "graphs" / "after.npz")
    codes = interpreter.run(before, inputs)
    codes |= _run_core(root, manifest, codes, level, progress)
    results = interpreter.run(after, {v: codes[v] for v in after.inputs})
    return {spec.name: results[spec.name] for spec in manifest.outputs}


def _verify_levels(
    root: Path,
    manifest: Manifest,
    inputs: Mapping[str, Array],
    limit: int | None,
    levels: Sequence[str],
    progress: Progress,
) -> list[VerificationRow]:
    """Compare levels with the interpreter on every output code of the FPGA's part."""
    if not levels:
        return []
    codes = interpreter.run(
        load_graph(root / "graphs" / "before.npz"), {k: v[:limit] for k, v in inputs.items()}
    )
    wanted = _run_core(root, manifest, codes, "reference", progress)
    rows = []
    for level in levels:
        started = time.monotonic()
        found = _run_core(root, manifest, codes, level, progress)
        mismatches = sum(int((found[v] != wanted[v]).sum()) for v in wanted)
        seconds = round(time.monotonic() - started, 3)
        samples = len(next(iter(wanted.values())))
        rows.append(VerificationRow(level, samples, mismatches, "reference", seconds))
    return rows


def _require_equal(rows: Sequence[VerificationRow], where: str) -> None:
    for row in rows:
        if row.mismatches:
            raise VerifyError(
                f"{row.level} differs from {row.against} in {row.mismatches} output codes of "
                f"{row.samples} samples",
                where=where,
                hint="please report this with the model: it is a fault of the compiler",
            )


def random_inputs(graph: Graph, count: int, seed: int = 0) -> dict[str, Array]:
    """Return inputs spread over everything that the network's input types can hold.

    Args:
        graph: an integer network.
        count: samples.
        seed: of the generator.
    """
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


def _extended(kept: Mapping[str, Array], graph: Graph, count: int) -> dict[str, Array]:
    """Return ``count`` samples: the kept ones first, then random ones."""
    found = len(next(iter(kept.values())))
    if count <= found:
        return {k: v[:count] for k, v in kept.items()}
    extra = random_inputs(graph, count - found, seed=1)
    return {k: np.concatenate([v, extra[k]]) for k, v in kept.items()}
