"""A synthesised netlist, read from what Yosys' ``write_json`` writes, without hierarchy.

Source of the format: Yosys 0.70, ``help write_json``.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from lepton_edge.errors import ToolFailedError

MAX_BYTES = 1 << 30
"""Longest netlist file that is read: some ten times that of a full Zynq-7020."""

MAX_DEPTH = 64
"""Deepest hierarchy: ours has about six levels."""

Bits = tuple[int, ...]
"""Nets by number, bit 0 first. CONSTANT stands for a constant and for what is not connected."""

CONSTANT = -1


@dataclass(frozen=True, slots=True)
class Cell:
    """A primitive of the fabric.

    Args:
        name: with the instances that it lies in, joined by dots.
        kind: the primitive: ``LUT6``.
        parameters: as Yosys writes them: strings of binary digits, or text.
        inputs: nets by port.
        outputs: nets by port.
    """

    name: str
    kind: str
    parameters: Mapping[str, str]
    inputs: Mapping[str, Bits]
    outputs: Mapping[str, Bits]


@dataclass(frozen=True, slots=True)
class Netlist:
    """The cells of a module and of all that it instantiates.

    Args:
        name: of the top module.
        cells: the primitives.
        inputs: nets by input port of the top.
        outputs: nets by output port.
        names: nets by the names that the source gives them.
        num_nets: nets have numbers below it.
    """

    name: str
    cells: tuple[Cell, ...]
    inputs: Mapping[str, Bits]
    outputs: Mapping[str, Bits]
    names: tuple[tuple[str, Bits], ...]
    num_nets: int

    def names_of(self, nets: Iterable[int]) -> dict[int, list[str]]:
        """Return all names of some nets: ``u_out.out_data[3]``."""
        found: dict[int, list[str]] = {net: [] for net in nets if net != CONSTANT}
        for name, bits in self.names:
            for index, net in enumerate(bits):
                if net in found:
                    found[net].append(f"{name}[{index}]" if len(bits) > 1 else name)
        return found


def load_netlist(path: Path) -> Mapping[str, Any]:
    """Read a file of ``write_json``, compressed by gzip if it is named so, for `flatten`.

    Raises:
        ToolFailedError: the file is missing, too long, damaged, or not JSON.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            _fail(f"it is longer than {MAX_BYTES:,} bytes", str(path))
        document = json.loads(text)
    except (OSError, EOFError, zlib.error) as error:
        _fail(f"it cannot be read: {error}", str(path))
    except (ValueError, RecursionError):
        _fail("it is not JSON", str(path))
    if not isinstance(document, dict):
        _fail("it holds no object", str(path))
    return document


def flatten(document: Mapping[str, Any]) -> Netlist:
    """Return the netlist below the top module.

    Args:
        document: what `load_netlist` returns. The top is the module with the attribute ``top``,
            else the only one that is not a library's.

    Raises:
        ToolFailedError: the document is no netlist.
    """
    modules = _mapping(document.get("modules"), "modules")
    name = _top_of(modules)
    builder = _Builder(modules)
    ports = builder.add(name, "", {}, 0)
    directions = {port: _direction(spec, port) for port, spec in _ports(modules[name]).items()}
    inputs = {port: bits for port, bits in ports.items() if directions[port] != "output"}
    outputs = {port: bits for port, bits in ports.items() if directions[port] != "input"}
    flat = Netlist(
        name, tuple(builder.cells), inputs, outputs, tuple(builder.names), builder.num_nets
    )
    return _joined(flat, builder.aliases) if builder.aliases else flat


@dataclass
class _Builder:
    """Cells and names gathered so far.

    Args:
        modules: of the document.
        cells: the primitives.
        names: nets by name.
        num_nets: nets numbered so far.
        aliases: nets that turned out to be another: a port is a net of both sides.
    """

    modules: Mapping[str, Any]
    cells: list[Cell] = field(default_factory=list)
    names: list[tuple[str, Bits]] = field(default_factory=list)
    num_nets: int = 0
    aliases: dict[int, int] = field(default_factory=dict)

    def add(
        self, name: str, prefix: str, outside: Mapping[str, Bits], depth: int
    ) -> dict[str, Bits]:
        """Add a module's cells, and return the nets of its ports.

        Args:
            name: of the module.
            prefix: of the names inside it: its instances, with a dot behind each.
            outside: the nets that its ports are connected to.
            depth: how many instances it lies in.
        """
        if depth > MAX_DEPTH:
            _fail(f"instances nested deeper than {MAX_DEPTH}", name)
        module = self.modules[name]
        known: dict[int, int] = {}

        def net(bit: object) -> int:
            if isinstance(bit, str):
                return CONSTANT
            if not isinstance(bit, int) or isinstance(bit, bool):
                _fail(f"a bit is {bit!r}", name)
            if bit not in known:
                known[bit] = self.num_nets
                self.num_nets += 1
            return known[bit]

        ports = {}
        for port, spec in _ports(module).items():
            bits = _bits(spec, port)
            ports[port] = tuple(map(net, bits))
            for inner, given in zip(ports[port], outside.get(port, ()), strict=False):
                root, other = _root(self.aliases, inner), _root(self.aliases, given)
                if root != other and CONSTANT not in (root, other):
                    self.aliases[root] = other
        for label, spec in _visible(module):
            self.names.append((prefix + label, tuple(map(net, _bits(spec, label)))))
        for label, spec in _mapping(module.get("cells", {}), "cells").items():
            self._add_cell(prefix + label, _mapping(spec, label), net, depth)
        return ports

    def _add_cell(
        self, name: str, spec: Mapping[str, Any], net: Callable[[object], int], depth: int
    ) -> None:
        kind = spec.get("type")
        if not isinstance(kind, str):
            _fail("a cell has no type", name)
        pins = _mapping(spec.get("connections"), name)
        nets = {port: tuple(map(net, _list(bits, name))) for port, bits in pins.items()}
        if kind in self.modules and not _is_library(self.modules[kind]):
            self.add(kind, f"{name}.", nets, depth + 1)
            return
        if kind.startswith("$scopeinfo"):
            return
        ways = _mapping(spec.get("port_directions"), name)
        self.cells.append(
            Cell(
                name,
                kind,
                {k: str(v) for k, v in _mapping(spec.get("parameters", {}), name).items()},
                {port: bits for port, bits in nets.items() if ways.get(port) != "output"},
                {port: bits for port, bits in nets.items() if ways.get(port) != "input"},
            )
        )


def _joined(flat: Netlist, aliases: Mapping[int, int]) -> Netlist:
    """Return a netlist with one number for each net."""

    def joined(pins: Mapping[str, Bits]) -> dict[str, Bits]:
        return {port: tuple(_root(aliases, net) for net in nets) for port, nets in pins.items()}

    return replace(
        flat,
        cells=tuple(
            replace(cell, inputs=joined(cell.inputs), outputs=joined(cell.outputs))
            for cell in flat.cells
        ),
        inputs=joined(flat.inputs),
        outputs=joined(flat.outputs),
        names=tuple((name, joined({name: nets})[name]) for name, nets in flat.names),
    )


def _root(aliases: Mapping[int, int], net: int) -> int:
    while net in aliases:
        net = aliases[net]
    return net


def _top_of(modules: Mapping[str, Any]) -> str:
    """Return the name of the top module."""
    own = [name for name, module in modules.items() if not _is_library(_mapping(module, name))]
    tops = [name for name in own if _is_set(modules[name], "top")]
    found = tops or own
    if len(found) != 1:
        _fail(f"one module must be the top; {len(found)} may be", "modules")
    return found[0]


def _is_library(module: Mapping[str, Any]) -> bool:
    """Say whether a module is a primitive of the fabric."""
    return _is_set(module, "blackbox") or _is_set(module, "whitebox")


def _is_set(module: Mapping[str, Any], attribute: str) -> bool:
    return "1" in str(_mapping(module.get("attributes", {}), attribute).get(attribute, ""))


def _ports(module: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(module.get("ports", {}), "ports")


def _visible(module: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the nets that the source names."""
    for name, spec in _mapping(module.get("netnames", {}), "netnames").items():
        if not _mapping(spec, name).get("hide_name"):
            yield name, spec


def _direction(spec: object, where: str) -> str:
    return str(_mapping(spec, where).get("direction"))


def _bits(spec: object, where: str) -> list[Any]:
    return _list(_mapping(spec, where).get("bits"), where)


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        _fail("a list of bits is missing", where)
    return value


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        _fail("an object is missing", where)
    return value


def _fail(what: str, where: str) -> NoReturn:
    raise ToolFailedError(
        f"the netlist from synthesis cannot be used: {what}",
        where=where,
        hint="build again; if that does not help, report it with the netlist",
    )
