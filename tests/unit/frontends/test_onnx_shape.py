"""Operators that move elements, and the folding of shape arithmetic, against onnxruntime."""

import numpy as np
import pytest

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.ir.ops.shape import Gather, RepeatNearest, Slice

X = "g (float[1,4,6,8] x) => (float[] y)"


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize("shape", [(1, 192), (1, -1), (0, 0, -1), (4, 6, 8), (0, 2, 2, 6, 8)])
def test_reshape(same, shape):
    same(f"{X} {{ y = Reshape(x, s) }}", {"s": ints(*shape)})


@pytest.mark.parametrize("attributes", ["", "axis=0", "axis=2", "axis=-1", "axis=4"])
def test_flatten(same, attributes):
    same(f"{X} {{ y = Flatten<{attributes}>(x) }}")


@pytest.mark.parametrize("attributes", ["", "perm=[0,2,3,1]", "perm=[0,3,1,2]"])
def test_transpose(same, attributes):
    same(f"{X} {{ y = Transpose<{attributes}>(x) }}")


def test_squeeze_and_unsqueeze(same):
    text = "g (float[1,4,1,8] x) => (float[] y)"
    same(f"{text} {{ y = Squeeze<axes=[2]>(x) }}", opset=11)
    same(f"{text} {{ y = Squeeze(x, a) }}", {"a": ints(-2)})
    same(f"{text} {{ y = Squeeze(x) }}")
    same(f"{text} {{ y = Unsqueeze<axes=[1,5]>(x) }}", opset=11)
    same(f"{text} {{ y = Unsqueeze(x, a) }}", {"a": ints(-1, 2)})


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concat(same, axis):
    same(f"{X} {{ r = Relu(x)\n y = Concat<axis={axis}>(x, r, x) }}")


def test_split(same):
    text = "g (float[1,6,5] x) => (float[] y, float[] z)"
    same(f"{text} {{ y, z = Split<axis=1>(x) }}", opset=11)
    same(f"{text} {{ y, z = Split<axis=1, split=[2,4]>(x) }}", opset=11)
    same(f"{text} {{ y, z = Split<axis=-1>(x, s) }}", {"s": ints(1, 4)})
    same(f"{text} {{ y, z = Split<axis=2, num_outputs=2>(x) }}", opset=18)


@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ((1,), (3,), (2,), (1,)),
        ((-3,), (np.iinfo(np.int64).max,), (-1,), (2,)),
        ((1, 2), (4, 5), (1, 3), (1, 2)),
        ((-1,), (np.iinfo(np.int64).min,), (3,), (-1,)),
        ((5, 3), (1, 0), (2, 1), (-2, -1)),
        ((0,), (100,), (1,), (1,)),
    ],
)
def test_slice(same, starts, ends, axes, steps):
    weights = {"s": ints(*starts), "e": ints(*ends), "a": ints(*axes), "t": ints(*steps)}
    graph = same(f"{X} {{ y = Slice(x, s, e, a, t) }}", weights)
    if starts != (0,):
        assert all(isinstance(n.op, Slice) for n in graph.nodes)
        assert len(graph.nodes) == len(starts)


def test_slice_with_attributes(same):
    same(f"{X} {{ y = Slice<starts=[1,2], ends=[3,-1], axes=[1,3]>(x) }}", opset=9)
    same("g (float[3,4] x) => (float[] y) { y = Slice<starts=[1,0], ends=[3,2]>(x) }", opset=9)


@pytest.mark.parametrize("indices", [[0, 2], [-1, 0, 0], [[0, 1], [2, 3]], 3, -1])
@pytest.mark.parametrize("axis", [1, 3])
def test_gather(same, indices, axis):
    same(f"{X} {{ y = Gather<axis={axis}>(x, i) }}", {"i": np.array(indices)})


@pytest.mark.parametrize("pads", [(0, 0, 1, 2, 0, 0, 3, 0), (0, 0, -1, 2, 0, -1, 0, -2)])
def test_pad(same, pads):
    same(f"{X} {{ y = Pad(x, p, v) }}", {"p": ints(*pads), "v": np.float32(1.5)})
    values = ",".join(map(str, pads))
    same(f"{X} {{ y = Pad<pads=[{values}], value=0.5>(x) }}", opset=8)


@pytest.mark.parametrize("mode", ["edge", "reflect"])
def test_pad_by_copies(same, mode):
    graph = same(f'{X} {{ y = Pad<mode="{mode}">(x, p) }}', {"p": ints(0, 0, 1, 2, 0, 0, 3, 0)})
    assert [type(n.op) for n in graph.nodes] == [Gather, Gather]


def test_pad_some_axes(same):
    same(f"{X} {{ y = Pad(x, p, , a) }}", {"p": ints(1, 2), "a": ints(-1)}, opset=18)


@pytest.mark.parametrize("shape", [(1, 4, 6, 8), (1, 1, 1), (2, 1, 4, 6, 8), (3, 1, 1, 1)])
def test_expand(same, shape):
    same(f"{X} {{ y = Expand(x, s) }}", {"s": ints(*shape)})


def test_tile(same):
    same(f"{X} {{ y = Tile(x, r) }}", {"r": ints(1, 2, 1, 3)})


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(same, mode):
    same(f'{X} {{ y = DepthToSpace<blocksize=2, mode="{mode}">(x) }}')
    same(f"{X} {{ y = SpaceToDepth<blocksize=2>(x) }}")


MODES = ["asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("scales", [(1, 1, 2, 3), (1, 1, 1.5, 0.5), (1, 1, 4, 2.25)])
def test_resize_nearest(same, mode, rounding, scales):
    text = f'coordinate_transformation_mode="{mode}", nearest_mode="{rounding}"'
    same(f"{X} {{ y = Resize<{text}>(x, , s) }}", {"s": np.array(scales, np.float32)})


def test_resize_by_whole_factors_is_repetition(same):
    graph = same(f"{X} {{ y = Resize(x, , s) }}", {"s": np.array([1, 1, 2, 3], np.float32)})
    assert graph.nodes[1].op == RepeatNearest((2, 3))
    graph = same(f"{X} {{ y = Resize(x, , , s) }}", {"s": ints(1, 4, 12, 24)})
    assert graph.nodes[1].op == RepeatNearest((2, 3))
    graph = same(f"{X} {{ y = Resize(x, s) }}", {"s": np.array([1, 1, 2, 2.0])}, opset=10)
    assert graph.nodes[1].op == RepeatNearest((2, 2))
    graph = same(f"{X} {{ y = Upsample(x, s) }}", {"s": np.array([1, 1, 2, 2.0])}, opset=9)
    assert graph.nodes[1].op == RepeatNearest((2, 2))
    graph = same(f"{X} {{ y = Upsample<scales=[1.0,1.0,2.0,2.0]>(x) }}", opset=8)
    assert graph.nodes[1].op == RepeatNearest((2, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('Resize<mode="linear">(x, , f)', "mode 'linear' is not supported; wanted 'nearest'"),
        ("Reshape(x, z)", "the shape must be constant; 'z' is computed at run time"),
        ("Slice(x, i, i)", "keeps nothing of axis 0, which has 1 entries"),
        ("Dropout(x, , t)", "training_mode is not supported"),
        ('Pad<mode="reflect">(x, n)', "mode 'reflect' with pads -1, 0 of axis 2"),
    ],
)
def test_refused(load, call, message):
    weights = {
        "f": np.array([1, 1, 2, 2], np.float32),
        "i": ints(1),
        "t": np.array(True),
        "n": ints(0, 0, -1, 0, 0, 0, 0, 0),
    }
    with pytest.raises(UnsupportedError) as caught:
        load(f"g (float[1,4,6,8] x, int64[4] z) => (float[] y) {{ y = {call} }}", weights)
    assert caught.value.what == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("Reshape(x, a)", "cannot reshape 192 elements of shape (1, 4, 6, 8) to (1, 7)"),
        ("Gather<axis=1>(x, i)", "an index is outside the 4 entries of axis 1"),
        ("Squeeze(x, o)", "cannot squeeze axes [1] of the shape [1, 4, 6, 8]"),
        ("Transpose<perm=[0,1,1,2]>(x)", "perm (0, 1, 1, 2) of a 4-D tensor"),
        ("Concat<axis=1>(x, c)", "cannot concatenate shapes (1, 4, 6, 8) and (1, 4, 6, 7) along 1"),
        ("Expand(x, a)", "cannot expand [1, 4, 6, 8] to [1, 7]"),
        ("Transpose(x, x)", "has 2 inputs; wanted 1"),
        ("Concat<axis=1>()", "has 0 inputs; wanted 1 or more"),
    ],
)
def test_ill_typed(load, call, message):
    weights = {"a": ints(1, 7), "i": ints(4), "o": ints(1), "c": np.ones((1, 4, 6, 7))}
    with pytest.raises(ImportModelError) as caught:
        load(f"{X} {{ [n1] y = {call} }}", weights)
    assert caught.value.what == message
    assert caught.value.where.startswith("node 'n1'")


def test_shape_arithmetic_folds_away(same):
    text = """g (float[1,4,6,8] x) => (float[] y) {
        s = Shape(x)
        n = Gather(s, first)
        m = Unsqueeze(n, zero)
        t = Concat<axis=0>(m, minus)
        y = Reshape(x, t)
    }"""
    graph = same(text, {"first": np.array(0), "zero": ints(0), "minus": ints(-1)})
    assert [n.op.name for n in graph.nodes] == ["reshape"]
    assert not graph.constants


def test_weights_prepared_in_the_graph_are_constants(same):
    text = """g (float[1,4] x) => (float[] y) {
        t = Transpose(w)
        k = Constant<value_float=2.0>()
        d = Mul(t, k)
        y = MatMul(x, d)
    }"""
    graph = same(text, {"w": np.arange(12, dtype=np.float32).reshape(3, 4)})
    assert [n.op.name for n in graph.nodes] == ["dense"]


@pytest.mark.parametrize("call", ["ConstantOfShape(s)", "Expand(o, s)", "Tile(o, s)"])
def test_constants_of_absurd_size_are_not_computed(load, call):
    weights = {"s": ints(1 << 20, 1 << 20), "o": np.ones((1, 1), np.float32)}
    with pytest.raises(UnsupportedError, match="computes a constant of up to 1099511627776"):
        load(f"g (float[1,4] x) => (float[] y) {{ c = {call}\n y = Add(x, c) }}", weights)


def test_a_product_of_constants_of_absurd_size_is_not_computed(load):
    weights = {"a": np.ones((1 << 15, 1)), "b": np.ones((1, 1 << 15))}
    for kind in ("MatMul", "Add"):
        with pytest.raises(UnsupportedError, match="computes a constant of up to 1073741824"):
            load(f"g (float[1,4] x) => (float[] y) {{ c = {kind}(a, b)\n y = Add(x, c) }}", weights)
    weights = {"a": np.float32(0), "b": np.float32(2**40), "d": np.float32(1)}
    with pytest.raises(UnsupportedError, match="computes a constant of up to 1099511627776"):
        load("g (float[1,4] x) => (float[] y) { c = Range(a, b, d)\n y = Add(x, c) }", weights)


def test_constants_of_ill_typed_nodes(load):
    with pytest.raises(ImportModelError, match="cannot be evaluated") as caught:
        load(
            "g (float[1,4] x) => (float[] y) { [n1] c = Reshape(w, s)\n y = Add(x, c) }",
            {"w": np.ones(5), "s": ints(2, 2)},
        )
    assert caught.value.where == "node 'n1' (Reshape)"


def test_resize_does_not_enumerate_axes_that_keep_their_size(load):
    graph = load(
        "g (float[1,1,2,536870912] x) => (float[] y) { y = Resize(x, , s) }",
        {"s": np.array([1, 1, 2, 1], np.float32)},
    )
    assert graph.types["y"].shape == (1, 1, 4, 536870912)
