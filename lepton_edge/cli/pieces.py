"""The pieces that everything the commands print is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

RESOURCES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}


def shorten_middle(text: str, width: int) -> str:
    """Return ``text``, with its middle replaced by an ellipsis where it is wider than ``width``."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def number(value: float) -> str:
    """Return a number to four digits, whole above a thousand, with commas."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def counted(count: int, noun: str) -> str:
    """Return ``1 sample``, ``2 samples``."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def empty_table(*columns: str, title: str = "", right: Iterable[str] = ()) -> Table:
    """Return a table without rows; ``right`` names the columns of numbers."""
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def stack(*views: RenderableType | None) -> Group:
    """Put views below each other, with an empty line between."""
    shown = [view for view in views if view is not None]
    return Group(*(Padding(view, (0, 0, 1, 0)) for view in shown[:-1]), *shown[-1:])


def unwrapped(text: str) -> Text:
    """Show a line as it is: what may hold a path must stay fit for copying."""
    return Text(text, no_wrap=True, overflow="ignore")


def listing(title: str, lines: Sequence[str]) -> Text | None:
    """Return lines below a title; nothing where there are none."""
    if not lines:
        return None
    return Text("\n").join([Text(title, style="bold"), *(Text(f"  {line}") for line in lines)])
