"""Where an op stands while its loops are written, and the table of who writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lepton_edge.backends.tvm.views import Constants, Storage, View
from lepton_edge.errors import InternalError
from lepton_edge.ir.op import Op, Signature
from lepton_edge.ir.types import Array, QuantType
from lepton_edge.registry import Registry


@dataclass(frozen=True)
class Site:
    """A node in the kernel that it becomes part of.

    Args:
        op: the op.
        sig: the types it reads and writes.
        views: the inputs that are computed; None for constants.
        arrays: the inputs that are constants; None for others.
        constants: takes what the kernel reads beside its inputs.
    """

    op: Any
    sig: Signature
    views: tuple[View | None, ...]
    arrays: tuple[Array | None, ...]
    constants: Constants

    def view(self, index: int = 0) -> View:
        """Return an input, computed or constant."""
        found = self.views[index]
        if found is not None:
            return found
        storage = Storage(self.sig.inputs[index])
        return storage.view(self.constants.add(self.array(index)))

    def array(self, index: int) -> Array:
        """Return an input that must be a constant."""
        found = self.arrays[index]
        if found is None:
            raise InternalError(f"input {index} of {self.op.name} must be a constant")
        return found

    def quant(self, index: int = 0) -> QuantType:
        """Return the type of codes that an input holds."""
        return self.sig.inputs[index].quant


Definition = Callable[[Site], tuple[View, ...]]
"""Gives the outputs of an op, element by element."""

DEFINITIONS: Registry[Definition] = Registry("definition", "lepton_edge.backends.tvm.definitions")
"""The definition of each op, by the op's name."""

D = TypeVar("D", bound=Definition)


def defines(*ops: type[Op]) -> Callable[[D], D]:
    """Register a function as the definition of ops."""

    def register(definition: D) -> D:
        for op in ops:
            DEFINITIONS.add(op.name, definition)
        return definition

    return register
