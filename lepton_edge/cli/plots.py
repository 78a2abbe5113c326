"""Pictures of what the commands found out; needs matplotlib."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

from lepton_edge.artifact.arrays import check_place
from lepton_edge.artifact.store import replace_file
from lepton_edge.cli.pieces import RESOURCES
from lepton_edge.errors import ToolMissingError, UserError

if TYPE_CHECKING:
    from lepton_edge.flow import Exploration

FORMATS = (".png", ".svg", ".pdf")


def check(path: Path) -> None:
    """See, before the work, that a picture can be drawn to ``path``.

    Raises:
        UserError: it cannot be written, or has another ending.
        ToolMissingError: matplotlib is not installed.
    """
    where = str(path)
    if path.suffix not in FORMATS:
        what = (
            f"pictures are drawn as {', '.join(FORMATS)}, not {path.suffix or 'without a suffix'}"
        )
        raise UserError(what, where=where, hint=f"--plot {path.stem or 'front'}.png")
    check_place(path)
    if importlib.util.find_spec("matplotlib") is None:
        raise ToolMissingError(
            "matplotlib is not installed; it is needed to draw",
            where=where,
            hint="pip install 'lepton-edge[report]'",
        )


def draw(found: Exploration, path: Path) -> None:
    """Draw what each design takes of the board against its rate, the chosen one marked.

    Raises:
        UserError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    has = found.board.resources.as_dict()
    rates = [point.fps for point in found.points]
    for name, label in RESOURCES.items():
        used = [point.resources.as_dict()[name] for point in found.points]
        if has[name] and any(used):
            axes.plot(rates, [100 * u / has[name] for u in used], marker="o", label=label)
    for point in found.points:
        if point.is_chosen:
            axes.axvline(point.fps, color="black", linestyle=":", label="chosen")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"frames/s at {found.clock_mhz:g} MHz (estimated)")
    axes.set_ylabel(f"% of {found.board.title} (estimated)")
    axes.set_title(found.model)
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:])
    replace_file(path, content.getvalue())
