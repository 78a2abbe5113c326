"""Layer names from the module paths that torch's exporter leaves in a model."""

from __future__ import annotations

import ast

import onnx

SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
"""Metadata of a node: paths and classes of the modules around it (torch 2.5 or newer)."""


def name_by_modules(model: onnx.ModelProto) -> None:
    """Name nodes by the modules that they come from (``layer1.0.conv1``), where the model tells."""
    weights = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        metadata = {entry.key: entry.value for entry in node.metadata_props}
        if SCOPES in metadata:
            node.name = _owner_of_weights(node, weights) or _scope_name(metadata) or node.name


def _owner_of_weights(node: onnx.NodeProto, weights: set[str]) -> str:
    """Return the module whose weights a node uses."""
    if len(node.input) > 1 and node.input[1] in weights:
        owner, _, kind = node.input[1].rpartition(".")
        return owner if kind == "weight" else ""
    return ""


def _scope_name(metadata: dict[str, str]) -> str:
    """Return the module path of a node; within a module of several layers, and its operation."""
    scopes, classes = _names(metadata.get(SCOPES, "")), _names(metadata.get(CLASSES, ""))
    if len(scopes) < 2:
        return ""
    path, operation = scopes[-2], scopes[-1]
    owner = classes[-2] if len(classes) == len(scopes) else "torch.nn.modules.unknown"
    is_layer = owner.startswith("torch.nn.modules.") and ".container." not in owner
    if is_layer and path:
        return path
    return f"{path}.{operation}" if path else operation


def _names(text: str) -> list[str]:
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    return [str(n) for n in names] if isinstance(names, list) else []
