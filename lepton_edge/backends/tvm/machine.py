"""Processors: what the compiler must know of them to write loops and machine code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import tvm


class Dot(Enum):
    """How a processor multiplies and adds 8-bit integers.

    VNNI takes four unsigned with four signed factors for each 32-bit sum (Intel SDM, vpdpbusd);
    SDOT four signed with four signed ones (Arm DDI 0487, SDOT); MADD two 16-bit factors with two
    others (vpmaddwd); NONE widens each product by itself.
    """

    VNNI = "vnni"
    SDOT = "sdot"
    MADD = "madd"
    NONE = "none"


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
    def wants_unsigned(self) -> bool:
        """Whether activations of 8 bits should be unsigned."""
        return self.dot is Dot.VNNI


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
