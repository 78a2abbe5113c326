"""Place, route and pack with nextpnr: its commands for each family, and what its reports say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lepton_edge.errors import ToolFailedError, UnknownNameError


@dataclass(frozen=True)
class Fabric:
    """A family that nextpnr routes, and how its programs are called for it.

    Args:
        tool: nextpnr's name in `find.TOOLS`.
        packer: the name of the program that writes the bitstream there.
        constraints: ending of the file that places pins.
        routed: ending of the file that the packer reads.
        bitstream: ending of the file that it writes.
        options: what nextpnr is always told; ``{constraints}`` and ``{routed}`` are put in.
    """

    tool: str
    packer: str
    constraints: str
    routed: str
    bitstream: str
    options: tuple[str, ...]


FABRICS: Mapping[str, Fabric] = {
    "ecp5": Fabric(
        "nextpnr-ecp5", "ecppack", "lpf", "config", "bit",
        ("--lpf", "{constraints}", "--lpf-allow-unconstrained", "--textcfg", "{routed}",
         "--placer", "static"),
    ),
    "ice40": Fabric(
        "nextpnr-ice40", "icepack", "pcf", "asc", "bin",
        ("--pcf", "{constraints}", "--pcf-allow-unconstrained", "--asc", "{routed}"),
    ),
    "gowin": Fabric(
        "nextpnr-gowin", "gowin_pack", "cst", "json", "fs",
        ("--vopt", "cst={constraints}", "--write", "{routed}"),
    ),
}  # fmt: skip
"""The families with an open router.

On ECP5 the static placer stands multipliers nearer to what they work with than the default one:
a design with 102 of them reached 81 instead of 71 MHz.
"""

TIMEOUT_S = 3 * 3600.0
"""Longest that one attempt to place and route may take."""

PACK_TIMEOUT_S = 600.0


def fabric_of(family: str) -> Fabric:
    """Return how a family is routed.

    Raises:
        UnknownNameError: no open router knows it.
    """
    if family not in FABRICS:
        raise UnknownNameError(
            f"there is no open place and route for {family}",
            hint=f"nextpnr routes {', '.join(FABRICS)}; --device names a board that has one",
        )
    return FABRICS[family]


def route_command(
    nextpnr: str, fabric: Fabric, device: Sequence[str], clock_mhz: float, seed: int, stem: str
) -> tuple[str, ...]:
    """Return the command that places and routes ``design.json`` in the current folder.

    Args:
        nextpnr: path of the program.
        fabric: of the device.
        device: options that select it.
        clock_mhz: clock to aim at.
        seed: starting point of the placer's chance.
        stem: name of what it writes, without ending; ``<stem>.report.json`` is its report.
    """
    files = {"constraints": f"pins.{fabric.constraints}", "routed": f"{stem}.{fabric.routed}"}
    options = (option.format_map(files) for option in fabric.options)
    # A clock that is missed is a result: the report tells it.
    goal = ("--freq", f"{clock_mhz:g}", "--seed", str(seed), "--timing-allow-fail")
    design = ("--json", "design.json", "--report", f"{stem}.report.json")
    return (nextpnr, *device, *design, *options, *goal)


def pack_command(
    packer: str, fabric: Fabric, device: Sequence[str], stem: str, bitstream: str
) -> tuple[str, ...]:
    """Return the command that writes the bitstream of a routed design.

    Args:
        packer: path of the program.
        fabric: of the device.
        device: options that select it.
        stem: as in `route_command`.
        bitstream: file to write.
    """
    routed = f"{stem}.{fabric.routed}"
    if fabric.packer == "gowin_pack":
        return (packer, *device, "-o", bitstream, routed)
    return (packer, *device, routed, bitstream)


def pins_text(family: str, pins: Mapping[str, str], standard: str) -> str:
    """Return the file that places the ports of a design.

    Args:
        family: a key of `FABRICS`.
        pins: pin of the package by port.
        standard: electrical standard of all of them; empty for the tool's own.
    """
    lines: list[str] = []
    for port, pin in pins.items():
        if family == "ecp5":
            lines.append(f'LOCATE COMP "{port}" SITE "{pin}";')
            lines += [f'IOBUF PORT "{port}" IO_TYPE={standard};'] if standard else []
        elif family == "ice40":
            lines.append(f"set_io {port} {pin}")
        else:
            lines.append(f'IO_LOC "{port}" {pin};')
            lines += [f'IO_PORT "{port}" IO_TYPE={standard};'] if standard else []
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Step:
    """A part of a path between two registers.

    Args:
        kind: ``clk-to-q``, ``logic``, ``routing`` or ``setup``.
        delay_ns: what it takes.
        cell: the cell that it leads to, or through.
        port: the port there.
    """

    kind: str
    delay_ns: float
    cell: str
    port: str


@dataclass(frozen=True)
class Routed:
    """What nextpnr reports of a routed design.

    Args:
        fmax_mhz: highest clock.
        used: cells used, by nextpnr's name of their kind.
        has: the same for what the device has.
        critical_path: the path that sets the clock, from register to register.
    """

    fmax_mhz: float
    used: Mapping[str, int]
    has: Mapping[str, int]
    critical_path: tuple[Step, ...]


def read_report(text: str, where: str) -> Routed:
    """Read nextpnr's JSON report.

    Raises:
        ToolFailedError: it is not what nextpnr writes, or has no clock.
    """
    try:
        report = json.loads(text)
        clock, fmax_mhz = _slowest(report["fmax"])
        amounts = report["utilization"]
        return Routed(
            fmax_mhz,
            {kind: int(amount["used"]) for kind, amount in amounts.items()},
            {kind: int(amount["available"]) for kind, amount in amounts.items()},
            _critical_path(report["critical_paths"], clock),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ToolFailedError(f"nextpnr's report cannot be read: {error!r}", where=where) from None


def _slowest(clocks: Mapping[str, Any]) -> tuple[str, float]:
    """Return the clock that reaches least, and how much."""
    reached = {name: float(clock["achieved"]) for name, clock in clocks.items()}
    name = min(reached, key=lambda clock: reached[clock])
    return name, reached[name]


def _critical_path(paths: Sequence[Mapping[str, Any]], clock: str) -> tuple[Step, ...]:
    """Return the path within one clock; none where nextpnr tells none."""
    for path in paths:
        if clock in path["from"] and clock in path["to"]:
            return tuple(
                Step(step["type"], float(step["delay"]), step["to"]["cell"], step["to"]["port"])
                for step in path["path"]
            )
    return ()


def best_of(reports: Mapping[int, Routed]) -> int:
    """Return the seed with the highest clock, the lowest one of equals."""
    return max(sorted(reports), key=lambda seed: reports[seed].fmax_mhz)


def stem_of(seed: int) -> str:
    """Return the name of a seed's files, without ending."""
    return f"seed{seed}"


def report_path(folder: Path, seed: int) -> Path:
    """Return where a seed's report is."""
    return folder / f"{stem_of(seed)}.report.json"
