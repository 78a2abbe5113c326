"""Convolution and dense layers: tiles of pixels by channels whose sums stay in registers.

The weights are packed so that a load brings those of as many channels as a vector has lanes, for
one step of the reduction; the inputs of a step are the same for all lanes. A row of a window lies
in memory without gaps, border included, so the reduction runs over whole rows. What follows the
layer up to where its result is stored (bias, requantisation, activation, a residual sum) is applied
to the registers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
from tvm import tirx
from tvm.script import tirx as T

from lepton_edge.backends.tvm.definitions.codes import reach
from lepton_edge.backends.tvm.groups import Group
from lepton_edge.backends.tvm.loops import emit_border, views_of
from lepton_edge.backends.tvm.machine import Dot, Machine
from lepton_edge.backends.tvm.tir import (
    Buffer,
    Expr,
    Kernel,
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
from lepton_edge.errors import InternalError
from lepton_edge.ir.graph import Graph, Node
from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.types import Array, Float, QuantType, TensorType


@dataclass(frozen=True)
class Step:
    """One step of a reduction: ``k`` products for each lane.

    Args:
        k: inputs of a step.
        weight_dtype: how weights are stored.
        acc_dtype: of a sum.
        take: loads the inputs of ``group`` steps.
        pick: gives those of one of these steps, the same for all lanes.
        add: adds the products to sums.
        group: steps whose inputs are loaded at once.
        parts: vectors in which the weights of a step come, each with k / parts for every lane.
    """

    k: int
    weight_dtype: str
    acc_dtype: str
    take: Callable[[Buffer, Expr, int], Expr]
    pick: Callable[[Expr, int, int], Expr]
    add: Callable[[Expr, Expr, Expr, int], Expr]
    group: int = 1
    parts: int = 1


def _same(value: Expr, lanes: int) -> Expr:
    return T.broadcast(value, lanes) if lanes > 1 else value


def _only(taken: Expr, step: int, lanes: int) -> Expr:
    """Return the inputs of the only step that they were loaded for."""
    return taken


def _lane(taken: Expr, step: int, lanes: int) -> Expr:
    """Return one lane in all lanes."""
    return tirx.Shuffle([taken], [tirx.const(step, "int32")] * lanes)


# x86


def _take_bytes(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    """Return four bytes, in each lane, as bytes."""
    word = T.reinterpret("int32", load(buffer, offset, 4))
    return T.reinterpret(f"{buffer.dtype}x{4 * lanes}", _same(word, lanes))


def _add_vnni(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Intel SDM, vpdpbusd; LLVM 22, whose intrinsic takes vectors of bytes."""
    name = f"llvm.x86.avx512.vpdpbusd.{32 * lanes}"
    return T.call_llvm_pure_intrin(f"int32x{lanes}", name, total, x, weights)


def _take_pair(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    """Return two bytes, in each lane, as 16-bit integers."""
    pair = T.cast(load(buffer, offset, 2), "int16x2")
    return T.reinterpret(f"int16x{2 * lanes}", _same(T.reinterpret("int32", pair), lanes))


_MADD = {
    16: "llvm.x86.avx512.pmaddw.d.512",
    8: "llvm.x86.avx2.pmadd.wd",
    4: "llvm.x86.sse2.pmadd.wd",
}


def _add_madd(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Intel SDM, vpmaddwd."""
    return total + T.call_llvm_pure_intrin(f"int32x{lanes}", _MADD[lanes], x, weights)


# Arm


def _take_words(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    """Return sixteen bytes as four words, each for a step."""
    return T.reinterpret("int32x4", load(buffer, offset, 16))


def _pick_word(taken: Expr, step: int, lanes: int) -> Expr:
    return T.reinterpret("int8x16", _lane(taken, step, 4))


def _add_sdot(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Arm DDI 0487, SDOT (by element, which LLVM makes of the lane)."""
    name = "llvm.aarch64.neon.sdot.v4i32.v16i8"
    return T.call_llvm_pure_intrin("int32x4", name, total, weights, x)


def _take_pairs(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    """Return sixteen bytes as eight pairs, two for a step."""
    return T.reinterpret("int16x8", load(buffer, offset, 16))


def _pick_pairs(taken: Expr, step: int, lanes: int) -> Expr:
    return [T.reinterpret("int8x8", _lane(taken, 2 * step + i, 4)) for i in range(2)]


def _products(x: Expr, weights: Expr) -> Expr:
    """Return two products for each of four lanes, added in 16 bits: |w| is below 128."""
    halves = [part(weights, 8 * i, 8) for i in range(2)]
    wide = [T.cast(w, "int16x8") * T.cast(v, "int16x8") for w, v in zip(halves, x, strict=True)]
    return wide[0] + wide[1]


def _add_smlal(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Arm DDI 0487, SADALP."""
    name = "llvm.aarch64.neon.saddlp.v4i32.v8i16"
    return total + T.call_llvm_pure_intrin("int32x4", name, _products(x, weights))


def _add_vmlal(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Arm DDI 0406, VPADAL."""
    name = "llvm.arm.neon.vpadals.v4i32.v8i16"
    return T.call_llvm_pure_intrin("int32x4", name, total, _products(x, weights))


# any


def _take_one(dtype: str) -> Callable[[Buffer, Expr, int], Expr]:
    return lambda buffer, offset, lanes: _same(cast(buffer[offset], dtype), lanes)


def _add_wide(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Multiply as the accumulator's type."""
    return total + x * cast(weights, "int32", lanes)


def _add_floats(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Multiply and add, which LLVM makes one operation."""
    return total + x * weights


def _take_floats(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    return load(buffer, offset, 4)


FLOAT = Step(1, "float32", "float32", _take_one("float32"), _only, _add_floats)
FLOAT_LANES = Step(1, "float32", "float32", _take_floats, _lane, _add_floats, group=4)
VNNI = Step(4, "int8", "int32", _take_bytes, _only, _add_vnni)
MADD = Step(2, "int16", "int32", _take_pair, _only, _add_madd)
SDOT = Step(4, "int8", "int32", _take_words, _pick_word, _add_sdot, group=4)
SMLAL = Step(4, "int8", "int32", _take_pairs, _pick_pairs, _add_smlal, group=4, parts=2)
VMLAL = Step(4, "int8", "int32", _take_pairs, _pick_pairs, _add_vmlal, group=4, parts=2)
WIDE = Step(1, "int16", "int32", _take_one("int32"), _only, _add_wide)


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
        step = _integer_step(machine, x.elem, weights)
        layer = Layer(step, weights, start.astype(np.int32), strides, dilations, corner, pixels)
    else:
        start = np.zeros(len(weights), np.float32) if bias is None else bias
        step = FLOAT if machine.dot in X86 else FLOAT_LANES
        layer = Layer(step, weights, start, strides, dilations, corner, pixels)
    return layer if any(output.border) else _with_rows_joined(layer, storage)


X86 = (Dot.VNNI, Dot.MADD)


def _integer_step(machine: Machine, x: QuantType, weights: Array) -> Step:
    """Return the fastest step that is exact for a layer's inputs and weights."""
    least, most = int(weights.min(initial=0)), int(weights.max(initial=0))
    fits_byte = least >= -128 and most <= 127
    if machine.dot in X86:
        if machine.dot is Dot.VNNI and not x.signed and fits_byte:
            return VNNI
        return MADD if max(-least, most) < 1 << 15 else WIDE
    if not x.signed and x.bits > 7:
        return WIDE
    if machine.dot is Dot.SDOT and fits_byte:
        return SDOT
    if max(-least, most) < 128:
        return VMLAL if machine.is_arm32 else SMLAL
    return WIDE


def _with_rows_joined(layer: Layer, storage: Storage) -> Layer:
    """Return a layer of single pixels as one row of them, which tiles better."""
    is_pointwise = layer.weights.shape[1:3] == layer.strides == (1, 1)
    if not is_pointwise or any(storage.border) or layer.corner != (0, 0):
        return layer
    return replace(layer, pixels=(1, layer.pixels[0] * layer.pixels[1]))


# -- tiles ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """Pixels of a row and vectors of channels whose sums are in registers at once."""

    pixels: int
    blocks: int


LEAST_SHARED = 6000
"""Cycles from which on threads share a layer: they meet before and after, which takes hundreds."""

LATENCY = 5
"""Cycles from one sum to the next in the same register (uops.info: vpdpbusd, vfmadd231ps)."""


def best_tile(machine: Machine, width: int, blocks: int) -> Tile:
    """Return the tile that takes the fewest cycles, by a model of an x86 core.

    It adds two vectors and loads two in a cycle, and a sum is ready for the next step after
    LATENCY. Registers are needed for all sums, the weights of a step and an input.

    Args:
        machine: the processor.
        width: pixels in a row.
        blocks: vectors of channels.
    """
    candidates = [
        Tile(p, b)
        for p in range(1, min(width, machine.num_registers) + 1)
        for b in range(1, min(blocks, machine.num_registers) + 1)
        if p * b + b + 1 <= machine.num_registers
    ]
    return min(candidates, key=lambda t: (_cycles(t, width, blocks), t.pixels * t.blocks))


def _cycles(tile: Tile, width: int, blocks: int) -> float:
    """Return the cycles of a step of the reduction for a row of pixels and all channels."""
    total = 0.0
    for _, p in _parts(width, tile.pixels):
        for _, b in _parts(blocks, tile.blocks):
            total += max(p * b / 2, (p + b) / 2, LATENCY)
    return total


def _parts(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield begins and sizes of the parts of a range, the last one smaller."""
    for begin in range(0, count, size):
        yield begin, min(size, count - begin)


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
    name: str,
    graph: Graph,
    group: Group,
    inputs: Mapping[str, Param],
    storages: Mapping[str, Storage],
    machine: Machine,
) -> tuple[Kernel, Constants]:
    """Return the kernel of a layer and what follows it in its group, and its constants."""
    node = group.anchor
    if node is None:
        raise InternalError("a group without a layer", where=name)
    source = storages[node.inputs[0]]
    output = storages[group.outputs[0]]
    layer = layer_of(graph, node, source, output, machine)
    loops = _Loops(layer, source, inputs[node.inputs[0]], machine)
    stored = {v: storages[v].view(param) for v, param in inputs.items()}
    stored[node.output] = loops.sums(graph.types[node.output])
    views = views_of(graph, group.rest, stored, loops.constants, group.outputs)
    target = output.param("y")
    params = (*inputs.values(), *loops.constants.arrays, target)

    def emit(memory: Memory) -> None:
        with first_only(memory):
            emit_border(memory[target], output)
        loops.emit(memory, views[0], memory[target], output)

    return Kernel(name, params, emit, loops.is_shared), loops.constants


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
        self.tile = best_tile(machine, layer.pixels[1], self.blocks)
        height, width = layer.pixels
        cycles = _cycles(self.tile, width, self.blocks) * height * self.windows * self.steps
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
            return shared(extent, memory) if name == divided else some(extent)

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

        if not rest or not is_last_block:
            write(self.lanes)
        else:
            write(rest)

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
