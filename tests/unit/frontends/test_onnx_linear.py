"""Convolutions and matrix products against onnxruntime."""

import numpy as np
import pytest

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.ir.ops.linear import Conv, Dense, MatMul
from lepton_edge.ir.ops.shape import Transpose

RNG = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("attributes", "weights", "channels"),
    [
        ("", (5, 4, 3, 3), 4),
        ("kernel_shape=[3,3], strides=[2,1]", (5, 4, 3, 3), 4),
        ("pads=[1,2,0,3]", (5, 4, 3, 2), 4),
        ('auto_pad="SAME_UPPER", strides=[2,2]', (5, 4, 4, 3), 4),
        ('auto_pad="SAME_LOWER", strides=[2,2]', (5, 4, 4, 3), 4),
        ('auto_pad="VALID"', (5, 4, 3, 3), 4),
        ("dilations=[2,1], pads=[2,1,2,1]", (5, 4, 3, 3), 4),
        ("group=2", (6, 2, 3, 3), 4),
        ("group=4, pads=[1,1,1,1]", (4, 1, 3, 3), 4),
        ("group=4", (8, 1, 3, 3), 4),
    ],
)
def test_conv_2d(same, attributes, weights, channels):
    text = f"g (float[1,{channels},9,8] x) => (float[] y) {{ y = Conv<{attributes}>(x, w, b) }}"
    graph = same(text, {"w": normal(*weights), "b": normal(weights[0])}, tol=1e-4)
    assert [type(n.op) for n in graph.nodes] == [Transpose, Conv, Transpose]


@pytest.mark.parametrize(
    "attributes", ["", "strides=[2], pads=[1,0]", "dilations=[3]", 'auto_pad="SAME_LOWER"']
)
def test_conv_1d(same, attributes):
    text = f"g (float[1,4,11] x) => (float[] y) {{ y = Conv<{attributes}>(x, w) }}"
    same(text, {"w": normal(3, 4, 3)}, tol=1e-4)


@pytest.mark.parametrize(
    ("attributes", "weights"),
    [
        ("", (4, 3, 3, 3)),
        ("strides=[2,3]", (4, 3, 3, 2)),
        ("strides=[2,2], pads=[1,0,1,2]", (4, 3, 3, 3)),
        ("strides=[3,3], output_padding=[1,2]", (4, 3, 3, 3)),
        ("dilations=[2,2], pads=[1,1,1,1]", (4, 3, 3, 3)),
        ("group=2, strides=[2,2]", (4, 3, 3, 3)),
        ("strides=[2,2], pads=[2,2,2,2]", (4, 3, 2, 2)),
        ('strides=[2,2], auto_pad="SAME_UPPER"', (4, 3, 3, 3)),
        ('strides=[2,2], auto_pad="SAME_LOWER"', (4, 3, 3, 3)),
        ("strides=[2,2], output_shape=[9,10]", (4, 3, 3, 3)),
    ],
)
def test_conv_transpose(same, attributes, weights):
    text = f"g (float[1,4,5,4] x) => (float[] y) {{ y = ConvTranspose<{attributes}>(x, w, b) }}"
    outputs = weights[1] * (2 if "group" in attributes else 1)
    same(text, {"w": normal(*weights), "b": normal(outputs)}, tol=1e-4)


def test_conv_transpose_1d(same):
    text = "g (float[1,4,5] x) => (float[] y) { y = ConvTranspose<strides=[2]>(x, w) }"
    same(text, {"w": normal(4, 3, 3)}, tol=1e-4)


@pytest.mark.parametrize(
    "attributes",
    ["", "alpha=0.5", "beta=2.0", "alpha=2.0, beta=0.5", "beta=0.0"],
)
@pytest.mark.parametrize("bias", [(3,), (1, 3), (1,), (2, 3)])
@pytest.mark.parametrize("turned", [0, 1])
def test_gemm(same, attributes, bias, turned):
    extra = ", " if attributes else ""
    text = (
        "g (float[2,4] x) => (float[] y) "
        f"{{ y = Gemm<{attributes}{extra}transB={turned}>(x, w, b) }}"
    )
    same(text, {"w": normal(*((3, 4) if turned else (4, 3))), "b": normal(*bias)})


def test_gemm_with_transposed_input_and_computed_operands(same):
    same("g (float[4,2] x) => (float[] y) { y = Gemm<transA=1>(x, w) }", {"w": normal(4, 3)})
    same("g (float[2,4] x, float[3,4] z) => (float[] y) { y = Gemm<transB=1, alpha=2.0>(x, z) }")


@pytest.mark.parametrize("shape", ["1,4", "4", "2,3,4", "1,2,3,4"])
def test_matmul_with_constant_matrix_is_dense(same, shape):
    graph = same(f"g (float[{shape}] x) => (float[] y) {{ y = MatMul(x, w) }}", {"w": normal(4, 3)})
    assert [type(n.op) for n in graph.nodes] == [Dense]


def test_other_matmuls(same):
    text = "g (float[1,3,4] x) => (float[] y) { y = MatMul(x, w) }"
    same(text, {"w": normal(1, 4, 2)})
    same(text, {"w": normal(4)})
    same("g (float[1,4,3] x) => (float[] y) { y = MatMul(w, x) }", {"w": normal(2, 4)})
    graph = same("g (float[1,3,4] x, float[1,4,2] z) => (float[] y) { y = MatMul(x, z) }")
    assert isinstance(graph.nodes[0].op, MatMul)


@pytest.mark.parametrize(
    ("text", "weights", "message"),
    [
        (
            "g (float[1,4,8,8] x, float[2,4,3,3] w) => (float[] y) { [n1] y = Conv(x, w) }",
            {},
            "the weights must be constant; 'w' is computed at run time",
        ),
        (
            "g (float[1,4,8,8,8] x) => (float[] y) { [n1] y = Conv(x, w) }",
            {"w": normal(2, 4, 3, 3, 3)},
            "the input has 3 spatial axes; wanted 1 (N,C,L) or 2 (N,C,H,W)",
        ),
        (
            "g (float[1,4,8,8] x) => (float[] y) { [n1] y = Conv<pads=[-1,0,0,0]>(x, w) }",
            {"w": normal(2, 4, 3, 3)},
            "negative pads [-1, 0, 0, 0] are not supported",
        ),
    ],
)
def test_refused(load, text, weights, message):
    with pytest.raises(UnsupportedError) as caught:
        load(text, weights)
    assert caught.value.what == message
    assert caught.value.where == "node 'n1' (Conv)"


@pytest.mark.parametrize(
    ("attributes", "weights", "message"),
    [
        ("", (2, 5, 3, 3), "weights take 5 channels in each of 1 groups, the input has 4"),
        ("kernel_shape=[2,2]", (2, 4, 3, 3), "kernel_shape [2, 2], but weights have [3, 3]"),
        ("strides=[0,1]", (2, 4, 3, 3), "strides [0, 1] and dilations [1, 1] must be positive"),
        ("strides=[1]", (2, 4, 3, 3), "strides [1] has 1 entries; wanted 2"),
        ('auto_pad="BEST"', (2, 4, 3, 3), "auto_pad 'BEST' is unknown"),
        ("group=0", (2, 4, 3, 3), "group 0 is not positive"),
        ("", (2, 4, 9, 9), "window (9, 9) with dilations (1, 1) is larger than the padded input"),
        ("group=1.5", (2, 4, 3, 3), "attribute 'group' is not an integer"),
    ],
)
def test_ill_typed(load, attributes, weights, message):
    text = f"g (float[1,4,8,8] x) => (float[] y) {{ [n1] y = Conv<{attributes}>(x, w) }}"
    with pytest.raises(ImportModelError) as caught:
        load(text, {"w": normal(*weights)})
    assert caught.value.what.startswith(message)
    assert caught.value.where == "node 'n1' (Conv)"


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
def test_a_vector_is_refused(load, kind):
    with pytest.raises(UnsupportedError, match="the input has 0 spatial axes"):
        load(f"g (float[1] x) => (float[] y) {{ y = {kind}(x, w) }}", {"w": np.ones(1)})
