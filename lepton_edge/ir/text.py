"""The text form of a graph: one line a node, with types and source names; for people and tests."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any

from lepton_edge.ir.graph import Graph, Node
from lepton_edge.ir.op import Op


def to_text(graph: Graph) -> str:
    """Return the text form of ``graph``."""
    lines = [f"graph {graph.name}"]
    lines += [f"  input %{v}: {graph.types[v]}" for v in graph.inputs]
    lines += [f"  const %{v}: {graph.types[v]}" for v in graph.types if v in graph.constants]
    lines += [f"  {_node_text(graph, node)}" for node in graph.nodes]
    lines += [f"  output %{v}: {graph.types[v]}" for v in graph.outputs]
    return "\n".join(lines) + "\n"


def _node_text(graph: Graph, node: Node) -> str:
    outputs = ", ".join(f"%{v}: {graph.types[v]}" for v in node.outputs)
    inputs = ", ".join(f"%{v}" for v in node.inputs)
    text = f"{outputs} = {node.op.name}({inputs}){attributes_text(node.op)}"
    return f"{text}  # {', '.join(node.sources)}"


def attributes_text(op: Op) -> str:
    """Return the attributes of ``op`` as `` {name=value, ...}``; empty when there are none."""
    pairs = [f"{f.name}={_value_text(getattr(op, f.name))}" for f in fields(op)]
    return f" {{{', '.join(pairs)}}}" if pairs else ""


def _value_text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple) and len(value) > 8:
        return f"({len(value)} entries)"
    return str(value)
