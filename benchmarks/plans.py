"""What the third-party networks cost on a board: all figures estimated.

python -m benchmarks.plans [--board pynq-z2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.networks import float_cases, quantized_cases
from lepton_edge.flow import CompileOptions, plan_model
from lepton_edge.progress import Silent

COLUMNS = ("throughput_fps", "latency_us", "lut", "ff", "dsp", "bram36", "plan_gap_percent")


class Stopwatch(Silent):
    """Measures the stages of a compilation, by the first words of their titles."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Enter a stage."""
        began = time.perf_counter()
        yield
        self.seconds[title.split(" for ")[0]] = time.perf_counter() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", default="pynq-z2")
    board = parser.parse_args().board
    print(f"| network | {' | '.join(COLUMNS)} | plan s |")
    print(f"|---|{'---|' * len(COLUMNS)}---|")
    for case in [*quantized_cases(8), *float_cases(8)]:
        with tempfile.TemporaryDirectory() as folder:
            calibration = Path(folder) / "calibration.npy"
            np.save(calibration, case.calibration)
            options = CompileOptions(board=board, calibration=calibration)
            watch = Stopwatch()
            report = plan_model(case.path, options, watch)
        found = [report.metric(name) for name in COLUMNS]
        values = " | ".join(f"{m.value:,.6g}" if m else "-" for m in found)
        print(f"| {case.name} | {values} | {watch.seconds['plan the hardware']:.2f} |")


if __name__ == "__main__":
    main()
