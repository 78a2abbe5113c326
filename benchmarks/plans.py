"""What the third-party networks cost on a board: all figures estimated.

python -m benchmarks.plans [--board pynq-z2]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.networks import float_cases, quantized_cases
from lepton_edge.flow import CompileOptions, plan_model

COLUMNS = ("throughput_fps", "latency_us", "lut", "ff", "dsp", "bram36")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", default="pynq-z2")
    board = parser.parse_args().board
    print(f"| network | {' | '.join(COLUMNS)} |")
    print(f"|---|{'---|' * len(COLUMNS)}")
    for case in [*quantized_cases(8), *float_cases(8)]:
        with tempfile.TemporaryDirectory() as folder:
            calibration = Path(folder) / "calibration.npy"
            np.save(calibration, case.calibration)
            options = CompileOptions(board=board, calibration=calibration)
            report = plan_model(case.path, options)
        found = [report.metric(name) for name in COLUMNS]
        print(f"| {case.name} | {' | '.join(f'{m.value:,.6g}' if m else '-' for m in found)} |")


if __name__ == "__main__":
    main()
