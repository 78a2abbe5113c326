"""Reals to codes: the cheapest integer form of a requantisation that is proven exact."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lepton_edge.ir.graph import Node, Rewriter
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops.shape import Concat
from lepton_edge.ir.types import Array, Int, QuantType
from lepton_edge.passes.multipliers import find_mul_shift
from lepton_edge.passes.ranges import Reach
from lepton_edge.passes.reals import Pieces, Probabilities, Real, Refused, Scaled, Total
from lepton_edge.passes.rules import ThresholdTable, threshold_table
from lepton_edge.passes.sums import find_sum_form, sum_codes, tie_table

MAX_TABLE_BITS = 10
"""Codes up to this width are mapped to codes by a table; wider ones by thresholds."""

MAX_CODES = 1 << 22
"""Codes, or pairs of codes, that a proof goes through one by one."""

MAX_THRESHOLDS = 1 << 24
"""Thresholds that the proofs of a layer's channels may go through together."""

SOFTMAX_ONE = (1 << 24) - 1
"""The table entry that stands for exp(0): the largest below 2^24, which the integer form allows."""


class Requantizer:
    """Emits requantisations into a graph that is being rewritten.

    Args:
        new: the graph under construction.
    """

    def __init__(self, new: Rewriter) -> None:
        self.new = new
        self.reach: dict[str, Reach] = {}
        self.accumulators: set[str] = set()

    def reach_of(self, value: str) -> Reach:
        """Return the interval of an integer tensor of the new graph; see Reach."""
        if value not in self.reach:
            self.reach[value] = Reach.of_type(self.new.type_of(value).quant)
        return self.reach[value]

    def add_accumulator(self, value: str, reach: Reach) -> None:
        """Note a tensor of sums or products, which thresholds map more cheaply than tables."""
        self.reach[value] = reach
        self.accumulators.add(value)

    def emit(self, real: Real, out: QuantType, node: Node) -> str:
        """Emit the codes of ``real`` in the type ``out`` and return them.

        ``node``, the Quantize that asks for them, gives its name.

        Raises:
            Refused: no integer form is exact.
        """
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
        if fits_table and not (real.value in self.accumulators and real.rule.is_monotone):
            codes = np.arange(quant.lowest, quant.highest + 1)[:, np.newaxis]
            entries = real.rule.codes(np.repeat(codes, real.rule.num_channels, axis=1), out).T
            constant = self.new.constant(entries, Int(out.bits, out.signed), f"{node.name}/table")
            result = self._emit(q.Lookup(out), [real.value, constant], node, sources)
            self.reach[result] = Reach.of_codes(int(entries.min()), int(entries.max()), out)
            return result
        if not real.rule.is_monotone:
            raise Refused("a function that rises and falls needs its input quantised first")
        _refuse_too_many(out, real.rule.num_channels)
        channels = self.new.type_of(real.value).shape[-1]
        reach = self.reach_of(real.value)
        reach = reach.spread(channels) if real.rule.num_channels > 1 else reach.merged()
        bounds = ((b + quant.zero_point[0]) // quant.step for b in (reach.lowest, reach.highest))
        table = threshold_table(real.rule, out, *bounds)
        return self._from_thresholds(table, real.value, out, node, sources)

    def _from_thresholds(
        self,
        table: ThresholdTable,
        value: str,
        out: QuantType,
        node: Node,
        sources: tuple[str, ...],
    ) -> str:
        # A sign is one comparison, unless nothing is compared.
        is_sign = out.bipolar and table.thresholds.size > 0
        form = None if is_sign else find_mul_shift(table)
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
        self.reach[result] = Reach.of_codes(table.lowest, table.highest, out)
        return result

    def _from_total(self, real: Total, out: QuantType, node: Node, sources: tuple[str, ...]) -> str:
        if real.rule.num_channels > 1 or real.rule.tail:
            raise Refused("what follows the sum must be the same for all channels")
        _refuse_too_many(out)
        reaches = [self.reach_of(v).merged() for v in (real.a, real.b)]
        spans = [range(int(r.lowest[0]), int(r.highest[0]) + 1) for r in reaches]
        if len(spans[0]) * len(spans[1]) > MAX_CODES:
            raise Refused("a sum of codes of more than 11 bits has no proven integer form")
        span_a, span_b = (np.arange(span.start, span.stop) for span in spans)
        a, b = (m.reshape(-1) for m in np.meshgrid(span_a, span_b, indexing="ij"))
        codes = sum_codes(a, b, real.slope_a, real.slope_b, real.rule, out)
        scale = Fraction(out.scale[0]) * out.step
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
            self.reach[result] = Reach.of_codes(form.lowest, form.highest, out)
            return result
        peaks = (int(np.abs(span_a).max()), int(np.abs(span_b).max()))
        ties = tie_table(real.slope_a, real.slope_b, real.rule, out, peaks)
        if ties is None:
            raise Refused("no integer weights give the sum's codes exactly")
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
            raise Refused(f"a softmax takes codes of at most {MAX_TABLE_BITS} bits")
        if out.bipolar:
            raise Refused("probabilities have no sign to keep")
        differences = np.arange(quant.num_codes) * quant.step * quant.scale[0]
        entries = np.rint(np.exp(-differences) * SOFTMAX_ONE).astype(np.int64)
        scale = Fraction(out.scale[0])
        # Both sides of the fraction must stay below 2^15.
        ratio = (1 / scale).limit_denominator(min(max(int(scale * ((1 << 15) - 2)), 1), 1 << 14))
        if not 0 < ratio.numerator < 1 << 15:
            raise Refused(f"a softmax cannot be given in steps of {out.scale[0]}")
        table = self.new.constant(entries, Int(32, False), f"{node.name}/exponentials")
        op = q.SoftmaxCodes(out, ratio.numerator, ratio.denominator)
        result = self._emit(op, [real.value, table], node, sources)
        self.reach[result] = Reach.of_type(out)
        return result


def _refuse_too_many(out: QuantType, channels: int = 1) -> None:
    """Raise Refused where a proof would have to go through too many codes."""
    if out.num_codes > MAX_CODES or out.num_codes * channels > MAX_THRESHOLDS:
        several = f" in each of {channels} channels" if channels > 1 else ""
        raise Refused(
            f"codes of {out.bits} bits{several} are more than can be proven exact; "
            "quantise it to 8 or 16 bits"
        )


def _shared(params: Array) -> Array:
    """Return one row when all channels have the same parameters."""
    return params[:1] if (params == params[:1]).all() else params
