"""How full FIFOs and line buffers become in RTL simulation, beside the room that was planned.

    python -m benchmarks.fifos mlperf_ic_resnet8_int8_qdq digits

Frames go through back to back at full speed. Plain FIFOs of two words are part of every stream, and
are told apart from those that were sized.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.hardware import TARGETS
from benchmarks.synthesis import compiled
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH
from lepton_edge.data import data_dir
from lepton_edge.flow import Artifact, CompileOptions, open_artifact
from lepton_edge.flow.levels import rtl_simulation
from lepton_edge.progress import Silent

MONITOR = "occupancy.sv"
_LINE = re.compile(r"^occupancy (\S+) (-?\d+) (\d+) (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Buffer:
    """A FIFO or a line buffer.

    Args:
        instance: its name in the design.
        most: words that were in it at once.
        depth: words that fit.
        bits: of a word.
    """

    instance: str
    most: int
    depth: int
    bits: int


def buffers(artifact: Artifact, frames: int) -> list[Buffer]:
    """Simulate a copy of the design that has monitors."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "artifact"
        shutil.copytree(artifact.root, root, ignore=shutil.ignore_patterns("build"))
        shutil.copyfile(data_dir("hls") / "rtl" / "sim" / MONITOR, root / "rtl/kernels" / MONITOR)
        words = [sys.executable, "-m", "benchmarks.fifos", "--simulate", str(root), str(frames)]
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=os.environ)
    found = [(name, *map(int, rest)) for name, *rest in _LINE.findall(done.stdout)]
    return [Buffer(*row) for row in found]


def simulate(root: Path, frames: int) -> None:
    """Run frames through a design, whose monitors print when it is closed.

    What the words are makes no difference to when they move.
    """
    artifact = open_artifact(root)
    simulation = rtl_simulation(root, artifact.manifest, Silent())
    codes = {
        port["value"]: np.zeros((frames, port["elements"]), port["dtype"])
        for port in artifact.manifest.options["ports"]["inputs"]
    }
    simulation.run_back_to_back(codes)


def line(name: str, found: list[Buffer]) -> str:
    """Return a network's line of the table."""
    sized = [b for b in found if b.depth > MIN_DEPTH]
    cells = []
    for some in (sized, found):
        room = sum(b.depth * b.bits for b in some)
        held = sum(b.most * b.bits for b in some)
        cells += [f"{room:,}", f"{held:,}", f"{room / held:.2f}" if held else "-"]
    return f"| {name} | {len(sized)} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help="those of benchmarks.hardware, without")
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--simulate", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.simulate:
        simulate(Path(given.simulate[0]), int(given.simulate[1]))
        return
    what = ("bits of room", "bits held", "room / held")
    print(f"| network | sized | {' | '.join(what)} | {' | '.join(f'all {w}' for w in what)} |")
    print(f"|---|{'---|' * 7}")
    names, options = given.networks or tuple(TARGETS), CompileOptions(board=given.board)
    for name, artifact in compiled(names, None, options):
        print(line(name, buffers(artifact, given.frames)), flush=True)


if __name__ == "__main__":
    main()
