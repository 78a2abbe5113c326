"""A planned design: what the host and the FPGA compute, on which board, and what it will cost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from lepton_edge.artifact.report import Evidence, FallbackRow, LayerRow, Metric
from lepton_edge.backends.boards import Board, Resources
from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.folding import (
    ALLOWANCE,
    Caps,
    Goal,
    Pins,
    Planner,
    Space,
    budget_of,
    explore,
    find_plan,
)
from lepton_edge.backends.fpga.hls_text import HlsOptions, board_files, network_files
from lepton_edge.backends.fpga.kernels.costs import costs
from lepton_edge.backends.fpga.kernels.packing import WIDE_BITS
from lepton_edge.backends.fpga.kernels.plumbing import Fork, WidthConverter
from lepton_edge.backends.fpga.kernels.window import Padding, SlidingWindow
from lepton_edge.backends.fpga.lower import lower_dataflow
from lepton_edge.backends.fpga.regions import Regions, split_regions
from lepton_edge.backends.fpga.rtl_text import RtlProject, rtl_project
from lepton_edge.backends.fpga.schedule import latency_cycles
from lepton_edge.errors import DoesNotFitError, UserError
from lepton_edge.ir.graph import Graph
from lepton_edge.progress import Progress

CALIBRATED = "xc7"
"""The family that the prices of LUTs and flip-flops are fitted to."""

CYCLES_ERROR = "RTL simulation: within 1 %"
"""What is known of cycles and latency: docs/hardware.md has networks beside their simulation."""


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
        gap: by how much of its cost, at most, another plan could be cheaper: 0..1.
    """

    regions: Regions
    dataflow: Dataflow
    board: Board
    clock_mhz: float
    design_id: int
    files: Mapping[str, str]
    rtl: RtlProject
    gap: float


@dataclass(frozen=True)
class Request:
    """What is wanted of a design.

    Args:
        board: the board.
        clock_mhz: the clock to plan for.
        fps: frames a second to reach at least; None for as many as fit.
        latency_us: latency of one frame to stay within; None for any.
        pins: foldings that the user fixed.
        caps: what the user allows instead of the usual share of the board.
    """

    board: Board
    clock_mhz: float
    fps: float | None = None
    latency_us: float | None = None
    pins: Pins = field(default_factory=dict)
    caps: Caps = field(default_factory=Caps)

    @property
    def goal(self) -> Goal:
        """The goal in clock cycles.

        Raises:
            UserError: it is less than one.
        """
        cycles = None if self.fps is None else self.clock_mhz * 1e6 / self.fps
        latency = None if self.latency_us is None else self.clock_mhz * self.latency_us
        for option, wanted, found in (
            ("--fps", self.fps, cycles), ("--latency-us", self.latency_us, latency)
        ):  # fmt: skip
            if found is not None and found < 1:
                raise UserError(
                    f"{option} {wanted:g} leaves less than one clock cycle at "
                    f"{self.clock_mhz:g} MHz",
                    hint="ask for less, or for a higher --clock-mhz",
                )
        return Goal(_whole(cycles), _whole(latency))


def _whole(cycles: float | None) -> int | None:
    """Return whole cycles; so many that they are no number are as good as the most."""
    return None if cycles is None else int(min(cycles, 2.0**62))


@dataclass(frozen=True)
class Point:
    """One of the designs that a board could hold.

    Args:
        cycles: a frame.
        fps: frames a second.
        latency_us: of one frame.
        resources: what it takes.
        is_chosen: whether it is the one that would be compiled.
    """

    cycles: int
    fps: float
    latency_us: float
    resources: Resources
    is_chosen: bool


def make_design(graph: Graph, reasons: Mapping[str, str], request: Request) -> Design:
    """Plan an integer graph for a board and write its HLS project.

    Args:
        graph: the lowered network.
        reasons: why some of its nodes stayed in float.
        request: the board and the goal.

    Raises:
        UnsupportedError: layers that neither the FPGA nor the ends of the host part can compute.
        DoesNotFitError: the goal cannot be met on the board.
    """
    regions = split_regions(graph, reasons)
    planner = _planner(regions, request)
    with _explained(planner, request):
        found = find_plan(planner, request.goal)
    dataflow, board, clock_mhz = found.dataflow, request.board, request.clock_mhz
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
    return Design(regions, dataflow, board, clock_mhz, design_id, files, rtl, found.gap)


def explore_designs(
    graph: Graph, reasons: Mapping[str, str], request: Request, progress: Progress
) -> tuple[Point, ...]:
    """Return the designs worth considering for a board, the fastest first.

    Args:
        graph: the lowered network.
        reasons: why some of its nodes stayed in float.
        request: the board and the goal.
        progress: told how many designs are done.

    Raises:
        UnsupportedError: layers that neither the FPGA nor the ends of the host part can compute.
        DoesNotFitError: the goal cannot be met on the board.
    """
    planner = _planner(split_regions(graph, reasons), request)
    with _explained(planner, request):
        plans, chosen = explore(planner, request.goal, progress.advance)
    return tuple(
        Point(
            plan.dataflow.cycles,
            request.clock_mhz * 1e6 / plan.dataflow.cycles,
            latency_cycles(plan.dataflow) / request.clock_mhz,
            plan.dataflow.resources,
            index == chosen,
        )
        for index, plan in enumerate(plans)
    )


def _planner(regions: Regions, request: Request) -> Planner:
    budget = budget_of(request.board, request.caps)
    dataflow = lower_dataflow(regions.core, WIDE_BITS.get(request.board.dsp_kind, 0))
    return Planner(Space(dataflow, request.pins), budget)


@contextmanager
def _explained(planner: Planner, request: Request) -> Iterator[None]:
    """Add to a refusal what a plan may use and what the board can do."""
    try:
        yield
    except DoesNotFitError as error:
        error.hint += f"; {ALLOWANCE}"
        if request.goal != Goal():
            error.hint += f"; {_best(planner, request)}"
        raise


def _best(planner: Planner, request: Request) -> str:
    """Say what the board can do with the network."""
    best = planner.fastest()
    if best is None:
        return f"{request.board.title} does not hold the network at any rate"
    fps = request.clock_mhz * 1e6 / best.dataflow.cycles
    latency = latency_cycles(best.dataflow) / request.clock_mhz
    return (
        f"the fastest plan for {request.board.title} at {request.clock_mhz:g} MHz gives {int(fps)} "
        f"frames/s with {latency:.1f} us latency"
    )


def _known_error(name: str, family: str) -> str:
    """Return what a report says of the error of an estimate."""
    if name not in Resources().as_dict():
        return CYCLES_ERROR
    return costs().known_error(name) if family == CALIBRATED else f"fitted to {CALIBRATED} alone"


def metrics(design: Design) -> tuple[Metric, ...]:
    """Return the design's figures, all from the kernels' own models."""
    dataflow, clock = design.dataflow, design.clock_mhz
    cycles, latency = dataflow.cycles, latency_cycles(dataflow)
    amounts = dataflow.resources.as_dict()
    source = "kernel cost functions"

    def estimate(name: str, value: float, unit: str = "") -> Metric:
        error = _known_error(name, design.board.family)
        return Metric(name, value, unit, Evidence.ESTIMATED, source, error)

    return (
        Metric("clock_mhz", clock, "MHz", Evidence.ESTIMATED, "as chosen; timing is not checked"),
        estimate("cycles_per_frame", cycles),
        estimate("throughput_fps", clock * 1e6 / cycles, "frames/s"),
        estimate("latency_cycles", latency),
        estimate("latency_us", latency / clock, "µs"),
        *(estimate(name, amount) for name, amount in amounts.items()),
        Metric(
            "plan_gap_percent",
            round(100 * design.gap, 2),
            "%",
            Evidence.ESTIMATED,
            "bound on the cost of the cheapest plan",
        ),
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
