"""Every operator against an independent definition (cases.py), alone and in a batch."""

from __future__ import annotations

import numpy as np
import pytest

from lepton_edge.errors import ImportModelError, LeptonError
from lepton_edge.ir.op import OPS, Op, Signature
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops.linear import Conv, Dense, MatMul
from lepton_edge.ir.ops.pool import AveragePool, MaxPool, Reduce, SumPool
from lepton_edge.ir.ops.select import ArgMax, TopK
from lepton_edge.ir.ops.shape import (
    Broadcast,
    Concat,
    Gather,
    InsertZeros,
    Pad,
    RepeatNearest,
    Reshape,
    Slice,
    Transpose,
)
from lepton_edge.ir.types import Array, Float, Int, QuantType, TensorType
from tests.unit.ir.cases import CASES, Case

F = Float()
Q8 = QuantType(8, True, (0.5,))
PER_CHANNEL = QuantType(8, True, (0.5, 1.0), axis=-1)


def signature(case: Case) -> Signature:
    types = tuple(TensorType(array.shape, elem) for array, elem in case.inputs)
    return Signature(types, case.op.infer(types))


@pytest.mark.parametrize("name", list(OPS))
def test_every_op_has_a_case(name: str) -> None:
    assert any(case.op.name == name for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_op_computes_its_definition(case: Case) -> None:
    sig = signature(case)
    arrays = [array for array, _ in case.inputs]
    found = case.op.evaluate(arrays, sig)
    wanted = case.wanted(*arrays)
    if len(sig.outputs) == 1:
        wanted = (wanted,)
    for array, right, type_ in zip(found, wanted, sig.outputs, strict=True):
        assert array.shape == type_.shape
        assert array.dtype == type_.elem.dtype
        compare(array, right, case)


def compare(found: Array, wanted: object, case: Case) -> None:
    right = np.asarray(wanted)
    if found.dtype.kind == "f" and case.is_close:
        with np.errstate(over="ignore"):
            right = right.astype(np.float32)
        np.testing.assert_allclose(found, right, rtol=2e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(found, right)


def others(array: Array, elem: Float | Int | QuantType, seed: int) -> Array:
    """Return two more frames like ``array``, their elements shuffled."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(array.reshape(-1)).reshape(array.shape[1:]) for _ in "ab"])


@pytest.mark.parametrize("case", [c for c in CASES if c.op.is_batchable and c.num_frames], ids=str)
def test_a_batch_gives_what_each_frame_gives(case: Case) -> None:
    sig = signature(case)
    frames = [
        np.concatenate([array, others(array, elem, i)]) if i < case.num_frames else array
        for i, (array, elem) in enumerate(case.inputs)
    ]
    together = case.op.evaluate(frames, sig)
    for n in range(3):
        alone = case.op.evaluate(
            [a[n : n + 1] if i < case.num_frames else a for i, a in enumerate(frames)], sig
        )
        for batch, single in zip(together, alone, strict=True):
            compare(batch[n : n + 1], single, case)


@pytest.mark.parametrize(
    "op",
    [
        Transpose((1, 0)), Concat(0), Slice(0), Gather(0), Pad((1, 0), (0, 0)), ArgMax(0),
        TopK(axis=0), ew.Softmax(0), Reduce("sum", (0,)), Reduce("sum", (0,), keepdims=False),
    ],
    ids=str,
)  # fmt: skip
def test_what_touches_the_batch_axis_is_not_batchable(op: Op) -> None:
    assert not op.is_batchable


def test_multiply_accumulates() -> None:
    x, w = TensorType((1, 4, 4, 2), F), TensorType((3, 2, 2, 2), F)
    conv = Conv()
    assert conv.macs(Signature((x, w), conv.infer((x, w)))) == 3 * 3 * 3 * 2 * 2 * 2
    a, b = TensorType((1, 5), F), TensorType((7, 5), F)
    assert Dense().macs(Signature((a, b), Dense().infer((a, b)))) == 35
    c = TensorType((5, 7), F)
    assert MatMul().macs(Signature((a, c), MatMul().infer((a, c)))) == 35
    assert ew.Relu().macs(Signature((a,), (a,))) == 0


def test_an_accumulator_that_leaves_its_bits_is_an_error_not_a_wrong_code() -> None:
    types = (TensorType((1, 2), Q8), TensorType((1, 2), Q8))
    dense = Dense(acc_bits=10)
    sig = Signature(types, dense.infer(types))
    with pytest.raises(ImportModelError, match=r"left the 10 bits planned for it: 32258\.\.32258"):
        dense.evaluate([np.array([[127, 127]], np.int8)] * 2, sig)


@pytest.mark.parametrize(
    ("kernel", "scale"), [((2, 2), 0.125), ((1, 1), 0.5)], ids=["mean-of-4", "one"]
)
def test_a_sum_pool_stands_for_reals_divided(kernel: tuple[int, int], scale: float) -> None:
    op = SumPool(kernel, divisor=kernel[0] * kernel[1])
    (out,) = op.infer((TensorType((1, 4, 4, 1), Q8),))
    assert out.quant.scale == (scale,)


def types(*shapes_and_elems: object) -> tuple[TensorType, ...]:
    pairs = zip(shapes_and_elems[::2], shapes_and_elems[1::2], strict=True)
    return tuple(TensorType(shape, elem) for shape, elem in pairs)  # type: ignore[arg-type]


IMAGE = (1, 4, 4, 2)

REFUSED: list[tuple[Op, tuple[TensorType, ...], str]] = [
    (Conv(), types(IMAGE, F), "conv takes 2 to 3 inputs, found 1"),
    (Conv(), types((1, 4), F, (1, 4), F), "wanted 4-D input and weights, found f32[1,4] and"),
    (Conv((0, 1)), types(IMAGE, F, (1, 1, 1, 2), F), "strides must be positive, found (0, 1)"),
    (Conv(pads=(0, -1, 0, 0)), types(IMAGE, F, (1, 1, 1, 2), F), "pads must not be negative"),
    (
        Conv(groups=2),
        types(IMAGE, F, (2, 1, 1, 2), F),
        "weights take 2 channels in each of 2 groups, the input has 2 channels",
    ),
    (Conv(groups=2), types(IMAGE, F, (3, 1, 1, 1), F), "weights take 1 channels in each of 2"),
    (Conv(), types(IMAGE, F, (1, 5, 1, 2), F), "window (5, 1) with dilations (1, 1) is larger"),
    (Conv(), types(IMAGE, F, (1, 1, 1, 2), F, (2,), F), "bias is f32[2], wanted shape [1]"),
    (Conv(), types(IMAGE, Q8, (1, 1, 1, 2), Q8, (1,), F), "bias must be float for a float layer"),
    (Conv(), types(IMAGE, Q8, (1, 1, 1, 2), F), "one is quantised"),
    (
        Conv(),
        types(IMAGE, Q8, (2, 1, 1, 2), PER_CHANNEL),
        "weights quantised along axis -1; wanted along the output axis 0",
    ),
    (
        Conv(),
        types(IMAGE, PER_CHANNEL, (1, 1, 1, 2), Q8),
        "a quantised activation needs one scale for the whole tensor",
    ),
    (Dense(), types((1, 3), F, (2, 4), F), "the input has 3 columns, weights 4"),
    (Dense(), types((1, 3), F, (3,), F), "wanted weights [M,K], found"),
    (MatMul(), types((1, 3), Q8, (3, 1), F), "wanted float tensors"),
    (MatMul(), types((), F, (3,), F), "wanted at least one axis"),
    (MatMul(), types((1, 3), F, (4, 1), F), "cannot multiply shapes (1, 3) and (4, 1)"),
    (MatMul(), types((2, 1, 3), F, (3, 3, 1), F), "cannot broadcast shapes (2, 1, 3) and"),
    (MaxPool((5, 5)), types(IMAGE, F), "window (5, 5)"),
    (MaxPool(), types((1, 4), F), "wanted a 4-D input, found f32[1,4]"),
    (AveragePool(), types(IMAGE, Q8), "wanted a float input, found q8<0.5>[1,4,4,2]"),
    (SumPool(), types(IMAGE, PER_CHANNEL), "a quantised activation needs one scale"),
    (Reduce("median", (1,)), types(IMAGE, F), "no reduction is named 'median'"),
    (Reduce("sum", (4,)), types(IMAGE, F), "axes (4,) of a 4-D tensor"),
    (ew.Relu(), types(IMAGE, Int()), "wanted a float input, found i64[1,4,4,2]"),
    (ew.Function("sinc"), types(IMAGE, F), "no function is named 'sinc'"),
    (ew.Add(), types((2,), F, (3,), F), "cannot broadcast shapes (2,) and (3,)"),
    (ew.Add(), types((2,), F, (2,), Q8), "wanted float tensors, found f32[2], q8<0.5>[2]"),
    (ew.Softmax(2), types((1, 2), F), "axis 2 of a 2-D tensor"),
    (Reshape((3,)), types((1, 2), F), "cannot reshape 2 elements of shape (1, 2) to (3,)"),
    (Reshape((2, 1)), types((1, 2), PER_CHANNEL), "must keep the axis that scales run along"),
    (Transpose((0, 0)), types((1, 2), F), "perm (0, 0) of a 2-D tensor"),
    (Transpose((1, 0)), types((1, 2), PER_CHANNEL), "a scale for each channel is not supported"),
    (Concat(2), types((1, 2), F), "axis 2 of a 2-D tensor"),
    (Concat(1), types(), "concat takes at least one input"),
    (Concat(1), types((1, 2), F, (1, 2), Q8), "element types differ"),
    (Concat(1), types((1, 2), F, (2, 2), F), "cannot concatenate shapes (1, 2) and (2, 2) along 1"),
    (Slice(1, 2, 2), types((1, 4), F), "slice 2:2:1 of an axis of 4 keeps nothing"),
    (Slice(1, 0, 2, 0), types((1, 4), F), "slice 0:2:0"),
    (Slice(1, 0, 5), types((1, 4), F), "slice 0:5:1 of an axis of 4"),
    (Pad((0,), (0,)), types((1, 4), F), "pads for 1 axes of a 2-D tensor"),
    (Pad((0, -1), (0, 0)), types((1, 4), F), "pads must not be negative"),
    (RepeatNearest((0, 1)), types(IMAGE, F), "factors (0, 1) of f32[1,4,4,2]"),
    (InsertZeros((1, 0)), types(IMAGE, F), "factors (1, 0) of f32[1,4,4,2]"),
    (Gather(1, (4,)), types((1, 4), F), "an index is outside 0..3"),
    (Broadcast((1, 3)), types((1, 4), F), "cannot broadcast shape (1, 4) to (1, 3)"),
    (ArgMax(1), types((1, 2), PER_CHANNEL), "argmax of codes needs one scale"),
    (TopK(3), types((1, 2), F), "k=3 of 2 elements"),
    (q.Quantize(Q8), types((1, 2), Q8), "wanted a float input"),
    (q.Quantize(PER_CHANNEL), types((1, 3), F), "2 scales along axis -1 of shape (1, 3)"),
    (q.Dequantize(), types((1, 2), F), "wanted codes, found f32[1,2]"),
    (
        q.Requantize(Q8),
        types((1, 4), Q8, (3,), Int(), (1,), Int()),
        "multiplier has shape (3,); wanted one entry, or one for each of the 4 channels",
    ),
    (q.Requantize(Q8, 63), types((1, 4), Q8, (1,), Int(), (1,), Int()), "shift 63 is not in 0..62"),
    (
        q.Requantize(Q8, 0, -128, 128),
        types((1, 4), Q8, (1,), Int(), (1,), Int()),
        "clamp -128..128 is not within q8<0.5>",
    ),
    (
        q.Threshold(Q8, 127),
        types((1, 4), Q8, (1, 2), Int(), (1,), Int()),
        "2 thresholds from 127 leave q8<0.5>",
    ),
    (q.Lookup(Q8), types((1, 4), Q8, (1, 255), Int()), "wanted a table with 256 entries"),
    (
        q.Lookup(Q8),
        types((1, 4), QuantType(17, True, (1.0,)), (1, 2), Int()),
        "wanted codes of at most 16 bits",
    ),
    (q.ScaledAdd(Q8), types((1, 2), Q8, (1, 3), Q8), "cannot add shapes (1, 2) and (1, 3)"),
    (q.ScaledAdd(Q8), types((1, 2), Q8, (1, 2), PER_CHANNEL), "wanted one scale for each input"),
    (q.Product(), types(IMAGE, Q8, (1, 4, 1, 2), Q8), "cannot multiply shapes (1, 4, 4, 2) and"),
    (q.SoftmaxCodes(Q8), types((1, 4), Q8, (255,), Int()), "wanted 256 entries"),
    (
        q.SoftmaxCodes(Q8, 1 << 15),
        types((1, 4), Q8, (256,), Int()),
        "32768/1 is not a fraction of 15-bit integers",
    ),
]


@pytest.mark.parametrize(("op", "inputs", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_ill_typed_inputs_are_refused_with_the_reason(
    op: Op, inputs: tuple[TensorType, ...], message: str
) -> None:
    with pytest.raises(LeptonError) as caught:
        op.infer(inputs)
    assert message in caught.value.what
