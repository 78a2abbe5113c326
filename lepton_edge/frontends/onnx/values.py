"""Constants of the model while it is imported: arrays, or codes with their quantisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lepton_edge.ir.types import Array, QuantType


@dataclass(frozen=True, eq=False)
class Static:
    """A value that is known at import.

    Args:
        array: the values; or codes, when ``quant`` is given.
        name: the ONNX value's name, with a suffix for each change of layout.
        quant: what the codes stand for.
        source: the name of the node that dequantises the codes.
        key: equal keys mean equal contents; the ONNX name, and what was done to it after a NUL,
            which no other name can hold.
    """

    array: Array
    name: str
    quant: QuantType | None = None
    source: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.name)

    @property
    def real(self) -> Array:
        """The array as ONNX computes with it: codes dequantised to float32."""
        return self.array if self.quant is None else self.quant.dequantize(self.array)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.array.shape

    def moved(self, tag: str, move: Callable[[Array], Array]) -> Static:
        """Return this constant with its elements moved (transposed, reshaped, sliced, ...).

        The scales of codes follow their elements. Where no single axis of the result carries
        them, the result is a plain float array.

        Args:
            tag: appended to the name.
            move: moves elements of an array of this shape and computes nothing.
        """
        name, key = f"{self.name}/{tag}", f"{self.key}\0{tag}"
        if self.quant is None:
            return replace(self, array=move(self.array), name=name, key=key)
        quant = moved_quant(self.quant, self.shape, move)
        if quant is None:
            return Static(move(self.real), name, key=key)
        return replace(self, array=move(self.array), name=name, quant=quant, key=key)

    def scaled_by_row(self) -> Static:
        """Return this constant if its scales run along axis 0, or there is one; else as floats."""
        if self.quant is None or self.quant.axis in (None, 0):
            return self
        return Static(self.real, self.name, key=f"{self.key}\0real")

    def transposed(self, *perm: int) -> Static:
        """Return this constant with its axes in another order."""
        return self.moved("t" + "".join(map(str, perm)), lambda a: a.transpose(perm))

    def reshaped(self, *shape: int) -> Static:
        """Return this constant in another shape."""
        return self.moved("r" + "x".join(map(str, shape)), lambda a: a.reshape(shape))


def moved_quant(
    quant: QuantType, shape: tuple[int, ...], move: Callable[[Array], Array]
) -> QuantType | None:
    """Return the type of codes after a movement of elements, or None when no axis carries it.

    The index along the scaled axis is moved as the codes are, and read back from the result.
    """
    if quant.is_per_tensor or quant.axis is None:
        return replace(quant, axis=None) if quant.is_per_tensor else quant
    axis = quant.axis % len(shape)
    along = [1] * len(shape)
    along[axis] = shape[axis]
    index = move(np.broadcast_to(np.arange(shape[axis]).reshape(along), shape))
    for candidate in range(index.ndim):
        others = tuple(i for i in range(index.ndim) if i != candidate)
        if index.size and (index.min(axis=others) == index.max(axis=others)).all():
            kept = index.max(axis=others)
            zeros = quant.zero_point
            return replace(
                quant,
                scale=tuple(quant.scale[i] for i in kept),
                zero_point=zeros if len(zeros) == 1 else tuple(zeros[i] for i in kept),
                axis=candidate,
            )
    return None
