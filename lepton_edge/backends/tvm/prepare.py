"""What a network goes through before its kernels: rewrites that suit processors, all exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lepton_edge.backends.tvm.machine import Machine
from lepton_edge.ir.graph import Graph, Node, Rewriter
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops.linear import Conv
from lepton_edge.ir.ops.shape import Reshape
from lepton_edge.ir.types import QuantType

BYTE_BITS = 8


def prepared(graph: Graph, machine: Machine) -> Graph:
    """Return the network as a processor's kernels want it."""
    folded = with_constants_folded(graph)
    return with_copies(with_unsigned_codes(folded) if machine.wants_unsigned else folded)


def with_copies(graph: Graph) -> Graph:
    """Return the network with a copy of its inputs and outputs for layers that pad them.

    The caller's arrays have no border.
    """
    outside = {*graph.inputs, *graph.outputs}
    new = Rewriter(graph)
    for node in graph.nodes:
        inputs = [new[value] for value in node.inputs]
        if isinstance(node.op, Conv) and any(node.op.pads) and node.inputs[0] in outside:
            shape = Reshape(graph.types[node.inputs[0]].shape)
            inputs[0] = new.emit1(shape, inputs[:1], name=f"{node.name}_input")
        new.copy(node, inputs=inputs)
    return new.done()


def with_constants_folded(graph: Graph) -> Graph:
    """Return the network without nodes that read constants alone."""
    new = Rewriter(graph)
    known = dict(graph.constants)
    for node in graph.nodes:
        if not all(value in known for value in node.inputs):
            new.copy(node)
            continue
        sig = graph.signature(node)
        results = node.op.evaluate([known[v] for v in node.inputs], sig)
        for value, array, type_ in zip(node.outputs, results, sig.outputs, strict=True):
            known[value] = array
            new.replace(value, new.constant(array, type_.elem, value))
    return new.done()


# -- unsigned codes -------------------------------------------------------------------------------


def with_unsigned_codes(graph: Graph) -> Graph:
    """Return the network with unsigned activations of up to 8 bits wherever nobody outside sees.

    A signed code moves up by half of its range, and its zero point with it, so that it stands for
    the same real. What is computed from ``code - zero_point`` stays as it is; the other ops on
    codes get other constants.
    """
    new = Rewriter(graph)
    for value in graph.inputs:
        elem = graph.types[value].elem
        if _moves(elem) and graph.consumers[value]:
            out = _moved(graph.types[value].quant)
            constants = [new.constant(np.array([v])) for v in (1, _offset(elem))]
            op = q.Requantize(out, 0, out.lowest, out.highest)
            new.replace(value, new.emit1(op, [value, *constants], name=f"{value}_unsigned"))
    for node in graph.nodes:
        _rewrite(new, node)
    return new.done()


def _moves(elem: object) -> bool:
    """Whether a type is one of signed codes that fit a byte."""
    return (
        isinstance(elem, QuantType)
        and elem.signed
        and elem.bits <= BYTE_BITS
        and elem.is_per_tensor
        and not elem.bipolar
    )


def _offset(elem: object) -> int:
    """Return by how much codes of a type move."""
    assert isinstance(elem, QuantType)
    return 1 << (elem.bits - 1)


def _moved(quant: QuantType) -> QuantType:
    """Return the unsigned type."""
    zero = tuple(z + _offset(quant) for z in quant.zero_point)
    return QuantType(quant.bits, False, quant.scale, zero)


def _rewrite(new: Rewriter, node: Node) -> None:
    """Copy a node, with what it makes of codes, and the codes that it makes, moved."""
    graph, op = new.graph, node.op
    inputs = [new[value] for value in node.inputs]
    before, after = graph.types[node.inputs[0]], new.type_of(inputs[0])
    by = 0 if before.elem == after.elem else _offset(before.elem)
    arrays = [new.constant_of(value) for value in inputs]
    if by and isinstance(op, q.Requantize):
        multiplier, addend = (np.asarray(a, np.int64) for a in arrays[1:])
        inputs[2] = new.constant(addend - multiplier * by)
    elif by and isinstance(op, q.Threshold):
        thresholds, sign = (np.asarray(a, np.int64) for a in arrays[1:])
        inputs[1] = new.constant(thresholds + sign[:, np.newaxis] * by)
    elif by and isinstance(op, (q.Lookup, q.SoftmaxCodes)) and before.quant.narrow:
        # One more code, which never comes: the lowest, and with it the largest difference.
        side = (1, 0) if isinstance(op, q.Lookup) else (0, 1)
        table = np.asarray(arrays[1])
        widths = [(0, 0)] * (table.ndim - 1) + [side]
        elem = new.type_of(inputs[1]).elem
        inputs[1] = new.constant(np.pad(table, widths, mode="edge"), elem)
    is_inside = not any(value in graph.outputs for value in node.outputs)
    if is_inside and isinstance(op, MAKERS) and _moves(op.out) and not _clamps_by_type(op):
        op, inputs = _with_moved_codes(new, op, inputs)
    new.copy(node, op, inputs)


MAKERS = (q.Quantize, q.Requantize, q.Threshold, q.Lookup, q.SoftmaxCodes)
"""Ops that say which type their codes have."""


def _clamps_by_type(op: object) -> bool:
    """Whether an op never gives the lowest code because its type has none."""
    return isinstance(op, (q.Quantize, q.SoftmaxCodes)) and op.out.narrow


def _with_moved_codes(new: Rewriter, op: Op, inputs: list[str]) -> tuple[Op, list[str]]:
    """Return an op, and its inputs, that gives unsigned codes for signed ones."""
    assert isinstance(op, MAKERS)
    by, out = _offset(op.out), _moved(op.out)
    if isinstance(op, q.Requantize):
        addend = np.asarray(new.constant_of(inputs[2]), np.int64) + (by << op.shift)
        lowest, highest = op.lowest + by, op.highest + by
        op = replace(op, out=out, lowest=lowest, highest=highest)
        return op, [*inputs[:2], new.constant(addend)]
    if isinstance(op, q.Threshold):
        return replace(op, out=out, lowest=op.lowest + by), inputs
    if isinstance(op, q.Lookup):
        table = np.asarray(new.constant_of(inputs[1]), np.int64) + by
        return replace(op, out=out), [inputs[0], new.constant(table)]
    return replace(op, out=out), inputs
