"""QDQ graphs to exact integer graphs.

Between a Dequantize and the next Quantize a QDQ graph speaks of reals. This pass walks the graph
and keeps, for every such real, which integer it comes from and by which rational rule. A linear
layer on codes becomes exact integer accumulators; activations, biases, batch normalisation and
pooling divisors only change the rule; the Quantize at the end turns the rule into the cheapest
integer form that gives the same codes for every integer the layer can reach::

    dequantize → conv → relu → quantize     ⇒     conv (codes → accumulators) → requantize

What cannot be expressed in integers stays as it is, in float, and is noted with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np

from lepton_edge.errors import RangeError
from lepton_edge.ir.graph import Graph, Node, Rewriter
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops import elementwise as ew
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops.linear import Conv, Dense, centred
from lepton_edge.ir.ops.pool import AveragePool, MaxPool, SumPool
from lepton_edge.ir.ops.select import ArgMax, TopK
from lepton_edge.ir.ops.shape import (
    Broadcast,
    Concat,
    Gather,
    InsertZeros,
    Pad,
    RepeatNearest,
    Reshape,
    Slice,
    Transpose,
)
from lepton_edge.ir.types import Array, Int, QuantType, bits_for_range
from lepton_edge.passes.base import Effect, Pass
from lepton_edge.passes.multipliers import find_mul_shift
from lepton_edge.passes.ranges import Reach, layer_reach
from lepton_edge.passes.rules import RealRule, ThresholdTable, threshold_table
from lepton_edge.passes.sums import find_sum_form, sum_codes, tie_table

MAX_TABLE_BITS = 10
"""Codes up to this width are mapped to codes by a table; wider ones by thresholds."""

MAX_BIAS_BITS = 32

_MOVES = (Reshape, Transpose, Slice, Gather, RepeatNearest, InsertZeros, Broadcast)


@dataclass(frozen=True)
class Scaled:
    """A real that is a rule of one integer tensor of the new graph."""

    value: str
    rule: RealRule
    is_codes: bool
    """Whether the rule is just what the codes of ``value`` stand for."""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Total:
    """A real that is a rule of ``slope_a * a + slope_b * b``, codes without zero points."""

    a: str
    b: str
    slope_a: Fraction
    slope_b: Fraction
    rule: RealRule
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probabilities:
    """The softmax of codes over the last axis."""

    value: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pieces:
    """Concatenated reals of different types."""

    parts: tuple[Scaled, ...]
    axis: int
    sources: tuple[str, ...] = ()


Real = Scaled | Total | Probabilities | Pieces


@dataclass(frozen=True)
class Lowered:
    """The integer graph, and why some nodes stayed in float.

    Args:
        graph: the new graph.
        reasons: for nodes of the new graph that compute on floats, why.
    """

    graph: Graph
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LowerIntegers(Pass):
    """Turn dequantize → compute → quantize into exact integer ops."""

    name: ClassVar[str] = "lower-integers"
    effect: ClassVar[Effect] = Effect.EXACT

    def run(self, graph: Graph) -> Graph:
        """See Pass."""
        return lower_integers(graph).graph


def lower_integers(graph: Graph) -> Lowered:
    """Return the integer form of a QDQ graph and the reasons for what stayed in float."""
    return _Lowering(graph).run()


class _Refused(Exception):  # noqa: N818 - it never leaves this module
    """An op has no integer form here; the message says why."""


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.new = Rewriter(graph)
        self.reals: dict[str, Real] = {}
        self.reach: dict[str, Reach] = {}
        self.floats: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.accumulators: set[str] = set()

    def run(self) -> Lowered:
        for node in self.graph.nodes:
            try:
                self._lower(node)
            except _Refused as refusal:
                self._keep_float(node, str(refusal))
        for value in self.graph.outputs:
            if value in self.reals:
                self.new.replace(value, self._as_float(value))
        graph = self.new.done()
        names = {node.name for node in graph.nodes}
        return Lowered(graph, {k: v for k, v in self.reasons.items() if k in names})

    # -- values ---------------------------------------------------------------------------------

    def _codes_reach(self, value: str) -> Reach:
        """Interval of ``code - zero_point`` of a code tensor of the new graph."""
        if value not in self.reach:
            self.reach[value] = Reach.of_type(self.new.type_of(value).quant)
        return self.reach[value]

    def _real(self, value: str) -> Real:
        if value not in self.reals:
            raise _Refused(f"its input {value!r} is not quantised")
        return self.reals[value]

    def _scaled(self, value: str) -> Scaled:
        real = self._real(value)
        if not isinstance(real, Scaled):
            raise _Refused(f"its input {value!r} must be quantised first")
        return real

    def _codes(self, value: str) -> Scaled:
        real = self._scaled(value)
        if not real.is_codes:
            raise _Refused(f"its input {value!r} must be quantised first")
        return real

    def _static(self, value: str) -> Array | None:
        """Exact rationals (an object array) of a constant float or a dequantised constant."""
        if value in self.graph.constants and self.graph.types[value].is_float:
            array = self.graph.constants[value].astype(np.float64)
            return np.asarray(np.frompyfunc(Fraction, 1, 1)(array), object)
        node = self.graph.producers.get(value)
        if node and isinstance(node.op, q.Dequantize) and node.inputs[0] in self.graph.constants:
            type_ = self.graph.types[node.inputs[0]]
            codes = centred(self.graph.constants[node.inputs[0]], type_)
            scale = np.frompyfunc(Fraction, 1, 1)(type_.quant.scale_along(codes.ndim))
            return np.asarray(codes.astype(object) * scale, object)
        return None

    def _channel_values(self, value: str, channels: int) -> list[Fraction] | None:
        """A static operand as one rational, or one for each channel (the last axis)."""
        array = self._static(value)
        if array is None:
            return None
        array = np.asarray(array, object)
        if array.size == 1:
            return [Fraction(array.reshape(-1)[0])]
        if array.shape[-1] == channels == array.size:
            return [Fraction(v) for v in array.reshape(-1)]
        raise _Refused(f"its constant operand has shape {array.shape}: not one value a channel")

    def _is_accumulator(self, value: str) -> bool:
        """Whether ``value`` holds sums or products, which thresholds map more cheaply than tables."""
        return value in self.accumulators

    # -- floats ---------------------------------------------------------------------------------

    def _keep_float(self, node: Node, reason: str) -> None:
        self._copy_float(node)
        self.reasons.setdefault(node.name, reason)

    def _copy_float(self, node: Node) -> None:
        inputs = [self._as_float(v) if v in self.reals else self._plain(v) for v in node.inputs]
        values = self.new.copy(node, inputs=inputs)
        self.floats.update(zip(node.outputs, values, strict=True))

    def _plain(self, value: str) -> str:
        return self.floats.get(value) or self.new[value]

    def _as_float(self, value: str) -> str:
        """Return a float value of the new graph that equals the real ``value``."""
        if value in self.floats:
            return self.floats[value]
        real = self.reals[value]
        if isinstance(real, Scaled) and self._is_dequantizable(real):
            result = self.new.emit1(
                q.Dequantize(), [real.value], name=f"{value}/dequantize", sources=real.sources
            )
            self.floats[value] = result
            return result
        self._copy_float(self.graph.producers[value])
        return self.floats[value]

    def _is_dequantizable(self, real: Scaled) -> bool:
        """Whether scale * (code - zero) is the real, up to half a unit of an accumulator."""
        if real.is_codes:
            return True
        quant = self.new.type_of(real.value).quant
        scales = [Fraction(s) for s in quant.scale]
        if not real.rule.is_linear or len(scales) not in (1, real.rule.num_channels):
            return False
        scales *= real.rule.num_channels if len(scales) == 1 else 1
        return all(
            abs(slope - scale) <= scale / (1 << 40)
            and 2 * abs(offset) <= scale * (1 + Fraction(1, 1000))
            for slope, offset, scale in zip(real.rule.slope, real.rule.offset, scales, strict=True)
        )

    # -- nodes ----------------------------------------------------------------------------------

    def _lower(self, node: Node) -> None:
        op = node.op
        match op:
            case q.Dequantize():
                self._dequantize(node)
            case q.Quantize():
                self._quantize(node, op.out)
            case Conv() | Dense():
                self._linear(node, op)
            case MaxPool():
                self._max_pool(node, op)
            case AveragePool():
                self._average_pool(node, op)
            case ew.Add() | ew.Sub() | ew.Mul() | ew.Div():
                self._binary(node, op)
            case ew.Scalar() | ew.PRelu():
                self._scalar(node, op)
            case ew.Softmax():
                self._softmax(node, op)
            case Concat():
                self._concat(node, op)
            case Pad():
                self._pad(node, op)
            case ArgMax() | TopK():
                self._select(node, op)
            case _ if isinstance(op, _MOVES):
                self._move(node, op)
            case _:
                self._other(node)

    def _other(self, node: Node) -> None:
        if any(v in self.reals for v in node.inputs):
            raise _Refused(f"{node.op.name} has no integer form")
        self._copy_float(node)

    def _dequantize(self, node: Node) -> None:
        value = node.inputs[0]
        if value in self.graph.constants:
            self._copy_float(node)
            return
        new = self._plain(value)
        rule = RealRule.of_codes(self.new.type_of(new).quant)
        self.reals[node.output] = Scaled(new, rule, True, node.sources)

    def _linear(self, node: Node, op: Conv | Dense) -> None:
        if node.inputs[0] not in self.reals:
            raise _Refused(f"its input {node.inputs[0]!r} is not quantised")
        x = self._codes(node.inputs[0])
        producer = self.graph.producers.get(node.inputs[1])
        if (
            producer is None
            or not isinstance(producer.op, q.Dequantize)
            or producer.inputs[0] not in self.graph.constants
        ):
            raise _Refused("its weights are not quantised constants")
        type_ = self.graph.types[producer.inputs[0]]
        weights = centred(self.graph.constants[producer.inputs[0]], type_)
        x_quant = self.new.type_of(x.value).quant
        if not x_quant.is_per_tensor:
            raise _Refused("its input has a scale for each channel")
        bits = max(bits_for_range(int(weights.min()), int(weights.max())), 2)
        w_quant = QuantType(bits, True, type_.quant.scale, axis=type_.quant.axis)
        slopes = [Fraction(x_quant.scale[0]) * Fraction(s) for s in w_quant.scale]
        channels = len(weights)
        bias, offset = self._bias(node, slopes, channels)
        reach = layer_reach(op, weights, self._codes_reach(x.value), bias)
        inputs = [x.value, self.new.constant(weights, w_quant, f"{node.name}/weights")]
        if bias is not None:
            scale = tuple(float(s) for s in slopes)
            width = max(bits_for_range(int(bias.min()), int(bias.max())), 2)
            quant = QuantType(width, True, scale, axis=None if len(scale) == 1 else 0)
            inputs.append(self.new.constant(bias, quant, f"{node.name}/bias"))
        new_op = replace(op, acc_bits=reach.bits)
        acc = self.new.emit1(new_op, inputs, name=node.name, sources=node.sources)
        self.reach[acc] = reach
        self.accumulators.add(acc)
        self.reals[node.output] = Scaled(
            acc, RealRule.linear(slopes).affine([Fraction(1)], offset), False, node.sources
        )

    def _bias(
        self, node: Node, slopes: list[Fraction], channels: int
    ) -> tuple[Array | None, list[Fraction]]:
        """Integer bias at the accumulator's scale, and the real remainder that the rule keeps."""
        if len(node.inputs) < 3:
            return None, [Fraction(0)]
        values = self._channel_values(node.inputs[2], channels)
        if values is None:
            raise _Refused("its bias is not constant")
        values = values * (channels if len(values) == 1 else 1)
        scales = slopes * (channels if len(slopes) == 1 else 1)
        bias = [round(v / s) for v, s in zip(values, scales, strict=True)]
        limit = 1 << (MAX_BIAS_BITS - 1)
        if any(abs(b) >= limit for b in bias):
            worst = max(range(channels), key=lambda c: abs(bias[c]))
            raise RangeError(
                f"the bias of channel {worst} is {bias[worst]} accumulator units; at most "
                f"{MAX_BIAS_BITS} bits are supported",
                where=f"layer {node.name!r}",
                hint="its weight scale is far too small for its bias: check the layer's weights",
            )
        if not any(bias):
            return None, [v if v else Fraction(0) for v in values]
        offset = [v - b * s for v, b, s in zip(values, bias, scales, strict=True)]
        return np.array(bias, np.int64), offset

    def _max_pool(self, node: Node, op: MaxPool) -> None:
        x = self._scaled(node.inputs[0])
        if any(s <= 0 for s in x.rule.slope) or not x.rule.is_monotone:
            raise _Refused("its input falls where the integer rises; quantise it first")
        pooled = self.new.emit1(op, [x.value], name=node.name, sources=node.sources)
        self.reach[pooled] = self._codes_reach(x.value)
        if self._is_accumulator(x.value):
            self.accumulators.add(pooled)
        self.reals[node.output] = replace(x, value=pooled, sources=(*x.sources, *node.sources))

    def _average_pool(self, node: Node, op: AveragePool) -> None:
        x = self._codes(node.inputs[0])
        if op.is_padded and not op.count_include_pad:
            raise _Refused("an average that leaves out padding divides unevenly")
        count = op.kernel[0] * op.kernel[1]
        reach = self._codes_reach(x.value)
        if op.is_padded:
            reach = reach.with_zero()
        reach = Reach(reach.lowest * count, reach.highest * count)
        new_op = SumPool(op.kernel, op.strides, op.pads, op.dilations, reach.bits, count)
        sums = self.new.emit1(new_op, [x.value], name=node.name, sources=node.sources)
        self.reach[sums] = reach
        self.accumulators.add(sums)
        scale = Fraction(self.new.type_of(x.value).quant.scale[0])
        self.reals[node.output] = Scaled(
            sums, RealRule.linear([scale / count]), False, node.sources
        )

    def _scalar(self, node: Node, op: Op) -> None:
        real = self._real(node.inputs[0])
        if isinstance(real, Probabilities | Pieces):
            raise _Refused(f"its input {node.inputs[0]!r} must be quantised first")
        rule = real.rule
        match op:
            case ew.Relu():
                rule = rule.clamped(0.0, np.inf)
            case ew.Clip():
                rule = rule.clamped(op.lowest, op.highest)
            case ew.HardSigmoid():
                rule = rule.affine([Fraction(op.slope)], [Fraction(op.offset)]).clamped(0.0, 1.0)
            case ew.Function(kind="neg"):
                rule = rule.affine([Fraction(-1)], [Fraction(0)])
            case ew.PRelu():
                rule = self._prelu_rule(node, rule)
            case ew.Scalar():
                rule = rule.followed_by(op, _is_rising(op))
        if isinstance(real, Total) and rule.tail:
            raise _Refused(f"{op.name} of a sum needs the sum quantised first")
        updated = replace(real, rule=rule, sources=(*real.sources, *node.sources))
        self.reals[node.output] = (
            replace(updated, is_codes=False) if isinstance(updated, Scaled) else updated
        )

    def _prelu_rule(self, node: Node, rule: RealRule) -> RealRule:
        slopes = self._channel_values(node.inputs[1], self.graph.types[node.output].shape[-1])
        if slopes is None:
            raise _Refused("its slope is not constant")
        factors = np.array([float(s) for s in slopes])

        def prelu(real: Array) -> Array:
            return np.where(real >= 0, real, real * factors)

        return replace(
            rule,
            tail=(*rule.tail, prelu),
            is_monotone=rule.is_monotone and bool((factors >= 0).all()),
        )

    def _binary(self, node: Node, op: Op) -> None:
        left, right = node.inputs
        if not any(v in self.reals for v in node.inputs):
            raise _Refused("its inputs are not quantised")
        if left in self.reals and right in self.reals:
            self._pair(node, op)
            return
        value, other = (left, right) if left in self.reals else (right, left)
        channels = (
            self.graph.types[node.output].shape[-1] if self.graph.types[node.output].rank else 1
        )
        operand = self._channel_values(other, channels)
        real = self._real(value)
        if operand is None or isinstance(real, Probabilities | Pieces):
            raise _Refused(f"its input {other if operand is None else value!r} is not quantised")
        if self.graph.types[value].shape != self.graph.types[node.output].shape:
            raise _Refused("its constant operand enlarges the tensor")
        one, zero = [Fraction(1)], [Fraction(0)]
        match op:
            case ew.Add():
                rule = real.rule.affine(one, operand)
            case ew.Sub() if value == left:
                rule = real.rule.affine(one, [-v for v in operand])
            case ew.Sub():
                rule = real.rule.affine([Fraction(-1)], operand)
            case ew.Mul():
                rule = real.rule.affine(operand, zero)
            case ew.Div() if value == left and all(operand):
                rule = real.rule.affine([1 / v for v in operand], zero)
            case _:
                raise _Refused("a division by a quantised tensor, or by zero, has no integer form")
        if isinstance(real, Total) and rule.num_channels > 1:
            raise _Refused("a sum followed by a scale for each channel must be quantised first")
        updated = replace(real, rule=rule, sources=(*real.sources, *node.sources))
        self.reals[node.output] = (
            replace(updated, is_codes=False) if isinstance(updated, Scaled) else updated
        )

    def _pair(self, node: Node, op: Op) -> None:
        a, b = self._codes(node.inputs[0]), self._codes(node.inputs[1])
        types = [self.new.type_of(x.value) for x in (a, b)]
        slopes = [Fraction(t.quant.scale[0]) for t in types]
        sources = (*a.sources, *b.sources, *node.sources)
        if isinstance(op, ew.Add | ew.Sub):
            if types[0].shape != types[1].shape:
                raise _Refused(
                    f"cannot add shapes {types[0].shape} and {types[1].shape} in integers"
                )
            sign = -1 if isinstance(op, ew.Sub) else 1
            rule = RealRule.linear([Fraction(1)])
            self.reals[node.output] = Total(
                a.value, b.value, slopes[0], sign * slopes[1], rule, node.sources
            )
            return
        if not isinstance(op, ew.Mul):
            raise _Refused(f"{op.name} of two quantised tensors has no integer form")
        if types[0].num_elements < types[1].num_elements:
            a, b = b, a
        reach_a, reach_b = self._codes_reach(a.value).merged(), self._codes_reach(b.value).merged()
        corners = np.outer(
            [int(reach_a.lowest[0]), int(reach_a.highest[0])],
            [int(reach_b.lowest[0]), int(reach_b.highest[0])],
        )
        reach = Reach(np.array([corners.min()]), np.array([corners.max()]))
        shape = self.new.type_of(a.value).shape
        if self.new.type_of(b.value).shape not in (
            shape,
            (*shape[:1], *(1,) * (len(shape) - 2), *shape[-1:]),
        ):
            raise _Refused(
                f"cannot multiply shapes {types[0].shape} and {types[1].shape} in integers"
            )
        product = self.new.emit1(
            q.Product(reach.bits), [a.value, b.value], name=node.name, sources=node.sources
        )
        self.reach[product] = reach
        self.accumulators.add(product)
        self.reals[node.output] = Scaled(
            product, RealRule.linear([slopes[0] * slopes[1]]), False, sources
        )

    def _softmax(self, node: Node, op: ew.Softmax) -> None:
        x = self._codes(node.inputs[0])
        if op.axis != self.graph.types[node.output].rank - 1:
            raise _Refused("a softmax over another axis than the channels has no integer form")
        self.reals[node.output] = Probabilities(x.value, (*x.sources, *node.sources))

    def _move(self, node: Node, op: Op) -> None:
        if node.inputs[0] not in self.reals:
            self._copy_float(node)
            return
        x = self._scaled(node.inputs[0])
        if x.rule.num_channels > 1 or not self.new.type_of(x.value).quant.is_per_tensor:
            raise _Refused(f"its input {node.inputs[0]!r} must be quantised first")
        if isinstance(op, InsertZeros) and not x.is_codes:
            raise _Refused(f"its input {node.inputs[0]!r} must be quantised first")
        moved = self.new.emit1(op, [x.value], name=node.name, sources=node.sources)
        reach = self._codes_reach(x.value).merged()
        self.reach[moved] = reach.with_zero() if isinstance(op, InsertZeros) else reach
        self.reals[node.output] = replace(x, value=moved)

    def _pad(self, node: Node, op: Pad) -> None:
        if node.inputs[0] not in self.reals:
            self._copy_float(node)
            return
        x = self._codes(node.inputs[0])
        quant = self.new.type_of(x.value).quant
        code = Fraction(op.value) / Fraction(quant.scale[0]) + quant.zero_point[0]
        if code.denominator != 1 or not quant.lowest <= code <= quant.highest:
            raise _Refused(f"its padding value {op.value} is not a code of {quant}")
        padded = self.new.emit1(op, [x.value], name=node.name, sources=node.sources)
        centre = int(code) - quant.zero_point[0]
        self.reach[padded] = self._codes_reach(x.value).union(
            Reach(np.array([centre]), np.array([centre]))
        )
        self.reals[node.output] = replace(x, value=padded)

    def _concat(self, node: Node, op: Concat) -> None:
        if not any(v in self.reals for v in node.inputs):
            self._copy_float(node)
            return
        parts = tuple(self._scaled(v) for v in node.inputs)
        elems = {self.new.type_of(p.value).elem for p in parts}
        if len(elems) > 1 or not all(p.is_codes for p in parts):
            self.reals[node.output] = Pieces(parts, op.axis, node.sources)
            return
        joined = self.new.emit1(op, [p.value for p in parts], name=node.name, sources=node.sources)
        reach = self._codes_reach(parts[0].value)
        for part in parts[1:]:
            reach = reach.union(self._codes_reach(part.value))
        self.reach[joined] = reach.merged()
        self.reals[node.output] = replace(parts[0], value=joined, sources=node.sources)

    def _select(self, node: Node, op: ArgMax | TopK) -> None:
        x = self._scaled(node.inputs[0])
        if x.rule.num_channels > 1 or not x.is_codes:
            raise _Refused(f"its input {node.inputs[0]!r} must be quantised first")
        values = self.new.emit(
            op, [x.value], name=node.name, sources=node.sources, outputs=node.outputs
        )
        for old, new in zip(node.outputs, values, strict=True):
            if isinstance(self.new.type_of(new).elem, Int):
                self.new.replace(old, new)
                self.floats[old] = new
            else:
                self.reals[old] = replace(x, value=new)

    # -- quantisation ---------------------------------------------------------------------------

    def _quantize(self, node: Node, out: QuantType) -> None:
        value = node.inputs[0]
        if value not in self.reals:
            self.new.copy(node, inputs=[self._plain(value)])
            self.floats[node.output] = self.new[node.output]
            return
        if not out.is_per_tensor:
            raise _Refused("an activation is quantised with a scale for each channel")
        codes = self._requantized(self.reals[value], out, node)
        self.new.replace(node.output, codes)
        self.floats[node.output] = codes

    def _requantized(self, real: Real, out: QuantType, node: Node) -> str:
        sources = tuple(dict.fromkeys((*real.sources, *node.sources)))
        match real:
            case Scaled():
                return self._from_scaled(real, out, node, sources)
            case Total():
                return self._from_total(real, out, node, sources)
            case Probabilities():
                return self._from_probabilities(real, out, node, sources)
            case Pieces():
                parts = [self._from_scaled(p, out, node, sources) for p in real.parts]
                joined = self._emit(Concat(real.axis), parts, node, sources)
                self.reach[joined] = Reach.of_type(out)
                return joined

    def _emit(self, op: Op, inputs: Sequence[str], node: Node, sources: tuple[str, ...]) -> str:
        (value,) = self.new.emit(op, inputs, name=node.name, sources=sources, outputs=[node.output])
        return value

    def _from_scaled(
        self, real: Scaled, out: QuantType, node: Node, sources: tuple[str, ...]
    ) -> str:
        quant = self.new.type_of(real.value).quant
        if real.is_codes and quant == out:
            return real.value
        fits_table = quant.bits <= MAX_TABLE_BITS and quant.is_per_tensor
        if fits_table and not (self._is_accumulator(real.value) and real.rule.is_monotone):
            codes = np.arange(quant.lowest, quant.highest + 1)[:, np.newaxis]
            entries = real.rule.codes(np.repeat(codes, real.rule.num_channels, axis=1), out).T
            constant = self.new.constant(entries, Int(out.bits, out.signed), f"{node.name}/table")
            result = self._emit(q.Lookup(out), [real.value, constant], node, sources)
            self.reach[result] = _reach_of_codes(int(entries.min()), int(entries.max()), out)
            return result
        if not real.rule.is_monotone:
            raise _Refused("a function that rises and falls needs its input quantised first")
        channels = self.new.type_of(real.value).shape[-1]
        reach = self._codes_reach(real.value)
        reach = reach.spread(channels) if real.rule.num_channels > 1 else reach.merged()
        zero = quant.zero_point[0]
        table = threshold_table(real.rule, out, reach.lowest + zero, reach.highest + zero)
        return self._from_thresholds(table, real.value, out, node, sources)

    def _from_thresholds(
        self,
        table: ThresholdTable,
        value: str,
        out: QuantType,
        node: Node,
        sources: tuple[str, ...],
    ) -> str:
        form = find_mul_shift(table)
        if form is not None:
            op: Op = q.Requantize(out, form.shift, form.lowest, form.highest, form.rounding)
            params = [
                self.new.constant(_shared(form.multiplier), name=f"{node.name}/multiplier"),
                self.new.constant(_shared(form.addend), name=f"{node.name}/addend"),
            ]
        else:
            op = q.Threshold(out, table.lowest)
            params = [
                self.new.constant(_shared(table.thresholds), name=f"{node.name}/thresholds"),
                self.new.constant(_shared(table.sign), name=f"{node.name}/sign"),
            ]
        result = self._emit(op, [value, *params], node, sources)
        self.reach[result] = _reach_of_codes(table.lowest, table.highest, out)
        return result

    def _from_total(self, real: Total, out: QuantType, node: Node, sources: tuple[str, ...]) -> str:
        if real.rule.num_channels > 1 or real.rule.tail:
            raise _Refused("what follows the sum must be the same for all channels")
        reach_a, reach_b = (self._codes_reach(v).merged() for v in (real.a, real.b))
        span_a = np.arange(int(reach_a.lowest[0]), int(reach_a.highest[0]) + 1)
        span_b = np.arange(int(reach_b.lowest[0]), int(reach_b.highest[0]) + 1)
        if span_a.size * span_b.size > 1 << 22:
            raise _Refused("a sum of codes of more than 11 bits has no proven integer form")
        a, b = (m.reshape(-1) for m in np.meshgrid(span_a, span_b, indexing="ij"))
        codes = sum_codes(a, b, real.slope_a, real.slope_b, real.rule, out)
        scale = Fraction(out.scale[0])
        per_a, per_b = (s * real.rule.slope[0] / scale for s in (real.slope_a, real.slope_b))
        form = find_sum_form(a, b, codes, per_a, per_b)
        name = f"{node.name}/sum"
        if form is not None:
            total = self._emit_sum(
                real, form.scale_a, form.scale_b, (a, b), name, sources, scale / (1 << form.shift)
            )
            op = q.Requantize(out, form.shift, form.lowest, form.highest)
            params = [
                self.new.constant(np.array([1]), name=f"{node.name}/multiplier"),
                self.new.constant(np.array([form.addend]), name=f"{node.name}/addend"),
            ]
            result = self._emit(op, [total, *params], node, sources)
            self.reach[result] = _reach_of_codes(form.lowest, form.highest, out)
            return result
        peaks = (int(np.abs(span_a).max()), int(np.abs(span_b).max()))
        ties = tie_table(real.slope_a, real.slope_b, real.rule, out, peaks)
        if ties is None:
            raise _Refused("no integer weights give the sum's codes exactly")
        scale_a, scale_b, table = ties
        unit = abs(real.slope_b) / abs(scale_b)
        total = self._emit_sum(real, scale_a, scale_b, (a, b), name, sources, unit)
        return self._from_thresholds(table, total, out, node, sources)

    def _emit_sum(
        self,
        real: Total,
        scale_a: int,
        scale_b: int,
        pairs: tuple[Array, Array],
        name: str,
        sources: tuple[str, ...],
        unit: Fraction,
    ) -> str:
        sums = scale_a * pairs[0] + scale_b * pairs[1]
        low, high = int(sums.min()), int(sums.max())
        reach = Reach(np.array([low]), np.array([high]))
        op = q.ScaledAdd(QuantType(reach.bits, True, (float(unit),)), scale_a, scale_b)
        total = self.new.emit1(op, [real.a, real.b], name=name, sources=sources)
        self.reach[total] = reach
        return total

    def _from_probabilities(
        self, real: Probabilities, out: QuantType, node: Node, sources: tuple[str, ...]
    ) -> str:
        quant = self.new.type_of(real.value).quant
        if quant.bits > MAX_TABLE_BITS:
            raise _Refused(f"a softmax takes codes of at most {MAX_TABLE_BITS} bits")
        differences = np.arange(quant.num_codes) * quant.scale[0]
        entries = np.rint(np.exp(-differences) * SOFTMAX_ONE).astype(np.int64)
        scale = Fraction(out.scale[0])
        # Both sides of the fraction must stay below 2^15.
        ratio = (1 / scale).limit_denominator(min(max(int(scale * ((1 << 15) - 2)), 1), 1 << 14))
        if not 0 < ratio.numerator < 1 << 15:
            raise _Refused(f"a softmax cannot be given in steps of {out.scale[0]}")
        table = self.new.constant(entries, Int(32, False), f"{node.name}/exponentials")
        op = q.SoftmaxCodes(out, ratio.numerator, ratio.denominator)
        result = self._emit(op, [real.value, table], node, sources)
        self.reach[result] = Reach.of_type(out)
        return result


SOFTMAX_ONE = (1 << 24) - 1
"""The table entry that stands for exp(0): the largest below 2^24, which the integer form allows."""


def _shared(params: Array) -> Array:
    """Return one row when all channels have the same parameters."""
    return params[:1] if (params == params[:1]).all() else params


def _reach_of_codes(lowest: int, highest: int, out: QuantType) -> Reach:
    zero = out.zero_point[0]
    return Reach(np.array([lowest - zero]), np.array([highest - zero]))


def _is_rising(op: ew.Scalar) -> bool:
    match op:
        case ew.Sigmoid():
            return True
        case ew.LeakyRelu():
            return op.slope >= 0
        case ew.Elu():
            return op.alpha >= 0
        case ew.Function():
            return op.kind in {
                "tanh",
                "exp",
                "erf",
                "softplus",
                "softsign",
                "floor",
                "ceil",
                "round",
                "sign",
            }
        case _:
            return False
