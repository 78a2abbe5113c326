"""Small words for writing TIR: typed constants, vector loads and stores, kernels as functions.

Kernels are written loop by loop with TVM's IR builder (TVM 0.27), over flat buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from tvm import tirx
from tvm.script import tirx as T
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder.tirx import prim_func

Expr: TypeAlias = Any
"""A TIR expression. TVM's own types are not annotated."""

Buffer: TypeAlias = Any
"""A flat TIR buffer."""


@dataclass(frozen=True)
class Param:
    """An array that a kernel reads or writes.

    Args:
        name: in the kernel's text.
        dtype: of an element, as numpy spells it.
        elements: how many there are.
    """

    name: str
    dtype: str
    elements: int


Memory: TypeAlias = Mapping[Param, Buffer]
"""The buffers of a kernel while its text is written, and the numbers PART and PARTS."""

PART, PARTS = Param("part", "int32", 1), Param("parts", "int32", 1)
"""Which part of a kernel's work is to be done, of how many."""


@dataclass(frozen=True)
class Kernel:
    """A loop nest.

    Args:
        name: of the function.
        params: the arrays, inputs first.
        emit: writes the loops, given the buffers.
        is_shared: whether threads can each do a part.
    """

    name: str
    params: tuple[Param, ...]
    emit: Callable[[Memory], None]
    is_shared: bool = False

    def function(self, name: str) -> tirx.PrimFunc:
        """Return the kernel as a C function of pointers and of PART and PARTS, under a name.

        No two of the arrays may overlap.
        """
        with IRBuilder() as builder, prim_func(s_tir=True):
            T.func_name(name)
            T.func_attr({"global_symbol": name, "tirx.noalias": True})
            pointers = [T.arg(p.name, T.ptr(p.dtype)) for p in self.params]
            numbers = {p: T.arg(p.name, T.int32()) for p in (PART, PARTS)}
            buffers = [
                T.decl_buffer((p.elements,), p.dtype, data=pointer, layout=None)
                for p, pointer in zip(self.params, pointers, strict=True)
            ]
            self.emit({**dict(zip(self.params, buffers, strict=True)), **numbers})
        return builder.get()


@contextmanager
def nest(extents: Sequence[int]) -> Iterator[tuple[Expr, ...]]:
    """Open loops within each other, and yield their variables."""
    if not extents:
        yield ()
        return
    with T.grid(*extents) as found:
        yield (found,) if isinstance(found, tirx.Var) else tuple(found)


@contextmanager
def shared(extent: int, memory: Memory) -> Iterator[Expr]:
    """Open a loop over this part's share of some iterations, and yield its variable."""
    part, parts = memory[PART], memory[PARTS]
    begin, end = (T.truncdiv(extent * p, parts) for p in (part, part + 1))
    with T.serial(end - begin) as found:
        yield begin + found


@contextmanager
def first_only(memory: Memory) -> Iterator[int]:
    """Write what the first part alone does, and yield 0: a loop of one iteration."""
    with T.If(T.EQ(memory[PART], 0)), T.Then():
        yield 0


@contextmanager
def some(extent: int) -> Iterator[Expr]:
    """Open a loop, if it has more than one iteration, and yield its variable or 0."""
    if extent == 1:
        yield 0
        return
    with T.serial(extent) as found:
        yield found


def vector(dtype: str, lanes: int) -> str:
    """Return the type of ``lanes`` elements."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def constant(value: float, dtype: str, lanes: int = 1) -> Expr:
    """Return a constant, the same in all lanes."""
    scalar = tirx.const(value, dtype)
    return scalar if lanes == 1 else T.broadcast(scalar, lanes)


def spread(scalar: Expr, lanes: int) -> Expr:
    """Return a scalar in all lanes."""
    return scalar if lanes == 1 else T.broadcast(scalar, lanes)


def cast(value: Expr, dtype: str, lanes: int = 1) -> Expr:
    """Return a value as another type."""
    return T.cast(value, vector(dtype, lanes))


def load(buffer: Buffer, offset: Expr, lanes: int = 1) -> Expr:
    """Return the elements from ``offset`` on."""
    return buffer[offset] if lanes == 1 else buffer.vload([offset], vector(buffer.dtype, lanes))


def store(buffer: Buffer, offset: Expr, value: Expr, lanes: int = 1) -> None:
    """Write the elements from ``offset`` on."""
    T.buffer_store(buffer, value, [offset if lanes == 1 else T.ramp(offset, 1, lanes)])


def part(value: Expr, begin: int, lanes: int) -> Expr:
    """Return some lanes of a vector."""
    index = [tirx.const(begin + i, "int32") for i in range(lanes)]
    return tirx.Shuffle([value], index)


def clamp(value: Expr, lowest: float, highest: float, dtype: str, lanes: int = 1) -> Expr:
    """Return a value within bounds."""
    return T.Min(T.Max(value, constant(lowest, dtype, lanes)), constant(highest, dtype, lanes))


def register(dtype: str, lanes: int = 1) -> Buffer:
    """Return a variable that LLVM keeps in a register."""
    return T.alloc_buffer((lanes,), dtype, scope="local", layout=None)


def put(variable: Buffer, value: Expr, lanes: int = 1) -> None:
    """Set a register."""
    store(variable, 0, value, lanes)


def get(variable: Buffer, lanes: int = 1) -> Expr:
    """Return what a register holds."""
    return load(variable, 0, lanes)


def pieces(count: int, widest: int) -> Iterator[tuple[int, int]]:
    """Yield the begin and the lanes of vectors, powers of two, that cover ``count`` elements."""
    begin = 0
    while begin < count:
        lanes = min(widest, 1 << ((count - begin).bit_length() - 1))
        yield begin, lanes
        begin += lanes


def offset_of(index: Sequence[Expr], shape: Sequence[int]) -> Expr:
    """Return the row-major place of an element."""
    offset: Expr = 0
    for i, extent in zip(index, shape, strict=True):
        offset = offset * extent + i
    return offset


def runs(count: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Yield begin, size and number of the equal parts of a range, and of the rest."""
    if count // size:
        yield 0, size, count // size
    if count % size:
        yield count - count % size, count % size, 1
