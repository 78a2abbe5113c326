"""Save and load graphs: one .npz with a JSON description and the constants. No pickle."""

from __future__ import annotations

import json
import tokenize
import zipfile
import zlib
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from lepton_edge.errors import ArtifactError, LeptonError
from lepton_edge.ir.graph import Graph, Node
from lepton_edge.ir.op import OPS
from lepton_edge.ir.types import Elem, Float, Int, QuantType, TensorType
from lepton_edge.ir.verify import verify

SCHEMA = 1
"""Version of the file format; raised when an old file could be misread."""

_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    tokenize.TokenError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    LeptonError,
)
"""What numpy, zipfile and json raise on damaged files, and what a document without sense raises."""


def save_graph(graph: Graph, path: Path) -> None:
    """Write ``graph`` to ``path`` (an .npz file)."""
    names = {value: f"c{i}" for i, value in enumerate(graph.constants)}
    document = {
        "schema": SCHEMA,
        "name": graph.name,
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "types": {v: [list(t.shape), _encode_elem(t.elem)] for v, t in graph.types.items()},
        "constants": names,
        "nodes": [
            {
                "op": node.op.name,
                "attrs": {f.name: _encode(getattr(node.op, f.name)) for f in fields(node.op)},
                "inputs": node.inputs,
                "outputs": node.outputs,
                "name": node.name,
                "sources": node.sources,
            }
            for node in graph.nodes
        ],
    }
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    arrays: dict[str, Any] = {names[value]: array for value, array in graph.constants.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, graph=text, **arrays)


def load_graph(path: Path) -> Graph:
    """Read a graph back.

    Raises:
        ArtifactError: the file is missing, damaged, or of another schema.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            document = json.loads(archive["graph"].tobytes())
            if document["schema"] != SCHEMA:
                raise ArtifactError(
                    f"graph schema {document['schema']}; this version reads {SCHEMA}",
                    where=str(path),
                    hint="compile the model again",
                )
            constants = {value: archive[key] for value, key in document["constants"].items()}
        for array in constants.values():
            array.setflags(write=False)
        graph = Graph(
            document["name"],
            tuple(document["inputs"]),
            tuple(document["outputs"]),
            tuple(_decode_node(entry) for entry in document["nodes"]),
            {
                v: TensorType(tuple(shape), _decode_elem(elem))
                for v, (shape, elem) in document["types"].items()
            },
            constants,
        )
        verify(graph)
    except FileNotFoundError:
        raise ArtifactError("there is no such file", where=str(path)) from None
    except ArtifactError:
        raise
    except _DAMAGE as error:
        what = str(error) or type(error).__name__
        raise ArtifactError(
            f"damaged graph file: {what}", where=str(path), hint="compile the model again"
        ) from None
    return graph


def _decode_node(entry: dict[str, Any]) -> Node:
    op = OPS[entry["op"]]
    hints = get_type_hints(op)
    attrs = {name: _decode(value, hints[name]) for name, value in entry["attrs"].items()}
    return Node(
        op(**attrs),
        tuple(entry["inputs"]),
        tuple(entry["outputs"]),
        entry["name"],
        tuple(entry["sources"]),
    )


def _encode(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, QuantType):
        return _encode_elem(value)
    return value


def _decode(value: Any, hint: Any) -> Any:
    if hint is QuantType:
        return _decode_elem(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return tuple(value) if isinstance(value, list) else value


def _encode_elem(elem: Elem) -> dict[str, Any]:
    kind = {Float: "float", Int: "int", QuantType: "quant"}[type(elem)]
    attrs = {} if isinstance(elem, Float) else {f.name: getattr(elem, f.name) for f in fields(elem)}
    return {"kind": kind, **attrs}


def _decode_elem(entry: dict[str, Any]) -> Elem:
    attrs: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in entry.items() if k != "kind"
    }
    match entry["kind"]:
        case "float":
            return Float()
        case "int":
            return Int(**attrs)
        case "quant":
            return QuantType(**attrs)
    raise ValueError(f"no element type is named {entry['kind']!r}")
