"""How close the hot loops of Arm programs come to what a core can multiply, by llvm-mca's models.

    python -m benchmarks.arm_loops

Of each layer's code the loop with the most products is taken, as LLVM compiled it; where LLVM
unrolls the loop over a pixel's channels that holds the requantisation as well. Needs llvm-mca-19
(apt-get install llvm-19).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tvm

from lepton_edge.backends.tvm.codegen import compiled_kernels
from lepton_edge.backends.tvm.machine import Machine, arm64
from lepton_edge.backends.tvm.program import lowered
from lepton_edge.ir.graph import Graph, GraphBuilder
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops.linear import Conv
from lepton_edge.ir.types import Float, QuantType, TensorType

S8 = QuantType(8, True, (0.1,))

PRODUCTS = {"sdot": 16, "smull": 8, "smlal": 8, "smlal2": 8, "smull2": 8, "fmla": 4}
"""Products of an instruction on 128-bit registers."""

CORES = (("cortex-a72", "cortex-a72", 8, 4), ("cortex-a76", "neoverse-n1", 32, 8))
"""Cores that are compiled for, the model of each, the most products of bytes and of floats a cycle.

llvm-mca 19 has no model of its own for Cortex-A76, whose pipelines are Neoverse N1's. Sources: the
Software Optimization Guides of Cortex-A72 (a SMULL or SMLAL of eight bytes a cycle) and Neoverse N1
(two SDOT, two FMLA a cycle); a FMLA of four floats a cycle is what llvm-mca's Cortex-A72 does.
"""

SHAPES = {
    "3x3, 32x32x16": ((32, 32, 16), 16, 3),
    "3x3, 16x16x32": ((16, 16, 32), 32, 3),
    "3x3, 8x8x64": ((8, 8, 64), 64, 3),
    "1x1, 25x5x64": ((25, 5, 64), 64, 1),
}


@dataclass(frozen=True)
class Loop:
    """A loop's instructions, and what a core takes for them.

    Args:
        products: of one iteration.
        cycles: of one iteration.
    """

    products: int
    cycles: float

    @property
    def rate(self) -> float:
        """Products a cycle."""
        return self.products / self.cycles


def layer(size: tuple[int, int, int], outputs: int, kernel: int, *, is_float: bool) -> Graph:
    """Return a convolution with a requantisation, or one of floats."""
    rng = np.random.default_rng(0)
    b = GraphBuilder("layer")
    elem = Float() if is_float else S8
    x = b.input("x", TensorType((1, *size), elem))
    shape, pad = (outputs, kernel, kernel, size[2]), kernel // 2
    conv = Conv(pads=(pad, pad, pad, pad))
    if is_float:
        w = b.constant(rng.standard_normal(shape).astype(np.float32))
        return b.finish([b.emit1(conv, [x, w], name="conv")])
    w = b.constant(rng.integers(-127, 128, shape), S8)
    acc = b.emit1(conv, [x, w], name="conv")
    constants = [b.constant(np.full(outputs, v)) for v in (1 << 20, 1 << 30)]
    return b.finish([b.emit1(q.Requantize(S8, 31), [acc, *constants], name="q")])


def hot_loop(assembly: str) -> list[str]:
    """Return the instructions of the block with the most products that jumps to its own begin."""
    best: list[str] = []
    blocks = re.split(r"^(\.LBB\w+):", assembly, flags=re.MULTILINE)
    for label, body in zip(blocks[1::2], blocks[2::2], strict=True):
        lines = [line.strip() for line in body.splitlines() if line.startswith("\t")]
        lines = [line for line in lines if not line.startswith((".", "//"))]
        ends = [i for i, line in enumerate(lines) if line.endswith(label) and line[0] in "bct"]
        if ends and products(lines[: ends[0] + 1]) > products(best):
            best = lines[: ends[0] + 1]
    return best


def products(lines: list[str]) -> int:
    """Return the products of instructions."""
    return sum(PRODUCTS.get(line.split()[0], 0) for line in lines)


def cycles(lines: list[str], model: str, count: int = 100) -> float:
    """Return the cycles of an iteration, by llvm-mca's throughput over many."""
    tool = shutil.which("llvm-mca-19") or "llvm-mca"
    command = [
        tool,
        "-mtriple=aarch64",
        f"-mcpu={model}",
        "-mattr=+dotprod",
        f"-iterations={count}",
    ]
    said = subprocess.run(
        command, input="\n".join(lines), capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"Total Cycles:\s+(\d+)", said)
    assert found is not None, said
    return int(found.group(1)) / count


def measured(graph: Graph, machine: Machine, model: str) -> Loop:
    """Return what a core takes for a layer's hot loop."""
    program = lowered(graph, machine)
    lines = hot_loop(compiled_kernels(program).inspect_source("asm"))
    return Loop(products(lines), cycles(lines, model))


def rows() -> Iterator[str]:
    """Yield the lines of the table."""
    for cpu, model, most_bytes, most_floats in CORES:
        for is_float in (False, True):
            for name, shape in SHAPES.items():
                loop = measured(layer(*shape, is_float=is_float), arm64(cpu), model)
                kind, peak = ("float", most_floats) if is_float else ("int8", most_bytes)
                share = f"{100 * loop.rate / peak:.0f} %"
                yield f"| {cpu} | {kind} | {name} | {loop.rate:.1f} | {peak} | {share} |"


def main() -> None:
    """Print the table."""
    print(f"TVM {tvm.__version__}\n")
    print("| core | layer | shape | products a cycle | peak | share |\n|---|---|---|---|---|---|")
    for row in rows():
        print(row, flush=True)


if __name__ == "__main__":
    main()
