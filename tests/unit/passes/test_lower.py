"""Hand-made QDQ networks, each lowered form compared code for code with exact rationals."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.ops.pool import AveragePool, MaxPool
from lepton_edge.ir.ops.select import ArgMax, TopK
from lepton_edge.ir.ops.shape import (
    Concat,
    Gather,
    InsertZeros,
    Pad,
    RepeatNearest,
    Reshape,
    Slice,
    Transpose,
)
from lepton_edge.ir.types import QuantType
from lepton_edge.ir.verify import verify
from lepton_edge.passes.lower_integers import Lowered, lower_integers
from tests import exact
from tests.strategies import frames
from tests.unit.passes.test_simplify import Net, kinds

S8 = QuantType(8, True, (float(np.float32(0.05)),), (3,))
U8 = QuantType(8, False, (float(np.float32(0.031)),), (121,))
DYADIC = QuantType(8, True, (0.25,), (0,))
W8 = QuantType(8, True, (float(np.float32(0.013)),), narrow=True)


@dataclass
class Qdq(Net):
    """A network whose input is quantised at once."""

    quant: QuantType
    dims: tuple[int, ...] = (1, 4)
    x: str = field(init=False)

    def __post_init__(self) -> None:
        Net.__init__(self, *self.dims)
        self.x = self.requantized(self.x, self.quant)

    def requantized(self, real: str, quant: QuantType) -> str:
        return self(q.Dequantize(), self(q.Quantize(quant), real))

    def weights(self, *dims: int, quant: QuantType = W8) -> str:
        return self(q.Dequantize(), self.codes(*dims, quant=quant))

    def end(self, real: str, out: QuantType) -> Graph:
        """Quantise ``real``; the codes are the output."""
        return self.done(self(q.Quantize(out), real))


def check(graph: Graph, wanted_ops: str, count: int = 40) -> Lowered:
    """Lower ``graph`` and compare every output code; name the ops that must be left."""
    lowered = lower_integers(graph)
    verify(lowered.graph)
    assert not lowered.reasons
    assert lowered.graph.outputs == graph.outputs
    data = frames(graph, count, seed=0)
    found = interpreter.run(lowered.graph, data)
    for i in range(count):
        try:
            outputs = exact.evaluate(graph, {k: a[i : i + 1] for k, a in data.items()})
        except exact.TooClose:
            continue
        for value, codes in outputs.items():
            right = exact.as_float32(codes) if graph.types[value].is_float else codes.astype(int)
            np.testing.assert_array_equal(found[value][i : i + 1], right)
    left = kinds(lowered.graph) - kinds(Graph("", (), (), graph.nodes[:1], {}))
    assert " ".join(sorted(left.elements())) == wanted_ops
    check_accumulators(lowered.graph, data)
    return lowered


def check_accumulators(graph: Graph, data: dict[str, np.ndarray]) -> None:
    """Every integer value stays within its type, also before the cast to its storage."""

    def within(value: str, array: np.ndarray) -> None:
        type_ = graph.types[value]
        if type_.is_quantized:
            assert type_.quant.lowest <= array.min()
            assert array.max() <= type_.quant.highest

    interpreter.run(graph, data, observe=within)


# -- layers and what follows them -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("activations", "ops"),
    [
        ((), "conv requantize"),
        ((ew.Relu(),), "conv requantize"),
        ((ew.Clip(0.0, 6.0),), "conv requantize"),
        ((ew.Clip(-0.5, 0.5), ew.Relu()), "conv requantize"),
        ((ew.HardSigmoid(),), "conv requantize"),
        ((ew.Function("neg"),), "conv requantize"),
        ((ew.LeakyRelu(0.1),), "conv threshold"),
        ((ew.Sigmoid(),), "conv threshold"),
        ((ew.Sigmoid(), ew.Clip(0.25, 0.75)), "conv threshold"),
    ],
    ids=str,
)
def test_convolution_and_activation(activations: tuple[Op, ...], ops: str) -> None:
    net = Qdq(U8, (1, 4, 4, 2))
    y = net(Conv(pads=(1, 1, 1, 1)), net.x, net.weights(3, 3, 3, 2), net.constant(3))
    for op in activations:
        y = net(op, y)
    check(net.end(y, S8), ops, count=12)


@pytest.mark.parametrize("slope_sign", [1, -1])
def test_batch_normalisation_after_a_layer(slope_sign: int) -> None:
    net = Qdq(S8)
    y = net(Dense(), net.x, net.weights(3, 4))
    factors = np.array([0.5, 2.0 * slope_sign, 0.0], np.float32)
    y = net(ew.Mul(), y, net.builder.constant(factors))
    y = net(ew.Sub(), net.constant(3), y)
    y = net(ew.Div(), y, net.builder.constant(np.array([3.0], np.float32)))
    check(net.end(net(ew.Relu(), y), U8), "dense requantize")


def test_prelu_has_a_slope_for_each_channel() -> None:
    net = Qdq(S8)
    y = net(ew.PRelu(), net(Dense(), net.x, net.weights(3, 4)), net.builder.constant(
        np.array([0.1, 0.25, 0.0], np.float32)))  # fmt: skip
    # Rational here; in binary64 there: ties may differ, and S8's scale makes none.
    check(net.end(y, S8), "dense threshold")


@pytest.mark.parametrize(
    "quant",
    [
        QuantType(8, False, (float(np.float32(0.02)),), (77,)),
        QuantType(8, False, (0.02, 0.3, 0.001), (0, 255, 128), axis=0),
        QuantType(4, True, (0.25,)),
        QuantType(4, False, (0.25,), (15,)),
        QuantType(2, True, (0.5,)),
        QuantType(1, False, (0.5,)),
        QuantType(16, True, (0.001,)),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "x_quant",
    [S8, QuantType(4, False, (0.5,), (9,)), QuantType(16, True, (0.0005,), (-1000,)),
     QuantType(1, False, (1.0,))],
    ids=str,
)  # fmt: skip
def test_types_of_weights_and_activations(quant: QuantType, x_quant: QuantType) -> None:
    net = Qdq(x_quant)
    y = net(ew.Relu(), net(Dense(), net.x, net.weights(3, 4, quant=quant)))
    graph = net.end(y, QuantType(8, False, (float(np.float32(0.07)),), (1,)))
    form = lower_integers(graph).graph.nodes[-1].op.name
    assert form in ("requantize", "threshold")
    check(graph, f"dense {form}")


@pytest.mark.parametrize("scale", [None, 0.01, 1.7e-5, 3.0])
def test_a_bias_at_another_scale_than_the_accumulators(scale: float | None) -> None:
    net = Qdq(S8)
    quant = QuantType(32, True, (scale or S8.scale[0] * W8.scale[0],))
    bias = net.builder.constant(np.array([5, -1000, 70000]), quant)
    y = net(Dense(), net.x, net.weights(3, 4), net(q.Dequantize(), bias))
    out = QuantType(8, True, (700.0 if scale else 0.5,), (0,))
    check(net.end(y, out), "dense requantize")


def test_a_bias_of_one_number_and_a_bias_of_zeros() -> None:
    for values in ([0.37], [0.0, 0.0, 0.0]):
        net = Qdq(S8)
        y = net(Dense(), net.x, net.weights(3, 4), net.builder.constant(
            np.array((values * 3)[:3], np.float32)))  # fmt: skip
        check(net.end(y, S8), "dense requantize")


def test_max_pool_reads_accumulators() -> None:
    net = Qdq(U8, (1, 4, 4, 2))
    y = net(Conv(), net.x, net.weights(3, 1, 1, 2), net.constant(3))
    y = net(MaxPool((2, 2), (2, 2), (0, 1, 1, 0)), net(ew.Relu(), y))
    check(net.end(y, S8), "conv max_pool requantize", count=12)


def test_the_last_layer_may_stay_unquantised() -> None:
    """Its accumulators are what the host turns into reals."""
    net = Qdq(S8)
    bias = net.builder.constant(np.array([0.5, -3.0, 1e-9], np.float32))
    graph = net.done(net(Dense(), net.x, net.weights(3, 4), bias))
    lowered = lower_integers(graph)
    assert [n.op.name for n in lowered.graph.nodes] == ["quantize", "dense", "dequantize"]
    data = frames(graph, 20, 0)
    found = interpreter.run(lowered.graph, data)["dense"]
    unit = S8.scale[0] * W8.scale[0]
    for i in range(20):
        wanted = exact.evaluate(graph, {"x": data["x"][i : i + 1]})["dense"]
        np.testing.assert_allclose(found[i], wanted[0].astype(float), atol=0.501 * unit, rtol=1e-6)


# -- functions of codes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "op",
    [
        ew.Relu(), ew.Clip(-1.0, 2.0), ew.Sigmoid(), ew.HardSwish(), ew.Swish(1.5), ew.Elu(),
        ew.LeakyRelu(-0.3), ew.HardSigmoid(), ew.Function("tanh"), ew.Function("exp"),
        ew.Function("abs"),
    ],
    ids=str,
)  # fmt: skip
def test_a_function_of_codes_is_a_table(op: ew.Scalar) -> None:
    net = Qdq(U8, (1, 300))
    check(net.end(net(op, net.x), S8), "lookup")


def test_a_change_of_type_is_a_table_and_the_same_type_is_nothing() -> None:
    net = Qdq(U8, (1, 300))
    check(net.end(net.x, S8), "lookup")
    net = Qdq(U8, (1, 300))
    assert [n.op.name for n in lower_integers(net.end(net.x, U8)).graph.nodes] == ["quantize"]


def test_wide_codes_take_thresholds_or_a_multiplier() -> None:
    wide = QuantType(16, True, (0.0001,), (-7,))
    net = Qdq(wide, (1, 300))
    check(net.end(net(ew.Relu(), net.x), S8), "requantize")
    net = Qdq(wide, (1, 300))
    check(net.end(net(ew.Sigmoid(), net.x), QuantType(8, False, (1 / 256,))), "threshold")


def test_a_table_for_each_channel() -> None:
    net = Qdq(S8, (1, 50, 3))
    y = net(ew.Mul(), net.x, net.builder.constant(np.array([1.5, -0.25, 0.0], np.float32)))
    lowered = check(net.end(net(ew.Relu(), y), U8), "lookup")
    (table,) = lowered.graph.constants.values()
    assert table.shape == (3, 256)


@pytest.mark.parametrize("bits", [8, 4])
def test_softmax_and_its_scales(bits: int) -> None:
    x_quant = QuantType(bits, True, (0.25,), (-2,))
    for scale, zero in ((1 / 256, -128), (float(np.float32(1 / 255)), -128), (0.0041, -100)):
        net = Qdq(x_quant, (1, 5))
        check(net.end(net(ew.Softmax(1), net.x), QuantType(8, True, (scale,), (zero,))),
              "softmax_codes")  # fmt: skip


# -- pairs ----------------------------------------------------------------------------------------


def every_pair(
    first: QuantType, second: QuantType, combine: Callable[[Qdq, str, str], str], out: QuantType
) -> tuple[Graph, dict[str, np.ndarray]]:
    """A network of one frame in which every pair of codes meets."""
    spans = [range(t.lowest, t.highest + 1) for t in (first, second)]
    both = np.array(list(itertools.product(*spans)))
    net = Qdq(first, (1, len(both)))
    other = net.builder.input("other", net.builder.type_of("x"))
    graph = net.end(combine(net, net.x, net.requantized(other, second)), out)
    data = {
        "x": first.dequantize(both[:, 0])[np.newaxis],
        "other": second.dequantize(both[:, 1])[np.newaxis],
    }
    return graph, data


PAIRS = [
    (QuantType(5, True, (0.3,), (2,)), QuantType(4, False, (0.11,), (7,))),
    (QuantType(5, True, (0.5,), (3,)), QuantType(5, True, (0.25,), (-1,))),
    (QuantType(4, False, (0.5,), (1,)), QuantType(4, False, (0.5,), (8,))),
    (QuantType(5, True, (0.75,), (0,)), QuantType(3, True, (0.5,), (1,))),
]
OUTS = [
    QuantType(5, True, (0.5,), (0,)),
    QuantType(5, True, (0.5,), (1,)),
    QuantType(6, False, (float(np.float32(0.13)),), (30,)),
]


@pytest.mark.parametrize("out", OUTS, ids=str)
@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p[0]}-{p[1]}")
@pytest.mark.parametrize("after", [None, ew.Relu(), ew.Clip(-0.5, 1.0)], ids=str)
@pytest.mark.parametrize("op", [ew.Add(), ew.Sub(), ew.Mul()], ids=lambda op: op.name)
def test_pairs_of_codes(
    op: Op, after: Op | None, pair: tuple[QuantType, QuantType], out: QuantType
) -> None:
    def combine(net: Qdq, a: str, b: str) -> str:
        y = net(op, a, b)
        return net(after, y) if after else y

    graph, data = every_pair(*pair, combine, out)
    lowered = lower_integers(graph)
    assert not lowered.reasons
    (output,) = graph.outputs
    found = interpreter.run(lowered.graph, data)[output]
    np.testing.assert_array_equal(found, exact.evaluate(graph, data)[output].astype(int))


def test_a_tensor_plus_itself() -> None:
    net = Qdq(S8, (1, 300))
    check(net.end(net(ew.Add(), net.x, net.x), U8), "requantize scaled_add")


def test_gates_broadcast_over_pixels() -> None:
    net = Qdq(S8, (1, 3, 3, 2))
    gate = net.requantized(net(ew.Sigmoid(), net.requantized(
        net(AveragePool((3, 3)), net.x), S8)), QuantType(8, False, (1 / 256,)))  # fmt: skip
    check(net.end(net(ew.Mul(), gate, net.x), U8), "lookup product requantize requantize sum_pool")


def test_concatenation_of_different_scales_and_of_the_same() -> None:
    net = Qdq(S8, (1, 20))
    other = net.requantized(net.x, U8)
    check(net.end(net(Concat(1), net.x, other), DYADIC), "concat lookup lookup lookup")
    net = Qdq(S8, (1, 20))
    same = net.requantized(net(ew.Relu(), net.x), S8)
    check(net.end(net(Concat(1), net.x, same), S8), "concat lookup")


# -- pools and moves ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "op",
    [
        AveragePool((2, 2), (2, 2)),
        AveragePool((3, 3), (1, 1), (1, 1, 1, 1), count_include_pad=True),
        AveragePool((4, 4)),
        AveragePool((3, 1), dilations=(1, 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("quant", [S8, U8, DYADIC], ids=str)
@pytest.mark.parametrize("out", [S8, DYADIC, QuantType(8, True, (0.25,), (1,))], ids=str)
def test_averages(op: AveragePool, quant: QuantType, out: QuantType) -> None:
    net = Qdq(quant, (1, 4, 4, 2))
    graph = net.end(net(op, net.x), out)
    form = next(n.op.name for n in lower_integers(graph).graph.nodes if n.op.name in
                ("requantize", "threshold"))  # fmt: skip
    check(graph, " ".join(sorted((form, "sum_pool"))), count=20)


@pytest.mark.parametrize(
    "op",
    [
        MaxPool((2, 2), (1, 1), (1, 1, 0, 0)), Pad((0, 1, 0, 0), (0, 0, 2, 1)),
        Pad((0, 0, 0, 0), (0, 1, 1, 0), value=0.5), RepeatNearest((2, 1)), InsertZeros((2, 3)),
        Slice(1, 3, -1, -2), Gather(3, (1, 1, 0)), Transpose((0, 3, 1, 2)), Reshape((1, 8, 4)),
    ],
    ids=str,
)  # fmt: skip
def test_moves_work_on_codes(op: Op) -> None:
    quant = QuantType(8, False, (0.125,), (131,))
    net = Qdq(quant, (1, 4, 4, 2))
    graph = net.done(net(op, net.x))
    lowered = check(graph, f"dequantize {op.name}", count=6)
    assert lowered.graph.types[lowered.graph.nodes[1].output].quant == quant


def test_moves_of_accumulators_wait_for_the_quantisation() -> None:
    net = Qdq(S8, (1, 4, 4, 2))
    y = net(Conv(), net.x, net.weights(2, 1, 1, 2))
    check(net.end(net(Slice(1, 1, 3), y), U8), "conv requantize slice", count=6)


@pytest.mark.parametrize("op", [InsertZeros((2, 2)), Pad((0, 1, 0, 0), (0, 0, 1, 0))], ids=str)
def test_zeros_between_codes_that_never_are_zero(op: Op) -> None:
    """Thresholds stop at what a layer can reach; here the zeros lie far below all codes."""
    net = Qdq(DYADIC, (1, 3, 3, 1))
    high = net.requantized(net(ew.Clip(1.0, 2.0), net.x), QuantType(8, False, (1 / 64,)))
    w = net(q.Dequantize(), net.builder.constant(np.full((1, 1, 1, 1), 1), DYADIC))
    out = QuantType(8, True, (1 / 64,), (-7,))  # ties, and an odd zero point: no multiplier
    graph = net.end(net(Conv(), net(op, high), w), out)
    check(graph, " ".join(sorted(("conv", op.name, "lookup", "threshold"))), count=6)


def test_indices_read_codes() -> None:
    net = Qdq(U8, (1, 9))
    check(net.done(net(ArgMax(1), net.x)), "argmax")
    net = Qdq(U8, (1, 9))
    check(net.done(*net.builder.emit(TopK(3), [net.x], name="topk")), "dequantize topk")


# -- what stays in float --------------------------------------------------------------------------


def kept_in_float(net: Qdq, real: str, out: QuantType = S8) -> dict[str, str]:
    """Lower a network that must compute as before; return the reasons."""
    graph = net.end(real, out)
    lowered = lower_integers(graph)
    verify(lowered.graph)
    data = frames(graph, 8, 0)
    (output,) = graph.outputs
    wanted = interpreter.run(graph, data)[output].astype(int)
    found = interpreter.run(lowered.graph, data)[output].astype(int)
    assert np.abs(found - wanted).max() <= 1  # binary32 sums in another order
    assert lowered.graph.outputs == graph.outputs
    assert set(lowered.reasons) <= {n.name for n in lowered.graph.nodes}
    return lowered.reasons


@pytest.mark.parametrize(
    ("build", "node", "reason"),
    [
        (
            lambda net: net(Conv(), net.x, net.constant(2, 1, 1, 2)),
            "conv",
            "its weights are not quantised constants",
        ),
        (
            lambda net: net(AveragePool((2, 2), (1, 1), (1, 1, 0, 0)), net.x),
            "average_pool",
            "an average that leaves out padding divides unevenly",
        ),
        (
            lambda net: net(ew.Softmax(1), net.x),
            "softmax",
            "a softmax over another axis than the channels has no integer form",
        ),
        (
            lambda net: net(ew.HardSwish(), net(Conv(), net.x, net.weights(2, 1, 1, 2))),
            "quantize~1",
            "a function that rises and falls needs its input quantised first",
        ),
        (
            lambda net: net(ew.Maximum(), net.x, net.x),
            "maximum",
            "maximum has no integer form",
        ),
        (
            lambda net: net(Pad((0, 1, 0, 0), (0, 0, 0, 0), 0.123), net.x),
            "pad",
            f"its padding value 0.123 is not a code of {S8}",
        ),
        (
            lambda net: net(ew.Add(), net.x, net.constant(1, 4, 1, 1)),
            "add",
            "its constant operand has shape (1, 4, 1, 1): not one value a channel",
        ),
        (
            lambda net: net(ew.Add(), net.x, net.requantized(
                net(AveragePool((4, 4)), net.x), U8)),
            "add",
            "cannot add shapes (1, 4, 4, 2) and (1, 1, 1, 2) in integers",
        ),
        (
            lambda net: net(Conv(), net(ew.Relu(), net.x), net.weights(2, 1, 1, 2)),
            "conv",
            "its input 'relu' must be quantised first",
        ),
    ],
)  # fmt: skip
def test_what_has_no_integer_form_stays_and_says_why(
    build: Callable[[Qdq], str], node: str, reason: str
) -> None:
    net = Qdq(S8, (1, 4, 4, 2))
    reasons = kept_in_float(net, build(net), QuantType(8, True, (0.1,), (0,)))
    assert reasons[node] == reason


@pytest.mark.parametrize(
    ("out", "channels", "reason"),
    [
        (QuantType(24, True, (1e-6,)), 1, "codes of 24 bits are more than can be proven exact"),
        (QuantType(32, True, (1e-9,)), 1, "codes of 32 bits are more than can be proven exact"),
        (QuantType(32, False, (1e-9,)), 3, "codes of 32 bits in each of 3 channels are more"),
        (QuantType(20, True, (1e-5,)), 40, "codes of 20 bits in each of 40 channels are more"),
    ],
)
def test_codes_too_many_to_go_through(out: QuantType, channels: int, reason: str) -> None:
    net = Qdq(S8, (1, 4, 4, 2))
    y = net(Conv(), net.x, net.weights(channels, 1, 1, 2))
    if channels > 1:
        slopes = np.linspace(0.5, 1, channels, dtype=np.float32)
        y = net(ew.Mul(), y, net.builder.constant(slopes))
    y = net.requantized(y, out)
    reasons = lower_integers(net.end(net(ew.Sigmoid(), y), S8)).reasons
    assert any(text.startswith(reason) for text in reasons.values()), reasons


def test_a_sum_of_wide_codes() -> None:
    net = Qdq(QuantType(32, True, (1e-9,)), (1, 2))
    reasons = lower_integers(net.end(net(ew.Add(), net.x, net.x), S8)).reasons
    assert reasons["quantize~1"] == "a sum of codes of more than 11 bits has no proven integer form"


def test_layers_around_one_in_float_are_integers_still() -> None:
    net = Qdq(S8)
    y = net.requantized(net(Dense(), net.x, net.weights(4, 4)), U8)
    y = net.requantized(net(ew.Maximum(), y, y), S8)
    y = net(Dense(), y, net.weights(2, 4))
    graph = net.end(y, U8)
    lowered = lower_integers(graph)
    assert lowered.reasons == {"maximum": "maximum has no integer form"}
    quantized = [n for n in lowered.graph.nodes if n.op.name == "dense"]
    assert all(lowered.graph.types[n.output].is_quantized for n in quantized)


def test_sources_name_every_layer_that_was_merged() -> None:
    net = Qdq(S8)
    y = net(ew.Relu(), net(ew.Add(), net(Dense(), net.x, net.weights(3, 4)), net.constant(3)))
    (node,) = [n for n in lower_integers(net.end(y, U8)).graph.nodes if n.op.name == "requantize"]
    assert node.sources == ("dense", "add", "relu", "quantize~1")
