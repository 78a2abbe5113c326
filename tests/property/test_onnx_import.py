"""Random networks against onnxruntime, and damaged files."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from lepton_edge.errors import LeptonError
from lepton_edge.frontends.onnx import import_onnx, import_onnx_proto
from lepton_edge.ir.interpreter import run
from lepton_edge.ir.verify import verify

SIZES = st.integers(1, 4)
ELEMENTWISE = ["Relu", "Sigmoid", "Tanh", "Neg", "Abs", "LeakyRelu", "HardSwish", "Softplus"]


class Net:
    """A network that grows layer by layer."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self.shape = shape
        self.first = shape
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(seed)

    @property
    def last(self) -> str:
        return f"v{len(self.nodes)}"

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        array = self.rng.normal(scale=0.5, size=shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *more: str, **attributes: object) -> None:
        inputs = [self.last, *more]
        self.nodes.append(helper.make_node(kind, inputs, [f"v{len(self.nodes) + 1}"], **attributes))

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("v0", TensorProto.FLOAT, self.first)],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@st.composite
def networks(draw: st.DrawFn) -> Net:
    channels, height, width = draw(SIZES), draw(st.integers(4, 9)), draw(st.integers(4, 9))
    net = Net((1, channels, height, width), draw(st.integers(0, 1000)))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "pool", "elementwise", "binary", "batch_norm"]))
        _, channels, height, width = net.shape
        if kind in ("conv", "pool"):
            kernel = [draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))]
            strides = [draw(st.integers(1, 2)), draw(st.integers(1, 2))]
            pads = [draw(st.integers(0, k - 1)) for k in (*kernel, *kernel)]
            spatial = [
                (size + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1
                for i, size in enumerate((height, width))
            ]
            window = {"kernel_shape": kernel, "strides": strides, "pads": pads}
        if kind == "conv":
            groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
            outputs = groups * draw(st.integers(1, 3))
            weights = net.weight(outputs, channels // groups, *kernel)
            bias = [net.weight(outputs)] if draw(st.booleans()) else []
            net.add("Conv", weights, *bias, group=groups, **window)
            net.shape = (1, outputs, *spatial)
        elif kind == "pool":
            name = draw(st.sampled_from(["MaxPool", "AveragePool"]))
            extra = {"count_include_pad": draw(st.integers(0, 1))} if name == "AveragePool" else {}
            net.add(name, **window, **extra)
            net.shape = (1, channels, *spatial)
        elif kind == "elementwise":
            net.add(draw(st.sampled_from(ELEMENTWISE)))
        elif kind == "binary":
            shape = draw(
                st.sampled_from([(channels, 1, 1), (width,), (), (1, channels, height, 1)])
            )
            net.add(draw(st.sampled_from(["Add", "Sub", "Mul", "Max", "Min"])), net.weight(*shape))
        else:
            parameters = [net.weight(channels) for _ in range(3)]
            variance = numpy_helper.from_array(np.full(channels, 0.5, np.float32), f"var{net.last}")
            net.weights.append(variance)
            net.add("BatchNormalization", *parameters, variance.name)
    if draw(st.booleans()):
        net.add("Flatten")
        size = int(np.prod(net.shape))
        outputs = draw(SIZES)
        if draw(st.booleans()):
            net.add("MatMul", net.weight(size, outputs))
        else:
            net.add("Gemm", net.weight(outputs, size), net.weight(outputs), transB=1)
        if draw(st.booleans()):
            net.add("Softmax")
    return net


@given(networks(), st.integers(1, 3))
def test_networks_equal_onnxruntime(net: Net, samples: int) -> None:
    model = net.model()
    graph = import_onnx_proto(model, "net")
    verify(graph)
    x = net.rng.normal(size=(samples, *net.first[1:])).astype(np.float32)
    got = run(graph, {"v0": x})[net.last]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    wanted = np.concatenate([session.run(None, {"v0": x[i : i + 1]})[0] for i in range(samples)])
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * max(1.0, np.abs(wanted).max()))


def qdq_model() -> bytes:
    """Return a small model that uses most parts of the format."""
    weights = [
        numpy_helper.from_array(np.arange(18, dtype=np.int8).reshape(2, 1, 3, 3), "w"),
        numpy_helper.from_array(np.array([0.5, 0.25], np.float32), "ws"),
        numpy_helper.from_array(np.float32(0.5), "s"),
        numpy_helper.from_array(np.int8(3), "z"),
        numpy_helper.from_array(np.array([1, -1], np.int64), "shape"),
        numpy_helper.from_array(np.array([2, 3], np.int32), "b"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "ws"], ["bd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Clip", ["c"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["q"]),
        helper.make_node("MaxPool", ["q"], ["p"], kernel_shape=[2, 2]),
        helper.make_node("Reshape", ["p", "shape"], ["f"]),
        helper.make_node("DequantizeLinear", ["f", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "qdq",
        [helper.make_tensor_value_info("x", TensorProto.INT8, ["N", 1, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


GOOD = qdq_model()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "model.onnx"


def test_the_undamaged_file_imports(path: Path) -> None:
    path.write_bytes(GOOD)
    verify(import_onnx(path))


PLACE = st.integers(0, len(GOOD) - 1)


@given(
    st.lists(st.tuples(PLACE, st.integers(0, 255)), max_size=6),
    st.tuples(PLACE, st.integers(0, 20)),
    st.none() | PLACE,
)
def test_damaged_files_give_errors_of_ours(
    path: Path, edits: list[tuple[int, int]], cut: tuple[int, int], size: int | None
) -> None:
    data = bytearray(GOOD)
    for place, byte in edits:
        data[place] = byte
    del data[cut[0] : cut[0] + cut[1]]
    path.write_bytes(bytes(data[:size]))
    begin = time.perf_counter()
    with contextlib.suppress(LeptonError):
        verify(import_onnx(path))
    assert time.perf_counter() - begin < 5
