"""Processors: what the compiler must know of them to write loops and machine code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import tvm


class Dot(Enum):
    """How a processor multiplies and adds 8-bit integers.

    VNNI takes four unsigned with four signed factors for each 32-bit sum (Intel SDM, vpdpbusd);
    MADD two 16-bit factors with two others (vpmaddwd). SDOT takes four signed with four signed ones
    (Arm DDI 0487, SDOT); SMLAL adds products of bytes in 16 bits, two by two, and those pairwise
    to 32-bit sums (SMULL, SMLAL, SADALP).
    """

    VNNI = "vnni"
    MADD = "madd"
    SDOT = "sdot"
    SMLAL = "smlal"


@dataclass(frozen=True)
class Machine:
    """A processor.

    Args:
        name: as people call it.
        target: TVM's description of it.
        lanes: 32-bit lanes of a vector register.
        num_registers: vector registers.
        dot: how it multiplies 8-bit integers.
        features: what a computer must be able to do to run code for it, in Linux's words.
    """

    name: str
    target: dict[str, Any]
    lanes: int
    num_registers: int
    dot: Dot
    features: tuple[str, ...] = ()

    @property
    def byte_sign(self) -> bool | None:
        """Whether the inputs of integer layers should be signed; None if it does not matter."""
        return {Dot.VNNI: False, Dot.MADD: None}.get(self.dot, True)

    @property
    def arch(self) -> str:
        """The architecture, as ``uname -m`` says it."""
        return "armv7l" if self.is_arm32 else str(self.target["mtriple"]).split("-")[0]

    @property
    def is_arm32(self) -> bool:
        """Whether it is a 32-bit Arm processor."""
        return str(self.target["mtriple"]).startswith("armv7")


def host() -> Machine:
    """Return the processor of this computer."""
    cpu = str(tvm.target.codegen.llvm_get_system_cpu())
    return x86(cpu)


def x86(cpu: str) -> Machine:
    """Return an x86-64 processor by the name that LLVM gives it."""
    target = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": cpu}
    features = set(map(str, tvm.target.codegen.llvm_get_cpu_features(tvm.target.Target(target))))
    wide = "avx512bw" in features and "avx512vl" in features
    has_vnni = "avx512vnni" in features if wide else "avxvnni" in features
    lanes = 16 if wide else 8 if "avx2" in features else 4
    dot = Dot.VNNI if has_vnni else Dot.MADD
    needed = tuple(linux for linux, llvm in LINUX_NAMES.items() if llvm in features)
    return Machine(cpu, target, lanes, 32 if wide else 16, dot, needed)


LINUX_NAMES = {
    "avx2": "avx2",
    "fma": "fma",
    "avx512f": "avx512f",
    "avx512bw": "avx512bw",
    "avx512vl": "avx512vl",
    "avx512_vnni": "avx512vnni",
    "avx_vnni": "avxvnni",
}
"""What Linux calls the features that matter, and what LLVM calls them."""


def arm64(cpu: str) -> Machine:
    """Return an AArch64 processor by the name that LLVM gives it."""
    target = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": cpu}
    features = set(map(str, tvm.target.codegen.llvm_get_cpu_features(tvm.target.Target(target))))
    has_dot = "dotprod" in features
    dot, needed = (Dot.SDOT, ("asimd", "asimddp")) if has_dot else (Dot.SMLAL, ("asimd",))
    return Machine(cpu, target, 4, 32, dot, needed)


def arm32(cpu: str) -> Machine:
    """Return an ARMv7-A processor with NEON and hard floats, by the name that LLVM gives it."""
    target = {
        "kind": "llvm",
        "mtriple": "armv7a-linux-gnueabihf",
        "mcpu": cpu,
        "mfloat-abi": "hard",
        "mattr": ["+neon"],
    }
    return Machine(cpu, target, 4, 16, Dot.SMLAL, ("neon",))
