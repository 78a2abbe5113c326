"""Random quantised networks keep every code as programs of processors."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lepton_edge.backends.tvm.machine import Machine, host
from lepton_edge.backends.tvm.program import lowered
from lepton_edge.flow.processor import open_session, write_code
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.passes.pipeline import lower, simplify
from tests.processors import machine
from tests.strategies import frames, quantized_graphs

pytestmark = pytest.mark.needs("g++")

SEEDS = st.integers(0, 1 << 16)


def check(graph: Graph, processor: Machine, seed: int) -> None:
    """Compare a network's program with the interpreter."""
    lowering = lower(simplify(graph))
    assume(not lowering.reasons)
    integers = lowering.graph
    data = interpreter.checked_inputs(integers, frames(integers, 3, seed))
    wanted = interpreter.run(integers, data)
    program = lowered(integers, processor)
    assert program.arena.num_bytes <= 1.1 * program.arena.bound
    with TemporaryDirectory() as folder:
        layout = write_code(Path(folder) / "code", program)
        found = open_session(Path(folder) / "code", layout).run(data)
    for value in integers.outputs:
        if wanted[value].dtype.kind == "f":
            np.testing.assert_allclose(found[value], wanted[value], rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(found[value], wanted[value])


@settings(max_examples=30, report_multiple_bugs=False)
@given(graph=quantized_graphs(), seed=SEEDS)
def test_a_program_for_this_computer_keeps_every_code(graph: Graph, seed: int) -> None:
    check(graph, host(), seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x86-64", "haswell", "cortex-a72", "cortex-a76", "cortex-a9"])
@settings(max_examples=60)
@given(graph=quantized_graphs(), seed=SEEDS)
def test_a_program_for_another_processor_keeps_every_code(
    name: str, graph: Graph, seed: int
) -> None:
    check(graph, machine(name), seed)
