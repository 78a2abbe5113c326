"""What an operator is: a frozen dataclass whose fields are its attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lepton_edge.errors import ImportModelError
from lepton_edge.ir.types import Array, QuantType, TensorType
from lepton_edge.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

OPS: Registry[type[Op]] = Registry("op", "lepton_edge.ir.ops")
"""Every operator class by name, filled as the modules of ``ir.ops`` define them."""


@dataclass(frozen=True)
class Signature:
    """The tensor types a node reads and writes, given to ``Op.evaluate``."""

    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]


@dataclass(frozen=True)
class Op:
    """One kind of computation.

    A subclass is a frozen dataclass (without slots: a slotted dataclass is a second class and
    would register twice), names itself in ``name`` and gives ``infer`` and ``evaluate``. The
    definitions in ``evaluate`` are the judge: every backend must give the same codes.
    """

    name: ClassVar[str] = ""
    is_batchable: ClassVar[bool] = True
    """Whether ``evaluate`` takes any leading batch size in place of the declared 1."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name:
            OPS.add(cls.name, cls)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Return the output types; raise ImportModelError when the inputs are ill-typed."""
        raise NotImplementedError

    def evaluate(self, arrays: Sequence[Array], sig: Signature) -> tuple[Array, ...]:
        """Compute the outputs; arrays may have any leading batch size if ``is_batchable``."""
        raise NotImplementedError

    def macs(self, sig: Signature) -> int:
        """Return the multiply-accumulates of one frame."""
        return 0


def require(condition: bool, what: str, hint: str = "") -> None:
    """Raise ImportModelError(what) unless ``condition`` holds: a typing rule of an op."""
    if not condition:
        raise ImportModelError(what, hint=hint)


def require_arity(
    op: Op, inputs: Sequence[TensorType], least: int, most: int | None = None
) -> None:
    """Check the number of inputs of ``op``."""
    most = least if most is None else most
    wanted = str(least) if least == most else f"{least} to {most}"
    require(least <= len(inputs) <= most, f"{op.name} takes {wanted} inputs, found {len(inputs)}")


def require_zero(x: TensorType) -> None:
    """Check that a tensor to be padded with real zero has a code for it."""
    require(
        not (isinstance(x.elem, QuantType) and x.elem.bipolar),
        f"{x} cannot be padded with zero: its codes stand for -scale and +scale only",
    )
