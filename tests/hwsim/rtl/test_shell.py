"""A design runs through its shell's six pins: what a bitstream of it would do."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.folding import Goal, plan
from lepton_edge.backends.fpga.lower import lower_dataflow
from lepton_edge.backends.fpga.rtl_nodes import Pin, structure_of
from lepton_edge.backends.fpga.rtl_shell import (
    SHELL_SOURCES,
    is_handshake,
    shell_name,
    shell_text,
)
from lepton_edge.backends.fpga.rtl_text import rtl_project
from lepton_edge.data import data_dir
from lepton_edge.toolchain.verilator import build_simulation
from tests.hwsim.rtl import harness
from tests.unit.backends.fpga.conftest import PLENTY, Net

pytestmark = harness.needs_simulator

DESIGN_ID = 0xC0DE
FRAMES = 2

BRIDGE = """
#include "VTOP.h"
#include "verilated.h"
#include <cstdint>

namespace {
VTOP* shell = nullptr;

void cycle(bool shift, bool step, bool bit) {
    shell->shift = shift;
    shell->step = step;
    shell->serial_in = bit;
    shell->clk = 0;
    shell->eval();
    shell->clk = 1;
    shell->eval();
}
}

extern "C" void open_shell() {
    shell = new VTOP;
    shell->rst_n = 0;
    for (int i = 0; i < 4; i++) cycle(false, false, false);
    shell->rst_n = 1;
    for (int i = 0; i < 4; i++) cycle(false, false, false);
}

extern "C" void step_shell(const uint8_t* in, int ins, uint8_t* out, int outs) {
    for (int i = 0; i < ins; i++) cycle(true, false, in[i]);
    cycle(false, false, false);
    cycle(false, true, false);
    for (int i = 0; i < 3; i++) cycle(false, false, false);
    out[0] = shell->serial_out;
    cycle(true, false, false);
    for (int i = 1; i < outs; i++) {
        cycle(true, false, false);
        out[i] = shell->serial_out;
    }
    cycle(false, false, false);
}
"""


class Shell:
    """A host at the pins: one step of the bus at a time."""

    def __init__(self, library: Path, pins: tuple[Pin, ...]) -> None:
        self._library = ctypes.CDLL(str(library))
        driven = [p for p in pins if p.direction == "input" and not p.name.startswith("ap_")]
        # Handshakes enter first; the rest follows.
        self._inputs = sorted(driven, key=lambda pin: not is_handshake(pin))
        self._outputs = [pin for pin in pins if pin.direction == "output"]
        self._library.open_shell()

    def step(self, **values: int) -> dict[str, int]:
        """Drive the inputs named, 0 on the others, for one cycle; return the outputs in it."""
        bits = "".join(f"{values.pop(p.name, 0):0{p.bits}b}" for p in self._inputs)
        assert not values
        outs = sum(pin.bits for pin in self._outputs)
        buffer = (ctypes.c_uint8 * outs)()
        given = (ctypes.c_uint8 * len(bits))(*map(int, bits))
        self._library.step_shell(given, len(bits), buffer, outs)
        found, place = {}, 0
        for pin in self._outputs:
            found[pin.name] = int("".join(map(str, buffer[place : place + pin.bits])), 2)
            place += pin.bits
        return found

    def write(self, address: int, value: int) -> None:
        """Write a register over AXI-Lite."""
        bus = {"AWADDR": address, "WDATA": value, "WSTRB": 15, "AWVALID": 1, "WVALID": 1}
        taken = self.step(**{f"s_axi_control_{name}": v for name, v in bus.items()})
        assert taken["s_axi_control_AWREADY"]
        assert taken["s_axi_control_WREADY"]
        assert self.step(s_axi_control_BREADY=1)["s_axi_control_BVALID"]

    def read(self, address: int) -> int:
        """Read a register over AXI-Lite."""
        self.step(s_axi_control_ARADDR=address, s_axi_control_ARVALID=1)
        found = self.step(s_axi_control_RREADY=1)
        assert found["s_axi_control_RVALID"]
        return found["s_axi_control_RDATA"]


@pytest.fixture(scope="module")
def dataflow() -> Dataflow:
    net = Net("through_pins")
    x = net.input(4, 4, 2, name="image")
    y = net.layer("conv", x, 4)
    graph = net.graph(net.requantize("last_q", net.dense("last", net.flatten("flat", y), 3)))
    lowered = lower_dataflow(graph)
    return plan(lowered, PLENTY, Goal(cycles=lowered.cycles // 2))


@pytest.fixture(scope="module")
def library(dataflow: Dataflow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shell")
    structure = structure_of(dataflow, DESIGN_ID)
    files = dict(rtl_project(dataflow, DESIGN_ID).files)
    top = shell_name(structure)
    files |= {f"{top}.sv": shell_text(structure), "bridge.cpp": BRIDGE.replace("TOP", top)}
    for source in SHELL_SOURCES:
        files[source] = (data_dir("hls") / "rtl" / "shell" / source).read_text()
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    sources = [path for path in files if path.endswith(".sv")]
    built = build_simulation(folder, top, sources, ["bridge.cpp"])
    (folder / "library.so").write_bytes(built.read_bytes())
    return folder / "library.so"


def test_a_design_computes_through_its_shell(
    dataflow: Dataflow, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(library.parent)
    shell = Shell(library, structure_of(dataflow, DESIGN_ID).pins)
    (source,), (sink,) = dataflow.ports_in, dataflow.ports_out
    port_in, port_out = dataflow.reader[source][1], dataflow.writer[sink][1]
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 1 << port_in.elem.bits, (FRAMES, port_in.elements))
    wanted = dataflow.evaluate({source: codes})[sink].reshape(-1)
    lane_bits = 8 * port_out.elem.num_bytes

    assert shell.read(0x18) == DESIGN_ID
    shell.write(0x10, FRAMES)
    shell.write(0x00, 1)
    words = [
        sum(int(code) << (8 * port_in.elem.num_bytes * lane) for lane, code in enumerate(word))
        for word in codes.reshape(-1, port_in.lanes)
    ]
    came: list[int] = []
    for _ in range(4 * len(words)):
        found = shell.step(**offer(source, sink, words))
        if words and found[f"{source}_TREADY"]:
            words.pop(0)
        if found[f"{sink}_TVALID"]:
            data = found[f"{sink}_TDATA"]
            came += [data >> (lane_bits * lane) for lane in range(port_out.lanes)]
        if len(came) == len(wanted):
            break

    mask = (1 << port_out.elem.bits) - 1
    assert [value & mask for value in came] == [int(value) & mask for value in wanted]
    assert shell.read(0x30) == FRAMES


def offer(source: str, sink: str, words: list[int]) -> Mapping[str, int]:
    """Return the pins of a step that offers a word, if one is left, and takes one."""
    given = {f"{sink}_TREADY": 1}
    return {**given, f"{source}_TVALID": 1, f"{source}_TDATA": words[0]} if words else given
