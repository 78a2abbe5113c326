"""What a network goes through before its kernels: rewrites that suit processors, all exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lepton_edge.backends.tvm.groups import MOVES
from lepton_edge.backends.tvm.machine import Machine
from lepton_edge.ir.graph import Graph, Node, Rewriter
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.ops.pool import MaxPool
from lepton_edge.ir.ops.select import TopK
from lepton_edge.ir.ops.shape import Reshape
from lepton_edge.ir.types import QuantType, TensorType
from lepton_edge.passes.fold_constants import FoldConstants

BYTE_BITS = 8


def prepared(graph: Graph, machine: Machine) -> Graph:
    """Return the network as a processor's kernels want it."""
    folded = FoldConstants(folds_weights=True).run(graph)
    sign = machine.byte_sign
    return with_copies(folded if sign is None else with_layer_inputs(folded, is_signed=sign))


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


# -- signs ----------------------------------------------------------------------------------------


def with_layer_inputs(graph: Graph, *, is_signed: bool) -> Graph:
    """Return the network with signed, or unsigned, bytes as inputs of its layers.

    Codes move by half of their range, and their zero point with them, so that they stand for the
    same reals. What is computed from ``code - zero_point`` stays as it is; the other ops on codes
    get other constants.
    """
    return _Moving(graph, is_signed).run()


class _Moving:
    """Copies a network, with codes moved where layers want them to be."""

    def __init__(self, graph: Graph, is_signed: bool) -> None:
        self.graph = graph
        self.new = Rewriter(graph)
        self.is_signed = is_signed
        self.wanted = _read_by_layers(graph, is_signed)
        self.moved: dict[str, str] = {}

    def run(self) -> Graph:
        for value in self.graph.inputs:
            self._move(value)
        for node in self.graph.nodes:
            self._copy(node)
        return self.new.done()

    def _copy(self, node: Node) -> None:
        """Copy a node, with what it makes of codes, and the codes that it makes, moved."""
        new, op = self.new, node.op
        inputs = [self.moved.get(value, new[value]) for value in node.inputs]
        inputs = _on_moved_codes(new, node, inputs)
        is_inside = not any(value in self.graph.outputs for value in node.outputs)
        is_wanted = any(value in self.wanted for value in node.outputs)
        makes = isinstance(op, MAKERS) and _moves(op.out, self.is_signed)
        if is_inside and is_wanted and makes and not _clamps_by_type(op):
            op, inputs = _with_moved_codes(new, op, inputs)
        new.copy(node, op, inputs)
        for value in node.outputs:
            if value in self.graph.outputs and new.type_of(new[value]) != self.graph.types[value]:
                self.moved[value] = new[value]
                new.replace(value, self._shifted(value, new[value], self.graph.types[value]))
            else:
                self._move(value)

    def _move(self, value: str) -> None:
        """Give a value that is wanted with the other sign a twin, unless it has moved already."""
        type_ = self.new.type_of(self.new[value])
        if value in self.wanted and _moves(type_.elem, self.is_signed):
            moved = type_.with_elem(_moved(type_.quant))
            self.moved[value] = self._shifted(value, self.new[value], moved)

    def _shifted(self, name: str, value: str, to: TensorType) -> str:
        """Return a value's codes as those of a type with another zero point."""
        by = to.quant.zero_point[0] - self.new.type_of(value).quant.zero_point[0]
        constants = [self.new.constant(np.array([v])) for v in (1, by)]
        op = q.Requantize(to.quant, 0, to.quant.lowest, to.quant.highest)
        return self.new.emit1(op, [value, *constants], name=f"{name}_moved")


def _read_by_layers(graph: Graph, is_signed: bool) -> set[str]:
    """Return the codes of the other sign that reach a layer as they are, or moved about."""
    wanted: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node.op, (Conv, Dense)):
            wanted.add(node.inputs[0])
        elif isinstance(node.op, PASSING) and any(value in wanted for value in node.outputs):
            wanted.update(node.inputs)
    return {value for value in wanted if _moves(graph.types[value].elem, is_signed)}


PASSING = (*MOVES, MaxPool, TopK)
"""Ops whose results are codes that they have read."""


def _moves(elem: object, is_signed: bool) -> bool:
    """Whether codes must move to become signed bytes, or unsigned ones."""
    if not isinstance(elem, QuantType) or not elem.is_per_tensor or elem.bipolar:
        return False
    if is_signed:
        return not elem.signed and elem.bits == BYTE_BITS  # fewer bits are positive anyway
    return elem.signed and elem.bits <= BYTE_BITS


def _offset(elem: object) -> int:
    """Return by how much codes of a type move to get the other sign."""
    assert isinstance(elem, QuantType)
    half = 1 << (elem.bits - 1)
    return half if elem.signed else -half


def _moved(quant: QuantType) -> QuantType:
    """Return the type with the other sign."""
    zero = tuple(z + _offset(quant) for z in quant.zero_point)
    return QuantType(quant.bits, not quant.signed, quant.scale, zero)


def _on_moved_codes(new: Rewriter, node: Node, inputs: list[str]) -> list[str]:
    """Return the inputs of a node, with constants that suit codes which have moved."""
    before, after = new.graph.types[node.inputs[0]], new.type_of(inputs[0])
    if before.elem == after.elem:
        return inputs
    op, by = node.op, _offset(before.elem)
    arrays = [new.constant_of(value) for value in inputs]
    if isinstance(op, q.Requantize):
        multiplier, addend = (np.asarray(a, np.int64) for a in arrays[1:])
        return [*inputs[:2], new.constant(addend - multiplier * by)]
    if isinstance(op, q.Threshold):
        thresholds, sign = (np.asarray(a, np.int64) for a in arrays[1:])
        return [inputs[0], new.constant(thresholds + sign[:, np.newaxis] * by), inputs[2]]
    if isinstance(op, (q.Lookup, q.SoftmaxCodes)) and before.quant.narrow:
        # One more code, which never comes: the lowest, and with it the largest difference.
        side = (1, 0) if isinstance(op, q.Lookup) else (0, 1)
        table = np.asarray(arrays[1])
        widths = [(0, 0)] * (table.ndim - 1) + [side]
        elem = new.type_of(inputs[1]).elem
        return [inputs[0], new.constant(np.pad(table, widths, mode="edge"), elem)]
    return inputs


MAKERS = (q.Quantize, q.Requantize, q.Threshold, q.Lookup, q.SoftmaxCodes)
"""Ops that say which type their codes have."""


def _clamps_by_type(op: object) -> bool:
    """Whether an op never gives the lowest code because its type has none."""
    return isinstance(op, (q.Quantize, q.SoftmaxCodes)) and op.out.narrow


def _with_moved_codes(new: Rewriter, op: Op, inputs: list[str]) -> tuple[Op, list[str]]:
    """Return an op, and its inputs, that gives codes of the other sign."""
    assert isinstance(op, MAKERS)
    by, out = _offset(op.out), _moved(op.out)
    if isinstance(op, q.Requantize):
        addend = np.asarray(new.constant_of(inputs[2]), np.int64) + by * (1 << op.shift)
        lowest, highest = op.lowest + by, op.highest + by
        op = replace(op, out=out, lowest=lowest, highest=highest)
        return op, [*inputs[:2], new.constant(addend)]
    if isinstance(op, q.Threshold):
        return replace(op, out=out, lowest=op.lowest + by), inputs
    if isinstance(op, q.Lookup):
        table = np.asarray(new.constant_of(inputs[1]), np.int64) + by
        return replace(op, out=out), [inputs[0], new.constant(table)]
    return replace(op, out=out), inputs
