"""Compile the digits example for every known board, and print the figures side by side.

python examples/digits/sweep.py [BUILD_DIR]

Each figure carries its evidence, shortened to a letter: m(easured), s(imulated),
S(ynthesised), e(stimated).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lepton_edge.backends.boards import list_boards

HERE = Path(__file__).resolve().parent
COLUMNS = ("clock_mhz", "throughput_fps", "latency_us", "lut", "ff", "dsp", "bram36", "compile_s")
LETTERS = {"measured": "m", "simulated": "s", "synthesised": "S", "estimated": "e"}


def compile_for(board: str, out: Path) -> dict[str, str]:
    """Compile for one board; return the figures as they are printed, by name."""
    command = ["lepton-edge", "compile", str(HERE / "digits.onnx"), "--target", "fpga"]
    command += ["--board", board, "--calibration", str(HERE / "calibration.npz"), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with status {done.returncode}:\n{done.stderr}")
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return {
        row["name"]: f"{row['value']:.5g} {LETTERS[row['evidence']]}" for row in report["metrics"]
    }


def main() -> None:
    """Print one row a board."""
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build/sweep")
    print(f"{'board':<14}" + "".join(f"{name:>16}" for name in COLUMNS))
    for board in list_boards():
        figures = compile_for(board.name, build / board.name)
        row = "".join(f"{figures.get(name, '–'):>16}" for name in COLUMNS)
        print(f"{board.name:<14}{row}", flush=True)


if __name__ == "__main__":
    main()
