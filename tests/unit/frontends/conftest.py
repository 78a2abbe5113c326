"""Building small ONNX models and comparing our import of them with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from lepton_edge.frontends.onnx import import_onnx_proto
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.interpreter import run
from lepton_edge.ir.types import Array
from lepton_edge.ir.verify import verify

Build = Callable[..., onnx.ModelProto]
Load = Callable[..., Graph]
Same = Callable[..., Graph]


def _random(info: onnx.ValueInfoProto, rng: np.random.Generator) -> Array:
    tensor = info.type.tensor_type
    shape = [dim.dim_value or 1 for dim in tensor.shape.dim]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if dtype.kind == "f":
        return rng.normal(scale=2, size=shape).astype(dtype)
    return rng.integers(0, 100, size=shape).astype(dtype)


@pytest.fixture
def build() -> Build:
    """Give a function from the text of a graph and its weights to a model."""

    def make(text: str, weights: dict[str, object] | None = None, opset: int = 17, **domains: int):
        graph = onnx.parser.parse_graph(text.replace("<>", "").replace("<, ", "<"))
        for name, value in (weights or {}).items():
            array = np.asarray(value)
            if array.dtype == np.float64:
                array = array.astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(array, name))
        sets = [onnx.helper.make_opsetid("", opset)]
        sets += [onnx.helper.make_opsetid(k.replace("_", "."), v) for k, v in domains.items()]
        return onnx.helper.make_model(graph, opset_imports=sets, ir_version=8 if opset < 20 else 10)

    return make


@pytest.fixture
def load(build: Build) -> Load:
    """Give a function from the text of a graph and its weights to our Graph."""

    def make(*args: object, **kwargs: object) -> Graph:
        graph = import_onnx_proto(build(*args, **kwargs), "model")
        verify(graph)
        return graph

    return make


@pytest.fixture
def same(build: Build) -> Same:
    """Give a function that checks our import of a model against onnxruntime on random data."""

    def check(
        text: str, weights: dict[str, object] | None = None, opset: int = 17, tol: float = 1e-5
    ) -> Graph:
        model = build(text, weights, opset)
        graph = import_onnx_proto(model, "model")
        verify(graph)
        rng = np.random.default_rng(7)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        known = {tensor.name for tensor in model.graph.initializer}
        feeds = {i.name: _random(i, rng) for i in model.graph.input if i.name not in known}
        wanted = session.run(None, feeds)
        got = run(graph, feeds)
        batched = all(graph.types[v].shape[:1] == (1,) for v in graph.inputs)
        for info, want in zip(model.graph.output, wanted, strict=True):
            found = got[info.name]
            if batched and graph.types[info.name].shape[:1] != (1,):
                found = found[0]  # stacked sample by sample
            assert found.shape == want.shape
            np.testing.assert_allclose(
                found.astype(np.float64), want.astype(np.float64), rtol=tol, atol=tol
            )
        return graph

    return check
