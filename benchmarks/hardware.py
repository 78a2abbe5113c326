"""The hardware in one table: planned, simulated cycle by cycle, proven bit-exact, synthesised.

    python -m benchmarks.hardware --jobs 2
    python -m benchmarks.hardware --keep build/hardware mlperf_kws_dscnn_int8_qdq

For each network: the plan for the board, as fast as fits; --frames back-to-back frames through the
generated SystemVerilog, with and without stalls, compared with the interpreter bit for bit; and
Yosys' synthesis of it, with the clock estimated from the netlist. Real inputs come first, random
ones follow.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import lepton_edge
from benchmarks.synthesis import compiled
from lepton_edge.artifact.report import Evidence, Report
from lepton_edge.backends.boards import Board, load_board
from lepton_edge.cli.progress import PlainProgress
from lepton_edge.flow import Artifact, BuildOptions, CompileOptions
from lepton_edge.toolchain.find import require_tool


@dataclass(frozen=True)
class Target:
    """What a network is to reach on a PYNQ-Z2 at 100 MHz, and what others reach.

    Args:
        frames: a second.
        stretch: frames a second that would be better still.
        others: published figures.
    """

    frames: float
    stretch: float
    others: str


TARGETS = {
    "mlperf_ic_resnet8_int8_qdq": Target(1_000, 2_500, "hls4ml 131, GAP9 1,623"),
    "mlperf_kws_dscnn_int8_qdq": Target(5_000, 12_000, "GAP9 2,103"),
    "mlperf_ad_fcae_int8_qdq": Target(60_000, 120_000, "hls4ml 53,365"),
    "ort_mnist_conv_op8_fp32": Target(20_000, 60_000, ""),
    "digits": Target(0, 0, ""),
}
"""Source of the others: MLPerf Tiny results v0.7 and v1.0 (hls4ml on a PYNQ-Z2; GAP9)."""

RESOURCES = ("lut", "ff", "dsp", "bram36")

HEADER = (
    "network", "asked", "planned frames/s", "simulated frames/s", "cycles a frame", "latency µs",
    "exact", "LUT", "FF", "DSP", "BRAM36", "clock MHz", "others",
)  # fmt: skip


def exact(report: Report) -> str:
    """Return how many frames equal the interpreter's, at each level that was compared."""
    rows = (f"{r.level} {r.samples - r.mismatches}/{r.samples}" for r in report.verification)
    return ", ".join(rows)


def line(name: str, report: Report, board: Board) -> str:
    """Return a network's line of the table."""
    found = {(m.name, m.evidence): m for m in report.metrics}
    planned = found["throughput_fps", Evidence.ESTIMATED].value
    cycles = found["cycles_per_frame", Evidence.SIMULATED].value
    latency = found["latency_cycles", Evidence.SIMULATED].value
    clock = found["fmax_mhz", Evidence.ESTIMATED]
    has = board.resources.as_dict()
    used = [
        f"{found[key, Evidence.SYNTHESISED].value:,.6g} of {has[key]:,.6g}" for key in RESOURCES
    ]
    target = TARGETS.get(name, Target(0, 0, ""))
    asked = f"{target.frames:,.0f} / {target.stretch:,.0f}" if target.frames else "-"
    cells = (
        name, asked, f"{planned:,.0f}", f"{1e6 * board.clock_mhz / cycles:,.0f}", f"{cycles:,.1f}",
        f"{latency / board.clock_mhz:,.1f}", exact(report), *used,
        f"{clock.value:.0f} ({clock.error.partition(' MHz')[0]})", target.others or "-",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def examined(artifact: Artifact, frames: int, jobs: int | None) -> Report:
    """Simulate a design, compare it with the interpreter, and synthesise it."""
    progress = PlainProgress(sys.stderr)
    artifact.verify(frames, levels=("csim", "rtl"), progress=progress)
    return artifact.build(BuildOptions(jobs=jobs), progress).report


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help="those of TARGETS, when none is named")
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    board = load_board(given.board)
    print(
        f"{datetime.date.today()}: lepton-edge {lepton_edge.__version__}, Python "
        f"{platform.python_version()}, Yosys {require_tool('yosys').version}, Verilator "
        f"{require_tool('verilator').version}; {board.title}, {board.clock_mhz:g} MHz\n"
    )
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    names, options = given.networks or tuple(TARGETS), CompileOptions(board=given.board)
    for name, artifact in compiled(names, given.keep, options):
        print(line(name, examined(artifact, given.frames, given.jobs), board), flush=True)


if __name__ == "__main__":
    main()
