"""Checks and rewrites of the whole model before the walk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import onnx

from lepton_edge.errors import ImportModelError, UnsupportedError

if TYPE_CHECKING:
    from lepton_edge.frontends.onnx.node import NodeView

OLDEST_OPSET = 7
MAX_INLINED_NODES = 200_000
MAX_NAME = 4096
"""Characters of a name. Source: member names of zip archives, in which graphs are kept, have at
most 65,535 bytes; with 4 bytes a character there is room for what passes append."""


def node_domain(proto: onnx.NodeProto) -> str:
    """Return the domain of a node's operator; "" is ai.onnx."""
    return "" if proto.domain == "ai.onnx" else proto.domain


def check_text(model: onnx.ModelProto) -> None:
    """Check that all names are UTF-8, which protobuf gives as bytes if they are not, and short.

    Raises:
        ImportModelError: a name is not text, or too long for the files that will hold it.
    """
    for text in (*_names(model), *_places(model)):
        if not isinstance(text, str):
            raise ImportModelError(
                f"a name is not UTF-8 text: {bytes(text)[:40]!r}",
                hint="the file is damaged; export the model again",
            )
    for text in _names(model):
        if len(text) > MAX_NAME:
            raise ImportModelError(
                f"a name has {len(text)} characters; wanted at most {MAX_NAME}: {text[:40]!r}...",
                hint="rename it in the model, or export the model again",
            )


def _names(model: onnx.ModelProto) -> Iterator[Any]:
    yield from (entry.domain for entry in model.opset_import)
    graph = model.graph
    yield graph.name
    for info in (*graph.input, *graph.output):
        yield info.name
        yield from (dim.dim_param for dim in info.type.tensor_type.shape.dim)
    for tensor in graph.initializer:
        yield tensor.name
    for function in model.functions:
        yield from (function.domain, function.name, *function.input, *function.output)
        yield from function.attribute
        yield from (entry.domain for entry in function.opset_import)
    for node in (*graph.node, *(n for function in model.functions for n in function.node)):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name, attribute.t.name)


def _places(model: onnx.ModelProto) -> Iterator[Any]:
    """Yield where tensors in other files are; the importer says which of them there are."""
    nodes = (*model.graph.node, *(n for function in model.functions for n in function.node))
    attributes = (attribute.t for node in nodes for attribute in node.attribute)
    for tensor in (*model.graph.initializer, *attributes):
        for entry in tensor.external_data:
            yield from (entry.key, entry.value)


def check_versions(model: onnx.ModelProto) -> dict[str, int]:
    """Return the version of each operator set, after a check that they are known ones."""
    opsets: dict[str, int] = {}
    for entry in model.opset_import:
        opsets["" if entry.domain == "ai.onnx" else entry.domain] = entry.version
    newest = onnx.defs.onnx_opset_version()
    version = opsets.get("")
    if version is None:
        if any(node_domain(node) == "" for node in model.graph.node):
            raise ImportModelError("the model states no version of the ONNX operator set")
        return opsets
    if version < OLDEST_OPSET:
        raise UnsupportedError(
            f"the model uses ONNX operator set {version}; wanted {OLDEST_OPSET} to {newest}",
            hint="convert it: onnx.version_converter.convert_version(model, 13)",
        )
    if version > newest:
        raise UnsupportedError(
            f"the model uses ONNX operator set {version}; the installed onnx knows up to {newest}",
            hint="pip install --upgrade onnx, or export with an older operator set",
        )
    if model.ir_version > onnx.IR_VERSION:
        raise UnsupportedError(
            f"the file has IR version {model.ir_version}; the installed onnx knows up to "
            f"{onnx.IR_VERSION}",
            hint="pip install --upgrade onnx",
        )
    return opsets


def inline_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its local functions inlined.

    Raises:
        ImportModelError: functions call each other in a circle.
        UnsupportedError: inlining gives more than `MAX_INLINED_NODES` nodes.
    """
    if not model.functions:
        return model
    bodies = {(f.domain, f.name): f.node for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    open_: set[tuple[str, str]] = set()

    def size_of(key: tuple[str, str], depth: int) -> int:
        if key not in bodies:
            return 1
        if key in open_ or depth > 100:
            raise ImportModelError(f"the model's function {key[1]!r} calls itself")
        if key not in sizes:
            open_.add(key)
            sizes[key] = sum(size_of((n.domain, n.op_type), depth + 1) for n in bodies[key])
            open_.remove(key)
        return sizes[key]

    total = sum(size_of((n.domain, n.op_type), 0) for n in model.graph.node)
    if total > MAX_INLINED_NODES:
        raise UnsupportedError(
            f"the model's functions expand to {total} nodes; at most {MAX_INLINED_NODES}"
        )
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except (ValueError, RuntimeError, TypeError) as error:
        raise ImportModelError(f"the model's functions cannot be inlined: {error}") from None


def check_arity(view: NodeView) -> None:
    """Check the numbers of inputs and outputs against the operator's definition."""
    proto = view.proto
    limits = _arity(node_domain(proto), proto.op_type, view.opset)
    if limits is None:
        return
    least, most, most_outputs = limits
    for count, low, high, what in (
        (len(proto.input), least, most, "inputs"),
        (len(proto.output), 1, most_outputs, "outputs"),
    ):
        if not low <= count <= high:
            wanted = f"{low}" if low == high else f"{low} or more"
            wanted = wanted if high == low or high > 1 << 16 else f"{low} to {high}"
            raise view.wrong(f"has {count} {what}; wanted {wanted}")


@cache
def _arity(domain: str, kind: str, opset: int) -> tuple[int, int, int] | None:
    try:
        schema = onnx.defs.get_schema(kind, max_inclusive_version=opset, domain=domain)
    except onnx.defs.SchemaError:
        return None
    return schema.min_input, schema.max_input, schema.max_output


def sorted_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes in topological order, the given order kept where it is one.

    Raises:
        ImportModelError: a value is defined twice or nowhere, or nodes form a cycle.
    """
    known = {v.name for v in graph.input} | {t.name for t in graph.initializer}
    known |= {t.values.name for t in graph.sparse_initializer}
    producers: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for value in node.output:
            if not value:
                continue
            if value in producers or value in known:
                raise ImportModelError(f"the value {value!r} is defined twice", where=_place(node))
            producers[value] = index
    waiting = [0] * len(graph.node)
    readers: list[list[int]] = [[] for _ in graph.node]
    for index, node in enumerate(graph.node):
        for value in node.input:
            if value in producers:
                readers[producers[value]].append(index)
                waiting[index] += 1
            elif value and value not in known:
                raise ImportModelError(
                    f"reads {value!r}, which nothing defines",
                    where=_place(node),
                    hint="the model is incomplete; export it again",
                )
    if all(r > i for i, targets in enumerate(readers) for r in targets):
        return list(graph.node)
    ready = deque(i for i, count in enumerate(waiting) if count == 0)
    order: list[int] = []
    while ready:
        index = ready.popleft()
        order.append(index)
        for reader in readers[index]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                ready.append(reader)
    if len(order) < len(graph.node):
        cycle = _cycle(graph, producers, {i for i, count in enumerate(waiting) if count})
        names = " → ".join(_name(graph.node[i]) for i in [*cycle[:10], cycle[0]])
        raise ImportModelError(f"the nodes form a cycle: {names}")
    return [graph.node[i] for i in order]


def _cycle(graph: onnx.GraphProto, producers: dict[str, int], stuck: set[int]) -> list[int]:
    """Return the nodes of one cycle, following producers back from a stuck node."""
    seen: dict[int, int] = {}
    path: list[int] = []
    index = min(stuck)
    while index not in seen:
        seen[index] = len(path)
        path.append(index)
        index = next(producers[v] for v in graph.node[index].input if producers.get(v, -1) in stuck)
    return list(reversed(path[seen[index] :]))


def _name(node: onnx.NodeProto) -> str:
    return repr(node.name or next(iter(node.output), node.op_type))


def _place(node: onnx.NodeProto) -> str:
    return f"node {_name(node)} ({node.op_type})"
