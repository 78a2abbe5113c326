"""Progress on stderr: a live line with a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from lepton_edge.progress import Progress

QUIET_S = 5.0
"""How often, at most, a plain line tells the count within a stage, in seconds."""


def make_progress(stream: IO[str]) -> Progress:
    """Return what reports progress on ``stream``."""
    return LiveProgress(stream) if stream.isatty() else PlainProgress(stream)


class PlainProgress:
    """One line as each stage begins: ``[  1.2 s] quantise``, in seconds since the command began."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._start = time.monotonic()
        self._depth = 0
        self._last_count = self._start

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Enter a stage."""
        self._line(title)
        self._last_count = time.monotonic()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def advance(self, done: int, total: int) -> None:
        """Tell the count, every few seconds."""
        if time.monotonic() - self._last_count >= QUIET_S:
            self._last_count = time.monotonic()
            self._line(f"{done} of {total}")

    def note(self, text: str) -> None:
        """Write a line."""
        self._line(text)

    def _line(self, text: str) -> None:
        line = stage_line(time.monotonic() - self._start, text, self._depth)
        self._stream.write(f"{line}\n")
        self._stream.flush()


class LiveProgress:
    """A moving line for the current stage, which stays as a plain line when the stage ends."""

    def __init__(self, stream: IO[str]) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._start = time.monotonic()
        self._tasks: list[TaskID] = []
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[count]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Enter a stage."""
        begun = time.monotonic() - self._start
        if not self._tasks:
            self._bars.start()
        self._tasks.append(self._bars.add_task(title, total=None, count=""))
        outcome = " (not finished)"
        try:
            yield
            outcome = ""
        finally:
            self._bars.remove_task(self._tasks.pop())
            self._print(begun, title + outcome)
            if not self._tasks:
                self._bars.stop()

    def advance(self, done: int, total: int) -> None:
        """Move the bar."""
        if self._tasks:
            count = f"{done} of {total}"
            self._bars.update(self._tasks[-1], completed=done, total=total, count=count)

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self._print(time.monotonic() - self._start, text)

    def _print(self, seconds: float, text: str) -> None:
        self._console.print(stage_line(seconds, text, len(self._tasks)), soft_wrap=True)


def stage_line(seconds: float, text: str, depth: int) -> str:
    """Return the line for something that began ``seconds`` after the command did."""
    return f"[{seconds:5.1f} s] {'  ' * depth}{text}"
