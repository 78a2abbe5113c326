"""Programs to object code: plain C functions, and one that calls them in order.

The kernels take pointers and need nothing of TVM's runtime: TVM's passes for packed functions are
left out (TVM 0.27). The function that calls them lies in an object file of its own. In one, LLVM
would inline kernels whose buffers share the arena, and TVM's alias information, a class for each
buffer, would let it move loads across stores to the same memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.script import tirx as T
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder.tirx import prim_func

from lepton_edge.backends.tvm.arena import aligned
from lepton_edge.backends.tvm.program import Program
from lepton_edge.ir.types import Array

ENTRY = "lepton_entry"
"""The function that does a thread's part of a network: (arena, weights, part, parts, barrier)."""

BARRIER = "lepton_barrier"
"""The function in which threads wait for each other: ``(barrier, parts)``."""

PASSES = (
    s_tir.transform.CanonicalizeLoop,
    s_tir.transform.LowerInitBlock,
    s_tir.transform.PlanAndUpdateBufferAllocationLocation,
    s_tir.transform.ConvertBlocksToOpaque,
    s_tir.transform.CompactBufferAllocation,
    s_tir.transform.LowerMatchBuffer,
    s_tir.transform.StmtSimplify,
    s_tir.transform.LowerOpaqueBlock,
    tirx.transform.FlattenBuffer,
    lambda: tirx.transform.NarrowDataType(32),
    s_tir.transform.LoopPartition,
    lambda: tirx.transform.VectorizeLoop(True),
    tirx.transform.StorageRewrite,
    tirx.transform.UnrollLoop,
    tirx.transform.StmtSimplify,
    tirx.transform.RemoveNoOp,
    s_tir.transform.RewriteUnsafeSelect,
    tirx.transform.CommonSubexprElim,
    tirx.transform.LowerIntrin,
)
"""TVM's own way from loops to LLVM, without what makes packed functions of them."""


@dataclass(frozen=True)
class Weights:
    """The constants of a program in one array.

    Args:
        data: uint8, each constant aligned.
        offsets: for each call those of its constants.
    """

    data: Array
    offsets: tuple[tuple[int, ...], ...]


def weights_of(program: Program) -> Weights:
    """Return the constants of a program; what is the same is there once."""
    places: dict[bytes, int] = {}
    parts: list[Array] = []
    end = 0
    for array in (a for call in program.calls for a in call.constants):
        data = array.tobytes()
        if data not in places:
            places[data] = end
            parts.append(np.zeros(aligned(len(data)), np.uint8))
            parts[-1][: len(data)] = np.frombuffer(data, np.uint8)
            end += parts[-1].size
    offsets = (tuple(places[a.tobytes()] for a in call.constants) for call in program.calls)
    return Weights(np.concatenate(parts) if parts else np.zeros(0, np.uint8), tuple(offsets))


def object_files(program: Program, weights: Weights, folder: Path) -> tuple[Path, Path]:
    """Write the kernels and the function that calls them as object files."""
    functions, names = _functions(program)
    target = program.machine.target
    paths = folder / "kernels.o", folder / "calls.o"
    _build(functions, target).write_to_file(str(paths[0]), "o")
    _build({ENTRY: _entry(program, weights, names)}, target).write_to_file(str(paths[1]), "o")
    return paths


def compiled_kernels(program: Program) -> Any:
    """Return the kernels as TVM's module, which can be asked for its text."""
    return _build(_functions(program)[0], program.machine.target)


def _functions(program: Program) -> tuple[dict[str, Any], list[str]]:
    """Return the kernels by name, those alike once, and the name of each call's."""
    functions: dict[int, Any] = {}
    names: list[str] = []
    for call in program.calls:
        function = call.kernel.function("kernel")
        key = tvm_ffi.structural_hash(function, map_free_vars=True)
        if key not in functions:
            functions[key] = function.with_attr("global_symbol", f"lepton_{call.kernel.name}")
        names.append(str(functions[key].attrs["global_symbol"]))
    return {str(f.attrs["global_symbol"]): f for f in functions.values()}, names


def _build(functions: Mapping[str, Any], target: Mapping[str, Any]) -> Any:
    """Return the object code of C functions."""
    device = tvm.target.Target(dict(target))
    device = device.with_host(device)
    passes = [tirx.transform.BindTarget(device), *(make() for make in PASSES)]
    module = tvm.ir.transform.Sequential(passes)(tvm.IRModule(dict(functions)))
    return tvm.get_global_func("target.build.llvm")(module, device)


def _entry(program: Program, weights: Weights, names: Sequence[str]) -> Any:
    """Return the function that calls the kernels in order."""
    sizes = max(1, program.arena.num_bytes), max(1, weights.data.size)
    with IRBuilder() as builder, prim_func(s_tir=True):
        T.func_name(ENTRY)
        T.func_attr({"global_symbol": ENTRY})
        pointers = [T.arg(name, T.ptr("uint8")) for name in ("arena", "weights")]
        part, parts = (T.arg(name, T.int32()) for name in ("part", "parts"))
        barrier = T.arg("barrier", T.ptr("int32"))
        memory, table = (
            T.decl_buffer((size,), "uint8", data=data, layout=None)
            for size, data in zip(sizes, pointers, strict=True)
        )

        def pointer(value: str) -> Any:
            return T.address_of(memory[program.arena.offsets[value]])

        is_first, was_shared = True, False
        for name, call, offsets in zip(names, program.calls, weights.offsets, strict=True):
            arrays = [T.address_of(table[offset]) for offset in offsets]
            values = [pointer(v) for v in call.inputs], [pointer(v) for v in call.outputs]
            given = (*values[0], *arrays, *values[1])
            if not is_first and (was_shared or call.kernel.is_shared):
                T.evaluate(T.call_extern("int32", BARRIER, barrier, parts))
            if call.kernel.is_shared:
                T.evaluate(T.call_extern("int32", name, *given, part, parts))
            else:
                with T.If(T.EQ(part, 0)), T.Then():
                    T.evaluate(T.call_extern("int32", name, *given, T.int32(0), T.int32(1)))
            is_first, was_shared = False, call.kernel.is_shared
    return builder.get()
