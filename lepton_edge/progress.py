"""How long work tells its caller where it is: stages, counts and notes.

The command line passes an implementation that draws them; a library user passes none.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Progress(Protocol):
    """What long work reports to."""

    def stage(self, title: str) -> AbstractContextManager[None]:
        """Enter a stage of the work; it ends with the ``with`` block.

        Args:
            title: what is done, as a verb and its object: ``"choose the folding"``.
        """

    def advance(self, done: int, total: int) -> None:
        """Say how much of the current stage is done.

        Args:
            done: finished items, 0..``total``.
            total: all items of the stage.
        """

    def note(self, text: str) -> None:
        """Say one thing worth knowing now, in one line."""


class Silent:
    """Reports nothing."""

    def stage(self, title: str) -> AbstractContextManager[None]:
        """Enter a stage, saying nothing."""
        return nullcontext()

    def advance(self, done: int, total: int) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""
