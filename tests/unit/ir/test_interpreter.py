from __future__ import annotations

import numpy as np
import pytest

from lepton_edge.errors import UserError
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph, GraphBuilder
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops.elementwise import Add, Relu, Softmax
from lepton_edge.ir.ops.linear import Dense, MatMul
from lepton_edge.ir.ops.pool import Reduce
from lepton_edge.ir.ops.quantized import Quantize
from lepton_edge.ir.ops.shape import Broadcast, Concat, Reshape, Slice, Transpose
from lepton_edge.ir.types import Array, Float, Int, QuantType, TensorType

UQ4 = QuantType(4, False, (0.5,))
RNG = np.random.default_rng(0)


def chain(*ops: Op, dims: tuple[int, ...] = (1, 2, 3)) -> Graph:
    builder = GraphBuilder("chain")
    value = builder.input("x", TensorType(dims, Float()))
    for op in ops:
        value = builder.emit1(op, [value], name=op.name)
    return builder.finish([value])


def pair(op: Op, *dims: tuple[int, ...], constants: int = 0) -> Graph:
    builder = GraphBuilder("pair")
    inputs = [
        builder.constant(RNG.standard_normal(d).astype(np.float32), name=f"c{i}")
        if i < constants
        else builder.input(f"x{i}", TensorType(d, Float()))
        for i, d in enumerate(dims)
    ]
    return builder.finish([builder.emit1(op, inputs, name="y")])


GRAPHS = {
    "elementwise": chain(Relu(), Softmax(2)),
    "softmax over the batch": chain(Softmax(0)),
    "batch folded into rows": chain(Reshape((2, 3)), Relu(), Reshape((1, 6))),
    "batch moved": chain(Transpose((1, 0, 2)), Relu(), Transpose((1, 0, 2))),
    "batch sliced": chain(Slice(0, 0, 1)),
    "batch reduced": chain(Reduce("sum", (0, 1), keepdims=False)),
    "row reduced": chain(Reduce("mean", (1,), keepdims=False), Softmax(1)),
    "copied to rows": chain(Broadcast((4, 2, 3)), dims=(1, 2, 3)),
    "copied to columns": chain(Broadcast((1, 2, 3)), dims=(1, 1, 3)),
    "other rank": pair(Add(), (1, 4, 3), (1, 3)),
    "constant of another rank": pair(Add(), (3,), (1, 4, 3), constants=1),
    "constant with more rows": pair(Add(), (5, 1, 3), (1, 4, 3), constants=1),
    "constant on the left": pair(MatMul(), (2, 4), (1, 4, 3), constants=1),
    "two batches": pair(Concat(1), (1, 2), (1, 3)),
    "concatenated batches": pair(Concat(0), (1, 2), (1, 2)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_many_samples_give_what_each_gives_alone(name: str) -> None:
    graph = GRAPHS[name]
    data = {
        v: RNG.standard_normal((5, *graph.types[v].shape[1:])).astype(np.float32)
        for v in graph.inputs
    }
    (output,) = graph.outputs
    together = interpreter.run(graph, data, chunk=2)[output]
    singles = [
        interpreter.run(graph, {k: a[i : i + 1] for k, a in data.items()})[output] for i in range(5)
    ]
    np.testing.assert_allclose(together, np.concatenate(singles), rtol=1e-6)
    declared = graph.types[output].shape
    assert together.shape == ((5, *declared[1:]) if declared[:1] == (1,) else (5, *declared))


def test_a_graph_without_a_batch_axis_takes_one_frame() -> None:
    graph = pair(MatMul(), (3, 4), (4, 2))
    a, b = (RNG.standard_normal(d).astype(np.float32) for d in ((3, 4), (4, 2)))
    np.testing.assert_allclose(interpreter.run(graph, {"x0": a, "x1": b})["y"], a @ b, rtol=1e-5)
    mixed = pair(MatMul(), (1, 4), (4, 2))
    with pytest.raises(UserError) as caught:
        interpreter.run(mixed, {"x0": np.zeros((2, 4), np.float32), "x1": b})
    assert caught.value.what == (
        "input 'x0' holds 2 samples; this model takes one at a time, because an input of it has "
        "no batch axis"
    )


def test_values_can_be_kept_and_watched() -> None:
    graph = chain(Relu(), Softmax(2))
    seen: list[tuple[str, int]] = []

    def watch(value: str, array: Array) -> None:
        seen.append((value, len(array)))

    x = RNG.standard_normal((3, 2, 3)).astype(np.float32)
    found = interpreter.run(graph, {"x": x}, keep=["relu", "x"], observe=watch, chunk=2)
    assert list(found) == ["softmax", "relu", "x"]
    np.testing.assert_array_equal(found["relu"], np.maximum(x, 0))
    np.testing.assert_array_equal(found["x"], x)
    assert seen == [(v, n) for n in (2, 1) for v in ("x", "relu", "softmax")]


def test_an_output_may_be_named_twice_or_be_an_input() -> None:
    builder = GraphBuilder("echo")
    x = builder.input("x", TensorType((1, 2), Float()))
    y = builder.emit1(Relu(), [x], name="y")
    found = interpreter.run(builder.finish([y, x, y]), {"x": np.array([[-1, 1]])})
    assert {k: a.tolist() for k, a in found.items()} == {"y": [[0, 1]], "x": [[-1, 1]]}


# -- what callers give ----------------------------------------------------------------------------


def two_inputs() -> Graph:
    builder = GraphBuilder("two")
    image = builder.input("image", TensorType((1, 2, 2), Float()))
    codes = builder.input("codes", TensorType((1, 3), UQ4))
    count = builder.input("count", TensorType((2,), Int(8)))
    q = builder.emit1(Quantize(UQ4), [image], name="q")
    return builder.finish([q, codes, count])


def batched_inputs() -> Graph:
    builder = GraphBuilder("batched")
    image = builder.input("image", TensorType((1, 2, 2), Float()))
    codes = builder.input("codes", TensorType((1, 3), UQ4))
    index = builder.input("index", TensorType((1, 1), Int(8)))
    return builder.finish([image, codes, index])


WANTED = "image: float32[N,2,2], codes: uint8[N,3], index: int8[N,1]"
GOOD = {
    "image": np.zeros((4, 2, 2), np.float32),
    "codes": np.zeros((4, 3), np.uint8),
    "index": np.zeros((4, 1), np.int8),
}


def test_inputs_are_cast_and_a_single_frame_may_lack_its_batch_axis() -> None:
    given = {
        "index": np.array([-128.0]),
        "codes": np.array([0.0, 15.0, 7.0]),
        "image": np.array([[1, 2], [3, 4]]),
    }
    found = interpreter.checked_inputs(batched_inputs(), given)
    assert list(found) == ["image", "codes", "index"]
    assert [(a.dtype, a.shape) for a in found.values()] == [
        (np.float32, (1, 2, 2)),
        (np.uint8, (1, 3)),
        (np.int8, (1, 1)),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"image": None},
            f"wanted the inputs {WANTED}; found codes: uint8[4, 3], index: int8[4, 1]",
        ),
        (
            {"images": np.zeros(1)},
            (
                f"wanted the inputs {WANTED}; found image: float32[4, 2, 2], codes: uint8[4, 3], "
                "index: int8[4, 1], images: float64[1]"
            ),
        ),
        (
            {"image": np.zeros((4, 2, 3), np.float32)},
            "input 'image' is float32[4, 2, 3]; wanted float32[N,2,2]",
        ),
        ({"image": np.zeros((), np.float32)}, "input 'image' is float32[]; wanted float32[N,2,2]"),
        (
            {"image": np.full((4, 2, 2), "a")},
            "input 'image' holds <U1; wanted numbers: float32[N,2,2]",
        ),
        (
            {"image": np.full((4, 2, 2), 1j)},
            "input 'image' holds complex128; wanted numbers: float32[N,2,2]",
        ),
        (
            {"image": np.full((4, 2, 2), np.nan)},
            "input 'image' holds values that are not finite",
        ),
        (
            {"image": np.full((4, 2, 2), 1e300)},
            "input 'image' holds values beyond the range of binary32",
        ),
        (
            {"codes": np.full((4, 3), 0.5)},
            "input 'codes' must hold integer codes in 0..15; found float64 in 0.5..0.5",
        ),
        (
            {"codes": np.full((4, 3), 16)},
            "input 'codes' must hold integer codes in 0..15; found int64 in 16..16",
        ),
        (
            {"codes": np.full((4, 3), -1)},
            "input 'codes' must hold integer codes in 0..15; found int64 in -1..-1",
        ),
        (
            {"index": np.full((4, 1), 128)},
            "input 'index' must hold integer codes in -128..127; found int64 in 128..128",
        ),
        (
            {"codes": np.zeros((3, 3), np.uint8)},
            "the inputs hold different numbers of samples: {'image': 4, 'codes': 3, 'index': 4}",
        ),
        (
            {k: a[:0] for k, a in GOOD.items()},
            "the inputs hold no sample",
        ),
    ],
)
def test_wrong_inputs_are_described(changes: dict[str, Array | None], message: str) -> None:
    given = {k: a for k, a in {**GOOD, **changes}.items() if a is not None}
    with pytest.raises(UserError) as caught:
        interpreter.checked_inputs(batched_inputs(), given)
    assert caught.value.what == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": np.zeros((3,), np.int8)}, "input 'count' is int8[3]; wanted int8[2]"),
        (
            {"count": np.array([300, 0])},
            "input 'count' must hold integer codes in -128..127; found int64 in 0..300",
        ),
        (
            {"count": np.array(["a", "b"])},
            "input 'count' holds <U1; wanted numbers: int8[2]",
        ),
    ],
)
def test_inputs_without_a_batch_axis_are_checked_too(
    changes: dict[str, Array], message: str
) -> None:
    good = {"image": np.zeros((1, 2, 2)), "codes": np.zeros((1, 3)), "count": np.zeros(2)}
    with pytest.raises(UserError) as caught:
        interpreter.checked_inputs(two_inputs(), {**good, **changes})
    assert caught.value.what == message


def test_a_dense_layer_on_a_batch_of_rows() -> None:
    """A constant weight has no batch axis; its rows must not be mistaken for one."""
    graph = pair(Dense(), (1, 7, 4), (3, 4))
    builder = GraphBuilder("rows")
    x = builder.input("x", TensorType((1, 7, 4), Float()))
    w = builder.constant(RNG.standard_normal((1, 4)).astype(np.float32), name="w")
    graph = builder.finish([builder.emit1(Dense(), [x, w], name="y")])
    data = RNG.standard_normal((5, 7, 4)).astype(np.float32)
    found = interpreter.run(graph, {"x": data})["y"]
    np.testing.assert_allclose(found, data @ graph.constants["w"].T, rtol=1e-5, atol=1e-6)
