"""Compile: every step from a model to a verified artifact, in order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lepton_edge.artifact.arrays import save_arrays
from lepton_edge.artifact.report import Evidence, Metric, Report
from lepton_edge.artifact.store import ArtifactWriter
from lepton_edge.flow.compiled import Artifact
from lepton_edge.flow.levels import require_equal, verify_levels
from lepton_edge.flow.options import KEPT_SAMPLES, PROCESSORS, CompileOptions
from lepton_edge.flow.planning import Exploration, plan, survey
from lepton_edge.flow.processor import compile_for_processor
from lepton_edge.flow.samples import random_inputs
from lepton_edge.flow.writing import (
    manifest_of,
    report_of,
    stage_saver,
    write_design,
    write_vectors,
)
from lepton_edge.progress import Progress, Silent


def compile_model(
    model: Path | str | Any,
    output: Path | str,
    options: CompileOptions | None = None,
    progress: Progress | None = None,
    *,
    example_inputs: Sequence[Any] | None = None,
) -> Artifact:
    """Compile a network for a target, prove it there or in simulation, and write the artifact.

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
    if options.target in PROCESSORS:
        stored = compile_for_processor(model, Path(output), options, progress, example_inputs)
        return Artifact(stored)
    started = time.monotonic()
    with ArtifactWriter(Path(output)) as writer:
        watch = stage_saver(writer.root) if options.keep_stages else None
        planned = plan(model, options, progress, watch, example_inputs)
        network, samples, design = planned.network, planned.samples, planned.design
        with progress.stage("write the HLS and RTL projects"):
            write_design(writer.root, network, design)
            samples = samples or random_inputs(network, options.samples)
            kept = {k: v[:KEPT_SAMPLES] for k, v in samples.items()}
            save_arrays(writer.root / "samples.npz", kept)
            write_vectors(writer.root / "hls", design, kept)
        report = report_of(planned, options)
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
        levels = ("csim",) if options.csim else ()
        manifest = manifest_of(network, design, options)
        verified = verify_levels(
            writer.root,
            manifest,
            samples,
            options.samples,
            levels,
            progress,
        )
        report = report.with_rows(verified.rows)
        require_equal(verified.rows, str(output))
        stored = writer.commit(manifest, report)
    return Artifact(stored)


def plan_model(
    model: Path | str | Any, options: CompileOptions | None = None, progress: Progress | None = None
) -> Report:
    """Plan a network and return the report with its estimates; writes nothing."""
    options, progress = options or CompileOptions(), progress or Silent()
    return report_of(plan(model, options, progress, None, None), options)


def explore_model(
    model: Path | str | Any, options: CompileOptions | None = None, progress: Progress | None = None
) -> Exploration:
    """Plan a network for a whole range of rates; writes nothing."""
    return survey(model, options or CompileOptions(), progress or Silent())
