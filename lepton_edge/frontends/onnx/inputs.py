"""The types of the model's inputs: batch size, element type, and what integer inputs stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import onnx
from onnx import TensorProto

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.frontends.onnx.quantization import INTEGERS, quant_of
from lepton_edge.frontends.onnx.table import words
from lepton_edge.frontends.onnx.values import Static
from lepton_edge.ir.types import Elem, Float, Int, QuantType, TensorType

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}

_TRANSPARENT = frozenset(
    words(
        """Transpose Reshape Flatten Squeeze Unsqueeze Identity Slice Split Concat MaxPool Gather
    Expand DepthToSpace SpaceToDepth Dropout Pad"""
    )
)
"""Operators through which codes pass unchanged."""


def input_types(
    graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto], values: Mapping[str, Static | str]
) -> dict[str, TensorType]:
    """Return the type of each input that is not a constant.

    Args:
        graph: the model's graph.
        nodes: its nodes, sorted.
        values: the constants that are known so far.
    """
    readers: dict[str, list[onnx.NodeProto]] = {}
    types: dict[str, TensorType] = {}
    for info in graph.input:
        if info.name in values:
            continue
        if info.name in types:
            raise ImportModelError(f"two inputs are named {info.name!r}")
        where = f"input {info.name!r}"
        shape = _shape(info, where)
        code = info.type.tensor_type.elem_type
        elem: Elem
        if code in _FLOATS:
            elem = Float()
        elif code in INTEGERS:
            if not readers:
                for node in nodes:
                    for value in node.input:
                        readers.setdefault(value, []).append(node)
            elem = _integer_elem(info.name, code, readers, values, where)
        else:
            raise UnsupportedError(
                f"holds {_type_name(code)}; wanted floats or integers", where=where
            )
        types[info.name] = TensorType(shape, elem)
    return types


def _shape(info: onnx.ValueInfoProto, where: str) -> tuple[int, ...]:
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        found = (kind or "nothing").removesuffix("_type")
        raise UnsupportedError(f"is of the kind {found}; wanted a tensor", where=where)
    if not info.type.tensor_type.HasField("shape"):
        raise UnsupportedError(
            "has no shape", where=where, hint="export with fixed shapes: float32[1,3,32,32]"
        )
    shape = []
    for axis, dim in enumerate(info.type.tensor_type.shape.dim):
        size = dim.dim_value if dim.HasField("dim_value") else 0
        if size > 0:
            shape.append(size)
        elif axis == 0:
            shape.append(1)  # the batch
        else:
            raise UnsupportedError(
                f"axis {axis} has the dynamic size {dim.dim_param or '?'!r}; hardware needs a "
                "number (only axis 0, the batch, may be open)",
                where=where,
                hint="fix it: onnx.tools.update_model_dims, or export without dynamic_axes "
                "for this axis",
            )
    if math.prod(shape) > 1 << 31:
        raise ImportModelError(
            f"has the shape {shape}; at most {1 << 31} elements are supported", where=where
        )
    return tuple(shape)


def _integer_elem(
    name: str,
    code: int,
    readers: Mapping[str, Sequence[onnx.NodeProto]],
    values: Mapping[str, Static | str],
    where: str,
) -> Elem:
    bits, signed = INTEGERS[code]
    seen = {name}
    pending = [name]
    found: QuantType | None = None
    while pending:
        value = pending.pop()
        for node in readers.get(value, ()):
            quant = None
            if node.op_type == "DequantizeLinear" and node.input[0] == value:
                quant = _quant_read_by(node, bits, signed, values, where)
            elif node.op_type == "Cast" and bits <= 16:
                quant = QuantType(bits, signed, (1.0,))
            elif node.op_type in _TRANSPARENT and node.output and node.output[0] not in seen:
                outputs = [v for v in node.output if v and v not in seen]
                seen.update(outputs)
                pending.extend(outputs)
            if found is None:
                found = quant
    return found or Int(bits, signed)


def _quant_read_by(
    node: onnx.NodeProto,
    bits: int,
    signed: bool,
    values: Mapping[str, Static | str],
    where: str,
) -> QuantType | None:
    params = [values.get(v) for v in node.input[1:3] if v]
    if not params or not all(isinstance(p, Static) for p in params):
        return None
    if bits > 32:
        raise UnsupportedError(f"holds codes of {bits} bits; at most 32 are supported", where=where)
    scale, *zero = (p.array for p in params if isinstance(p, Static))
    if scale.size != 1:
        raise UnsupportedError(
            f"node {node.name!r} dequantises it with {scale.size} scales; an integer input needs "
            "one scale",
            where=where,
            hint="quantise activations per tensor",
        )
    return quant_of(scale, zero[0] if zero else None, bits, signed, None, where)


def _type_name(code: int) -> str:
    try:
        return str(TensorProto.DataType.Name(code)).lower()
    except ValueError:
        return f"the unknown type {code}"
