"""Computers that run programs: boards without a fabric, and the processors of boards with one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lepton_edge.artifact.files import read_toml
from lepton_edge.backends.boards import Host, list_boards, load_board
from lepton_edge.data import data_dir
from lepton_edge.errors import InternalError, UnknownNameError

ARMS = ("aarch64", "armv7l")
"""What ``uname -m`` says on the computers that there is code for."""


@dataclass(frozen=True)
class Computer:
    """A computer.

    Args:
        name: as options take it.
        title: as people call it.
        host: its processor.
    """

    name: str
    title: str
    host: Host


def list_computers() -> tuple[Computer, ...]:
    """Return every known computer with an Arm processor, sorted by name."""
    alone = [_read(path) for path in sorted((data_dir("targets") / "computers").glob("*.toml"))]
    beside = [
        Computer(board.name, board.title, board.host)
        for board in list_boards()
        if board.host is not None and board.host.arch in ARMS
    ]
    return tuple(sorted([*alone, *beside], key=lambda computer: computer.name))


def load_computer(name: str) -> Computer:
    """Return a known computer, or the processor of a board of the user's.

    Args:
        name: a name from `list_computers`, or the path of a board's file that ends in ``.toml``.

    Raises:
        UnknownNameError: there is no such computer, or the board has no such processor.
        ConfigError: the file is not a valid description of a board.
    """
    if name.endswith(".toml"):
        board = load_board(name)
        if board.host is None or board.host.arch not in ARMS:
            raise UnknownNameError(
                "this board has no Arm processor", where=name, hint="add a section [host]"
            )
        return Computer(board.name, board.title, board.host)
    known = {computer.name: computer for computer in list_computers()}
    if name not in known:
        raise UnknownNameError.of("computer", name, known)
    return known[name]


def _read(path: Path) -> Computer:
    values = read_toml(path)
    if values["name"] != path.stem:
        raise InternalError(f"the name in the file is {values['name']!r}", where=str(path))
    return Computer(values["name"], values["title"], Host(**values["host"]))
