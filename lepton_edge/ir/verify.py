"""The verifier: checks that a graph is well formed, between passes and after loading."""

from __future__ import annotations

import numpy as np

from lepton_edge.errors import ImportModelError, LeptonError
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.types import Array


def verify(graph: Graph) -> None:
    """Check names, order, types and constants of ``graph``.

    Raises:
        ImportModelError: the first rule that is broken, with the node or value it is broken at.
    """
    defined: set[str] = set()
    for value in graph.inputs:
        if value in defined:
            raise ImportModelError(f"two inputs are named {value!r}", where=graph.name)
        defined.add(value)
    for value, array in graph.constants.items():
        _verify_constant(graph, value, array)
        defined.add(value)
    names: set[str] = set()
    for node in graph.nodes:
        where = f"{graph.name}: node {node.name!r} ({node.op.name})"
        if node.name in names:
            raise ImportModelError("another node has the same name", where=where)
        names.add(node.name)
        for value in node.inputs:
            if value not in defined:
                raise ImportModelError(
                    f"reads {value!r}, which nothing before it defines",
                    where=where,
                    hint="nodes must be in topological order, without cycles",
                )
        try:
            types = node.op.infer([graph.types[v] for v in node.inputs])
        except LeptonError as error:
            raise error.at(where) from None
        for value, type_ in zip(node.outputs, types, strict=True):
            if value in defined:
                raise ImportModelError(f"defines {value!r} a second time", where=where)
            if graph.types.get(value) != type_:
                raise ImportModelError(
                    f"output {value!r} is recorded as {graph.types.get(value)} "
                    f"but computes {type_}",
                    where=where,
                )
            defined.add(value)
    for value in graph.outputs:
        if value not in defined:
            raise ImportModelError(f"output {value!r} is not defined", where=graph.name)


def _verify_constant(graph: Graph, value: str, array: Array) -> None:
    type_ = graph.types.get(value)
    where = f"{graph.name}: constant {value!r}"
    if type_ is None:
        raise ImportModelError("has no type", where=where)
    if array.shape != type_.shape or array.dtype != type_.elem.dtype:
        raise ImportModelError(f"is {array.dtype}{list(array.shape)}; wanted {type_}", where=where)
    if type_.is_float and not np.isfinite(array).all():
        raise ImportModelError("holds values that are not finite", where=where)
    if type_.is_quantized and array.size:
        quant = type_.quant
        if array.min() < quant.lowest or array.max() > quant.highest:
            raise ImportModelError(
                f"holds codes {array.min()}..{array.max()}, outside {quant}", where=where
            )
