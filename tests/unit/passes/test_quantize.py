"""Post-training quantisation: where codes are put, which types, and how well they do."""

from __future__ import annotations

import numpy as np
import pytest

from lepton_edge.errors import CalibrationError, QuantError, RangeError
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops.linear import Conv, Dense, MatMul
from lepton_edge.ir.ops.pool import AveragePool, MaxPool
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.ir.ops.shape import Concat, Reshape
from lepton_edge.ir.types import Array, QuantType
from lepton_edge.passes.calibration import (
    NUM_BINS,
    Observed,
    Observer,
    activation_type,
    observe,
    weight_type,
)
from lepton_edge.passes.insert_quantizers import (
    SOFTMAX_TYPE,
    InsertQuantizers,
    is_quantized,
    quantization_points,
)
from lepton_edge.passes.pipeline import QuantizeOptions, lower, quantize
from tests.unit.passes.test_simplify import Net, kinds


def samples(graph: Graph, count: int = 64, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        v: rng.standard_normal((count, *graph.types[v].shape[1:])).astype(np.float32)
        for v in graph.inputs
    }


def classifier() -> Graph:
    net = Net(1, 6, 6, 3)
    y = net(ew.Relu(), net(Conv(), net.x, net.constant(4, 3, 3, 3), net.constant(4)))
    side = net(ew.HardSwish(), y)
    y = net(ew.Relu(), net(ew.Add(), y, side))
    y = net(AveragePool((4, 4)), net(MaxPool((1, 1)), y))
    y = net(Dense(), net(Reshape((1, 4)), y), net.constant(5, 4), net.constant(5))
    return net.done(net(ew.Softmax(1), y))


# -- where ----------------------------------------------------------------------------------------


def test_points_are_what_layers_read_and_what_sums_give() -> None:
    graph = classifier()
    # conv → relu is one point; the sum is quantised after its relu; the logits are not.
    assert quantization_points(graph) == ["x", "relu", "hard_swish", "relu~1", "average_pool"]


def test_points_of_concatenations_and_products() -> None:
    net = Net(1, 2, 2, 3)
    a = net(Conv(), net.x, net.constant(3, 1, 1, 3))
    b = net(ew.Mul(), a, net(ew.Sigmoid(), a))
    graph = net.done(net(ew.Relu(), net(Concat(3), a, b)))
    # A relu after a concatenation cannot fuse into the layers before it: it maps codes to codes.
    assert quantization_points(graph) == ["x", "conv", "sigmoid", "mul", "concat", "relu"]


def test_a_row_of_functions_of_codes_becomes_one_table() -> None:
    net = Net(1, 4)
    y = net(ew.Clip(-1.0, 1.0), net(ew.Mul(), net.x, net.constant(4)))
    graph = net.done(net(Dense(), y, net.constant(2, 4)))
    assert quantization_points(graph) == ["x", "clip"]
    lowered = lower(InsertQuantizers(samples(graph)).run(graph))
    assert not lowered.reasons
    assert kinds(lowered.graph)["lookup"] == 1


def test_a_network_without_layers_needs_no_codes() -> None:
    net = Net(1, 4)
    assert quantization_points(net.done(net(ew.Relu(), net.x))) == []


def test_the_quantised_network_is_close_and_lowers_whole() -> None:
    graph = classifier()
    data = samples(graph)
    quantized = quantize(graph, QuantizeOptions(), data)
    assert is_quantized(quantized)
    assert quantized.outputs == graph.outputs
    found = interpreter.run(quantized, data)["softmax"]
    wanted = interpreter.run(graph, data)["softmax"]
    assert np.abs(found - wanted).max() < 0.1
    lowered = lower(quantized)
    assert set(lowered.reasons) == {"softmax"}  # after the last layer: the host's
    assert kinds(lowered.graph)["conv"] == 1
    exact = interpreter.run(lowered.graph, data)["softmax"]
    assert np.abs(exact - wanted).max() < 0.1
    assert lowered.graph.outputs == graph.outputs


def test_a_softmax_in_the_middle_gets_the_type_of_probabilities() -> None:
    net = Net(1, 4)
    y = net(ew.Softmax(1), net(Dense(), net.x, net.constant(4, 4)))
    graph = net.done(net(Dense(), y, net.constant(2, 4)))
    quantized = InsertQuantizers(samples(graph)).run(graph)
    types = {n.inputs[0]: n.op.out for n in quantized.nodes if isinstance(n.op, Quantize)}
    assert types["softmax"] == SOFTMAX_TYPE
    assert not lower(quantized).reasons


# -- types ----------------------------------------------------------------------------------------


def observed(low: float, high: float) -> Observed:
    return Observed(low, high, np.zeros(0), np.zeros(1))


@pytest.mark.parametrize(
    ("low", "high", "zero"),
    [(-1.0, 1.0, 0), (0.0, 1.0, -128), (-1.0, 0.0, 127), (-0.5, 2.0, -77), (-3.0, 1.0, 63)],
)
@pytest.mark.parametrize("bits", [8, 4])
def test_activation_types_cover_the_range_and_real_zero(
    low: float, high: float, zero: int, bits: int
) -> None:
    quant = activation_type(observed(low, high), bits, Observer.MINMAX)
    assert (quant.bits, quant.signed) == (bits, True)
    if bits == 8:
        assert abs(quant.zero_point[0] - zero) <= 1
    scale = quant.scale[0]
    ends = quant.dequantize(np.array([quant.lowest, quant.highest]))
    np.testing.assert_allclose(ends, [low, high], atol=scale)
    assert quant.dequantize(quant.quantize(np.zeros(1))) == 0
    assert np.float32(scale) == scale


@pytest.mark.parametrize("value", [0.0, 1e-45, 5.0, -5.0, 1e30])
def test_a_constant_activation_has_a_type(value: float) -> None:
    quant = activation_type(observed(min(value, 0), max(value, 0)), 8, Observer.MINMAX)
    back = quant.dequantize(quant.quantize(np.array([value])))
    np.testing.assert_allclose(back, value, atol=max(abs(value) / 255, 1e-30))


def test_weight_types_are_symmetric_a_channel_and_survive_zeros() -> None:
    weights = np.array([[1.0, -2.54], [0.0, 0.0], [1e-42, 0.0]])
    quant = weight_type(weights, 8)
    assert quant.axis == 0
    assert quant.narrow
    assert quant.zero_point == (0,)
    assert quant.scale[1:] == (1.0, 1.0)
    assert quant.quantize(weights.astype(np.float32)).tolist() == [[50, -127], [0, 0], [0, 0]]


def heavy_tail() -> Observed:
    """Values in -1..1, and one in a million at 100."""
    counts = np.zeros(NUM_BINS)
    low, high = -1.0, 100.0
    centres = low + (high - low) / NUM_BINS * (np.arange(NUM_BINS) + 0.5)
    counts[centres < 1.0] = 1e6
    counts[-1] = 1
    return Observed(low, high, counts, np.zeros(1))


@pytest.mark.parametrize("observer", [Observer.PERCENTILE, Observer.MSE])
def test_observers_clip_outliers_as_far_as_they_promise(observer: Observer) -> None:
    wide = activation_type(heavy_tail(), 4, Observer.MINMAX).scale[0]
    found = activation_type(heavy_tail(), 4, observer).scale[0]
    assert found < wide
    if observer is Observer.PERCENTILE:
        assert found < 2.5 / 15


def test_the_mse_observer_never_does_worse_than_the_whole_range() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.standard_normal(10**5), rng.laplace(size=10**5), rng.uniform(size=10**5)):
        low, high = min(values.min(), 0.0), max(values.max(), 0.0)
        counts = np.histogram(values, NUM_BINS, (low, high))[0].astype(float)
        seen = Observed(low, high, counts, np.zeros(1))
        errors = []
        for observer in (Observer.MSE, Observer.MINMAX):
            quant = activation_type(seen, 4, observer)
            errors.append(((quant.dequantize(quant.quantize(values)) - values) ** 2).mean())
        assert errors[0] <= errors[1] * 1.01


def test_observation_covers_all_samples_and_includes_zero() -> None:
    graph = classifier()
    data = samples(graph, 70)
    seen = observe(graph, data, ["x", "relu"], with_histogram=True)
    assert seen["relu"].lowest == 0.0
    assert seen["x"].lowest == data["x"].min()
    assert seen["x"].highest == data["x"].max()
    assert seen["x"].counts.sum() == data["x"].size
    np.testing.assert_allclose(seen["x"].mean, data["x"].mean(axis=0, keepdims=True), atol=1e-6)


# -- hard networks --------------------------------------------------------------------------------


def test_dead_channels_constant_activations_and_huge_biases_lower() -> None:
    net = Net(1, 4)
    weights = np.zeros((4, 4), np.float32)
    weights[1], weights[2] = 1e-12, [1, 2, 3, 4]
    w = net.builder.constant(weights)
    b = net.builder.constant(np.array([0.0, 1e6, -3.0, 2.0], np.float32))
    y = net(ew.Relu(), net(Dense(), net.x, w, b))
    graph = net.done(net(Dense(), y, net.constant(2, 4)))
    data = samples(graph)
    lowered = lower(InsertQuantizers(data).run(graph))
    assert not lowered.reasons
    wanted = interpreter.run(graph, data)
    found = interpreter.run(lowered.graph, data)
    (output,) = graph.outputs
    np.testing.assert_allclose(found[output], wanted[output], rtol=0.05, atol=1e4)


def test_all_zero_samples_still_give_a_network() -> None:
    graph = classifier()
    lowered = lower(InsertQuantizers({"x": np.zeros((1, 6, 6, 3), np.float32)}).run(graph))
    verify_runs = interpreter.run(lowered.graph, samples(graph, 2))
    assert np.isfinite(verify_runs["softmax"]).all()


def test_a_qdq_bias_beyond_32_bits_says_what_to_look_at() -> None:
    net = Net(1, 4)
    x = net(Dequantize(), net(Quantize(QuantType(8, True, (1e-6,))), net.x))
    w = net(Dequantize(), net.codes(2, 4, quant=QuantType(8, True, (1e-6,))))
    b = net.builder.constant(np.array([0.0, 1.0], np.float32))
    y = net(Quantize(QuantType(8, True, (1.0,))), net(Dense(), x, w, b))
    with pytest.raises(RangeError) as caught:
        lower(net.done(y))
    assert caught.value.where == "layer 'dense'"
    assert caught.value.what.startswith("the bias of channel 1 is 1000000")
    assert "at most 32 bits" in caught.value.what


# -- bias correction ------------------------------------------------------------------------------


def test_bias_correction_reduces_the_mean_error() -> None:
    net = Net(1, 32)
    graph = net.done(net(Dense(), net.x, net.constant(6, 32), net.constant(6)))
    data = {"x": samples(graph, 200)["x"] + np.float32(3.0)}  # a mean to correct
    (output,) = graph.outputs
    wanted = interpreter.run(graph, data)[output].mean(axis=0)
    errors = []
    for correct in (False, True):
        quantized = InsertQuantizers(data, bits=3, correct_bias=correct).run(graph)
        errors.append(np.abs(interpreter.run(quantized, data)[output].mean(axis=0) - wanted).max())
    assert errors[1] < 0.5 * errors[0]


def test_bias_correction_of_a_padded_convolution() -> None:
    net = Net(1, 8, 8, 4)
    op = Conv(pads=(1, 1, 1, 1))
    graph = net.done(net(op, net.x, net.constant(5, 3, 3, 4)))
    data = {"x": samples(graph, 40)["x"] + np.float32(2.0)}
    (output,) = graph.outputs
    wanted = interpreter.run(graph, data)[output].mean(axis=(0, 1, 2))
    errors = []
    for correct in (False, True):
        quantized = InsertQuantizers(data, bits=3, correct_bias=correct).run(graph)
        found = interpreter.run(quantized, data)[output].mean(axis=(0, 1, 2))
        errors.append(np.abs(found - wanted).max())
    assert errors[1] < 0.5 * errors[0]


# -- what callers do wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "wanted the inputs x: float32[N,6,6,3]; found none"),
        ({"y": np.zeros(3)}, "wanted the inputs x: float32[N,6,6,3]; found y: float64[3]"),
        (
            {"x": np.zeros((2, 3, 6, 6))},
            "input 'x' is float64[2, 3, 6, 6]; wanted float32[N,6,6,3]",
        ),
        ({"x": np.full((2, 6, 6, 3), np.nan)}, "input 'x' holds values that are not finite"),
        ({"x": np.zeros((0, 6, 6, 3))}, "the inputs hold no sample"),
    ],
)
def test_unusable_samples(data: dict[str, Array], message: str) -> None:
    with pytest.raises(CalibrationError) as caught:
        InsertQuantizers(data).run(classifier())
    assert caught.value.what == message
    assert caught.value.where == "calibration data"
    assert "100 or more samples" in caught.value.hint


def test_missing_samples_and_forbidden_quantisation() -> None:
    graph = classifier()
    with pytest.raises(CalibrationError) as caught:
        quantize(graph, QuantizeOptions(), None)
    assert caught.value.what == "a float network needs calibration data to be quantised"
    assert "--calibration" in caught.value.hint
    with pytest.raises(QuantError, match="the network computes on floats") as refused:
        quantize(graph, QuantizeOptions(mode="none"), samples(graph))
    assert "--quantize none" in refused.value.hint


def test_a_value_that_is_not_finite_on_the_samples_is_named() -> None:
    net = Net(1, 4)
    y = net(ew.Div(), net.x, net(ew.Sub(), net.x, net.x))
    graph = net.done(net(Dense(), y, net.constant(2, 4)))
    with pytest.raises(CalibrationError) as caught:
        InsertQuantizers(samples(graph)).run(graph)
    assert caught.value.what == "value 'div' is not finite on the calibration data"


def test_a_computed_bias_cannot_be_quantised() -> None:
    net = Net(1, 4)
    bias = net(Reshape((4,)), net(ew.Relu(), net.x))
    graph = net.done(net(Dense(), net.x, net.constant(4, 4), bias))
    with pytest.raises(CalibrationError, match="dense: a layer with a computed bias"):
        InsertQuantizers(samples(graph)).run(graph)


def test_a_product_of_computed_matrices_stays_float_with_a_reason() -> None:
    net = Net(1, 4, 4)
    y = net(MatMul(), net(Dense(), net.x, net.constant(4, 4)), net.x)
    graph = net.done(net(Dense(), y, net.constant(2, 4)))
    quantized = InsertQuantizers(samples(graph)).run(graph)
    assert "matmul" in lower(quantized).reasons
