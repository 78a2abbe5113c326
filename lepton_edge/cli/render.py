"""What the commands that work on networks print, as pure functions of what they found out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lepton_edge.artifact.report import Evidence, Metric, Report
from lepton_edge.backends.boards import Board
from lepton_edge.cli.pieces import (
    RESOURCES,
    counted,
    empty_table,
    listing,
    number,
    shorten_middle,
    stack,
    unwrapped,
)
from lepton_edge.ir.types import Array

if TYPE_CHECKING:
    from lepton_edge.flow import Exploration

NAME_WIDTH = 24
"""Widest layer name in a table."""

NUM_SHOWN = 10
"""How many samples of an output a summary shows."""


# compile, verify


def compiled(report: Report, root: Path | None, budget: Mapping[str, float] | None) -> Group:
    """Show a compiled, or only planned, design.

    Args:
        report: its figures.
        root: where it was written; None for a plan.
        budget: what the board has, by resource; None where that is not known.
    """
    place = f"on {report.board}" if report.board else f"for {report.target}"
    end = f"written to {root}" if root else "a plan only: nothing was written"
    return stack(
        Text(f"{report.model} {place}"),
        layers_table(report),
        totals_table(report, budget),
        figures_table(report),
        verification_table(report) if root else None,
        fallbacks_list(report),
        listing("warnings", report.warnings),
        unwrapped(end),
    )


def explore_document(found: Exploration, plot: Path | None) -> dict[str, Any]:
    """Return the designs worth considering as plain JSON values."""
    points = [
        {
            "cycles_per_frame": point.cycles,
            "throughput_fps": point.fps,
            "latency_us": point.latency_us,
            **point.resources.as_dict(),
            "chosen": point.is_chosen,
        }
        for point in found.points
    ]
    return {
        "model": found.model,
        "board": found.board.name,
        "clock_mhz": found.clock_mhz,
        "evidence": "estimated",
        "points": points,
        "plot": plot and str(plot),
    }


def explored(found: Exploration, plot: Path | None) -> Group:
    """List the designs worth considering, the fastest first."""
    shown = [n for n in RESOURCES if any(p.resources.as_dict()[n] for p in found.points)]
    numbers = ["frames/s", "cycles", "latency µs", *(RESOURCES[name] for name in shown)]
    title = "designs, from the fastest that fits to the smallest (estimated)"
    table = empty_table(*numbers, "", title=title, right=numbers)
    for point in found.points:
        amounts = point.resources.as_dict()
        table.add_row(
            number(point.fps),
            number(point.cycles),
            number(point.latency_us),
            *(number(amounts[name]) for name in shown),
            "chosen" if point.is_chosen else "",
        )
    return stack(
        Text(f"{found.model} on {found.board.name} at {found.clock_mhz:g} MHz"),
        table,
        unwrapped(f"drawn to {plot}" if plot else "nothing was written"),
    )


def verified(report: Report) -> Group:
    """Show how far each level of a design agrees."""
    return stack(verification_table(report), listing("warnings", report.warnings))


def layers_table(report: Report) -> Table | None:
    """List the layers: folding, cycles and resources of each."""
    layers = report.layers
    if not layers:
        return None
    kinds = {metric.evidence.value for metric in report.metrics if metric.name in RESOURCES}
    shown = [name for name in RESOURCES if any(row.resources.get(name) for row in layers)]
    has_regions = len({row.region for row in layers}) > 1
    numbers = ["cycles", *(RESOURCES[name] for name in shown)]
    columns = ["layer", *(["region"] if has_regions else []), "op", "folding", *numbers]
    table = empty_table(
        *columns,
        title=" ".join(["layers", *(f"({kind})" for kind in sorted(kinds))]),
        right=numbers,
    )
    for row in layers:
        folding = " ".join(f"{axis}={count}" for axis, count in row.folding.items())
        table.add_row(
            shorten_middle(row.name, NAME_WIDTH),
            *([row.region] if has_regions else []),
            shorten_middle(row.op, 16),
            folding or "-",
            "-" if row.cycles is None else number(row.cycles),
            *(number(row.resources.get(name, 0)) for name in shown),
        )
    return table


def totals_table(report: Report, budget: Mapping[str, float] | None) -> Table | None:
    """Compare what the design takes with what the board has."""
    used = [metric for metric in report.metrics if metric.name in RESOURCES]
    if not used:
        return None
    table = empty_table(
        "resource", "used", "board has", "share", "evidence", right=("used", "board has", "share")
    )
    for metric in used:
        has = budget.get(metric.name) if budget else None
        table.add_row(
            RESOURCES[metric.name],
            number(metric.value),
            "?" if has is None else number(has),
            share(metric.value, has),
            evidence(metric),
            style="red" if has is not None and metric.value > has else None,
        )
    return table


def share(used: float, has: float | None) -> str:
    """Return the part of what there is that is used, in percent."""
    if has is None:
        return "?"
    if has == 0:
        return "-" if used == 0 else "none there"
    return f"{100 * used / has:.1f} %"


def evidence(metric: Metric) -> str:
    """Return how a figure is known, with its known error."""
    return f"{metric.evidence.value} ({metric.error})" if metric.error else metric.evidence.value


def figures_table(report: Report) -> Table | None:
    """List every figure that is no resource, each with its evidence."""
    metrics = [metric for metric in report.metrics if metric.name not in RESOURCES]
    if not metrics:
        return None
    table = empty_table("figure", "value", "unit", "evidence", "source", right=("value",))
    for metric in metrics:
        name, value = metric.name, number(metric.value)
        table.add_row(name, value, metric.unit, evidence(metric), metric.source)
    return table


def verification_table(report: Report) -> RenderableType | None:
    """List the levels compared, or say that none was."""
    if not report.verification:
        return Text("not verified yet: lepton-edge verify compares it with the reference")
    table = empty_table(
        "level",
        "against",
        "samples",
        "mismatches",
        "seconds",
        "",
        right=("samples", "mismatches", "seconds"),
    )
    for row in report.verification:
        table.add_row(
            row.level,
            row.against,
            number(row.samples),
            number(row.mismatches),
            f"{row.seconds:.1f}",
            "DIFFERS" if row.mismatches else "same bits",
            style="red" if row.mismatches else None,
        )
    return table


def fallbacks_list(report: Report) -> Text | None:
    """List the layers that the target does not run, and why."""
    lines = [f"{row.layer} ({row.op}): {row.reason}" for row in report.fallbacks]
    return listing("not on the target", lines)


# build


WHOLE = "whole_"
"""How the metrics of a design begin that was synthesised at once."""


def built_document(
    report: Report, board: Board | None, folder: Path, files: Sequence[Path]
) -> dict[str, Any]:
    """Return what a build gave, as plain JSON values."""
    return {
        "device": board and board.part,
        "folder": str(folder),
        "files": [str(path) for path in files],
        "report": report.as_dict(),
    }


def built(report: Report, board: Board | None, folder: Path, files: Sequence[Path]) -> Group:
    """Show what a build made of a design: resources beside their estimates, timing, files.

    Args:
        report: the figures.
        board: whose device was built for; None for a family.
        folder: where it left logs and netlists.
        files: what it made, if anything.
    """
    evidence = Evidence.SYNTHESISED if files else Evidence.ESTIMATED
    lines = [f"written to {path}" for path in files]
    lines.append(f"logs and netlists are in {folder}")
    return stack(
        synthesised_layers_table(report),
        synthesised_totals_table(report, board),
        synthesis_sources(report),
        _clock(report, evidence),
        listing("warnings", report.warnings),
        Group(*map(unwrapped, lines)),
    )


def _clock(report: Report, evidence: Evidence) -> Text | None:
    """Say how fast a design can be clocked, if that is known."""
    found = (m for m in report.metrics if (m.name, m.evidence) == ("fmax_mhz", evidence))
    metric = next(found, None)
    if metric is None:
        return None
    error = f" ({metric.error})" if metric.error else ""
    return Text(f"fmax: {metric.value:.1f} MHz, {evidence.value}{error}\n  {metric.source}")


def synthesised_layers_table(report: Report) -> Table | None:
    """List what each layer takes, as synthesised and as estimated."""
    layers = [row for row in report.layers if row.synthesised]
    if not layers:
        return None
    amounts = [row.synthesised for row in layers] + [row.resources for row in layers]
    shown = [name for name in RESOURCES if any(amount.get(name) for amount in amounts)]
    columns = [title for name in shown for title in (RESOURCES[name], "est.")]
    title = "layers (synthesised, estimated)"
    table = empty_table("layer", "op", *columns, title=title, right=columns)
    for row in layers:
        table.add_row(
            shorten_middle(row.name, NAME_WIDTH),
            shorten_middle(row.op, 16),
            *(number(a.get(name, 0)) for name in shown for a in (row.synthesised, row.resources)),
        )
    return table


def synthesised_totals_table(report: Report, board: Board | None) -> Table | None:
    """Compare what a design takes, as estimated and as synthesised, with what the device has."""
    found = {
        (metric.name, metric.evidence): metric.value
        for metric in report.metrics
        if metric.name.removeprefix(WHOLE) in RESOURCES
    }
    has = board.resources.as_dict() if board else {}
    is_whole = any(name.startswith(WHOLE) for name, _ in found)
    columns = ["estimated", "synthesised", *(["at once"] if is_whole else []), "device has"]
    table = empty_table("resource", *columns, "share", right=(*columns, "share"))
    for name, title in RESOURCES.items():
        used = found.get((name, Evidence.SYNTHESISED))
        if used is None:
            continue
        values = [found.get((name, Evidence.ESTIMATED)), used]
        values += [found.get((WHOLE + name, Evidence.SYNTHESISED))] if is_whole else []
        table.add_row(
            title,
            *("?" if value is None else number(value) for value in (*values, has.get(name))),
            share(used, has.get(name)),
            style="red" if name in has and used > has[name] else None,
        )
    return table if table.rows else None


def synthesis_sources(report: Report) -> Text | None:
    """List what the synthesised figures are from."""
    metrics = [metric for metric in report.metrics if metric.evidence is Evidence.SYNTHESISED]
    return listing("synthesised by", list(dict.fromkeys(metric.source for metric in metrics)))


# run


def top1(array: Array) -> list[float]:
    """Return, for the first samples, the index of the highest value; a single value is itself."""
    flat = array[:NUM_SHOWN].reshape(min(len(array), NUM_SHOWN), -1)
    if flat.shape[1] == 1:
        return [value.item() for value in flat[:, 0]]
    return [int(index) for index in np.argmax(flat, axis=1)] if flat.size else []


def run_document(outputs: Mapping[str, Array], level: str, path: Path | None) -> dict[str, Any]:
    """Return what a run gave, without the arrays, as plain JSON values."""
    rows = [
        {
            "name": name,
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "top1": [value if math.isfinite(value) else None for value in top1(array)],
        }
        for name, array in outputs.items()
    ]
    return {"level": level, "outputs": rows, "output": None if path is None else str(path)}


def ran(outputs: Mapping[str, Array], level: str, path: Path | None) -> Group:
    """Show what a run gave: shapes, and the first samples where nothing was written."""
    lines = []
    for name, array in outputs.items():
        count = counted(len(array), "sample")
        lines.append(f"{name}: {array.dtype}{list(array.shape)}, {count}, computed by {level}")
        if path is None:
            kind = "value" if array[0].size == 1 else "highest at index"
            shown = "  ".join(f"{value:g}" for value in top1(array))
            lines.append(f"  {kind}: {shown}{'  …' if len(array) > NUM_SHOWN else ''}")
    if path is not None:
        lines.append(f"written to {path}")
    return Group(*map(unwrapped, lines))
