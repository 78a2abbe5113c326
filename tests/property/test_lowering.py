"""Random quantised networks keep every code on their way to hardware."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from lepton_edge.backends.boards import load_board
from lepton_edge.backends.fpga.design import Design, Request, make_design
from lepton_edge.backends.fpga.hls_text import port_dtype
from lepton_edge.backends.fpga.kernels.packing import WIDE_BITS
from lepton_edge.backends.fpga.lower import lower_dataflow
from lepton_edge.backends.fpga.regions import split_regions
from lepton_edge.errors import ConfigError, UnsupportedError
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.serde import load_graph, save_graph
from lepton_edge.ir.text import to_text
from lepton_edge.ir.types import Array
from lepton_edge.ir.verify import verify
from lepton_edge.passes.base import PASSES, Effect, Pass
from lepton_edge.passes.lower_integers import Lowered
from lepton_edge.passes.pipeline import lower, simplify
from lepton_edge.runtime.csim import CSimulation, PortSpec
from lepton_edge.toolchain.gxx import build_library
from tests import exact
from tests.strategies import frames, quantized_graphs

SEEDS = st.integers(0, 1 << 16)


def exact_passes() -> list[Pass]:
    """Every registered pass that promises to change nothing and needs no argument."""
    passes = [PASSES[name] for name in PASSES]
    return [
        pass_()
        for pass_ in passes
        if pass_.effect is Effect.EXACT
        and all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(pass_))
    ]


def exactly(graph: Graph, inputs: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Return the exact outputs of each frame; floats rounded to binary32 once."""
    count = len(next(iter(inputs.values())))
    results = []
    for i in range(count):
        try:
            outputs = exact.evaluate(graph, {k: a[i : i + 1] for k, a in inputs.items()})
        except exact.TooClose:
            assume(False)
        results.append(
            {
                v: exact.as_float32(a) if graph.types[v].is_float else a.astype(np.int64)
                for v, a in outputs.items()
            }
        )
    return results


def lowered(graph: Graph) -> Lowered:
    """Return the integer form; networks that have none are no example."""
    result = lower(simplify(graph))
    event("lowered" if not result.reasons else "refused")
    assume(not result.reasons)
    return result


@given(graph=quantized_graphs(), seed=SEEDS)
def test_a_saved_graph_comes_back_with_the_same_text_and_results(graph: Graph, seed: int) -> None:
    with TemporaryDirectory() as folder:
        for stage in (graph, lower(graph).graph):
            path = Path(folder) / "graph.npz"
            save_graph(stage, path)
            loaded = load_graph(path)
            assert to_text(loaded) == to_text(stage)
            assert loaded.types == stage.types
            data = frames(graph, 2, seed)
            wanted, found = interpreter.run(stage, data), interpreter.run(loaded, data)
            for value in stage.outputs:
                np.testing.assert_array_equal(found[value], wanted[value])


@pytest.mark.parametrize(
    "pass_",
    [p for p in exact_passes() if p.name != "lower-integers"],
    ids=lambda pass_: pass_.name,
)
@given(graph=quantized_graphs(max_layers=3), seed=SEEDS)
def test_an_exact_pass_keeps_every_output(pass_: Pass, graph: Graph, seed: int) -> None:
    data = frames(graph, 3, seed)
    wanted = exactly(graph, data)
    once = pass_.run(graph)
    twice = pass_.run(once)
    for result in (once, twice):
        verify(result)
        assert (result.inputs, result.outputs) == (graph.inputs, graph.outputs)
        found = exactly(result, data)
        for frame, other in zip(wanted, found, strict=True):
            for value in graph.outputs:
                np.testing.assert_array_equal(other[value], frame[value])
    kinds = [Counter(node.op.name for node in g.nodes) for g in (once, twice)]
    assert kinds[0] == kinds[1], "the pass has more to do on its own result"


@given(graph=quantized_graphs(), seed=SEEDS)
def test_the_integer_form_is_the_exact_network(graph: Graph, seed: int) -> None:
    integers = lowered(graph).graph
    data = frames(graph, 3, seed)
    found = interpreter.run(integers, data)
    assert integers.outputs == graph.outputs
    for i, frame in enumerate(exactly(graph, data)):
        for value, wanted in frame.items():
            np.testing.assert_array_equal(found[value][i : i + 1], wanted)


def test_few_random_networks_are_refused() -> None:
    """The properties above would prove little if their examples were thrown away."""
    counts: Counter[bool] = Counter()

    @settings(max_examples=150)
    @given(graph=quantized_graphs())
    def count(graph: Graph) -> None:
        counts[bool(lower(simplify(graph)).reasons)] += 1

    count()
    assert counts[True] <= 0.15 * counts.total()


# -- to hardware ----------------------------------------------------------------------------------

BOARD = load_board("zcu104")


def pins_for(graph: Graph, draw: st.DrawFn) -> dict[str, dict[str, int]]:
    """Draw foldings for some layers."""
    layers = {node.name for node in graph.nodes}
    pins: dict[str, dict[str, int]] = {}
    for actor in lower_dataflow(graph, WIDE_BITS[BOARD.dsp_kind]).actors:
        if actor.layer in layers and draw(st.booleans()):
            kernel = draw(st.sampled_from(list(actor.kernel.foldings())))
            pins[actor.layer] = dict(kernel.folding)
    return pins


@st.composite
def designs(draw: st.DrawFn) -> tuple[Graph, Design]:
    """Draw a network and a plan of its hardware, with random foldings."""
    graph = draw(quantized_graphs(max_layers=4))
    result = lowered(graph)
    try:
        regions = split_regions(result.graph, result.reasons)
        pins = pins_for(regions.core, draw)
        fps = draw(st.sampled_from((None, 100.0, 100_000.0)))
        try:
            request = Request(BOARD, 100.0, fps=fps, pins=pins)
            design = make_design(result.graph, result.reasons, request)
        except ConfigError:  # the drawn foldings exclude each other
            design = make_design(result.graph, result.reasons, Request(BOARD, 100.0, fps=fps))
    except UnsupportedError as refusal:
        event(f"unsupported: {str(refusal)[:60]}")
        assume(False)
    return result.graph, design


def check_design(integers: Graph, design: Design, seed: int) -> None:
    """Compare interpreter, dataflow graph and C simulation, code for code."""
    core, dataflow = design.regions.core, design.dataflow
    codes = interpreter.run(design.regions.before, frames(integers, 5, seed))
    codes = {value: codes[value] for value in core.inputs}
    wanted = {v: a.reshape(len(a), -1) for v, a in interpreter.run(core, codes).items()}
    flat = {
        port: codes[value].reshape(len(codes[value]), -1).astype(np.int64)
        for port, value in zip(dataflow.ports_in, core.inputs, strict=True)
    }
    streams = dataflow.evaluate(flat)
    for port, value in zip(dataflow.ports_out, core.outputs, strict=True):
        np.testing.assert_array_equal(streams[port], wanted[value], err_msg="dataflow")
    simulated = simulate(design, codes)
    for value in core.outputs:
        np.testing.assert_array_equal(simulated[value], wanted[value], err_msg="C simulation")


def simulate(design: Design, codes: Mapping[str, Array]) -> dict[str, Array]:
    """Build the HLS project with g++ and run it."""
    core, dataflow = design.regions.core, design.dataflow
    with TemporaryDirectory() as folder:
        for path, text in design.files.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        sources = (f"src/{dataflow.name}.cpp", "sim/csim.cpp")
        library = build_library(Path(folder), sources, ("sim", "include"))
    sides = (
        (dataflow.ports_in, core.inputs, dataflow.reader),
        (dataflow.ports_out, core.outputs, dataflow.writer),
    )
    inputs, outputs = (
        [
            PortSpec(name, value, port_dtype(port).str, port.elements, port.lanes)
            for name, value in zip(ports, values, strict=True)
            for _, port in [ends[name]]
        ]
        for ports, values, ends in sides
    )
    return CSimulation(library, inputs, outputs, design.design_id).run(codes)


def test_few_random_networks_have_no_hardware() -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=150)
    @given(graph=quantized_graphs(max_layers=4))
    def count(graph: Graph) -> None:
        result = lowered(graph)
        try:
            lower_dataflow(split_regions(result.graph, result.reasons).core)
        except UnsupportedError as refusal:
            counts[str(refusal)] += 1
        else:
            counts[""] += 1

    count()
    assert counts[""] >= 0.8 * counts.total(), counts.most_common(5)  # slices with a step have none


@pytest.mark.needs("g++")
@settings(max_examples=8)
@given(example=designs(), seed=SEEDS)
def test_the_hardware_gives_the_interpreters_codes(
    example: tuple[Graph, Design], seed: int
) -> None:
    check_design(*example, seed)


@pytest.mark.slow
@pytest.mark.needs("g++")
@settings(max_examples=100)
@given(example=designs(), seed=SEEDS)
def test_the_hardware_gives_the_interpreters_codes_on_many_networks(
    example: tuple[Graph, Design], seed: int
) -> None:
    check_design(*example, seed)
