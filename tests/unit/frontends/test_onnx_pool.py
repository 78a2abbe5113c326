"""Pooling, reductions and selections against onnxruntime."""

import numpy as np
import pytest

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.ir.ops.pool import AveragePool, MaxPool

X = "g (float[1,3,9,8] x) => (float[] y)"
WINDOWS = [
    "kernel_shape=[2,2]",
    "kernel_shape=[3,2], strides=[2,3]",
    "kernel_shape=[3,3], strides=[2,2], pads=[1,0,1,2]",
    "kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]",
    "kernel_shape=[3,2], strides=[2,3], ceil_mode=1",
    "kernel_shape=[3,3], strides=[4,3], ceil_mode=1",
    "kernel_shape=[2,2], strides=[4,4], pads=[1,1,1,1], ceil_mode=1",
    'kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER"',
    'kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_LOWER"',
    'kernel_shape=[3,3], auto_pad="VALID"',
]


@pytest.mark.parametrize("window", [*WINDOWS, "kernel_shape=[2,3], dilations=[3,2]"])
def test_max_pool(same, window):
    same(f"{X} {{ y = MaxPool<{window}>(x) }}")


@pytest.mark.parametrize("window", WINDOWS)
def test_average_pool(same, window):
    same(f"{X} {{ y = AveragePool<{window}>(x) }}")


@pytest.mark.parametrize("window", [w for w in WINDOWS if "ceil" not in w and "auto" not in w])
def test_average_pool_that_counts_pads(same, window):
    same(f"{X} {{ y = AveragePool<{window}, count_include_pad=1>(x) }}")


def test_average_pool_with_pads_and_ceil_mode(same, load):
    window = "kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1, ceil_mode=1"
    same(f"{X} {{ y = AveragePool<{window}>(x) }}")
    with pytest.raises(UnsupportedError, match="averages over windows of different sizes"):
        load(f"{X} {{ y = AveragePool<{window}, strides=[3,3]>(x) }}")


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_pool_1d(same, kind):
    text = f"g (float[1,3,9] x) => (float[] y) {{ y = {kind}<"
    same(f"{text}kernel_shape=[3], strides=[2], ceil_mode=1>(x) }}")
    same(f"{text}kernel_shape=[3], strides=[2], pads=[1,0]>(x) }}")


@pytest.mark.parametrize("kind", ["GlobalMaxPool", "GlobalAveragePool"])
@pytest.mark.parametrize("shape", ["1,3,4,5", "1,3,7"])
def test_global_pool(same, kind, shape):
    same(f"g (float[{shape}] x) => (float[] y) {{ y = {kind}(x) }}")


@pytest.mark.parametrize(("kind", "op"), [("ReduceMean", AveragePool), ("ReduceMax", MaxPool)])
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", ["2,3", "-1,-2"])
def test_reduction_of_images_is_a_pool(same, kind, op, keep, axes):
    graph = same(f"{X} {{ y = {kind}<axes=[{axes}], keepdims={keep}>(x) }}")
    assert isinstance(graph.nodes[1].op, op)
    assert graph.nodes[1].op.kernel == (9, 8)


REDUCTIONS = [
    "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
    "ReduceSumSquare", "ReduceLogSumExp",
]  # fmt: skip


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("attributes", ["axes=[1]", "axes=[-1,1], keepdims=0", "axes=[3]", ""])
def test_reduce_with_attribute(same, kind, attributes):
    text = "g (float[1,3,4,2] x) => (float[] y)"
    same(f"{text} {{ y = {kind}<{attributes}>(x) }}", opset=11, tol=1e-4)


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_reduce_with_input(same, kind):
    text = "g (float[1,3,4,2] x) => (float[] y)"
    weights = {"axes": np.array([1, -1])}
    same(f"{text} {{ y = {kind}<keepdims=0>(x, axes) }}", weights, opset=18, tol=1e-4)
    same(f"{text} {{ y = {kind}<noop_with_empty_axes=1>(x, axes) }}", weights, opset=18, tol=1e-4)


def test_reduce_that_does_nothing(same):
    graph = same(f"{X} {{ y = ReduceSum<noop_with_empty_axes=1>(x) }}", opset=18)
    assert [n.op.name for n in graph.nodes] == ["reshape"]


@pytest.mark.parametrize("kind", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("attributes", ["axis=1", "axis=-1, keepdims=0", "axis=0"])
def test_arg_max(same, kind, attributes):
    same(f"g (float[1,6,4] x) => (int64[] y) {{ y = {kind}<{attributes}>(x) }}")


@pytest.mark.parametrize("attributes", ["", "axis=1", "largest=0"])
def test_top_k(same, attributes):
    text = f"g (float[1,6,4] x) => (float[] y, int64[] i) {{ y, i = TopK<{attributes}>(x, k) }}"
    same(text, {"k": np.array([3])})
    same("g (float[1,6] x) => (float[] y, int64[] i) { y, i = TopK<k=2>(x) }", opset=9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("LpPool<kernel_shape=[2,2]>(x)", "LpPool is not supported"),
        ("ArgMax<select_last_index=1>(x)", "select_last_index=1 is not supported"),
        ("TopK(x, x)", "k must be constant"),
    ],
)
def test_refused(load, call, message):
    with pytest.raises(UnsupportedError, match=message):
        load(f"{X} {{ y = {call} }}")


def test_refused_outputs(load):
    text = "g (float[1,3,9,8] x) => (float[] y, int64[] i) "
    with pytest.raises(UnsupportedError, match=r"the output Indices \('i'\) is not supported"):
        load(text + "{ y, i = MaxPool<kernel_shape=[2,2]>(x) }")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("MaxPool(x)", "has no kernel_shape"),
        ("MaxPool<kernel_shape=[2]>(x)", "kernel_shape [2] for 2 spatial axes"),
        ("ReduceMean<axes=[4]>(x)", "axis 4 of a 4-D tensor"),
        ("ArgMax<axis=-5>(x)", "axis -5 of a 4-D tensor"),
    ],
)
def test_ill_typed(load, call, message):
    with pytest.raises(ImportModelError) as caught:
        load(f"{X} {{ y = {call} }}", opset=11)
    assert caught.value.what == message


def test_top_k_of_several_numbers(load):
    with pytest.raises(ImportModelError, match=r"k must be one number, found \[1, 2\]"):
        load(
            "g (float[1,6] x) => (float[] y, int64[] i) { y, i = TopK(x, k) }",
            {"k": np.array([1, 2])},
        )
