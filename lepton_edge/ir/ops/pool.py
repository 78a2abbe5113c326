"""Pooling and reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lepton_edge.ir.op import Op, Signature, require, require_arity
from lepton_edge.ir.ops.linear import centred, require_positive, spatial_extent, windows
from lepton_edge.ir.types import Array, Float, QuantType, TensorType


@dataclass(frozen=True)
class Window(Op):
    """Shared attributes of pooling over windows of [N,H,W,C].

    Args:
        kernel: height, width.
        strides: along H, W.
        pads: top, left, bottom, right.
        dilations: along H, W.
    """

    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)

    def _pooled(self, inputs: Sequence[TensorType]) -> tuple[int, ...]:
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(x.rank == 4, f"wanted a 4-D input, found {x}")
        require_positive(kernel=self.kernel, strides=self.strides, dilations=self.dilations)
        require(min(self.pads) >= 0, f"pads must not be negative, found {self.pads}")
        height, width = spatial_extent(
            (x.shape[1], x.shape[2]), self.kernel, self.strides, self.pads, self.dilations
        )
        return (x.shape[0], height, width, x.shape[3])

    def patches(self, x: Array, fill: float) -> Array:
        """Return the windows of [N,H,W,C], padded with ``fill``: [N,H',W',KH,KW,C]."""
        top, left, bottom, right = self.pads
        padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
        return windows(padded, self.kernel, self.strides, self.dilations)

    @property
    def is_padded(self) -> bool:
        """Whether any side is padded."""
        return any(self.pads)


@dataclass(frozen=True)
class MaxPool(Window):
    """Maximum over windows; padding never wins. Codes stay codes of the same type."""

    name: ClassVar[str] = "max_pool"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        return (inputs[0].with_shape(self._pooled(inputs)),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        elem = sig.inputs[0].elem
        lowest = elem.lowest if isinstance(elem, QuantType) else -np.inf
        return (self.patches(arrays[0], lowest).max(axis=(3, 4)),)


@dataclass(frozen=True)
class AveragePool(Window):
    """Mean over windows, float.

    Args:
        count_include_pad: padding counts as zeros; otherwise only real pixels are averaged.
    """

    name: ClassVar[str] = "average_pool"
    count_include_pad: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require(inputs[0].is_float, f"wanted a float input, found {inputs[0]}")
        return (inputs[0].with_shape(self._pooled(inputs)),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        sums = self.patches(arrays[0], 0.0).sum(axis=(3, 4), dtype=np.float64)
        if self.count_include_pad or not self.is_padded:
            count = np.float64(self.kernel[0] * self.kernel[1])
        else:
            _, height, width, _ = sig.inputs[0].shape
            count = self.patches(np.ones((1, height, width, 1)), 0.0).sum(axis=(3, 4))
        return ((sums / count).astype(np.float32),)


@dataclass(frozen=True)
class SumPool(Window):
    """Exact sum of ``code - zero_point`` over windows; padding adds nothing.

    Args:
        acc_bits: width of the sums.
        divisor: the sums stand for reals divided by this: the window size for a mean, else 1.
    """

    name: ClassVar[str] = "sum_pool"
    acc_bits: int = 32
    divisor: int = 1

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require(inputs[0].quant.is_per_tensor, "a quantised activation needs one scale")
        elem = QuantType(self.acc_bits, True, (inputs[0].quant.scale[0] / self.divisor,))
        return (TensorType(self._pooled(inputs), elem),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        sums = self.patches(centred(arrays[0], sig.inputs[0]), 0).sum(axis=(3, 4))
        return (sums.astype(sig.outputs[0].elem.dtype),)


_REDUCTIONS: dict[str, Callable[..., Array]] = {
    "mean": np.mean,
    "sum": np.sum,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
}


@dataclass(frozen=True)
class Reduce(Op):
    """Reduction over axes, float.

    Args:
        kind: mean, sum, max, min or prod.
        axes: non-negative axes.
        keepdims: keep the reduced axes with size 1.
    """

    name: ClassVar[str] = "reduce"
    kind: str = "mean"
    axes: tuple[int, ...] = ()
    keepdims: bool = True

    @property
    def is_batchable(self) -> bool:  # type: ignore[override]
        """Not when the batch is reduced too."""
        return (0 not in self.axes and self.keepdims) or min(self.axes, default=0) > 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(x.is_float, f"wanted a float input, found {x}")
        require(self.kind in _REDUCTIONS, f"no reduction is named {self.kind!r}")
        require(all(0 <= a < x.rank for a in self.axes), f"axes {self.axes} of a {x.rank}-D tensor")
        if self.keepdims:
            shape = tuple(1 if a in self.axes else s for a, s in enumerate(x.shape))
        else:
            shape = tuple(s for a, s in enumerate(x.shape) if a not in self.axes)
        return (TensorType(shape, Float()),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        result = _REDUCTIONS[self.kind](arrays[0], axis=self.axes, keepdims=self.keepdims)
        return (np.asarray(result, np.float32),)
