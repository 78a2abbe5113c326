"""The loop around any group of nodes: every element of every output, in vectors where that goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tvm.script import tirx as T

from lepton_edge.backends.tvm.groups import Group
from lepton_edge.backends.tvm.site import DEFINITIONS, Site
from lepton_edge.backends.tvm.tir import (
    Buffer,
    Expr,
    Kernel,
    Memory,
    Param,
    constant,
    first_only,
    nest,
    pieces,
    shared,
    store,
)
from lepton_edge.backends.tvm.views import Constants, Storage, View
from lepton_edge.errors import InternalError
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.types import TensorType

LANES = 16
"""Elements of a vector, whatever the processor: LLVM splits what is too wide for it."""


def views_of(
    graph: Graph,
    group: Group,
    stored: Mapping[str, View],
    constants: Constants,
    outputs: Sequence[str],
) -> tuple[View, ...]:
    """Return what a group computes.

    Args:
        graph: the network.
        group: nodes of it.
        stored: the values that are there already.
        constants: takes the constants that it reads.
        outputs: the values wanted.
    """
    known = dict(stored)
    for node in group.nodes:
        site = Site(
            node.op,
            graph.signature(node),
            tuple(known.get(v) for v in node.inputs),
            tuple(graph.constants.get(v) for v in node.inputs),
            constants,
        )
        known |= dict(zip(node.outputs, DEFINITIONS[node.op.name](site), strict=True))
    return tuple(known[value] for value in outputs)


def loop_nest(
    name: str,
    views: Sequence[View],
    outputs: Sequence[tuple[Param, Storage]],
    params: Sequence[Param],
) -> Kernel:
    """Return the kernel that stores views.

    Args:
        name: of the kernel.
        views: what to store.
        outputs: where.
        params: all arrays of the kernel.
    """
    axes = [_shared_axis(view) for view in views]
    is_shared = any(
        storage.elements >= LEAST_SHARED and axis is not None
        for axis, (_, storage) in zip(axes, outputs, strict=True)
    )

    def emit(memory: Memory) -> None:
        for view, axis, (param, storage) in zip(views, axes, outputs, strict=True):
            emit_border(memory, memory[param], storage)
            if is_shared and axis is None:
                with first_only(memory):
                    _emit_elements(memory, view, memory[param], storage, None)
            else:
                shared_axis = axis if is_shared else None
                _emit_elements(memory, view, memory[param], storage, shared_axis)

    return Kernel(name, tuple(params), emit, is_shared)


class LayerLoops(Protocol):
    """The loops of a layer, in which its sums are in registers when what follows is computed."""

    constants: Constants
    is_shared: bool

    def sums(self, type_: TensorType) -> View:
        """Return the sums that are about to be stored, as a view."""
        ...

    def emit(self, memory: Memory, view: View, target: Buffer, output: Storage) -> None:
        """Write the loops, which store a view of the sums."""
        ...


def layer_nest(
    name: str,
    graph: Graph,
    group: Group,
    inputs: Mapping[str, Param],
    storages: Mapping[str, Storage],
    loops: LayerLoops,
) -> Kernel:
    """Return the kernel of a layer, with what follows it in its group.

    Args:
        name: of the kernel.
        graph: the network.
        group: the layer is its anchor.
        inputs: the arrays that it reads.
        storages: how each value lies in memory.
        loops: of the layer; they take the constants of what follows as well.
    """
    if group.anchor is None:
        raise InternalError("a group without a layer", where=name)
    layer, output = group.anchor.output, storages[group.outputs[0]]
    stored = {value: storages[value].view(param) for value, param in inputs.items()}
    stored[layer] = loops.sums(graph.types[layer])
    (view,) = views_of(graph, group.rest, stored, loops.constants, group.outputs)
    target = output.param("y")

    def emit(memory: Memory) -> None:
        emit_border(memory, memory[target], output)
        loops.emit(memory, view, memory[target], output)

    params = (*inputs.values(), *loops.constants.arrays, target)
    return Kernel(name, params, emit, loops.is_shared)


LEAST_SHARED = 20_000
"""Elements from which on threads share a loop."""


def _shared_axis(view: View) -> int | None:
    """Return the outermost axis that threads can share, but the last."""
    return next((axis for axis, extent in enumerate(view.shape[:-1]) if extent > 1), None)


def _emit_elements(
    memory: Memory, view: View, buffer: Buffer, storage: Storage, shared_axis: int | None
) -> None:
    """Write the loops over all elements but the border."""
    *outer, row = view.shape or (1,)
    widest = min(view.lanes, LANES)

    def at(index: Sequence[Expr], begin: Expr, lanes: int) -> None:
        place = [*index, begin] if view.shape else []
        store(buffer, storage.offset(place), view.at(memory, place, lanes), lanes)

    def emit_row(index: Sequence[Expr]) -> None:
        whole = row // widest
        if whole > 1:
            with T.serial(whole) as i:
                at(index, i * widest, widest)
        elif whole:
            at(index, 0, widest)
        for begin, lanes in pieces(row - whole * widest, widest):
            at(index, whole * widest + begin, lanes)

    if shared_axis is None:
        with nest(outer) as index:
            emit_row(index)
        return
    before, after = outer[:shared_axis], outer[shared_axis + 1 :]
    with nest(before) as a, shared(outer[shared_axis], memory) as i, nest(after) as b:
        emit_row([*a, i, *b])


def emit_border(memory: Memory, buffer: Buffer, storage: Storage) -> None:
    """Fill the border of a value, which one thread does."""
    if any(storage.border):
        with first_only(memory):
            _fill_border(buffer, storage)


def _fill_border(buffer: Buffer, storage: Storage) -> None:
    images, height, width, channels = storage.shape
    top, left, bottom, right = storage.border
    row = width * channels

    def fill(begin: Expr, count: int) -> None:
        """Fill neighbours."""
        whole = count // 64
        if whole:
            with T.serial(whole) as i:
                store(buffer, begin + i * 64, constant(storage.fill, storage.dtype, 64), 64)
        for offset, lanes in pieces(count - whole * 64, 64):
            value = constant(storage.fill, storage.dtype, lanes)
            store(buffer, begin + whole * 64 + offset, value, lanes)

    with T.serial(images) as image:
        begin = image * (height * row)
        # What ends a row and what begins the next lie side by side.
        fill(begin, top * row + left * channels)
        if (left or right) and height - top - bottom > 1:
            with T.serial(height - top - bottom - 1) as y:
                end = begin + (top + y + 1) * row - right * channels
                fill(end, (left + right) * channels)
        fill(
            begin + (height - bottom) * row - right * channels, (bottom * width + right) * channels
        )
