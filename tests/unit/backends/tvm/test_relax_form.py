"""Networks as Relax modules, run by TVM's virtual machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
import tvm_ffi
from tvm import relax

from lepton_edge.backends.tvm.machine import host
from lepton_edge.backends.tvm.program import lowered
from lepton_edge.backends.tvm.relax_form import External, executable, module_of, relax_module
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.types import Array
from tests.unit.backends.tvm.test_layers import S8, SHAPES, frames, integer_layer, residual


def called(built: Any, *arrays: Array) -> Any:
    """Return what main of an executable makes of arrays."""
    machine = relax.VirtualMachine(built, tvm.cpu())
    return machine["main"](*(tvm.runtime.tensor(array) for array in arrays))


def each(built: Any, x: Array) -> Array:
    """Return the outputs of frames."""
    return np.concatenate([called(built, x[i : i + 1]).numpy() for i in range(len(x))])


@pytest.mark.parametrize(
    "graph", [residual(), integer_layer(SHAPES["odd"], S8)], ids=lambda graph: graph.name
)
def test_a_network_in_the_virtual_machine_equals_the_interpreter(graph: Graph) -> None:
    program = lowered(graph, host())
    built = executable(module_of(program), program)
    x = frames(graph)["x"].astype(np.int8)
    (wanted,) = interpreter.run(graph, {"x": x}).values()
    np.testing.assert_array_equal(each(built, x), wanted)


def parts_of(graph: Graph, cut: str) -> tuple[Graph, Graph]:
    """Return a network up to a value, and from there on."""
    index = next(i for i, node in enumerate(graph.nodes) if cut in node.outputs)
    before = replace(graph, nodes=graph.nodes[: index + 1], outputs=(cut,))
    return before, replace(graph, nodes=graph.nodes[index + 1 :], inputs=(cut,))


def test_a_part_may_be_an_external_function() -> None:
    """The first layer is computed by a function outside, the second one by kernels."""
    graph = integer_layer(SHAPES["usual"], S8)
    before, after = parts_of(graph, "q0")
    calls: list[int] = []

    @tvm_ffi.register_global_func("lepton_test.first_layer", override=True)
    def first_layer(x: Any, y: Any) -> None:
        calls.append(1)
        codes = interpreter.run(before, {"x": np.from_dlpack(x)})["q0"]
        np.from_dlpack(y)[...] = codes

    program = lowered(after, host())
    external = External("lepton_test.first_layer", ("x",), {"q0": graph.types["q0"]})
    module = relax_module("split", {"x": graph.types["x"]}, [external, program], graph.outputs)
    built = executable(module, program)
    x = frames(graph)["x"].astype(np.int8)
    (wanted,) = interpreter.run(graph, {"x": x}).values()
    np.testing.assert_array_equal(each(built, x), wanted)
    assert len(calls) == len(x)


def test_a_module_is_a_library_for_tvms_runtime(tmp_path: Path) -> None:
    graph = residual()
    program = lowered(graph, host())
    path = tmp_path / "network.so"
    executable(module_of(program), program).export_library(str(path))
    x = frames(graph)["x"].astype(np.int8)
    (wanted,) = interpreter.run(graph, {"x": x}).values()
    np.testing.assert_array_equal(each(tvm.runtime.load_module(str(path)), x), wanted)
