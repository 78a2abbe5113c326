"""Whether the parts of an artifact belong together: its graphs, its ports, its source files.

Hashes tell that files are as they were written, not that they were written for each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from lepton_edge.artifact.document import AGAIN, Document
from lepton_edge.artifact.manifest import Manifest, TensorSpec
from lepton_edge.artifact.store import MANIFEST
from lepton_edge.backends.fpga.rtl_nodes import NODES, Structure
from lepton_edge.errors import ArtifactError
from lepton_edge.flow.synthesis import RTL
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.serde import load_graph
from lepton_edge.ir.types import QuantType
from lepton_edge.runtime.csim import PortSpec

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DTYPES = tuple(np.dtype(f"<{kind}{size}").str for kind in "iu" for size in (1, 2, 4, 8))


@dataclass(frozen=True)
class Interface:
    """How the host meets a design.

    Args:
        design: name of its top function and its top module.
        inputs: the ports that it reads, in order.
        outputs: the ports that it writes.
    """

    design: str
    inputs: tuple[PortSpec, ...]
    outputs: tuple[PortSpec, ...]


def interface_of(manifest: Manifest, where: str = MANIFEST) -> Interface:
    """Return what a manifest says of a design's ports.

    Args:
        manifest: of the artifact.
        where: what messages call it: the file's path.

    Raises:
        ArtifactError: it says nothing, or nothing sensible.
    """
    options = Document(manifest.options, where, "options.")
    design = options.text("design")
    if not _IDENTIFIER.fullmatch(design):
        raise options.error("design", "a name of letters, digits and _", design)
    ports = Document(options.any_table("ports"), where, "options.ports.")
    interface = Interface(
        design, ports.rows("inputs", _read_port), ports.rows("outputs", _read_port)
    )
    ports.finish()
    for side in ("inputs", "outputs"):
        if not getattr(interface, side):
            raise ports.error(side, "at least one port", [])
    return interface


def _read_port(row: Document) -> PortSpec:
    port = PortSpec(
        name=row.text("name"),
        value=row.text("value"),
        dtype=row.text("dtype"),
        elements=row.integer("elements", 1),
        lanes=row.integer("lanes", 1),
    )
    if not _IDENTIFIER.fullmatch(port.name):
        raise row.error("name", "a name of letters, digits and _", port.name)
    if port.dtype not in _DTYPES:
        raise row.error("dtype", f"one of {', '.join(_DTYPES)}", port.dtype)
    if port.elements % port.lanes:
        raise row.error("lanes", f"a divisor of {port.elements} elements", port.lanes)
    return port


def check_consistency(root: Path, manifest: Manifest) -> None:
    """See that the parts of an artifact belong together.

    Args:
        root: the artifact.
        manifest: its manifest.

    Raises:
        ArtifactError: they do not; says which.
    """
    where = str(root / MANIFEST)
    interface = interface_of(manifest, where)
    if not manifest.clock_mhz > 0:
        _refuse(where, f"clock_mhz is {manifest.clock_mhz:g}; wanted a number above 0")
    nodes = f"{RTL}/{NODES}"
    for path in (f"hls/src/{interface.design}.cpp", f"{RTL}/{interface.design}.sv", nodes):
        if path not in manifest.files:
            _refuse(where, f"the design is {interface.design!r}, but there is no {path}")
    _check_pins(interface, root / nodes)
    graphs = {
        name: load_graph(root / "graphs" / f"{name}.npz")
        for name in ("network", "before", "core", "after")
    }
    for name, complaint in _complaints(manifest, interface, graphs):
        _refuse(str(root / "graphs" / f"{name}.npz"), complaint)


def _check_pins(interface: Interface, path: Path) -> None:
    """Simulations would read and write beyond what is there if widths differed."""
    structure = Structure.from_json(path.read_text(encoding="utf-8"), str(path))
    bits = {pin.name: pin.bits for pin in structure.pins}
    for port in (*interface.inputs, *interface.outputs):
        found = bits.get(f"{port.name}_TDATA")
        if found != port.word_bits:
            _refuse(
                str(path),
                f"port {port.name!r} has {found or 'no'} bits; the manifest says {port.word_bits}",
            )


def _refuse(where: str, what: str) -> NoReturn:
    raise ArtifactError(what, where=where, hint=AGAIN)


def _complaints(
    manifest: Manifest, interface: Interface, graphs: dict[str, Graph]
) -> Iterator[tuple[str, str]]:
    """Yield what does not belong together: the name of a graph, and what is wrong with it."""
    core, known = graphs["core"], {**graphs["before"].types, **graphs["core"].types}
    for name in ("network", "before"):
        if _specs(graphs[name], graphs[name].inputs) != manifest.inputs:
            yield name, "its inputs are not those in the manifest"
    for name in ("network", "after"):
        found = _specs(graphs[name], graphs[name].outputs)
        if not all(spec in found for spec in manifest.outputs):
            yield name, "its outputs are not those in the manifest"
    given = {*graphs["before"].outputs, *core.outputs}
    for name, graph, source in (
        ("core", core, {v: graphs["before"].types[v] for v in graphs["before"].outputs}),
        ("after", graphs["after"], {v: known[v] for v in given}),
    ):
        for value in graph.inputs:
            if source.get(value) != graph.types[value]:
                yield name, f"nothing before it gives the value {value!r} that it reads"
    for ports, values in ((interface.inputs, core.inputs), (interface.outputs, core.outputs)):
        if tuple(port.value for port in ports) != values:
            yield "core", "its values are not those of the ports in the manifest"
            continue
        for port in ports:
            if not _carries(port, core):
                yield "core", f"port {port.name!r} in the manifest cannot carry {port.value!r}"


def _specs(graph: Graph, values: tuple[str, ...]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec.of(value, graph.types[value]) for value in values)


def _carries(port: PortSpec, core: Graph) -> bool:
    """Whether the codes of a frame are as many as a port's elements, and no wider."""
    type_ = core.types[port.value]
    bits = type_.elem.bits if isinstance(type_.elem, QuantType) else 1
    return port.elements == math.prod(type_.shape) and bits <= 8 * np.dtype(port.dtype).itemsize
