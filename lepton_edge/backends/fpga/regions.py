"""Which part of a network the FPGA computes: the integer core between the host's two ends.

The host turns reals into codes before the core, and codes into reals after it; it also reorders
what a streaming accelerator cannot (a transpose), and computes float functions that come last
(a softmax over the logits). Everything else must have a kernel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lepton_edge.errors import UnsupportedError
from lepton_edge.ir.graph import Graph, GraphBuilder, Node
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops.elementwise import Binary, PRelu, Scalar, Softmax
from lepton_edge.ir.ops.pool import Reduce
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.ir.ops.select import ArgMax, TopK
from lepton_edge.ir.ops.shape import Broadcast, Concat, Gather, Pad, Reshape, Slice, Transpose

_CONVERSIONS = (Quantize, Dequantize, Transpose, Reshape)
_HOST_FUNCTIONS = (
    Scalar, Binary, PRelu, Softmax, Reduce, ArgMax, TopK, Slice, Gather, Concat, Pad, Broadcast
)  # fmt: skip


@dataclass(frozen=True)
class HostLayer:
    """A layer that the host computes, and why."""

    name: str
    op: str
    reason: str


@dataclass(frozen=True)
class Regions:
    """A network in three parts, each a graph.

    Args:
        before: computed by the host before the core; its outputs are the core's inputs.
        core: computed by the FPGA; integers only.
        after: computed by the host after the core.
        host_layers: layers of ``before`` and ``after`` that compute (conversions are not listed).
    """

    before: Graph
    core: Graph
    after: Graph
    host_layers: tuple[HostLayer, ...]


def split_regions(graph: Graph, reasons: Mapping[str, str]) -> Regions:
    """Split an integer graph into host and FPGA parts.

    Args:
        graph: the lowered graph.
        reasons: why nodes stayed in float (from lower_integers).

    Raises:
        UnsupportedError: a layer in the middle of the network computes on floats, or there is
            nothing for the FPGA to compute.
    """
    before = _leading(graph)
    after = _trailing(graph, before)
    core = [n for n in graph.nodes if n.name not in before and n.name not in after]
    _require_integers(graph, core, reasons)
    if not any(not isinstance(n.op, _CONVERSIONS) for n in core):
        raise UnsupportedError(
            "no layer of the network can run on the FPGA",
            where=graph.name,
            hint="an accelerator needs a quantised layer: a convolution, a dense layer, a pool",
        )
    core_inputs = _boundary(graph, core, into=True)
    core_outputs = _boundary(graph, core, into=False)
    before_nodes = [n for n in graph.nodes if n.name in before]
    after_nodes = [n for n in graph.nodes if n.name in after]
    return Regions(
        extract(
            graph,
            before_nodes,
            graph.inputs,
            _unique([*core_inputs, *_bypass(graph, before_nodes, after_nodes)]),
            "before",
        ),
        extract(graph, core, core_inputs, core_outputs, graph.name),
        extract(
            graph,
            after_nodes,
            _unique([*core_outputs, *_bypass(graph, before_nodes, after_nodes)]),
            graph.outputs,
            "after",
        ),
        (
            *_host_layers(before_nodes, "it prepares the real-valued inputs"),
            *_host_layers(after_nodes, "it works on the real-valued outputs"),
        ),
    )


def _host_layers(nodes: Sequence[Node], reason: str) -> list[HostLayer]:
    return [
        HostLayer(n.name, n.op.name, reason) for n in nodes if not isinstance(n.op, _CONVERSIONS)
    ]


def _is_host_op(graph: Graph, node: Node) -> bool:
    op: Op = node.op
    if isinstance(op, _CONVERSIONS):
        return True
    computes_floats = any(graph.types[v].is_float for v in (*node.inputs, *node.outputs))
    return (isinstance(op, _HOST_FUNCTIONS) and computes_floats) or isinstance(op, TopK)


def _leading(graph: Graph) -> set[str]:
    """Names of nodes that depend on nothing but the network's inputs through host ops."""
    ready = {*graph.inputs, *graph.constants}
    names: set[str] = set()
    for node in graph.nodes:
        if _is_host_op(graph, node) and all(v in ready for v in node.inputs):
            names.add(node.name)
            ready.update(node.outputs)
    return names


def _trailing(graph: Graph, before: Collection[str]) -> set[str]:
    """Names of nodes from which only host ops lead to the network's outputs."""
    names: set[str] = set()
    for node in reversed(graph.nodes):
        readers = [reader for v in node.outputs for reader in graph.consumers[v]]
        if (
            node.name not in before
            and _is_host_op(graph, node)
            and all(r.name in names for r in readers)
        ):
            names.add(node.name)
    return names


def _require_integers(graph: Graph, core: Sequence[Node], reasons: Mapping[str, str]) -> None:
    offenders = [n for n in core if any(graph.types[v].is_float for v in (*n.inputs, *n.outputs))]
    if not offenders:
        return
    stated = [n for n in offenders if n.name in reasons] or offenders
    lines = [
        f"{n.name} ({n.op.name}): {reasons.get(n.name, 'it computes on floats')}"
        for n in stated[:8]
    ]
    more = f" (and {len(stated) - 8} more)" if len(stated) > 8 else ""
    raise UnsupportedError(
        f"layers in the middle of the network have no integer form: {'; '.join(lines)}{more}",
        where=graph.name,
        hint="quantise the inputs of these layers in the model (QDQ), or, where they read floats, "
        "give --calibration",
    )


def _boundary(graph: Graph, nodes: Sequence[Node], *, into: bool) -> list[str]:
    """Values that ``nodes`` read from outside, or that others read from ``nodes``."""
    inside = {v for n in nodes for v in n.outputs}
    if into:
        read = [v for n in nodes for v in n.inputs]
        return _unique(v for v in read if v not in inside and v not in graph.constants)
    names = {n.name for n in nodes}
    return _unique(
        v
        for n in nodes
        for v in n.outputs
        if v in graph.outputs or any(r.name not in names for r in graph.consumers[v])
    )


def _bypass(graph: Graph, before: Sequence[Node], after: Sequence[Node]) -> list[str]:
    """Values that go from before the core to after it, past the FPGA."""
    early = {*graph.inputs, *(v for n in before for v in n.outputs)}
    wanted = {*graph.outputs, *(v for n in after for v in n.inputs)}
    return [v for v in graph.types if v in early and v in wanted]


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def extract(
    graph: Graph, nodes: Sequence[Node], inputs: Sequence[str], outputs: Sequence[str], name: str
) -> Graph:
    """Return ``nodes`` of ``graph`` as a graph of its own, values keeping their names."""
    builder = GraphBuilder(name)
    for value in inputs:
        builder.input(value, graph.types[value])
    for value in dict.fromkeys(v for n in nodes for v in n.inputs if v in graph.constants):
        builder.constant(graph.constants[value], graph.types[value].elem, value)
    for node in nodes:
        builder.emit(
            node.op, node.inputs, name=node.name, sources=node.sources, outputs=node.outputs
        )
    return builder.finish(outputs)
