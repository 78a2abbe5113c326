"""Integer graphs to actors: forks, ports, names, refusals; and through to C simulation."""

from __future__ import annotations

import numpy as np
import pytest

from lepton_edge.backends.fpga.dataflow import Dataflow, connect
from lepton_edge.backends.fpga.folding import Goal
from lepton_edge.backends.fpga.lower import lower_dataflow
from lepton_edge.errors import UnsupportedError
from lepton_edge.ir.ops import elementwise, linear, pool, quantized, select, shape
from lepton_edge.ir.types import Float, Int, QuantType, TensorType

needs_gxx = pytest.mark.needs("g++")
U4 = QuantType(4, False, (0.5,), (3,))
S8 = QuantType(8, True, (0.5,))


def kinds(dataflow: Dataflow) -> list[str]:
    return [actor.kernel.kind for actor in dataflow.actors]


def forks(dataflow: Dataflow) -> int:
    return kinds(dataflow).count("fork")


# -- actors ---------------------------------------------------------------------------------------


def test_a_convolution_is_pad_window_and_products(net) -> None:
    n = net()
    flow = n.dataflow(n.layer("c", n.input(5, 5, 2), 3))
    assert [a.name for a in flow.actors] == [
        "input_r_reader", "c_pad", "c_window", "c", "c_q", "output_r_writer",
    ]  # fmt: skip
    assert [a.layer for a in flow.actors[1:5]] == ["c", "c", "c", "c_q"]
    assert flow.ports_in == ("input_r",)
    assert flow.ports_out == ("output_r",)


def test_a_pointwise_convolution_needs_no_window(net) -> None:
    n = net()
    flow = n.dataflow(n.conv("c", n.input(4, 4, 2), 3, 1))
    assert kinds(flow) == ["axis", "matrix_vector", "axis"]


def test_depthwise_and_grouped_convolutions(net) -> None:
    n = net()
    x = n.input(4, 4, 4)
    assert "depthwise" in kinds(n.dataflow(n.conv("d", x, 4, groups=4)))
    grouped = n.dataflow(n.conv("g", x, 6, groups=2))
    (matrix,) = (a.kernel for a in grouped.actors if a.kernel.kind == "matrix_vector")
    blocks = matrix.weights.reshape(6, 9, 4)
    assert not blocks[:3, :, 2:].any()
    assert not blocks[3:, :, :2].any()


def test_a_pool_over_everything_needs_no_window(net) -> None:
    n = net()
    x = n.input(4, 3, 2)
    assert kinds(n.dataflow(n.global_sum("p", x))) == ["axis", "pool", "axis"]
    windowed = n.dataflow(n.emit("m", pool.MaxPool((2, 2), (2, 1)), x))
    assert kinds(windowed) == ["axis", "sliding_window", "pool", "axis"]


@pytest.mark.parametrize("readers", [2, 3, 5])
def test_a_stream_read_n_times_has_one_fork_less(net, readers: int) -> None:
    n = net()
    x = n.layer("c", n.input(3, 3, 2), 2)
    outputs = [n.layer(f"r{i}", x, 2, 1) for i in range(readers)]
    assert forks(n.dataflow(*outputs)) == readers - 1


def test_each_stream_has_one_writer_and_one_reader(net) -> None:
    n = net()
    x = n.input(3, 3, 2)
    y = n.layer("c", x, 2)
    flow = connect(n.dataflow(n.add("s", y, x), y, x))
    written = [s for a in flow.actors for s in a.outputs]
    read = [s for a in flow.actors for s in a.inputs]
    assert sorted(written) == sorted(set(written))
    assert sorted(read) == sorted(set(read))
    assert set(flow.streams) == set(read) - set(flow.ports_in)


# -- through to C simulation ----------------------------------------------------------------------


@needs_gxx
def test_an_input_read_twice_and_an_output_read_inside(net, check_in_csim) -> None:
    n = net()
    x = n.input(4, 4, 2)
    a = n.layer("a", x, 2)
    check_in_csim(n.graph(a, n.add("s", a, x)))


@needs_gxx
def test_a_value_added_to_itself_and_joined_to_itself(net, check_in_csim) -> None:
    n = net()
    x = n.input(3, 4, 2)
    twice = n.add("s", x, x)
    square = n.requantize("pq", n.emit("p", quantized.Product(16), twice, twice))
    check_in_csim(n.graph(n.emit("j", shape.Concat(3), square, square, square)))


@needs_gxx
def test_an_output_that_is_an_input_and_one_given_twice(net, check_in_csim) -> None:
    n = net()
    x = n.input(3, 2)
    y = n.requantize("yq", n.dense("y", x, 4))
    view = n.emit("view", shape.Reshape((1, 6)), x)
    planned = check_in_csim(n.graph(y, view))
    assert planned.ports_out == ("yq_out0", "view_out1")


@needs_gxx
def test_two_inputs_of_different_sizes_and_three_outputs(net, check_in_csim) -> None:
    n = net("Two/Way Net")
    x = n.input(4, 4, 3, name="left")
    y = n.input(3, name="right", quant=S8)
    gated = n.emit(
        "gate", quantized.Product(20), x, n.emit("as_map", shape.Reshape((1, 1, 1, 3)), y)
    )
    scaled = n.requantize("scaled", gated)
    top = n.emit("top", select.ArgMax(3), scaled)
    planned = check_in_csim(n.graph(scaled, top, n.dense("side", y, 2)))
    assert planned.ports_in == ("left_in0", "right_in1")
    assert planned.name == "two_way_net"


@needs_gxx
def test_everything_in_one_network(net, check_in_csim) -> None:
    """Pools, stretches, pads, slices, tables, thresholds of both signs, softmax."""
    n = net("everything")
    b = n.builder
    x = n.input(6, 5, 4, quant=QuantType(4, True, (0.5,), (-2,)))
    x = n.emit("padded", shape.Pad((0, 1, 0, 0), (0, 0, 1, 0), 0.0), x)
    x = n.layer("depthwise", x, 4, groups=4)
    x = n.emit("max", pool.MaxPool((3, 2), (2, 2), (1, 0, 1, 0)), x)
    x = n.requantize("meanq", n.emit("mean", pool.SumPool((2, 2), (1, 1), acc_bits=16), x), shift=3)
    x = n.emit("up", shape.RepeatNearest((2, 1)), x)
    x = n.emit("apart", shape.InsertZeros((1, 2)), x)
    x = n.emit("crop", shape.Slice(2, 0, 2), n.emit("part", shape.Slice(3, 1, 4), x))
    table = b.constant(np.arange(3 * 16).reshape(3, 16) * 5 % 16, Int(4, False), "t")
    x = n.emit("table", quantized.Lookup(U4), x, table)
    thresholds = np.sort(n.rng.integers(-200, 200, (5, 3)), axis=1)
    thresholds[0] = [-5000, 0, 5000]  # always, now and then, never
    signs = b.constant(np.array([1, -1, 1, 1, -1]), Int(64), "s")
    out = QuantType(2, False, (0.5,))
    acc = n.conv("last", x, 5, 1)
    x = n.emit("levels", quantized.Threshold(out, 0), acc, b.constant(thresholds, Int(64)), signs)
    exponentials = b.constant(np.array([16_000_000, 5_000_000, 2_000_000, 700_000]), Int(64), "e")
    soft = n.emit(
        "soft", quantized.SoftmaxCodes(QuantType(8, False, (1 / 256,)), 256, 1), x, exponentials
    )
    check_in_csim(n.graph(soft, n.emit("best", select.ArgMax(3, False), x)), Goal())


@needs_gxx
@pytest.mark.parametrize("signed", [False, True])
def test_thresholds_that_no_code_reaches(net, check_in_csim, signed: bool) -> None:
    """One beyond the highest code stands for never; it does not fit the codes' own type."""
    n = net()
    x = n.input(4, quant=QuantType(6, signed, (1.0,)))
    low, high = (-32, 31) if signed else (0, 63)
    rows = [[low - 9, high + 1], [low, high], [0, 1], [high + 1, high + 700]]
    table = n.builder.constant(np.array(rows), Int(64), "t")
    sign = n.builder.constant(np.ones(1, np.int64), Int(64), "s")
    out = QuantType(2, False, (1.0,))
    check_in_csim(n.graph(n.emit("t", quantized.Threshold(out, 0), x, table, sign)))


@needs_gxx
def test_negative_signs_of_unsigned_codes(net, check_in_csim) -> None:
    n = net()
    x = n.input(2, quant=QuantType(4, False, (1.0,)))
    table = n.builder.constant(np.array([[-15, -4, 1], [0, 15, 16]]), Int(64), "t")
    sign = n.builder.constant(np.array([-1, 1]), Int(64), "s")
    out = QuantType(2, False, (1.0,))
    check_in_csim(n.graph(n.emit("t", quantized.Threshold(out, 0), x, table, sign)))


SIGNS = QuantType.signs((0.5,))


def sign_weights(net, name: str, *dims: int) -> str:
    signs = 2 * net.rng.integers(0, 2, dims) - 1
    return net.builder.constant(signs, QuantType(2, True, (1.0,)), name)


def thresholds(net, name: str, x: str, channels: int, sign: int = 1) -> str:
    table = net.builder.constant(net.rng.integers(-3, 4, (channels, 1)), Int(64), f"{name}/t")
    signs = net.builder.constant(np.array([sign, 1] * (channels // 2)), Int(64), f"{name}/s")
    return net.emit(name, quantized.Threshold(SIGNS, 0), x, table, signs)


@needs_gxx
def test_signs_meet_signs_in_one_bit(net, check_in_csim) -> None:
    n = net()
    x = n.input(5, 5, 3, quant=SIGNS)
    x = n.emit("conv", linear.Conv((2, 2)), x, sign_weights(n, "w1", 4, 3, 3, 3))
    x = n.emit("max", pool.MaxPool((2, 2)), thresholds(n, "q1", x, 4, -1))
    x = n.emit("fc", linear.Dense(), n.flatten("flat", x), sign_weights(n, "w2", 6, 4))
    flow = check_in_csim(n.graph(x))
    assert "requantize" not in kinds(flow)
    matrices = [a.kernel for a in flow.actors if a.kernel.kind == "matrix_vector"]
    assert all(k.x_is_bipolar and k.weight_elem.bits == k.x.bits == 1 for k in matrices)
    assert not any(k.folding["dsp"] for k in matrices)


@needs_gxx
def test_signs_become_numbers_for_layers_that_are_not_signs(net, check_in_csim) -> None:
    n = net()
    x = n.input(4, 4, 2, quant=SIGNS)
    a = n.conv("conv", x, 2, 1)
    b = n.emit("depthwise", linear.Conv(groups=2), x, sign_weights(n, "w", 2, 1, 1, 1))
    c = n.emit("mean", pool.SumPool((2, 2), (2, 2), acc_bits=8), x)
    d = n.emit("sum", quantized.ScaledAdd(QuantType(6, True, (0.5,)), 3, -2), x, x)
    e = n.emit("product", quantized.Product(4), x, x)
    flow = check_in_csim(n.graph(a, b, c, d, e))
    assert kinds(flow).count("requantize") == 7


@needs_gxx
@pytest.mark.parametrize("readers", [1, 2])
def test_a_layer_takes_the_signs_of_thresholds_that_alone_read_it(
    net, check_in_csim, readers: int
) -> None:
    n = net()
    acc = n.emit("fc", linear.Dense(), n.input(6), sign_weights(n, "w", 4, 6))
    outputs = [thresholds(n, f"q{i}", acc, 4, -1) for i in range(readers)]
    flow = check_in_csim(n.graph(*outputs))
    assert kinds(flow).count("requantize") == (0 if readers == 1 else readers)


def test_weights_that_have_no_negative_stay(net) -> None:
    n = net()
    x = n.input(2, quant=S8)
    w = n.builder.constant(np.array([[-128, 1], [2, 3]]), QuantType(8, True, (1.0,)), "w")
    flow = n.dataflow(thresholds(n, "q", n.emit("fc", linear.Dense(acc_bits=20), x, w), 2, -1))
    assert kinds(flow).count("requantize") == 1


@needs_gxx
def test_indices_of_different_widths_are_joined(net, check_in_csim) -> None:
    """Arg max streams are as wide as their channels need, though the graph says i64."""
    n = net()
    x, y = n.input(5, name="x"), n.input(3, name="y", quant=S8)
    a, b = (n.emit(f"top_{v}", select.ArgMax(1), v) for v in (x, y))
    check_in_csim(n.graph(n.emit("both", shape.Concat(1), a, b, a)), Goal())


@needs_gxx
@pytest.mark.parametrize("net_name", ["div", "main", "Int", "frames", "message", "accelerator"])
def test_ugly_names_compile(net, check_in_csim, net_name: str) -> None:
    """Layers called like what the project itself, C++ and its library call things."""
    n = net(net_name)
    value = n.input(4, name="in")
    for name in UGLY:
        value = n.requantize(name, n.dense(f"{name}_out", value, 4))
        if name in ("a", "Input", "lepton"):
            value = n.add(f"{name}_fork", value, value)
    check_in_csim(n.graph(value))


UGLY = (
    "a", "a_out", "a_fork", "A", "Input", "input_r", "input_r_reader", "output_r_writer", "lepton",
    "hls", "main", "accelerator", "design_id", "frames", "layers", "std", "div", "exp", "index",
    "ap_int", "a_width", "a_fork_a", "run", "weights", "bias", "in", "out", "Vec", "requantize",
    "схема", "сеть", "", "3", "net", "x" * 90, "x" * 91, "a;b/c", "a\\", "*/", "??/", "int",
)  # fmt: skip


@pytest.mark.parametrize("net_name", ["net", "a"])
def test_no_two_things_share_a_name(net, net_name: str, plenty) -> None:
    n = net(net_name)
    value = n.input(4, name="a_out")
    for name in UGLY:
        value = n.requantize(name, n.dense(f"{name}_out", value, 4))
        value = n.add(f"{name}_width", value, value)
    flow = connect(n.dataflow(value))
    names = [a.name.lower() for a in flow.actors]
    assert len(set(names)) == len(names)
    written = [s for a in flow.actors for s in a.outputs] + list(flow.ports_in)
    assert len(set(written)) == len(written)


# -- refusals -------------------------------------------------------------------------------------


def refused(graph) -> str:
    with pytest.raises(UnsupportedError) as caught:
        lower_dataflow(graph)
    assert caught.value.hint
    return str(caught.value)


def test_a_layer_without_a_kernel_is_named_with_the_reason(net) -> None:
    n = net()
    x = n.input(4, 4, 2)
    y = n.emit("turn", shape.Transpose((0, 3, 1, 2)), x)
    text = refused(n.graph(n.emit("flat", shape.Reshape((1, 32)), y)))
    assert "layer 'turn' (transpose): a transpose (0, 3, 1, 2)" in text
    assert "flat" not in text


def test_all_refusals_come_at_once(net) -> None:
    n = net()
    x = n.input(10)
    outputs = [n.emit(f"g{i}", shape.Gather(1, (i,)), x) for i in range(10)]
    text = refused(n.graph(*outputs))
    assert "layer 'g0' (gather): there is no kernel for gather" in text
    assert "g7" in text
    assert "g8" not in text
    assert "(and 2 more)" in text


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (shape.Slice(3, 0, 3, 2), "a slice with step 2; only step 1 streams"),
        (shape.Pad((0, 0, 0, 1), (0, 0, 0, 0)), "only height and width can be padded"),
        (select.ArgMax(1), "an arg max over axis 1; only the channels"),
        (shape.Broadcast((1, 4, 4, 3)), "there is no kernel for broadcast"),
        (select.TopK(2, 3), "there is no kernel for topk"),
    ],
    ids=lambda value: value.name if not isinstance(value, str) else "",
)
def test_what_a_kernel_cannot_do(net, op, reason: str) -> None:
    n = net()
    x = n.input(4, 4, 3)
    value = n.builder.emit(op, [x], name="layer")[0]
    assert f"layer 'layer' ({op.name}): " in refused(n.graph(value))
    assert reason in refused(n.graph(value))


def test_a_softmax_over_too_many_channels(net) -> None:
    n = net()
    x = n.input(5000, quant=QuantType(2, False, (0.5,)))
    table = n.builder.constant(np.array([9, 5, 2, 1]), Int(64), "t")
    y = n.emit("soft", quantized.SoftmaxCodes(S8, 256, 1), x, table)
    assert "a softmax over 5000 channels; at most 4096" in refused(n.graph(y))


@pytest.mark.parametrize("kind", ["sum", "product", "join"])
def test_a_constant_where_a_stream_is_wanted(net, kind: str) -> None:
    n = net()
    x = n.input(4)
    c = n.builder.constant(np.ones((1, 4)), U4, "table")
    op = {
        "sum": quantized.ScaledAdd(S8),
        "product": quantized.Product(16),
        "join": shape.Concat(1),
    }[kind]
    text = refused(n.graph(n.emit("layer", op, x, c)))
    assert "layer 'layer'" in text
    assert "its input 'table' is a constant" in text


def test_floats_are_refused(net) -> None:
    n = net()
    x = n.builder.input("x", TensorType((1, 4), Float()))
    with pytest.raises(UnsupportedError, match="'x' is a float"):
        lower_dataflow(n.graph(n.emit("r", elementwise.Relu(), x)))


def test_more_than_one_frame_is_refused(net) -> None:
    n = net()
    x = n.builder.input("x", TensorType((2, 4), U4))
    w = n.weights(3, 4)
    with pytest.raises(UnsupportedError, match=r"shape \[2, 4\]; an accelerator takes one frame"):
        lower_dataflow(n.graph(n.emit("d", linear.Dense(20), x, w)))
