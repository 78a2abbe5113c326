"""Ops that move elements and compute nothing: floats and codes alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lepton_edge.ir.op import Op, Signature, require, require_arity, require_zero
from lepton_edge.ir.types import Array, QuantType, TensorType


def _require_per_tensor(x: TensorType, op: Op) -> None:
    elem = x.elem
    require(
        not isinstance(elem, QuantType) or elem.is_per_tensor,
        f"{op.name} of a tensor with a scale for each channel is not supported",
    )


@dataclass(frozen=True)
class Reshape(Op):
    """The same elements, row-major, in another shape (all entries given)."""

    name: ClassVar[str] = "reshape"
    shape: tuple[int, ...] = ()

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(
            math.prod(self.shape) == x.num_elements,
            f"cannot reshape {x.num_elements} elements of shape {x.shape} to {self.shape}",
        )
        if isinstance(x.elem, QuantType) and not x.elem.is_per_tensor:
            require(
                self.shape[-1:] == x.shape[-1:],
                "a reshape must keep the axis that scales run along",
            )
        return (x.with_shape(self.shape),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        (x,) = arrays
        declared = sig.inputs[0].shape
        if declared[:1] == self.shape[:1] == (1,):
            return (x.reshape(x.shape[0], *self.shape[1:]),)
        return (x.reshape(self.shape),)


@dataclass(frozen=True)
class Transpose(Op):
    """Axes in another order: output axis i is input axis perm[i]."""

    name: ClassVar[str] = "transpose"
    perm: tuple[int, ...] = ()

    @property
    def is_batchable(self) -> bool:  # type: ignore[override]
        """Not when the batch axis moves."""
        return self.perm[:1] == (0,)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(
            sorted(self.perm) == list(range(x.rank)), f"perm {self.perm} of a {x.rank}-D tensor"
        )
        _require_per_tensor(x, self)
        return (x.with_shape(tuple(x.shape[p] for p in self.perm)),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        return (np.ascontiguousarray(arrays[0].transpose(self.perm)),)


@dataclass(frozen=True)
class Concat(Op):
    """Tensors of one element type, one after the other along an axis (non-negative)."""

    name: ClassVar[str] = "concat"
    axis: int = 1

    @property
    def is_batchable(self) -> bool:  # type: ignore[override]
        """Not along the batch."""
        return self.axis != 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require(len(inputs) >= 1, "concat takes at least one input")
        first = inputs[0]
        require(0 <= self.axis < first.rank, f"axis {self.axis} of a {first.rank}-D tensor")
        for t in inputs:
            _require_per_tensor(t, self)
            require(
                t.elem == first.elem, f"cannot concatenate {first} and {t}: element types differ"
            )
            same = t.rank == first.rank and all(
                a == b
                for i, (a, b) in enumerate(zip(t.shape, first.shape, strict=True))
                if i != self.axis
            )
            require(
                same, f"cannot concatenate shapes {first.shape} and {t.shape} along {self.axis}"
            )
        shape = list(first.shape)
        shape[self.axis] = sum(t.shape[self.axis] for t in inputs)
        return (first.with_shape(tuple(shape)),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        return (np.concatenate(arrays, axis=self.axis),)


@dataclass(frozen=True)
class Slice(Op):
    """Elements begin, begin+step, ... before end, along one axis.

    Args:
        axis: non-negative.
        begin: 0..size-1.
        end: exclusive; begin+1..size for a positive step, -1..begin-1 for a negative one.
        step: not zero.
    """

    name: ClassVar[str] = "slice"
    axis: int = 1
    begin: int = 0
    end: int = 1
    step: int = 1

    @property
    def is_batchable(self) -> bool:  # type: ignore[override]
        """Not along the batch."""
        return self.axis != 0

    @property
    def size(self) -> int:
        """How many indices are kept."""
        return max(0, -(-(self.end - self.begin) // self.step)) if self.step else 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(0 <= self.axis < x.rank, f"axis {self.axis} of a {x.rank}-D tensor")
        _require_per_tensor(x, self)
        limit = x.shape[self.axis]
        require(
            0 <= self.begin < limit and -1 <= self.end <= limit and self.size > 0,
            f"slice {self.begin}:{self.end}:{self.step} of an axis of {limit} keeps nothing",
        )
        shape = list(x.shape)
        shape[self.axis] = self.size
        return (x.with_shape(tuple(shape)),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        end = None if self.end < 0 else self.end
        index = [slice(None)] * arrays[0].ndim
        index[self.axis] = slice(self.begin, end, self.step)
        return (np.ascontiguousarray(arrays[0][tuple(index)]),)


@dataclass(frozen=True)
class Pad(Op):
    """A constant around the tensor.

    Args:
        before: entries added before each axis.
        after: entries added after each axis.
        value: the real value added; on codes it must be a real that has a code.
    """

    name: ClassVar[str] = "pad"
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    value: float = 0.0

    @property
    def is_batchable(self) -> bool:  # type: ignore[override]
        """Not along the batch."""
        return self.before[:1] == self.after[:1] == (0,)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(
            len(self.before) == len(self.after) == x.rank,
            f"pads for {len(self.before)} axes of a {x.rank}-D tensor",
        )
        require(min((*self.before, *self.after), default=0) >= 0, "pads must not be negative")
        _require_per_tensor(x, self)
        shape = tuple(b + s + a for b, s, a in zip(self.before, x.shape, self.after, strict=True))
        return (x.with_shape(shape),)

    def fill(self, x: TensorType) -> float:
        """Return what is written into the padding of ``x``: the real value, or its code."""
        if not isinstance(x.elem, QuantType):
            return self.value
        return int(x.elem.quantize(np.array([self.value], np.float32))[0])

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        widths = tuple(zip(self.before, self.after, strict=True))
        return (np.pad(arrays[0], widths, constant_values=self.fill(sig.inputs[0])),)


@dataclass(frozen=True)
class RepeatNearest(Op):
    """Nearest-neighbour upsampling of [N,H,W,C] by whole factors along H and W."""

    name: ClassVar[str] = "repeat_nearest"
    factors: tuple[int, int] = (1, 1)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(x.rank == 4 and min(self.factors) >= 1, f"factors {self.factors} of {x}")
        _require_per_tensor(x, self)
        n, h, w, c = x.shape
        return (x.with_shape((n, h * self.factors[0], w * self.factors[1], c)),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        return (arrays[0].repeat(self.factors[0], axis=1).repeat(self.factors[1], axis=2),)


@dataclass(frozen=True)
class InsertZeros(Op):
    """Real zeros between the pixels of [N,H,W,C], as a transposed convolution needs them.

    Args:
        factors: distance of the pixels along H, W afterwards; 1 inserts nothing.
    """

    name: ClassVar[str] = "insert_zeros"
    factors: tuple[int, int] = (1, 1)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(x.rank == 4 and min(self.factors) >= 1, f"factors {self.factors} of {x}")
        _require_per_tensor(x, self)
        require_zero(x)
        n, h, w, c = x.shape
        height, width = (h - 1) * self.factors[0] + 1, (w - 1) * self.factors[1] + 1
        return (x.with_shape((n, height, width, c)),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        (x,) = arrays
        elem = sig.inputs[0].elem
        zero = elem.zero_point[0] if isinstance(elem, QuantType) else 0
        out = np.full((x.shape[0], *sig.outputs[0].shape[1:]), zero, x.dtype)
        out[:, :: self.factors[0], :: self.factors[1]] = x
        return (out,)


@dataclass(frozen=True)
class Gather(Op):
    """Constant indices along one axis (non-negative axis and indices).

    Args:
        axis: the axis that is indexed.
        indices: the kept indices, in order; the axis keeps its place.
    """

    name: ClassVar[str] = "gather"
    axis: int = 1
    indices: tuple[int, ...] = ()

    @property
    def is_batchable(self) -> bool:  # type: ignore[override]
        """Not along the batch."""
        return self.axis != 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(0 <= self.axis < x.rank, f"axis {self.axis} of a {x.rank}-D tensor")
        _require_per_tensor(x, self)
        limit = x.shape[self.axis]
        require(all(0 <= i < limit for i in self.indices), f"an index is outside 0..{limit - 1}")
        shape = list(x.shape)
        shape[self.axis] = len(self.indices)
        return (x.with_shape(tuple(shape)),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        return (np.take(arrays[0], np.array(self.indices, np.int64), axis=self.axis),)


@dataclass(frozen=True)
class Broadcast(Op):
    """The tensor repeated to a larger shape, by numpy's rules."""

    name: ClassVar[str] = "broadcast"
    shape: tuple[int, ...] = ()

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        try:
            matches = np.broadcast_shapes(x.shape, self.shape) == self.shape
        except ValueError:
            matches = False
        require(matches, f"cannot broadcast shape {x.shape} to {self.shape}")
        _require_per_tensor(x, self)
        return (x.with_shape(self.shape),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        (x,) = arrays
        batch = (
            x.shape[:1]
            if sig.inputs[0].rank == len(self.shape) and self.shape[:1] == (1,)
            else self.shape[:1]
        )
        return (np.ascontiguousarray(np.broadcast_to(x, (*batch, *self.shape[1:]))),)
