"""The graph: nodes in topological order over named, typed values; and its builder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from lepton_edge.errors import InternalError, LeptonError
from lepton_edge.ir.op import Op, Signature
from lepton_edge.ir.ops.shape import Reshape
from lepton_edge.ir.types import Array, Float, Int, QuantType, TensorType


@dataclass(frozen=True)
class Node:
    """One operator at work.

    Args:
        op: the operator with its attributes.
        inputs: names of the values it reads.
        outputs: names of the values it writes.
        name: the layer's name as the user knows it; unique in a graph.
        sources: the names of all source-model nodes that this node stands for.
    """

    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str
    sources: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        """The only output."""
        if len(self.outputs) != 1:
            raise InternalError(f"{self.op.name} has {len(self.outputs)} outputs", where=self.name)
        return self.outputs[0]


@dataclass(frozen=True)
class Graph:
    """A network: immutable, valid between passes.

    Args:
        name: the model's name.
        inputs: names of the values the caller gives, in order.
        outputs: names of the values the caller gets, in order.
        nodes: in topological order.
        types: the type of every value.
        constants: arrays of the values that are neither inputs nor computed; read-only.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    types: Mapping[str, TensorType]
    constants: Mapping[str, Array] = field(default_factory=dict)

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that writes each computed value."""
        return {value: node for node in self.nodes for value in node.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read each value (a node appears once for each time it reads it)."""
        table: dict[str, list[Node]] = {value: [] for value in self.types}
        for node in self.nodes:
            for value in node.inputs:
                table[value].append(node)
        return {value: tuple(nodes) for value, nodes in table.items()}

    def signature(self, node: Node) -> Signature:
        """Return the types that ``node`` reads and writes."""
        return Signature(
            tuple(self.types[v] for v in node.inputs), tuple(self.types[v] for v in node.outputs)
        )

    def num_uses(self, value: str) -> int:
        """Return how often ``value`` is read, by nodes or as a graph output."""
        return len(self.consumers[value]) + self.outputs.count(value)

    def only_consumer(self, value: str) -> Node | None:
        """Return the one node that reads ``value``, or None if there are several or an output."""
        return (
            self.consumers[value][0]
            if self.num_uses(value) == 1 and self.consumers[value]
            else None
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one frame."""
        return sum(node.op.macs(self.signature(node)) for node in self.nodes)

    def renamed(self, name: str) -> Graph:
        """Return the graph under another name."""
        return replace(self, name=name)


def readable_name(raw: str) -> str:
    """Return a source name without characters that break text forms; never empty."""
    return re.sub(r"[^\w./:;~-]", "_", raw) or "_"


class GraphBuilder:
    """Assembles a Graph: every emitted node is typed at once, so a finished graph is valid.

    Args:
        name: the graph's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._inputs: list[str] = []
        self._nodes: list[Node] = []
        self._types: dict[str, TensorType] = {}
        self._constants: dict[str, Array] = {}
        self._node_names: set[str] = set()

    def type_of(self, value: str) -> TensorType:
        """Return the type of a value that exists already."""
        return self._types[value]

    def constant_of(self, value: str) -> Array | None:
        """Return the array of ``value`` if it is a constant."""
        return self._constants.get(value)

    def input(self, name: str, type_: TensorType) -> str:
        """Declare a graph input."""
        value = self._fresh(name)
        self._types[value] = type_
        self._inputs.append(value)
        return value

    def constant(
        self, array: Array, elem: Float | Int | QuantType | None = None, name: str = "const"
    ) -> str:
        """Add a constant; its element type follows the array's dtype unless ``elem`` is given."""
        if elem is None:
            elem = (
                Float()
                if array.dtype.kind == "f"
                else Int(array.dtype.itemsize * 8, array.dtype.kind == "i")
            )
        stored = np.array(array, dtype=elem.dtype, order="C")
        stored.setflags(write=False)
        value = self._fresh(name)
        self._types[value] = TensorType(stored.shape, elem)
        self._constants[value] = stored
        return value

    def emit(
        self,
        op: Op,
        inputs: Sequence[str],
        *,
        name: str,
        sources: Sequence[str] = (),
        outputs: Sequence[str] = (),
    ) -> tuple[str, ...]:
        """Add a node and return its output values.

        Args:
            op: the operator.
            inputs: existing values.
            name: the layer's name; made unique with a suffix when taken.
            sources: source-model node names; ``name`` when empty.
            outputs: wanted names of the outputs; derived from ``name`` when empty.

        Raises:
            LeptonError: the inputs are ill-typed for ``op``; the node is named.
        """
        name = self._unique(readable_name(name), self._node_names)
        try:
            types = op.infer([self._types[v] for v in inputs])
        except LeptonError as error:
            raise error.at(f"node {name!r} ({op.name})") from None
        wanted = list(outputs) or [
            name if len(types) == 1 else f"{name}:{i}" for i in range(len(types))
        ]
        values = tuple(self._fresh(w) for w in wanted)
        self._types.update(zip(values, types, strict=True))
        self._node_names.add(name)
        self._nodes.append(Node(op, tuple(inputs), values, name, tuple(sources) or (name,)))
        return values

    def emit1(
        self, op: Op, inputs: Sequence[str], *, name: str, sources: Sequence[str] = ()
    ) -> str:
        """Add a node that has one output, and return that."""
        (value,) = self.emit(op, inputs, name=name, sources=sources)
        return value

    def finish(self, outputs: Iterable[str]) -> Graph:
        """Return the graph, without nodes and constants that no output needs."""
        kept_outputs = tuple(outputs)
        live = set(kept_outputs)
        nodes: list[Node] = []
        for node in reversed(self._nodes):
            if live.intersection(node.outputs):
                nodes.append(node)
                live.update(node.inputs)
        live.update(self._inputs)
        live.update(value for node in nodes for value in node.outputs)
        return Graph(
            self.name,
            tuple(self._inputs),
            kept_outputs,
            tuple(reversed(nodes)),
            {v: t for v, t in self._types.items() if v in live},
            {v: a for v, a in self._constants.items() if v in live},
        )

    def _fresh(self, name: str) -> str:
        return self._unique(readable_name(name), self._types)

    @staticmethod
    def _unique(name: str, taken: Iterable[str] | Mapping[str, TensorType]) -> str:
        if name not in taken:
            return name
        count = 1
        while f"{name}~{count}" in taken:
            count += 1
        return f"{name}~{count}"


class Rewriter(GraphBuilder):
    """A builder that copies a graph node by node, so that a pass states only what it changes.

    Typical use: for each node of the graph either emit a replacement and ``replace`` the old
    outputs, or ``copy`` the node; then ``done``.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph.name)
        self.graph = graph
        self._new: dict[str, str] = {}
        for value in graph.inputs:
            self._new[value] = self.input(value, graph.types[value])

    def __getitem__(self, old: str) -> str:
        """Return the new value that stands for ``old``; constants are copied on first use."""
        if old not in self._new:
            if old not in self.graph.constants:
                raise InternalError(f"value {old!r} is used before it is rewritten")
            elem = self.graph.types[old].elem
            self._new[old] = self.constant(self.graph.constants[old], elem, old)
        return self._new[old]

    def replace(self, old: str, new: str) -> None:
        """Let ``new`` stand for ``old`` from here on."""
        self._new[old] = new

    def copy(
        self, node: Node, op: Op | None = None, inputs: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Copy ``node``, with another op or other (new) inputs where given."""
        new_inputs = [self[v] for v in node.inputs] if inputs is None else inputs
        values = self.emit(
            op or node.op, new_inputs, name=node.name, sources=node.sources, outputs=node.outputs
        )
        for old, new in zip(node.outputs, values, strict=True):
            self.replace(old, new)
        return values

    def done(self) -> Graph:
        """Return the rewritten graph; its outputs keep their names.

        Another value that has taken such a name gets a new one. An output that has become an
        input of the graph, or another output, is a reshape of that to its own shape.
        """
        names: dict[str, str] = {}
        for old in dict.fromkeys(self.graph.outputs):
            new = self[old]
            if new in names or (new != old and new in self._inputs):
                shape = Reshape(self.type_of(new).shape)
                new = self.emit1(shape, [new], name=old)
                self.replace(old, new)
            names[new] = old
        finished = self.finish(self[v] for v in self.graph.outputs)
        taken = set(names.values()) & (finished.types.keys() - names.keys())
        known = {*self._types, *names.values()}
        names |= {value: self._unique(value, known) for value in sorted(taken)}
        return rename_values(finished, {new: old for new, old in names.items() if new != old})


def rename_values(graph: Graph, names: Mapping[str, str]) -> Graph:
    """Return ``graph`` with values renamed: old name to new name, where given."""

    def new(values: Iterable[str]) -> tuple[str, ...]:
        return tuple(names.get(v, v) for v in values)

    return Graph(
        graph.name,
        new(graph.inputs),
        new(graph.outputs),
        tuple(replace(n, inputs=new(n.inputs), outputs=new(n.outputs)) for n in graph.nodes),
        {names.get(v, v): t for v, t in graph.types.items()},
        {names.get(v, v): a for v, a in graph.constants.items()},
    )
