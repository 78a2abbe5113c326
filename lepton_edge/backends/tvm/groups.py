"""Which nodes become a kernel together.

A node that computes each element from one element of its inputs is made in the loop that wants it,
so that what lies between is never stored. A kernel has one node at most that reads many elements
for one: its anchor, which the kernel's loops are made for.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from lepton_edge.ir.graph import Graph, Node
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops import shape as sh

ONE_FOR_ONE = (
    ew.Scalar, ew.Binary, ew.PRelu, q.Quantize, q.Dequantize, q.Requantize, q.Threshold, q.Lookup,
    q.ScaledAdd, q.Product,
)  # fmt: skip
"""Ops that read one element of each input for an element, at its own index."""

MOVES = (
    sh.Transpose, sh.Slice, sh.Gather, sh.Pad, sh.Concat, sh.RepeatNearest, sh.InsertZeros,
    sh.Broadcast, sh.Reshape,
)  # fmt: skip
"""Ops that read one element for an element, somewhere else."""


LIGHT = (*ONE_FOR_ONE, *MOVES)
"""Ops that are made wherever they are wanted."""


@dataclass(frozen=True)
class Group:
    """Nodes that become one kernel, in order; only the last one's outputs are stored."""

    nodes: tuple[Node, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The values that the kernel writes."""
        return self.nodes[-1].outputs

    @property
    def anchor(self) -> Node | None:
        """The node that reads many elements for one, if there is one."""
        return next((node for node in self.nodes if not isinstance(node.op, LIGHT)), None)

    @property
    def rest(self) -> Group:
        """The group without its anchor."""
        return Group(tuple(node for node in self.nodes if node is not self.anchor))

    @property
    def name(self) -> str:
        """The name of the layer that does most of the work."""
        return (self.anchor or self.nodes[-1]).name


def grouped(graph: Graph) -> tuple[Group, ...]:
    """Return the kernels' nodes, in the order in which they run."""
    last: dict[str, str] = {}
    for node in reversed(graph.nodes):
        if not isinstance(node.op, LIGHT):
            chain = _chain(graph, node, last)
            last |= dict.fromkeys(chain, chain[-1])
    for node in reversed(graph.nodes):
        if node.name not in last:
            reader = _reader(graph, node)
            last[node.name] = last[reader.name] if reader else node.name
    members: dict[str, list[Node]] = {}
    for node in graph.nodes:
        members.setdefault(last[node.name], []).append(node)
    return tuple(Group(tuple(members[node.name])) for node in graph.nodes if node.name in members)


def _chain(graph: Graph, anchor: Node, taken: Container[str]) -> list[str]:
    """Return the names of a node and of those after it that its loop can compute as well.

    They must not move elements: the sums of a layer are in registers, where its own loop is.
    """
    chain = [anchor.name]
    reader = _reader(graph, anchor)
    while reader and reader.name not in taken and isinstance(reader.op, ONE_FOR_ONE):
        chain.append(reader.name)
        reader = _reader(graph, reader)
    return chain


def _reader(graph: Graph, node: Node) -> Node | None:
    """Return the node whose loop a node's only output is computed in; None if it is stored."""
    if len(node.outputs) != 1:
        return None
    reader = graph.only_consumer(node.output)
    if reader is None or reader.inputs.count(node.output) != 1:
        return None
    if isinstance(reader.op, ONE_FOR_ONE):
        is_spread = graph.types[node.output].num_elements != graph.types[reader.output].num_elements
        return None if is_spread else reader
    if isinstance(reader.op, MOVES) and isinstance(node.op, LIGHT):
        copies = isinstance(reader.op, (sh.RepeatNearest, sh.Broadcast))
        return None if copies else reader
    return None
