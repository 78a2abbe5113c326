"""Convolution and dense layers, with what follows them, on every kind of processor.

This computer stands in for other x86 processors, an emulator for Arm's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from lepton_edge.backends.tvm.machine import Dot, arm32, arm64, host, x86
from lepton_edge.backends.tvm.prepare import prepared
from lepton_edge.backends.tvm.program import lowered
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph, GraphBuilder, Rewriter
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops import shape as sh
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.types import Float, QuantType, TensorType
from tests.processors import machine
from tests.unit.backends.tvm.conftest import Run, assert_same, needs_compiler

pytestmark = needs_compiler

X86 = ("x86-64", "haswell", "alderlake", "skylake-avx512", "icelake-server")
ARM = ("cortex-a72", "cortex-a76", "cortex-a9")
MACHINES = (*X86, *ARM)
U8, S8 = QuantType(8, False, (0.1,), (90,)), QuantType(8, True, (0.1,), (-7,))


@dataclass(frozen=True)
class Shape:
    """A layer's shape."""

    size: tuple[int, int]
    inputs: int
    outputs: int
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilations: tuple[int, int] = (1, 1)


SHAPES = {
    "usual": Shape((7, 9), 16, 32),
    "first": Shape((9, 8), 3, 16, strides=(2, 2), pads=(0, 0, 1, 1)),
    "odd": Shape((5, 5), 5, 21, kernel=(2, 3), pads=(1, 0, 0, 2)),
    "pointwise": Shape((6, 5), 24, 40, kernel=(1, 1), pads=(0, 0, 0, 0)),
    "strided pointwise": Shape((7, 7), 16, 16, (1, 1), (2, 2), (0, 0, 0, 0)),
    "dilated": Shape((9, 9), 6, 8, pads=(2, 2, 2, 2), dilations=(2, 2)),
    "row": Shape((1, 30), 4, 70, kernel=(1, 5), pads=(0, 2, 0, 2)),
    "one output": Shape((4, 4), 8, 1),
}


def weights_type(outputs: int, bits: int = 8) -> QuantType:
    return QuantType(bits, True, tuple(0.01 + 0.001 * i for i in range(outputs)), axis=0)


def integer_layer(
    shape: Shape, x: QuantType, seed: int = 0, *, is_depthwise: bool = False
) -> Graph:
    """Return a layer with bias and requantisation, then another of its kind."""
    rng = np.random.default_rng(0)
    b = GraphBuilder("layers")
    value = b.input("x", TensorType((1, *shape.size, shape.inputs), x))
    outputs = shape.inputs if is_depthwise else shape.outputs
    for index in range(2):
        inputs = b.type_of(value).shape[3]
        groups = inputs if is_depthwise else 1
        w = rng.integers(-127, 128, (outputs, *shape.kernel, inputs // groups))
        bias_type = QuantType(24, True, (1e-3,))
        conv = Conv(shape.strides, shape.pads, shape.dilations, groups, 32)
        weight = b.constant(w, weights_type(outputs))
        bias = b.constant(rng.integers(-(1 << 16), 1 << 16, outputs), bias_type)
        acc = b.emit1(conv, [value, weight, bias], name=f"c{index}")
        multiplier = b.constant(rng.integers(1 << 18, 1 << 20, outputs))
        addend = b.constant(rng.integers(0, 1 << 33, outputs))
        out = x if index else S8
        op = q.Requantize(out, 32, out.lowest, out.highest)
        value = b.emit1(op, [acc, multiplier, addend], name=f"q{index}")
        if min(b.type_of(value).shape[1:3]) < max(shape.kernel) * max(shape.dilations):
            break
    return b.finish([value])


def frames(graph: Graph, count: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    type_ = graph.types["x"]
    if isinstance(type_.elem, Float):
        return {"x": rng.standard_normal((count, *type_.shape[1:])).astype(np.float32)}
    lowest, highest = type_.quant.lowest, type_.quant.highest
    return {"x": rng.integers(lowest, highest + 1, (count, *type_.shape[1:]))}


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_integer_convolutions(shape: Shape, name: str, run: Run) -> None:
    for x in (U8, S8):
        graph = integer_layer(shape, x)
        inputs = frames(graph)
        assert_same(run(graph, inputs, machine(name)), interpreter.run(graph, inputs))


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("shape", list(SHAPES.values())[:3], ids=list(SHAPES)[:3])
def test_integer_depthwise_convolutions(shape: Shape, name: str, run: Run) -> None:
    for x in (U8, S8):
        graph = integer_layer(shape, x, is_depthwise=True)
        inputs = frames(graph)
        assert_same(run(graph, inputs, machine(name)), interpreter.run(graph, inputs))


@pytest.mark.parametrize("name", MACHINES)
def test_float_convolutions(name: str, run: Run) -> None:
    for shape in SHAPES.values():
        rng = np.random.default_rng(0)
        b = GraphBuilder("float")
        x = b.input("x", TensorType((1, *shape.size, shape.inputs), Float()))
        w = b.constant(
            rng.standard_normal((shape.outputs, *shape.kernel, shape.inputs)).astype("f4")
        )
        bias = b.constant(rng.standard_normal(shape.outputs).astype("f4"))
        conv = Conv(shape.strides, shape.pads, shape.dilations)
        y = b.emit1(ew.Relu(), [b.emit1(conv, [x, w, bias], name="c")], name="r")
        graph = b.finish([y])
        inputs = frames(graph)
        assert_same(run(graph, inputs, machine(name)), interpreter.run(graph, inputs))


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(("columns", "rows"), [(64, 10), (7, 33), (1, 16), (130, 256), (3, 1)])
def test_dense_layers(columns: int, rows: int, name: str, run: Run) -> None:
    rng = np.random.default_rng(0)
    for x in (U8, S8, QuantType(3, True, (0.5,), (1,)), QuantType.signs((0.5,)), Float()):
        b = GraphBuilder("dense")
        value = b.input("x", TensorType((1, columns), x))
        if isinstance(x, Float):
            weight = b.constant(rng.standard_normal((rows, columns)).astype("f4"))
        else:
            weight = b.constant(rng.integers(-128, 128, (rows, columns)), weights_type(rows))
        graph = b.finish([b.emit1(Dense(32), [value, weight], name="d")])
        inputs = frames(graph)
        assert_same(run(graph, inputs, machine(name)), interpreter.run(graph, inputs))


def test_weights_with_a_zero_point_are_multiplied_exactly(run: Run) -> None:
    rng = np.random.default_rng(0)
    b = GraphBuilder("asymmetric")
    x = b.input("x", TensorType((1, 5, 5, 8), U8))
    w = b.constant(rng.integers(0, 256, (16, 3, 3, 8)), QuantType(8, False, (0.1,), (77,)))
    graph = b.finish([b.emit1(Conv(acc_bits=32), [x, w], name="c")])
    inputs = frames(graph)
    for name in MACHINES:
        assert_same(run(graph, inputs, machine(name)), interpreter.run(graph, inputs))


def residual() -> Graph:
    """Return two convolutions whose results are added, and requantised."""
    rng = np.random.default_rng(0)
    b = GraphBuilder("residual")
    x = b.input("x", TensorType((1, 8, 8, 16), S8))
    sides = []
    for kernel, pads in ((3, (1, 1, 1, 1)), (1, (0, 0, 0, 0))):
        w = b.constant(rng.integers(-127, 128, (16, kernel, kernel, 16)), weights_type(16))
        acc = b.emit1(Conv(pads=pads), [x, w], name=f"c{kernel}")
        constants = [b.constant(np.array([v])) for v in (1 << 20, 1 << 31)]
        sides.append(b.emit1(q.Requantize(S8, 32), [acc, *constants], name=f"q{kernel}"))
    total = b.emit1(q.ScaledAdd(QuantType(31, True, (1e-6,)), 99991, 65537), sides, name="sum")
    constants = [b.constant(np.array([v])) for v in (5, 1 << 18)]
    y = b.emit1(q.Requantize(S8, 19), [total, *constants], name="q")
    return b.finish([y])


def test_residual_sums_are_made_in_registers(run: Run) -> None:
    graph = residual()
    program = lowered(graph, x86("icelake-server"))
    assert [call.label for call in program.calls if "scaled_add" in call.label] == [
        "conv requantize scaled_add"
    ]
    assert program.calls[-1].label == "conv requantize scaled_add"
    inputs = frames(graph)
    for name in MACHINES:
        assert_same(run(graph, inputs, machine(name)), interpreter.run(graph, inputs))


def test_layers_are_made_of_what_the_processor_is_best_at() -> None:
    graph = integer_layer(SHAPES["usual"], S8)
    for name, dot, intrinsic in (
        ("icelake-server", Dot.VNNI, "vpdpbusd.512"),
        ("alderlake", Dot.VNNI, "vpdpbusd.256"),
        ("haswell", Dot.MADD, "avx2.pmadd.wd"),
        ("x86-64", Dot.MADD, "sse2.pmadd.wd"),
        ("cortex-a76", Dot.SDOT, "neon.sdot"),
        ("cortex-a72", Dot.SMLAL, "neon.saddlp"),
        ("cortex-a9", Dot.SMLAL, "neon.vpadals"),
    ):
        found = x86(name) if name in X86 else arm32(name) if name == "cortex-a9" else arm64(name)
        assert found.dot is dot
        texts = [c.kernel.function("k").script() for c in lowered(graph, found).calls]
        assert sum(intrinsic in text for text in texts) == 2


def test_what_moves_elements_is_no_part_of_a_layers_loop(run: Run) -> None:
    """A layer's sums are in registers, where its own loop is and not where they are moved to."""
    for groups in (1, 18):
        graph = integer_layer(Shape((5, 6), 18, 18), S8, is_depthwise=groups > 1)
        b = Rewriter(graph)
        for node in graph.nodes:
            b.copy(node)
        value = graph.outputs[0]
        for name, op in (
            ("pad", sh.Pad((0, 1, 2, 0), (0, 0, 1, 0))),
            ("slice", sh.Slice(2, 1, 7, 2)),
            ("transpose", sh.Transpose((0, 2, 1, 3))),
        ):
            value = b.emit1(op, [value if name != "pad" else b[value]], name=name)
        moved = b.finish([value])
        inputs = frames(moved)
        assert_same(run(moved, inputs), interpreter.run(moved, inputs))


def test_preparing_changes_no_code() -> None:
    for graph in (residual(), integer_layer(SHAPES["usual"], S8)):
        inputs = frames(graph)
        ready = prepared(graph, x86("icelake-server"))
        assert_same(interpreter.run(ready, inputs), interpreter.run(graph, inputs))
        layers = [node for node in ready.nodes if isinstance(node.op, Conv)]
        assert not any(ready.types[node.inputs[0]].quant.signed for node in layers)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_give_the_same_bits(threads: int, run: Run) -> None:
    """Layers large enough to be shared: rows, single pixels in tiles, a vector's groups."""
    shapes = (
        Shape((33, 20), 16, 32),
        Shape((40, 41), 24, 40, kernel=(1, 1), pads=(0, 0, 0, 0)),
        Shape((1, 1), 2048, 700, kernel=(1, 1), pads=(0, 0, 0, 0)),
    )
    for shape in shapes:
        for is_depthwise in (False, True):
            graph = integer_layer(shape, U8, is_depthwise=is_depthwise)
            if not is_depthwise:
                assert any(c.kernel.is_shared for c in lowered(graph, host()).calls)
            inputs = frames(graph, 20)
            found = run(graph, inputs, threads=threads)
            assert_same(found, interpreter.run(graph, inputs))


def test_threads_store_no_more_channels_than_there_are(run: Run) -> None:
    """Some pixels in one tile, so that threads share the channels, the last of which fill half."""
    rng = np.random.default_rng(0)
    b = GraphBuilder("few pixels")
    x = b.input("x", TensorType((1, 3, 1024), U8))
    w = b.constant(rng.integers(-128, 128, (700, 1024)), weights_type(700))
    graph = b.finish([b.emit1(Dense(32), [x, w], name="d")])
    assert lowered(graph, host()).calls[-1].kernel.is_shared
    inputs = frames(graph, 4)
    for threads in (1, 2):
        assert_same(run(graph, inputs, threads=threads), interpreter.run(graph, inputs))
