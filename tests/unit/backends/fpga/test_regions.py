"""Where the FPGA's part of a network begins and ends."""

from __future__ import annotations

import numpy as np
import pytest

from lepton_edge.backends.fpga.regions import Regions, split_regions
from lepton_edge.errors import UnsupportedError
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.ops import elementwise, quantized, select, shape
from lepton_edge.ir.types import Array, Float, QuantType, TensorType
from lepton_edge.ir.verify import verify

U4 = QuantType(4, False, (0.5,), (3,))


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def split(graph: Graph, **reasons: str) -> Regions:
    """Split, and check that the three parts one after the other are the whole."""
    regions = split_regions(graph, reasons)
    for part in (regions.before, regions.core, regions.after):
        verify(part)
    assert not any(regions.core.types[v].is_float for v in regions.core.types)
    arrays = {
        v: np.random.default_rng(0).normal(0, 3, (4, *graph.types[v].shape[1:])).astype(np.float32)
        if graph.types[v].is_float
        else np.arange(4 * graph.types[v].num_elements).reshape(4, *graph.types[v].shape[1:]) % 16
        for v in graph.inputs
    }
    wanted = interpreter.run(graph, arrays)
    values: dict[str, Array] = interpreter.run(regions.before, arrays)
    values |= interpreter.run(regions.core, {v: values[v] for v in regions.core.inputs})
    found = interpreter.run(regions.after, {v: values[v] for v in regions.after.inputs})
    for value in graph.outputs:
        np.testing.assert_array_equal(found[value], wanted[value])
    return regions


def real_input(n, *shape_: int, name: str = "image") -> str:
    return n.builder.input(name, TensorType((1, *shape_), Float()))


def quantize(n, value: str, name: str = "quantize") -> str:
    return n.emit(name, quantized.Quantize(U4), value)


def dequantize(n, value: str, name: str = "dequantize") -> str:
    return n.emit(name, quantized.Dequantize(), value)


def test_conversions_and_layouts_belong_to_the_host(net) -> None:
    n = net()
    x = n.emit("to_nhwc", shape.Transpose((0, 2, 3, 1)), quantize(n, real_input(n, 2, 4, 4)))
    y = n.layer("c", x, 3)
    y = n.emit("to_nchw", shape.Transpose((0, 3, 1, 2)), y)
    regions = split(n.graph(dequantize(n, y)))
    assert names(regions.before) == ["quantize", "to_nhwc"]
    assert names(regions.core) == ["c", "c_q"]
    assert names(regions.after) == ["to_nchw", "dequantize"]
    assert regions.host_layers == ()


def test_float_functions_at_both_ends_are_listed(net) -> None:
    n = net()
    x = n.emit("positive", elementwise.Relu(), real_input(n, 6))
    y = dequantize(n, n.dense("fc", quantize(n, x), 4))
    regions = split(n.graph(n.emit("probabilities", elementwise.Softmax(1), y)))
    assert [(h.name, h.op) for h in regions.host_layers] == [
        ("positive", "relu"), ("probabilities", "softmax"),
    ]  # fmt: skip
    assert all(h.reason for h in regions.host_layers)


def test_a_value_that_goes_past_the_core(net) -> None:
    n = net()
    x = real_input(n, 4)
    y = dequantize(n, n.dense("fc", quantize(n, x), 4))
    regions = split(n.graph(n.emit("residual", elementwise.Add(), y, x), x))
    assert "image" in regions.before.outputs
    assert "image" in regions.after.inputs
    assert regions.core.inputs == ("quantize",)


def test_an_output_that_is_also_an_intermediate_value(net) -> None:
    n = net()
    a = n.requantize("aq", n.dense("a", quantize(n, real_input(n, 4)), 4))
    regions = split(n.graph(a, n.dense("b", a, 2), dequantize(n, a)))
    assert regions.core.outputs == ("aq", "b")
    assert names(regions.after) == ["dequantize"]


def test_an_integer_network_is_all_core(net) -> None:
    n = net()
    regions = split(n.graph(n.layer("c", n.input(4, 4, 2), 2)))
    assert names(regions.before) == names(regions.after) == []
    assert regions.core.inputs == ("x",)


def test_an_unused_input_stays_with_the_host(net) -> None:
    n = net()
    real_input(n, 3, name="unused")
    regions = split(n.graph(n.dense("fc", n.input(4), 2)))
    assert regions.core.inputs == ("x",)
    assert regions.before.inputs == ("unused", "x")


def test_arg_max_of_codes_runs_on_the_fpga_and_of_reals_on_the_host(net) -> None:
    n = net()
    codes = n.dense("fc", n.input(4), 3)
    reals = dequantize(n, codes)
    regions = split(
        n.graph(n.emit("best", select.ArgMax(1), codes), n.emit("real", select.ArgMax(1), reals))
    )
    assert "best" in names(regions.core)
    assert names(regions.after) == ["dequantize", "real"]


def test_floats_in_the_middle_are_named_with_their_reason(net) -> None:
    n = net()
    a = n.requantize("aq", n.dense("a", n.input(4), 4))
    middle = n.emit("act", elementwise.Relu(), dequantize(n, a))
    graph = n.graph(n.dense("b", quantize(n, middle), 2))
    with pytest.raises(UnsupportedError) as caught:
        split_regions(graph, {"act": "nobody measured its input"})
    text = str(caught.value)
    assert "act (relu): nobody measured its input" in text
    assert "dequantize" not in text.split("hint")[0]
    with pytest.raises(UnsupportedError, match=r"act \(relu\): it computes on floats"):
        split_regions(graph, {})


def test_a_network_without_a_layer_for_the_fpga(net) -> None:
    n = net()
    x = real_input(n, 4)
    with pytest.raises(UnsupportedError, match="no layer of the network can run on the FPGA") as e:
        split_regions(n.graph(n.emit("act", elementwise.Relu(), x)), {})
    assert "needs a quantised layer" in e.value.hint
