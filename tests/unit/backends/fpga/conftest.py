"""Small integer networks, and the way from one to arrays computed by its generated C++."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.boards import Board, Resources, load_board
from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.folding import Goal, plan
from lepton_edge.backends.fpga.hls_text import HlsOptions, port_dtype, project_files
from lepton_edge.backends.fpga.lower import lower_dataflow
from lepton_edge.backends.fpga.rtl_text import rtl_project
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph, GraphBuilder
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops import linear, pool, quantized, select, shape
from lepton_edge.ir.types import Array, Int, QuantType, TensorType
from lepton_edge.runtime.csim import CSimulation, PortSpec
from lepton_edge.runtime.rtlsim import RtlRun, RtlSimulation
from lepton_edge.toolchain.gxx import build_library
from lepton_edge.toolchain.verilator import build_simulation

PLENTY = Resources(lut=200_000, ff=400_000, dsp=2_000, bram36=1_000, uram=0)
DESIGN_ID = 0x1EAF_C0DE


class Net:
    """A network under construction: every method adds a layer and returns its output value.

    Codes are 4-bit unsigned with zero point 3, unless a layer is told otherwise.
    """

    codes = QuantType(4, False, (0.5,), (3,))

    def __init__(self, name: str = "net", seed: int = 0) -> None:
        self.builder = GraphBuilder(name)
        self.rng = np.random.default_rng(seed)

    def input(self, *shape_: int, name: str = "x", quant: QuantType | None = None) -> str:
        return self.builder.input(name, TensorType((1, *shape_), quant or self.codes))

    def emit(self, name: str, op: Op, *inputs: str, sources: Sequence[str] = ()) -> str:
        return self.builder.emit1(op, inputs, name=name, sources=sources)

    def shape(self, value: str) -> tuple[int, ...]:
        return self.builder.type_of(value).shape

    def weights(self, *shape_: int, bits: int = 4) -> str:
        high = 1 << (bits - 1)
        codes = self.rng.integers(-high, high, shape_)
        return self.builder.constant(codes, QuantType(bits, True, (0.25,)), "w")

    def conv(
        self, name: str, x: str, out: int, kernel: int = 3, groups: int = 1, pad: int | None = None,
        strides: tuple[int, int] = (1, 1),
    ) -> str:  # fmt: skip
        w = self.weights(out, kernel, kernel, self.shape(x)[3] // groups)
        pads = (kernel // 2 if pad is None else pad,) * 4
        return self.emit(name, linear.Conv(strides, pads, groups=groups, acc_bits=20), x, w)

    def dense(self, name: str, x: str, out: int) -> str:
        return self.emit(name, linear.Dense(20), x, self.weights(out, self.shape(x)[-1]))

    def requantize(self, name: str, x: str, out: QuantType | None = None, shift: int = 5) -> str:
        out = out or self.codes
        m = self.builder.constant(np.array([3]), Int(64), "m")
        a = self.builder.constant(np.array([7 << shift]), Int(64), "a")
        return self.emit(name, quantized.Requantize(out, shift, out.lowest, out.highest), x, m, a)

    def layer(self, name: str, x: str, out: int, kernel: int = 3, groups: int = 1) -> str:
        """Add a convolution and its requantisation."""
        return self.requantize(f"{name}_q", self.conv(name, x, out, kernel, groups))

    def add(self, name: str, a: str, b: str) -> str:
        op = quantized.ScaledAdd(QuantType(12, True, (0.1,)), 3, -2)
        return self.requantize(f"{name}_q", self.emit(name, op, a, b), shift=3)

    def global_sum(self, name: str, x: str) -> str:
        return self.emit(name, pool.SumPool(self.shape(x)[1:3], acc_bits=20), x)

    def flatten(self, name: str, x: str) -> str:
        return self.emit(name, shape.Reshape((1, int(np.prod(self.shape(x))))), x)

    def graph(self, *outputs: str) -> Graph:
        return self.builder.finish(outputs)

    def dataflow(self, *outputs: str) -> Dataflow:
        return lower_dataflow(self.graph(*outputs))


def small_graph() -> Graph:
    """Two inputs, two outputs, a residual, and kernels of every kind of table."""
    n = Net("tiny")
    x = n.input(4, 4, 2, name="image")
    y = n.input(2, name="side")
    a = n.layer("block/conv", x, 2)
    s = n.add("block/add", a, x)
    d = n.requantize("depthwise_q", n.conv("depthwise", s, 2, groups=2))
    p = n.global_sum("pool", d)
    thresholds = n.builder.constant(np.arange(-6, 0).reshape(2, 3) * 7 + 40, Int(64), "t")
    ones = n.builder.constant(np.ones(1, np.int64), Int(64), "one")
    q = n.emit("levels", quantized.Threshold(QuantType(2, False, (0.5,)), 0), p, thresholds, ones)
    table = n.builder.constant(np.arange(4).reshape(1, 4) * 5, Int(8), "table")
    u = n.emit("lookup", quantized.Lookup(QuantType(8, True, (0.5,))), q, table)
    fc = n.dense("fc", y, 3)
    return n.graph(u, n.emit("best", select.ArgMax(1), fc))


@pytest.fixture
def small() -> Graph:
    return small_graph()


@pytest.fixture(scope="session")
def net() -> type[Net]:
    return Net


@pytest.fixture(scope="session")
def plenty() -> Resources:
    return PLENTY


@pytest.fixture(scope="session")
def board() -> Board:
    return load_board("pynq-z2")


@pytest.fixture(scope="session")
def options(board: Board) -> HlsOptions:
    return HlsOptions(board, 100.0, DESIGN_ID)


@pytest.fixture
def write_project(tmp_path: Path, options: HlsOptions) -> Callable[[Dataflow], Path]:
    """Give a function that writes the HLS project of a planned network and returns its root."""

    def write(planned: Dataflow) -> Path:
        root = tmp_path / "hls"
        for path, text in project_files(planned, options).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return root

    return write


def random_codes(graph: Graph, frames: int = 5, seed: int = 1) -> dict[str, Array]:
    """Return codes of everything the inputs' types can hold."""
    rng = np.random.default_rng(seed)
    return {
        v: rng.integers(
            graph.types[v].quant.lowest,
            graph.types[v].quant.highest,
            (frames, *graph.types[v].shape[1:]),
            endpoint=True,
        ).astype(graph.types[v].elem.dtype)
        for v in graph.inputs
    }


@pytest.fixture
def check_in_csim(
    write_project: Callable[[Dataflow], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Dataflow]:
    """Give a function that plans a graph and compares all of its levels on random frames:
    the interpreter, the dataflow graph and the generated C++."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("lepton_edge.toolchain.gxx.FLAGS", FAST_FLAGS)

    def check(graph: Graph, goal: Goal | None = None) -> Dataflow:
        lowered = lower_dataflow(graph)
        planned = plan(lowered, PLENTY, goal or Goal(cycles=lowered.cycles // 2))
        arrays = random_codes(graph)
        wanted = interpreter.run(graph, arrays)
        streams = planned.evaluate(
            {
                port: arrays[v].reshape(len(arrays[v]), -1).astype(np.int64)
                for port, v in zip(planned.ports_in, graph.inputs, strict=True)
            }
        )
        root = write_project(planned)
        library = build_library(
            root, (f"src/{planned.name}.cpp", "sim/csim.cpp"), ("sim", "include")
        )
        inputs = [
            PortSpec(p, v, port_dtype(port).str, port.elements, port.lanes)
            for p, v in zip(planned.ports_in, graph.inputs, strict=True)
            for _, port in [planned.reader[p]]
        ]
        outputs = [
            PortSpec(p, v, port_dtype(port).str, port.elements, port.lanes)
            for p, v in zip(planned.ports_out, graph.outputs, strict=True)
            for _, port in [planned.writer[p]]
        ]
        found = CSimulation(library, inputs, outputs, DESIGN_ID).run(arrays)
        for port, value in zip(planned.ports_out, graph.outputs, strict=True):
            flat = wanted[value].reshape(len(wanted[value]), -1)
            np.testing.assert_array_equal(streams[port], flat, err_msg=f"dataflow: {value}")
            np.testing.assert_array_equal(found[value], flat, err_msg=f"C simulation: {value}")
        return planned

    return check


FAST_FLAGS = ("-std=c++14", "-O0", "-fPIC", "-shared", "-Wno-unknown-pragmas")
"""Small networks spend their time in the compiler."""


@pytest.fixture
def planned(small: Graph) -> Dataflow:
    return plan(lower_dataflow(small), PLENTY, Goal(cycles=400))


@pytest.fixture
def simulate_rtl(tmp_path: Path) -> Callable[..., RtlRun]:
    """Give a function that builds a planned network and runs random frames in RTL, back to back.

    What comes out is compared with the dataflow level.
    """

    def simulate(planned: Dataflow, frames: int) -> RtlRun:
        project = rtl_project(planned, DESIGN_ID)
        for path, text in project.files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        sources = sorted(path for path in project.files if path.endswith(".sv"))
        library = build_simulation(tmp_path, project.top, sources, ["sim/bridge.cpp"], ["sim"])
        inputs, outputs = (
            [
                PortSpec(name, name, port_dtype(port).str, port.elements, port.lanes)
                for name in names
                for _, port in [ends[name]]
            ]
            for names, ends in (
                (planned.ports_in, planned.reader),
                (planned.ports_out, planned.writer),
            )
        )
        rng = np.random.default_rng(5)
        arrays = {
            name: rng.integers(port.elem.lowest, port.elem.highest + 1, (frames, port.elements))
            for name in planned.ports_in
            for _, port in [planned.reader[name]]
        }
        wanted = planned.evaluate(arrays)
        run = RtlSimulation(library, tmp_path, inputs, outputs, DESIGN_ID).run_back_to_back(arrays)
        for name in planned.ports_out:
            np.testing.assert_array_equal(run.outputs[name], wanted[name])
        return run

    return simulate
