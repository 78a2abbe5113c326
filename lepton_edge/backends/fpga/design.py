"""A planned design: what the host and the FPGA compute, on which board, and what it will cost."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from lepton_edge.artifact.report import Evidence, FallbackRow, LayerRow, Metric
from lepton_edge.backends.boards import Board, Resources
from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.folding import Goal, Pins, budget_of, plan
from lepton_edge.backends.fpga.hls_text import HlsOptions, board_files, network_files
from lepton_edge.backends.fpga.kernels.plumbing import Fork, WidthConverter
from lepton_edge.backends.fpga.kernels.window import Padding, SlidingWindow
from lepton_edge.backends.fpga.lower import lower_dataflow
from lepton_edge.backends.fpga.regions import Regions, split_regions
from lepton_edge.backends.fpga.rtl_text import RtlProject, rtl_project
from lepton_edge.backends.fpga.schedule import latency_cycles
from lepton_edge.errors import DoesNotFitError, UserError
from lepton_edge.ir.graph import Graph

MODEL_ERROR = "not calibrated yet"
"""What the report says about the error of the cost functions."""


@dataclass(frozen=True)
class Design:
    """A network planned for a board.

    Args:
        regions: what the host and the FPGA compute.
        dataflow: the FPGA's part, folded, connected, with FIFO depths.
        board: the board.
        clock_mhz: the clock.
        design_id: identity of the generated hardware.
        files: the HLS project.
        rtl: the same design in SystemVerilog.
    """

    regions: Regions
    dataflow: Dataflow
    board: Board
    clock_mhz: float
    design_id: int
    files: Mapping[str, str]
    rtl: RtlProject


def make_design(
    graph: Graph,
    reasons: Mapping[str, str],
    board: Board,
    clock_mhz: float,
    *,
    fps: float | None = None,
    latency_us: float | None = None,
    pins: Pins | None = None,
) -> Design:
    """Plan an integer graph for a board and write its HLS project.

    Args:
        graph: the lowered network.
        reasons: why some of its nodes stayed in float.
        board: the board.
        clock_mhz: the clock to plan for.
        fps: frames a second to reach at least.
        latency_us: latency of one frame to stay within.
        pins: foldings that the user fixed.

    Raises:
        UnsupportedError: layers that neither the FPGA nor the ends of the host part can compute.
        DoesNotFitError: the goal cannot be met on the board.
    """
    regions = split_regions(graph, reasons)
    goal = Goal(
        None if fps is None else int(clock_mhz * 1e6 / fps),
        None if latency_us is None else int(clock_mhz * latency_us),
    )
    if goal.cycles == 0 or goal.latency == 0:
        raise UserError(
            f"the goal leaves less than one clock cycle at {clock_mhz:g} MHz",
            hint="ask for less, or for a higher --clock-mhz",
        )
    lowered = lower_dataflow(regions.core)
    try:
        dataflow = plan(lowered, budget_of(board), goal, pins)
    except DoesNotFitError as error:
        if goal != Goal():
            error.hint += f"; {_best(lowered, board, clock_mhz, pins)}"
        raise
    files = network_files(dataflow)
    # The identity is a hash of the project without it; only the board's files are written twice.
    anonymous = {
        **files,
        **board_files(dataflow, HlsOptions(board, clock_mhz, 0)),
        **rtl_project(dataflow, 0, board.dsp_kind).files,
    }
    digest = hashlib.sha256("\0".join(f"{k}\0{v}" for k, v in sorted(anonymous.items())).encode())
    design_id = int(digest.hexdigest()[:8], 16)
    files |= board_files(dataflow, HlsOptions(board, clock_mhz, design_id))
    rtl = rtl_project(dataflow, design_id, board.dsp_kind)
    return Design(regions, dataflow, board, clock_mhz, design_id, files, rtl)


def _best(lowered: Dataflow, board: Board, clock_mhz: float, pins: Pins | None) -> str:
    """Say what the board can do with the network."""
    try:
        best = plan(lowered, budget_of(board), Goal(), pins)
    except DoesNotFitError:
        return f"{board.title} does not hold the network at any rate"
    fps, latency = clock_mhz * 1e6 / best.cycles, latency_cycles(best) / clock_mhz
    return (
        f"the fastest plan for {board.title} at {clock_mhz:g} MHz gives {int(fps)} frames/s with "
        f"{latency:.1f} us latency"
    )


def metrics(design: Design) -> tuple[Metric, ...]:
    """Return the design's figures, all from the kernels' own models."""
    dataflow, clock = design.dataflow, design.clock_mhz
    cycles, latency = dataflow.cycles, latency_cycles(dataflow)
    amounts = dataflow.resources.as_dict()
    source = "kernel cost functions"

    def estimate(name: str, value: float, unit: str = "") -> Metric:
        return Metric(name, value, unit, Evidence.ESTIMATED, source, MODEL_ERROR)

    return (
        Metric("clock_mhz", clock, "MHz", Evidence.ESTIMATED, "as chosen; timing is not checked"),
        estimate("cycles_per_frame", cycles),
        estimate("throughput_fps", clock * 1e6 / cycles, "frames/s"),
        estimate("latency_cycles", latency),
        estimate("latency_us", latency / clock, "µs"),
        *(estimate(name, amount) for name, amount in amounts.items()),
        Metric(
            "model_bytes",
            _weight_bytes(design),
            "bytes",
            Evidence.MEASURED,
            "constants of the design",
        ),
    )


def _weight_bytes(design: Design) -> float:
    bits = sum(
        table.elem.bits * table.array.size
        for actor in design.dataflow.actors
        for table in actor.kernel.tables
    )
    return -(-bits // 8)


_PLUMBING = (Fork, WidthConverter, Padding, SlidingWindow)
"""Kernels that only serve the one that computes their layer."""


def layer_rows(design: Design) -> tuple[LayerRow, ...]:
    """Return a row a layer: its slowest actor's cycles and folding, all its actors' resources."""
    dataflow = design.dataflow
    rows: dict[str, LayerRow] = {}
    for layer in dict.fromkeys(actor.layer for actor in dataflow.actors):
        actors = [actor for actor in dataflow.actors if actor.layer == layer]
        total = Resources()
        for actor in actors:
            total += actor.kernel.resources
            for stream in actor.outputs:
                if stream not in dataflow.ports_out:
                    total += dataflow.fifo_resources(stream)
        main = next((a for a in reversed(actors) if not isinstance(a.kernel, _PLUMBING)), actors[0])
        cycles = max(actor.kernel.cycles for actor in actors)
        rows[layer] = LayerRow(
            layer,
            main.kernel.kind,
            "fpga",
            main.kernel.folding,
            cycles,
            total.as_dict(),
            main.sources,
        )
    return tuple(rows.values())


def fallbacks(design: Design) -> tuple[FallbackRow, ...]:
    """Return the layers that the host computes, and why."""
    return tuple(FallbackRow(h.name, h.op, h.reason) for h in design.regions.host_layers)


def warnings(design: Design) -> tuple[str, ...]:
    """Return what a user of the design should know before building it."""
    board = design.board
    if not board.vitis_part:
        what = f"Vitis HLS does not support {board.part}"
        return (f"{what}: the project proves and prices the design, but it cannot synthesise it",)
    return ()
