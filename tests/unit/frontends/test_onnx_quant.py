"""QDQ and QONNX models: codes, scales and their layout."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.frontends.onnx import import_onnx_proto
from lepton_edge.ir.interpreter import run
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.ir.types import Int, QuantType

RNG = np.random.default_rng(5)
QDQ = """g (float[1,3] x) => (float[] y) {
    q = QuantizeLinear(x, s, z)
    y = DequantizeLinear(q, s, z)
}"""


def codes(*shape: int) -> np.ndarray:
    return RNG.integers(-127, 128, shape).astype(np.int8)


def ops_of(graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def codes_read_by(graph, kind):
    """Return the constant codes, and their type, that the first node of a kind reads."""
    node = next(n for n in graph.nodes if isinstance(n.op, kind))
    (value,) = graph.producers[node.inputs[1]].inputs
    return graph.constants[value], graph.types[value].quant


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
def test_quantize_and_dequantize(same, dtype):
    opset = 21 if dtype in (np.int16, np.uint16) else 13
    weights = {"s": np.float32(0.25), "z": np.array(3, dtype)}
    graph = same(QDQ, weights, opset)
    bits, signed = np.dtype(dtype).itemsize * 8, np.dtype(dtype).kind == "i"
    assert graph.nodes[0].op == Quantize(QuantType(bits, signed, (0.25,), (3,)))
    assert isinstance(graph.nodes[1].op, Dequantize)


def test_quantize_without_zero_point_is_unsigned(same):
    text = "g (float[1,3] x) => (uint8[] y) { y = QuantizeLinear(x, s) }"
    graph = same(text, {"s": np.float32(0.5)})
    assert graph.types["y"].quant == QuantType(8, False, (0.5,))


def test_output_dtype(load):
    text = "g (float[1,3] x) => (int16[] y) { y = QuantizeLinear<output_dtype=5>(x, s) }"
    assert load(text, {"s": np.float32(0.5)}, opset=21).types["y"].quant.bits == 16


def test_activations_quantised_per_channel(same):
    text = "g (float[1,3,4] x) => (int8[] y) { y = QuantizeLinear<axis=1>(x, s, z) }"
    weights = {"s": np.array([0.5, 0.25, 1.0]), "z": np.array([1, 2, 3], np.int8)}
    graph = same(text, weights)
    assert graph.types["y"].quant == QuantType(8, True, (0.5, 0.25, 1.0), (1, 2, 3), 1)


def test_weights_of_a_convolution_arrive_as_codes_channels_last(load):
    text = """g (float[1,3,6,6] x) => (float[] y) {
        wd = DequantizeLinear<axis=0>(w, s, z)
        bd = DequantizeLinear<axis=0>(b, bs)
        y = Conv(x, wd, bd)
    }"""
    w, scales = codes(4, 3, 2, 2), np.array([0.5, 0.25, 0.125, 1.0], np.float32)
    bias = np.array([1, 2, 3, 4], np.int32)
    graph = load(
        text, {"w": w, "s": scales, "z": np.zeros(4, np.int8), "b": bias, "bs": scales / 8}
    )
    found, quant = codes_read_by(graph, Conv)
    np.testing.assert_array_equal(found, w.transpose(0, 2, 3, 1))
    assert quant == QuantType(8, True, tuple(scales.tolist()), (0,), 0)
    node = next(n for n in graph.nodes if isinstance(n.op, Conv))
    (bias_value,) = graph.producers[node.inputs[2]].inputs
    assert graph.types[bias_value].quant == QuantType(
        32, True, tuple((scales / 8).tolist()), axis=0
    )
    assert ops_of(graph).count("transpose") == 2


def test_weights_of_a_dense_layer_arrive_as_codes_rows_first(load):
    text = """g (float[1,3] x) => (float[] y) {
        wd = DequantizeLinear<axis=1>(w, s)
        t = Reshape(wd, shape)
        y = MatMul(x, t)
    }"""
    w, scales = codes(3, 4), np.array([0.5, 0.25, 0.125, 1.0], np.float32)
    graph = load(text, {"w": w, "s": scales, "shape": np.array([3, 4])})
    found, quant = codes_read_by(graph, Dense)
    np.testing.assert_array_equal(found, w.T)
    assert (quant.axis, quant.scale) == (0, tuple(scales.tolist()))


def test_scales_that_no_axis_carries_become_floats(load):
    text = """g (float[1,6] x) => (float[] y) {
        wd = DequantizeLinear<axis=0>(w, s)
        t = Reshape(wd, shape)
        y = MatMul(x, t)
    }"""
    w, scales = codes(2, 6), np.array([0.5, 0.25], np.float32)
    graph = load(text, {"w": w, "s": scales, "shape": np.array([6, 2])})
    assert ops_of(graph) == ["dense"]
    x = RNG.normal(size=(1, 6)).astype(np.float32)
    wanted = x @ (w * scales[:, None]).reshape(6, 2)
    np.testing.assert_allclose(run(graph, {"x": x})["y"], wanted, rtol=1e-5)


def test_float_weights_that_the_graph_quantises_arrive_as_codes(same):
    text = """g (float[1,3] x) => (float[] y) {
        q = QuantizeLinear<axis=0>(w, s, z)
        wd = DequantizeLinear<axis=0>(q, s, z)
        y = Gemm<transB=1>(x, wd)
    }"""
    weights = {"w": RNG.normal(size=(2, 3)), "s": np.array([0.01, 0.02]), "z": np.zeros(2, np.int8)}
    graph = same(text, weights)
    found, quant = codes_read_by(graph, Dense)
    wanted = np.rint(weights["w"].astype(np.float32) / weights["s"].astype(np.float32)[:, None])
    np.testing.assert_array_equal(found, np.clip(wanted, -128, 127))
    assert quant.axis == 0


@pytest.mark.parametrize("bits", [4, 8])
def test_narrow_integer_weights(bits):
    signed = helper.make_tensor("w", TensorProto.INT4, [2, 3], [-8, 7, 1, 0, -1, 3])
    if bits == 8:
        signed = helper.make_tensor("w", TensorProto.INT8, [2, 3], [-8, 7, 1, 0, -1, 3])
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["w", "s"], ["d"]),
            helper.make_node("Gemm", ["x", "d"], ["y"], transB=1),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [signed, helper.make_tensor("s", TensorProto.FLOAT, [], [0.5])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    found, quant = codes_read_by(import_onnx_proto(model, "m"), Dense)
    assert quant == QuantType(bits, True, (0.5,))
    np.testing.assert_array_equal(found, [[-8, 7, 1], [0, -1, 3]])


def test_codes_pass_through_data_movement(same):
    text = """g (int8[1,4,4,2] x) => (int8[] y) {
        t = Transpose<perm=[0,3,1,2]>(x)
        r = Reshape(t, shape)
        d = DequantizeLinear(r, s, z)
        a = Relu(d)
        q = QuantizeLinear(a, s, z)
        f = Flatten(q)
        y = Concat<axis=1>(f, f)
    }"""
    weights = {"s": np.float32(0.5), "z": np.int8(3), "shape": np.array([1, 2, 16])}
    graph = same(text, weights)
    quant = QuantType(8, True, (0.5,), (3,))
    assert graph.types["x"].elem == quant
    assert graph.types["y"].elem == quant


def test_integer_inputs(load):
    text = "g (int8[1,4] x, int64[1,2] i) => (int8[] y, int64[] j) { y = Identity(x)\n"
    graph = load(text + "j = Identity(i) }")
    assert graph.types["x"].elem == Int(8, True)
    assert graph.types["i"].elem == Int(64, True)
    assert graph.outputs == ("y", "j")


def test_an_integer_image_that_is_cast_to_float(same):
    text = "g (uint8[1,3] x) => (float[] y) { f = Cast<to=1>(x)\n y = Mul(f, c) }"
    graph = same(text, {"c": np.float32(1 / 255)})
    assert graph.types["x"].elem == QuantType(8, False, (1.0,))


def test_codes_clipped_to_fewer_bits(load):
    text = """g (float[1,3] x) => (float[] y) {
        q = QuantizeLinear(x, s, z)
        c = Clip(q, lo, hi)
        y = DequantizeLinear(c, s, z)
    }"""
    weights = {"s": np.float32(0.5), "z": np.int8(0), "lo": np.int8(-7), "hi": np.int8(7)}
    graph = load(text, weights)
    assert graph.nodes[0].op == Quantize(QuantType(4, True, (0.5,), narrow=True))
    assert ops_of(graph) == ["quantize", "dequantize"]
    with pytest.raises(UnsupportedError, match="wanted the range of a bit width"):
        load(text, {**weights, "hi": np.int8(6)})


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"s2": np.float32(0.5)}, "re-interpreting codes is not supported"),
        ({"z2": np.int8(1)}, "re-interpreting codes is not supported"),
    ],
)
def test_reinterpreted_codes_are_refused(load, second, message):
    text = """g (float[1,3] x) => (float[] y) {
        q = QuantizeLinear(x, s, z)
        [n1] y = DequantizeLinear(q, s2, z2)
    }"""
    weights = {"s": np.float32(0.25), "z": np.int8(0), "s2": np.float32(0.25), "z2": np.int8(0)}
    assert load(text, weights).types["y"].is_float
    with pytest.raises(UnsupportedError, match=message) as caught:
        load(text, {**weights, **second})
    assert caught.value.where == "node 'n1' (DequantizeLinear)"


def test_an_input_read_with_two_scales_is_refused(load):
    text = """g (int8[1,3] x) => (float[] y, float[] z) {
        y = DequantizeLinear(x, s)
        [n2] z = DequantizeLinear(x, t)
    }"""
    with pytest.raises(UnsupportedError, match="re-interpreting codes"):
        load(text, {"s": np.float32(0.5), "t": np.float32(0.25)})
    with pytest.raises(UnsupportedError, match=r"input 'x': .*needs one scale"):
        load(text, {"s": np.array([0.5, 1, 2]), "t": np.float32(0.25)})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"s": np.float32(0)}, ImportModelError, "scales must be positive and finite"),
        ({"s": np.float32(np.nan)}, ImportModelError, "scales must be positive and finite"),
        ({"s": np.ones((2, 2))}, UnsupportedError, r"scales of shape \[2, 2\] \(blocks\)"),
        ({"s": np.ones(4), "z": np.zeros(4, np.int8)}, ImportModelError, "has 4 scales for axis 1"),
        ({"z": np.float32(0)}, UnsupportedError, "codes of the type float32 are not supported"),
    ],
)
def test_bad_parameters(load, change, error, message):
    with pytest.raises(error, match=message):
        load(QDQ, {"s": np.float32(0.25), "z": np.int8(0), **change})


@pytest.mark.parametrize(
    ("kind", "domain"),
    [("QLinearConv", ""), ("MatMulInteger", ""), ("QLinearAdd", "com.microsoft")],
)
def test_integer_domain_operators_are_refused(kind, domain):
    count = {"QLinearConv": 8, "MatMulInteger": 2, "QLinearAdd": 8}[kind]
    node = helper.make_node(kind, ["x"] * count, ["y"], "n1", domain=domain)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.INT8, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.INT8, None)],
    )
    with pytest.raises(UnsupportedError) as caught:
        import_onnx_proto(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), "m"
        )
    assert caught.value.what == f"the integer-domain operator {kind!r} is not supported"
    assert caught.value.hint == "export in QDQ format (quant_format=QuantFormat.QDQ)"


QONNX = "g (float[1,3] x) => (float[] y) {{ [n1] y = {domain}.Quant<{attributes}>(x, s, z, b) }}"


def quant_model(load, attributes="", domain="qonnx.custom_op.general", **weights):
    weights = {"s": np.float32(0.25), "z": np.float32(0), "b": np.float32(4), **weights}
    return load(QONNX.format(domain=domain, attributes=attributes), weights)


@pytest.mark.parametrize(
    "domain", ["qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"]
)
@pytest.mark.parametrize(
    ("attributes", "quant"),
    [
        ("", QuantType(4, True, (0.25,))),
        ("signed=0", QuantType(4, False, (0.25,))),
        ('signed=1, narrow=1, rounding_mode="ROUND"', QuantType(4, True, (0.25,), narrow=True)),
    ],
)
def test_qonnx_quant(load, domain, attributes, quant):
    graph = quant_model(load, attributes, domain)
    assert [n.op for n in graph.nodes] == [Quantize(quant), Dequantize()]
    assert [n.name for n in graph.nodes] == ["n1", "n1/dequantize"]


def test_qonnx_quant_of_weights_along_an_axis(load):
    text = """g (float[1,3] x) => (float[] y) {
        q = qonnx.custom_op.general.Quant<narrow=1>(w, s, z, b)
        y = MatMul(x, q)
    }"""
    w = RNG.normal(size=(3, 2)).astype(np.float32)
    scale = np.array([[0.1, 0.2]], np.float32)
    graph = load(text, {"w": w, "s": scale, "z": np.float32(0), "b": np.float32(3)})
    found, quant = codes_read_by(graph, Dense)
    np.testing.assert_array_equal(found, np.rint(np.clip(w / scale, -3, 3)).T)
    assert (quant.bits, quant.narrow, quant.axis, len(quant.scale)) == (3, True, 0, 2)


def test_qonnx_quant_equals_the_reference(load):
    from qonnx.custom_op.general.quant import quant as reference

    graph = quant_model(load, "signed=0", z=np.float32(4))
    x = np.arange(-30, 31, dtype=np.float32)[:, None].repeat(3, 1) / 8
    wanted = reference(x, np.float32(0.25), np.float32(4), np.float32(4), 0, 0, "ROUND")
    np.testing.assert_array_equal(run(graph, {"x": x})["y"], wanted)


@pytest.mark.parametrize(
    ("attributes", "weights", "message"),
    [
        ('rounding_mode="FLOOR"', {}, "rounding_mode 'FLOOR' is not supported; wanted 'ROUND'"),
        ("", {"b": np.float32(2.5)}, "the bit width is 2.5; wanted one whole number in 1..32"),
        ("", {"b": np.float32(np.nan)}, "the bit width is nan; wanted one whole number in 1..32"),
        ("", {"b": np.float32(np.inf)}, "the bit width is inf; wanted one whole number in 1..32"),
        ("", {"z": np.float32(0.5)}, "zero point 0.5 is not a whole number"),
        ("", {"z": np.float32(3)}, "zero point 3 is odd: Quant rounds halves after it adds"),
        ("", {"z": np.float32(100)}, "zero point (100,) is not a code of"),
        ("signed=0, narrow=1", {}, "unsigned narrow codes are not supported"),
        ("", {"s": np.ones((2, 3))}, "scales of shape [2, 3] for a tensor of shape [1, 3]"),
    ],
)
def test_qonnx_refusals(load, attributes, weights, message):
    with pytest.raises(UnsupportedError) as caught:
        quant_model(load, attributes, **weights)
    assert caught.value.what.startswith(message)


BIPOLAR = "g (float[1,3] x) => (float[] y) {{ [n1] y = {domain}.BipolarQuant(x, s) }}"


@pytest.mark.parametrize(
    "domain", ["qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"]
)
def test_bipolar_quant(load, domain):
    graph = load(BIPOLAR.format(domain=domain), {"s": np.float32(0.25)})
    assert [n.op for n in graph.nodes] == [Quantize(QuantType.signs((0.25,))), Dequantize()]
    assert [n.name for n in graph.nodes] == ["n1", "n1/dequantize"]


def test_bipolar_quant_equals_the_reference(load):
    from qonnx.custom_op.general.bipolar_quant import BipolarQuant

    x = np.array([[-3.0, -0.0, 0.0], [1e-30, -1e-30, np.inf]], np.float32)
    scale = np.array([[0.25, 1.0, 2.0]], np.float32)
    node = helper.make_node("BipolarQuant", ["x", "s"], ["y"], domain="qonnx.custom_op.general")
    context = {"x": x, "s": scale}
    BipolarQuant(node, 1).execute_node(context, None)
    graph = load(BIPOLAR.format(domain="qonnx.custom_op.general"), {"s": scale})
    (quantize, _) = graph.nodes
    codes = quantize.op.out.quantize(x)
    np.testing.assert_array_equal(quantize.op.out.dequantize(codes), context["y"])
    np.testing.assert_array_equal(codes, [[0, 1, 1], [1, 0, 1]])


def test_bipolar_quant_of_weights_along_an_axis(load):
    text = """g (float[1,3] x) => (float[] y) {
        q = qonnx.custom_op.general.BipolarQuant(w, s)
        y = MatMul(x, q)
    }"""
    w = np.array([[0.5, -0.5], [0.0, 2.0], [-3.0, -0.0]], np.float32)
    graph = load(text, {"w": w, "s": np.array([[0.1, 0.2]], np.float32)})
    found, quant = codes_read_by(graph, Dense)
    np.testing.assert_array_equal(found, (w >= 0).T)
    assert (quant.bipolar, quant.axis, len(quant.scale)) == (True, 0, 2)


@pytest.mark.parametrize(
    ("inputs", "scale", "error", "message"),
    [
        (["x", "s"], np.ones((2, 3)), UnsupportedError, "scales of shape [2, 3] for a tensor of"),
        (["x", "s"], np.ones(4), UnsupportedError, "scales of shape [4] for a tensor of shape"),
        (["x", "s"], np.float32(0), ImportModelError, "scales must be positive and finite"),
        (["x", "s"], np.float32(-1), ImportModelError, "scales must be positive and finite"),
        (["x", "s"], np.float32(np.nan), ImportModelError, "scales must be positive and finite"),
        (["x", "s"], np.ones(0), ImportModelError, "scales must be positive and finite"),
        (["x", "x"], np.float32(1), UnsupportedError, "the scale must be constant; 'x'"),
        (["x"], np.float32(1), ImportModelError, "input 1 is missing"),
        (["x", ""], np.float32(1), ImportModelError, "input 1 is missing"),
        (["", "s"], np.float32(1), ImportModelError, "input 0 is missing"),
        ([], np.float32(1), ImportModelError, "input 0 is missing"),
    ],
)
def test_malformed_bipolar_quant(inputs, scale, error, message):
    node = helper.make_node("BipolarQuant", inputs, ["y"], "n1", domain="onnx.brevitas")
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(scale, np.float32), "s")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("onnx.brevitas", 1)]
    with pytest.raises(error) as caught:
        import_onnx_proto(helper.make_model(graph, opset_imports=opsets), "m")
    assert caught.value.what.startswith(message)
    assert "n1" in caught.value.where
