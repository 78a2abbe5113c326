"""How long the tools themselves take: import, compile, C simulation.

    python -m benchmarks.speed [--samples 200]

C simulation is given in multiply-accumulates per CPU second of the whole design (line buffers,
requantisation and all else included), so the rate of the convolutions alone is higher.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.networks import quantized_cases
from lepton_edge.flow import CompileOptions, compile_model, open_artifact
from lepton_edge.ir.serde import load_graph


def import_seconds() -> float:
    """Return the median time that ``import lepton_edge`` adds to starting Python."""

    def start(code: str) -> float:
        times = []
        for _ in range(9):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    return start("import lepton_edge") - start("pass")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    count = parser.parse_args().samples
    print(f"import lepton_edge: {import_seconds():.3f} s\n")
    print("| network | compile s | build C simulation s | frames per CPU s | GMAC per CPU s |")
    print("|---|---|---|---|---|")
    for case in quantized_cases(count):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            compile_model(case.path, Path(folder) / "out", CompileOptions(csim=False))
            compile_s = time.perf_counter() - began
            artifact = open_artifact(Path(folder) / "out")
            inputs = {artifact.manifest.inputs[0].name: case.inputs}
            began = time.perf_counter()
            artifact.run({k: v[:1] for k, v in inputs.items()})
            build_s = time.perf_counter() - began
            cpu = time.process_time()
            artifact.run(inputs)
            cpu = time.process_time() - cpu
            macs = load_graph(Path(folder) / "out" / "graphs" / "core.npz").macs
        print(
            f"| {case.name} | {compile_s:.2f} | {build_s:.2f} | {count / cpu:.0f} | "
            f"{macs * count / cpu / 1e9:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
