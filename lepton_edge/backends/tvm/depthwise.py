"""Depthwise convolutions: sums of a few pixels, a vector of channels each, stay in registers."""

from __future__ import annotations

import numpy as np
from tvm.script import tirx as T

from lepton_edge.backends.tvm.definitions.codes import reach
from lepton_edge.backends.tvm.groups import Group
from lepton_edge.backends.tvm.loops import LayerLoops
from lepton_edge.backends.tvm.machine import Machine
from lepton_edge.backends.tvm.tir import (
    Buffer,
    Expr,
    Memory,
    Param,
    cast,
    get,
    load,
    part,
    pieces,
    put,
    register,
    runs,
    shared,
    some,
    store,
)
from lepton_edge.backends.tvm.views import Constants, Storage, View
from lepton_edge.errors import InternalError
from lepton_edge.ir.graph import Graph, Node
from lepton_edge.ir.ops.linear import Conv
from lepton_edge.ir.types import Float, QuantType, TensorType

LEAST_SHARED = 60_000
"""Products from which on threads share a layer."""


def is_depthwise(graph: Graph, group: Group) -> bool:
    """Whether a group's anchor is a layer that this module has loops for."""
    node = group.anchor
    if node is None or not isinstance(node.op, Conv):
        return False
    if any(value not in graph.constants for value in node.inputs[1:]):
        return False
    x, w = (graph.types[v] for v in node.inputs[:2])
    if node.op.groups != x.shape[3] or w.shape[0] != x.shape[3]:
        return False
    if isinstance(x.elem, Float):
        return True
    if not (isinstance(x.elem, QuantType) and isinstance(w.elem, QuantType)):
        return False
    if graph.types[node.output].quant.bits > 32:
        return False
    terms = w.num_elements // w.shape[0]
    return x.elem.is_per_tensor and 2 * reach(x.elem) * reach(w.elem) * terms < 1 << 31


def depthwise(
    graph: Graph, node: Node, source: Storage, output: Storage, x: Param, machine: Machine
) -> LayerLoops:
    """Return the loops of a layer. See contraction."""
    if not isinstance(node.op, Conv):
        raise InternalError("this is no convolution", where=node.name)
    return _Loops(graph, node, node.op, source, x, machine)


class _Loops:
    """The loops of a layer."""

    def __init__(
        self, graph: Graph, node: Node, op: Conv, source: Storage, x: Param, machine: Machine
    ) -> None:
        self.op = op
        self.source, self.x, self.machine = source, x, machine
        self.shape = graph.types[node.output].shape
        elem, weights = source.type.elem, graph.constants[node.inputs[1]]
        bias = graph.constants[node.inputs[2]] if len(node.inputs) == 3 else None
        self.dtype = "float32"
        if isinstance(elem, QuantType):
            self.dtype = "int32"
            weights = graph.types[node.inputs[1]].quant.centre(weights)
            start = np.zeros(len(weights), np.int64) if bias is None else bias.astype(np.int64)
            start = start - elem.zero_point[0] * weights.reshape(len(weights), -1).sum(axis=1)
            weights = weights * elem.step
        else:
            start = np.zeros(len(weights), np.float32) if bias is None else bias
        self.constants = Constants()
        self.kernel = weights.shape[1:3]
        taps = np.moveaxis(weights[..., 0], 0, -1)  # [KH,KW,C]
        self.weights = self.constants.add(taps, self.dtype)
        self.start = self.constants.add(start, self.dtype)
        self.corner = (source.border[0] - self.op.pads[0], source.border[1] - self.op.pads[1])
        products = int(np.prod(self.shape)) * taps.shape[0] * taps.shape[1]
        self.is_shared = self.shape[1] > 1 and products >= LEAST_SHARED
        self._sum: Expr = None
        self._first = 0
        self._lanes = 1

    def sums(self, type_: TensorType) -> View:
        """Return the sums of the pixel that is being stored, as a view."""

        def at(memory: Memory, index: object, lanes: int) -> Expr:
            value = self._sum if lanes == self._lanes else part(self._sum, self._first, lanes)
            return cast(value, str(type_.elem.dtype), lanes)

        return View(type_, at, self.machine.lanes)

    def emit(self, memory: Memory, view: View, target: Buffer, output: Storage) -> None:
        """Write the loops over vectors of channels, rows and tiles of pixels."""
        _, height, width, channels = self.shape
        widest = self.machine.lanes
        pixels = min(width, self.machine.num_registers // 4)
        groups = [(begin, lanes, 1) for begin, lanes in pieces(channels % widest, widest)]
        whole = channels // widest
        if whole:
            groups = [(whole * widest + b, lanes, 1) for b, lanes, _ in groups]
            groups.insert(0, (0, widest, whole))
        for begin, lanes, count in groups:
            rows = shared(height, memory) if self.is_shared else some(height)
            with some(count) as i, rows as y:
                channel = begin + i * lanes
                for first, size, tiles in runs(width, pixels):
                    with some(tiles) as tile:
                        x = first + tile * size
                        self._tile(memory, view, target, output, channel, lanes, y, x, size)

    def _tile(
        self, memory: Memory, view: View, target: Buffer, output: Storage,
        channel: Expr, lanes: int, y: Expr, x: Expr, pixels: int,
    ) -> None:  # fmt: skip
        """Write the sums of a tile, and store what becomes of them."""
        sums = [register(self.dtype, lanes) for _ in range(pixels)]
        for total in sums:
            put(total, load(memory[self.start], channel, lanes), lanes)
        op, (kh, kw) = self.op, self.kernel
        _, _, stored_width, channels = self.source.shape
        with some(kh) as i:
            row = y * op.strides[0] + i * op.dilations[0] + self.corner[0]
            for j in range(kw):
                place = (i * kw + j) * channels + channel
                weight = T.Bind(load(memory[self.weights], place, lanes))
                for p, total in enumerate(sums):
                    column = (x + p) * op.strides[1] + j * op.dilations[1] + self.corner[1]
                    offset = (row * stored_width + column) * channels + channel
                    taken = cast(load(memory[self.x], offset, lanes), self.dtype, lanes)
                    put(total, get(total, lanes) + taken * weight, lanes)
        for p, total in enumerate(sums):
            self._sum, self._lanes = T.Bind(get(total, lanes)), lanes
            each = lanes if view.lanes >= lanes else 1
            for first in range(0, lanes, each):
                self._first = first
                index = [0, y, x + p, channel + first]
                store(target, output.offset(index), view.at(memory, index, each), each)
