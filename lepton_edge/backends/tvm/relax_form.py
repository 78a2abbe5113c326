"""A program as one Relax module, for TVM's own virtual machine and runtime.

The kernels are those of the C form, as packed functions. Parts of a network that something else
executes, an FPGA say, are external functions of the module: the virtual machine calls them by name,
with arrays in and arrays out (TVM 0.27, ``relax.op.call_dps_packed``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tvm
from tvm import relax
from tvm.script import tirx as T
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder.tirx import prim_func

from lepton_edge.backends.tvm.arena import SLACK
from lepton_edge.backends.tvm.program import Call, Program
from lepton_edge.backends.tvm.tir import PART, PARTS, Expr, Kernel, Param, load, store
from lepton_edge.ir.types import Array, TensorType

Var: TypeAlias = Any
"""A Relax variable."""


@dataclass(frozen=True)
class External:
    """A part of a network that something outside TVM computes.

    Args:
        function: the name under which it is registered with TVM.
        inputs: values that it reads.
        outputs: values that it writes, with their types.
    """

    function: str
    inputs: tuple[str, ...]
    outputs: Mapping[str, TensorType]


def relax_module(
    name: str,
    inputs: Mapping[str, TensorType],
    parts: Sequence[Program | External],
    outputs: Sequence[str],
) -> Any:
    """Return a module whose ``main`` computes parts of a network one after the other.

    Args:
        name: of the network.
        inputs: the values that ``main`` takes, in order.
        parts: what computes values from them, and from each other's.
        outputs: the values that ``main`` returns, in order: one array, or a tuple of several.
    """
    return _Module(name).built(inputs, parts, outputs)


class _Module:
    """A module while it is put together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.builder = relax.BlockBuilder()
        self.values: dict[str, Var] = {}
        self.functions = 0

    def built(
        self,
        inputs: Mapping[str, TensorType],
        parts: Sequence[Program | External],
        outputs: Sequence[str],
    ) -> Any:
        given = [relax.Var(f"x{i}", _tensor(type_)) for i, type_ in enumerate(inputs.values())]
        with self.builder.function("main", given):
            self.values = dict(zip(inputs, given, strict=True))
            for part in parts:
                if isinstance(part, Program):
                    self._program(part)
                else:
                    self._external(part)
            results = [self.values[value] for value in outputs]
            self.builder.emit_func_output(results[0] if len(results) == 1 else results)
        return self.builder.get()

    def _program(self, program: Program) -> None:
        """Add a program's calls; its inputs get room to read beyond them, its outputs lose it."""
        graph = program.graph
        flat = {v: self._copied(self.values[v], graph.types[v], is_flat=True) for v in graph.inputs}
        for call in program.calls:
            self._call(program, call, flat)
        for value in graph.outputs:
            self.values[value] = self._copied(flat[value], graph.types[value], is_flat=False)

    def _call(self, program: Program, call: Call, flat: dict[str, Var]) -> None:
        """Add a kernel."""
        constants = [_constant(array) for array in call.constants]
        results = [
            relax.TensorType((_room(program.storages[v].elements, dtype),), dtype)
            for v in call.outputs
            for dtype in [program.storages[v].dtype]
        ]
        function = self.builder.add_func(_packed(call.kernel), self._fresh(call.kernel.name))
        given = [flat[v] for v in call.inputs]
        out = relax.call_tir(function, [*given, *constants], results)
        found = self.builder.emit(out)
        written = [found] if len(results) == 1 else _items(self.builder, found, len(results))
        flat |= dict(zip(call.outputs, written, strict=True))

    def _external(self, part: External) -> None:
        """Add a call of a function that is found by its name."""
        types = [_tensor(type_) for type_ in part.outputs.values()]
        given = relax.Tuple([self.values[v] for v in part.inputs])
        found = self.builder.emit(relax.op.call_dps_packed(part.function, given, types))
        results = [found] if len(types) == 1 else _items(self.builder, found, len(types))
        self.values |= dict(zip(part.outputs, results, strict=True))

    def _copied(self, value: Var, type_: TensorType, *, is_flat: bool) -> Var:
        """Return a copy of a value: flat and with room behind it, or in its own shape without."""
        dtype, count = str(type_.elem.dtype), type_.num_elements
        roomy = (_room(count, dtype),)
        shapes = (type_.shape, roomy) if is_flat else (roomy, type_.shape)
        function = self.builder.add_func(_copy(dtype, count, *shapes), self._fresh("copy"))
        result = relax.TensorType(shapes[1], dtype)
        return self.builder.emit(relax.call_tir(function, [value], result))

    def _fresh(self, name: str) -> str:
        self.functions += 1
        return f"{name}_{self.functions}"


def _items(builder: Any, found: Var, count: int) -> list[Var]:
    """Return the items of a tuple."""
    return [builder.emit(relax.TupleGetItem(found, i)) for i in range(count)]


def _tensor(type_: TensorType) -> Any:
    return relax.TensorType(type_.shape, str(type_.elem.dtype))


def _room(elements: int, dtype: str) -> int:
    """Return the elements of an array with room behind it."""
    return elements + SLACK // np.dtype(dtype).itemsize


def _constant(array: Array) -> Any:
    """Return an array with room behind it; Relax would make 32 bits of 64 if it were not told."""
    roomy = np.concatenate([array, np.zeros(SLACK // array.itemsize, array.dtype)])
    return relax.const(roomy, str(array.dtype))


def _packed(kernel: Kernel) -> Any:
    """Return a kernel as a packed function of flat arrays with room behind them, for one thread."""
    with IRBuilder() as builder, prim_func(s_tir=True):
        T.func_attr({"tirx.noalias": True})
        memory: dict[Param, Expr] = {}
        for param in kernel.params:
            shape, size = (_room(param.elements, param.dtype),), np.dtype(param.dtype).itemsize
            kind = T.buffer(shape, param.dtype, layout=None, align=size)
            memory[param] = T.arg(param.name, kind)
        kernel.emit({**memory, PART: T.int32(0), PARTS: T.int32(1)})
    return builder.get()


def _copy(dtype: str, count: int, source: Sequence[int], target: Sequence[int]) -> Any:
    """Return a packed function that copies elements from one shape to another, row-major."""
    size = np.dtype(dtype).itemsize
    with IRBuilder() as builder, prim_func(s_tir=True):
        T.func_attr({"tirx.noalias": True})
        arrays = [
            T.arg(name, T.buffer(tuple(shape), dtype, layout=None, align=size))
            for name, shape in (("x", source), ("y", target))
        ]
        x, y = (T.decl_buffer((count,), dtype, data=array.data, layout=None) for array in arrays)
        with T.serial(count) as i:
            store(y, i, load(x, i))
    return builder.get()


def module_of(program: Program) -> Any:
    """Return a whole network as a module."""
    graph = program.graph
    inputs = {value: graph.types[value] for value in graph.inputs}
    return relax_module(graph.name, inputs, [program], graph.outputs)


def executable(module: Any, program: Program) -> Any:
    """Return a module compiled for a program's processor."""
    return tvm.compile(module, target=tvm.target.Target(dict(program.machine.target)))
