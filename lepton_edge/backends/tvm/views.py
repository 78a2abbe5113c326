"""Values as functions of their index: what loop nests of every kind are put together from.

An op that computes each element from few others is a function from views to a view. Nothing is
stored between such ops: the loop at their end asks for an element, or for a vector of elements that
are neighbours along the last axis, and each view asks those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.tvm.tir import Expr, Memory, Param, load, offset_of, spread
from lepton_edge.ir.types import Array, TensorType

At = Callable[[Memory, Sequence[Expr], int], Expr]
"""The element at an index, or as many as there are lanes from it on along the last axis."""


@dataclass(frozen=True)
class View:
    """A value, element by element.

    Args:
        type: shape and elements.
        at: gives elements.
        lanes: most neighbours along the last axis that it can give at once.
    """

    type: TensorType
    at: At
    lanes: int = 1

    @property
    def dtype(self) -> str:
        """The numpy type of an element."""
        return str(self.type.elem.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.type.shape


WIDEST = 64
"""Most lanes that anything asks for."""


@dataclass(frozen=True)
class Storage:
    """How a value lies in memory: row-major, pixels with a border around them.

    Args:
        type: shape and elements.
        border: rows above, columns before, rows below, columns after; of [N,H,W,C].
        fill: what the border holds.
    """

    type: TensorType
    border: tuple[int, int, int, int] = (0, 0, 0, 0)
    fill: float = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape with its border."""
        if not any(self.border):
            return self.type.shape
        n, h, w, c = self.type.shape
        top, left, bottom, right = self.border
        return n, h + top + bottom, w + left + right, c

    @property
    def dtype(self) -> str:
        """The numpy type of an element."""
        return str(self.type.elem.dtype)

    @property
    def elements(self) -> int:
        """Elements, border and all."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def num_bytes(self) -> int:
        """Bytes, border and all."""
        return self.elements * self.type.elem.dtype.itemsize

    def offset(self, index: Sequence[Expr]) -> Expr:
        """Return the place of an element."""
        if any(self.border):
            n, h, w, c = index
            index = (n, h + self.border[0], w + self.border[1], c)
        return offset_of(index, self.shape)

    def param(self, name: str) -> Param:
        """Return the array that holds the value."""
        return Param(name, self.dtype, self.elements)

    def view(self, param: Param) -> View:
        """Return the value that lies in an array."""
        return View(
            self.type,
            lambda memory, index, lanes: load(memory[param], self.offset(index), lanes),
            WIDEST,
        )


def along(param: Param, memory: Memory, index: Sequence[Expr], lanes: int, axis: int = -1) -> Expr:
    """Return the parameters at an index, of an axis; the only one where there is but one."""
    if param.elements == 1:
        return spread(memory[param][0], lanes)
    if axis in (-1, len(index) - 1):
        return load(memory[param], index[-1], lanes)
    return spread(memory[param][index[axis]], lanes)


class Constants:
    """The arrays that a kernel reads beside its inputs, as they come up."""

    def __init__(self) -> None:
        self.arrays: dict[Param, Array] = {}

    def add(self, array: Array, dtype: str | None = None) -> Param:
        """Return the parameter that holds an array."""
        stored = np.ascontiguousarray(array, dtype)
        for param, known in self.arrays.items():
            if known.dtype == stored.dtype and np.array_equal(known, stored.ravel()):
                return param
        param = Param(f"c{len(self.arrays)}", str(stored.dtype), stored.size)
        self.arrays[param] = stored.ravel()
        return param
