"""The passes before quantisation: the same function, with less in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from lepton_edge.errors import ImportModelError, InternalError
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph, GraphBuilder
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.ops.pool import AveragePool, MaxPool, Reduce
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.ir.ops.select import ArgMax
from lepton_edge.ir.ops.shape import Concat, Gather, Pad, Reshape, Slice, Transpose
from lepton_edge.ir.types import Array, Float, QuantType, TensorType
from lepton_edge.ir.verify import verify
from lepton_edge.passes.base import PASSES, Effect, Pass, run_passes
from lepton_edge.passes.equalize_layers import EqualizeLayers
from lepton_edge.passes.fold_affine import FoldAffine
from lepton_edge.passes.fold_constants import FoldConstants
from lepton_edge.passes.hoist_transposes import HoistTransposes
from lepton_edge.passes.pipeline import simplify
from lepton_edge.passes.sink_views import SinkViews

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
Q8 = QuantType(8, True, (0.05,), (3,))


class Net:
    """A builder with fewer words. Channels-first where a test says so."""

    def __init__(self, *dims: int) -> None:
        self.builder = GraphBuilder("net")
        self.rng = np.random.default_rng(0)
        self.x = self.input(*dims)

    def input(self, *dims: int) -> str:
        return self.builder.input("x", TensorType(dims, Float()))

    def __call__(self, op: Op, *inputs: str) -> str:
        return self.builder.emit1(op, inputs, name=op.name)

    def constant(self, *dims: int) -> str:
        return self.builder.constant(self.rng.standard_normal(dims).astype(np.float32))

    def codes(self, *dims: int, quant: QuantType = Q8) -> str:
        array = self.rng.integers(quant.lowest, quant.highest + 1, dims)
        return self.builder.constant(array, quant)

    def conv_nchw(self, x: str, outs: int = 3, **options: object) -> str:
        """A convolution as importers of channels-first models write it."""
        x = self(Transpose(TO_NHWC), x)
        channels = self.builder.type_of(x).shape[-1]
        y = self(Conv(**options), x, self.constant(outs, 1, 1, channels))  # type: ignore[arg-type]
        return self(Transpose(TO_NCHW), y)

    def done(self, *outputs: str) -> Graph:
        return self.builder.finish(outputs)


def data_for(graph: Graph, count: int = 3) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {
        v: rng.standard_normal((count, *graph.types[v].shape[1:])).astype(np.float32)
        for v in graph.inputs
    }


def check(pass_: Pass, graph: Graph) -> Graph:
    """Return the result, which must be valid, of the same interface, and compute the same."""
    result = pass_.run(graph)
    verify(result)
    assert (result.inputs, result.outputs) == (graph.inputs, graph.outputs)
    data = data_for(graph)
    wanted, found = interpreter.run(graph, data), interpreter.run(result, data)
    for value in graph.outputs:
        assert found[value].dtype == wanted[value].dtype
        np.testing.assert_allclose(found[value], wanted[value], rtol=2e-5, atol=2e-5)
    return result


def kinds(graph: Graph) -> Counter[str]:
    return Counter(node.op.name for node in graph.nodes)


# -- sink views -----------------------------------------------------------------------------------


def between_convs(middle: Callable[[Net, str], str], *dims: int) -> Graph:
    net = Net(*(dims or (1, 3, 4, 4)))
    y = net.conv_nchw(net.x)
    y = middle(net, y)
    return net.done(net.conv_nchw(y))


def two_branches(net: Net, x: str) -> str:
    return net(ew.Add(), net(ew.Relu(), x), net(ew.Sigmoid(), x))


MIDDLES: dict[str, Callable[[Net, str], str]] = {
    "nothing": lambda _, x: x,
    "scalar": lambda net, x: net(ew.Relu(), x),
    "cast": lambda net, x: net(Dequantize(), net(Quantize(Q8), x)),
    "constant a channel": lambda net, x: net(ew.Mul(), x, net.constant(3, 1, 1)),
    "constant on the left": lambda net, x: net(ew.Sub(), net.constant(1, 3, 1, 1), x),
    "one number": lambda net, x: net(ew.Add(), x, net.builder.constant(np.float32(2.0))),
    "whole constant": lambda net, x: net(ew.Add(), x, net.constant(1, 3, 4, 4)),
    "slope a channel": lambda net, x: net(ew.PRelu(), x, net.constant(3, 1, 1)),
    "branches": two_branches,
    "conv branch": lambda net, x: net(ew.Add(), x, net.conv_nchw(x)),
    "concat channels": lambda net, x: net(Concat(1), x, net.conv_nchw(x)),
    "concat rows": lambda net, x: net(Concat(2), x, x),
    "slice channels": lambda net, x: net(Slice(1, 0, 3, 2), x),
    "slice rows backwards": lambda net, x: net(Slice(2, 3, -1, -1), x),
    "gather columns": lambda net, x: net(Gather(3, (1, 0, 2)), x),
    "pad": lambda net, x: net(Pad((0, 1, 0, 2), (0, 0, 3, 0), 0.5), x),
    "softmax of channels": lambda net, x: net(ew.Softmax(1), x),
    "softmax of columns": lambda net, x: net(ew.Softmax(3), x),
    "mean of pixels": lambda net, x: net(ew.Mul(), x, net(Reduce("mean", (2, 3)), x)),
    "reshape and back": lambda net, x: net(
        Reshape((1, 3, 4, 4)), net(ew.Relu(), net(Reshape((1, 48)), x))
    ),
}


@pytest.mark.parametrize("middle", MIDDLES)
def test_transposes_between_channels_last_layers_cancel(middle: str) -> None:
    """One at the input and one at the output are left: the caller speaks channels-first."""
    result = check(SinkViews(), between_convs(MIDDLES[middle]))
    assert kinds(result)["transpose"] == 2
    again = check(SinkViews(), result)
    assert kinds(again)["transpose"] == 2
    assert kinds(again)["reshape"] == 0


def test_an_index_over_channels_needs_no_transpose_but_the_first() -> None:
    net = Net(1, 3, 4, 4)
    kept = net.done(net(ArgMax(1), net.conv_nchw(net.x)))
    assert kinds(check(SinkViews(), kept))["transpose"] <= 2
    net = Net(1, 3, 4, 4)
    check(SinkViews(), net.done(net(ArgMax(1, keepdims=False), net.conv_nchw(net.x))))


@pytest.mark.parametrize("is_quantized", [False, True])
def test_a_flatten_moves_into_the_columns_of_a_dense_layer(is_quantized: bool) -> None:
    net = Net(1, 3, 4, 5)
    flat = net(Reshape((1, 60)), net(ew.Relu(), net.conv_nchw(net.x)))
    quant = QuantType(8, True, (0.1, 0.2), axis=0)
    weights = net(Dequantize(), net.codes(2, 60, quant=quant)) if is_quantized else None
    weights = weights or net.constant(2, 60)
    result = check(SinkViews(), net.done(net(Dense(), flat, weights, net.constant(2))))
    assert kinds(result)["transpose"] == 1  # at the input
    assert kinds(result)["reshape"] == 1


def test_weights_that_another_layer_reads_unmoved_stay_as_they_are() -> None:
    net = Net(1, 3, 2, 2)
    w = net.constant(2, 12)
    y = net.conv_nchw(net.x)
    moved = net(Dense(), net(Reshape((1, 12)), y), w)
    plain = net(Dense(), net(Reshape((1, 12)), net.x), w)
    check(SinkViews(), net.done(net(ew.Add(), moved, plain)))


def test_a_dense_layer_on_every_pixel() -> None:
    """The rows of the reshape are pixels, not a flattened frame."""
    net = Net(1, 3, 4, 5)
    rows = net(Reshape((20, 3)), net(Transpose(TO_NHWC), net(ew.Relu(), net.x)))
    check(SinkViews(), net.done(net(Dense(), rows, net.constant(2, 3))))
    net = Net(1, 3, 4, 5)
    rows = net(Reshape((1, 20, 3)), net(Transpose(TO_NHWC), net(ew.Relu(), net.x)))
    check(SinkViews(), net.done(net(Dense(), rows, net.constant(2, 3))))


def test_a_transpose_of_pixels_alone_is_a_reshape() -> None:
    net = Net(1, 5, 1, 1)
    result = check(SinkViews(), net.done(net(ew.Relu(), net(Transpose(TO_NHWC), net.x))))
    assert kinds(result)["transpose"] == 0


def test_every_output_is_computed_in_its_own_order() -> None:
    net = Net(1, 3, 4, 4)
    y = net.conv_nchw(net.x)
    back = net(Transpose(TO_NHWC), y)
    graph = net.done(y, back, net(ew.Relu(), y), net(Reshape((1, 48)), back))
    check(SinkViews(), graph)


def test_what_only_moves_the_input_keeps_its_name() -> None:
    net = Net(1, 3, 4, 4)
    there = net(Transpose(TO_NHWC), net.x)
    result = check(SinkViews(), net.done(net(Transpose(TO_NCHW), there)))
    assert kinds(result)["transpose"] == 0


def test_ops_that_care_for_order_get_their_transpose() -> None:
    net = Net(1, 3, 4, 4)
    y = net(Transpose(TO_NHWC), net.x)
    y = net(MaxPool((2, 2)), y)
    y = net(Transpose((0, 2, 1, 3)), y)
    y = net(AveragePool((2, 1)), net(ew.Relu(), y))
    result = check(SinkViews(), net.done(y))
    assert kinds(result)["transpose"] == 2


def test_a_broadcast_of_another_order_is_turned_or_left() -> None:
    """A tensor that enlarges the view, one with fewer axes, and one of the same shape."""
    net = Net(1, 3, 1, 1)
    y = net(Transpose(TO_NHWC), net.x)
    check(SinkViews(), net.done(net(ew.Add(), y, net.constant(1, 4, 4, 3))))
    net = Net(1, 3, 3, 3)
    y = net(Transpose(TO_NHWC), net.x)
    check(SinkViews(), net.done(net(ew.Add(), y, net.x)))
    net = Net(1, 3, 3, 3)
    y = net(Transpose(TO_NHWC), net.x)
    row = net(Reduce("sum", (1, 2), keepdims=False), net.x)
    check(SinkViews(), net.done(net(ew.Mul(), net(Reshape((3,)), row), y)))


# -- hoist transposes -----------------------------------------------------------------------------


def test_a_transpose_passes_elementwise_ops_on_its_way_to_the_input() -> None:
    net = Net(1, 3, 4, 5)
    y = net(
        ew.Relu(), net(ew.Mul(), net(ew.Sub(), net.constant(4, 5), net.x), net.constant(3, 1, 1))
    )
    y = net(Dequantize(), net(Quantize(Q8), y))
    graph = net.done(net(MaxPool((2, 2)), net(Transpose(TO_NHWC), y)))
    result = check(HoistTransposes(), graph)
    assert [n.op.name for n in result.nodes] == [
        "transpose", "sub", "mul", "relu", "quantize", "dequantize", "max_pool",
    ]  # fmt: skip


def test_a_transpose_stays_below_what_others_read_or_what_is_constant() -> None:
    net = Net(1, 3, 4, 5)
    y = net(ew.Relu(), net.x)
    shared = net.done(net(MaxPool(), net(Transpose(TO_NHWC), y)), y)
    assert check(HoistTransposes(), shared).nodes[0].op.name == "relu"
    net = Net(1, 3)
    turned = net(Transpose((1, 0)), net(Dequantize(), net.codes(3, 2)))
    check(HoistTransposes(), net.done(net(Dense(), net.x, turned)))
    net = Net(1, 1, 4)  # the constant enlarges the tensor
    y = net(ew.Add(), net.x, net.constant(3, 1))
    check(HoistTransposes(), net.done(net(Transpose((0, 2, 1)), y)))


# -- fold constants -------------------------------------------------------------------------------


def test_constants_fold_but_quantised_weights_stay_codes() -> None:
    net = Net(1, 4)
    scaled = net(ew.Add(), net(ew.Mul(), net.constant(4), net.constant(4)), net.constant(4))
    weights = net(Dequantize(), net.codes(2, 4))
    graph = net.done(net(Dense(), net(ew.Add(), net.x, scaled), weights))
    assert kinds(check(FoldConstants(), graph)) == Counter(add=1, dequantize=1, dense=1)


def test_dequantised_weights_fold_where_they_are_wanted_as_reals() -> None:
    net = Net(1, 4)
    graph = net.done(net(Dense(), net.x, net(Dequantize(), net.codes(2, 4))))
    assert kinds(check(FoldConstants(folds_weights=True), graph)) == Counter(dense=1)


def test_large_results_fold_where_what_they_are_made_of_is_as_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lepton_edge.passes.fold_constants.MAX_ELEMENTS", 5)
    net = Net(1, 4)
    same = net(ew.Relu(), net.constant(3, 4))
    larger = net(ew.Add(), net.constant(3, 1), net.constant(1, 4))
    graph = net.done(net(ew.Add(), net.x, same), net(ew.Add(), net.x, larger))
    assert kinds(check(FoldConstants(), graph)) == Counter(add=3)


def test_an_output_may_fold_to_a_constant() -> None:
    net = Net(1, 4)
    graph = net.done(net(ew.Relu(), net.constant(1, 4)), net(ew.Relu(), net.x))
    result = FoldConstants().run(graph)
    verify(result)
    assert result.outputs == graph.outputs
    assert kinds(result) == Counter(relu=1)


def test_a_quantise_that_undoes_a_dequantise_goes_away() -> None:
    net = Net(1, 4)
    codes = net(Quantize(Q8), net.x)
    again = net(Quantize(Q8), net(Dequantize(), codes))
    other = net(Quantize(QuantType(8, True, (0.05,), (4,))), net(Dequantize(), again))
    result = check(FoldConstants(), net.done(net(Dequantize(), other)))
    assert kinds(result)["quantize"] == 2


# -- fold affine ----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("layer", ["conv", "depthwise", "dense"])
def test_batch_normalisation_becomes_weights_and_bias(layer: str, with_bias: bool) -> None:
    net = Net(1, 4) if layer == "dense" else Net(1, 3, 3, 4)
    bias = (net.constant(4),) if with_bias else ()
    op: Op = {"conv": Conv(), "depthwise": Conv(groups=4), "dense": Dense()}[layer]
    w = net.constant(*{"conv": (4, 2, 2, 4), "depthwise": (4, 2, 2, 1), "dense": (4, 4)}[layer])
    y = net(op, net.x, w, *bias)
    y = net(ew.Sub(), y, net.constant(4))
    y = net(ew.Mul(), net.constant(4), y)
    y = net(ew.Div(), y, net.builder.constant(np.array([2.0, -3.0, 0.5, 4.0], np.float32)))
    y = net(ew.Add(), y, net.constant(1, 1, 4) if layer != "dense" else net.constant(1, 4))
    y = net(ew.Sub(), net.builder.constant(np.float32(1.5)), y)
    result = check(FoldAffine(), net.done(net(ew.Relu(), y)))
    assert kinds(result) == Counter({op.name: 1, "relu": 1})
    assert result.nodes[0].sources == (op.name, "sub", "mul", "div", "add", "sub~1")


def test_what_is_read_elsewhere_or_enlarges_or_divides_by_zero_is_left() -> None:
    net = Net(1, 4)
    y = net(Dense(), net.x, net.constant(3, 4))
    z = net(ew.Mul(), y, net.constant(3))
    assert kinds(check(FoldAffine(), net.done(y, z)))["mul"] == 1
    net = Net(1, 4)
    y = net(Dense(), net.x, net.constant(3, 4))
    assert kinds(check(FoldAffine(), net.done(net(ew.Add(), y, net.constant(5, 1)))))["add"] == 1
    net = Net(1, 4)
    y = net(Dense(), net.x, net.constant(2, 4))
    z = net(ew.Div(), net.constant(2), y)
    assert kinds(check(FoldAffine(), net.done(z)))["div"] == 1
    net = Net(1, 3, 3, 3)
    y = net(Conv(), net.x, net.constant(3, 1, 1, 3))
    rows = net(ew.Mul(), y, net.constant(3, 1))  # along W, not along the channels
    assert kinds(check(FoldAffine(), net.done(rows)))["mul"] == 1


def test_shared_weights_fold_for_one_layer_only() -> None:
    net = Net(1, 3)
    w = net.constant(3, 3)
    a = net(ew.Mul(), net(Dense(), net.x, w), net.constant(3))
    b = net(Dense(), a, w)
    assert kinds(check(FoldAffine(), net.done(b))) == Counter(dense=2)


@pytest.mark.parametrize("is_float", [False, True])
@pytest.mark.parametrize("order", ["layer first", "bias first"])
def test_an_addition_becomes_the_bias_of_a_quantised_layer(is_float: bool, order: str) -> None:
    net = Net(1, 4)
    w = net(Dequantize(), net.codes(3, 4))

    def bias() -> str:
        if is_float:
            return net.constant(3)
        return net(Dequantize(), net.codes(3, quant=QuantType(32, True, (1e-9,))))

    first = bias() if order == "bias first" else ""
    y = net(Dense(), net.x, w)
    result = check(FoldAffine(), net.done(net(ew.Relu(), net(ew.Add(), first or bias(), y))))
    assert kinds(result)["add"] == 0
    layer = next(n for n in result.nodes if n.op.name == "dense")
    assert len(layer.inputs) == 3
    assert layer.sources == ("dense", "add")


# -- equalize layers ------------------------------------------------------------------------------


def peaks(array: Array, axis: int) -> Array:
    return np.abs(np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)).max(axis=1)


@pytest.mark.parametrize("second", ["conv", "depthwise", "dense"])
def test_equalised_neighbours_share_the_range_of_each_channel(second: str) -> None:
    net = Net(1, 4, 4, 3)
    spread = np.array([1e-3, 1.0, 50.0, 1e3], np.float32)
    w1 = net.builder.constant(
        net.rng.standard_normal((4, 1, 1, 3)).astype(np.float32) * spread[:, None, None, None],
        name="w1",
    )
    y = net(Conv(), net.x, w1, net.constant(4))
    y = net(AveragePool((2, 2)), net(MaxPool((2, 2)), net(ew.LeakyRelu(0.1), y)))
    w2_dims = {"conv": (2, 2, 2, 4), "depthwise": (4, 2, 2, 1), "dense": (2, 4)}[second]
    w2 = net.builder.constant(net.rng.standard_normal(w2_dims).astype(np.float32), name="w2")
    op: Op = {"conv": Conv(), "depthwise": Conv(groups=4), "dense": Dense()}[second]
    graph = net.done(net(op, y, w2))
    result = EqualizeLayers().run(graph)
    verify(result)
    data = data_for(graph)
    (output,) = graph.outputs
    wanted, found = (interpreter.run(g, data)[output] for g in (graph, result))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    first, last = (n for n in result.nodes if n.op.name in ("conv", "dense"))
    ranges = [
        peaks(result.constants[first.inputs[1]], 0),
        peaks(result.constants[last.inputs[1]], 0 if second == "depthwise" else -1),
    ]
    np.testing.assert_allclose(ranges[0], ranges[1], rtol=1e-4)


def test_dead_channels_and_other_readers_are_left_alone() -> None:
    net = Net(1, 3)
    dead = net.builder.constant(np.array([[0, 0, 0], [1, 2, 3]], np.float32), name="w1")
    y = net(ew.Relu(), net(Dense(), net.x, dead))
    check(EqualizeLayers(), net.done(net(Dense(), y, net.constant(2, 2))))
    net = Net(1, 3)
    y = net(Dense(), net.x, net.constant(3, 3))
    for blocked in (net(ew.Clip(0.0, 6.0), y), net(ew.Sigmoid(), y)):
        graph = net.done(net(Dense(), blocked, net.constant(2, 3)))
        result = check(EqualizeLayers(), graph)
        for before, after in zip(graph.nodes, result.nodes, strict=True):
            for a, b in zip(before.inputs, after.inputs, strict=True):
                if a in graph.constants:
                    np.testing.assert_array_equal(graph.constants[a], result.constants[b])


# -- the runner -----------------------------------------------------------------------------------


def test_simplify_leaves_a_plain_network_with_layers_only() -> None:
    net = Net(1, 3, 4, 4)
    y = net.conv_nchw(net.x)
    y = net(ew.Mul(), y, net(Reduce("max", (0,)), net.constant(2, 3, 1, 1)))
    graph = net.done(y)
    seen: list[str] = []
    result = simplify(graph, lambda name, _: seen.append(name))
    verify(result)
    assert seen[0] == "fold-constants"
    assert {"sink-views", "fold-affine"} <= set(seen)
    assert kinds(result) == Counter(transpose=2, conv=1)


def test_the_runner_names_the_pass_that_broke_the_graph() -> None:
    class Broken(Pass):
        name = ""

        def run(self, graph: Graph) -> Graph:
            return Graph(graph.name, graph.inputs, ("nowhere",), graph.nodes, graph.types)

    net = Net(1, 4)
    with pytest.raises(InternalError, match="produced an invalid graph: net: output 'nowhere'"):
        run_passes(net.done(net(ew.Relu(), net.x)), [Broken()])


def test_what_a_pass_says_of_the_network_is_not_its_own_fault() -> None:
    class Refusing(Pass):
        def run(self, graph: Graph) -> Graph:
            raise ImportModelError("no")

    net = Net(1, 4)
    with pytest.raises(ImportModelError, match="no"):
        run_passes(net.done(net(ew.Relu(), net.x)), [Refusing()])


@pytest.mark.parametrize("name", list(PASSES))
def test_every_pass_says_what_it_may_change(name: str) -> None:
    assert PASSES[name].effect in Effect
    assert PASSES[name].__doc__
