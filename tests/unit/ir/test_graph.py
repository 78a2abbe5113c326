from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lepton_edge.errors import ImportModelError, InternalError
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph, GraphBuilder, Node, Rewriter, readable_name, rename_values
from lepton_edge.ir.ops.elementwise import Add, Relu, Sigmoid
from lepton_edge.ir.ops.linear import Conv
from lepton_edge.ir.ops.quantized import Dequantize, Quantize, Requantize
from lepton_edge.ir.ops.select import TopK
from lepton_edge.ir.text import to_text
from lepton_edge.ir.types import Float, Int, QuantType, TensorType
from lepton_edge.ir.verify import verify

Q8 = QuantType(8, True, (0.5,))


def residual() -> Graph:
    """x → conv → relu → + x, with a quantised end: something of everything."""
    builder = GraphBuilder("residual")
    x = builder.input("x", TensorType((1, 2, 2, 1), Float()))
    w = builder.constant(np.ones((1, 1, 1, 1), np.float32), name="conv/weights")
    y = builder.emit1(Conv(), [x, w], name="conv", sources=["/conv/Conv"])
    y = builder.emit1(Relu(), [y], name="relu")
    y = builder.emit1(Add(), [x, y], name="add")
    y = builder.emit1(Quantize(Q8), [y], name="quantize")
    y = builder.emit1(
        Requantize(QuantType(4, False, (2.0,)), 2, 0, 15),
        [y, builder.constant(np.array([1])), builder.constant(np.array([2]))],
        name="requantize",
    )
    return builder.finish([builder.emit1(Dequantize(), [y], name="result"), x])


def test_the_text_form(golden: Callable[[str, str], None]) -> None:
    golden("ir/residual.txt", to_text(residual()))


def test_uses_producers_and_consumers() -> None:
    graph = residual()
    assert [n.name for n in graph.consumers["x"]] == ["conv", "add"]
    assert graph.num_uses("x") == 3  # once as an output
    assert graph.only_consumer("x") is None
    assert graph.only_consumer("conv").name == "relu"  # type: ignore[union-attr]
    assert graph.only_consumer("result") is None
    assert graph.producers["relu"].inputs == ("conv",)
    assert graph.macs == 4
    assert graph.renamed("other").name == "other"


# -- the builder ----------------------------------------------------------------------------------


def test_taken_names_get_a_suffix_and_odd_characters_are_replaced() -> None:
    builder = GraphBuilder("names")
    x = builder.input("x", TensorType((1, 2), Float()))
    names = [builder.emit1(Relu(), [x], name=n) for n in ("a", "a", "x", "b c\n", "")]
    assert names == ["a", "a~1", "x~1", "b_c_", "_"]
    assert readable_name("ünï/1:0;-.~") == "ünï/1:0;-.~"


def test_a_name_with_a_suffix_stays_when_it_is_used_again() -> None:
    assert readable_name("relu~1") == "relu~1"


def test_finish_drops_what_no_output_needs_but_keeps_inputs() -> None:
    builder = GraphBuilder("dead")
    x = builder.input("x", TensorType((1, 2), Float()))
    unused = builder.input("unused", TensorType((1,), Float()))
    dead = builder.constant(np.ones(2, np.float32))
    builder.emit1(Add(), [x, dead], name="dead")
    values, _ = builder.emit(TopK(1), [x], name="topk")
    graph = builder.finish([values])
    assert graph.inputs == (x, unused)
    assert [n.name for n in graph.nodes] == ["topk"]
    assert set(graph.types) == {"x", "unused", "topk:0", "topk:1"}
    assert not graph.constants
    verify(graph)


def test_constants_take_their_type_from_the_array_and_cannot_be_written() -> None:
    builder = GraphBuilder("constants")
    names = [
        builder.constant(np.ones(1, np.float64)),
        builder.constant(np.ones(1, np.int16)),
        builder.constant(np.ones(1, np.uint8)),
        builder.constant(np.ones(1), Q8),
    ]
    assert [builder.type_of(n).elem for n in names] == [Float(), Int(16), Int(8, False), Q8]
    array = builder.constant_of(names[3])
    assert array is not None
    assert array.dtype == np.int8
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2
    assert builder.constant_of("absent") is None


def test_an_ill_typed_node_is_named() -> None:
    builder = GraphBuilder("ill")
    x = builder.input("x", TensorType((1, 2), Q8))
    with pytest.raises(ImportModelError) as caught:
        builder.emit1(Relu(), [x], name="act")
    assert str(caught.value) == "node 'act' (relu): wanted a float input, found q8<0.5>[1,2]"


def test_a_node_with_two_outputs_has_no_only_output() -> None:
    node = Node(TopK(1), ("x",), ("a", "b"), "topk")
    with pytest.raises(InternalError, match="topk: topk has 2 outputs"):
        _ = node.output


# -- the rewriter ---------------------------------------------------------------------------------


def copied(graph: Graph) -> Graph:
    new = Rewriter(graph)
    for node in graph.nodes:
        new.copy(node)
    return new.done()


def test_a_plain_copy_is_the_same_graph() -> None:
    assert to_text(copied(residual())) == to_text(residual())


def test_a_copy_keeps_suffixed_names() -> None:
    builder = GraphBuilder("suffixes")
    x = builder.input("x", TensorType((1, 2), Float()))
    y = builder.emit1(Relu(), [x], name="x")
    graph = builder.finish([builder.emit1(Relu(), [y], name="x")])
    assert graph.outputs == ("x~1~1",)
    assert to_text(copied(copied(graph))) == to_text(graph)


def test_reading_a_value_before_it_is_rewritten_is_a_fault_of_the_pass() -> None:
    with pytest.raises(InternalError, match="'relu' is used before it is rewritten"):
        _ = Rewriter(residual())["relu"]


def two_outputs() -> Graph:
    builder = GraphBuilder("outputs")
    x = builder.input("x", TensorType((1, 2), Float()))
    y = builder.emit1(Relu(), [x], name="y")
    return builder.finish([y, builder.emit1(Sigmoid(), [y], name="z")])


@pytest.mark.parametrize(
    ("relu_is", "sigmoid_is"),
    [("y", "input"), ("input", "z"), ("input", "input"), ("y", "y"), ("z", "y"), ("new", "y")],
)
def test_outputs_keep_their_names_and_order_whatever_stands_for_them(
    relu_is: str, sigmoid_is: str
) -> None:
    graph = two_outputs()
    new = Rewriter(graph)
    values = {"input": new["x"]}
    for node in graph.nodes:
        values[node.output] = new.copy(node, inputs=[new["x"]])[0]
    values["new"] = new.emit1(Relu(), [values["y"]], name="y")
    new.replace("y", values[relu_is])
    new.replace("z", values[sigmoid_is])
    done = new.done()
    verify(done)
    assert done.outputs == ("y", "z")
    assert len(set(done.outputs)) == 2
    x = np.array([[-1.0, 2.0]], np.float32)
    relu, sigmoid = np.maximum(x, 0), 1 / (1 + np.exp(-x))
    wanted = {"input": x, "y": relu, "z": sigmoid, "new": relu}
    found = interpreter.run(done, {"x": x})
    np.testing.assert_allclose(found["y"], wanted[relu_is], rtol=1e-6)
    np.testing.assert_allclose(found["z"], wanted[sigmoid_is], rtol=1e-6)


def test_rename_reaches_inputs_outputs_nodes_types_and_constants() -> None:
    graph = residual()
    names = {"x": "image", "relu": "act", "conv/weights": "w", "result": "y"}
    renamed = rename_values(graph, names)
    verify(renamed)
    assert renamed.inputs == ("image",)
    assert renamed.outputs == ("y", "image")
    assert set(renamed.types) == {names.get(v, v) for v in graph.types}
    assert set(renamed.constants) == {names.get(v, v) for v in graph.constants}
    x = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(
        interpreter.run(renamed, {"image": x})["y"], interpreter.run(graph, {"x": x})["result"]
    )


# -- the verifier ---------------------------------------------------------------------------------


def test_a_built_graph_is_valid() -> None:
    verify(residual())


def damaged(kind: str) -> Graph:
    graph = residual()
    nodes, constants, types = graph.nodes, dict(graph.constants), dict(graph.types)
    match kind:
        case "order":
            return replace(graph, nodes=nodes[::-1])
        case "node name":
            return replace(graph, nodes=(*nodes, replace(nodes[1], outputs=("again",))))
        case "value twice":
            return replace(graph, nodes=(*nodes, replace(nodes[1], name="again")))
        case "type":
            types["relu"] = TensorType((9,), Float())
        case "no type":
            del types["conv/weights"]
        case "output":
            return replace(graph, outputs=("nowhere",))
        case "input twice":
            return replace(graph, inputs=("x", "x"))
        case "constant dtype":
            constants["conv/weights"] = np.ones((1, 1, 1, 1), np.float64)
        case "nan":
            constants["conv/weights"] = np.full((1, 1, 1, 1), np.nan, np.float32)
        case "code":
            types["conv/weights"] = TensorType((1, 1, 1, 1), QuantType(2, True, (1.0,)))
            constants["conv/weights"] = np.full((1, 1, 1, 1), 2, np.int8)
        case "ill-typed":
            return replace(graph, nodes=(replace(nodes[0], op=TopK()), *nodes[1:]))
    return replace(graph, constants=constants, types=types)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "order",
            (
                "residual: node 'result' (dequantize): reads 'requantize', which nothing before "
                "it defines\nhint: nodes must be in topological order, without cycles"
            ),
        ),
        ("node name", "residual: node 'relu' (relu): another node has the same name"),
        ("value twice", "residual: node 'again' (relu): defines 'relu' a second time"),
        (
            "type",
            (
                "residual: node 'relu' (relu): output 'relu' is recorded as f32[9] but computes "
                "f32[1,2,2,1]"
            ),
        ),
        ("no type", "residual: constant 'conv/weights': has no type"),
        ("output", "residual: output 'nowhere' is not defined"),
        ("input twice", "residual: two inputs are named 'x'"),
        (
            "constant dtype",
            "residual: constant 'conv/weights': is float64[1, 1, 1, 1]; wanted f32[1,1,1,1]",
        ),
        ("nan", "residual: constant 'conv/weights': holds values that are not finite"),
        ("code", "residual: constant 'conv/weights': holds codes 2..2, outside q2<1>"),
        ("ill-typed", "residual: node 'conv' (topk): topk takes 1 inputs, found 2"),
    ],
)
def test_the_first_broken_rule_is_named_with_its_place(kind: str, message: str) -> None:
    with pytest.raises(ImportModelError) as caught:
        verify(damaged(kind))
    assert str(caught.value) == message
