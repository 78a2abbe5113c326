"""Every kernel: its foldings, its meaning, its cycles, its order and its cost."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lepton_edge.backends.fpga import kernels
from lepton_edge.backends.fpga.kernels.base import Elem, Kernel
from lepton_edge.backends.fpga.kernels.depthwise import Depthwise
from lepton_edge.backends.fpga.kernels.elementwise import Join
from lepton_edge.backends.fpga.kernels.matrix_vector import MatrixVector
from lepton_edge.backends.fpga.kernels.plumbing import Concat, Fork, Slice, Stream, WidthConverter
from lepton_edge.backends.fpga.kernels.pool import Pool
from lepton_edge.backends.fpga.kernels.requantize import Threshold
from lepton_edge.backends.fpga.kernels.select import ArgMax, Softmax
from lepton_edge.backends.fpga.kernels.window import Padding, SlidingWindow, Stretch
from tests.hwsim.kernel_samples import SAMPLES, events, inputs, meaning

FOLDINGS = [(name, k) for name, sample in SAMPLES.items() for k in sample.foldings()]
every_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
every_folding = pytest.mark.parametrize(
    "kernel",
    [k for _, k in FOLDINGS],
    ids=[f"{n}-{'-'.join(map(str, k.folding.values()))}" for n, k in FOLDINGS],
)


def _kernel_classes(root: type[Kernel] = Kernel) -> Iterator[type[Kernel]]:
    for module in pkgutil.iter_modules(kernels.__path__):
        importlib.import_module(f"{kernels.__name__}.{module.name}")
    for cls in root.__subclasses__():
        yield cls
        yield from _kernel_classes(cls)


def test_every_kernel_has_a_sample() -> None:
    named = {cls for cls in _kernel_classes() if cls.kind}
    assert named
    assert {type(k) for k in SAMPLES.values()} == named
    assert len({cls.kind for cls in named}) == len(named)


@every_folding
def test_folding_is_legal(kernel: Kernel) -> None:
    for port in (*kernel.inputs, *kernel.outputs):
        assert port.lanes >= 1
        assert port.elements % port.lanes == 0
        assert 1 <= port.elem.bits <= 64
    for table in kernel.tables:
        assert table.elem.lowest <= table.array.min()
        assert table.array.max() <= table.elem.highest


@every_sample
def test_foldings_reach_from_nothing_to_everything_at_once(sample: Kernel) -> None:
    foldings = list(sample.foldings())
    assert len({str(k.folding) for k in foldings}) == len(foldings)
    if isinstance(sample, Stream):
        assert foldings == [sample]
        return
    lowest, highest = foldings[0].folding, foldings[-1].folding
    assert {v for k, v in lowest.items() if k not in ("dsp", "bram", "line_bram")} == {1}
    limits = {
        MatrixVector: ("rows", "columns"),
        Depthwise: ("channels",),
        Concat: ("block_a", "block_b"),
        Slice: ("block",),
    }.get(type(sample), ("channels",))
    for value, limit in zip(highest.values(), limits, strict=False):
        assert getattr(sample, limit) % value == 0
    if not isinstance(sample, Concat | Slice):
        assert next(iter(highest.values())) == getattr(sample, limits[0])


@every_folding
def test_evaluate_is_the_plain_definition(kernel: Kernel) -> None:
    arrays = inputs(kernel)
    results = kernel.evaluate(*arrays)
    for found, wanted, port in zip(results, meaning(kernel, *arrays), kernel.outputs, strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert found.shape == (2, port.elements)
        assert found.dtype == np.int64
        assert port.elem.lowest <= found.min()
        assert found.max() <= port.elem.highest


def _order_depends_on_lanes(kernel: Kernel) -> bool:
    """Whether it works on channelwise windows; it is tested as a pair with its window."""
    return isinstance(kernel, Depthwise | Pool) or getattr(kernel, "is_channelwise", False)


@pytest.mark.parametrize(
    "name", [name for name, k in SAMPLES.items() if not _order_depends_on_lanes(k)]
)
def test_every_folding_computes_the_same(name: str) -> None:
    sample = SAMPLES[name]
    arrays = inputs(sample)
    wanted = sample.evaluate(*arrays)
    for folded in sample.foldings():
        for found, expected in zip(folded.evaluate(*arrays), wanted, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("is_depthwise", [True, False])
def test_a_channelwise_window_and_its_reader_agree_in_every_folding(is_depthwise: bool) -> None:
    channels, lanes_of = 6, []
    for lanes in (1, 2, 3, 6):
        window = SlidingWindow(
            Elem(5), 6, 5, channels, lanes, kernel=(3, 2), strides=(1, 2), is_channelwise=True
        )
        pixels = window.out_size[0] * window.out_size[1]
        weights = np.arange(channels * 6).reshape(channels, 6) - 11
        reader: Kernel
        if is_depthwise:
            reader = Depthwise(Elem(5), Elem(16), weights, weights[:, 0], pixels, lanes)
        else:
            reader = Pool(Elem(5), Elem(16), channels, 6, pixels, False, False, 7, lanes)
        (x,) = inputs(window)
        lanes_of.append(reader.evaluate(*window.evaluate(x))[0])
    for found in lanes_of[1:]:
        np.testing.assert_array_equal(found, lanes_of[0])


# -- cycles: the formulas of hls/rtl/README.md, written again -------------------------------------


def _cycles(kernel: Kernel) -> int:
    words = kernel.inputs[0].words
    match kernel:
        case MatrixVector():
            return kernel.vectors * (kernel.rows // kernel.pe) * (kernel.columns // kernel.simd)
        case Depthwise() | Pool(is_global=False):
            return kernel.pixels * (kernel.channels // kernel.pe) * kernel.taps
        case Pool():
            return kernel.taps * (kernel.channels // kernel.pe)
        case SlidingWindow():
            height, width = kernel.out_size
            if kernel.is_wide:
                rest = kernel.taps // kernel.word_taps - 1
                return kernel.height * kernel.width + height * width * rest
            windows = height * width * kernel.taps
            return max(windows, kernel.height * kernel.width) * kernel.channels // kernel.lanes
        case Softmax():
            return kernel.pixels * (kernel.channels // kernel.lanes)
        case ArgMax():
            return kernel.pixels * (kernel.channels // kernel.lanes)
        case Concat():
            return kernel.blocks * (kernel.block_a + kernel.block_b) // kernel.lanes
        case Padding() | Stretch():
            height, width = kernel.out_size
            return height * width * kernel.channels // kernel.lanes
        case WidthConverter():
            return kernel.elements // min(kernel.lanes, kernel.out_lanes)
        case _:
            return words


@every_folding
def test_cycles_follow_the_stated_formula(kernel: Kernel) -> None:
    assert kernel.cycles == _cycles(kernel)
    assert kernel.cycles >= max(p.words for p in (*kernel.inputs, *kernel.outputs))


# -- order ----------------------------------------------------------------------------------------


@every_folding
def test_needed_is_when_the_text_writes(kernel: Kernel) -> None:
    """Before output word n is written, exactly ``needed`` words of each input have been read."""
    order = events(kernel)
    for index, port in enumerate(kernel.inputs):
        reads = np.cumsum([event == ("read", index) for event in order])
        before = [r for r, event in zip(reads, order, strict=True) if event == ("write", 0)]
        needed = kernel.needed(index)
        assert needed.shape == (kernel.outputs[0].words,)
        assert np.all(np.diff(needed) >= 0)
        assert needed[-1] <= port.words
        np.testing.assert_array_equal(needed, before)


@every_folding
def test_steps_read_and_write_every_word_in_order(kernel: Kernel) -> None:
    steps = kernel.steps
    assert steps.count <= kernel.cycles
    assert len(steps.reads) == len(steps.frees) == len(steps.room) == len(kernel.inputs)
    for port, reads, frees in zip(kernel.inputs, steps.reads, steps.frees, strict=True):
        assert reads.shape == frees.shape == (port.words,)
        assert np.all(np.diff(reads) >= 0)
        assert np.all(np.diff(frees) >= 0)
        assert 0 <= reads[0] <= reads[-1] <= steps.count
        assert np.all(frees >= reads - 1)
    assert steps.writes.shape == (kernel.outputs[0].words,)
    assert np.all(np.diff(steps.writes) > 0)
    assert 0 <= steps.writes[0] <= steps.writes[-1] < steps.count


# -- cost -----------------------------------------------------------------------------------------


@every_folding
def test_resources_are_not_negative(kernel: Kernel) -> None:
    assert all(v >= 0 for v in kernel.resources.as_dict().values())
    assert kernel.resources.bram36 * 2 == int(kernel.resources.bram36 * 2)
    assert kernel.latency >= 1
    assert kernel.summary


@every_sample
def test_more_at_once_is_faster_and_takes_more_logic(sample: Kernel) -> None:
    """Along one folding parameter cycles never rise; registers and multipliers never fall."""
    if isinstance(sample, Stream | Threshold):  # a threshold's table moves from RAM to LUTs
        return
    lines: dict[str, list[Kernel]] = {}
    for kernel in sample.foldings():
        rest = {k: v for k, v in kernel.folding.items() if k not in ("pe", "lanes")}
        lines.setdefault(str(rest), []).append(kernel)
    for line in lines.values():
        for slower, faster in pairwise(line):
            assert faster.cycles <= slower.cycles
            assert faster.resources.dsp >= slower.resources.dsp
            if isinstance(sample, MatrixVector | Depthwise | Join):
                assert faster.resources.lut + 64 >= slower.resources.lut


@pytest.mark.parametrize("name", ["dense", "depthwise", "window"])
def test_a_planned_style_reaches_hardware_and_cost(name: str) -> None:
    sample = SAMPLES[name]
    parameter = "RAM_STYLE" if name == "window" else "ROM_STYLE"
    assert sample.module.parameters[parameter] == "auto"
    for kernel in sample.foldings():
        assert kernel.module.parameters[parameter] == kernel.style
        assert kernel.folding["line_bram" if name == "window" else "bram"] == int(
            kernel.style == "block"
        )
    block, luts = (replace(sample, style=style) for style in ("block", "distributed"))
    assert block.resources.bram36 > luts.resources.bram36
    assert block.resources.lut <= luts.resources.lut


def test_two_copies_of_a_fork_are_one_array() -> None:
    (x,) = inputs(Fork(Elem(5), 6, 3))
    assert all(np.array_equal(x, copy) for copy in Fork(Elem(5), 6, 3).evaluate(x))
