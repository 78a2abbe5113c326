"""Interval analysis: every integer that occurs lies inside, and the ends are reached."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_edge.errors import ImportModelError
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph, GraphBuilder
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.types import Array, QuantType, TensorType, bits_for_range
from lepton_edge.passes.lower_integers import lower_integers
from lepton_edge.passes.ranges import Reach, layer_reach, linear_reach
from tests.unit.passes.test_lower import S8, Qdq


def ends(*pairs: tuple[int, int]) -> Reach:
    low, high = np.array(pairs, np.int64).T
    return Reach(low, high)


def test_a_type_reaches_its_codes_without_the_zero_point() -> None:
    reach = Reach.of_type(QuantType(4, False, (1.0,), (5,)))
    assert (reach.lowest.tolist(), reach.highest.tolist()) == ([-5], [10])
    assert reach.bits == 5  # one beyond each end


def test_how_intervals_combine() -> None:
    reach = ends((1, 3), (-7, -2))
    assert reach.merged().lowest.tolist() == [-7]
    assert reach.merged().highest.tolist() == [3]
    assert reach.with_zero().lowest.tolist() == [0, -7]
    assert reach.with_zero().highest.tolist() == [3, 0]
    both = reach.union(ends((9, 9)))
    assert (both.lowest.tolist(), both.highest.tolist()) == ([-7], [9])
    assert reach.spread(2) is reach
    assert ends((1, 3)).spread(3).highest.tolist() == [3, 3, 3]
    assert ends((-8, 7)).bits == 5
    assert ends((-7, 6)).bits == 4


@given(data=st.data())
def test_the_ends_of_a_dot_product_are_those_of_its_extreme_inputs(data: st.DataObject) -> None:
    rows, channels, repeats = (data.draw(st.integers(1, 3)) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 16)))
    weights = rng.integers(-9, 10, (rows, repeats * channels))
    low = rng.integers(-20, 20, channels)
    high = low + rng.integers(0, 20, channels)
    bias = rng.integers(-50, 50, rows) if data.draw(st.booleans()) else None
    reach = linear_reach(weights, Reach(low, high), bias)
    start = 0 if bias is None else bias
    lows, highs = np.tile(low, repeats), np.tile(high, repeats)
    best = np.where(weights > 0, highs, lows)
    worst = np.where(weights > 0, lows, highs)
    np.testing.assert_array_equal(reach.highest, (weights * best).sum(axis=1) + start)
    np.testing.assert_array_equal(reach.lowest, (weights * worst).sum(axis=1) + start)


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 0, 1, 1)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_convolution_stays_inside_and_touches_both_ends(
    groups: int, pads: tuple[int, int, int, int]
) -> None:
    rng = np.random.default_rng(0)
    op = Conv(pads=pads, groups=groups)
    weights = rng.integers(-7, 8, (4, 2, 2, 4 // groups))
    low, high = np.array([1, -5, 0, 2]), np.array([6, -1, 3, 2])
    bias = rng.integers(-9, 9, 4)
    reach = layer_reach(op, weights, Reach(low, high), bias)
    x_type = TensorType((1, 2, 2, 4), QuantType(8, True, (1.0,)))
    w_type = TensorType(weights.shape, QuantType(8, True, (1.0,)))
    b_type = TensorType((4,), QuantType(8, True, (1.0,)))
    builder = GraphBuilder("conv")
    names = [builder.input("x", x_type), builder.constant(weights, w_type.elem),
             builder.constant(bias, b_type.elem)]  # fmt: skip
    graph = builder.finish([builder.emit1(op, names, name="y")])
    x = rng.integers(low, high + 1, (3000, 2, 2, 4))
    for channel in range(4):  # the inputs that reach the ends without padding
        group = channel // (4 // groups)
        mine = slice(group * (4 // groups), (group + 1) * (4 // groups))
        x[2 * channel] = low
        x[2 * channel + 1] = low
        x[2 * channel, ..., mine] = np.where(weights[channel] > 0, high[mine], low[mine])
        x[2 * channel + 1, ..., mine] = np.where(weights[channel] > 0, low[mine], high[mine])
    found = interpreter.run(graph, {"x": x})["y"].reshape(-1, 4)
    assert (found >= reach.lowest).all()
    assert (found <= reach.highest).all()
    if not any(pads):
        np.testing.assert_array_equal(found.max(axis=0), reach.highest)
        np.testing.assert_array_equal(found.min(axis=0), reach.lowest)


def test_a_dense_layer_after_a_flatten_merges_channels() -> None:
    weights = np.array([[1, 1, 1, -1]])
    reach = layer_reach(Dense(), weights, ends((0, 1), (0, 10)), None)
    assert (reach.lowest.tolist(), reach.highest.tolist()) == ([-10], [30])


def extreme(graph: Graph, weights: Array, sign: int, quant: QuantType) -> dict[str, Array]:
    """The input that drives the first output channel as far as it goes."""
    codes = np.where(sign * weights[0] > 0, quant.highest, quant.lowest)
    return {"x": quant.dequantize(codes.reshape(graph.types["x"].shape))}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_planned_accumulators_hold_the_extreme_inputs_and_no_bit_is_wasted(
    bits: int, sign: int
) -> None:
    quant = QuantType(bits, bits > 2, (S8.scale[0],), (1,))
    net = Qdq(quant, (1, 16))
    weights = net.weights(1, 16)
    graph = net.end(net(Dense(), net.x, weights), S8)
    codes = next(iter(graph.constants.values())).astype(np.int64)
    lowered = lower_integers(graph).graph
    node = next(n for n in lowered.nodes if isinstance(n.op, Dense))
    values = [
        interpreter.run(lowered, extreme(graph, codes, s, quant), keep=[node.output])[node.output]
        for s in (sign, -sign)
    ]
    assert isinstance(node.op, Dense)
    low, high = sorted(int(v[0, 0]) for v in values)
    assert node.op.acc_bits == bits_for_range(low - 1, high + 1)


def test_the_interpreter_refuses_an_accumulator_beyond_its_bits() -> None:
    """So that a wrong range analysis could never pass as a wrong code."""
    quant = QuantType(8, True, (1.0,))
    builder = GraphBuilder("narrow")
    x = builder.input("x", TensorType((1, 4), quant))
    w = builder.constant(np.full((1, 4), 127), quant)
    graph = builder.finish([builder.emit1(Dense(acc_bits=16), [x, w], name="y")])
    with pytest.raises(ImportModelError, match="left the 16 bits planned"):
        interpreter.run(graph, {"x": np.full((1, 4), 127)})
