"""The C around a program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lepton_edge.backends.tvm import c_form
from lepton_edge.backends.tvm.codegen import weights_of
from lepton_edge.backends.tvm.machine import Machine, arm32, arm64
from lepton_edge.backends.tvm.program import Program, lowered
from lepton_edge.ir.graph import GraphBuilder
from lepton_edge.ir.ops import quantized as q
from lepton_edge.ir.ops.linear import Dense
from lepton_edge.ir.types import Float, QuantType, TensorType


def program() -> Program:
    """Return a small network of names that C comments must not end."""
    b = GraphBuilder("tiny*/net")
    codes = QuantType(8, True, (0.1,))
    x = b.input("in*/put", TensorType((1, 4), Float()))
    y = b.emit1(q.Quantize(codes), [x], name="q")
    w = b.constant(np.arange(12).reshape(3, 4), codes)
    acc = b.emit1(Dense(20), [y, w], name="dense")
    return lowered(
        b.finish([acc, b.emit1(q.Dequantize(), [acc], name="real")]), arm64("cortex-a53")
    )


def test_c_texts(golden: Callable[[str, str], None]) -> None:
    made = program()
    texts = {
        "network.h": c_form.header(made, weights_of(made).data.size),
        "network.c": c_form.source(made),
        "weights.S": c_form.WEIGHTS,
        "frames.c": c_form.main(made),
    }
    golden("c/tiny.txt", "".join(f"=== {name}\n{text}" for name, text in texts.items()))


def test_names_do_not_end_comments() -> None:
    text = c_form.header(program(), 0)
    assert text.count("*/") == text.count("/*")


@pytest.mark.parametrize("machine", [arm64("cortex-a53"), arm32("cortex-a9")])
def test_loops_are_text_that_people_can_read(
    machine: Machine, golden: Callable[[str, str], None]
) -> None:
    b = GraphBuilder("tiny")
    codes = QuantType(8, True, (0.1,))
    x = b.input("x", TensorType((1, 8), codes))
    w = b.constant(np.arange(32).reshape(4, 8), codes)
    made = lowered(b.finish([b.emit1(Dense(20), [x, w], name="dense")]), machine)
    text = made.calls[-1].kernel.function("dense").script()
    golden(f"tir/dense_{made.machine.name}.txt", text + "\n")
