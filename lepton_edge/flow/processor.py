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

from lepton_edge.artifact.arrays import save_arrays
from lepton_edge.artifact.manifest import Manifest
from lepton_edge.artifact.report import Evidence, LayerRow, Metric, Report, VerificationRow
from lepton_edge.artifact.store import MANIFEST, ArtifactWriter, StoredArtifact
from lepton_edge.backends.computers import load_computer
from lepton_edge.errors import ToolMissingError, UserError
from lepton_edge.flow.layout import layout_document, layout_of
from lepton_edge.flow.levels import Verified, require_equal
from lepton_edge.flow.options import KEPT_SAMPLES, CompileOptions
from lepton_edge.flow.planning import Prepared, prepare
from lepton_edge.flow.samples import random_inputs, specs_of
from lepton_edge.flow.writing import loss_metrics, stage_saver, tool_versions
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.serde import load_graph, save_graph
from lepton_edge.ir.text import to_text
from lepton_edge.ir.types import Array
from lepton_edge.passes.quantization_loss import quantization_loss
from lepton_edge.progress import Progress
from lepton_edge.runtime.emulated import EmulatedSession
from lepton_edge.runtime.processor import Layout, Place, Session
from lepton_edge.toolchain import cross, linker

if TYPE_CHECKING:
    from lepton_edge.backends.tvm.machine import Machine
    from lepton_edge.backends.tvm.program import Program

DEFAULT_COMPUTER = "raspberry-pi-4"

FLOAT_TOLERANCE = 1e-4
"""Most that outputs of a float network may be off, of the largest output."""

BENCHMARK_RUNS = 200

CODE = "code"
"""The artifact's folder with the program."""

LIBRARY, WEIGHTS = "network.so", "weights.bin"


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
    machine = _machine(options)
    started = time.monotonic()
    with ArtifactWriter(output) as writer:
        watch = stage_saver(writer.root) if options.keep_stages else None
        prepared = prepare(model, options, progress, watch, example_inputs)
        network = prepared.lowered.graph
        with progress.stage("write the kernels"):
            program = lowered_program(network, machine)
            layout = write_code(writer.root / CODE, program)
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
    own = ("board",) if options.target == "cpu" else ()
    for name in (*own, "fps", "latency_us", "clock_mhz", "folding", "lut", "dsp", "bram"):
        if given[name] is not None:
            option = "--" + name.replace("_", "-")
            raise UserError(
                f"{option} is for hardware designs; the target is {options.target}",
                hint=f"leave {option} out, or choose --target fpga",
            )
    if not options.csim:
        raise UserError(
            f"--no-csim is for hardware designs; the target is {options.target}",
            hint="leave --no-csim out, or choose --target fpga",
        )


def _machine(options: CompileOptions) -> Machine:
    """Return the processor that is compiled for."""
    try:
        from lepton_edge.backends.tvm import machine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("tvm", "tvm_ffi"):
            raise
        raise ToolMissingError(
            "programs for processors are compiled by Apache TVM, which is not installed",
            hint="pip install 'apache-tvm>=0.27,<0.28'",
        ) from None

    if options.target == "cpu":
        return machine.host()
    host = load_computer(options.board or DEFAULT_COMPUTER).host
    of_arch = machine.arm64 if host.arch == "aarch64" else machine.arm32
    return of_arch(host.cpu.lower())


def write_code(folder: Path, program: Program) -> Layout:
    """Write a program: object files, constants, the C around them; a library for this computer."""
    from lepton_edge.backends.tvm import c_form
    from lepton_edge.backends.tvm.codegen import object_files, weights_of

    folder.mkdir(parents=True)
    weights = weights_of(program)
    objects = object_files(program, weights, folder)
    (folder / WEIGHTS).write_bytes(weights.data.tobytes())
    texts = {
        "network.h": c_form.header(program, weights.data.size),
        "network.c": c_form.source(program),
        "weights.S": c_form.WEIGHTS,
        "frames.c": c_form.main(program),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    if program.machine.arch == platform.machine():
        linker.link_library([*objects, c_form.THREADS], folder / LIBRARY)
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

    return Layout(
        program.arena.num_bytes,
        places(graph.inputs),
        places(graph.outputs),
        program.machine.arch,
        program.machine.features,
    )


def _board(options: CompileOptions) -> str:
    return "" if options.target == "cpu" else options.board or DEFAULT_COMPUTER


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
        board=_board(options),
        clock_mhz=0.0,
        design_id="0",
        inputs=specs_of(network, network.inputs),
        outputs=specs_of(network, network.outputs),
        tools=tool_versions(),
        options={**kept, "layout": layout_document(layout)},
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
        board=_board(options),
        metrics=metrics,
        layers=rows,
        warnings=prepared.doubts,
    )


# -- levels ---------------------------------------------------------------------------------------


def lowered_program(network: Graph, machine: Machine) -> Program:
    """Return the program of a network."""
    from lepton_edge.backends.tvm.program import lowered

    return lowered(network, machine)


def session(root: Path, manifest: Manifest, threads: int = 1) -> Session | EmulatedSession:
    """Return the network of an artifact, ready to run: here, or by an emulator.

    Args:
        root: the artifact.
        manifest: its manifest.
        threads: how many share the work; an emulated program has one.

    Raises:
        ArtifactError: the manifest does not tell where inputs and outputs lie.
        ToolMissingError: it is for another processor, and a tool for that is not there.
    """
    return open_session(root / CODE, layout_of(manifest, str(root / MANIFEST)), threads)


def open_session(folder: Path, layout: Layout, threads: int = 1) -> Session | EmulatedSession:
    """Return a program that ``write_code`` wrote, ready to run.

    Raises:
        UserError: an emulated program is to have several threads.
    """
    if layout.arch == platform.machine():
        return Session(folder / LIBRARY, folder / WEIGHTS, layout, threads)
    if threads != 1:
        raise UserError(
            f"a program for {layout.arch} has one thread here, where it is emulated",
            hint="leave --threads out",
        )
    emulator = cross.emulator(layout.arch)
    program = cross.build_program(folder, layout.arch)
    return EmulatedSession([*emulator, str(program)], layout)


def run_network(
    root: Path,
    manifest: Manifest,
    inputs: Mapping[str, Array],
    level: str,
    progress: Progress,
    threads: int = 1,
) -> dict[str, Array]:
    """Compute the whole network at one level."""
    network, checked = _network_and_inputs(root, inputs)
    if level == "reference":
        with progress.stage("interpret"):
            found = interpreter.run(network, checked)
    else:
        with progress.stage("run the network"):
            found = session(root, manifest, threads).run(checked, progress.advance)
    return {spec.name: found[spec.name] for spec in manifest.outputs}


def _network_and_inputs(root: Path, inputs: Mapping[str, Array]) -> tuple[Graph, dict[str, Array]]:
    """Return an artifact's network, and inputs as it takes them."""
    network = load_graph(root / "graphs" / "network.npz")
    return network, interpreter.checked_inputs(network, inputs)


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
    network, checked = _network_and_inputs(root, frames)
    with progress.stage("interpret"):
        wanted = interpreter.run(network, checked)
    started = time.monotonic()
    with progress.stage("run the network"):
        device = session(root, manifest)
        found = device.run(checked, progress.advance)
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


def _speed(device: Session | EmulatedSession) -> Iterator[Metric]:
    """Yield what a frame takes, where it runs by itself."""
    if not isinstance(device, Session):
        return
    latency = 1e6 * statistics.median(device.benchmark(BENCHMARK_RUNS))
    source = f"median of {BENCHMARK_RUNS} runs on this machine, one thread"
    yield Metric("latency_us", round(latency, 3), "µs", Evidence.MEASURED, source)
    yield Metric("throughput_fps", round(1e6 / latency, 1), "frames/s", Evidence.MEASURED, source)
