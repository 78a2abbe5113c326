"""The interpreter: executes a graph with numpy. On integer graphs it is the judge."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from lepton_edge.errors import UserError
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.types import Array, TensorType

CHUNK = 32
"""Samples computed at once: enough to keep the matrix products busy, little memory."""

Observer = Callable[[str, Array], None]


def run(
    graph: Graph,
    inputs: Mapping[str, Array],
    *,
    keep: Iterable[str] = (),
    observe: Observer | None = None,
    chunk: int = CHUNK,
) -> dict[str, Array]:
    """Execute ``graph`` on any number of samples.

    Args:
        graph: the network, for a batch of 1.
        inputs: for each graph input an array with a leading axis of N samples.
        keep: further values to return, beside the graph's outputs.
        observe: called with the name and the array of each value as it is computed.
        chunk: most samples computed at once.

    Returns:
        Arrays with a leading axis of N samples, by value name. (A value whose declared leading
        axis is not 1 is stacked sample by sample along a new leading axis. A graph with an
        input whose leading axis is not 1 has no batch: it takes one frame and gives one.)

    Raises:
        UserError: an input is missing, unknown, or of the wrong shape or type.
    """
    arrays = checked_inputs(graph, inputs)
    wanted = (*graph.outputs, *keep)
    if not _has_batch_axis(graph):
        return _run_chunk(graph, arrays, wanted, observe)
    count = min((len(a) for a in arrays.values()), default=1)
    size = chunk if _takes_any_batch(graph) else 1
    parts = [
        _run_chunk(graph, {k: a[i : i + size] for k, a in arrays.items()}, wanted, observe)
        for i in range(0, count, size)
    ]
    return {
        name: np.concatenate([part[name] for part in parts])
        if graph.types[name].shape[:1] == (1,)
        else np.stack([part[name] for part in parts])
        for name in dict.fromkeys(wanted)
    }


def _has_batch_axis(graph: Graph) -> bool:
    """Return whether the leading axis of every input is a batch of 1, to be given as any N."""
    return bool(graph.inputs) and all(graph.types[v].shape[:1] == (1,) for v in graph.inputs)


def _takes_any_batch(graph: Graph) -> bool:
    """Return whether each value that depends on an input has the batch as its leading axis."""
    computed = set(graph.inputs)
    for node in graph.nodes:
        read = [graph.types[v] for v in node.inputs if v in computed]
        if not read:
            continue
        written = [graph.types[v] for v in node.outputs]
        if not node.op.is_batchable or any(t.shape[:1] != (1,) for t in (*read, *written)):
            return False
        if len(node.inputs) > 1 and any(t.rank != written[0].rank for t in read):
            return False  # broadcasting would put the batch on another axis
        computed.update(node.outputs)
    return True


def _run_chunk(
    graph: Graph, arrays: Mapping[str, Array], wanted: tuple[str, ...], observe: Observer | None
) -> dict[str, Array]:
    values: dict[str, Array] = {**graph.constants, **arrays}
    uses = {value: graph.num_uses(value) + wanted.count(value) for value in graph.types}
    if observe:
        for value, array in arrays.items():
            observe(value, array)
    for node in graph.nodes:
        results = node.op.evaluate([values[v] for v in node.inputs], graph.signature(node))
        values.update(zip(node.outputs, results, strict=True))
        if observe:
            for value in node.outputs:
                observe(value, values[value])
        for value in node.inputs:
            uses[value] -= 1
            if uses[value] == 0 and value not in wanted:
                del values[value]
    return {name: values[name] for name in wanted}


def checked_inputs(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the inputs in the graph's order and types, or say what is wrong with them."""
    wanted = ", ".join(f"{name}: {describe(graph.types[name])}" for name in graph.inputs)
    unknown = sorted(set(inputs) - set(graph.inputs))
    missing = [name for name in graph.inputs if name not in inputs]
    if unknown or missing:
        found = ", ".join(f"{name}: {a.dtype}{list(a.shape)}" for name, a in inputs.items())
        raise UserError(f"wanted the inputs {wanted}; found {found or 'none'}")
    arrays = {name: _checked_input(name, graph.types[name], inputs[name]) for name in graph.inputs}
    if not _has_batch_axis(graph):
        for name, array in arrays.items():
            if array.shape != graph.types[name].shape:
                raise UserError(
                    f"input {name!r} holds {len(array)} samples; this model takes one at a time, "
                    "because an input of it has no batch axis"
                )
        return arrays
    counts = {name: len(a) for name, a in arrays.items()}
    if len(set(counts.values())) > 1:
        raise UserError(f"the inputs hold different numbers of samples: {counts}")
    if 0 in counts.values():
        raise UserError("the inputs hold no sample")
    return arrays


def describe(type_: TensorType) -> str:
    """Return what a caller must give for a value of ``type_``: dtype and shape, batch as N."""
    shape = ("N", *type_.shape[1:]) if type_.shape[:1] == (1,) else type_.shape
    return f"{type_.elem.dtype}[{','.join(map(str, shape))}]"


def _checked_input(name: str, type_: TensorType, array: Array) -> Array:
    wanted = type_.shape
    has_batch = wanted[:1] == (1,)
    if has_batch and array.shape == wanted[1:]:
        array = array[np.newaxis]
    if (array.shape[1:] != wanted[1:]) if has_batch else (array.shape != wanted):
        raise UserError(
            f"input {name!r} is {array.dtype}{list(array.shape)}; wanted {describe(type_)}",
            hint=_reorder_hint(array.shape, wanted) if has_batch else "",
        )
    if array.dtype.kind not in "fiub":
        raise UserError(f"input {name!r} holds {array.dtype}; wanted numbers: {describe(type_)}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"input {name!r} holds values that are not finite")
    if type_.is_float:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise UserError(f"input {name!r} holds values beyond the range of binary32")
        return array
    lowest, highest = np.iinfo(type_.elem.dtype).min, np.iinfo(type_.elem.dtype).max
    if type_.is_quantized:
        lowest, highest = type_.quant.lowest, type_.quant.highest
    if array.size and (
        (array.dtype.kind == "f" and (array != np.rint(array)).any())
        or array.min() < lowest
        or array.max() > highest
    ):
        raise UserError(
            f"input {name!r} must hold integer codes in {lowest}..{highest}; found {array.dtype} "
            f"in {array.min()}..{array.max()}"
        )
    return array.astype(type_.elem.dtype)


def _reorder_hint(found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say how an array of another layout becomes what is wanted, where that is plain."""
    if len(found) != len(wanted):
        is_flat = math.prod(found[1:]) == math.prod(wanted[1:])
        return f"x.reshape(-1, {', '.join(map(str, wanted[1:]))})" if found and is_flat else ""
    for order in ((0, *range(2, len(found)), 1), (0, len(found) - 1, *range(1, len(found) - 1))):
        if len(found) > 2 and tuple(found[axis] for axis in order[1:]) == wanted[1:]:
            return f"its axes are in another order: x.transpose{order}"
    return ""
