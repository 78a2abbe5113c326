"""Matrix products."""

from __future__ import annotations

import numpy as np

from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.table import handles
from lepton_edge.ir.ops.elementwise import Add, Mul
from lepton_edge.ir.ops.linear import Dense, MatMul
from lepton_edge.ir.ops.shape import Transpose


@handles("MatMul")
def _matmul(node: NodeView) -> None:
    right = node.static(1)
    if right is not None and len(right.shape) == 2:
        weights = node.place(right.transposed(1, 0).scaled_by_row())
        node.result(Dense(), [node.value(0), weights])
        return
    node.result(MatMul(), [node.value(0), node.value(1)])


@handles("Gemm")
def _gemm(node: NodeView) -> None:
    alpha, beta = node.attr_float("alpha", 1.0), node.attr_float("beta", 1.0)
    a_type = node.type_at(0)
    if a_type.rank != 2:
        raise node.wrong(f"wanted a 2-D input, found {a_type}")
    a = node.value(0)
    if node.attr_int("transA", 0):
        a = node.emit(Transpose((1, 0)), [a], "transpose_a")
    bias = node.static(2)
    right = node.static(1)
    has_bias = node.has_input(2) and beta != 0.0
    plain_bias = bias is not None and len(bias.shape) == 1 and alpha == beta == 1.0
    inputs = [a]
    if right is None:
        b = node.value(1)
        if node.attr_int("transB", 0):
            b = node.emit(Transpose((1, 0)), [b], "transpose_b")
        inputs.append(b)
        fused = False
    else:
        if len(right.shape) != 2:
            raise node.wrong(f"wanted a 2-D right operand, found shape {list(right.shape)}")
        weights = right if node.attr_int("transB", 0) else right.transposed(1, 0)
        inputs.append(node.place(weights.scaled_by_row()))
        fused = has_bias and plain_bias and bias is not None and bias.shape == weights.shape[:1]
        if fused and bias is not None:
            inputs.append(node.place(bias))
    op = MatMul() if right is None else Dense()
    scales = alpha != 1.0
    adds = has_bias and not fused
    if not scales and not adds:
        node.result(op, inputs)
        return
    product = node.emit(op, inputs)
    if scales:
        factor = node.number(alpha, "alpha")
        if not adds:
            node.result(Mul(), [product, factor], "scale")
            return
        product = node.emit(Mul(), [product, factor], "scale")
    addend = node.value(2)
    if beta != 1.0:
        if bias is not None:
            addend = node.number(np.float32(beta) * bias.real, "beta_bias")
        else:
            addend = node.emit(Mul(), [addend, node.number(beta, "beta")], "scale_bias")
    node.result(Add(), [product, addend], "bias")
