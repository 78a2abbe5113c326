"""The walk over an ONNX graph: constants fold, handlers emit the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx

from lepton_edge.errors import ImportModelError, LeptonError, UnsupportedError
from lepton_edge.frontends.onnx.inputs import input_types
from lepton_edge.frontends.onnx.load import read_model, tensor_array
from lepton_edge.frontends.onnx.module_names import name_by_modules
from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.prepare import (
    check_arity,
    check_text,
    check_versions,
    inline_functions,
    node_domain,
    sorted_nodes,
)
from lepton_edge.frontends.onnx.static import MOVES, evaluate, is_foldable
from lepton_edge.frontends.onnx.table import handler_for
from lepton_edge.frontends.onnx.values import Static
from lepton_edge.ir.graph import Graph, GraphBuilder, readable_name
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops.elementwise import Binary, PRelu, Scalar, Softmax
from lepton_edge.ir.ops.linear import Conv, Dense, MatMul
from lepton_edge.ir.ops.pool import AveragePool, Reduce
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.ir.ops.shape import Reshape
from lepton_edge.ir.types import Array, TensorType

_FLOAT_OPS = (
    AveragePool,
    Binary,
    Conv,
    Dense,
    MatMul,
    PRelu,
    Quantize,
    Reduce,
    Scalar,
    Softmax,
)

MAX_ELEMENTS = 1 << 31
"""Most elements of a tensor."""

MAX_LISTED = 10
"""Most refusals listed in one message."""


def import_onnx(source: Path) -> Graph:
    """Read an ONNX, QDQ or QONNX file.

    Raises:
        ImportModelError: the file cannot be read, is damaged, or is ill-typed.
        UnsupportedError: the network uses something that cannot be compiled.
    """
    source = Path(source)
    model = read_model(source)
    try:
        return import_onnx_proto(model, source.stem, source.parent)
    except LeptonError as error:
        raise error.at(str(source)) from None


def import_onnx_proto(model: onnx.ModelProto, name: str, base_dir: Path | None = None) -> Graph:
    """Turn an ONNX model in memory into a Graph.

    Args:
        model: the model; nodes that torch exported are renamed by their modules.
        name: the graph's name.
        base_dir: where external tensor data may lie; None forbids external data.

    Raises:
        ImportModelError: the model is malformed or ill-typed.
        UnsupportedError: the network uses something that cannot be compiled.
    """
    check_text(model)
    opsets = check_versions(model)
    model = inline_functions(model)
    name_by_modules(model)
    return Importer(model, opsets, name, base_dir).run()


class Importer:
    """The state of one import.

    Args:
        model: the model, without local functions.
        opsets: version of each imported operator set.
        name: the graph's name.
        base_dir: where external tensor data may lie.
    """

    def __init__(
        self, model: onnx.ModelProto, opsets: dict[str, int], name: str, base_dir: Path | None
    ) -> None:
        self.graph = model.graph
        self.opsets = opsets
        self.base_dir = base_dir
        self.builder = GraphBuilder(readable_name(name))
        self.values: dict[str, Static | str] = {}
        self.nodes = sorted_nodes(self.graph)
        self.used = {v for node in self.nodes for v in node.input if v}
        self.used.update(v.name for v in self.graph.output)
        self._reserved = {readable_name(v.name) for v in self.graph.output}
        self._onnx_names = {readable_name(v) for v in (*self.used, *self._outputs())}
        self._poisoned: set[str] = set()
        self._refused: list[UnsupportedError] = []
        self._placed: dict[str, str] = {}
        self._producers: dict[str, tuple[Op, tuple[str, ...]]] = {}
        self._name_counts: dict[str, int] = {}
        self._node_names: set[str] = set()

    def _outputs(self) -> Iterator[str]:
        return (v for node in self.nodes for v in node.output if v)

    def run(self) -> Graph:
        """Return the graph."""
        if not self.graph.output:
            raise ImportModelError("the model has no output")
        self._add_initializers()
        views = [self._view(node) for node in self.nodes]
        late = []
        for view in views:
            inputs = [v for v in view.proto.input if v]
            if all(v in self.values for v in inputs) and self._is_static_kind(view):
                self._visit(view)
            else:
                late.append(view)
        for name, type_ in input_types(self.graph, self.nodes, self.values).items():
            self.values[name] = self.builder.input(name, type_)
        for view in late:
            if not self._poisoned.isdisjoint(view.proto.input):
                self._poisoned.update(v for v in view.outputs if v)
                continue
            self._visit(view)
        if self._refused:
            raise self._refusal()
        return self.builder.finish([self._output(v.name) for v in self.graph.output])

    # -- the walk ---------------------------------------------------------------------------

    def _add_initializers(self) -> None:
        if self.graph.sparse_initializer:
            raise UnsupportedError("sparse initializers are not supported", hint="store them dense")
        for tensor in self.graph.initializer:
            array = tensor_array(tensor, self.base_dir, "initializer")
            self.values[tensor.name] = Static(array, tensor.name)

    def _view(self, proto: onnx.NodeProto) -> NodeView:
        raw = proto.name or next((v for v in proto.output if v), proto.op_type)
        name = readable_name(raw)
        unique, count = name, self._name_counts.get(name, 0)
        while unique in self._node_names:
            count += 1
            unique = f"{name}_{count}"
        self._name_counts[name] = count
        self._node_names.add(unique)
        return NodeView(self, proto, unique, self.opsets.get(node_domain(proto), 1))

    @staticmethod
    def _is_static_kind(view: NodeView) -> bool:
        kind = view.proto.op_type
        return kind in ("Constant", "QuantizeLinear", "DequantizeLinear", "Quant") or (
            node_domain(view.proto) == "" and is_foldable(kind)
        )

    def _visit(self, view: NodeView) -> None:
        try:
            check_arity(view)
            if not self._fold(view):
                handler = handler_for(node_domain(view.proto), view.proto.op_type)
                if handler is None:
                    raise view.refuse(*_unknown(view))
                handler(view)
        except UnsupportedError as error:
            error.where = view.where
            self._refused.append(error)
            self._poisoned.update(v for v in view.outputs if v)
            for value in view.outputs:
                self.values.pop(value, None)
        except LeptonError as error:
            error.where = view.where
            raise

    def _fold(self, view: NodeView) -> bool:
        """Evaluate a node whose inputs are known; return whether that was done."""
        kind = view.proto.op_type
        if node_domain(view.proto) or not is_foldable(kind):
            return False
        inputs = [self.values[v] if v else None for v in view.proto.input]
        if any(isinstance(v, str) for v in inputs):
            return False
        statics = [v if isinstance(v, Static) else None for v in inputs]
        if kind != "Constant" and statics[:1] in ([], [None]):
            raise view.wrong("input 0 is missing")
        first = statics[0] if statics else None
        if kind in MOVES and first is not None and first.quant is not None:
            rest = [v.array if v else None for v in statics[1:]]
            for index in range(len(view.outputs)):
                moved = first.moved(
                    f"{view.name}:{index}",
                    lambda a, i=index: evaluate(view.proto, [a, *rest], view.opset)[i],  # type: ignore[misc]
                )
                view.define(moved, index)
            return True
        arrays = [v.real if v else None for v in statics]
        for index, array in enumerate(evaluate(view.proto, arrays, view.opset)):
            view.define_array(array, index)
        return True

    def _refusal(self) -> UnsupportedError:
        if len(self._refused) == 1:
            return self._refused[0]
        lines = [f"{len(self._refused)} nodes are not supported"]
        lines += [f"  {e.where}: {e.what}" for e in self._refused[:MAX_LISTED]]
        if len(self._refused) > MAX_LISTED:
            lines.append(f"  and {len(self._refused) - MAX_LISTED} more")
        hints = dict.fromkeys(e.hint for e in self._refused if e.hint)
        return UnsupportedError("\n".join(lines), hint="; ".join(list(hints)[:3]))

    # -- emission ---------------------------------------------------------------------------

    def emit(self, op: Op, inputs: Sequence[str], name: str, source: str) -> str:
        """Add a node that has one output; its value is named like the node."""
        value = f"{name}/value" if readable_name(name) in self._onnx_names else name
        (result,) = self._emit(op, inputs, name, source, [value])
        return result

    def emit_result(
        self,
        op: Op,
        inputs: Sequence[str],
        name: str,
        source: str,
        outputs: Sequence[str],
        count: int,
    ) -> None:
        """Add a node whose first ``count`` outputs are the ONNX values ``outputs``."""
        given = list(outputs[:count]) + [""] * (count - len(outputs))
        wanted = [self._value_name(v) if v else f"{name}/unused{i}" for i, v in enumerate(given)]
        for onnx_name, value in zip(
            given, self._emit(op, inputs, name, source, wanted), strict=True
        ):
            if onnx_name:
                self.values[onnx_name] = value

    def _emit(
        self, op: Op, inputs: Sequence[str], name: str, source: str, outputs: Sequence[str]
    ) -> tuple[str, ...]:
        if isinstance(op, _FLOAT_OPS):
            self._require_floats(inputs)
        values = self.builder.emit(op, inputs, name=name, sources=(source,), outputs=outputs)
        for value in values:
            require_size(self.builder.type_of(value))
            self._producers[value] = (op, tuple(inputs))
        return values

    def _require_floats(self, inputs: Sequence[str]) -> None:
        for value in inputs:
            type_ = self.builder.type_of(value)
            if type_.is_quantized:
                raise UnsupportedError(
                    f"computes on the integer codes {value!r} ({type_}); wanted floats",
                    hint="export in QDQ format: DequantizeLinear before each layer",
                )
            if not type_.is_float:
                raise UnsupportedError(
                    f"computes on the integers {value!r} ({type_}) at run time; wanted floats",
                    hint="make the input of the model a float, or quantise it with QDQ nodes",
                )

    def producer(self, value: str) -> tuple[Op, tuple[str, ...]] | None:
        """Return the operator that computes a value of the graph and what it reads."""
        return self._producers.get(value)

    def _value_name(self, onnx_name: str) -> str:
        """Return the name of an ONNX value; names of the model's outputs are kept for those."""
        name = readable_name(onnx_name)
        if name in self._reserved and all(v.name != onnx_name for v in self.graph.output):
            return f"{name}/value"
        return name

    def place(self, static: Static) -> str:
        """Add a constant to the graph once: the array, or codes and their Dequantize."""
        if static.key in self._placed:
            return self._placed[static.key]
        array, name = static.array, readable_name(static.name)
        where = f"tensor {static.name!r}"
        if array.size == 0:
            raise UnsupportedError(f"{where} has no elements; empty tensors are not supported")
        if static.quant is None and array.dtype.kind not in "fiub":
            array = _plain(array, where)
        if array.dtype.kind == "f":
            if not np.isfinite(array).all():
                raise ImportModelError(
                    f"{where} holds NaN or infinity; weights and constants must be finite"
                )
            with np.errstate(over="ignore"):
                array = array.astype(np.float32)
            if not np.isfinite(array).all():
                raise ImportModelError(f"{where} holds values beyond the range of binary32")
        if name in self._reserved:
            name = f"{name}/constant"
        if static.quant is None:
            value = self.builder.constant(array, name=name)
        else:
            codes = self.builder.constant(array, static.quant, name)
            source = static.source or static.name
            value = self.emit(Dequantize(), [codes], f"{name}/dequantize", source)
        self._placed[static.key] = value
        return value

    def _output(self, name: str) -> str:
        if name not in self.values:
            raise ImportModelError(f"the output {name!r} is computed by no node")
        value = self.values[name]
        if isinstance(value, str) and value == readable_name(name):
            return value
        placed = self.place(value) if isinstance(value, Static) else value
        same = Reshape(self.builder.type_of(placed).shape)
        (value,) = self.builder.emit(
            same, [placed], name=f"{name}/output", sources=(name,), outputs=[name]
        )
        return value


def require_size(type_: TensorType) -> None:
    """Refuse tensors without elements and of absurd size."""
    count = math.prod(type_.shape)
    if not 0 < count <= MAX_ELEMENTS:
        raise UnsupportedError(
            f"gives a tensor of shape {list(type_.shape)} with {count} elements; "
            f"wanted 1 to {MAX_ELEMENTS}"
        )


def _plain(array: Array, where: str) -> Array:
    """Return small floats and integers of onnx's own types as numpy's."""
    kind = array.dtype.name
    if "int" in kind:
        return array.astype(np.int8 if kind.startswith("int") else np.uint8)
    if "float" in kind:
        return array.astype(np.float32)
    raise UnsupportedError(f"{where} holds {kind}; wanted numbers")


def _unknown(view: NodeView) -> tuple[str, str]:
    domain = view.proto.domain
    kind = view.proto.op_type
    if node_domain(view.proto) == "" and is_foldable(kind):
        computed = next(
            (v for v in view.proto.input if isinstance(view.importer.values.get(v), str)), ""
        )
        what = f"the operator {kind!r} is supported on constants only"
        return f"{what}; {computed!r} is computed at run time", "replace it in the model"
    place = f" of domain {domain!r}" if domain not in ("", "ai.onnx") else ""
    return (
        f"the operator {kind!r}{place} is not supported",
        "replace it in the model by supported operators, or cut the model before it",
    )
