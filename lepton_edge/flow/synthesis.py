"""Synthesise an artifact's RTL, a node at a time, and put the figures into its report."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lepton_edge.artifact.report import Evidence, Metric, Report
from lepton_edge.artifact.store import StoredArtifact
from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.cells import resources_of, unknown_cells
from lepton_edge.backends.fpga.rtl_nodes import NODES, WRAPPER, Node, Structure, wrapper_text
from lepton_edge.backends.fpga.rtl_text import KERNELS
from lepton_edge.errors import ArtifactError
from lepton_edge.progress import Progress
from lepton_edge.toolchain.find import Found
from lepton_edge.toolchain.yosys import Netlist, Part, Recipe, synthesise

RTL = "rtl"
"""The RTL project's folder in an artifact."""

LOGS, NETLISTS = "logs", "netlists"
"""Folders that a build leaves."""

_COMMENT = re.compile(r"//[^\n]*")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Project:
    """The RTL project of an artifact.

    Args:
        folder: where it is.
        structure: its nodes.
        kernels: sources of the kernels, by module.
    """

    folder: Path
    structure: Structure
    kernels: Mapping[str, bytes]

    @cached_property
    def needs(self) -> Mapping[str, frozenset[str]]:
        """The modules that each kernel's text names, itself among them."""
        words = {
            module: frozenset(_WORD.findall(_COMMENT.sub("", text.decode(errors="replace"))))
            for module, text in self.kernels.items()
        }
        return {module: (found & words.keys()) | {module} for module, found in words.items()}

    def sources_of(self, module: str) -> list[str]:
        """Return the modules that a kernel is made of, itself among them."""
        found, waiting = {module}, [module]
        while waiting:
            new = self.needs.get(waiting.pop(), frozenset()) - found
            found |= new
            waiting += new
        return sorted(found)


def open_project(stored: StoredArtifact) -> Project:
    """Return the RTL project of an artifact, after comparing its files with the manifest.

    Raises:
        ArtifactError: the artifact has none, or it is not as compile wrote it.
    """
    path = f"{RTL}/{NODES}"
    if path not in stored.manifest.files:
        raise ArtifactError(
            "the artifact has no RTL project",
            where=str(stored.root),
            hint="compile the model again",
        )
    stored.check_files(RTL)
    text = stored.file(path).read_text(encoding="utf-8")
    folder = stored.root / RTL
    kernels = {p.stem: p.read_bytes() for p in sorted((folder / KERNELS).glob("*.sv"))}
    structure = Structure.from_json(text, str(folder / NODES))
    wanted = {f"{structure.top}.sv", *(m for node in structure.nodes for m in node.memories)}
    wanted |= {f"{KERNELS}/{node.module}.sv" for node in structure.nodes}
    for file in sorted(wanted):
        if f"{RTL}/{file}" not in stored.manifest.files:
            raise ArtifactError(
                f"a node of the design needs {file!r}, which compile did not write",
                where=str(folder / NODES),
                hint="compile the model again",
            )
    return Project(folder, structure, kernels)


def part_of(project: Project, node: Node) -> Part:
    """Return a node as something to synthesise, with the kernels that it needs."""
    files = {"node.sv": wrapper_text(node).encode()}
    for module in project.sources_of(node.module):
        files[f"{module}.sv"] = project.kernels[module]
    for path in node.memories:
        files[node.neutral(path)] = (project.folder / path).read_bytes()
    return Part(node.name, WRAPPER, files)


def whole_of(project: Project) -> Part:
    """Return the whole design as something to synthesise."""
    top = project.structure.top
    paths = [f"{top}.sv", *(path for node in project.structure.nodes for path in node.memories)]
    files = {path: (project.folder / path).read_bytes() for path in paths}
    files |= {f"{module}.sv": text for module, text in project.kernels.items()}
    return Part("whole design", top, files)


def fresh_folder(folder: Path, *parts: str) -> Path:
    """Return an empty folder for what a build leaves; what an earlier build left there goes."""
    place = folder.joinpath(*parts)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


@dataclass(frozen=True)
class Synthesis:
    """A design synthesised a node at a time.

    Args:
        recipe: how.
        yosys: by which tool.
        nodes: the netlist of each node, by name.
        structure: the design.
    """

    recipe: Recipe
    yosys: Found
    nodes: Mapping[str, Netlist]
    structure: Structure

    @property
    def source(self) -> str:
        """What the figures are from, for the report."""
        return f"Yosys {self.yosys.version} {self.recipe.command}, a node at a time"

    @property
    def total(self) -> Resources:
        """The sum of all nodes."""
        total = Resources()
        for node in self.structure.nodes:
            total += self.of(node)
        return total

    def of(self, node: Node) -> Resources:
        """Return what a node occupies."""
        return resources_of(self.nodes[node.name].cells, self.recipe.family)

    def layers(self) -> dict[str, Resources]:
        """Return what each layer occupies; the register file is under an empty name."""
        layers: dict[str, Resources] = {}
        for node in self.structure.nodes:
            layers[node.layer] = layers.get(node.layer, Resources()) + self.of(node)
        return layers


def synthesise_nodes(
    project: Project,
    recipe: Recipe,
    yosys: Found,
    jobs: int,
    logs: Path,
    progress: Progress,
) -> Synthesis:
    """Synthesise every node of a design; those that were synthesised before come from the cache.

    Args:
        project: the design.
        recipe: how.
        yosys: the tool.
        jobs: processes at once.
        logs: existing folder for a log a node.
        progress: told how many are done.
    """
    nodes = project.structure.nodes
    with progress.stage(f"synthesise {len(nodes)} nodes for {recipe.family}"):
        parts = [part_of(project, node) for node in nodes]
        netlists = synthesise(parts, recipe, yosys, parallel=jobs, logs=logs, progress=progress)
    unknown = {cell for n in netlists.values() for cell in unknown_cells(n.cells, recipe.family)}
    if unknown:
        progress.note(f"not counted, because not known: {', '.join(sorted(unknown))}")
    return Synthesis(recipe, yosys, netlists, project.structure)


def keep_netlists(synthesis: Synthesis, folder: Path) -> None:
    """Put each node's JSON netlist into an existing folder, compressed: ``<node>.json.gz``."""
    for name, netlist in synthesis.nodes.items():
        shutil.copyfile(netlist.path, folder / f"{name}.json.gz")


def with_resources(report: Report, total: Resources, source: str, prefix: str = "") -> Report:
    """Return a report with synthesised amounts beside the estimated ones.

    Args:
        report: the report.
        total: amounts of the whole design.
        source: what they are from.
        prefix: put before the names of the metrics.
    """
    for name, amount in total.as_dict().items():
        metric = Metric(f"{prefix}{name}", round(amount, 2), "", Evidence.SYNTHESISED, source)
        report = report.with_metric(metric)
    return report


def with_layers(report: Report, synthesis: Synthesis) -> Report:
    """Return a report whose layers have their synthesised amounts."""
    layers = synthesis.layers()
    return replace(
        report,
        layers=tuple(
            replace(row, synthesised=_rounded(layers[row.name])) if row.name in layers else row
            for row in report.layers
        ),
    )


def _rounded(amounts: Resources) -> dict[str, float]:
    return {name: round(amount, 2) for name, amount in amounts.as_dict().items()}
