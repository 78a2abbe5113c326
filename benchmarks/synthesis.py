"""What synthesis, place and route make of networks, beside what was estimated.

    python -m benchmarks.synthesis --board pynq-z2 digits mlperf_ic_resnet8_int8_qdq
    python -m benchmarks.synthesis --board ulx3s-85f --flow nextpnr --clock-mhz 100 --seeds 4 digits

Designs are kept in --keep where that is given, with their logs, netlists and bitstreams.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.networks import few_bit_cases, float_cases, quantized_cases
from lepton_edge.artifact.report import Evidence, Report
from lepton_edge.cli.progress import PlainProgress
from lepton_edge.flow import Artifact, BuildOptions, CompileOptions, compile_model

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
RESOURCES = ("lut", "ff", "dsp", "bram36")


def networks(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Return models by name, each with a file of calibration inputs."""
    found = {"digits": (DIGITS / "digits.onnx", DIGITS / "calibration.npz")}
    for case in [*quantized_cases(8), *few_bit_cases(8), *float_cases(8)]:
        calibration = folder / f"{case.name}.npy"
        np.save(calibration, case.calibration)
        found[case.name] = (case.path, calibration)
    return found


def compiled(
    names: Sequence[str], keep: Path | None, options: CompileOptions
) -> Iterator[tuple[str, Artifact]]:
    """Compile models, into ``keep`` where that is given, and yield each; all when none is named."""
    with tempfile.TemporaryDirectory() as scratch:
        found = networks(Path(scratch))
        for name in names or found:
            model, calibration = found[name]
            chosen = replace(options, calibration=calibration, csim=False)
            yield name, compile_model(model, (keep or Path(scratch)) / name, chosen)


def pairs(report: Report) -> list[str]:
    """Return each resource as ``synthesised (estimated)``."""
    values = {(m.name, m.evidence): m.value for m in report.metrics}
    return [
        f"{values[name, Evidence.SYNTHESISED]:,.6g} ({values[name, Evidence.ESTIMATED]:,.6g})"
        for name in RESOURCES
    ]


def row(name: str, artifact: Artifact, options: BuildOptions) -> str:
    """Build a design, and return its line of the table."""
    began = time.monotonic()
    report = artifact.build(options, PlainProgress(sys.stderr)).report
    seconds = time.monotonic() - began
    fps, fmax = report.metric("throughput_fps"), report.metric("fmax_mhz")
    clock = f"{fmax.value:.1f}" if fmax else "-"
    rate = f"{fps.value:,.0f}" if fps else "-"
    return f"| {' | '.join((name, rate, *pairs(report), clock, f'{seconds:.0f}'))} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help="all, when none is named")
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--flow", default="yosys")
    parser.add_argument("--fps", type=float)
    parser.add_argument("--clock-mhz", type=float)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    options = BuildOptions(flow=given.flow, seeds=given.seeds, jobs=given.jobs)
    print(f"| network | frames/s | {' | '.join(RESOURCES)} | fmax MHz | build s |")
    print(f"|---|{'---|' * (len(RESOURCES) + 3)}")
    planned = CompileOptions(board=given.board, fps=given.fps, clock_mhz=given.clock_mhz)
    for name, artifact in compiled(given.networks, given.keep, planned):
        print(row(name, artifact, options), flush=True)


if __name__ == "__main__":
    main()
