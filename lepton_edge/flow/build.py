"""Build: from an artifact's RTL to what synthesis, place and route make of it."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from lepton_edge.artifact.report import Evidence, Metric, Report
from lepton_edge.artifact.store import BUILD, StoredArtifact, update_report
from lepton_edge.backends.boards import Board, Resources, load_board
from lepton_edge.backends.fpga.cells import resources_of
from lepton_edge.errors import ToolMissingError, UnknownNameError, UserError
from lepton_edge.flow.routing import Implementation, Tools, implement
from lepton_edge.flow.synthesis import (
    LOGS,
    NETLISTS,
    Project,
    Synthesis,
    fresh_folder,
    keep_netlists,
    open_project,
    synthesise_nodes,
    whole_of,
    with_layers,
    with_resources,
)
from lepton_edge.flow.timing import (
    ESTIMATED,
    estimate_timing,
    with_timing,
    without_timing,
)
from lepton_edge.progress import Progress
from lepton_edge.toolchain import nextpnr
from lepton_edge.toolchain.find import Found, find_command, require_command, require_tool
from lepton_edge.toolchain.jobs import Job, run_jobs
from lepton_edge.toolchain.yosys import Recipe, synthesise

FLOWS = ("yosys", "nextpnr", "vitis")

HLS_COMMANDS = (("vitis-run", "--mode", "hls", "--tcl"), ("vitis_hls", "-f"))
"""How the vendor's tool is called, newest first; the script's name follows."""

HLS_TIMEOUT_S = 6 * 3600.0


@dataclass(frozen=True)
class BuildOptions:
    """What ``build`` is asked for.

    Args:
        flow: yosys (synthesis), nextpnr (synthesis, place and route, bitstream) or vitis.
        family: fabric family; that of the device when None.
        device: a known board or a .toml file whose device is built for; the board that the design
            was planned for when None.
        jobs: processes at once; one a core when None.
        seeds: attempts to place and route.
        is_whole: synthesise the whole design at once as well, to compare.
    """

    flow: str = "yosys"
    family: str | None = None
    device: str | None = None
    jobs: int | None = None
    seeds: int = 4
    is_whole: bool = False


@dataclass(frozen=True)
class Built:
    """What a build gave.

    Args:
        report: the artifact's report with the new figures, as it was written.
        board: the board whose device was built for; None where only a family was named.
        folder: where logs, netlists and bitstreams are.
        files: what it made, relative to the artifact; may be empty.
    """

    report: Report
    board: Board | None
    folder: Path
    files: tuple[str, ...] = ()


def build_artifact(stored: StoredArtifact, options: BuildOptions, progress: Progress) -> Built:
    """Build an artifact's design, and put the figures into its report when all has succeeded.

    Args:
        stored: the artifact.
        options: what is wanted.
        progress: told what is going on.

    Raises:
        UnknownNameError: no such flow, family or board.
        UserError: the flow does not go with the device.
        ToolMissingError: the flow needs a tool that is not there.
        ToolFailedError: a tool failed, or took too long; its log is kept, the report untouched.
        DoesNotFitError: the device is too small.
    """
    if options.flow not in FLOWS:
        raise UnknownNameError.of("flow", options.flow, FLOWS)
    if options.flow == "vitis":
        return _build_by_vitis(stored)
    board = _device_of(stored, options)
    if options.flow == "yosys":
        built = _build_by_yosys(stored, board, options, progress)
    else:
        built = _build_by_nextpnr(stored, board, options, progress)
    update_report(stored.root, built.report)
    return built


def _device_of(stored: StoredArtifact, options: BuildOptions) -> Board:
    """Return the board whose device is built for."""
    planned = stored.manifest.options.get("board") or stored.manifest.board
    try:
        return load_board(options.device or str(planned))
    except UnknownNameError as error:
        if options.device is None:
            error.hint = "name the board, or its .toml file, with --device"
        raise


def _started(name: str, progress: Progress) -> Found:
    """Return a tool that is ready to run."""
    with progress.stage(f"start {name} (the first start on a machine may take a minute)"):
        return require_tool(name)


def _jobs(options: BuildOptions) -> int:
    return options.jobs or os.cpu_count() or 1


# -- yosys --------------------------------------------------------------------------------------


def _build_by_yosys(
    stored: StoredArtifact, board: Board, options: BuildOptions, progress: Progress
) -> Built:
    family = options.family or board.family
    is_board = family == board.family
    recipe = Recipe.of(family, board.yosys_args if is_board else ())
    project = open_project(stored)
    yosys = _started("yosys", progress)
    folder = stored.root / BUILD / "yosys" / family
    logs = fresh_folder(folder, LOGS)
    synthesis = synthesise_nodes(project, recipe, yosys, _jobs(options), logs, progress)
    report = with_layers(stored.report, synthesis)
    report = with_resources(report, synthesis.total, synthesis.source)
    report = without_timing(report)
    if options.is_whole:
        total = _whole(project, synthesis, logs, progress)
        source = f"Yosys {yosys.version} {recipe.command}, the whole design at once"
        report = with_resources(report, total, source, "whole_")
    if family in ESTIMATED:
        timing = estimate_timing(synthesis, progress)
        report = with_timing(report, timing, synthesis, stored.manifest.clock_mhz)
    keep_netlists(synthesis, fresh_folder(folder, NETLISTS))
    return Built(report, board if is_board else None, folder)


def _whole(project: Project, synthesis: Synthesis, logs: Path, progress: Progress) -> Resources:
    """Return what the whole design occupies when it is synthesised at once."""
    part, recipe = whole_of(project), synthesis.recipe
    with progress.stage("synthesise the whole design at once"):
        found = synthesise(
            [part], recipe, synthesis.yosys, parallel=1, logs=logs, progress=progress
        )
    return resources_of(found[part.name].cells, recipe.family)


# -- nextpnr ------------------------------------------------------------------------------------


def _build_by_nextpnr(
    stored: StoredArtifact, board: Board, options: BuildOptions, progress: Progress
) -> Built:
    _require_routable(board, options)
    fabric = nextpnr.fabric_of(board.family)
    project = open_project(stored)
    router = _started(fabric.tool, progress)
    install = router.wanted.install
    packer = require_command(fabric.packer, f"bitstreams for {board.title}", install)
    tools = Tools(_started("yosys", progress), router, packer)
    folder = stored.root / BUILD / "nextpnr" / board.name
    logs = fresh_folder(folder, LOGS)
    node_logs = fresh_folder(logs, "nodes")
    recipe = Recipe.of(board.family, board.yosys_args)
    synthesis = synthesise_nodes(project, recipe, tools.yosys, _jobs(options), node_logs, progress)
    clock = stored.manifest.clock_mhz
    done = implement(
        project, synthesis, board, clock, options.seeds, _jobs(options), tools, folder, logs,
        progress,
    )  # fmt: skip
    report = with_layers(stored.report, synthesis)
    report = with_resources(report, done.resources, done.source)
    report = _with_timing(report, project, done, clock)
    return Built(report, board, folder, (done.bitstream.relative_to(stored.root).as_posix(),))


def _require_routable(board: Board, options: BuildOptions) -> None:
    """Raise where a device cannot be routed, before anything is done."""
    hint = "--device NAME builds for another board: lepton-edge boards"
    if options.family not in (None, board.family):
        raise UserError(
            f"{board.title} has a device of family {board.family}; --family {options.family} "
            "cannot be routed for it",
            hint=hint,
        )
    if board.family not in nextpnr.FABRICS:
        raise UserError(
            f"there is no open place and route for {board.part} (family {board.family})",
            where=board.title,
            hint=f"--flow yosys synthesises for it; {hint}",
        )
    if not board.nextpnr_args:
        raise UserError(
            "its file does not say what nextpnr calls the device: tools.nextpnr_args is missing",
            where=board.title,
            hint="the board files in targets/boards show every key",
        )
    if board.family == "gowin" and not board.pins:
        raise UserError(
            "its file places no pins, and nextpnr wants them placed on Gowin devices",
            where=board.title,
            hint="add a section [pins], as targets/boards/tang-nano-9k.toml has one",
        )


def _with_timing(report: Report, project: Project, done: Implementation, clock: float) -> Report:
    """Return a report with the routed clock, and a warning where it is less than was wanted."""
    fmax = done.routed.fmax_mhz
    place = done.critical_path(project.structure)
    metric = Metric("fmax_mhz", round(fmax, 2), "MHz", Evidence.SYNTHESISED, done.source)
    about = f"routed for {done.board.title}: "
    warnings = [text for text in report.warnings if not text.startswith(about)]
    if fmax < clock:
        warnings.append(
            f"{about}{fmax:.1f} MHz, less than the design's clock of {clock:g} MHz; the critical "
            f"path runs in {place}"
        )
    return replace(report.with_metric(metric), warnings=tuple(warnings))


# -- vitis --------------------------------------------------------------------------------------


def _build_by_vitis(stored: StoredArtifact) -> Built:
    """Run the HLS project's script in the vendor's tool, whose reports stay where it puts them."""
    for command in HLS_COMMANDS:
        path = find_command(command[0])
        if path is not None:
            break
    else:
        raise ToolMissingError(
            "Vitis HLS is not installed; --flow vitis runs hls/run_hls.tcl in it",
            hint="AMD's unified installer, then source its settings64.sh; --flow yosys needs "
            "neither",
        )
    stored.check_files("hls")
    folder = stored.root / BUILD / "vitis"
    logs = fresh_folder(folder, LOGS)
    project = folder / "hls"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(stored.root / "hls", project)
    words = (str(path), *command[1:], "run_hls.tcl")
    job = Job("Vitis HLS", words, project, logs / "vitis.log", HLS_TIMEOUT_S)
    with closing(run_jobs([job], 1)) as all_ended:
        for ended in all_ended:
            if ended.status != 0:
                raise ended.failure()
    return Built(stored.report, None, folder)
