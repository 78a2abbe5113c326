"""Networks on processors: compile, run, verify."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lepton_edge import __version__
from lepton_edge.artifact.arrays import save_arrays
from lepton_edge.artifact.manifest import Manifest
from lepton_edge.artifact.report import Evidence, LayerRow, Metric, Report, VerificationRow
from lepton_edge.artifact.store import ArtifactWriter, StoredArtifact
from lepton_edge.errors import UserError
from lepton_edge.flow.levels import Verified, require_equal
from lepton_edge.flow.options import KEPT_SAMPLES, CompileOptions
from lepton_edge.flow.planning import Prepared, prepare
from lepton_edge.flow.samples import random_inputs, specs_of
from lepton_edge.flow.writing import loss_metrics, stage_saver
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.serde import load_graph, save_graph
from lepton_edge.ir.text import to_text
from lepton_edge.ir.types import Array
from lepton_edge.passes.quantization_loss import quantization_loss
from lepton_edge.progress import Progress
from lepton_edge.runtime.processor import Layout, Place, Session
from lepton_edge.toolchain import linker

if TYPE_CHECKING:
    from lepton_edge.backends.tvm.program import Program

FLOAT_TOLERANCE = 1e-4
"""Most that outputs of a float network may be off, of the largest output."""

BENCHMARK_RUNS = 200

CODE = Path("code")
LIBRARY, WEIGHTS = CODE / "network.so", CODE / "weights.bin"


def compile_for_processor(
    model: Path | str | Any,
    output: Path,
    options: CompileOptions,
    progress: Progress,
    example_inputs: Sequence[Any] | None,
) -> StoredArtifact:
    """Compile a network for this computer's processor, prove it, and write the artifact.

    Raises:
        UserError: an option was given that only designs have.
    """
    _refuse_options_of_designs(options)
    started = time.monotonic()
    with ArtifactWriter(output) as writer:
        watch = stage_saver(writer.root) if options.keep_stages else None
        prepared = prepare(model, options, progress, watch, example_inputs)
        network = prepared.lowered.graph
        with progress.stage("write the kernels"):
            program = _program(network)
            layout = write_code(writer.root, program)
        samples = prepared.samples or random_inputs(network, options.samples)
        _write_graph(writer.root, network)
        save_arrays(writer.root / "samples.npz", {k: v[:KEPT_SAMPLES] for k, v in samples.items()})
        compile_s = round(time.monotonic() - started, 3)
        manifest = _manifest(network, layout, options)
        report = _report(prepared, program, options)
        source = "this machine"
        report = report.with_metric(Metric("compile_s", compile_s, "s", Evidence.MEASURED, source))
        verified = verify_levels(
            writer.root, manifest, samples, options.samples, ["device"], progress
        )
        report = report.with_rows(verified.rows).with_metrics(verified.metrics)
        require_equal(verified.rows, str(output))
        return writer.commit(manifest, report)


def _refuse_options_of_designs(options: CompileOptions) -> None:
    given = asdict(options)
    for name in ("board", "fps", "latency_us", "clock_mhz", "folding", "lut", "dsp", "bram"):
        if given[name] is not None:
            option = "--" + name.replace("_", "-")
            raise UserError(
                f"{option} is for hardware designs; the target is {options.target}",
                hint=f"leave {option} out, or choose --target fpga",
            )


def _program(network: Graph) -> Program:
    from lepton_edge.backends.tvm.machine import host
    from lepton_edge.backends.tvm.program import lowered

    return lowered(network, host())


def write_code(root: Path, program: Program) -> Layout:
    """Write a program's library and constants."""
    from lepton_edge.backends.tvm.codegen import object_files, weights_of

    folder = root / CODE
    folder.mkdir()
    weights = weights_of(program)
    linker.link_library(object_files(program, weights, folder), root / LIBRARY)
    (root / WEIGHTS).write_bytes(weights.data.tobytes())
    graph = program.graph

    def places(values: Sequence[str]) -> tuple[Place, ...]:
        return tuple(
            Place(
                value,
                str(graph.types[value].elem.dtype),
                graph.types[value].shape,
                program.arena.offsets[value],
            )
            for value in values
        )

    features = program.machine.features
    return Layout(program.arena.num_bytes, places(graph.inputs), places(graph.outputs), features)


def _write_graph(root: Path, network: Graph) -> None:
    folder = root / "graphs"
    folder.mkdir()
    save_graph(network, folder / "network.npz")
    (folder / "network.txt").write_text(to_text(network), encoding="utf-8")


def _manifest(network: Graph, layout: Layout, options: CompileOptions) -> Manifest:
    kept = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()}
    return Manifest(
        name=network.name,
        target=options.target,
        board="",
        clock_mhz=0.0,
        design_id="0",
        inputs=specs_of(network, network.inputs),
        outputs=specs_of(network, network.outputs),
        tools={
            "lepton-edge": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        options={**kept, "layout": asdict(layout)},
    )


def _report(prepared: Prepared, program: Program, options: CompileOptions) -> Report:
    network = prepared.lowered.graph
    loss = None
    if prepared.samples and prepared.was_quantized:
        loss = quantization_loss(prepared.graph, network, prepared.samples)
    weights = sum(a.nbytes for a in network.constants.values())
    arena, source = program.arena, "static plan"
    metrics = (
        Metric("model_bytes", weights, "bytes", Evidence.MEASURED, "constants of the network"),
        Metric("activation_bytes", arena.num_bytes, "bytes", Evidence.MEASURED, source),
        Metric(
            "activation_bound_bytes", arena.bound, "bytes", Evidence.MEASURED,
            "largest set of values that live at once",
        ),
        *loss_metrics(loss),
    )  # fmt: skip
    rows = tuple(
        LayerRow(call.layer, call.label, options.target, {}, None, {}, call.sources)
        for call in program.calls
    )
    return Report(
        model=network.name,
        target=options.target,
        board="",
        metrics=metrics,
        layers=rows,
        warnings=prepared.doubts,
    )


# -- levels ---------------------------------------------------------------------------------------


def session(root: Path, manifest: Manifest) -> Session:
    """Return the network of an artifact, ready to run."""
    stored = manifest.options["layout"]
    inputs, outputs = (
        tuple(Place(**{**p, "shape": tuple(p["shape"])}) for p in stored[side])
        for side in ("inputs", "outputs")
    )
    layout = Layout(stored["arena_bytes"], inputs, outputs, tuple(stored["features"]))
    return Session(root / LIBRARY, root / WEIGHTS, layout)


def run_network(
    root: Path, manifest: Manifest, inputs: Mapping[str, Array], level: str, progress: Progress
) -> dict[str, Array]:
    """Compute the whole network at one level."""
    network = load_graph(root / "graphs" / "network.npz")
    checked = interpreter.checked_inputs(network, inputs)
    if level == "reference":
        with progress.stage("interpret"):
            found = interpreter.run(network, checked)
    else:
        with progress.stage("run the network"):
            found = session(root, manifest).run(checked, progress.advance)
    return {spec.name: found[spec.name] for spec in manifest.outputs}


def verify_levels(
    root: Path,
    manifest: Manifest,
    inputs: Mapping[str, Array],
    limit: int | None,
    levels: Sequence[str],
    progress: Progress,
) -> Verified:
    """Compare the compiled network with the interpreter, and measure it.

    Codes must be equal bit for bit; floats may differ by FLOAT_TOLERANCE.
    """
    if not levels:
        return Verified()
    frames = {k: v[:limit] for k, v in inputs.items()}
    wanted = run_network(root, manifest, frames, "reference", progress)
    started = time.monotonic()
    network = load_graph(root / "graphs" / "network.npz")
    device = session(root, manifest)
    found = device.run(interpreter.checked_inputs(network, frames), progress.advance)
    seconds = time.monotonic() - started
    differs = np.logical_or.reduce([_differs(found[v], w) for v, w in wanted.items()])
    row = VerificationRow(
        "device", len(differs), int(differs.sum()), "reference", round(seconds, 3)
    )
    return Verified((row,), tuple(_speed(device)))


def _differs(found: Array, wanted: Array) -> Array:
    """Return for each sample whether it differs."""
    a, b = (x.reshape(len(x), -1) for x in (found, wanted))
    if a.dtype.kind != "f":
        return np.asarray((a != b).any(axis=1))
    most = np.maximum(1.0, np.abs(b).max(axis=1, keepdims=True, initial=0))
    return np.asarray(~(np.abs(a - b) <= FLOAT_TOLERANCE * most).all(axis=1))


def _speed(device: Session) -> Iterator[Metric]:
    """Yield what a frame takes."""
    latency = 1e6 * statistics.median(device.benchmark(BENCHMARK_RUNS))
    source = f"median of {BENCHMARK_RUNS} runs on this machine, one thread"
    yield Metric("latency_us", round(latency, 3), "µs", Evidence.MEASURED, source)
    yield Metric("throughput_fps", round(1e6 / latency, 1), "frames/s", Evidence.MEASURED, source)
