"""What a handler sees of one ONNX node: its inputs, attributes, and how to emit IR for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import AttributeProto

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.frontends.onnx.load import tensor_array
from lepton_edge.frontends.onnx.values import Static
from lepton_edge.ir.op import Op
from lepton_edge.ir.types import Array, TensorType

if TYPE_CHECKING:
    from lepton_edge.frontends.onnx.importer import Importer

_KINDS = {
    AttributeProto.INT: "an integer",
    AttributeProto.INTS: "integers",
    AttributeProto.FLOAT: "a number",
    AttributeProto.FLOATS: "numbers",
    AttributeProto.STRING: "a string",
    AttributeProto.TENSOR: "a tensor",
}


class NodeView:
    """One ONNX node under import.

    Args:
        importer: the walk.
        proto: the node.
        name: its unique, readable name.
        opset: the version of the node's operator set.
    """

    def __init__(self, importer: Importer, proto: onnx.NodeProto, name: str, opset: int) -> None:
        self.importer = importer
        self.proto = proto
        self.name = name
        self.opset = opset
        self._attributes = {a.name: a for a in proto.attribute}

    # -- attributes -------------------------------------------------------------------------

    def has_attribute(self, key: str) -> bool:
        """Return whether the attribute is given."""
        return key in self._attributes

    def _attribute(self, key: str, kind: AttributeProto.AttributeType) -> AttributeProto | None:
        attribute = self._attributes.get(key)
        if attribute is not None and attribute.type != kind:
            raise ImportModelError(f"attribute {key!r} is not {_KINDS[kind]}", where=self.where)
        return attribute

    def attr_int(self, key: str, default: int) -> int:
        """Return an integer attribute."""
        attribute = self._attribute(key, AttributeProto.INT)
        return default if attribute is None else attribute.i

    def attr_ints(self, key: str) -> tuple[int, ...] | None:
        """Return an attribute of integers, or None."""
        attribute = self._attribute(key, AttributeProto.INTS)
        return None if attribute is None else tuple(attribute.ints)

    def attr_float(self, key: str, default: float) -> float:
        """Return a float attribute; it must be a number."""
        attribute = self._attribute(key, AttributeProto.FLOAT)
        value = default if attribute is None else attribute.f
        if np.isnan(value):
            raise ImportModelError(f"attribute {key!r} is not a number", where=self.where)
        return value

    def attr_floats(self, key: str) -> tuple[float, ...] | None:
        """Return an attribute of floats, or None."""
        attribute = self._attribute(key, AttributeProto.FLOATS)
        return None if attribute is None else tuple(attribute.floats)

    def attr_string(self, key: str, default: str) -> str:
        """Return a string attribute."""
        attribute = self._attribute(key, AttributeProto.STRING)
        return default if attribute is None else attribute.s.decode("utf-8", "replace")

    def attr_tensor(self, key: str) -> Array | None:
        """Return a tensor attribute, or None."""
        attribute = self._attribute(key, AttributeProto.TENSOR)
        if attribute is None:
            return None
        return tensor_array(attribute.t, self.importer.base_dir, self.where)

    # -- inputs -----------------------------------------------------------------------------

    @property
    def num_inputs(self) -> int:
        """Number of inputs, absent optional ones in between included."""
        return len(self.proto.input)

    def has_input(self, index: int) -> bool:
        """Return whether an optional input is given."""
        return index < len(self.proto.input) and bool(self.proto.input[index])

    def _raw(self, index: int) -> Static | str:
        if not self.has_input(index):
            raise ImportModelError(f"input {index} is missing", where=self.where)
        return self.importer.values[self.proto.input[index]]

    def static(self, index: int) -> Static | None:
        """Return an input if it is known at import and given."""
        if not self.has_input(index):
            return None
        value = self._raw(index)
        return value if isinstance(value, Static) else None

    def constant(self, index: int, what: str) -> Static:
        """Return an input that must be known at import.

        Args:
            index: which input.
            what: what it is, for the message ("weights").
        """
        value = self._raw(index)
        if not isinstance(value, Static):
            raise self.refuse(
                f"{what} must be constant; {self.proto.input[index]!r} is computed at run time",
                "make it an initializer, or fold constants before the export",
            )
        return value

    def array(self, index: int, what: str) -> Array:
        """Return the array of an input that must be known at import."""
        return self.constant(index, what).real

    def integers(self, index: int, what: str) -> tuple[int, ...]:
        """Return the integers of a 0-D or 1-D input that must be known at import."""
        array = self.array(index, what)
        if array.dtype.kind not in "iu" or array.ndim > 1:
            raise ImportModelError(
                f"{what} must be a list of integers, found {array.dtype}{list(array.shape)}",
                where=self.where,
            )
        return tuple(int(v) for v in array.reshape(-1))

    def value(self, index: int) -> str:
        """Return an input as a value of the graph; constants are placed on first use."""
        value = self._raw(index)
        return self.place(value) if isinstance(value, Static) else value

    def type_at(self, index: int) -> TensorType:
        """Return the type of an input; constants are placed on first use."""
        return self.importer.builder.type_of(self.value(index))

    def type_of(self, value: str) -> TensorType:
        """Return the type of a value of the graph."""
        return self.importer.builder.type_of(value)

    def place(self, static: Static) -> str:
        """Return the graph value of a constant: the array, or codes and their Dequantize."""
        return self.importer.place(static)

    def number(self, array: Array | float, role: str) -> str:
        """Add a float constant that belongs to this node."""
        name = f"{self.name}/{role}"
        return self.place(Static(np.asarray(array, np.float32), name, key=f"\0{name}"))

    def axis(self, key: str, default: int, rank: int) -> int:
        """Return an axis attribute as a non-negative number."""
        return self.normal_axis(self.attr_int(key, default), rank)

    def normal_axis(self, axis: int, rank: int) -> int:
        """Return ``axis`` of a tensor of ``rank`` as a non-negative number."""
        if not -rank <= axis < rank:
            raise ImportModelError(f"axis {axis} of a {rank}-D tensor", where=self.where)
        return axis % rank if rank else 0

    # -- outputs ----------------------------------------------------------------------------

    def emit(self, op: Op, inputs: Sequence[str], role: str = "") -> str:
        """Add a helper node and return its only output.

        Args:
            op: the operator.
            inputs: values of the graph.
            role: suffix of the name; empty for the node that bears the user's name.
        """
        name = f"{self.name}/{role}" if role else self.name
        return self.importer.emit(op, inputs, name, self.name)

    def result(self, op: Op, inputs: Sequence[str], role: str = "", count: int = 1) -> None:
        """Add the node whose outputs are the ONNX node's outputs."""
        name = f"{self.name}/{role}" if role else self.name
        self.importer.emit_result(op, inputs, name, self.name, self.outputs, count)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The ONNX outputs."""
        return tuple(self.proto.output)

    def define(self, value: Static | str, index: int = 0) -> None:
        """Let an existing value be an output of the ONNX node."""
        if index < len(self.outputs) and self.outputs[index]:
            self.importer.values[self.outputs[index]] = value

    def define_array(self, array: Any, index: int = 0) -> None:
        """Let a known array be an output of the ONNX node."""
        if index < len(self.outputs) and self.outputs[index]:
            self.define(Static(np.asarray(array), self.outputs[index]), index)

    def is_used(self, index: int) -> bool:
        """Return whether an output is read by a node or is an output of the model."""
        return (
            index < len(self.outputs)
            and bool(self.outputs[index])
            and self.outputs[index] in self.importer.used
        )

    def refuse_output(self, index: int, what: str) -> None:
        """Refuse the node when an output that cannot be computed is used."""
        if self.is_used(index):
            raise self.refuse(f"the output {what} ({self.outputs[index]!r}) is not supported")

    # -- errors -----------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """The place for messages."""
        return f"node {self.name!r} ({self.proto.op_type})"

    def refuse(self, what: str, hint: str = "") -> UnsupportedError:
        """Return the error that says what of this node is not supported."""
        return UnsupportedError(what, where=self.where, hint=hint)

    def wrong(self, what: str, hint: str = "") -> ImportModelError:
        """Return the error that says what of this node is malformed."""
        return ImportModelError(what, where=self.where, hint=hint)
