"""The importer on models and operator cases that other people made."""

from __future__ import annotations

import collections
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from lepton_edge.errors import LeptonError, UnsupportedError
from lepton_edge.frontends.onnx import import_onnx, import_onnx_proto
from lepton_edge.ir.graph import Graph, readable_name
from lepton_edge.ir.interpreter import run
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.ops.quantized import Dequantize
from lepton_edge.ir.types import Array
from lepton_edge.ir.verify import verify

pytestmark = pytest.mark.thirdparty

FLOAT_MODELS = [
    "exm_three_layer_keras",
    "mlperf_ad_fcae_fp32",
    "mlperf_ic_resnet8_fp32",
    "mlperf_kws_dscnn_fp32",
    "ort_mnist_conv_op8_fp32",
    "tflm_sine_mlp_fp32",
]
QDQ_MODELS = [
    "mlperf_ad_fcae_int8_qdq",
    "mlperf_ic_resnet8_int8_qdq",
    "mlperf_kws_dscnn_int8_qdq",
    "tflm_sine_mlp_int8_qdq",
]
QONNX_MODELS = [
    "zoo_jettagging_qonnx",
    "zoo_tfc_1w1a_qonnx",
    "zoo_tfc_1w2a_qonnx",
    "zoo_tfc_2w2a_qonnx",
]
REFUSED = {
    "tflm_mnist_lstm_fp32": "recurrent layers (LSTM) are not supported yet",
}
SAMPLES = 16

NODE_CASES_PASSED = 590
"""Cases of onnx's node suite (onnx 1.23) that import and give the expected output."""


def random_inputs(graph: Graph, samples: int = SAMPLES) -> dict[str, Array]:
    rng = np.random.default_rng(11)
    feeds = {}
    for name in graph.inputs:
        type_ = graph.types[name]
        shape = (samples, *type_.shape[1:])
        if type_.is_float:
            feeds[name] = rng.normal(size=shape).astype(np.float32)
        else:
            feeds[name] = rng.integers(-128, 128, shape).astype(type_.elem.dtype)
    return feeds


def onnxruntime_outputs(path, graph: Graph, feeds: dict[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options)
    names = [info.name for info in session.get_inputs()]
    parts = [
        session.run(
            None, {n: feeds[v][i : i + 1] for n, v in zip(names, graph.inputs, strict=True)}
        )
        for i in range(SAMPLES)
    ]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def test_every_model_is_listed(shared):
    found = {path.stem for path in (shared / "models").glob("*.onnx")}
    assert found == {*FLOAT_MODELS, *QDQ_MODELS, *QONNX_MODELS, *REFUSED}


@pytest.mark.parametrize("name", FLOAT_MODELS)
def test_float_models_equal_onnxruntime(shared, name):
    path = shared / "models" / f"{name}.onnx"
    graph = import_onnx(path)
    verify(graph)
    feeds = random_inputs(graph)
    got = run(graph, feeds)
    for value, wanted in zip(graph.outputs, onnxruntime_outputs(path, graph, feeds), strict=True):
        np.testing.assert_allclose(got[value], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("name", QDQ_MODELS)
def test_qdq_models_give_the_codes_of_onnxruntime(shared, name):
    """Both compute in floats, so codes may differ where a real lies between two codes.

    The mean of 64 codes in ResNet-8 often does, and its last layer has a fine scale: that model
    gets real images, and more room.
    """
    path = shared / "models" / f"{name}.onnx"
    graph = import_onnx(path)
    verify(graph)
    feeds = random_inputs(graph)
    equal = 0.995
    if "resnet8" in name:
        images = np.load(shared / "data" / "cifar10_lossless_train4000.npz")["x"][:SAMPLES]
        feeds, equal = {graph.inputs[0]: (images.astype(int) - 128).astype(np.int8)}, 0.97
    got = run(graph, feeds)
    for value, wanted in zip(graph.outputs, onnxruntime_outputs(path, graph, feeds), strict=True):
        difference = np.abs(got[value].astype(int) - wanted.astype(int))
        assert (difference == 0).mean() >= equal
        assert difference.max() <= 2


@pytest.mark.parametrize("name", [*QDQ_MODELS, *QONNX_MODELS])
def test_weights_arrive_as_codes(shared, name):
    graph = import_onnx(shared / "models" / f"{name}.onnx")
    layers = [node for node in graph.nodes if isinstance(node.op, Conv | Dense)]
    assert layers
    for node in layers:
        producer = graph.producers[node.inputs[1]]
        assert isinstance(producer.op, Dequantize)
        assert graph.types[producer.inputs[0]].quant.axis in (None, 0)
        assert producer.inputs[0] in graph.constants


@pytest.mark.parametrize("name", QONNX_MODELS)
def test_qonnx_models_equal_qonnx(shared, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        path = shared / "models" / f"{name}.onnx"
        graph = import_onnx(path)
        verify(graph)
        feeds = random_inputs(graph)
        got = run(graph, feeds)[graph.outputs[0]]
        model = ModelWrapper(str(path)).transform(InferShapes())
        (feed,) = feeds.values()
        name_in, name_out = model.graph.input[0].name, model.graph.output[0].name
        wanted = [execute_onnx(model, {name_in: x[np.newaxis]})[name_out] for x in feed]
    np.testing.assert_allclose(got, np.concatenate(wanted), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_are_refused_say_why(shared, name):
    with pytest.raises(UnsupportedError) as caught:
        import_onnx(shared / "models" / f"{name}.onnx")
    assert REFUSED[name] in caught.value.what
    assert caught.value.hint


def arrays_of(values) -> list[Array] | None:
    arrays = []
    for value in values:
        array = numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
        if not isinstance(array, np.ndarray | np.generic):
            return None
        arrays.append(np.asarray(array))
    return arrays


def plain(array: Array) -> Array:
    """Return numbers of onnx's own element types as numpy's."""
    name = array.dtype.name
    if "float" in name:
        return array.astype(np.float32)
    if name in ("int4", "int2"):
        return array.astype(np.int8)
    return array.astype(np.uint8) if name in ("uint4", "uint2") else array


def outcome(case, model: onnx.ModelProto, inputs, outputs) -> str:
    """Return "passed" or "refused"; fail on a wrong result or any other exception."""
    try:
        graph = import_onnx_proto(model, case.name)
        verify(graph)
        infos = model.graph.input
        feeds = {readable_name(i.name): plain(a) for i, a in zip(infos, inputs, strict=True)}
        got = run(graph, {k: a for k, a in feeds.items() if k in graph.inputs})
    except LeptonError:
        return "refused"
    batched = bool(graph.inputs) and all(graph.types[v].shape[:1] == (1,) for v in graph.inputs)
    for value, wanted in zip(graph.outputs, outputs, strict=True):
        found = got[value]
        if batched and graph.types[value].shape[:1] != (1,):
            found = found[0]  # stacked sample by sample
        assert found.shape == wanted.shape, case.name
        kind = wanted.dtype.name
        rough = {"bfloat16": 1e-2, "float16": 1e-2}.get(kind, 1e-4)
        np.testing.assert_allclose(
            found.astype(np.float64),
            wanted.astype(np.float64),
            rtol=max(case.rtol, rough),
            atol=max(case.atol, 1e-2 if kind == "float16" else 1e-6),
            err_msg=case.name,
        )
    return "passed"


def test_node_suite_of_onnx():
    """Each case, once as it is and once with all inputs but the first made constants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        cases = load_model_tests(kind="node")
        counts: collections.Counter[str] = collections.Counter()
        for case in cases:
            inputs, outputs = (arrays_of(values) for values in case.data_sets[0])
            if inputs is None or outputs is None:
                with pytest.raises(LeptonError):
                    import_onnx_proto(case.model, case.name)
                counts["refused"] += 1
                continue
            results = [outcome(case, case.model, inputs, outputs)]
            if len(inputs) > 1:
                model = onnx.ModelProto()
                model.CopyFrom(case.model)
                for info, array in list(zip(model.graph.input, inputs, strict=True))[1:]:
                    model.graph.initializer.append(numpy_helper.from_array(array, info.name))
                results.append(outcome(case, model, inputs, outputs))
            counts["passed" if "passed" in results else "refused"] += 1
    assert counts["passed"] + counts["refused"] == len(cases) > 1800
    assert counts["passed"] >= NODE_CASES_PASSED, counts
