"""Place and route an artifact's RTL with nextpnr: several seeds, the best one's bitstream."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lepton_edge.backends.boards import Board, Resources
from lepton_edge.backends.fpga.cells import routed_resources
from lepton_edge.backends.fpga.rtl_nodes import WRAPPER, Node, Structure
from lepton_edge.backends.fpga.rtl_shell import SHELL_SOURCES, shell_name, shell_text
from lepton_edge.data import data_dir
from lepton_edge.errors import DoesNotFitError, ToolFailedError
from lepton_edge.flow.synthesis import Project, Synthesis
from lepton_edge.progress import Progress
from lepton_edge.toolchain import nextpnr
from lepton_edge.toolchain.ecp5 import absorb_registers
from lepton_edge.toolchain.find import Found
from lepton_edge.toolchain.jobs import Ended, Job, run_jobs
from lepton_edge.toolchain.nextpnr import Fabric, Routed, Step
from lepton_edge.toolchain.yosys import TIMEOUT_S, Netlist


@dataclass(frozen=True)
class Tools:
    """The programs that bring a netlist to a bitstream.

    Args:
        yosys: joins the nodes' netlists.
        nextpnr: places and routes.
        packer: writes the bitstream.
    """

    yosys: Found
    nextpnr: Found
    packer: Path


@dataclass(frozen=True)
class Implementation:
    """A routed design.

    Args:
        board: what it was routed for.
        nextpnr: by which tool.
        seed: the seed that gave the highest clock.
        routed: what nextpnr reports for it.
        fmax_mhz: the highest clock of every seed.
        bitstream: the file to load.
    """

    board: Board
    nextpnr: Found
    seed: int
    routed: Routed
    fmax_mhz: dict[int, float]
    bitstream: Path

    @property
    def source(self) -> str:
        """What the figures are from, for the report."""
        name = self.nextpnr.wanted.name
        return f"{name} {self.nextpnr.version}, routed for {self.board.part}, seed {self.seed}"

    @property
    def resources(self) -> Resources:
        """What the routed design occupies, its shell included."""
        return routed_resources(self.routed.used, self.board.family)

    def critical_path(self, structure: Structure) -> str:
        """Return where the path runs that sets the clock."""
        return path_place(self.routed.critical_path, structure)


def implement(
    project: Project,
    synthesis: Synthesis,
    board: Board,
    clock_mhz: float,
    seeds: int,
    jobs: int,
    tools: Tools,
    folder: Path,
    logs: Path,
    progress: Progress,
) -> Implementation:
    """Join a design's netlists behind a shell, route it from several seeds, and write a bitstream.

    Args:
        project: the design.
        synthesis: its nodes, for the board's family.
        board: what to route for.
        clock_mhz: clock to aim at.
        seeds: how many attempts.
        jobs: processes at once.
        tools: the programs.
        folder: existing folder for the results; nothing is changed there before all has succeeded.
        logs: existing folder for the logs.
        progress: told what is going on.

    Raises:
        DoesNotFitError: the design needs more than the device has.
        ToolFailedError: a tool failed, or took too long; its log is kept.
    """
    _require_fit(project.structure, synthesis, board)
    fabric = nextpnr.fabric_of(board.family)
    name = project.structure.top
    with tempfile.TemporaryDirectory(prefix=".work-", dir=folder.parent) as scratch:
        work = Path(scratch)
        with progress.stage("join the nodes behind a shell"):
            _join(project, synthesis, board, fabric, work, logs)
        with progress.stage(f"place and route for {board.title}, aiming at {clock_mhz:g} MHz"):
            reports = _route(board, fabric, clock_mhz, seeds, jobs, tools, work, logs, progress)
        best = nextpnr.best_of(reports)
        with progress.stage("write the bitstream"):
            stem, bitstream = nextpnr.stem_of(best), f"{name}.{fabric.bitstream}"
            command = nextpnr.pack_command(
                str(tools.packer), fabric, board.pack_args, stem, bitstream
            )
            job = Job(fabric.packer, command, work, logs / "pack.log", nextpnr.PACK_TIMEOUT_S)
            _run_one(job, bitstream)
        path = explain_path(reports[best].critical_path, project.structure)
        (work / "critical_path.txt").write_text(path, encoding="utf-8")
        shutil.copyfile(nextpnr.report_path(work, best), work / "nextpnr.json")
        _keep(work, folder, fabric, name, bitstream)
    reached = {seed: report.fmax_mhz for seed, report in sorted(reports.items())}
    place = folder / bitstream
    return Implementation(board, tools.nextpnr, best, reports[best], reached, place)


def _require_fit(structure: Structure, synthesis: Synthesis, board: Board) -> None:
    """Refuse a design that is larger than the device before hours are spent on it."""
    needs, has = synthesis.total.as_dict(), board.resources.as_dict()
    excess = [
        f"{needs[name]:,.0f} {name.upper()} where it has {has[name]:,.0f}"
        for name in synthesis.total.excess(board.resources)
    ]
    if excess:
        raise DoesNotFitError(
            f"the synthesised design needs {' and '.join(excess)}",
            where=f"{structure.top} on {board.title}",
            hint="compile it for a lower --fps, or name a larger board with --device",
        )


# -- joining the nodes --------------------------------------------------------------------------


def _join(
    project: Project,
    synthesis: Synthesis,
    board: Board,
    fabric: Fabric,
    work: Path,
    logs: Path,
) -> None:
    """Write design.json: the nodes' netlists, the top that connects them, and the shell."""
    structure = project.structure
    texts = {
        f"{structure.top}.sv": (project.folder / f"{structure.top}.sv").read_text(encoding="utf-8"),
        f"{shell_name(structure)}.sv": shell_text(structure),
        **{
            source: (data_dir("hls") / "rtl" / "shell" / source).read_text(encoding="utf-8")
            for source in SHELL_SOURCES
        },
    }
    unique: dict[Path, tuple[str, Netlist]] = {}
    for netlist in synthesis.nodes.values():
        unique.setdefault(netlist.path, (f"part{len(unique)}", netlist))
    for name, netlist in unique.values():
        (work / f"{name}.json").write_bytes(netlist.text())
    types = {node.name: unique[synthesis.nodes[node.name].path][0] for node in structure.nodes}
    script = join_script(structure, types, list(texts), synthesis.recipe.joined)
    pins = nextpnr.pins_text(board.family, board.pins, board.io_standard)
    texts |= {"join.ys": script, f"pins.{fabric.constraints}": pins}
    for path, text in texts.items():
        (work / path).write_text(text, encoding="utf-8")
    command = (synthesis.yosys.path, "-T", "join.ys")
    _run_one(Job("the joined design", command, work, logs / "join.log", TIMEOUT_S), "design.json")
    if board.family == "ecp5":
        design = work / "design.json"
        netlist = json.loads(design.read_text(encoding="utf-8"))
        absorb_registers(netlist["modules"][shell_name(structure)])
        design.write_text(json.dumps(netlist), encoding="utf-8")


def join_script(
    structure: Structure, types: dict[str, str], sources: list[str], command: str
) -> str:
    """Return the Yosys script that puts synthesised nodes into the top.

    Args:
        structure: the design.
        types: by node, the name of its netlist: a module in ``<name>.json``.
        sources: the shell, the top and what they need besides the nodes.
        command: synthesis of what lies between the nodes, but for the name of its top.
    """
    lines = [f"read_verilog -sv {' '.join(sources)}"]
    lines += [_retyped(structure.top, node, types[node.name]) for node in structure.nodes]
    for name in dict.fromkeys(types.values()):
        lines += [f"read_json {name}.json", f"rename {WRAPPER} {name}"]
    lines += [
        f"{command} -top {shell_name(structure)}",
        "check -assert",
        "delete t:$scopeinfo",
        "tee -q -o stat.json stat -json",
        "write_json design.json",
    ]
    return "".join(f"{line}\n" for line in lines)


def _retyped(top: str, node: Node, name: str) -> str:
    """Return the command that makes an instance of a kernel one of the node's netlist."""
    unset = " ".join(f"-unset {parameter}" for parameter in node.parameters)
    return f"setparam -type {name} {unset} {top}/u_{node.name}"


# -- routing ------------------------------------------------------------------------------------


def _route(
    board: Board,
    fabric: Fabric,
    clock_mhz: float,
    seeds: int,
    jobs: int,
    tools: Tools,
    work: Path,
    logs: Path,
    progress: Progress,
) -> dict[int, Routed]:
    """Route from each seed, and return the reports of those that succeeded, one at least."""
    waiting = {
        Job(
            f"seed {seed}",
            nextpnr.route_command(
                tools.nextpnr.path, fabric, board.nextpnr_args, clock_mhz, seed,
                nextpnr.stem_of(seed),
            ),
            work,
            logs / f"seed{seed}.log",
            nextpnr.TIMEOUT_S,
        ): seed
        for seed in range(1, seeds + 1)
    }  # fmt: skip
    reports: dict[int, Routed] = {}
    failures: list[ToolFailedError] = []
    progress.advance(0, seeds)
    with closing(run_jobs(list(waiting), jobs)) as all_ended:
        for ended in all_ended:
            seed = waiting[ended.job]
            found = _report_of(ended, work, seed)
            if isinstance(found, Routed):
                reports[seed] = found
                progress.note(f"seed {seed}: {found.fmax_mhz:.1f} MHz in {ended.seconds:.0f} s")
            else:
                failures.append(found)
                progress.note(f"seed {seed}: {found.what}")
            progress.advance(len(reports) + len(failures), seeds)
    if not reports:
        raise failures[0]
    return reports


def _report_of(ended: Ended, work: Path, seed: int) -> Routed | ToolFailedError:
    if ended.status != 0:
        return ended.failure()
    path = nextpnr.report_path(work, seed)
    try:
        return nextpnr.read_report(path.read_text(encoding="utf-8"), ended.job.name)
    except OSError:
        return ToolFailedError(
            "nextpnr wrote no report", where=ended.job.name, hint=f"log: {ended.job.log}"
        )
    except ToolFailedError as error:
        error.hint = f"log: {ended.job.log}"
        return error


def _run_one(job: Job, *files: str) -> None:
    """Run a job that must succeed, and write files into its folder."""
    with closing(run_jobs([job], 1)) as all_ended:
        for ended in all_ended:
            ended.require(*files)


def _keep(work: Path, folder: Path, fabric: Fabric, name: str, bitstream: str) -> None:
    """Move what is worth keeping to its place; the bitstream comes last."""
    with (work / "design.json").open("rb") as source, gzip.open(work / "design.json.gz", "wb") as t:
        shutil.copyfileobj(source, t)
    for path in (
        "design.json.gz",
        f"pins.{fabric.constraints}",
        f"{name}__shell.sv",
        "nextpnr.json",
        "critical_path.txt",
        bitstream,
    ):
        (work / path).replace(folder / path)


# -- the critical path, in terms of layers ------------------------------------------------------


def path_place(path: Sequence[Step], structure: Structure) -> str:
    """Return where a path runs: its layer and kernel, or those of its two ends."""
    ends = [_place(step.cell, structure) for step in (path[0], path[-1])] if path else []
    return " to ".join(dict.fromkeys(ends))


def explain_path(path: Sequence[Step], structure: Structure) -> str:
    """Return a path as text: where it runs, then each step with its delay."""
    if not path:
        return "nextpnr tells no path between registers\n"
    total = sum(step.delay_ns for step in path)
    lines = [f"{total:.2f} ns in {path_place(path, structure)}", ""]
    lines += [f"{s.delay_ns:6.2f} ns  {s.kind:9} {s.cell} {s.port}" for s in path]
    return "".join(f"{line}\n" for line in lines)


def _place(cell: str, structure: Structure) -> str:
    """Return the layer and kernel that a cell belongs to, by the path in its name."""
    nodes = {f"u_{node.name}": node for node in structure.nodes}
    node = next((nodes[part] for part in cell.split(".") if part in nodes), None)
    return "the shell" if node is None else node.place
