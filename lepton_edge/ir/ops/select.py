"""Ops that return indices: arg max and top k."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lepton_edge.ir.op import Op, Signature, require, require_arity
from lepton_edge.ir.types import Array, Int, QuantType, TensorType


def _require_ordered(x: TensorType, axis: int, op: Op) -> None:
    require(0 <= axis < x.rank, f"axis {axis} of a {x.rank}-D tensor")
    elem = x.elem
    require(
        not isinstance(elem, QuantType) or elem.is_per_tensor,
        f"{op.name} of codes needs one scale for the whole tensor",
    )


@dataclass(frozen=True)
class ArgMax(Op):
    """Index of the first largest element along an axis (non-negative)."""

    name: ClassVar[str] = "argmax"
    axis: int = 1
    keepdims: bool = True

    @property
    def is_batchable(self) -> bool:  # type: ignore[override]
        """Not along the batch."""
        return self.axis != 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        _require_ordered(x, self.axis, self)
        kept = (1,) if self.keepdims else ()
        return (TensorType((*x.shape[: self.axis], *kept, *x.shape[self.axis + 1 :]), Int(64)),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        return (np.argmax(arrays[0], axis=self.axis, keepdims=self.keepdims).astype(np.int64),)


@dataclass(frozen=True)
class TopK(Op):
    """The k largest (or smallest) elements along an axis, sorted, and their indices.

    Equal elements come in the order of their indices (ONNX TopK).
    """

    name: ClassVar[str] = "topk"
    k: int = 1
    axis: int = 1
    largest: bool = True

    @property
    def is_batchable(self) -> bool:  # type: ignore[override]
        """Not along the batch."""
        return self.axis != 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        _require_ordered(x, self.axis, self)
        require(1 <= self.k <= x.shape[self.axis], f"k={self.k} of {x.shape[self.axis]} elements")
        shape = (*x.shape[: self.axis], self.k, *x.shape[self.axis + 1 :])
        return (TensorType(shape, x.elem), TensorType(shape, Int(64)))

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        (x,) = arrays
        keys = -x.astype(np.float64 if x.dtype.kind == "f" else np.int64)
        if not self.largest:
            keys = -keys
        order = np.argsort(keys, axis=self.axis, kind="stable")
        order = np.take(order, np.arange(self.k), axis=self.axis)
        return (np.take_along_axis(x, order, axis=self.axis), order.astype(np.int64))
