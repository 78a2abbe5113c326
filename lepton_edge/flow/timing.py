"""The clock of a synthesised design that no open router brings to its device: estimated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lepton_edge.artifact.report import Evidence, Report
from lepton_edge.backends.fpga.timing.analysis import Timing, analyse, slowest
from lepton_edge.backends.fpga.timing.netlist import load_netlist
from lepton_edge.flow.synthesis import Synthesis
from lepton_edge.progress import Progress

ESTIMATED = ("xc7",)
"""Families whose clock is estimated from the netlist; for others nextpnr tells, or nothing does."""

ABOUT = "estimated from the netlist: "
"""What the warning of a slow clock begins with."""


def estimate_timing(synthesis: Synthesis, progress: Progress) -> Timing:
    """Return the timing of the slowest node, from the netlists of all.

    Args:
        synthesis: of a family in `ESTIMATED`.
        progress: told how many nodes are done.
    """
    family, netlists = synthesis.recipe.family, synthesis.nodes
    alike: dict[Path, Timing] = {}
    with progress.stage(f"estimate the clock from {len(netlists)} netlists"):
        for done, netlist in enumerate(netlists.values(), start=1):
            if netlist.path not in alike:
                alike[netlist.path] = analyse(load_netlist(netlist.path), family)
            progress.advance(done, len(netlists))
    return slowest({name: alike[netlist.path] for name, netlist in netlists.items()})


def with_timing(report: Report, timing: Timing, synthesis: Synthesis, clock_mhz: float) -> Report:
    """Return a report with the estimated clock, and a warning where it is less than was wanted.

    Args:
        report: the report.
        timing: what `estimate_timing` gave.
        synthesis: of which design.
        clock_mhz: the clock that the design was planned for.
    """
    place = place_of(timing, synthesis)
    metric = timing.metric()
    metric = replace(metric, source=f"{metric.source}; the critical path runs in {place}")
    report = without_timing(report).with_metric(metric)
    if timing.fmax_mhz < clock_mhz:
        warning = (
            f"{ABOUT}{timing.fmax_mhz:.0f} MHz ({timing.low_mhz:.0f} to {timing.high_mhz:.0f}), "
            f"less than the design's clock of {clock_mhz:g} MHz; the critical path runs in {place}"
        )
        report = replace(report, warnings=(*report.warnings, warning))
    return report


def without_timing(report: Report) -> Report:
    """Return a report without the clock that was estimated for an earlier netlist."""
    warnings = tuple(text for text in report.warnings if not text.startswith(ABOUT))
    return replace(report.without_metric("fmax_mhz", Evidence.ESTIMATED), warnings=warnings)


def place_of(timing: Timing, synthesis: Synthesis) -> str:
    """Return where the longest path runs, in the user's words: layer, kernel, ends."""
    node = next(node for node in synthesis.structure.nodes if node.name == timing.node)
    return f"{node.place}, from {timing.start} to {timing.end}"
