"""Networks run as programs, beside the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.tvm.machine import Machine, host
from lepton_edge.backends.tvm.program import lowered
from lepton_edge.flow.processor import open_session, write_code
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.types import Array
from tests.conftest import find_tool

needs_compiler = pytest.mark.skipif(find_tool("g++") is None, reason="needs g++")

Run = Callable[..., dict[str, Array]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that compiles a network for a processor and runs it."""
    count = 0

    def run_graph(
        graph: Graph,
        inputs: Mapping[str, Array],
        machine: Machine | None = None,
        threads: int = 1,
    ) -> dict[str, Array]:
        nonlocal count
        count += 1
        folder = tmp_path / str(count)
        layout = write_code(folder, lowered(graph, machine or host()))
        return open_session(folder, layout, threads).run(interpreter.checked_inputs(graph, inputs))

    return run_graph


def assert_same(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> None:
    """Codes must be equal; floats nearly."""
    for value, array in wanted.items():
        if array.dtype.kind == "f":
            scale = max(1.0, float(np.abs(array).max(initial=0)))
            np.testing.assert_allclose(found[value], array, rtol=1e-5, atol=2e-6 * scale)
        else:
            np.testing.assert_array_equal(found[value], array)
