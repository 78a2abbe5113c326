"""What the commands that tell of boards, tools and errors print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lepton_edge.backends.boards import Board
from lepton_edge.backends.computers import Computer
from lepton_edge.cli.pieces import RESOURCES, empty_table, listing, number, shorten_middle, stack
from lepton_edge.errors import LeptonError
from lepton_edge.toolchain.find import Found, Package

# boards


def boards_table(boards: Iterable[Board]) -> Table:
    """List the boards with what each has."""
    numbers = [*RESOURCES.values(), "clock"]
    table = empty_table("name", "part", *numbers, "runtime", right=numbers)
    for board in boards:
        amounts = board.resources.as_dict()
        table.add_row(
            board.name,
            board.part,
            *(number(amounts[name]) for name in RESOURCES),
            f"{board.clock_mhz:g} MHz",
            board.runtime,
        )
    return table


def computers_table(computers: Iterable[Computer]) -> Table:
    """List the computers that programs can be compiled for."""
    numbers = ["cores", "clock"]
    columns = ("name", "title", "processor", "architecture", *numbers)
    table = empty_table(*columns, right=numbers)
    for computer in computers:
        host = computer.host
        clock = f"{host.clock_mhz:g} MHz"
        cores = number(host.num_cores)
        table.add_row(computer.name, computer.title, host.cpu, host.arch, cores, clock)
    return table


def devices(boards: Sequence[Board], computers: Sequence[Computer]) -> Group:
    """List what there is to compile for."""
    return stack(
        Text("boards with a fabric (--target fpga)", style="bold"),
        boards_table(boards),
        Text("computers (--target arm)", style="bold"),
        computers_table(computers),
    )


def board_detail(board: Board) -> Group:
    """Show all that is known of one board, with the source of each part."""
    values = {item.name: getattr(board, item.name) for item in fields(board)}
    sources = values.pop("source")
    plain = {name: value for name, value in values.items() if not is_dataclass(value)}
    views = [_values_table("board", plain)]
    for name, value in values.items():
        if is_dataclass(value):
            views.append(
                _values_table(name, {f.name: getattr(value, f.name) for f in fields(value)})
            )
    return stack(*views, _values_table("sources", sources))


def _values_table(title: str, values: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title=title)
    table.title_justify, table.title_style = "left", "bold"
    for name, value in values.items():
        is_number = isinstance(value, int | float)
        if isinstance(value, dict):
            value = tuple(f"{key}={item}" for key, item in value.items())
        text = " ".join(value) if isinstance(value, tuple) else str(value)
        table.add_row(f"  {name}", number(value) if is_number else text or "-")
    return table


# doctor, explain


def doctor_document(found: Iterable[Found], python: str, is_ok: bool) -> dict[str, Any]:
    """Return what a machine has, as plain JSON values."""
    rows = [
        {
            "name": item.wanted.name,
            "kind": "package" if isinstance(item.wanted, Package) else "tool",
            "usable": item.is_usable,
            "required": item.wanted.is_required,
            "version": item.version,
            "path": item.path,
            "problem": item.problem,
            "purpose": item.wanted.purpose,
            "install": item.wanted.install,
        }
        for item in found
    ]
    return {"ok": is_ok, "python": python, "found": rows}


def doctor_table(found: Sequence[Found], python: str, is_ok: bool) -> Group:
    """Show what a machine has, and how to get the rest."""
    table = empty_table("", "name", "version", "for", "where")
    table.add_row("ok", "Python", python, "runs it all", "")
    for item in found:
        mark = "ok" if item.is_usable else "NEEDED" if item.wanted.is_required else "-"
        where = shorten_middle(item.path, 30) if item.is_usable else item.problem
        table.add_row(mark, item.wanted.name, item.version or "-", item.wanted.purpose, where)
    missing = [f"{item.wanted.name}: {item.wanted.install}" for item in found if not item.is_usable]
    end = "ready to compile and prove designs"
    if not is_ok:
        end = "not ready: what is marked NEEDED is missing"
    return stack(table, listing("to install what is missing", missing), Text(end))


def explain_document(cls: type[LeptonError], causes: Sequence[str]) -> dict[str, Any]:
    """Return what is known of an error, as plain JSON values."""
    return {
        "code": cls.code,
        "name": cls.__name__,
        "exit_status": cls.exit_status,
        "meaning": meaning(cls),
        "causes": list(causes),
    }


def meaning(cls: type[LeptonError]) -> str:
    """Return the first paragraph of the class's docstring, on one line."""
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())


def explanation(cls: type[LeptonError], causes: Sequence[str]) -> Group:
    """Show what an error means, and what usually lies behind it."""
    return stack(
        Text(f"{cls.code}: {cls.__name__}, exit status {cls.exit_status}", style="bold"),
        Text(meaning(cls)),
        listing("typical causes", causes),
    )


def errors_table(classes: Iterable[type[LeptonError]]) -> Table:
    """List every error code."""
    table = empty_table("code", "exit status", "meaning", right=("exit status",))
    for cls in classes:
        table.add_row(cls.code, str(cls.exit_status), meaning(cls))
    return table
