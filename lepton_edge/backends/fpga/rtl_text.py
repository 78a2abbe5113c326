"""The RTL project as text: a structural SystemVerilog top, parameters and memory files.

What computes is in ``hls/rtl``, hand-written; here its modules are instantiated, one for each
actor, and joined by FIFOs. The top has the ports and registers that Vitis HLS gives to the C++
form of the same design, so that the same driver runs both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.boards import DspKind
from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.hls_cpp import all_ports, safe_comment
from lepton_edge.backends.fpga.kernels.base import Memory, Module
from lepton_edge.backends.fpga.kernels.plumbing import AxisEnd
from lepton_edge.backends.fpga.rtl_sim_text import bridge_text, top_pins
from lepton_edge.data import data_dir
from lepton_edge.ir.types import Array

WIDE_PARAMETERS = frozenset(
    {"VALUE", "OFFSET", "LOWEST", "HIGHEST", "FIRST", "ZERO_POINT"}
    | {"ZERO_A", "ZERO_B", "SCALE_A", "SCALE_B"}
)
"""Parameters of 64 bits, signed; all others are integers or strings."""

KERNELS = "kernels"
MEMORY = "memory"
"""Folders of the project: the modules that every design shares, and this design's constants."""


@dataclass(frozen=True)
class RtlProject:
    """The RTL form of a design.

    Args:
        top: name of the top module, which is in ``<top>.sv``.
        files: texts by path, relative to the project's root; memory files are named relative to
            it too, so tools must run there.
    """

    top: str
    files: Mapping[str, str]


DSP_FACTORS: Mapping[DspKind, tuple[int, int]] = {
    "DSP48E1": (25, 18),
    "DSP48E2": (25, 18),
    "MULT18X18D": (18, 18),
    "MULT18X18": (18, 18),
    "SB_MAC16": (16, 16),
}
"""Bits of the two signed factors that a multiplier block is given.

Source: AMD UG479 (DSP48E1); Lattice FPGA-TN-02205 (ECP5), FPGA-TN-02007 (iCE40 UltraPlus); Gowin
UG287. A DSP48E2 could take 27 bits: it gets what the cost functions count with.
"""


def rtl_project(dataflow: Dataflow, design_id: int, dsp_kind: DspKind = "DSP48E1") -> RtlProject:
    """Return the RTL form of a planned network.

    Args:
        dataflow: folded and connected, with FIFO depths.
        design_id: 32-bit identity of the design, readable over AXI-Lite.
        dsp_kind: the multiplier block that long products are cut for.
    """
    files = {
        f"{dataflow.name}.sv": _top_text(dataflow, design_id, dsp_kind),
        "sim/bridge.cpp": bridge_text(dataflow.name, top_pins(dataflow)),
    }
    rtl = data_dir("hls") / "rtl"
    for folder, paths in ((KERNELS, rtl.glob("*.sv")), ("sim", rtl.glob("sim/*.hpp"))):
        for path in sorted(paths):
            files[f"{folder}/{path.name}"] = path.read_text(encoding="utf-8")
    for actor in dataflow.actors:
        files |= memory_files(actor.name, actor.kernel.module)
    return RtlProject(dataflow.name, files)


# -- one instance -------------------------------------------------------------------------------


def memory_files(name: str, module: Module) -> dict[str, str]:
    """Return the texts of an instance's memory files by path.

    Args:
        name: of the instance; the files are named after it.
        module: what it is.
    """
    return {
        path: memory_text(words, memory.bits)
        for memory in module.memories
        for path, words in zip(_memory_paths(name, memory), memory.banks, strict=True)
    }


def _memory_paths(name: str, memory: Memory) -> list[str]:
    stem = f"{MEMORY}/{name}_{memory.name}"
    if len(memory.banks) == 1:
        return [f"{stem}.mem"]
    return [f"{stem}_{bank:02d}.mem" for bank in range(len(memory.banks))]


def memory_text(words: Array, bits: int) -> str:
    """Return codes [words, lanes] as the text of a $readmemh file: lane 0 in the lowest bits."""
    digits = -(-bits * words.shape[1] // 4)
    as_bits = (words[..., None] >> np.arange(bits)) & 1
    packed = np.packbits(
        as_bits.reshape(len(words), -1).astype(np.uint8), axis=1, bitorder="little"
    )
    # Most significant byte first, then only the digits that the width has.
    lines = (row[::-1].tobytes().hex().zfill(digits)[-digits:] for row in packed)
    return "".join(f"{line}\n" for line in lines)


def instance_text(
    name: str,
    module: Module,
    signals: Mapping[str, str],
    more: Mapping[str, int | str] | None = None,
) -> str:
    """Return the instantiation of a module.

    Args:
        name: of the instance.
        module: what it is.
        signals: what each port but ``clk`` and ``rst`` is connected to.
        more: further parameters.
    """
    parameters = {**all_parameters(name, module), **(more or {})}
    values = ",\n".join(f"        .{k}({literal(k, v)})" for k, v in parameters.items())
    ports = ",\n".join(
        f"        .{k}({v})" for k, v in {"clk": "clk", "rst": "rst", **signals}.items()
    )
    return f"    {module.name} #(\n{values}\n    ) u_{name} (\n{ports}\n    );\n"


def all_parameters(name: str, module: Module) -> dict[str, int | str]:
    """Return the parameters of an instance, the names of its memory files among them."""
    parameters = dict(module.parameters)
    for memory in module.memories:
        path = _memory_paths(name, memory)[0]
        is_stem = len(memory.banks) > 1
        parameters[memory.parameter] = path.removesuffix("_00.mem") if is_stem else path
    return parameters


def literal(name: str, value: int | str) -> str:
    """Return a parameter's value as SystemVerilog."""
    if isinstance(value, str):
        return f'"{value}"'
    if name == "DESIGN_ID":
        return f"32'h{value:08x}"
    if name not in WIDE_PARAMETERS:
        return str(value)
    if value == -(1 << 63):
        return "64'sh8000000000000000"
    return f"{'-' if value < 0 else ''}64'sd{abs(value)}"


def stream_ports(prefix: str, base: str) -> dict[str, str]:
    """Return the connections of a stream's three ports to the signals named after ``base``."""
    return {f"{prefix}{part}": f"{base}_{part}" for part in ("data", "valid", "ready")}


# -- the top ------------------------------------------------------------------------------------

AXI_LITE = (
    ("input", "AWADDR", 6),
    ("input", "AWVALID", 1),
    ("output", "AWREADY", 1),
    ("input", "WDATA", 32),
    ("input", "WSTRB", 4),
    ("input", "WVALID", 1),
    ("output", "WREADY", 1),
    ("output", "BRESP", 2),
    ("output", "BVALID", 1),
    ("input", "BREADY", 1),
    ("input", "ARADDR", 6),
    ("input", "ARVALID", 1),
    ("output", "ARREADY", 1),
    ("output", "RDATA", 32),
    ("output", "RRESP", 2),
    ("output", "RVALID", 1),
    ("input", "RREADY", 1),
)
"""Ports of the control bus: direction, name behind ``s_axi_control_``, bits."""


def _top_text(dataflow: Dataflow, design_id: int, dsp_kind: DspKind) -> str:
    streams = "\n".join(_fifo_text(dataflow, stream) for stream in dataflow.streams)
    actors = "\n".join(_actor_text(dataflow, actor, dsp_kind) for actor in dataflow.actors)
    return f"""// {safe_comment(dataflow.name)}: a streaming accelerator.
//
// Every layer is an instance of its own; all work at the same time on what streams through them.
// The modules are in {KERNELS}/, their constants in {MEMORY}/. Run tools in this folder.
// Planned: {dataflow.cycles} cycles a frame, set by {dataflow.bottleneck.name}.
module {dataflow.name} (
{_joined([_declaration(*port) for port in top_ports(dataflow)])}
);
    localparam logic [31:0] DESIGN_ID = 32'h{design_id:08x};

    logic clk;
    logic rst;
    logic start;
    logic [31:0] frames;
    logic [{len(dataflow.ports_out) - 1}:0] frame_done;

    assign clk = ap_clk;
    always_ff @(posedge clk) rst <= !ap_rst_n;

    // Registers: see {KERNELS}/lepton_axilite.sv.
{_registers_text(len(dataflow.ports_out))}
    // -- streams, with the FIFO of each -----------------------------------------------------

{streams}
    // -- actors -----------------------------------------------------------------------------

{actors}endmodule
"""


def _joined(lines: Sequence[str]) -> str:
    return ",\n".join(f"    {line}" for line in lines)


def _declaration(direction: str, name: str, bits: int) -> str:
    return f"{direction} logic {f'[{bits - 1}:0] ' if bits > 1 else ''}{name}"


def top_ports(dataflow: Dataflow) -> Iterator[tuple[str, str, int]]:
    """Yield the top's ports: direction, name, bits."""
    yield from (("input", "ap_clk", 1), ("input", "ap_rst_n", 1))
    yield from ((way, f"s_axi_control_{name}", bits) for way, name, bits in AXI_LITE)
    for name, port in all_ports(dataflow):
        is_input = name in dataflow.ports_in
        forward, back = ("input", "output") if is_input else ("output", "input")
        bits = 8 * port.elem.num_bytes * port.lanes
        yield from ((forward, f"{name}_TDATA", bits), (forward, f"{name}_TVALID", 1))
        yield back, f"{name}_TREADY", 1
        if not is_input:
            yield from (("output", f"{name}_TKEEP", bits // 8), ("output", f"{name}_TLAST", 1))


def _registers_text(outputs: int) -> str:
    module = registers_module(outputs)
    bus = {f"s_axi_{name.lower()}": f"s_axi_control_{name}" for _, name, _ in AXI_LITE}
    signals = {**bus, "start": "start", "frames": "frames", "frame_done": "frame_done"}
    text = instance_text("registers", module, signals)
    return text.replace("#(\n", "#(\n        .DESIGN_ID(DESIGN_ID),\n", 1)


def registers_module(outputs: int) -> Module:
    """Return the register file of a design with so many output ports."""
    return Module("lepton_axilite", {"OUTPUTS": outputs, "ADDRESS_BITS": 6})


def _fifo_text(dataflow: Dataflow, stream: str) -> str:
    port = dataflow.writer[stream][1]
    module = fifo_module(port.width, dataflow.depth(stream))
    lines = [f"    // {port.words} words a frame, {port.lanes} x {port.elem.c_type} each"]
    for end in ("in", "out"):
        lines.append(f"    logic [{port.width - 1}:0] {stream}__{end}_data;")
        lines += [f"    logic {stream}__{end}_{part};" for part in ("valid", "ready")]
    signals = {
        **stream_ports("in_", f"{stream}__in"),
        **stream_ports("out_", f"{stream}__out"),
    }
    return "\n".join(lines) + "\n" + instance_text(f"{stream}_fifo", module, signals)


def fifo_module(bits: int, depth: int) -> Module:
    """Return a FIFO of ``depth`` words of ``bits`` bits."""
    return Module("lepton_fifo", {"BITS": bits, "DEPTH": depth})


def actor_connections(
    dataflow: Dataflow, actor: Actor, dsp_kind: DspKind
) -> tuple[dict[str, str], dict[str, int | str]]:
    """Return what an actor's ports are connected to, and the parameters that only the top knows."""
    kernel, module = actor.kernel, actor.kernel.module
    signals: dict[str, str] = {}
    more: dict[str, int | str] = {}
    # The writer of a stream is at its FIFO's input.
    for prefix, stream in zip(module.inputs, actor.inputs, strict=True):
        signals |= _ends(dataflow, prefix, stream, "out")
    for prefix, stream in zip(module.outputs, actor.outputs, strict=True):
        signals |= _ends(dataflow, prefix, stream, "in")
    if isinstance(kernel, AxisEnd):
        if kernel.is_input:
            signals |= {"start": "start", "frames": "frames"}
            more["IS_GATED"] = 1
        else:
            (port,) = actor.outputs
            index = dataflow.ports_out.index(port)
            signals |= {
                "axis_tkeep": f"{port}_TKEEP",
                "axis_tlast": f"{port}_TLAST",
                "frame_done": f"frame_done[{index}]",
            }
    if module.name == "lepton_requantize" and DSP_FACTORS[dsp_kind] != DSP_FACTORS["DSP48E1"]:
        more |= dict(zip(("DSP_WIDE", "DSP_NARROW"), DSP_FACTORS[dsp_kind], strict=True))
    return signals, more


def _actor_text(dataflow: Dataflow, actor: Actor, dsp_kind: DspKind) -> str:
    kernel = actor.kernel
    signals, more = actor_connections(dataflow, actor, dsp_kind)
    folding = ", ".join(f"{k} {v}" for k, v in kernel.folding.items())
    comment = (
        f"{safe_comment(actor.layer)}: {kernel.summary}; {folding}; {kernel.cycles} cycles a frame"
    )
    return f"    // {comment}\n{instance_text(actor.name, kernel.module, signals, more)}"


def _ends(dataflow: Dataflow, prefix: str, stream: str, end: str) -> dict[str, str]:
    if stream in (*dataflow.ports_in, *dataflow.ports_out):
        return {
            f"{prefix}{part}": f"{stream}_T{part.upper()}" for part in ("data", "valid", "ready")
        }
    return stream_ports(prefix, f"{stream}__{end}")
