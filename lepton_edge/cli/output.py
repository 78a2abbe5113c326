"""Where a command's words go: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import IO, Any

from rich.console import Console, RenderableType

from lepton_edge.cli.progress import make_progress
from lepton_edge.errors import LeptonError
from lepton_edge.progress import Progress, Silent

PIPED_WIDTH = 100
"""Columns of tables that go to a file or another program, unless COLUMNS says otherwise."""


class Output:
    """What one command has to say.

    Args:
        is_json: write exactly one JSON object on stdout, and no table.
        is_quiet: report no progress.
    """

    def __init__(self, *, is_json: bool = False, is_quiet: bool = False) -> None:
        self.is_json = is_json
        self.progress: Progress = Silent() if is_quiet else make_progress(sys.stderr)

    def show(self, document: dict[str, Any], view: RenderableType) -> None:
        """Write a result: ``document`` with --json, else ``view``."""
        if self.is_json:
            _write(sys.stdout, json.dumps(document, indent=2) + "\n")
        else:
            self.view(view)

    def view(self, view: RenderableType) -> None:
        """Write what only a human wants; nothing with --json."""
        if not self.is_json:
            _write(sys.stdout, render_text(view, sys.stdout))

    def fail(self, error: LeptonError) -> None:
        """Write an error."""
        if self.is_json:
            _write(sys.stdout, _error_json(error.code, error.what, error.where, error.hint))
        else:
            _write(sys.stderr, error_text(error))

    def interrupted(self) -> None:
        """Say that the user stopped the command."""
        if self.is_json:
            _write(sys.stdout, _error_json("interrupted", "stopped by the user"))
        else:
            _write(sys.stderr, "interrupted\n")


def error_text(error: LeptonError) -> str:
    """Return an error as a user reads it: ``error[code]: where: what``, then the hint."""
    return f"error[{error.code}]: {error}\n"


def render_text(view: RenderableType, stream: IO[str]) -> str:
    """Return ``view`` as text for ``stream``: as wide as it, and with its colours."""
    is_terminal = stream.isatty()
    fixed = is_terminal or os.environ.get("COLUMNS", "").isdigit()
    console = Console(
        file=stream,
        width=None if fixed else PIPED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as captured:
        console.print(view, crop=False)
    if is_terminal:
        return captured.get()
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())


def _error_json(code: str, what: str, where: str = "", hint: str = "") -> str:
    fields = {"code": code, "what": what, "where": where, "hint": hint}
    return json.dumps({"error": fields}, indent=2) + "\n"


def _write(stream: IO[str], text: str) -> None:
    stream.write(text)
    stream.flush()
