"""The boards that a design can be planned for: read from ``targets/boards`` or a user's file.

A board is a TOML file in which every section names its source; adding a board is adding a file.
Block RAM is counted in units of 36 kbit on every family: half a unit is an 18-kbit memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

from lepton_edge.artifact.files import read_toml, shown
from lepton_edge.data import data_dir
from lepton_edge.errors import ConfigError, UnknownNameError

Family = Literal["xc7", "xcup", "ecp5", "ice40", "gowin"]
DspKind = Literal["DSP48E1", "DSP48E2", "MULT18X18D", "MULT18X18", "SB_MAC16"]
Runtime = Literal["pynq", "none"]

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Resources:
    """An amount of FPGA fabric: what a design needs, or what a board has.

    Args:
        lut: look-up tables (6-input on AMD parts, 4-input on the others).
        ff: flip-flops.
        dsp: multiplier blocks of the board's ``dsp_kind``.
        bram36: block RAM in units of 36 kbit; multiples of one half.
        uram: UltraRAM blocks of 288 kbit.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram36: float = 0
    uram: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            lut=self.lut + other.lut,
            ff=self.ff + other.ff,
            dsp=self.dsp + other.dsp,
            bram36=self.bram36 + other.bram36,
            uram=self.uram + other.uram,
        )

    def __mul__(self, count: int) -> Resources:
        return Resources(
            lut=count * self.lut,
            ff=count * self.ff,
            dsp=count * self.dsp,
            bram36=count * self.bram36,
            uram=count * self.uram,
        )

    def as_dict(self) -> dict[str, float]:
        """Return the amounts by name, in the order of the fields."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def fits(self, budget: Resources) -> bool:
        """Say whether no resource goes beyond the budget."""
        return not self.excess(budget)

    def excess(self, budget: Resources) -> dict[str, float]:
        """Return, for each resource that goes beyond the budget, by how much it does."""
        has = budget.as_dict()
        return {name: need - has[name] for name, need in self.as_dict().items() if need > has[name]}

    def less(self, amounts: Mapping[str, float]) -> Resources:
        """Return what is left without some amounts, by resource; never below nothing."""
        left: dict[str, Any] = {
            name: max(0, has - amounts.get(name, 0)) for name, has in self.as_dict().items()
        }
        return Resources(**left)

    def utilisation(self, budget: Resources) -> dict[str, float]:
        """Return the fraction of the budget used, by resource.

        It is 0 where nothing is used, and infinite where the budget has none of what is used.
        """
        has = budget.as_dict()
        return {
            name: 0.0 if need == 0 else need / has[name] if has[name] else math.inf
            for name, need in self.as_dict().items()
        }


@dataclass(frozen=True, slots=True)
class Memory:
    """The board's memory, and the ports through which the fabric reaches it.

    Args:
        num_ports: ports of the fabric to the memory.
        port_bits: width of one port.
        port_mhz: highest clock of a port, in MHz.
        dram_bits: width of the memory's data bus.
        dram_mts: transfers of the data bus, in millions a second.
        dram_mib: size, in MiB.
    """

    num_ports: int
    port_bits: int
    port_mhz: float
    dram_bits: int
    dram_mts: float
    dram_mib: int

    def bandwidth_gbs(self, clock_mhz: float) -> float:
        """Return the peak rate, in GB/s, of ports that run at the fabric's clock."""
        ports = self.num_ports * self.port_bits * min(clock_mhz, self.port_mhz)
        return min(ports, self.dram_bits * self.dram_mts) / 8 / 1000


@dataclass(frozen=True, slots=True)
class Host:
    """The processor beside the fabric.

    Args:
        arch: as ``uname -m`` says it: ``armv7l``, ``aarch64``.
        cpu: the core's name.
        num_cores: how many of them.
        clock_mhz: their clock, in MHz.
    """

    arch: str
    cpu: str
    num_cores: int
    clock_mhz: float


@dataclass(frozen=True, slots=True)
class Board:
    """One board, as its TOML file describes it.

    Args:
        name: the name on the command line; equal to the file's name.
        title: the name in print.
        vendor: who sells the board.
        family: fabric family, named as Yosys names it.
        part: ordering code of the device.
        dsp_kind: the multiplier block of the family.
        runtime: what runs a design on the board.
        resources: what the fabric has.
        clock_mhz: clock of a design when the user asks for none, in MHz.
        max_clock_mhz: highest clock worth asking for, in MHz.
        memory: the board's memory; None where it has none, or none that is known.
        host: the processor beside the fabric; None for a plain FPGA.
        vitis_part: part string for Vitis HLS and Vivado; empty where neither supports the part.
        vivado_board_part: board file in Vivado; may be empty.
        yosys_args: options of Yosys' synthesis for the part, besides the family's.
        nextpnr_args: options that select the part in nextpnr; empty where it has no support.
        pack_args: options that select the part in the program that writes the bitstream.
        pins: pins of the package for the ports of a shell (``rtl_shell.SHELL_PINS``), by port;
            empty where nothing is known, or where bitstreams come from another tool.
        io_standard: electrical standard of these pins, in the tools' words; may be empty.
        source: by section of the file, where its figures come from.
    """

    name: str
    title: str
    vendor: str
    family: Family
    part: str
    dsp_kind: DspKind
    runtime: Runtime
    resources: Resources
    clock_mhz: float
    max_clock_mhz: float
    memory: Memory | None = None
    host: Host | None = None
    vitis_part: str = ""
    vivado_board_part: str = ""
    yosys_args: tuple[str, ...] = ()
    nextpnr_args: tuple[str, ...] = ()
    pack_args: tuple[str, ...] = ()
    pins: dict[str, str] = field(default_factory=dict, hash=False)
    io_standard: str = ""
    source: dict[str, str] = field(default_factory=dict, hash=False)


class _Table:
    """One TOML table that is read key by key, and complains about what is wrong with it."""

    def __init__(self, path: Path, section: str, values: dict[str, Any]) -> None:
        self.path = path
        self.section = section
        self.unread = dict(values)

    def error(self, key: str, wanted: str, found: object) -> ConfigError:
        full_key = f"{self.section}.{key}" if self.section else key
        what = "nothing" if found is _MISSING else shown(found)
        return ConfigError(
            f"key {full_key!r}: wanted {wanted}, found {what}",
            where=str(self.path),
            hint="the board files in targets/boards show every key",
        )

    def text(self, key: str, *, default: str | None = None) -> str:
        value = self.unread.pop(key, _MISSING if default is None else default)
        if not isinstance(value, str) or (not value and default is None):
            raise self.error(key, "a text that is not empty", value)
        return value

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        value = self.unread.pop(key, _MISSING)
        if value not in choices:
            raise self.error(key, f"one of {', '.join(choices)}", value)
        return cast("str", value)

    def number(self, key: str) -> float:
        value = self.unread.pop(key, _MISSING)
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise self.error(key, "a number above 0", value)
        return cast("float", value)

    def count(self, key: str, *, minimum: int = 1) -> int:
        value = self.unread.pop(key, _MISSING)
        if type(value) is not int or value < minimum:
            raise self.error(key, f"a whole number, {minimum} or more", value)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.unread.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "a list of texts", value)
        return tuple(value)

    def table(self, key: str) -> _Table:
        value = self.unread.pop(key, _MISSING)
        if not isinstance(value, dict):
            raise self.error(key, "a table", value)
        return _Table(self.path, key, value)

    def finish(self) -> None:
        """Raise for the first key that nothing has read."""
        for key in self.unread:
            full_key = f"{self.section}.{key}" if self.section else key
            raise ConfigError(
                f"unknown key {full_key!r}",
                where=str(self.path),
                hint="the board files in targets/boards show every key",
            )


def _read_resources(table: _Table) -> Resources:
    resources = Resources(
        lut=table.count("lut"),
        ff=table.count("ff"),
        dsp=table.count("dsp", minimum=0),
        bram36=table.count("bram36", minimum=0),
        uram=table.count("uram", minimum=0),
    )
    table.finish()
    return resources


def _read_memory(table: _Table) -> Memory:
    memory = Memory(
        num_ports=table.count("num_ports"),
        port_bits=table.count("port_bits"),
        port_mhz=table.number("port_mhz"),
        dram_bits=table.count("dram_bits"),
        dram_mts=table.number("dram_mts"),
        dram_mib=table.count("dram_mib"),
    )
    table.finish()
    return memory


def _read_host(table: _Table) -> Host:
    host = Host(
        arch=table.text("arch"),
        cpu=table.text("cpu"),
        num_cores=table.count("num_cores"),
        clock_mhz=table.number("clock_mhz"),
    )
    table.finish()
    return host


def _read_clock(table: _Table) -> tuple[float, float]:
    default_mhz, max_mhz = table.number("default_mhz"), table.number("max_mhz")
    if max_mhz < default_mhz:
        raise table.error("max_mhz", f"no less than default_mhz ({default_mhz})", max_mhz)
    table.finish()
    return default_mhz, max_mhz


def _read_pins(table: _Table) -> dict[str, str]:
    """Return all texts of the section, by port; the electrical standard is among them."""
    return {key: table.text(key) for key in tuple(table.unread)}


def _read_source(table: _Table, sections: list[str]) -> dict[str, str]:
    source = {section: table.text(section) for section in sections}
    table.finish()
    return source


def _read_board(path: Path) -> Board:
    values = read_toml(path)
    root = _Table(path, "", values)
    sections = [key for key, value in values.items() if isinstance(value, dict) and key != "source"]
    clock_mhz, max_clock_mhz = _read_clock(root.table("clock"))
    tools = root.table("tools")
    pins = _read_pins(root.table("pins")) if "pins" in values else {}
    board = Board(
        name=root.text("name"),
        title=root.text("title"),
        vendor=root.text("vendor"),
        family=cast("Family", root.one_of("family", get_args(Family))),
        part=root.text("part"),
        dsp_kind=cast("DspKind", root.one_of("dsp_kind", get_args(DspKind))),
        runtime=cast("Runtime", root.one_of("runtime", get_args(Runtime))),
        resources=_read_resources(root.table("resources")),
        clock_mhz=clock_mhz,
        max_clock_mhz=max_clock_mhz,
        memory=_read_memory(root.table("memory")) if "memory" in values else None,
        host=_read_host(root.table("host")) if "host" in values else None,
        vitis_part=tools.text("vitis_part", default=""),
        vivado_board_part=tools.text("vivado_board_part", default=""),
        yosys_args=tools.texts("yosys_args"),
        nextpnr_args=tools.texts("nextpnr_args"),
        pack_args=tools.texts("pack_args"),
        io_standard=pins.pop("io_standard", ""),
        pins=pins,
        source=_read_source(root.table("source"), sections),
    )
    tools.finish()
    root.finish()
    if board.name != path.stem:
        raise root.error("name", f"the file's own name, {path.stem!r}", board.name)
    return board


def _known_files() -> dict[str, Path]:
    return {path.stem: path for path in sorted((data_dir("targets") / "boards").glob("*.toml"))}


def load_board(name_or_path: str | Path) -> Board:
    """Return a known board by its name, or a board from the user's own file.

    Args:
        name_or_path: a name from `list_boards`, or a path that ends in ``.toml``.

    Raises:
        UnknownNameError: there is no such board, or no such file.
        ConfigError: the file is not a valid description of a board.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        path = Path(text)
        if not os.path.isfile(text):  # noqa: PTH113 - a name may be too long for Path.is_file
            raise UnknownNameError(
                "there is no such board file", where=text, hint="lepton-edge boards lists the names"
            )
        return _read_board(path)
    known = _known_files()
    if text not in known:
        raise UnknownNameError.of("board", text, known)
    return _read_board(known[text])


def list_boards() -> tuple[Board, ...]:
    """Return every known board, sorted by name."""
    return tuple(_read_board(path) for path in _known_files().values())
