"""Convolution and dense layers: tiles of pixels by channels whose sums stay in registers.

The weights are packed so that a load brings those of as many channels as a vector has lanes, for
one step of the reduction; the inputs of a step are the same for all lanes. A row of a window lies
in memory without gaps, border included, so the reduction runs over whole rows. What follows the
layer up to where its result is stored (bias, requantisation, activation, a residual sum) is applied
to the registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
from tvm.script import tirx as T

from lepton_edge.backends.tvm.definitions.codes import reach
from lepton_edge.backends.tvm.groups import Group
from lepton_edge.backends.tvm.loops import LayerLoops
from lepton_edge.backends.tvm.machine import Machine
from lepton_edge.backends.tvm.steps import Step, float_step, integer_step
from lepton_edge.backends.tvm.tiles import best_tile, cycles_of
from lepton_edge.backends.tvm.tir import (
    Buffer,
    Expr,
    Memory,
    Param,
    cast,
    first_only,
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
from lepton_edge.ir.graph import Graph, Node
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.types import Array, Float, QuantType, TensorType

LEAST_SHARED = 6000
"""Cycles from which on threads share a layer: they meet before and after, which takes hundreds."""


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer, as one of vectors by a matrix for each pixel.

    Args:
        step: how it multiplies.
        weights: [O,KH,KW,C], centred, times the step of the codes.
        start: [O], the bias less what the zero point adds.
        strides: along H, W.
        dilations: along H, W.
        corner: the place in the stored input, border included, of the first window.
        pixels: height and width of the output.
    """

    step: Step
    weights: Array
    start: Array
    strides: tuple[int, int]
    dilations: tuple[int, int]
    corner: tuple[int, int]
    pixels: tuple[int, int]


def is_contraction(graph: Graph, group: Group) -> bool:
    """Whether a group's anchor is a layer that this module has loops for."""
    node = group.anchor
    if node is None or not isinstance(node.op, (Conv, Dense)):
        return False
    if node.inputs[1] not in graph.constants:
        return False
    if any(v not in graph.constants for v in node.inputs[2:]):
        return False
    x, w = (graph.types[v] for v in node.inputs[:2])
    if isinstance(node.op, Conv) and node.op.groups != 1:
        return False
    if isinstance(x.elem, Float):
        return True
    if not (isinstance(x.elem, QuantType) and isinstance(w.elem, QuantType)):
        return False
    terms = w.num_elements // w.shape[0]
    most = max(map(abs, (x.elem.lowest, x.elem.highest))) * _largest(graph, node) * terms
    if graph.types[node.output].quant.bits > 32:
        return False
    return x.elem.bits <= 8 and x.elem.is_per_tensor and most + reach(x.elem) < 1 << 31


def _largest(graph: Graph, node: Node) -> int:
    """Return the largest magnitude of a layer's weights, as they are multiplied."""
    weights = graph.types[node.inputs[1]].quant.centre(graph.constants[node.inputs[1]])
    step = graph.types[node.inputs[0]].quant.step
    return int(np.abs(weights).max(initial=0)) * step


def layer_of(
    graph: Graph, node: Node, storage: Storage, output: Storage, machine: Machine
) -> Layer:
    """Return what a node computes.

    Args:
        graph: the network.
        node: the layer.
        storage: how its input lies in memory.
        output: how the group's result does.
        machine: the processor.
    """
    x, w = (graph.types[v] for v in node.inputs[:2])
    weights: Array = graph.constants[node.inputs[1]]
    bias = graph.constants[node.inputs[2]] if len(node.inputs) == 3 else None
    op = node.op
    if not isinstance(op, Conv):
        weights = weights.reshape(len(weights), 1, 1, -1)
        pixels = (x.num_elements // x.shape[-1], 1)
        strides, dilations, corner = (1, 1), (1, 1), (0, 0)
    else:
        _, height, width, _ = graph.types[node.output].shape
        pixels, strides, dilations = (height, width), op.strides, op.dilations
        corner = (storage.border[0] - op.pads[0], storage.border[1] - op.pads[1])
    if isinstance(x.elem, QuantType):
        wq = w.quant
        centred = wq.centre(graph.constants[node.inputs[1]]).reshape(weights.shape)
        start = np.zeros(len(weights), np.int64) if bias is None else bias.astype(np.int64)
        start = start - x.elem.zero_point[0] * centred.reshape(len(weights), -1).sum(axis=1)
        weights = centred * x.elem.step
        step = integer_step(machine, x.elem, weights)
        layer = Layer(step, weights, start.astype(np.int32), strides, dilations, corner, pixels)
    else:
        start = np.zeros(len(weights), np.float32) if bias is None else bias
        layer = Layer(float_step(machine), weights, start, strides, dilations, corner, pixels)
    return layer if any(output.border) else _with_rows_joined(layer, storage)


def _with_rows_joined(layer: Layer, storage: Storage) -> Layer:
    """Return a layer of single pixels as one row of them, which tiles better."""
    is_pointwise = layer.weights.shape[1:3] == layer.strides == (1, 1)
    if not is_pointwise or any(storage.border) or layer.corner != (0, 0):
        return layer
    return replace(layer, pixels=(1, layer.pixels[0] * layer.pixels[1]))


# -- loops ----------------------------------------------------------------------------------------


def packed(layer: Layer, lanes: int) -> Array:
    """Return weights as [blocks, windows, steps, lanes, k], zeros where there are none.

    A window's rows are what it has in one piece in memory: KW pixels, or one where it is dilated.
    """
    channels_out, kh, kw, _ = layer.weights.shape
    step = layer.step
    pieces_of_row = kw if layer.dilations[1] > 1 else 1
    rows = layer.weights.reshape(channels_out, kh * pieces_of_row, -1)
    steps = -(-rows.shape[2] // (step.k * step.group)) * step.group
    blocks = -(-channels_out // lanes)
    room = np.zeros((blocks * lanes, rows.shape[1], steps * step.k), rows.dtype)
    room[:channels_out, :, : rows.shape[2]] = rows
    tiles = room.reshape(blocks, lanes, rows.shape[1], steps, step.parts, -1)
    packed_tiles = tiles.transpose(0, 2, 3, 4, 1, 5).astype(step.weight_dtype)
    return packed_tiles.reshape(blocks, rows.shape[1], steps, lanes, step.k)


def contraction(
    graph: Graph, node: Node, source: Storage, output: Storage, x: Param, machine: Machine
) -> LayerLoops:
    """Return the loops of a layer.

    Args:
        graph: the network.
        node: the layer.
        source: how its input lies in memory.
        output: how the result of its group does.
        x: the array with its input.
        machine: the processor.
    """
    return _Loops(layer_of(graph, node, source, output, machine), source, x, machine)


class _Loops:
    """The loops of a layer."""

    def __init__(self, layer: Layer, source: Storage, x: Param, machine: Machine) -> None:
        self.layer, self.source, self.x = layer, source, x
        self.lanes = machine.lanes
        self.constants = Constants()
        table = packed(layer, self.lanes)
        self.blocks, self.windows, self.steps = table.shape[:3]
        self.weights = self.constants.add(table)
        start = np.zeros(self.blocks * self.lanes, layer.start.dtype)
        start[: len(layer.start)] = layer.start
        self.start = self.constants.add(start)
        self.tile = best_tile(machine, layer.step, layer.pixels[1], self.blocks)
        height, width = layer.pixels
        cycles = cycles_of(self.tile, width, self.blocks) * height * self.windows * self.steps
        most = max(height, width // self.tile.pixels, self.blocks // self.tile.blocks)
        self.is_shared = cycles >= LEAST_SHARED and most > 1
        self._sum: Expr = None
        self._channel = 0

    def sums(self, type_: TensorType) -> View:
        """Return the accumulators of the tile that is being stored, as a view."""

        def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
            value = self._sum
            if lanes != self.lanes or self._channel:
                value = part(value, self._channel, lanes) if self.lanes > 1 else value
            return cast(value, str(type_.elem.dtype), lanes)

        return View(type_, at, self.lanes)

    def emit(self, memory: Memory, view: View, target: Buffer, output: Storage) -> None:
        """Write the loops over tiles, one of which is shared among threads."""
        height, width = self.layer.pixels
        across = width // self.tile.pixels
        divided = "rows" if height > 1 else "tiles" if across > 1 else "groups"
        if not self.is_shared:
            divided = ""

        def loop(extent: int, name: str) -> AbstractContextManager[Expr]:
            if name != divided:
                return some(extent)
            return first_only(memory) if extent == 1 else shared(extent, memory)

        for begin, blocks, count in self._block_runs():
            with loop(count, "groups") as group, loop(height, "rows") as y:
                block = begin + group * blocks
                for first, pixels, tiles in runs(width, self.tile.pixels):
                    with loop(tiles, "tiles") as i:
                        x = first + i * pixels
                        self._tile(memory, view, target, output, block, y, x, pixels, blocks)

    def _block_runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield runs of vectors of channels; one that is not full is in a run that is no loop."""
        is_full = self.layer.weights.shape[0] % self.lanes == 0
        for begin, size, count in runs(self.blocks, self.tile.blocks):
            if is_full or count == 1 or begin + size * count < self.blocks:
                yield begin, size, count
            else:
                yield begin, size, count - 1
                yield begin + size * (count - 1), size, 1

    def _tile(
        self, memory: Memory, view: View, target: Buffer, output: Storage,
        block: Expr, y: Expr, x: Expr, pixels: int, blocks: int,
    ) -> None:  # fmt: skip
        """Write the sums of a tile, and store what becomes of them."""
        layer, lanes, step = self.layer, self.lanes, self.layer.step
        sums = {
            (p, b): register(step.acc_dtype, lanes) for p in range(pixels) for b in range(blocks)
        }
        for (_, b), total in sums.items():
            put(total, load(memory[self.start], (block + b) * lanes, lanes), lanes)
        kh, kw = layer.weights.shape[1], self.windows // layer.weights.shape[1]
        _, _, stored_width, channels = _as_image(self.source)
        with some(kh) as i, some(kw) as j, some(self.steps // step.group) as group:
            row = y * layer.strides[0] + i * layer.dilations[0] + layer.corner[0]
            first = group * step.group

            def take(p: int) -> Expr:
                column = (x + p) * layer.strides[1] + j * layer.dilations[1] + layer.corner[1]
                offset = (row * stored_width + column) * channels + first * step.k
                return T.Bind(step.take(memory[self.x], offset, lanes))

            # Inputs of several steps are loaded at once; those of one only when they are wanted.
            taken = [take(p) for p in range(pixels)] if step.group > 1 else []
            for u in range(step.group):
                weights = [
                    self._weights(memory, block + b, i * kw + j, first + u) for b in range(blocks)
                ]
                for p in range(pixels):
                    picked = step.pick(taken[p] if taken else take(p), u, lanes)
                    for b in range(blocks):
                        total = sums[p, b]
                        put(total, step.add(get(total, lanes), picked, weights[b], lanes), lanes)
        for (p, b), total in sums.items():
            self._sum = T.Bind(get(total, lanes))
            self._store(memory, view, target, output, block, b, y, x + p)

    def _weights(self, memory: Memory, block: Expr, window: Expr, s: Expr) -> Expr:
        """Return the weights of a step for a vector of channels."""
        size = self.lanes * self.layer.step.k
        place = ((block * self.windows + window) * self.steps + s) * size
        return T.Bind(load(memory[self.weights], place, size))

    def _store(
        self, memory: Memory, view: View, target: Buffer, output: Storage,
        block: Expr, b: int, y: Expr, x: Expr,
    ) -> None:  # fmt: skip
        """Store a vector of channels; of the last one only those that there are."""
        channels = self.layer.weights.shape[0]
        rest = channels % self.lanes
        is_last_block = isinstance(block, int) and block + b == self.blocks - 1
        widest = self.lanes if view.lanes >= self.lanes else 1

        def write(count: int) -> None:
            for begin, lanes in pieces(count, widest):
                self._channel = begin
                index = self._index(output, y, x, (block + b) * self.lanes + begin)
                store(target, output.offset(index), view.at(memory, index, lanes), lanes)
            self._channel = 0

        write(rest if rest and is_last_block else self.lanes)

    def _index(self, output: Storage, y: Expr, x: Expr, channel: Expr) -> list[Expr]:
        """Return the index of an output element."""
        shape = output.type.shape
        if len(shape) == 4 and self.layer.pixels != tuple(shape[1:3]):
            return [0, x // shape[2], x % shape[2], channel]
        if len(shape) == 4:
            return [0, y, x, channel]
        index: list[Expr] = [channel]
        pixel = x
        for extent in reversed(shape[:-1]):
            index.insert(0, pixel % extent)
            pixel = pixel // extent
        return index


def _as_image(storage: Storage) -> tuple[int, ...]:
    """Return a stored shape as [N,H,W,C]."""
    shape = storage.shape
    if len(shape) == 4:
        return shape
    return 1, 1, int(np.prod(shape[:-1], dtype=int)), shape[-1]
