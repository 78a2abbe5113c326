"""The levels of a design: run one, compare them all with the interpreter."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lepton_edge.artifact.manifest import Manifest
from lepton_edge.artifact.report import VerificationRow
from lepton_edge.errors import (
    VerifyError,
)
from lepton_edge.ir import interpreter
from lepton_edge.ir.serde import load_graph
from lepton_edge.ir.types import Array
from lepton_edge.progress import Progress
from lepton_edge.runtime.csim import CSimulation, PortSpec
from lepton_edge.toolchain.gxx import build_library


def _simulation(root: Path, manifest: Manifest, progress: Progress) -> CSimulation:
    with progress.stage("build the C simulation"):
        project = root / "hls"
        sources = (f"src/{manifest.options['design']}.cpp", "sim/csim.cpp")
        library = build_library(project, sources, ("sim", "include"))
    ports = manifest.options["ports"]
    inputs, outputs = ([PortSpec(**p) for p in ports[side]] for side in ("inputs", "outputs"))
    return CSimulation(library, inputs, outputs, int(manifest.design_id, 16))


def run_core(
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


def run_network(
    root: Path, manifest: Manifest, inputs: Mapping[str, Array], level: str, progress: Progress
) -> dict[str, Array]:
    """Compute the whole network at one level: host, FPGA, host."""
    before = load_graph(root / "graphs" / "before.npz")
    after = load_graph(root / "graphs" / "after.npz")
    codes = interpreter.run(before, inputs)
    codes |= run_core(root, manifest, codes, level, progress)
    results = interpreter.run(after, {v: codes[v] for v in after.inputs})
    return {spec.name: results[spec.name] for spec in manifest.outputs}


def verify_levels(
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
    wanted = run_core(root, manifest, codes, "reference", progress)
    rows = []
    for level in levels:
        started = time.monotonic()
        found = run_core(root, manifest, codes, level, progress)
        mismatches = sum(int((found[v] != wanted[v]).sum()) for v in wanted)
        seconds = round(time.monotonic() - started, 3)
        samples = len(next(iter(wanted.values())))
        rows.append(VerificationRow(level, samples, mismatches, "reference", seconds))
    return rows


def require_equal(rows: Sequence[VerificationRow], where: str) -> None:
    """Raise VerifyError unless every level equals its reference."""
    for row in rows:
        if row.mismatches:
            raise VerifyError(
                f"{row.level} differs from {row.against} in {row.mismatches} output codes of "
                f"{row.samples} samples",
                where=where,
                hint="please report this with the model: it is a fault of the compiler",
            )
