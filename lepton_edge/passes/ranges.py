"""Interval analysis of integer graphs: which integers each channel of a value can reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lepton_edge.ir.ops.linear import Conv, Dense
from lepton_edge.ir.types import Array, QuantType, bits_for_range


@dataclass(frozen=True)
class Reach:
    """The closed interval of ``step * code - zero_point`` of each channel.

    Args:
        lowest: int64 [C], or [1] when all channels share one interval.
        highest: as ``lowest``.
    """

    lowest: Array
    highest: Array

    @classmethod
    def of_type(cls, quant: QuantType) -> Reach:
        """Return what any code of a per-tensor type can reach."""
        return cls.of_codes(quant.lowest, quant.highest, quant)

    @classmethod
    def of_codes(cls, lowest: int, highest: int, quant: QuantType) -> Reach:
        """Return what the codes ``lowest..highest`` of a per-tensor type can reach."""
        return cls(quant.centre(np.array([lowest])), quant.centre(np.array([highest])))

    @property
    def bits(self) -> int:
        """Bits of the narrowest signed integer that holds every channel and one beyond each end.

        Thresholds of codes that are never reached lie one beyond.
        """
        return bits_for_range(int(self.lowest.min()) - 1, int(self.highest.max()) + 1)

    def spread(self, channels: int) -> Reach:
        """Return the interval with an entry for each of ``channels``."""
        if len(self.lowest) == channels:
            return self
        return Reach(np.full(channels, self.lowest.min()), np.full(channels, self.highest.max()))

    def merged(self) -> Reach:
        """Return one interval that holds all channels."""
        return Reach(self.lowest.min(keepdims=True), self.highest.max(keepdims=True))

    def union(self, other: Reach) -> Reach:
        """Return one interval that holds both."""
        low = min(int(self.lowest.min()), int(other.lowest.min()))
        high = max(int(self.highest.max()), int(other.highest.max()))
        return Reach(np.array([low]), np.array([high]))

    def with_zero(self) -> Reach:
        """Return the interval extended to 0, as padding needs."""
        return Reach(np.minimum(self.lowest, 0), np.maximum(self.highest, 0))


def linear_reach(weights: Array, x: Reach, bias: Array | None) -> Reach:
    """Return what the sums of a layer can reach.

    Args:
        weights: int64 [M, K], K running with the channel of x fastest.
        x: interval of each channel (K is a multiple of the channels), or one for all.
        bias: int64 [M] or None.
    """
    repeats = weights.shape[1] // len(x.lowest)
    at_low = weights * np.tile(x.lowest, repeats)
    at_high = weights * np.tile(x.highest, repeats)
    low = np.minimum(at_low, at_high).sum(axis=1)
    high = np.maximum(at_low, at_high).sum(axis=1)
    return Reach(low, high) if bias is None else Reach(low + bias, high + bias)


def layer_reach(op: Conv | Dense, weights: Array, x: Reach, bias: Array | None) -> Reach:
    """Return what the accumulators of a convolution or dense layer can reach.

    Args:
        op: the layer.
        weights: centred int64 weights, OHWI or [M,K].
        x: interval of the input's channels.
        bias: int64 [M] or None.
    """
    rows = weights.reshape(weights.shape[0], -1)
    if isinstance(op, Dense):
        return linear_reach(rows, x if len(x.lowest) in (1, rows.shape[1]) else x.merged(), bias)
    if any(op.pads):
        x = x.with_zero()
    if op.groups == 1 or len(x.lowest) == 1:
        return linear_reach(rows, x, bias)
    parts = [
        linear_reach(group, Reach(low, high), None)
        for group, low, high in zip(
            np.split(rows, op.groups),
            np.split(x.lowest, op.groups),
            np.split(x.highest, op.groups),
            strict=True,
        )
    ]
    low = np.concatenate([p.lowest for p in parts])
    high = np.concatenate([p.highest for p in parts])
    return Reach(low, high) if bias is None else Reach(low + bias, high + bias)
