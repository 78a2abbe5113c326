"""Every RTL leaf computes exactly the words of its kernel, at its rate, whatever stalls."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lepton_edge.backends.fpga.kernels.base import Elem, Kernel, Port
from lepton_edge.backends.fpga.kernels.depthwise import Depthwise
from lepton_edge.backends.fpga.kernels.matrix_vector import MatrixVector
from lepton_edge.backends.fpga.kernels.plumbing import AxisEnd
from lepton_edge.backends.fpga.kernels.window import Padding, SlidingWindow
from lepton_edge.ir.types import Array
from lepton_edge.runtime.verilated import Run
from tests.hwsim.kernel_samples import (
    S2,
    S8,
    S16,
    SAMPLES,
    SHARED,
    U1,
    U8,
    U16,
    depthwise,
    extreme_inputs,
    inputs,
    matrix,
    signs,
    softmax,
    threshold,
)
from tests.hwsim.rtl import harness
from tests.hwsim.rtl.leaves import leaf_of

Words = NDArray[np.uint32]

FRAMES = 3
STALLS = (0.0, 0.3, 0.7)


@dataclass
class Case:
    """A leaf, what it is sent, what shall come, and what is wrong with it.

    Args:
        leaf: the module.
        sent: words by input stream.
        expected: words by output stream.
        cycles: most cycles from the end of one frame to the end of the next, without stalls.
        problems: a line each.
    """

    leaf: harness.Leaf
    sent: Mapping[str, Words]
    expected: Mapping[str, Words]
    cycles: int
    problems: list[str] = field(default_factory=list)


# -- cases --------------------------------------------------------------------------------------


def case_of(name: str, kernel: Kernel, arrays: Sequence[Array] = ()) -> Case:
    """Return a case for a kernel's leaf: of given frames for each input, else of random codes."""
    if isinstance(kernel, SlidingWindow) and kernel.spare is None:
        # As deep as a window that sets the pace needs to be.
        kernel = replace(kernel, spare=kernel.usual_spare + kernel.span)
    leaf = leaf_of(kernel, name)
    arrays = arrays or list(inputs(kernel, FRAMES))
    ins = [s.name for s in leaf.streams if s.is_input]
    outs = [s.name for s in leaf.streams if not s.is_input]
    return Case(
        leaf,
        {
            stream: _words(kernel, port, array, is_input=True)
            for stream, port, array in zip(ins, kernel.inputs, arrays, strict=True)
        },
        {
            stream: _words(kernel, port, array, is_input=False)
            for stream, port, array in zip(
                outs, kernel.outputs, kernel.evaluate(*arrays), strict=True
            )
        },
        kernel.cycles,
    )


def _words(kernel: Kernel, port: Port, array: Array, *, is_input: bool) -> Words:
    """Return a stream's words; the outer side of an AXI end has whole bytes, and TLAST."""
    codes = array.reshape(-1, port.lanes)
    if not isinstance(kernel, AxisEnd) or kernel.is_input != is_input:
        return harness.pack(codes, port.elem.bits)
    bits = 8 * kernel.x.num_bytes
    if is_input:
        return harness.pack(codes, bits)
    last = np.arange(len(codes)) % port.words == port.words - 1
    pieces = -(-(bits * port.lanes + 1) // 32)
    with_last = np.column_stack([codes, -last.astype(np.int64)])
    words = harness.pack(with_last, bits)[:, :pieces]
    top = bits * port.lanes % 32  # the bit of TLAST in the last piece
    words[:, -1] &= np.uint32((2 << top) - 1)
    return np.ascontiguousarray(words)


def fifo_case(bits: int, depth: int, count: int = 300) -> Case:
    """Return a FIFO that is sent random words."""
    rng = np.random.default_rng(depth)
    words = harness.pack(rng.integers(0, 2, (count * FRAMES, bits)), 1)
    streams = (harness.Stream("in", bits, True), harness.Stream("out", bits, False))
    name = f"fifo_{bits}x{depth}"
    leaf = harness.Leaf(name, "lepton_fifo", {"BITS": bits, "DEPTH": depth}, streams)
    return Case(leaf, {"in": words}, {"out": words}, count)


def least_window_case(name: str, kernel: SlidingWindow) -> Case:
    """Return windows whose line buffer holds no more than one of them, so that they wait for it."""
    case = case_of(name, replace(kernel, spare=max(0, 2 - kernel.span)))
    return replace(case, cycles=kernel.inputs[0].words + kernel.outputs[0].words)


def eager_pad_case(name: str, kernel: Padding) -> Case:
    """Return a padding that writes ahead of its input: the next frame's border follows the last."""
    case = case_of(name, kernel)
    leaf = replace(case.leaf, parameters={**case.leaf.parameters, "IS_EAGER": 1})
    top, left, _, _ = kernel.pads
    ahead = (top * kernel.out_size[1] + left) * kernel.groups
    whole = case.expected["out"]
    return replace(case, leaf=leaf, expected={"out": np.vstack([whole, whole[:ahead]])})


def foldings(samples: Mapping[str, Kernel], most: int) -> dict[str, Kernel]:
    """Return up to ``most`` foldings of each, the first and the last among them."""
    chosen = {}
    for name, sample in samples.items():
        every = list(sample.foldings())
        for place in np.unique(np.linspace(0, len(every) - 1, most).round().astype(int)):
            chosen[f"{name}_{place}"] = every[place]
    return chosen


def image(x: Elem, size: int, channels: int, lanes: int, k: int, s: int, **more: object) -> Kernel:
    """Return the windows of a layer of usual shape."""
    geometry = {"kernel": (k, k), "strides": (s, s), **more}
    return SlidingWindow(x, size, size, channels, lanes, **geometry)  # type: ignore[arg-type]


FACTORS = {
    "u8_s8": matrix(U8, S8, 8, 24, 2),
    "s8_s4": matrix(S8, Elem(4), 6, 12, 2),
    "u2_s8": matrix(Elem(2, False), S8, 4, 14, 2),
    "u16_s16": matrix(U16, S16, 3, 10, 2),
    "u1_s2": matrix(U1, S2, 4, 9, 2),
    "s7_s3": matrix(Elem(7), Elem(3), 4, 13, 2),
    "s3_s3": matrix(Elem(3), Elem(3), 4, 12, 2),
    "u3_s2": matrix(Elem(3, False), S2, 4, 12, 2),
    "s4_s2": matrix(Elem(4), S2, 4, 12, 2),
    "signs": signs(U1, 4, 30, 2, bipolar=True),
    "s2_signs": signs(S2, 4, 30, 2, bipolar=False),
    "u1_signs": signs(U1, 4, 15, 2, bipolar=False),
    "u3_signs": signs(Elem(3, False), 4, 18, 2, bipolar=False),
    "s8_signs": signs(S8, 4, 12, 2, bipolar=False),
}

USUAL: dict[str, Kernel] = {
    "conv3": image(U8, 18, 16, 8, 3, 1),
    "conv3_stride": image(S8, 17, 8, 8, 3, 2),
    "conv3_one_group": image(U1, 14, 4, 4, 3, 1),
    "conv5": image(S8, 12, 2, 1, 5, 1),
    "conv1_stride": image(S8, 16, 4, 2, 1, 2),
    "conv3_dilated": image(S8, 13, 2, 2, 3, 1, dilations=(2, 2)),
    "pool2": image(S8, 16, 4, 4, 2, 2, is_channelwise=True),
    "pool3_stride": image(U8, 15, 4, 2, 3, 2, is_channelwise=True),
    "depthwise3": image(S8, 12, 8, 2, 3, 1, is_channelwise=True),
    "rows": SlidingWindow(S8, 40, 1, 4, 2, (4, 1), (2, 1)),
    "columns": SlidingWindow(S8, 1, 49, 2, 2, (1, 10), (1, 2)),
    "thresholds_255": replace(threshold(S16, U8, 8, 255, 8), lanes=4),
    "softmax_10": softmax(S8, S8, 10),
    "softmax_70": replace(softmax(U8, U8, 70), lanes=7),
}


WIDE: dict[str, Kernel] = {
    "taps_all": image(S8, 12, 1, 1, 5, 1, word_taps=25),
    "taps_row_stride": image(U8, 9, 3, 3, 3, 2, word_taps=3),
    "taps_dilated": image(S8, 13, 2, 2, 3, 1, dilations=(2, 2), word_taps=9),
    "taps_narrow": SlidingWindow(S8, 40, 2, 2, 2, (4, 1), (2, 1), word_taps=2),
    "taps_columns": SlidingWindow(S8, 1, 49, 2, 2, (1, 10), (1, 2), word_taps=5),
}


def quick_cases() -> Iterable[Case]:
    """Yield what every run of the tests tries."""
    for name, kernel in WIDE.items():
        yield case_of(name, kernel)
    for name, kernel in USUAL.items():
        if isinstance(kernel, SlidingWindow):
            yield least_window_case(f"{name}_least", kernel)
    for name, kernel in SHARED.items():
        yield case_of(name, kernel)
        yield case_of(f"{name}_extreme", kernel, [extreme_inputs(kernel, FRAMES)])
    for name, kernel in foldings(SAMPLES, 3).items():
        yield case_of(name, kernel)
    for bits, depth in ((5, 2), (9, 3), (40, 7), (9, 64), (70, 65), (33, 130)):
        yield fifo_case(bits, depth)
    for name, kernel in SAMPLES.items():
        if isinstance(kernel, Padding):
            yield eager_pad_case(f"{name}_eager", kernel)
        if isinstance(kernel, MatrixVector | Depthwise):
            by_lut = [k for k in kernel.foldings() if not k.is_dsp]  # type: ignore[attr-defined]
            yield case_of(f"{name}_lut", by_lut[len(by_lut) // 2])


def slow_cases() -> Iterable[Case]:
    """Yield larger shapes, more foldings, more widths."""
    for name, kernel in foldings(SAMPLES, 9).items():
        yield case_of(f"all_{name}", kernel)
    for name, kernel in foldings(FACTORS, 14).items():
        yield case_of(name, kernel)
    for name, kernel in USUAL.items():
        yield case_of(name, kernel)
    yield case_of("depthwise_lut", replace(depthwise(U8, S8, 8, 9, 5), pe=4, is_dsp=False))
    yield fifo_case(36, 513, 900)
    yield fifo_case(8, 1024, 2500)


QUICK = {case.leaf.name: case for case in quick_cases()}
SLOW = {case.leaf.name: case for case in slow_cases()}


# -- running them -------------------------------------------------------------------------------


def simulate(cases: Mapping[str, Case], folder: Path) -> None:
    """Build one design of all leaves side by side, run it under each pair of stalls, and judge."""
    text, streams = harness.bench([case.leaf for case in cases.values()])
    for case in cases.values():
        for file, content in case.leaf.files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(content)
    design = harness.build("bench", text, streams, folder)
    sent = {f"{n}__{s}": words for n, case in cases.items() for s, words in case.sent.items()}
    expected = {
        f"{n}__{s}": len(words) for n, case in cases.items() for s, words in case.expected.items()
    }
    for i, stall_in in enumerate(STALLS):
        for j, stall_out in enumerate(STALLS):
            design.reset()
            seed = 1 + len(STALLS) * i + j
            run = design.run(sent, expected, stall_in=stall_in, stall_out=stall_out, seed=seed)
            for case in cases.values():
                judge(case, run, f"stalls {stall_in}, {stall_out}")
                if stall_in == stall_out == 0.0 and not case.problems:
                    judge_rate(case, run)
    design.close()


def judge(case: Case, run: Run, where: str) -> None:
    """Note wrong, missing and surplus words, and breaches of the protocol."""
    prefix = f"{case.leaf.name}__"
    case.problems += [
        f"{where}: {line}" for line in run.trouble.splitlines() if f" {prefix}" in line
    ]
    for stream, wanted in case.expected.items():
        got = run.words[prefix + stream]
        if len(got) < len(wanted):
            case.problems.append(f"{where}: {stream}: {len(got)} words of {len(wanted)}")
        wrong = np.flatnonzero((got != wanted[: len(got)]).any(axis=1))
        if len(wrong):
            first = wrong[0]
            case.problems.append(
                f"{where}: {stream}: word {first} is {got[first]}, wanted {wanted[first]}; "
                f"{len(wrong)} of {len(got)} are wrong"
            )


def judge_rate(case: Case, run: Run) -> None:
    """Note when frames take longer than planned. A frame ends with its last transfer."""
    ends = np.zeros(FRAMES, np.int64)
    for stream in case.leaf.streams:
        cycles = run.cycles[f"{case.leaf.name}__{stream.name}"]
        words = len(cycles) // FRAMES
        ends = np.maximum(ends, cycles[words - 1 :: words][:FRAMES])
    if stream_is_ahead(case):
        return
    spent = int(ends[-1] - ends[0]) / (FRAMES - 1)
    if spent > case.cycles:
        case.problems.append(f"{spent} cycles a frame, {case.cycles} planned")


def stream_is_ahead(case: Case) -> bool:
    """Return whether the output is no whole number of frames."""
    return case.leaf.parameters.get("IS_EAGER") == 1


def problems_of(
    name: str, cases: Mapping[str, Case], factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """Simulate once, also when several processes share the tests; return what is wrong by case."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    result = root / f"rtl_{name}.json"
    with (root / f"rtl_{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            simulate(cases, factory.mktemp(name))
            found = {key: case.problems for key, case in cases.items()}
            result.write_text(json.dumps(found))
    return dict(json.loads(result.read_text()))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return problems_of("quick", QUICK, tmp_path_factory)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return problems_of("slow", SLOW, tmp_path_factory)


@harness.needs_simulator
@pytest.mark.parametrize("name", QUICK)
def test_leaf(quick: dict[str, list[str]], name: str) -> None:
    assert not quick[name], "\n".join(quick[name])


@harness.needs_simulator
@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_leaf_at_length(slow: dict[str, list[str]], name: str) -> None:
    assert not slow[name], "\n".join(slow[name])


def test_every_leaf_is_tried() -> None:
    helpers = {"skid", "counter", "rom", "ram", "sum", "delay", "join", "largest", "dot"}
    helpers |= {"multiplier", "product_table", "sign_dot", "xnor_dot", "packed_dot"}
    helpers |= {"room", "rom_words", "axilite"}  # the last: test_registers.py
    tried = {case.leaf.module for case in QUICK.values()}
    assert tried == {path.stem for path in harness.SOURCES} - {f"lepton_{h}" for h in helpers}
