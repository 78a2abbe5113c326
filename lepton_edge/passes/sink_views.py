"""Move transposes and reshapes down the graph until they cancel, or are absorbed by weights.

Importers of channels-first networks put a transpose before and after each layer. Elementwise ops
do not care in which order elements come, so the views pass through them and meet their inverse::

    transpose → conv → transpose' → relu → transpose → conv     ⇒     transpose → conv → relu → conv
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lepton_edge.ir.graph import Graph, Node, Rewriter
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops.elementwise import Binary, PRelu, Scalar, Softmax
from lepton_edge.ir.ops.linear import Dense
from lepton_edge.ir.ops.pool import Reduce
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.ir.ops.select import ArgMax
from lepton_edge.ir.ops.shape import Concat, Gather, Pad, Reshape, Slice, Transpose
from lepton_edge.passes.base import Effect, Pass


@dataclass(frozen=True)
class View:
    """The value ``source.transpose(perm).reshape(shape)``, not computed yet."""

    source: str
    perm: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class SinkViews(Pass):
    """Sink transposes and reshapes; cancel what meets its inverse."""

    name: ClassVar[str] = "sink-views"
    effect: ClassVar[Effect] = Effect.EXACT

    def run(self, graph: Graph) -> Graph:
        """See Pass."""
        return _Sinking(graph).run()


def moved_in_order(shape: Sequence[int], perm: Sequence[int]) -> bool:
    """Whether a transpose only moves axes of size 1, so that no element changes its place."""
    order = [axis for axis in perm if shape[axis] != 1]
    return order == sorted(order)


class _Sinking:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.new = Rewriter(graph)
        self.views: dict[str, View] = {}
        self.computed: dict[View, str] = {}

    def run(self) -> Graph:
        for node in self.graph.nodes:
            self._sink(node)
        for value in self.graph.outputs:
            if value in self.views:
                self.new.replace(value, self._compute(self.views[value], value, ()))
        return self.new.done()

    def _source_shape(self, view: View) -> tuple[int, ...]:
        return self.new.type_of(view.source).shape

    def _permuted(self, view: View) -> tuple[int, ...]:
        return tuple(self._source_shape(view)[p] for p in view.perm)

    def _view(self, value: str) -> View:
        if value in self.views:
            return self.views[value]
        shape = self.graph.types[value].shape
        return View(self.new[value], tuple(range(len(shape))), shape)

    def _is_transpose(self, view: View) -> bool:
        return view.shape == self._permuted(view)

    def _normal(self, view: View) -> View:
        if moved_in_order(self._source_shape(view), view.perm):
            return replace(view, perm=tuple(range(len(view.perm))))
        return view

    def _set(self, value: str, view: View) -> None:
        view = self._normal(view)
        if view.shape == self._source_shape(view) and view.perm == tuple(range(len(view.perm))):
            self.views.pop(value, None)
            self.new.replace(value, view.source)
        else:
            self.views[value] = view

    def _compute(self, view: View, name: str, sources: tuple[str, ...]) -> str:
        if view not in self.computed:
            value = view.source
            if view.perm != tuple(range(len(view.perm))):
                value = self.new.emit1(
                    Transpose(view.perm), [value], name=f"{name}/transpose", sources=sources
                )
            if view.shape != self.new.type_of(value).shape:
                value = self.new.emit1(
                    Reshape(view.shape), [value], name=f"{name}/reshape", sources=sources
                )
            self.computed[view] = value
        return self.computed[view]

    def _computed(self, value: str, node: Node) -> str:
        if value in self.views:
            return self._compute(self.views[value], node.name, node.sources)
        return self.new[value]

    def _sink(self, node: Node) -> None:
        op = node.op
        if isinstance(op, Transpose):
            self._transpose(node, op)
        elif isinstance(op, Reshape):
            view = self._view(node.inputs[0])
            self._set(node.output, replace(view, shape=op.shape))
        elif not any(v in self.views for v in node.inputs):
            self.new.copy(node)
        elif isinstance(op, Scalar) or self._is_per_tensor_cast(node):
            self._through(node, op, self.views[node.inputs[0]])
        elif isinstance(op, Binary | PRelu):
            self._binary(node)
        elif isinstance(op, Concat):
            self._concat(node, op)
        elif isinstance(op, Slice | Gather | Softmax | ArgMax | Pad | Reduce):
            self._along_axes(node, op)
        elif isinstance(op, Dense):
            self._dense(node)
        else:
            self._copy(node)

    def _copy(self, node: Node) -> None:
        self.new.copy(node, inputs=[self._computed(v, node) for v in node.inputs])

    def _emit(self, node: Node, op: Op, inputs: list[str]) -> str:
        return self.new.emit1(op, inputs, name=node.name, sources=node.sources)

    def _through(self, node: Node, op: Op, view: View) -> None:
        result = self._emit(node, op, [view.source])
        self._set(node.output, replace(view, source=result))

    def _is_per_tensor_cast(self, node: Node) -> bool:
        if isinstance(node.op, Quantize):
            return node.op.out.is_per_tensor
        if isinstance(node.op, Dequantize):
            return self.graph.types[node.inputs[0]].quant.is_per_tensor
        return False

    def _transpose(self, node: Node, op: Transpose) -> None:
        view = self._view(node.inputs[0])
        shape = tuple(view.shape[p] for p in op.perm)
        if self._is_transpose(view):
            self._set(node.output, View(view.source, tuple(view.perm[p] for p in op.perm), shape))
        elif moved_in_order(view.shape, op.perm):
            self._set(node.output, replace(view, shape=shape))
        else:
            source = self._compute(view, node.name, node.sources)
            self._set(node.output, View(source, op.perm, shape))

    def _binary(self, node: Node) -> None:
        out = self.graph.types[node.output].shape
        whole = (v for v in node.inputs if v in self.views and self.views[v].shape == out)
        lead = next(whole, None)
        if lead is None:
            self._copy(node)
            return
        view = self.views[lead]
        if self._is_cheaper_unsunk(node, view):
            self._copy(node)
            return
        inputs: list[str] = []
        for value in node.inputs:
            operand = view.source if value == lead else self._like(value, view, node)
            if operand is None:
                self._copy(node)
                return
            inputs.append(operand)
        result = self._emit(node, node.op, inputs)
        if self.new.type_of(result).shape != self._source_shape(view):
            self._copy(node)
            return
        self._set(node.output, replace(view, source=result))

    def _like(self, value: str, view: View, node: Node) -> str | None:
        """Return ``value`` in the element order of ``view.source``, if it has such an order."""
        type_ = self.graph.types[value]
        other = self._view(value)
        is_alike = (other.perm, other.shape) == (view.perm, view.shape)
        if is_alike and self._source_shape(other) == self._source_shape(view):
            return other.source
        if type_.num_elements == 1 and type_.rank <= 1:
            return self._computed(value, node)
        if not self._is_transpose(view) or type_.rank > len(view.perm):
            return None
        inverse = tuple(int(i) for i in np.argsort(view.perm))
        if value in self.graph.constants:
            array = self.graph.constants[value]
            array = array.reshape((1,) * (len(view.perm) - array.ndim) + array.shape)
            return self.new.constant(array.transpose(inverse), type_.elem, value)
        if type_.rank != len(view.perm):
            return None
        shape = tuple(type_.shape[i] for i in inverse)
        if self._is_transpose(other):
            perm = tuple(other.perm[i] for i in inverse)
            turned = View(other.source, perm, shape)
        else:
            turned = View(self._compute(other, node.name, node.sources), inverse, shape)
        return self._compute(self._normal(turned), node.name, node.sources)

    def _concat(self, node: Node, op: Concat) -> None:
        view = self.views[next(v for v in node.inputs if v in self.views)]
        if not self._is_transpose(view) or self._is_cheaper_unsunk(node, view):
            self._copy(node)
            return
        inputs = []
        for value in node.inputs:
            other = self._view(value)
            if other.perm == view.perm and self._is_transpose(other):
                inputs.append(other.source)
            else:
                source = self._computed(value, node)
                turned = self._turned(source, other.shape, view)
                inputs.append(self._compute(turned, node.name, node.sources))
        result = self._emit(node, Concat(view.perm[op.axis]), inputs)
        self._set(node.output, View(result, view.perm, self.graph.types[node.output].shape))

    def _turned(self, source: str, shape: tuple[int, ...], view: View) -> View:
        """Return the view of ``source`` in the element order of ``view.source``."""
        inverse = tuple(int(i) for i in np.argsort(view.perm))
        return self._normal(View(source, inverse, tuple(shape[i] for i in inverse)))

    def _is_cheaper_unsunk(self, node: Node, view: View) -> bool:
        """Whether computing the views of ``node`` moves fewer elements than sinking them."""
        sunk = unsunk = 0
        for value in node.inputs:
            other = self._view(value)
            if value in self.views:
                unsunk += self._price(other)
            elif value not in self.graph.constants and len(other.shape) == len(view.perm):
                sunk += self._price(self._turned(other.source, other.shape, view))
        return unsunk < sunk

    def _price(self, view: View) -> int:
        """Elements to move for a view: none if it is there already, or moves nothing."""
        is_free = view in self.computed or view.perm == tuple(range(len(view.perm)))
        return 0 if is_free else self.new.type_of(view.source).num_elements

    def _along_axes(self, node: Node, op: Op) -> None:
        view = self.views[node.inputs[0]]
        if not self._is_transpose(view):
            self._copy(node)
            return
        inverse = np.argsort(view.perm).tolist()
        moved: Op
        match op:
            case Slice() | Gather() | Softmax():
                moved = replace(op, axis=view.perm[op.axis])
            case ArgMax(keepdims=True):
                moved = replace(op, axis=view.perm[op.axis])
            case Reduce(keepdims=True):
                moved = replace(op, axes=tuple(sorted(view.perm[a] for a in op.axes)))
            case Pad():
                before = tuple(op.before[i] for i in inverse)
                moved = replace(op, before=before, after=tuple(op.after[i] for i in inverse))
            case _:
                self._copy(node)
                return
        result = self._emit(node, moved, [view.source])
        self._set(node.output, View(result, view.perm, self.graph.types[node.output].shape))

    def _dense(self, node: Node) -> None:
        """Let the columns of a dense layer's weights undo the transpose before a flatten."""
        view = self.views[node.inputs[0]]
        source_shape = self._source_shape(view)
        is_one_row = len(view.shape) == 2 and view.shape[0] == source_shape[0] == 1
        is_flatten = is_one_row and view.perm[0] == 0
        weights = self._permuted_columns(node.inputs[1], view) if is_flatten else None
        if weights is None:
            self._copy(node)
            return
        flat = self._compute(
            View(view.source, tuple(range(len(source_shape))), view.shape), node.name, node.sources
        )
        rest = [self._computed(v, node) for v in node.inputs[2:]]
        self.new.copy(node, inputs=[flat, weights, *rest])

    def _permuted_columns(self, value: str, view: View) -> str | None:
        producer = self.graph.producers.get(value)
        is_codes = producer is not None and isinstance(producer.op, Dequantize)
        constant = producer.inputs[0] if producer is not None and is_codes else value
        if constant not in self.graph.constants:
            return None
        source_shape = self._source_shape(view)
        seen = (
            np.arange(int(np.prod(source_shape)))
            .reshape(source_shape)
            .transpose(view.perm)
            .reshape(-1)
        )
        array = self.graph.constants[constant]
        columns = np.empty_like(array)
        columns[:, seen] = array
        new = self.new.constant(columns, self.graph.types[constant].elem, constant)
        if producer is None or not is_codes:
            return new
        return self._emit(producer, Dequantize(), [new])
