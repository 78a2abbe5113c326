"""The C around a program: a header, its memory, and a main function that reads frames from a pipe.

With the object files it is all that a device needs: no runtime, no allocation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lepton_edge.backends.tvm.arena import SLACK
from lepton_edge.backends.tvm.codegen import BARRIER, ENTRY
from lepton_edge.backends.tvm.program import Program

THREADS = Path(__file__).with_name("threads.cpp")
"""The source of threads that share a network; a library for this computer has them."""

C_TYPES = {
    "float32": "float",
    "float64": "double",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def _declarations(program: Program, kind: str, values: Sequence[str]) -> list[str]:
    """Return a function for each input or output that gives its array."""
    lines = []
    for index, value in enumerate(values):
        type_ = program.graph.types[value]
        shape = "".join(f"[{extent}]" for extent in type_.shape)
        name = value.replace("*/", "* /")
        const = "const " if kind == "output" else ""
        lines.append(f"/* {name}: {C_TYPES[str(type_.elem.dtype)]}{shape} */")
        lines.append(f"{const}{C_TYPES[str(type_.elem.dtype)]} *lepton_{kind}_{index}(void);")
        lines.append(f"#define LEPTON_{kind.upper()}_{index}_ELEMENTS {type_.num_elements}")
    return lines


def header(program: Program, weight_bytes: int) -> str:
    """Return network.h."""
    lines = [
        f"/* {program.graph.name.replace('*/', '* /')} for {program.machine.name}.",
        f"   Activations, inputs and outputs included, take {program.arena.num_bytes} bytes,",
        f"   constants {weight_bytes}. Nothing is allocated. */",
        "#ifndef LEPTON_NETWORK_H",
        "#define LEPTON_NETWORK_H",
        "#include <stdint.h>",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"#define LEPTON_ARENA_BYTES {program.arena.num_bytes}",
        f"#define LEPTON_WEIGHT_BYTES {weight_bytes}",
        "",
        "/* Call once, before anything else. */",
        "void lepton_init(void);",
        "",
        "/* Compute the outputs of what the inputs hold; that may be overwritten on the way. */",
        "void lepton_run(void);",
        "",
        "/* Where inputs are to be written, and outputs to be read. */",
        *_declarations(program, "input", program.graph.inputs),
        *_declarations(program, "output", program.graph.outputs),
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def source(program: Program) -> str:
    """Return network.c: the memory, and the functions of the header."""
    lines = [
        '#include "network.h"',
        "#include <string.h>",
        "",
        f"void {ENTRY}(uint8_t *arena, const uint8_t *weights, int32_t part, int32_t parts,",
        "    int32_t *barrier);",
        "/* One thread waits for nobody. */",
        f"void {BARRIER}(int32_t *barrier, int32_t parts) {{ (void)barrier; (void)parts; }}",
        "extern const uint8_t lepton_weights[];",
        f"static uint8_t arena[LEPTON_ARENA_BYTES + {SLACK}] __attribute__((aligned(64)));",
        "",
        "void lepton_init(void) { memset(arena, 0, sizeof arena); }",
        f"void lepton_run(void) {{ {ENTRY}(arena, lepton_weights, 0, 1, 0); }}",
    ]
    graph = program.graph
    for kind, values in (("input", graph.inputs), ("output", graph.outputs)):
        for index, value in enumerate(values):
            type_ = C_TYPES[str(graph.types[value].elem.dtype)]
            const = "const " if kind == "output" else ""
            at = f"(void *)(arena + {program.arena.offsets[value]})"
            lines.append(f"{const}{type_} *lepton_{kind}_{index}(void) {{ return {at}; }}")
    return "\n".join(lines) + "\n"


WEIGHTS = f"""\
    .section .rodata
    .balign 64
    .globl lepton_weights
lepton_weights:
    .incbin "weights.bin"
    .zero {SLACK}
    .section .note.GNU-stack,"",%progbits
"""
"""weights.S: the constants, as GNU assemblers take them."""


def main(program: Program) -> str:
    """Return frames.c: a program that computes frames from its input to its output."""
    graph = program.graph
    reads = " && ".join(
        f"fread(lepton_input_{i}(), sizeof *lepton_input_{i}(), LEPTON_INPUT_{i}_ELEMENTS, stdin)"
        f" == LEPTON_INPUT_{i}_ELEMENTS"
        for i in range(len(graph.inputs))
    )
    writes = " ".join(
        f"fwrite(lepton_output_{i}(), sizeof *lepton_output_{i}(), LEPTON_OUTPUT_{i}_ELEMENTS,"
        " stdout);"
        for i in range(len(graph.outputs))
    )
    lines = [
        '#include "network.h"',
        "#include <stdio.h>",
        "",
        "/* Frames one after the other, each all inputs in order; so the outputs. */",
        "int main(void) {",
        "    lepton_init();",
        f"    while ({reads or '!feof(stdin) && getchar() != EOF'}) {{",
        "        lepton_run();",
        f"        {writes}",
        "    }",
        "    return ferror(stdin) || fflush(stdout) != 0;",
        "}",
    ]
    return "\n".join(lines) + "\n"
