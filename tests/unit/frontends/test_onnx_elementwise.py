"""Elementwise operators, normalisation and softmax against onnxruntime."""

import numpy as np
import pytest

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.ir.ops.elementwise import Clip, Softmax

RNG = np.random.default_rng(4)
X = "g (float[1,3,4,5] x) => (float[] y)"


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "call",
    [
        "Relu(x)", "Sigmoid(x)", "Tanh(x)", "Exp(x)", "Abs(x)", "Neg(x)", "Floor(x)", "Ceil(x)",
        "Round(x)", "Sign(x)", "Sin(x)", "Cos(x)", "Erf(x)", "Softplus(x)", "Softsign(x)",
        "Reciprocal(x)", "LeakyRelu(x)", "LeakyRelu<alpha=0.3>(x)", "Elu(x)", "Elu<alpha=0.5>(x)",
        "Selu(x)", "Celu<alpha=0.7>(x)", "HardSigmoid(x)", "HardSigmoid<alpha=0.1,beta=0.4>(x)",
        "HardSwish(x)", "Identity(x)", "Dropout(x)", "Sum(x)", "Max(x)",
    ],
)  # fmt: skip
def test_function(same, call):
    same(f"{X} {{ y = {call} }}")


@pytest.mark.parametrize("call", ["Gelu(x)", 'Gelu<approximate="tanh">(x)', "Mish(x)"])
def test_composition(same, call):
    same(f"{X} {{ y = {call} }}", opset=20)


@pytest.mark.parametrize("call", ["Log(a)", "Sqrt(a)", "Pow(a, c)", "Pow(a, x)"])
def test_function_of_positive_values(same, call):
    same(f"{X} {{ a = Abs(x)\n y = {call} }}", {"c": np.float32(1.5)})


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "PRelu"])
@pytest.mark.parametrize("shape", [(3, 1, 1), (5,), (1,), (), (1, 3, 4, 5)])
def test_binary_with_constant(same, kind, shape):
    same(f"{X} {{ y = {kind}(x, c) }}", {"c": normal(*shape)})


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Div"])
def test_binary_of_computed_values(same, kind):
    same(f"g (float[1,3,4] x, float[1,1,4] z) => (float[] y) {{ y = {kind}(x, z) }}")


@pytest.mark.parametrize("kind", ["Max", "Min", "Sum", "Mean"])
def test_variadic(same, kind):
    graph = same(f"{X} {{ r = Relu(x)\n [n1] y = {kind}(x, r, c) }}", {"c": normal(3, 1, 1)})
    assert graph.nodes[-1].name == "n1"
    assert {n.sources for n in graph.nodes[1:]} == {("n1",)}


@pytest.mark.parametrize("opset", [8, 10])
def test_clip_with_attributes(same, opset):
    graph = same(f"{X} {{ y = Clip<min=0.0, max=6.0>(x) }}", opset=opset)
    assert graph.nodes[0].op == Clip(0.0, 6.0)


@pytest.mark.parametrize("call", ["Clip(x)", "Clip(x, lo)", "Clip(x, , hi)", "Clip(x, lo, hi)"])
def test_clip_with_inputs(same, call):
    same(f"{X} {{ y = {call} }}", {"lo": np.float32(-0.5), "hi": np.float32(0.75)})


def test_clip_takes_infinite_bounds(load):
    graph = load(f"{X} {{ y = Clip(x, lo) }}", {"lo": np.float32(-np.inf)})
    assert graph.nodes[0].op == Clip()
    with pytest.raises(ImportModelError, match="wanted one number"):
        load(f"{X} {{ y = Clip(x, lo) }}", {"lo": np.float32(np.nan)})


@pytest.mark.parametrize("opset", [8, 9, 14, 17])
@pytest.mark.parametrize("shape", ["1,3,4,5", "1,3,4", "2,3"])
def test_batch_normalization(same, shape, opset):
    weights = {"s": normal(3), "b": normal(3), "m": normal(3), "v": normal(3) ** 2}
    text = f"g (float[{shape}] x) => (float[] y) {{ y = BatchNormalization<epsilon=0.01>"
    same(f"{text}(x, s, b, m, v) }}", weights, opset)


def test_batch_normalization_refusals(load):
    weights = {"s": normal(3), "b": normal(3), "m": normal(3), "v": normal(3) ** 2}
    with pytest.raises(UnsupportedError, match="training mode is not supported"):
        load(f"{X} {{ y = BatchNormalization<training_mode=1>(x,s,b,m,v) }}", weights)
    with pytest.raises(UnsupportedError, match="training mode is not supported"):
        load(
            "g (float[1,3,4,5] x) => (float[] y, float[] z) "
            "{ y, z, w = BatchNormalization(x,s,b,m,v) }",
            weights,
        )
    with pytest.raises(ImportModelError, match="parameters of shapes"):
        load(f"{X} {{ y = BatchNormalization(x,s,b,m,v) }}", {**weights, "m": normal(4)})
    with pytest.raises(ImportModelError, match="the variance is not positive"):
        load(f"{X} {{ y = BatchNormalization(x,s,b,m,v) }}", {**weights, "v": -np.ones(3)})


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("opset", [8, 11, 13, 17])
@pytest.mark.parametrize("axis", [None, 1, 2, 3])
def test_softmax(same, kind, opset, axis):
    attribute = "" if axis is None else f"axis={axis}"
    same(f"{X} {{ y = {kind}<{attribute}>(x) }}", opset=opset)


def test_softmax_before_13_flattens(load):
    graph = load(f"{X} {{ y = Softmax(x) }}", opset=12)
    assert [n.op.name for n in graph.nodes] == ["reshape", "softmax", "reshape"]
    assert graph.types[graph.nodes[0].output].shape == (1, 60)
    graph = load("g (float[1,7] x) => (float[] y) { y = Softmax(x) }", opset=12)
    assert [n.op for n in graph.nodes] == [Softmax(1)]


def test_log_softmax_keeps_small_probabilities(load):
    from lepton_edge.ir.interpreter import run

    graph = load("g (float[1,2] x) => (float[] y) { y = LogSoftmax(x) }")
    found = run(graph, {"x": np.array([[0.0, 200.0]], np.float32)})["y"]
    np.testing.assert_allclose(found, [[-200.0, 0.0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("LayerNormalization(x, c)", "LayerNormalization computes statistics of its input"),
        ("InstanceNormalization(x, c, c)", "InstanceNormalization computes statistics"),
        ("LRN<size=3>(x)", "LRN computes statistics"),
        ("Equal(x, x)", "Equal on values computed at run time is not supported"),
        ("Where(c, x, x)", "Where on values computed at run time is not supported"),
        ("RandomNormalLike(x)", "RandomNormalLike draws random numbers"),
        ("Cast<to=7>(x)", "a cast of f32[1,3,4,5] to the ONNX type 7 at run time"),
        ("Tan(x)", "the operator 'Tan' is supported on constants only; 'x' is computed"),
        ("GridSample(x, x)", "the operator 'GridSample' is not supported"),
    ],
)
def test_refused(load, call, message):
    with pytest.raises(UnsupportedError) as caught:
        load(f"{X} {{ [n1] y = {call} }}", {"c": np.ones(5, np.float32)})
    assert caught.value.what.startswith(message)
    assert caught.value.where.startswith("node 'n1' (")
    assert caught.value.hint


def test_arithmetic_on_integers_is_refused(load):
    with pytest.raises(UnsupportedError, match="computes on the integers 'x'"):
        load("g (int8[1,3] x) => (int8[] y) { y = Add(x, x) }")


def test_shapes_that_do_not_broadcast(load):
    with pytest.raises(ImportModelError, match="cannot broadcast shapes") as caught:
        load(f"{X} {{ [n1] y = Add(x, c) }}", {"c": normal(4)})
    assert caught.value.where == "node 'n1' (Add)"
