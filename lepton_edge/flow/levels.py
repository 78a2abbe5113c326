"""The levels of a design: run one, compare them all with the interpreter."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lepton_edge.artifact.manifest import Manifest
from lepton_edge.artifact.report import Evidence, Metric, VerificationRow
from lepton_edge.errors import ToolMissingError, VerifyError
from lepton_edge.flow.consistency import interface_of
from lepton_edge.flow.options import LEVELS_OF
from lepton_edge.ir import interpreter
from lepton_edge.ir.serde import load_graph
from lepton_edge.ir.types import Array
from lepton_edge.progress import Progress
from lepton_edge.runtime.csim import CSimulation
from lepton_edge.runtime.rtlsim import RtlRun, RtlSimulation
from lepton_edge.toolchain import gxx, verilator

STALL = 0.3
"""Chance that a port stalls in a cycle when RTL is verified under stalls."""

STALLED_FRAMES = 100
"""Frames back to back under stalls, samples repeated where there are fewer."""

Codes = Mapping[str, Array]


@dataclass(frozen=True)
class Verified:
    """What comparing levels gave.

    Args:
        rows: a row a comparison.
        metrics: what the simulations measured on the way.
    """

    rows: tuple[VerificationRow, ...] = ()
    metrics: tuple[Metric, ...] = ()


def missing_tools() -> dict[str, ToolMissingError]:
    """Return the levels that this machine cannot run, and why."""
    needs = {"csim": (gxx.compiler,), "rtl": (gxx.compiler, verilator.find_verilator)}
    missing: dict[str, ToolMissingError] = {}
    for level, finders in needs.items():
        for find in finders:
            try:
                find()
            except ToolMissingError as error:
                missing.setdefault(level, error)
    return missing


def runnable_levels(progress: Progress) -> list[str]:
    """Return the levels beside the reference that this machine can run; says which it cannot.

    Raises:
        ToolMissingError: it can run none.
    """
    missing = missing_tools()
    levels = [level for level in LEVELS_OF["fpga"] if level not in ("reference", *missing)]
    if not levels:
        raise next(iter(missing.values()))
    for level, error in missing.items():
        progress.note(f"level {level} is left out: {error.what} ({error.hint})")
    return levels


# -- one level ----------------------------------------------------------------------------------


def c_simulation(root: Path, manifest: Manifest, progress: Progress) -> CSimulation:
    """Return the C simulation of an artifact's design, built now or before."""
    interface = interface_of(manifest)
    with progress.stage("build the C simulation"):
        sources = (f"src/{interface.design}.cpp", "sim/csim.cpp")
        library = gxx.build_library(root / "hls", sources, ("sim", "include"))
    return CSimulation(library, interface.inputs, interface.outputs, int(manifest.design_id, 16))


def rtl_simulation(
    root: Path, manifest: Manifest, progress: Progress, *, is_traced: bool = False
) -> RtlSimulation:
    """Return the RTL simulation of an artifact's design, built now or before."""
    project = root / "rtl"
    interface = interface_of(manifest)
    top = interface.design
    kernels = sorted(path.name for path in (project / "kernels").glob("*.sv"))
    with progress.stage("build the RTL simulation"):
        library = verilator.build_simulation(
            project,
            top,
            (f"{top}.sv", *(f"kernels/{name}" for name in kernels)),
            ("sim/bridge.cpp",),
            ("sim",),
            is_traced=is_traced,
        )
    return RtlSimulation(
        library, project, interface.inputs, interface.outputs, int(manifest.design_id, 16)
    )


def run_core(
    root: Path,
    manifest: Manifest,
    codes: Codes,
    level: str,
    progress: Progress,
    trace: Path | None = None,
) -> dict[str, Array]:
    """Compute the FPGA's part at one level.

    Args:
        root: the artifact.
        manifest: its manifest.
        codes: codes [N, ...] of each value that enters the FPGA's part.
        level: one of LEVELS.
        progress: told what is going on.
        trace: where to write waveforms of an RTL simulation.
    """
    core = load_graph(root / "graphs" / "core.npz")
    codes = {value: codes[value] for value in core.inputs}
    if level == "reference":
        with progress.stage("interpret"):
            return interpreter.run(core, codes)
    if level == "csim":
        c_form = c_simulation(root, manifest, progress)
        with progress.stage("simulate the HLS source"):
            results = c_form.run(codes, progress.advance)
    else:
        rtl = rtl_simulation(root, manifest, progress, is_traced=trace is not None)
        with progress.stage("simulate the RTL"):
            results = rtl.run(codes, progress.advance, trace)
    return {
        v: r.reshape(len(r), *core.types[v].shape[1:]).astype(core.types[v].elem.dtype)
        for v, r in results.items()
    }


def run_network(
    root: Path,
    manifest: Manifest,
    inputs: Codes,
    level: str,
    progress: Progress,
    trace: Path | None = None,
) -> dict[str, Array]:
    """Compute the whole network at one level: host, FPGA, host."""
    before = load_graph(root / "graphs" / "before.npz")
    after = load_graph(root / "graphs" / "after.npz")
    codes = interpreter.run(before, inputs)
    codes |= run_core(root, manifest, codes, level, progress, trace)
    results = interpreter.run(after, {v: codes[v] for v in after.inputs})
    return {spec.name: results[spec.name] for spec in manifest.outputs}


# -- all levels ---------------------------------------------------------------------------------


def verify_levels(
    root: Path,
    manifest: Manifest,
    inputs: Codes,
    limit: int | None,
    levels: Sequence[str],
    progress: Progress,
) -> Verified:
    """Compare levels with the interpreter on every output code of the FPGA's part."""
    if not levels:
        return Verified()
    codes = interpreter.run(
        load_graph(root / "graphs" / "before.npz"), {k: v[:limit] for k, v in inputs.items()}
    )
    wanted = run_core(root, manifest, codes, "reference", progress)
    rows: list[VerificationRow] = []
    metrics: list[Metric] = []
    for level in levels:
        if level == "rtl":
            verified = _verify_rtl(root, manifest, codes, wanted, progress)
            rows += verified.rows
            metrics += verified.metrics
        else:
            started = time.monotonic()
            found = run_core(root, manifest, codes, level, progress)
            rows.append(_row(level, found, wanted, time.monotonic() - started))
    return Verified(tuple(rows), tuple(metrics))


def _row(level: str, found: Codes, wanted: Codes, seconds: float) -> VerificationRow:
    differs = np.logical_or.reduce(
        [(found[v] != r).reshape(len(r), -1).any(axis=1) for v, r in wanted.items()]
    )
    return VerificationRow(level, len(differs), int(differs.sum()), "reference", round(seconds, 3))


def _verify_rtl(
    root: Path, manifest: Manifest, codes: Codes, wanted: Codes, progress: Progress
) -> Verified:
    """Run frames back to back at full speed, which is measured, and under random stalls."""
    started = time.monotonic()
    core = load_graph(root / "graphs" / "core.npz")
    frames = {value: codes[value] for value in core.inputs}
    many, wanted_of_many = (_repeated(arrays, STALLED_FRAMES) for arrays in (frames, wanted))
    rtl = rtl_simulation(root, manifest, progress)
    with progress.stage("simulate the RTL, with and without stalls"), ThreadPoolExecutor(2) as pool:
        free = pool.submit(rtl.run_back_to_back, frames)
        stalled = pool.submit(rtl.run_back_to_back, many, stall_in=STALL, stall_out=STALL)
        runs = free.result(), stalled.result()
    seconds = time.monotonic() - started
    rows = (
        _row("rtl", runs[0].outputs, wanted, seconds),
        _row("rtl-stalled", runs[1].outputs, wanted_of_many, seconds),
    )
    return Verified(rows, tuple(_timing_metrics(runs[0], manifest.clock_mhz)))


def _repeated(arrays: Codes, count: int) -> dict[str, Array]:
    """Return at least ``count`` frames, repeating those that there are."""
    return {
        name: array if len(array) >= count else array[[i % len(array) for i in range(count)]]
        for name, array in arrays.items()
    }


def _timing_metrics(run: RtlRun, clock_mhz: float) -> Iterator[Metric]:
    """Yield what an RTL simulation without stalls says of speed, at the design's clock."""
    source = f"RTL simulation of {len(run.ends)} frames back to back"

    def simulated(name: str, value: float, unit: str = "") -> Metric:
        return Metric(name, round(value, 3), unit, Evidence.SIMULATED, source)

    yield simulated("latency_cycles", run.latency_cycles)
    yield simulated("latency_us", run.latency_cycles / clock_mhz, "µs")
    if run.cycles_per_frame is not None:
        yield simulated("cycles_per_frame", run.cycles_per_frame)
        yield simulated("throughput_fps", clock_mhz * 1e6 / run.cycles_per_frame, "frames/s")


def require_equal(rows: Sequence[VerificationRow], where: str) -> None:
    """Raise VerifyError unless every level equals its reference."""
    for row in rows:
        if row.mismatches:
            raise VerifyError(
                f"{row.level} differs from {row.against} in {row.mismatches} of "
                f"{row.samples} samples",
                where=where,
                hint="please report this with the model: it is a fault of the compiler",
            )
