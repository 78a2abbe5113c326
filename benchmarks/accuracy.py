"""What int8 post-training quantisation costs: float against integers, on real inputs.

python benchmarks/accuracy.py [--samples 1000] [--observer minmax|percentile|mse] ...
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.networks import Case, float_cases
from lepton_edge.frontends import import_model
from lepton_edge.ir import interpreter
from lepton_edge.passes.calibration import Observer
from lepton_edge.passes.pipeline import QuantizeOptions, lower, quantize, simplify


def judge(case: Case, options: QuantizeOptions) -> str:
    """Return a table row for one network."""
    started = time.monotonic()
    source = simplify(import_model(case.path))
    (name,) = source.inputs
    graph = lower(quantize(source, options, {name: case.calibration})).graph
    seconds = time.monotonic() - started
    wanted, found = (
        interpreter.run(g, {name: case.inputs})[source.outputs[0]].reshape(len(case.inputs), -1)
        for g in (source, graph)
    )
    error = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
    if case.labels is None:
        return f"| {case.name} | {len(case.inputs)} | | | | {100 * error:.2f} % | {seconds:.1f} |"
    top = [100 * float((y.argmax(1) == case.labels).mean()) for y in (wanted, found)]
    same = 100 * float((wanted.argmax(1) == found.argmax(1)).mean())
    return (
        f"| {case.name} | {len(case.inputs)} | {top[0]:.2f} % | {top[1]:.2f} % "
        f"({top[1] - top[0]:+.2f}) | {same:.2f} % | {100 * error:.2f} % | {seconds:.1f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--observer", default="minmax", choices=[o.value for o in Observer])
    parser.add_argument("--equalize", action="store_true")
    parser.add_argument("--correct-bias", action="store_true")
    args = parser.parse_args()
    options = QuantizeOptions("int8", Observer(args.observer), args.equalize, args.correct_bias)
    print("| network | samples | float top-1 | int8 top-1 | same top-1 | error | quantise s |")
    print("|---|---|---|---|---|---|---|")
    for case in float_cases(args.samples):
        print(judge(case, options), flush=True)


if __name__ == "__main__":
    main()
