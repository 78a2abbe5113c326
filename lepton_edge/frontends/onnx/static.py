"""Evaluation of what is known at import: shape arithmetic, weight preparation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.frontends.onnx.table import words
from lepton_edge.ir.types import Array

MAX_STATIC_BYTES = 256 << 20
"""Largest array that is computed at import."""

MOVES = frozenset(words("Transpose Reshape Squeeze Unsqueeze Flatten Identity Slice Split Gather"))
"""Operators that move the elements of their first input and compute nothing."""

_ELEMENTWISE = frozenset(
    words(
        """Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr
    BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater
    GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min
    Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Sinh Softplus
    Softsign Sqrt Sub Sum Tan Tanh Where Xor"""
    )
)

_NOT_LARGER = frozenset(
    words(
        """ArgMax ArgMin Compress Concat CumSum DepthToSpace Flatten GatherElements Identity
    LogSoftmax ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Reshape ScatterElements ScatterND Shape Size Slice Softmax
    SpaceToDepth Split Squeeze Transpose Trilu Unsqueeze"""
    )
)

_Estimate = Callable[[onnx.NodeProto, Sequence[Array]], int]


def _numbers(array: Array) -> list[int]:
    if array.dtype.kind not in "iu":
        raise ImportModelError(f"wanted integers, found {array.dtype}")
    return [max(0, int(v)) for v in array.reshape(-1)]


def _expanded(_: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    wanted = tuple(_numbers(arrays[1]))
    if math.prod(wanted) * arrays[0].size <= 1 << 20:
        return 0
    try:
        return math.prod(np.broadcast_shapes(arrays[0].shape, wanted))
    except ValueError:
        raise ImportModelError(f"cannot expand {list(arrays[0].shape)} to {wanted}") from None


def _constant_of_shape(_: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    return math.prod(_numbers(arrays[0]))


def _tile(_: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    return arrays[0].size * math.prod(_numbers(arrays[1]))


def _range(_: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    start, limit, delta = (float(a.reshape(-1)[0]) for a in arrays)
    if delta == 0 or not all(map(math.isfinite, (start, limit, delta))):
        raise ImportModelError(f"counts from {start} to {limit} in steps of {delta}")
    return max(0, math.ceil((limit - start) / delta))


def _padded(proto: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    given = [v for a in proto.attribute if a.name in ("pads", "paddings") for v in a.ints]
    grown = max(given if len(arrays) < 2 else _numbers(arrays[1]), default=0)
    return math.prod(s + 2 * grown for s in arrays[0].shape)


def _gathered(proto: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    axis = next((a.i for a in proto.attribute if a.name == "axis"), 0)
    if not -arrays[0].ndim <= axis < arrays[0].ndim:
        raise ImportModelError(f"axis {axis} of a {arrays[0].ndim}-D tensor")
    return int(arrays[0].size // max(1, arrays[0].shape[axis]) * arrays[1].size)


def _one_hot(_: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    return arrays[0].size * max(_numbers(arrays[1]), default=0)


def _matrix_product(_: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    a, b = arrays[:2]
    rows = math.prod(a.shape[:-1])
    return rows * math.prod((*b.shape[:-2], *b.shape[-1:])) if b.ndim else a.size


_ESTIMATES: dict[str, _Estimate] = {
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expanded,
    "EyeLike": lambda _, arrays: arrays[0].size,
    "Gather": _gathered,
    "Gemm": lambda _, arrays: arrays[0].size * arrays[1].size,
    "MatMul": _matrix_product,
    "NonZero": lambda _, arrays: arrays[0].size * max(1, arrays[0].ndim),
    "OneHot": _one_hot,
    "Pad": _padded,
    "Range": _range,
    "Tile": _tile,
}


def is_foldable(op_type: str) -> bool:
    """Return whether nodes of this kind are evaluated when all their inputs are known."""
    return op_type in _ELEMENTWISE or op_type in _NOT_LARGER or op_type in _ESTIMATES


def _num_elements(proto: onnx.NodeProto, arrays: Sequence[Array]) -> int:
    kind = proto.op_type
    if kind in _ELEMENTWISE:
        try:
            return math.prod(np.broadcast_shapes(*(a.shape for a in arrays)))
        except ValueError:
            shapes = " and ".join(str(list(a.shape)) for a in arrays)
            raise ImportModelError(f"cannot broadcast the shapes {shapes}") from None
    if kind in _NOT_LARGER:
        return sum(a.size for a in arrays)
    return _ESTIMATES[kind](proto, arrays)


def evaluate(
    proto: onnx.NodeProto, arrays: Sequence[Array | None], opset: int
) -> tuple[Array, ...]:
    """Compute a node whose inputs are known, with onnx's reference implementation.

    Args:
        proto: the node.
        arrays: its inputs; None for absent optional ones.
        opset: the version of its operator set.

    Raises:
        ImportModelError: the inputs do not fit the operator.
        UnsupportedError: the result is too large.
    """
    present = [a for a in arrays if a is not None]
    try:
        count = _num_elements(proto, present)
    except (IndexError, ValueError, OverflowError):
        shapes = ", ".join(str(list(a.shape)) for a in present)
        raise ImportModelError(f"does not take constants of the shapes {shapes}") from None
    if count * 8 > MAX_STATIC_BYTES:
        raise UnsupportedError(
            f"computes a constant of up to {count} elements; at most "
            f"{MAX_STATIC_BYTES >> 20} MiB are computed at import",
            hint="compute it at run time from a smaller constant, or check the shape inputs",
        )
    names = [f"i{n}" if a is not None else "" for n, a in enumerate(arrays)]
    node = onnx.NodeProto()
    node.CopyFrom(proto)
    del node.input[:], node.output[:]
    node.domain = ""
    node.input.extend(names)
    node.output.extend(f"o{n}" for n in range(len(proto.output)))
    feeds = {n: a for n, a in zip(names, arrays, strict=True) if a is not None}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = _reference(node, opset)(feeds)
    except (
        ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError,
        NotImplementedError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        # whatever the reference implementation trips over in ill-typed inputs
        raise ImportModelError(f"cannot be evaluated: {_first_line(error)}") from None
    if not all(isinstance(r, np.ndarray | np.generic) for r in results):
        raise UnsupportedError("computes something that is not a tensor")
    return tuple(np.asarray(r) for r in results)


def _reference(node: onnx.NodeProto, opset: int) -> Callable[[dict[str, Array]], list[Array]]:
    from onnx.reference import ReferenceEvaluator

    inputs = [onnx.ValueInfoProto(name=name) for name in node.input if name]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = onnx.helper.make_graph([node], "static", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[_operator_set(opset)])
    evaluator: Any = ReferenceEvaluator(model)
    return lambda feeds: list(evaluator.run(None, feeds))


@cache
def _operator_set(version: int) -> onnx.OperatorSetIdProto:
    return onnx.helper.make_opsetid("", version)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
