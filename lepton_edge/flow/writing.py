"""What goes into an artifact: graphs, the HLS project, manifest and report."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lepton_edge import __version__
from lepton_edge.artifact.manifest import Manifest
from lepton_edge.artifact.report import Evidence, Metric, Report
from lepton_edge.backends.fpga.design import (
    Design,
    fallbacks,
    layer_rows,
    metrics,
    warnings,
)
from lepton_edge.backends.fpga.hls_text import port_dtype, vector_files
from lepton_edge.backends.fpga.rtl_nodes import NODES, structure_of
from lepton_edge.flow.options import GOLDEN_FRAMES, CompileOptions
from lepton_edge.flow.planning import Planned
from lepton_edge.flow.samples import specs_of
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.serde import save_graph
from lepton_edge.ir.text import to_text
from lepton_edge.ir.types import Array
from lepton_edge.passes.base import Watcher
from lepton_edge.passes.quantization_loss import QuantizationLoss
from lepton_edge.runtime.csim import PortSpec


def stage_saver(root: Path) -> Watcher:
    """Return a watcher that saves the graph after each pass below ``root``."""
    folder = root / "stages"
    folder.mkdir()
    count = 0

    def save(name: str, graph: Graph) -> None:
        nonlocal count
        count += 1
        (folder / f"{count:02d}-{name}.txt").write_text(to_text(graph), encoding="utf-8")
        save_graph(graph, folder / f"{count:02d}-{name}.npz")

    return save


def write_design(root: Path, network: Graph, design: Design) -> None:
    """Write the graphs, the HLS project and the RTL project."""
    graphs = root / "graphs"
    graphs.mkdir()
    regions = design.regions
    parts = {"before": regions.before, "core": regions.core, "after": regions.after}
    for name, graph in {"network": network, **parts}.items():
        save_graph(graph, graphs / f"{name}.npz")
    (graphs / "network.txt").write_text(to_text(network), encoding="utf-8")
    nodes = structure_of(design.dataflow, design.design_id, design.board.dsp_kind).to_json()
    for project, files in (("hls", design.files), ("rtl", {**design.rtl.files, NODES: nodes})):
        for path, text in files.items():
            target = root / project / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


def write_vectors(root: Path, design: Design, samples: Mapping[str, Array]) -> None:
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


def manifest_of(network: Graph, design: Design, options: CompileOptions) -> Manifest:
    """Return the manifest of a design."""
    kept = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()}
    return Manifest(
        name=network.name,
        target=options.target,
        board=design.board.name,
        clock_mhz=design.clock_mhz,
        design_id=f"{design.design_id:08x}",
        inputs=specs_of(network, network.inputs),
        outputs=specs_of(network, network.outputs),
        tools=tool_versions(),
        options={**kept, "design": design.dataflow.name, "ports": _ports(design)},
    )


def tool_versions() -> dict[str, str]:
    """Return the versions of what makes an artifact."""
    return {
        "lepton-edge": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _ports(design: Design) -> dict[str, list[dict[str, Any]]]:
    dataflow, core = design.dataflow, design.regions.core
    return {
        side: [
            asdict(PortSpec(name, value, port_dtype(port).str, port.elements, port.lanes))
            for name, value in zip(names, values, strict=True)
            for _, port in [ends[name]]
        ]
        for side, names, values, ends in (
            ("inputs", dataflow.ports_in, core.inputs, dataflow.reader),
            ("outputs", dataflow.ports_out, core.outputs, dataflow.writer),
        )
    }


def report_of(planned: Planned, options: CompileOptions) -> Report:
    """Return the report of a planned design."""
    design = planned.design
    return Report(
        model=planned.network.name,
        target=options.target,
        board=design.board.name,
        metrics=(*metrics(design), *loss_metrics(planned.loss)),
        layers=layer_rows(design),
        fallbacks=fallbacks(design),
        warnings=(*planned.doubts, *warnings(design)),
    )


def loss_metrics(loss: QuantizationLoss | None) -> Iterator[Metric]:
    """Return what quantisation cost: on the calibration samples, against the float network."""
    if loss is None:
        return
    source = f"integers against floats on {loss.samples} calibration samples"
    error = 100 * loss.relative_error
    yield Metric("output_error_percent", round(error, 3), "%", Evidence.MEASURED, source)
    if loss.same_top1 is not None:
        same = round(100 * loss.same_top1, 2)
        yield Metric("same_top1_percent", same, "%", Evidence.MEASURED, source)
