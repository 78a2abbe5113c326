"""How processors multiply and add in the loops of convolutions and dense layers.

Each way is a `Step`: what is loaded for some inputs of a reduction, and how their products with the
weights of as many channels as a vector has lanes are added to sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx
from tvm.script import tirx as T

from lepton_edge.backends.tvm.machine import Dot, Machine
from lepton_edge.backends.tvm.tir import Buffer, Expr, cast, load, part
from lepton_edge.ir.types import Array, QuantType


@dataclass(frozen=True)
class Step:
    """One step of a reduction: ``k`` products for each lane.

    Args:
        k: inputs of a step.
        weight_dtype: how weights are stored.
        acc_dtype: of a sum.
        take: loads the inputs of ``group`` steps.
        pick: gives those of one of these steps, the same for all lanes.
        add: adds the products to sums.
        group: steps whose inputs are loaded at once.
        parts: vectors in which the weights of a step come, each with k / parts for every lane.
        scratch: registers for what lies between.
    """

    k: int
    weight_dtype: str
    acc_dtype: str
    take: Callable[[Buffer, Expr, int], Expr]
    pick: Callable[[Expr, int, int], Expr]
    add: Callable[[Expr, Expr, Expr, int], Expr]
    group: int = 1
    parts: int = 1
    scratch: int = 0


def _same(value: Expr, lanes: int) -> Expr:
    return T.broadcast(value, lanes) if lanes > 1 else value


def _only(taken: Expr, step: int, lanes: int) -> Expr:
    """Return the inputs of the only step that they were loaded for."""
    return taken


def _lane(taken: Expr, step: int, lanes: int) -> Expr:
    """Return one lane in all lanes."""
    return tirx.Shuffle([taken], [tirx.const(step, "int32")] * lanes)


# x86


def _take_bytes(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    """Return four bytes, in each lane, as bytes."""
    word = T.reinterpret("int32", load(buffer, offset, 4))
    return T.reinterpret(f"{buffer.dtype}x{4 * lanes}", _same(word, lanes))


def _add_vnni(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Intel SDM, vpdpbusd; LLVM 22, whose intrinsic takes vectors of bytes."""
    name = f"llvm.x86.avx512.vpdpbusd.{32 * lanes}"
    return T.call_llvm_pure_intrin(f"int32x{lanes}", name, total, x, weights)


def _take_pair(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    """Return two bytes, in each lane, as 16-bit integers."""
    pair = T.cast(load(buffer, offset, 2), "int16x2")
    return T.reinterpret(f"int16x{2 * lanes}", _same(T.reinterpret("int32", pair), lanes))


_MADD = {
    16: "llvm.x86.avx512.pmaddw.d.512",
    8: "llvm.x86.avx2.pmadd.wd",
    4: "llvm.x86.sse2.pmadd.wd",
}


def _add_madd(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Intel SDM, vpmaddwd."""
    return total + T.call_llvm_pure_intrin(f"int32x{lanes}", _MADD[lanes], x, weights)


# Arm


def _take_words(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    """Return sixteen bytes as four words, each for a step."""
    return T.reinterpret("int32x4", load(buffer, offset, 16))


def _pick_word(taken: Expr, step: int, lanes: int) -> Expr:
    return T.reinterpret("int8x16", _lane(taken, step, 4))


def _add_sdot(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Arm DDI 0487, SDOT (by element, which LLVM makes of the lane)."""
    name = "llvm.aarch64.neon.sdot.v4i32.v16i8"
    return T.call_llvm_pure_intrin("int32x4", name, total, weights, x)


def _take_pairs(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    """Return sixteen bytes as eight pairs, two for a step."""
    return T.reinterpret("int16x8", load(buffer, offset, 16))


def _pick_pairs(taken: Expr, step: int, lanes: int) -> Expr:
    return [T.reinterpret("int8x8", _lane(taken, 2 * step + i, 4)) for i in range(2)]


def _products(x: Expr, weights: Expr) -> Expr:
    """Return two products for each of four lanes, added in 16 bits: |w| is below 128."""
    halves = [part(weights, 8 * i, 8) for i in range(2)]
    wide = [T.cast(w, "int16x8") * T.cast(v, "int16x8") for w, v in zip(halves, x, strict=True)]
    return wide[0] + wide[1]


def _add_smlal(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Arm DDI 0487, SADALP."""
    name = "llvm.aarch64.neon.saddlp.v4i32.v8i16"
    return total + T.call_llvm_pure_intrin("int32x4", name, _products(x, weights))


def _add_vmlal(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Source: Arm DDI 0406, VPADAL."""
    name = "llvm.arm.neon.vpadals.v4i32.v8i16"
    return T.call_llvm_pure_intrin("int32x4", name, total, _products(x, weights))


# any


def _take_one(dtype: str) -> Callable[[Buffer, Expr, int], Expr]:
    return lambda buffer, offset, lanes: _same(cast(buffer[offset], dtype), lanes)


def _add_wide(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Multiply as the accumulator's type."""
    return total + x * cast(weights, "int32", lanes)


def _add_floats(total: Expr, x: Expr, weights: Expr, lanes: int) -> Expr:
    """Multiply and add, which LLVM makes one operation."""
    return total + x * weights


def _take_floats(buffer: Buffer, offset: Expr, lanes: int) -> Expr:
    return load(buffer, offset, 4)


FLOAT = Step(1, "float32", "float32", _take_one("float32"), _only, _add_floats)
FLOAT_LANES = Step(1, "float32", "float32", _take_floats, _lane, _add_floats, group=4)
VNNI = Step(4, "int8", "int32", _take_bytes, _only, _add_vnni)
MADD = Step(2, "int16", "int32", _take_pair, _only, _add_madd)
SDOT = Step(4, "int8", "int32", _take_words, _pick_word, _add_sdot, group=4, scratch=2)
SMLAL = Step(4, "int8", "int32", _take_pairs, _pick_pairs, _add_smlal, 4, parts=2, scratch=4)
VMLAL = Step(4, "int8", "int32", _take_pairs, _pick_pairs, _add_vmlal, 4, parts=2, scratch=4)
WIDE = Step(1, "int16", "int32", _take_one("int32"), _only, _add_wide)


X86 = (Dot.VNNI, Dot.MADD)


def integer_step(machine: Machine, x: QuantType, weights: Array) -> Step:
    """Return the fastest step that is exact for a layer's inputs and weights."""
    least, most = int(weights.min(initial=0)), int(weights.max(initial=0))
    fits_byte = least >= -128 and most <= 127
    if machine.dot in X86:
        if machine.dot is Dot.VNNI and not x.signed and fits_byte:
            return VNNI
        return MADD if max(-least, most) < 1 << 15 else WIDE
    if not x.signed and x.bits > 7:
        return WIDE
    if machine.dot is Dot.SDOT and fits_byte:
        return SDOT
    if max(-least, most) < 128:
        return VMLAL if machine.is_arm32 else SMLAL
    return WIDE


def float_step(machine: Machine) -> Step:
    """Return the step of layers of floats."""
    return FLOAT if machine.dot in X86 else FLOAT_LANES
