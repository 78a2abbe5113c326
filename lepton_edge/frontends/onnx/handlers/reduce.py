"""Reductions, arg max, top k."""

from __future__ import annotations

from lepton_edge.frontends.onnx.handlers.shape import optional_axes
from lepton_edge.frontends.onnx.layout import enter_channels_last
from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.table import handles
from lepton_edge.ir.ops.elementwise import Add, Function, Mul, Sub
from lepton_edge.ir.ops.pool import AveragePool, MaxPool, Reduce
from lepton_edge.ir.ops.select import ArgMax, TopK
from lepton_edge.ir.ops.shape import Reshape, Transpose

_KINDS = {
    "ReduceMean": "mean",
    "ReduceSum": "sum",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "prod",
}


def _axes(node: NodeView) -> tuple[tuple[int, ...], bool] | None:
    """Return the axes and keepdims; None when the node does nothing."""
    rank = node.type_at(0).rank
    axes = optional_axes(node, 13 if node.proto.op_type == "ReduceSum" else 18)
    if not axes:
        if node.attr_int("noop_with_empty_axes", 0):
            return None
        axes = tuple(range(rank))
    normal = tuple(sorted({node.normal_axis(a, rank) for a in axes}))
    return normal, bool(node.attr_int("keepdims", 1))


@handles(*_KINDS)
def _reduce(node: NodeView) -> None:
    found = _axes(node)
    if found is None:
        node.define(node.value(0))
        return
    axes, keepdims = found
    kind = _KINDS[node.proto.op_type]
    shape = node.type_at(0).shape
    if len(shape) == 4 and axes == (2, 3) and kind in ("mean", "max") and node.type_at(0).is_float:
        _reduce_image(node, kind, keepdims)
    else:
        node.result(Reduce(kind, axes, keepdims), [node.value(0)])


def _reduce_image(node: NodeView, kind: str, keepdims: bool) -> None:
    """The mean or maximum of whole channels is a pool over the whole image."""
    n, c, h, w = node.type_at(0).shape
    pool = AveragePool if kind == "mean" else MaxPool
    x = enter_channels_last(node, node.value(0))
    pooled = node.emit(pool((h, w), (h, w)), [x])
    if keepdims:
        node.result(Transpose((0, 3, 1, 2)), [pooled], "nchw")
    else:
        node.result(Reshape((n, c)), [pooled], "squeeze")


@handles("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")
def _composed_reduce(node: NodeView) -> None:
    """Sums of absolute values, squares or exponentials."""
    kind = node.proto.op_type
    axes, keepdims = _axes(node) or ((), True)
    x = node.value(0)
    if kind == "ReduceLogSumExp":
        _log_sum_exp(node, axes, keepdims)
        return
    if kind == "ReduceL1":
        x = node.emit(Function("abs"), [x], "abs")
    elif kind != "ReduceLogSum":
        x = node.emit(Mul(), [x, x], "square")
    total = Reduce("sum", axes, keepdims)
    if kind in ("ReduceL1", "ReduceSumSquare"):
        node.result(total, [x])
    else:
        outer = Function("log" if kind == "ReduceLogSum" else "sqrt")
        node.result(outer, [node.emit(total, [x])], outer.kind)


def _log_sum_exp(node: NodeView, axes: tuple[int, ...], keepdims: bool) -> None:
    x = node.value(0)
    top = node.emit(Reduce("max", axes, True), [x], "max")
    shifted = node.emit(Sub(), [x, top], "shifted")
    exp = node.emit(Function("exp"), [shifted], "exp")
    total = node.emit(Reduce("sum", axes, True), [exp])
    log = node.emit(Function("log"), [total], "log")
    if keepdims:
        node.result(Add(), [log, top], "add")
        return
    summed = node.emit(Add(), [log, top], "add")
    shape = node.type_at(0).shape
    kept = tuple(s for i, s in enumerate(shape) if i not in axes)
    node.result(Reshape(kept), [summed], "squeeze")


@handles("ArgMax", "ArgMin")
def _arg_max(node: NodeView) -> None:
    type_ = node.type_at(0)
    if node.attr_int("select_last_index", 0):
        raise node.refuse("select_last_index=1 is not supported", "the first index is selected")
    axis = node.axis("axis", 0, type_.rank)
    x = node.value(0)
    if node.proto.op_type == "ArgMin":
        x = node.emit(Function("neg"), [x], "neg")
    node.result(ArgMax(axis, bool(node.attr_int("keepdims", 1))), [x])


@handles("TopK")
def _top_k(node: NodeView) -> None:
    if node.opset < 10:
        k = node.attr_int("k", 0)
    else:
        given = node.integers(1, "k")
        if len(given) != 1:
            raise node.wrong(f"k must be one number, found {list(given)}")
        (k,) = given
    axis = node.axis("axis", -1, node.type_at(0).rank)
    op = TopK(k, axis, bool(node.attr_int("largest", 1)))
    node.result(op, [node.value(0)], count=2)
