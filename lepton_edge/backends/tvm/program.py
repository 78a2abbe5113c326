"""From a graph to a program: kernels, the order in which they run, and where everything lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lepton_edge.backends.tvm.arena import Arena, Life, placed
from lepton_edge.backends.tvm.contraction import contraction, is_contraction
from lepton_edge.backends.tvm.depthwise import depthwise, is_depthwise
from lepton_edge.backends.tvm.groups import Group, grouped
from lepton_edge.backends.tvm.loops import LayerLoops, layer_nest, loop_nest, views_of
from lepton_edge.backends.tvm.machine import Machine
from lepton_edge.backends.tvm.prepare import prepared
from lepton_edge.backends.tvm.tir import Kernel, Param
from lepton_edge.backends.tvm.views import Constants, Storage
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.ops.linear import Conv
from lepton_edge.ir.types import Array, QuantType, TensorType


@dataclass(frozen=True)
class Call:
    """A kernel at work.

    Args:
        kernel: the loops.
        layer: the name of the layer that it computes.
        label: the ops, for people.
        sources: names of the nodes in the model that it comes from.
        inputs: the values read, in the order of the kernel's parameters.
        constants: the arrays read, which come next.
        outputs: the values written, which come last.
    """

    kernel: Kernel
    layer: str
    label: str
    sources: tuple[str, ...]
    inputs: tuple[str, ...]
    constants: tuple[Array, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """A network as calls of kernels.

    Args:
        graph: the network.
        machine: what the kernels were written for.
        calls: in order.
        storages: how each value lies in memory.
        arena: where, the network's inputs and outputs included.
    """

    graph: Graph
    machine: Machine
    calls: tuple[Call, ...]
    storages: Mapping[str, Storage]
    arena: Arena


def lowered(graph: Graph, machine: Machine) -> Program:
    """Return the program of a network on a processor."""
    ready = prepared(graph, machine)
    groups = grouped(ready)
    storages = _storages(ready, groups)
    calls = [_call(ready, g, storages, machine, i) for i, g in enumerate(groups)]
    return Program(ready, machine, tuple(calls), storages, _arena(ready, calls, storages))


def _storages(graph: Graph, groups: Sequence[Group]) -> dict[str, Storage]:
    """Return how each value lies in memory: with the border that the layers want that read it."""
    borders: dict[str, tuple[int, ...]] = {}
    for group in groups:
        if group.anchor is None:
            continue
        value = group.anchor.inputs[0]
        wanted = _wanted_border(graph, group)
        known = borders.get(value, wanted)
        borders[value] = tuple(map(max, known, wanted))
    return {v: _storage(type_, borders.get(v, (0, 0, 0, 0))) for v, type_ in graph.types.items()}


def _wanted_border(graph: Graph, group: Group) -> tuple[int, int, int, int]:
    """Return the border that a group's layer wants around its input."""
    op = group.anchor.op if group.anchor else None
    if isinstance(op, Conv) and (is_contraction(graph, group) or is_depthwise(graph, group)):
        return op.pads
    return (0, 0, 0, 0)


def _storage(type_: TensorType, border: tuple[int, ...]) -> Storage:
    top, left, bottom, right = border
    fill = type_.elem.zero_point[0] if isinstance(type_.elem, QuantType) else 0
    return Storage(type_, (top, left, bottom, right), fill)


def _call(
    graph: Graph, group: Group, storages: Mapping[str, Storage], machine: Machine, index: int
) -> Call:
    """Return the call that computes a group."""
    inside = {value for node in group.nodes for value in node.outputs}
    read = dict.fromkeys(
        value
        for node in group.nodes
        for value in node.inputs
        if value not in inside and value not in graph.constants
    )
    inputs = {value: storages[value].param(f"x{i}") for i, value in enumerate(read)}
    name = f"k{index}_" + "_".join(dict.fromkeys(node.op.name for node in group.nodes))
    loops = _layer_loops(graph, group, inputs, storages, machine)
    if loops is not None:
        kernel = layer_nest(name, graph, group, inputs, storages, loops)
        constants = loops.constants
    else:
        kernel, constants = _loops(name, graph, group, inputs, storages)
    arrays = tuple(constants.arrays.values())
    label = " ".join(dict.fromkeys(node.op.name for node in group.nodes))
    sources = tuple(dict.fromkeys(source for node in group.nodes for source in node.sources))
    return Call(kernel, group.name, label, sources, tuple(inputs), arrays, group.outputs)


def _layer_loops(
    graph: Graph,
    group: Group,
    inputs: Mapping[str, Param],
    storages: Mapping[str, Storage],
    machine: Machine,
) -> LayerLoops | None:
    """Return the loops that a group's layer has for itself; None if it has none."""
    node = group.anchor
    is_dense = is_contraction(graph, group)
    if node is None or not (is_dense or is_depthwise(graph, group)):
        return None
    value = node.inputs[0]
    make = contraction if is_dense else depthwise
    output = storages[group.outputs[0]]
    return make(graph, node, storages[value], output, inputs[value], machine)


def _loops(
    name: str,
    graph: Graph,
    group: Group,
    inputs: Mapping[str, Param],
    storages: Mapping[str, Storage],
) -> tuple[Kernel, Constants]:
    """Return the kernel of a group that has no loops of its own, and its constants."""
    outputs = [(storages[v].param(f"y{i}"), storages[v]) for i, v in enumerate(group.outputs)]
    constants = Constants()
    stored = {value: storages[value].view(param) for value, param in inputs.items()}
    views = views_of(graph, group, stored, constants, group.outputs)
    params = [*inputs.values(), *constants.arrays, *(param for param, _ in outputs)]
    return loop_nest(name, views, outputs, params), constants


def _arena(graph: Graph, calls: Sequence[Call], storages: Mapping[str, Storage]) -> Arena:
    """Return where all values lie, from the network's inputs to its outputs."""
    lives = {value: Life(storages[value].num_bytes, 0, 0) for value in graph.inputs}
    for step, call in enumerate(calls):
        for value in call.outputs:
            lives[value] = Life(storages[value].num_bytes, step, step)
        for value in call.inputs:
            lives[value] = replace(lives[value], end=step)
    for value in graph.outputs:
        if value in lives:
            lives[value] = replace(lives[value], end=len(calls))
    return placed(lives)
