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
from lepton_edge.passes.ranges import Reach, layer_reach
from lepton_edge.passes.reals import Pieces, Probabilities, Real, Refused, Scaled, Total
from lepton_edge.passes.requantize_reals import Requantizer
from lepton_edge.passes.rules import RealRule

MAX_BIAS_BITS = 32

LEAST_WIDE_BITS = 12
"""Accumulators of as many bits may drop half a unit where they become reals: 1/4096 of them."""

_MOVES = (Reshape, Transpose, Slice, Gather, RepeatNearest, InsertZeros, Broadcast)


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


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.new = Rewriter(graph)
        self.codes = Requantizer(self.new)
        self.reals: dict[str, Real] = {}
        self.floats: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def run(self) -> Lowered:
        for node in self.graph.nodes:
            try:
                self._lower(node)
            except Refused as refusal:
                self._keep_float(node, str(refusal))
        for value in self.graph.outputs:
            if value in self.reals:
                self.new.replace(value, self._as_float(value))
        graph = self.new.done()
        names = {node.name for node in graph.nodes}
        return Lowered(graph, {k: v for k, v in self.reasons.items() if k in names})

    # -- values ---------------------------------------------------------------------------------

    def _real(self, value: str) -> Real:
        if value not in self.reals:
            raise Refused(f"its input {value!r} is not quantised")
        return self.reals[value]

    def _scaled(self, value: str) -> Scaled:
        real = self._real(value)
        if not isinstance(real, Scaled):
            raise Refused(f"its input {value!r} must be quantised first")
        return real

    def _codes(self, value: str) -> Scaled:
        real = self._scaled(value)
        if not real.is_codes:
            raise Refused(f"its input {value!r} must be quantised first")
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
        raise Refused(f"its constant operand has shape {array.shape}: not one value a channel")

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
        """Whether scale * (code - zero) is the real, up to half a unit of a wide accumulator."""
        if real.is_codes:
            return True
        quant = self.new.type_of(real.value).quant
        scales = [Fraction(s) for s in quant.scale]
        if not real.rule.is_linear or len(scales) not in (1, real.rule.num_channels):
            return False
        scales *= real.rule.num_channels if len(scales) == 1 else 1
        is_wide = quant.bits >= LEAST_WIDE_BITS
        return all(
            abs(slope - scale) <= scale / (1 << 40)
            and (2 * abs(offset) <= scale * (1 + Fraction(1, 1000)) if is_wide else offset == 0)
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
            raise Refused(f"{node.op.name} has no integer form")
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
            raise Refused(f"its input {node.inputs[0]!r} is not quantised")
        x = self._codes(node.inputs[0])
        producer = self.graph.producers.get(node.inputs[1])
        if (
            producer is None
            or not isinstance(producer.op, q.Dequantize)
            or producer.inputs[0] not in self.graph.constants
        ):
            raise Refused("its weights are not quantised constants")
        type_ = self.graph.types[producer.inputs[0]]
        weights = centred(self.graph.constants[producer.inputs[0]], type_)
        x_quant = self.new.type_of(x.value).quant
        if not x_quant.is_per_tensor:
            raise Refused("its input has a scale for each channel")
        if x_quant.bipolar and isinstance(op, Conv) and any(op.pads):
            raise Refused("it pads codes that stand for -1 and +1 with zero")
        bits = max(bits_for_range(int(weights.min()), int(weights.max())), 2)
        w_quant = QuantType(bits, True, type_.quant.scale, axis=type_.quant.axis)
        slopes = [Fraction(x_quant.scale[0]) * Fraction(s) for s in w_quant.scale]
        channels = len(weights)
        bias, offset = self._bias(node, slopes, channels)
        reach = layer_reach(op, weights, self.codes.reach_of(x.value), bias)
        inputs = [x.value, self.new.constant(weights, w_quant, f"{node.name}/weights")]
        if bias is not None:
            scale = tuple(float(s) for s in slopes)
            width = max(bits_for_range(int(bias.min()), int(bias.max())), 2)
            quant = QuantType(width, True, scale, axis=None if len(scale) == 1 else 0)
            inputs.append(self.new.constant(bias, quant, f"{node.name}/bias"))
        new_op = replace(op, acc_bits=reach.bits)
        acc = self.new.emit1(new_op, inputs, name=node.name, sources=node.sources)
        self.codes.add_accumulator(acc, reach)
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
            raise Refused("its bias is not constant")
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
            raise Refused("its input falls where the integer rises; quantise it first")
        pooled = self.new.emit1(op, [x.value], name=node.name, sources=node.sources)
        self.codes.reach[pooled] = self.codes.reach_of(x.value)
        if x.value in self.codes.accumulators:
            self.codes.accumulators.add(pooled)
        self.reals[node.output] = replace(x, value=pooled, sources=(*x.sources, *node.sources))

    def _average_pool(self, node: Node, op: AveragePool) -> None:
        x = self._codes(node.inputs[0])
        if op.is_padded and self.new.type_of(x.value).quant.bipolar:
            raise Refused("it pads codes that stand for -1 and +1 with zero")
        if op.is_padded and not op.count_include_pad:
            raise Refused("an average that leaves out padding divides unevenly")
        count = op.kernel[0] * op.kernel[1]
        reach = self.codes.reach_of(x.value)
        if op.is_padded:
            reach = reach.with_zero()
        reach = Reach(reach.lowest * count, reach.highest * count)
        new_op = SumPool(op.kernel, op.strides, op.pads, op.dilations, reach.bits, count)
        sums = self.new.emit1(new_op, [x.value], name=node.name, sources=node.sources)
        self.codes.add_accumulator(sums, reach)
        scale = Fraction(self.new.type_of(x.value).quant.scale[0])
        self.reals[node.output] = Scaled(
            sums, RealRule.linear([scale / count]), False, node.sources
        )

    def _scalar(self, node: Node, op: Op) -> None:
        real = self._real(node.inputs[0])
        if isinstance(real, Probabilities | Pieces):
            raise Refused(f"its input {node.inputs[0]!r} must be quantised first")
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
            raise Refused(f"{op.name} of a sum needs the sum quantised first")
        updated = replace(real, rule=rule, sources=(*real.sources, *node.sources))
        self.reals[node.output] = (
            replace(updated, is_codes=False) if isinstance(updated, Scaled) else updated
        )

    def _prelu_rule(self, node: Node, rule: RealRule) -> RealRule:
        slopes = self._channel_values(node.inputs[1], self.graph.types[node.output].shape[-1])
        if slopes is None:
            raise Refused("its slope is not constant")
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
            raise Refused("its inputs are not quantised")
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
            raise Refused(f"its input {other if operand is None else value!r} is not quantised")
        if self.graph.types[value].shape != self.graph.types[node.output].shape:
            raise Refused("its constant operand enlarges the tensor")
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
                raise Refused("a division by a quantised tensor, or by zero, has no integer form")
        if isinstance(real, Total) and rule.num_channels > 1:
            raise Refused("a sum followed by a scale for each channel must be quantised first")
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
                raise Refused(
                    f"cannot add shapes {types[0].shape} and {types[1].shape} in integers"
                )
            sign = -1 if isinstance(op, ew.Sub) else 1
            rule = RealRule.linear([Fraction(1)])
            self.reals[node.output] = Total(
                a.value, b.value, slopes[0], sign * slopes[1], rule, node.sources
            )
            return
        if not isinstance(op, ew.Mul):
            raise Refused(f"{op.name} of two quantised tensors has no integer form")
        if types[0].num_elements < types[1].num_elements:
            a, b = b, a
        reach_a, reach_b = (
            self.codes.reach_of(a.value).merged(),
            self.codes.reach_of(b.value).merged(),
        )
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
            raise Refused(
                f"cannot multiply shapes {types[0].shape} and {types[1].shape} in integers"
            )
        product = self.new.emit1(
            q.Product(reach.bits), [a.value, b.value], name=node.name, sources=node.sources
        )
        self.codes.add_accumulator(product, reach)
        self.reals[node.output] = Scaled(
            product, RealRule.linear([slopes[0] * slopes[1]]), False, sources
        )

    def _softmax(self, node: Node, op: ew.Softmax) -> None:
        x = self._codes(node.inputs[0])
        if op.axis != self.graph.types[node.output].rank - 1:
            raise Refused("a softmax over another axis than the channels has no integer form")
        self.reals[node.output] = Probabilities(x.value, (*x.sources, *node.sources))

    def _move(self, node: Node, op: Op) -> None:
        if node.inputs[0] not in self.reals:
            self._copy_float(node)
            return
        x = self._scaled(node.inputs[0])
        if x.rule.num_channels > 1 or not self.new.type_of(x.value).quant.is_per_tensor:
            raise Refused(f"its input {node.inputs[0]!r} must be quantised first")
        if isinstance(op, InsertZeros) and self.new.type_of(x.value).quant.bipolar:
            raise Refused("it puts zeros between codes that stand for -1 and +1")
        if isinstance(op, InsertZeros) and not x.is_codes:
            raise Refused(f"its input {node.inputs[0]!r} must be quantised first")
        moved = self.new.emit1(op, [x.value], name=node.name, sources=node.sources)
        reach = self.codes.reach_of(x.value).merged()
        self.codes.reach[moved] = reach.with_zero() if isinstance(op, InsertZeros) else reach
        self.reals[node.output] = replace(x, value=moved)

    def _pad(self, node: Node, op: Pad) -> None:
        if node.inputs[0] not in self.reals:
            self._copy_float(node)
            return
        x = self._codes(node.inputs[0])
        quant = self.new.type_of(x.value).quant
        code = (Fraction(op.value) / Fraction(quant.scale[0]) + quant.zero_point[0]) / quant.step
        if code.denominator != 1 or not quant.lowest <= code <= quant.highest:
            raise Refused(f"its padding value {op.value} is not a code of {quant}")
        padded = self.new.emit1(op, [x.value], name=node.name, sources=node.sources)
        self.codes.reach[padded] = self.codes.reach_of(x.value).union(
            Reach.of_codes(int(code), int(code), quant)
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
        reach = self.codes.reach_of(parts[0].value)
        for part in parts[1:]:
            reach = reach.union(self.codes.reach_of(part.value))
        self.codes.reach[joined] = reach.merged()
        self.reals[node.output] = replace(parts[0], value=joined, sources=node.sources)

    def _select(self, node: Node, op: ArgMax | TopK) -> None:
        x = self._scaled(node.inputs[0])
        if x.rule.num_channels > 1 or not x.is_codes:
            raise Refused(f"its input {node.inputs[0]!r} must be quantised first")
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
            raise Refused("an activation is quantised with a scale for each channel")
        codes = self.codes.emit(self.reals[value], out, node)
        self.new.replace(node.output, codes)
        self.floats[node.output] = codes


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
