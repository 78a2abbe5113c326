"""Whole models: names, order, inputs, refusals that are collected."""

import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lepton_edge.errors import ImportModelError, InternalError, UnsupportedError
from lepton_edge.frontends.onnx import import_onnx_proto
from lepton_edge.frontends.onnx.table import handles, load_handlers
from lepton_edge.ir.types import Float, TensorType


def model_of(nodes, inputs, outputs=("y",), opset=17, **more):
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs]
    results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    graph = helper.make_graph(nodes, "g", infos, results, more.pop("initializer", []))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **more)


def load(*args, **kwargs):
    return import_onnx_proto(model_of(*args, **kwargs), "m")


RELU = helper.make_node("Relu", ["x"], ["y"], "n1")


@pytest.mark.parametrize("first", ["batch", None, 0, 1])
def test_an_open_batch_becomes_one(first):
    graph = load([RELU], [("x", [first, 3])])
    assert graph.types["x"] == TensorType((1, 3), Float())


def test_other_open_sizes_are_refused():
    with pytest.raises(UnsupportedError) as caught:
        load([RELU], [("x", ["n", 3, "width"])])
    assert caught.value.what.startswith("axis 2 has the dynamic size 'width'")
    assert caught.value.where == "input 'x'"
    assert "update_model_dims" in caught.value.hint


def test_inputs_without_shape_or_of_other_types_are_refused():
    with pytest.raises(UnsupportedError, match="input 'x': has no shape"):
        load([RELU], [("x", None)])
    model = model_of([RELU], [("x", [1, 3])])
    model.graph.input[0].type.CopyFrom(
        helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    )
    with pytest.raises(UnsupportedError, match="is of the kind sequence; wanted a tensor"):
        import_onnx_proto(model, "m")
    model = model_of([RELU], [("x", [1, 3])])
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    with pytest.raises(UnsupportedError, match="holds string; wanted floats or integers"):
        import_onnx_proto(model, "m")


def test_names_of_inputs_outputs_and_layers_are_kept():
    nodes = [
        helper.make_node("Relu", ["in:0"], ["a"], "block/relu 1"),
        helper.make_node("Sigmoid", ["a"], ["out put"]),
    ]
    graph = load(nodes, [("in:0", [1, 3])], ["out put"])
    assert (graph.inputs, graph.outputs) == (("in:0",), ("out_put",))
    assert [n.name for n in graph.nodes] == ["block/relu_1", "out_put"]
    assert [n.sources for n in graph.nodes] == [("block/relu_1",), ("out_put",)]


def test_helper_nodes_carry_the_name_of_their_layer():
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1], [2.0])
    node = helper.make_node("Conv", ["x", "w"], ["y"], "y")
    graph = load([node], [("x", [1, 1, 2, 2])], initializer=[weights])
    assert [n.name for n in graph.nodes] == ["y/nhwc", "y", "y/nchw"]
    assert {n.sources for n in graph.nodes} == {("y",)}
    assert graph.outputs == ("y",)
    assert graph.types["y"].shape == (1, 1, 2, 2)


def test_nodes_of_one_name_are_told_apart():
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "n"),
        helper.make_node("Abs", ["a"], ["y"], "n"),
    ]
    nodes.append(helper.make_node("Neg", ["y"], ["z"], "n_1"))
    graph = load(nodes, [("x", [1])], ["z"])
    assert [n.name for n in graph.nodes] == ["n", "n_1", "n_1_1"]
    assert [n.sources for n in graph.nodes] == [("n",), ("n_1",), ("n_1_1",)]


def test_constants_of_the_user_and_of_the_importer_are_told_apart():
    nodes = [
        helper.make_node("Add", ["x", "n/half"], ["a"]),
        helper.make_node("Gelu", ["a"], ["y"], "n"),
    ]
    weights = helper.make_tensor("n/half", TensorProto.FLOAT, [], [10.0])
    graph = load(nodes, [("x", [1, 3])], opset=20, initializer=[weights])
    assert sorted(float(a) for a in graph.constants.values()) == pytest.approx(
        [0.5, 0.70710678, 1.0, 10.0]
    )


def test_outputs_that_are_inputs_constants_or_aliases():
    nodes = [
        helper.make_node("Identity", ["x"], ["y"]),
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Identity", ["r"], ["z"]),
    ]
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1], [2.0])
    graph = load(nodes, [("x", [1, 3])], ["y", "r", "z", "x", "w"], initializer=[weights])
    assert graph.outputs == ("y", "r", "z", "x", "w")


def test_an_input_with_an_initializer_is_a_constant():
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1, 3], [1.0, 2.0, 3.0])
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = load([node], [("x", [1, 3]), ("w", [1, 3])], initializer=[weights])
    assert graph.inputs == ("x",)


def test_declared_types_that_are_wrong_are_ignored():
    model = model_of([RELU], [("x", [1, 3])])
    model.graph.value_info.append(helper.make_tensor_value_info("y", TensorProto.INT8, [9]))
    assert import_onnx_proto(model, "m").types["y"] == TensorType((1, 3), Float())


def test_nodes_out_of_order_are_sorted():
    nodes = [helper.make_node("Abs", ["a"], ["y"]), helper.make_node("Relu", ["x"], ["a"])]
    assert [n.op.name for n in load(nodes, [("x", [1, 3])]).nodes] == ["relu", "function"]


def test_a_cycle_is_named():
    nodes = [
        helper.make_node("Add", ["x", "c"], ["a"], "first"),
        helper.make_node("Relu", ["a"], ["b"], "second"),
        helper.make_node("Abs", ["b"], ["c"], "third"),
        helper.make_node("Neg", ["c"], ["y"], "after"),
    ]
    with pytest.raises(ImportModelError) as caught:
        load(nodes, [("x", [1, 3])])
    assert caught.value.what.startswith("the nodes form a cycle: ")
    names = caught.value.what.removeprefix("the nodes form a cycle: ").split(" → ")
    assert set(names) == {"'first'", "'second'", "'third'"}
    assert names[0] == names[-1]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([helper.make_node("Relu", ["nowhere"], ["y"], "n1")], "reads 'nowhere', which nothing"),
        ([RELU, helper.make_node("Abs", ["x"], ["y"], "n2")], "the value 'y' is defined twice"),
        ([helper.make_node("Relu", ["x"], ["x"], "n1")], "the value 'x' is defined twice"),
        ([helper.make_node("Relu", ["x"], ["z"])], "the output 'y' is computed by no node"),
        ([helper.make_node("Relu", [""], ["y"])], "input 0 is missing"),
    ],
)
def test_incomplete_graphs(nodes, message):
    with pytest.raises(ImportModelError) as caught:
        load(nodes, [("x", [1, 3])])
    assert caught.value.what.startswith(message)


def test_weights_that_are_not_finite_are_named():
    weights = helper.make_tensor("kernel", TensorProto.FLOAT, [2], [1.0, float("nan")])
    node = helper.make_node("Add", ["x", "kernel"], ["y"], "n1")
    with pytest.raises(ImportModelError) as caught:
        load([node], [("x", [1, 2])], initializer=[weights])
    assert caught.value.what.startswith("tensor 'kernel' holds NaN or infinity")
    assert caught.value.where == "node 'n1' (Add)"


def test_refusals_are_collected():
    nodes = [helper.make_node("Tan", [f"v{i}"], [f"v{i + 1}"], f"n{i}") for i in range(3)]
    nodes += [helper.make_node("Tan", ["v0"], [f"w{i}"], f"m{i}") for i in range(12)]
    with pytest.raises(UnsupportedError) as caught:
        load(nodes, [("v0", [1, 3])], ["v3"])
    lines = caught.value.what.splitlines()
    assert lines[0] == "13 nodes are not supported"
    assert lines[1].startswith("  node 'n0' (Tan): the operator 'Tan' is supported on constants")
    assert lines[-1] == "  and 3 more"
    assert len(lines) == 12


def test_unknown_operators_and_domains():
    node = helper.make_node("Frobnicate", ["x"], ["y"], "n1", domain="my.domain")
    with pytest.raises(UnsupportedError) as caught:
        load([node], [("x", [1, 3])])
    assert str(caught.value).splitlines()[0] == (
        "node 'n1' (Frobnicate): the operator 'Frobnicate' of domain 'my.domain' is not supported"
    )


def test_control_flow_and_recurrence_are_refused():
    body = helper.make_graph([], "b", [], [helper.make_tensor_value_info("z", 1, [1])])
    node = helper.make_node("If", ["x"], ["y"], "n1", then_branch=body, else_branch=body)
    with pytest.raises(UnsupportedError, match=r"control flow \(If\) is not supported"):
        load([node], [("x", [1])])
    node = helper.make_node("LSTM", ["x", "x", "x"], ["y"], hidden_size=1)
    with pytest.raises(UnsupportedError, match=r"recurrent layers \(LSTM\)"):
        load([node], [("x", [1, 1, 1])])


def test_versions():
    with pytest.raises(UnsupportedError) as caught:
        load([RELU], [("x", [1, 3])], opset=6)
    assert caught.value.what.startswith("the model uses ONNX operator set 6; wanted 7 to ")
    assert "version_converter" in caught.value.hint
    with pytest.raises(UnsupportedError, match="the installed onnx knows up to"):
        load([RELU], [("x", [1, 3])], opset=1000)
    with pytest.raises(UnsupportedError, match="IR version 1000"):
        load([RELU], [("x", [1, 3])], ir_version=1000)
    model = model_of([RELU], [("x", [1, 3])])
    model.opset_import[0].domain = "other"
    with pytest.raises(ImportModelError, match="states no version of the ONNX operator set"):
        import_onnx_proto(model, "m")


def test_local_functions_are_inlined():
    body = [helper.make_node("Relu", ["a"], ["t"]), helper.make_node("Neg", ["t"], ["b"])]
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", "ReluNeg", ["a"], ["b"], body, sets)
    model = model_of([helper.make_node("ReluNeg", ["x"], ["y"], domain="own")], [("x", [1, 3])])
    model.functions.append(function)
    model.opset_import.append(sets[1])
    assert [n.op.name for n in import_onnx_proto(model, "m").nodes] == ["relu", "function"]
    model.functions[0].node[0].op_type = "ReluNeg"
    model.functions[0].node[0].domain = "own"
    with pytest.raises(ImportModelError, match="the model's function 'ReluNeg' calls itself"):
        import_onnx_proto(model, "m")


def test_functions_that_explode_are_refused():
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = model_of([helper.make_node("F0", ["x"], ["y"], domain="own")], [("x", [1, 3])])
    model.opset_import.append(sets[1])
    for i in range(40):
        body = [
            helper.make_node(f"F{i + 1}", ["a"], ["t"], domain="own"),
            helper.make_node(f"F{i + 1}", ["t"], ["b"], domain="own"),
        ]
        model.functions.append(helper.make_function("own", f"F{i}", ["a"], ["b"], body, sets))
    with pytest.raises(UnsupportedError, match="expand to 1099511627776 nodes"):
        import_onnx_proto(model, "m")


def test_names_that_are_not_text():
    data = model_of([RELU], [("x", [1, 3])]).SerializeToString().replace(b"n1", b"\xff1")
    with pytest.raises(ImportModelError, match="a name is not UTF-8 text"):
        import_onnx_proto(onnx.ModelProto.FromString(data), "m")


@pytest.mark.parametrize("place", ["node", "input", "output"])
def test_names_of_unreasonable_length(place):
    node = helper.make_node("Relu", ["x"], ["y"], "n" * 5000 if place == "node" else "n")
    if place == "input":
        node.input[0] = "n" * 5000
    if place == "output":
        node.output[0] = "n" * 5000
    model = model_of([node], [(node.input[0], [1, 3])], outputs=[node.output[0]])
    with pytest.raises(ImportModelError, match="a name has 5000 characters; wanted at most 4096"):
        import_onnx_proto(model, "m")


def test_long_chains_import_quickly():
    count = 10_000
    nodes = [
        helper.make_node("Relu", [f"v{i}"], [f"v{i + 1}"], "same name")
        for i in reversed(range(count))
    ]
    model = model_of(nodes, [("v0", [1, 3])], [f"v{count}"])
    begin = time.perf_counter()
    assert len(import_onnx_proto(model, "m").nodes) == count
    assert time.perf_counter() - begin < 10


def test_an_operator_has_one_handler():
    table = load_handlers()
    assert len(table) > 120
    with pytest.raises(InternalError, match="two handlers for 'Conv'"):
        handles("Conv")(table["", "Conv"])


def test_the_model_is_not_changed():
    model = model_of([RELU], [("x", ["N", 3])])
    before = model.SerializeToString()
    import_onnx_proto(model, "m")
    assert model.SerializeToString() == before


def test_tensors_of_absurd_size_are_refused():
    pads = helper.make_tensor("p", TensorProto.INT64, [4], [0, 1 << 40, 0, 0])
    node = helper.make_node("Pad", ["x", "p"], ["y"])
    with pytest.raises(UnsupportedError, match="wanted 1 to 2147483648"):
        load([node], [("x", [1, 3])], initializer=[pads])


def test_half_and_double_precision_become_binary32():
    weights = helper.make_tensor("w", TensorProto.DOUBLE, [1, 3], [0.1, 0.2, 0.3])
    node = helper.make_node("Add", ["w", "w"], ["y"])
    graph = load([node], [], initializer=[weights])
    (array,) = graph.constants.values()
    assert array.dtype == np.float32
    big = helper.make_tensor("w", TensorProto.DOUBLE, [1], [1e300])
    with pytest.raises(ImportModelError, match="beyond the range of binary32"):
        load([node], [], initializer=[big])
