"""Elementwise ops on floats. Scalar functions also serve to fill lookup tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lepton_edge.ir.op import Op, Signature, require, require_arity
from lepton_edge.ir.types import Array, Float, TensorType


@dataclass(frozen=True)
class Scalar(Op):
    """A function of one real variable, applied to each element."""

    def real(self, x: Array) -> Array:
        """Return f(x) in the precision of ``x``."""
        raise NotImplementedError

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        require(inputs[0].is_float, f"wanted a float input, found {inputs[0]}")
        return (inputs[0],)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        return (self.real(arrays[0]).astype(np.float32),)


@dataclass(frozen=True)
class Relu(Scalar):
    """max(x, 0)."""

    name: ClassVar[str] = "relu"

    def real(self, x: Array) -> Array:
        """See Scalar."""
        return np.asarray(np.maximum(x, 0))


@dataclass(frozen=True)
class Clip(Scalar):
    """min(max(x, lowest), highest); Relu6 is Clip(0, 6)."""

    name: ClassVar[str] = "clip"
    lowest: float = -math.inf
    highest: float = math.inf

    def real(self, x: Array) -> Array:
        """See Scalar."""
        lowest, highest = x.dtype.type(self.lowest), x.dtype.type(self.highest)
        return np.asarray(np.minimum(np.maximum(x, lowest), highest))


@dataclass(frozen=True)
class LeakyRelu(Scalar):
    """x for x >= 0, slope * x below."""

    name: ClassVar[str] = "leaky_relu"
    slope: float = 0.01

    def real(self, x: Array) -> Array:
        """See Scalar."""
        return np.where(x >= 0, x, x.dtype.type(self.slope) * x)


@dataclass(frozen=True)
class Sigmoid(Scalar):
    """1 / (1 + exp(-x)), written so that no exponential overflows."""

    name: ClassVar[str] = "sigmoid"

    def real(self, x: Array) -> Array:
        """See Scalar."""
        small = np.exp(-np.abs(x))
        return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


@dataclass(frozen=True)
class HardSigmoid(Scalar):
    """clip(slope * x + offset, 0, 1)."""

    name: ClassVar[str] = "hard_sigmoid"
    slope: float = 0.2
    offset: float = 0.5

    def real(self, x: Array) -> Array:
        """See Scalar."""
        return np.asarray(np.clip(x.dtype.type(self.slope) * x + x.dtype.type(self.offset), 0, 1))


@dataclass(frozen=True)
class HardSwish(Scalar):
    """x * clip(x / 6 + 1/2, 0, 1)."""

    name: ClassVar[str] = "hard_swish"

    def real(self, x: Array) -> Array:
        """See Scalar."""
        return np.asarray(x * np.clip(x / 6 + x.dtype.type(0.5), 0, 1))


@dataclass(frozen=True)
class Swish(Scalar):
    """x * sigmoid(scale * x)."""

    name: ClassVar[str] = "swish"
    scale: float = 1.0

    def real(self, x: Array) -> Array:
        """See Scalar."""
        return x * Sigmoid().real(x.dtype.type(self.scale) * x)


@dataclass(frozen=True)
class Elu(Scalar):
    """x for x >= 0, alpha * (exp(x) - 1) below."""

    name: ClassVar[str] = "elu"
    alpha: float = 1.0

    def real(self, x: Array) -> Array:
        """See Scalar."""
        return np.where(x >= 0, x, x.dtype.type(self.alpha) * np.expm1(np.minimum(x, 0)))


_erf = np.vectorize(math.erf, otypes=[np.float64])

FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "abs": np.abs,
    "neg": np.negative,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "reciprocal": np.reciprocal,
    "tanh": np.tanh,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "sign": np.sign,
    "sin": np.sin,
    "cos": np.cos,
    "erf": _erf,
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
}
"""Functions without attributes, by the name that ``Function`` carries."""


@dataclass(frozen=True)
class Function(Scalar):
    """A standard function without attributes, by name (see FUNCTIONS)."""

    name: ClassVar[str] = "function"
    kind: str = "abs"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require(self.kind in FUNCTIONS, f"no function is named {self.kind!r}")
        return super().infer(inputs)

    def real(self, x: Array) -> Array:
        """See Scalar."""
        with np.errstate(all="ignore"):
            return FUNCTIONS[self.kind](x)


@dataclass(frozen=True)
class PRelu(Op):
    """x for x >= 0, slope * x below; the slope is the second input and broadcasts."""

    name: ClassVar[str] = "prelu"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 2)
        return (TensorType(_broadcast(inputs), Float()),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        x, slope = arrays
        return (np.where(x >= 0, x, x * slope).astype(np.float32),)


def _broadcast(inputs: Sequence[TensorType]) -> tuple[int, ...]:
    require(
        all(t.is_float for t in inputs),
        f"wanted float tensors, found {', '.join(map(str, inputs))}",
    )
    try:
        return tuple(np.broadcast_shapes(*(t.shape for t in inputs)))
    except ValueError:
        require(False, f"cannot broadcast shapes {' and '.join(str(t.shape) for t in inputs)}")
        raise


@dataclass(frozen=True)
class Binary(Op):
    """A function of two tensors with numpy's broadcasting."""

    def real(self, a: Array, b: Array) -> Array:
        """Return f(a, b)."""
        raise NotImplementedError

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 2)
        return (TensorType(_broadcast(inputs), Float()),)

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        with np.errstate(all="ignore"):
            return (self.real(arrays[0], arrays[1]).astype(np.float32),)


@dataclass(frozen=True)
class Add(Binary):
    """a + b."""

    name: ClassVar[str] = "add"

    def real(self, a: Array, b: Array) -> Array:
        """See Binary."""
        return a + b


@dataclass(frozen=True)
class Sub(Binary):
    """a - b."""

    name: ClassVar[str] = "sub"

    def real(self, a: Array, b: Array) -> Array:
        """See Binary."""
        return a - b


@dataclass(frozen=True)
class Mul(Binary):
    """a * b."""

    name: ClassVar[str] = "mul"

    def real(self, a: Array, b: Array) -> Array:
        """See Binary."""
        return a * b


@dataclass(frozen=True)
class Div(Binary):
    """a / b."""

    name: ClassVar[str] = "div"

    def real(self, a: Array, b: Array) -> Array:
        """See Binary."""
        return a / b


@dataclass(frozen=True)
class Pow(Binary):
    """a to the power b."""

    name: ClassVar[str] = "pow"

    def real(self, a: Array, b: Array) -> Array:
        """See Binary."""
        return np.power(a, b)


@dataclass(frozen=True)
class Maximum(Binary):
    """max(a, b)."""

    name: ClassVar[str] = "maximum"

    def real(self, a: Array, b: Array) -> Array:
        """See Binary."""
        return np.maximum(a, b)


@dataclass(frozen=True)
class Minimum(Binary):
    """min(a, b)."""

    name: ClassVar[str] = "minimum"

    def real(self, a: Array, b: Array) -> Array:
        """See Binary."""
        return np.minimum(a, b)


@dataclass(frozen=True)
class Softmax(Op):
    """exp(x) / sum(exp(x)) along an axis.

    Args:
        axis: non-negative, not the batch axis of a tensor with more than one axis.
    """

    name: ClassVar[str] = "softmax"
    axis: int = 1

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """See Op."""
        require_arity(self, inputs, 1)
        (x,) = inputs
        require(x.is_float, f"wanted a float input, found {x}")
        require(0 <= self.axis < x.rank, f"axis {self.axis} of a {x.rank}-D tensor")
        return (x,)

    @property
    def is_batchable(self) -> bool:  # type: ignore[override]
        """Not when it runs over the batch."""
        return self.axis != 0

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """See Op."""
        (x,) = arrays
        e = np.exp(x - x.max(axis=self.axis, keepdims=True))
        return ((e / e.sum(axis=self.axis, keepdims=True)).astype(np.float32),)
