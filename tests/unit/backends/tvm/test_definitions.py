"""Every op as a program on this computer equals the interpreter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lepton_edge.backends.tvm.definitions.elementwise import FUNCTIONS
from lepton_edge.backends.tvm.machine import arm32, arm64
from lepton_edge.backends.tvm.site import DEFINITIONS
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph, GraphBuilder
from lepton_edge.ir.op import OPS, Op
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops import linear, pool, select
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops import shape as sh
from lepton_edge.ir.types import Array, Float, QuantType, TensorType
from tests.unit.backends.tvm.conftest import Run, assert_same, needs_compiler

pytestmark = needs_compiler

RNG = np.random.default_rng(0)
S8, U8 = QuantType(8, True, (0.1,), (3,)), QuantType(8, False, (0.1,), (100,))
S4, U3 = QuantType(4, True, (0.5,), (-2,)), QuantType(3, False, (0.5,), (1,))
S20, S31 = QuantType(20, True, (1e-3,)), QuantType(31, True, (1e-6,))
BIT = QuantType.signs((0.5,))
F = Float()

Input = TensorType | tuple[Array, Float | QuantType | None]


def f(*shape: int) -> TensorType:
    return TensorType(shape, F)


def codes(quant: QuantType, *shape: int) -> TensorType:
    return TensorType(shape, quant)


def given(array: object, elem: Float | QuantType | None = None) -> Input:
    return np.asarray(array), elem


def weights(quant: QuantType, *shape: int) -> Input:
    return given(RNG.integers(quant.lowest, quant.highest + 1, shape), quant)


def reals(*shape: int) -> Input:
    return given(RNG.standard_normal(shape).astype(np.float32))


def channels(scale: int, count: int) -> Input:
    return given(RNG.integers(1, scale, count))


IMAGE = (1, 6, 5, 18)
ONE = [1]

CASES: dict[str, tuple[Op, Sequence[Input]]] = {
    "relu": (ew.Relu(), [f(1, 7, 18)]),
    "relu6": (ew.Clip(0.0, 6.0), [f(1, 35)]),
    "leaky relu": (ew.LeakyRelu(0.1), [f(1, 33)]),
    "sigmoid": (ew.Sigmoid(), [f(1, 33)]),
    "hard sigmoid": (ew.HardSigmoid(), [f(1, 33)]),
    "hard swish": (ew.HardSwish(), [f(1, 33)]),
    "swish": (ew.Swish(1.5), [f(1, 33)]),
    "elu": (ew.Elu(0.7), [f(1, 33)]),
    "prelu": (ew.PRelu(), [f(1, 3, 20), reals(20)]),
    "add": (ew.Add(), [f(1, 3, 20), f(1, 3, 20)]),
    "add a row": (ew.Add(), [f(1, 3, 20), reals(20)]),
    "add a column": (ew.Sub(), [f(1, 3, 20), reals(3, 1)]),
    "add a scalar": (ew.Mul(), [f(1, 3, 20), reals()]),
    "divide": (ew.Div(), [f(1, 3, 20), given(np.full(20, 3.0, np.float32))]),
    "power": (ew.Pow(), [f(1, 3, 4), given(np.full((), 2.0, np.float32))]),
    "maximum": (ew.Maximum(), [f(1, 3, 20), f(1, 1, 20)]),
    "minimum": (ew.Minimum(), [f(1, 3, 20), f(3, 1)]),
    "softmax": (ew.Softmax(2), [f(1, 3, 20)]),
    "softmax of rows": (ew.Softmax(1), [f(1, 3, 20)]),
    "matmul": (linear.MatMul(), [f(1, 3, 4), f(1, 4, 5)]),
    "matmul of vectors": (linear.MatMul(), [f(4), f(4)]),
    "max pool": (pool.MaxPool((3, 2), (2, 1), (1, 0, 1, 1)), [f(*IMAGE)]),
    "max pool of codes": (pool.MaxPool((2, 2), (2, 2)), [codes(S8, *IMAGE)]),
    "dilated max pool": (pool.MaxPool((2, 2), dilations=(2, 2)), [codes(U8, *IMAGE)]),
    "average pool": (pool.AveragePool((3, 3), (1, 1), (1, 1, 1, 1)), [f(*IMAGE)]),
    "average with padding": (
        pool.AveragePool((3, 3), (2, 2), (1, 1, 1, 1), count_include_pad=True), [f(*IMAGE)],
    ),
    "sum pool": (pool.SumPool((6, 5), (6, 5)), [codes(S8, *IMAGE)]),
    "padded sum pool": (pool.SumPool((3, 3), (1, 1), (1, 1, 1, 1)), [codes(U8, *IMAGE)]),
    "wide sum pool": (
        pool.SumPool((3, 3)), [codes(QuantType(31, True, (0.1,)), *IMAGE)],
    ),
    "mean": (pool.Reduce("mean", (1, 2), keepdims=True), [f(*IMAGE)]),
    "sum of rows": (pool.Reduce("sum", (2,), keepdims=False), [f(1, 5, 20)]),
    "max of all": (pool.Reduce("max", (1, 2), keepdims=False), [f(1, 5, 20)]),
    "product": (pool.Reduce("prod", (1,), keepdims=False), [f(1, 3, 20)]),
    "quantize": (q.Quantize(S8), [f(1, 5, 20)]),
    "quantize channels": (
        q.Quantize(QuantType(8, False, tuple(0.1 + 0.01 * i for i in range(20)), axis=-1)),
        [f(1, 5, 20)],
    ),
    "quantize rows": (
        q.Quantize(QuantType(8, True, (0.1, 0.2, 0.3), (0, 1, 2), axis=1)), [f(1, 3, 20)],
    ),
    "signs": (q.Quantize(BIT), [f(1, 5, 20)]),
    "dequantize": (q.Dequantize(), [codes(U8, 1, 5, 20)]),
    "dequantize wide sums": (q.Dequantize(), [codes(QuantType(50, True, (1e-9,)), 1, 5, 20)]),
    "dequantize signs": (q.Dequantize(), [codes(BIT, 1, 5, 20)]),
    "dequantize channels": (
        q.Dequantize(),
        [codes(QuantType(20, True, tuple(0.1 + 0.01 * i for i in range(20)), axis=-1), 1, 5, 20)],
    ),
    "requantize": (
        q.Requantize(U8, 20, 0, 255),
        [codes(S20, 1, 5, 20), channels(1 << 12, 20), channels(1 << 20, 20)],
    ),
    "requantize alike": (
        q.Requantize(S8, 24, -100, 90), [codes(S31, 1, 5, 20), given([37]), given([1 << 23])],
    ),
    "requantize to even": (
        q.Requantize(S8, 5, -128, 127, q.Rounding.HALF_EVEN),
        [codes(QuantType(12, True, (1.0,)), 1, 50, 20), given([1]), given([0])],
    ),
    "requantize without a shift": (
        q.Requantize(S8, 0, -128, 127), [codes(S4, 1, 20), given([3]), given([-5])],
    ),
    "thresholds": (
        q.Threshold(U3, 0),
        [codes(S20, 1, 5, 20), given(np.sort(RNG.integers(-(10**5), 10**5, (20, 7)))),
         given(RNG.choice([-1, 1], 20))],
    ),
    "many thresholds": (
        q.Threshold(S8, -128),
        [codes(S20, 1, 5, 3), given(np.sort(RNG.integers(-(10**5), 10**5, (1, 255)))), given([1])],
    ),
    "lookup": (q.Lookup(S8), [codes(U8, 1, 5, 20), given(RNG.integers(-128, 128, (1, 256)))]),
    "lookup of channels": (
        q.Lookup(S8), [codes(S4, 1, 5, 20), given(RNG.integers(-128, 128, (20, 16)))],
    ),
    "scaled add": (q.ScaledAdd(S31, 12345, 54321), [codes(S8, *IMAGE), codes(U8, *IMAGE)]),
    "wide scaled add": (
        q.ScaledAdd(QuantType(45, True, (1e-9,)), 1 << 33, 3), [codes(S8, 1, 20), codes(U8, 1, 20)],
    ),
    "product of codes": (q.Product(20), [codes(S8, *IMAGE), codes(U8, *IMAGE)]),
    "product with channels": (q.Product(20), [codes(S8, *IMAGE), codes(U8, 1, 1, 1, 18)]),
    "softmax of codes": (
        q.SoftmaxCodes(QuantType(8, False, (1 / 256,)), 256, 1),
        [codes(S8, 1, 3, 20), given((np.exp(-0.1 * np.arange(256)) * (1 << 24)).astype(np.uint32))],
    ),
    "argmax": (select.ArgMax(2, keepdims=False), [codes(S4, 1, 5, 20)]),
    "argmax kept": (select.ArgMax(1), [f(1, 5, 20)]),
    "top k": (select.TopK(3, 2), [codes(S4, 1, 5, 20)]),
    "bottom k": (select.TopK(2, 1, largest=False), [f(1, 5, 20)]),
    "reshape": (sh.Reshape((1, 20, 5)), [codes(S8, 1, 5, 20)]),
    "reshape rows": (sh.Reshape((1, 10, 20)), [f(1, 5, 2, 20)]),
    "transpose": (sh.Transpose((0, 2, 1)), [codes(S8, 1, 5, 20)]),
    "transpose rows": (sh.Transpose((0, 2, 1, 3)), [f(1, 5, 4, 20)]),
    "concat": (sh.Concat(2), [codes(S8, 1, 5, 20), codes(S8, 1, 5, 3)]),
    "concat rows": (sh.Concat(1), [f(1, 5, 20), f(1, 2, 20), f(1, 1, 20)]),
    "slice": (sh.Slice(2, 3, 17, 2), [codes(S8, 1, 5, 20)]),
    "slice backwards": (sh.Slice(1, 4, -1, -1), [f(1, 5, 20)]),
    "pad": (sh.Pad((0, 1, 2, 0), (0, 0, 1, 0)), [codes(U8, *IMAGE)]),
    "pad behind": (sh.Pad((0, 0, 0, 0), (0, 2, 1, 0), 1.5), [f(*IMAGE)]),
    "pad channels behind": (sh.Pad((0, 0, 0), (0, 0, 3)), [codes(U8, 1, 5, 20)]),
    "pad channels": (sh.Pad((0, 1, 2), (0, 0, 1), 1.5), [f(1, 5, 20)]),
    "repeat": (sh.RepeatNearest((2, 3)), [codes(S8, *IMAGE)]),
    "insert zeros": (sh.InsertZeros((2, 3)), [codes(S8, *IMAGE)]),
    "gather": (sh.Gather(2, (3, 3, 19, 0)), [codes(S8, 1, 5, 20)]),
    "gather rows": (sh.Gather(1, (4, 0)), [f(1, 5, 20)]),
    "broadcast": (sh.Broadcast((1, 5, 20)), [f(1, 1, 20)]),
    "broadcast columns": (sh.Broadcast((1, 5, 20)), [codes(S8, 1, 5, 1)]),
    "grouped conv": (
        linear.Conv((1, 1), (1, 1, 1, 1), groups=3, acc_bits=24),
        [codes(U8, *IMAGE), weights(S4, 6, 3, 3, 6)],
    ),
    "grouped float conv": (
        linear.Conv((2, 1), (1, 1, 1, 1), groups=2), [f(*IMAGE), reals(4, 3, 3, 9), reals(4)],
    ),
    "conv with two kernels a channel": (
        linear.Conv(groups=18, acc_bits=24), [codes(S8, *IMAGE), weights(S4, 36, 2, 2, 1)],
    ),
    "dense of computed weights": (linear.MatMul(), [f(1, 7), f(7, 3)]),
    "dense of wide codes": (
        linear.Dense(40), [codes(QuantType(16, True, (1.0,)), 1, 20), weights(S8, 7, 20)],
    ),
    **{f"function {kind}": (ew.Function(kind), [f(1, 33)]) for kind in FUNCTIONS},
}  # fmt: skip
POSITIVE = ("function log", "function sqrt", "function reciprocal")


def single(op: Op, inputs: Sequence[Input]) -> Graph:
    """Return a network of one node."""
    b = GraphBuilder("single")
    values = [
        b.input(f"x{i}", x) if isinstance(x, TensorType) else b.constant(x[0], x[1])
        for i, x in enumerate(inputs)
    ]
    return b.finish(b.emit(op, values, name="op"))


def some_inputs(graph: Graph, count: int = 3) -> dict[str, Array]:
    """Return random inputs; where an axis is no batch, one frame."""
    found = {}
    for value in graph.inputs:
        type_ = graph.types[value]
        shape = (count, *type_.shape[1:]) if type_.shape[:1] == (1,) else type_.shape
        if type_.is_float:
            found[value] = (4 * RNG.standard_normal(shape)).astype(np.float32)
        else:
            lowest, highest = type_.quant.lowest, type_.quant.highest
            found[value] = RNG.integers(lowest, highest + 1, shape).astype(type_.elem.dtype)
    return found


@pytest.mark.parametrize("name", CASES)
def test_op_equals_the_interpreter(name: str, run: Run) -> None:
    graph = single(*CASES[name])
    has_batch = all(graph.types[v].shape[:1] == (1,) for v in graph.inputs)
    inputs = some_inputs(graph, 3 if has_batch else 1)
    if name in POSITIVE:
        inputs = {v: np.abs(x) + np.float32(0.1) for v, x in inputs.items()}
    assert_same(run(graph, inputs), interpreter.run(graph, inputs))


@pytest.mark.parametrize("name", [name for name in CASES if "function" not in name])
@pytest.mark.slow
def test_op_equals_the_interpreter_on_arm(name: str, run: Run) -> None:
    graph = single(*CASES[name])
    has_batch = all(graph.types[v].shape[:1] == (1,) for v in graph.inputs)
    inputs = some_inputs(graph, 3 if has_batch else 1)
    for machine in (arm64("cortex-a72"), arm32("cortex-a9")):
        assert_same(run(graph, inputs, machine), interpreter.run(graph, inputs))


def test_every_op_has_a_definition_and_a_test() -> None:
    assert set(OPS) == set(DEFINITIONS)
    assert set(OPS) == {op.name for op, _ in CASES.values()}


def test_a_product_is_rounded_before_a_sum_that_is_quantised(run: Run) -> None:
    """One operation for both would give other codes: here it would see what rounding leaves out."""
    b = GraphBuilder("fused")
    x = b.input("x", f(1, 32))
    factor = b.constant(np.full((), 0.1, np.float32))
    product = b.emit1(ew.Mul(), [x, factor], name="mul")
    rounded = (np.arange(32, dtype=np.float32) * np.float32(0.1)).reshape(1, 32)
    rest = b.emit1(ew.Sub(), [product, b.constant(rounded)], name="sub")
    graph = b.finish([b.emit1(q.Quantize(BIT), [b.emit1(ew.Function("neg"), [rest], name="n")],
                              name="q"), rest])  # fmt: skip
    inputs = {"x": np.arange(32, dtype=np.float32).reshape(1, 32)}
    found = run(graph, inputs)
    assert not found[graph.outputs[1]].any()
    assert_same(found, interpreter.run(graph, inputs))
