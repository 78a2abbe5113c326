"""The HLS project as text: pure functions from a planned dataflow graph to files.

The project is meant to be read: one header a layer that has constants, named streams, and above
each call what it computes, in the user's own layer names. `hls/` holds the kernels it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lepton_edge.backends.boards import Board
from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.kernels.base import Port, Table
from lepton_edge.backends.fpga.kernels.requantize import Lookup, Threshold
from lepton_edge.data import data_dir
from lepton_edge.ir.types import Array

PARALLEL_LEVELS = 15
"""Thresholds compared at once by the threshold kernel (hls/include/lepton/threshold.hpp)."""


@dataclass(frozen=True)
class HlsOptions:
    """What the project says beside the network.

    Args:
        board: the board it is for.
        clock_mhz: target clock.
        design_id: 32-bit identity of the design, readable over AXI-Lite.
    """

    board: Board
    clock_mhz: float
    design_id: int


def project_files(dataflow: Dataflow, options: HlsOptions) -> dict[str, str]:
    """Return the files of the HLS project by path, relative to its root."""
    name = dataflow.name
    files = {
        f"src/{name}.hpp": _top_header(dataflow),
        f"src/{name}.cpp": _top_source(dataflow, options),
        "sim/csim.cpp": _bridge_source(dataflow),
        f"testbench/{name}_tb.cpp": _testbench_source(dataflow),
        "run_hls.tcl": _tcl(dataflow, options),
        "README.md": _readme(dataflow, options),
    }
    for actor in dataflow.actors:
        if actor.kernel.tables:
            files[f"src/layers/{actor.name}.hpp"] = _layer_header(actor)
    hls = data_dir("hls")
    for folder, target in (("include/lepton", "include/lepton"), ("sim", "sim")):
        for path in sorted((hls / folder).glob("*.h*")):
            files[f"{target}/{path.name}"] = path.read_text(encoding="utf-8")
    return files


def vector_files(
    dataflow: Dataflow, inputs: Sequence[Array], outputs: Sequence[Array]
) -> dict[str, bytes]:
    """Return the testbench's golden vectors: raw little-endian elements, frame after frame.

    Args:
        dataflow: the planned network.
        inputs: for each input port integer codes [N, elements].
        outputs: for each output port integer codes [N, elements].
    """
    files = {}
    for ports, arrays, side in (
        (dataflow.ports_in, inputs, dataflow.reader),
        (dataflow.ports_out, outputs, dataflow.writer),
    ):
        for port, array in zip(ports, arrays, strict=True):
            files[f"testbench/{port}.bin"] = pack(array, side[port][1])
    return files


def port_dtype(port: Port) -> np.dtype[np.signedinteger] | np.dtype[np.unsignedinteger]:
    """Return the numpy type in which a port's elements travel."""
    return np.dtype(f"<{'i' if port.elem.signed else 'u'}{port.elem.num_bytes}")


def pack(array: Array, port: Port) -> bytes:
    """Return codes [N, elements] as the bytes that a port takes."""
    return np.ascontiguousarray(array.astype(port_dtype(port))).tobytes()


# -- layers -------------------------------------------------------------------------------------


def _layer_header(actor: Actor) -> str:
    kernel, call = actor.kernel, actor.kernel.call
    arguments = [
        *(
            f"hls::stream<{_word(p)}>& in{_index(i, kernel.inputs)}"
            for i, p in enumerate(kernel.inputs)
        ),
        *(
            f"hls::stream<{_word(p)}>& out{_index(i, kernel.outputs)}"
            for i, p in enumerate(kernel.outputs)
        ),
        "unsigned frames",
    ]
    values = [
        *(f"in{_index(i, kernel.inputs)}" for i in range(len(kernel.inputs))),
        *(f"out{_index(i, kernel.outputs)}" for i in range(len(kernel.outputs))),
        *(table.name for table in kernel.tables),
        *map(str, call.scalars),
        "frames",
    ]
    tables = "\n".join(_table_text(table) for table in kernel.tables)
    pragmas = "".join(f"#pragma HLS {p}\n" for p in _table_pragmas(actor))
    return f"""// Layer: {_comment(actor.layer)}
{_sources_comment(actor)}// {kernel.summary}.
// {_cost_comment(actor)}
#pragma once

#include "lepton/{call.header}"

namespace layers {{
namespace {actor.name} {{

{tables}
inline void run({_wrapped(arguments, 16)}) {{
{pragmas}    lepton::{call.function}<{_wrapped([str(t) for t in call.template], 8)}>(
        {_wrapped(values, 8)});
}}

}}  // namespace {actor.name}
}}  // namespace layers
"""


def _table_pragmas(actor: Actor) -> list[str]:
    kernel = actor.kernel
    if isinstance(kernel, Lookup):
        return ["bind_storage variable=table type=rom_np"]
    if isinstance(kernel, Threshold):
        if kernel.levels > PARALLEL_LEVELS:
            return ["bind_storage variable=thresholds type=rom_np"]
        return [f"array_partition variable=thresholds type=cyclic factor={kernel.levels}"]
    return []


def _table_text(table: Table) -> str:
    words = _brace_words(table.array)
    lines = ",\n".join(f"    {w}" for w in words)
    return (
        f"// {table.comment}: {len(words)} words of {table.width} bits.\n"
        f"static const {table.c_type} {table.name}[{len(words)}] = {{\n{lines},\n}};\n"
    )


def _brace_words(array: Array) -> list[str]:
    """Return each word of a table as a C initialiser."""
    if array.ndim == 1:
        return [str(v) for v in array.tolist()]
    if array.ndim == 2:
        return [f"{{{{{', '.join(map(str, row))}}}}}" for row in array.tolist()]
    return [
        "{{" + ", ".join(f"{{{', '.join(map(str, row))}}}" for row in tile) + "}}"
        for tile in array.tolist()
    ]


def _word(port: Port) -> str:
    return f"lepton::Vec<{port.elem.c_type}, {port.lanes}>"


def _index(i: int, ports: Sequence[Port]) -> str:
    return f"_{i}" if len(ports) > 1 else ""


# -- top ----------------------------------------------------------------------------------------


def _axis_type(port: Port) -> str:
    return f"ap_axiu<{8 * port.elem.num_bytes * port.lanes}, 0, 0, 0>"


def _ports(dataflow: Dataflow) -> list[tuple[str, Port]]:
    return [
        *((p, dataflow.reader[p][1]) for p in dataflow.ports_in),
        *((p, dataflow.writer[p][1]) for p in dataflow.ports_out),
    ]


def _port_arguments(dataflow: Dataflow) -> list[str]:
    return [f"hls::stream<{_axis_type(port)}>& {name}" for name, port in _ports(dataflow)]


def _top_header(dataflow: Dataflow) -> str:
    guard = f"{dataflow.name}_hpp".upper()
    lines = "\n".join(
        f"//   {name}: {port.elements} elements a frame, {port.elem.c_type} in "
        f"{port.elem.num_bytes} byte(s) each, {port.lanes} a word"
        for name, port in _ports(dataflow)
    )
    arguments = [*_port_arguments(dataflow), "unsigned frames", "unsigned& design_id"]
    return f"""// The accelerator's top function.
//
// AXI-Stream ports (channels last, row-major, little endian):
{lines}
// AXI-Lite registers: control, frames (frames to process at one start), design_id (read only).
#ifndef {guard}
#define {guard}

#include <ap_axi_sdata.h>
#include <ap_int.h>
#include <hls_stream.h>

void {dataflow.name}({_wrapped(arguments, 8)});

#endif  // {guard}
"""


def _top_source(dataflow: Dataflow, options: HlsOptions) -> str:
    headers = sorted(
        {f"lepton/{a.kernel.call.header}" for a in dataflow.actors if not a.kernel.tables}
    )
    includes = "".join(f'#include "{h}"\n' for h in headers)
    layers = "".join(
        f'#include "layers/{a.name}.hpp"\n' for a in dataflow.actors if a.kernel.tables
    )
    streams = "".join(_stream_text(dataflow, stream) for stream in dataflow.streams)
    calls = "\n".join(_call_text(actor) for actor in dataflow.actors)
    ports = [name for name, _ in _ports(dataflow)]
    interfaces = "".join(f"#pragma HLS interface axis port={p}\n" for p in ports)
    arguments = [*_port_arguments(dataflow), "unsigned frames"]
    return f"""// {_comment(dataflow.name)}: a streaming accelerator for {options.board.title} at {options.clock_mhz:g} MHz.
//
// Every layer is an actor of its own; all work at the same time on what streams through them.
// Planned: {dataflow.cycles} cycles a frame, set by {dataflow.bottleneck.name}.
#include "{dataflow.name}.hpp"

{includes}{layers}
static void accelerator({_wrapped(arguments, 24)}) {{
#pragma HLS dataflow
{streams}
{calls}
}}

void {dataflow.name}({_wrapped([*arguments, "unsigned& design_id"], 8)}) {{
{interfaces}#pragma HLS interface s_axilite port=frames
#pragma HLS interface s_axilite port=design_id
#pragma HLS interface s_axilite port=return
    design_id = 0x{options.design_id:08x}u;
    accelerator({", ".join([*ports, "frames"])});
}}
"""


def _stream_text(dataflow: Dataflow, stream: str) -> str:
    port = dataflow.writer[stream][1]
    return (
        f'    hls::stream<{_word(port)}> {stream}("{stream}");  // {port.words} words a frame\n'
        f"#pragma HLS stream variable={stream} depth={dataflow.depth(stream)}\n"
        f"#pragma HLS aggregate variable={stream} compact=bit\n"
    )


def _call_text(actor: Actor) -> str:
    kernel, call = actor.kernel, actor.kernel.call
    streams = ", ".join((*actor.inputs, *actor.outputs))
    comment = f"    // {_comment(actor.layer)}: {kernel.summary}; {_cost_comment(actor)}\n"
    if kernel.tables:
        return f"{comment}    layers::{actor.name}::run({streams}, frames);"
    template = ", ".join(map(str, call.template))
    scalars = "".join(f", {s}" for s in call.scalars)
    return f"{comment}    lepton::{call.function}<{template}>({streams}{scalars}, frames);"


def _cost_comment(actor: Actor) -> str:
    folding = ", ".join(f"{k} {v}" for k, v in actor.kernel.folding.items())
    return f"{folding}; {actor.kernel.cycles} cycles a frame"


def _sources_comment(actor: Actor) -> str:
    if not actor.sources or actor.sources == (actor.layer,):
        return ""
    shown = "; ".join(_comment(s) for s in actor.sources[:6])
    return f"// From the model's {shown}.\n"


def _comment(text: str) -> str:
    """Return text that is safe in a line comment: on one line, and splicing no line to it."""
    return "".join(c if c.isprintable() and c not in "\\?" else "_" for c in text)[:120]


def _wrapped(parts: Sequence[str], indent: int, width: int = 100) -> str:
    """Return comma-separated parts broken into lines."""
    lines, line = [], ""
    for i, part in enumerate(parts):
        piece = part + ("," if i < len(parts) - 1 else "")
        if line and indent + len(line) + 1 + len(piece) > width:
            lines.append(line)
            line = piece
        else:
            line = f"{line} {piece}".strip()
    lines.append(line)
    return ("\n" + " " * indent).join(lines)


# -- simulation and testbench -------------------------------------------------------------------


def _bridge_source(dataflow: Dataflow) -> str:
    ins = "\n".join(
        _bridge_port(i, dataflow.reader[p][1], True) for i, p in enumerate(dataflow.ports_in)
    )
    outs = "\n".join(
        _bridge_port(i, dataflow.writer[p][1], False) for i, p in enumerate(dataflow.ports_out)
    )
    declared = "\n".join(
        f'    hls::stream<{_axis_type(port)}> {name}("{name}");' for name, port in _ports(dataflow)
    )
    ports = ", ".join(name for name, _ in _ports(dataflow))
    fills = "\n".join(
        f"            send_{i}({p}, inputs[{i}], done, burst);"
        for i, p in enumerate(dataflow.ports_in)
    )
    drains = "\n".join(
        f"            receive_{i}({p}, outputs[{i}], done, burst);"
        for i, p in enumerate(dataflow.ports_out)
    )
    return f"""// C simulation as a shared library: feeds the top function from plain arrays.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include "../src/{dataflow.name}.hpp"

namespace {{

{ins}
{outs}
}}  // namespace

/// Processes `frames` frames, `at_once` in each call of the top function. Returns 0, or 1 with a
/// message. `design_id` receives the register's value.
extern "C" int lepton_csim(const void* const* inputs, void* const* outputs, unsigned frames, unsigned at_once,
                           unsigned* design_id, char* message, unsigned message_size) {{
    try {{
{declared}
        for (unsigned done = 0; done < frames;) {{
            const unsigned burst = frames - done < at_once ? frames - done : at_once;
{fills}
            ::{dataflow.name}({ports}, burst, *design_id);
{drains}
            done += burst;
        }}
        return 0;
    }} catch (const std::exception& error) {{
        std::snprintf(message, message_size, "%s", error.what());
        return 1;
    }}
}}
"""


def _bridge_port(index: int, port: Port, is_input: bool) -> str:
    size = port.elem.num_bytes * port.lanes
    frame = port.words * size
    stream = f"hls::stream<{_axis_type(port)}>& stream"
    if is_input:
        return f"""void send_{index}({stream}, const void* frames, unsigned first, unsigned count) {{
    const char* bytes = static_cast<const char*>(frames) + std::size_t(first) * {frame};
    for (unsigned f = 0; f < count; ++f) {{
        for (unsigned i = 0; i < {port.words}; ++i, bytes += {size}) {{
            std::uint64_t word = 0;
            std::memcpy(&word, bytes, {size});
            {_axis_type(port)} packed;
            packed.data = word;
            packed.keep = -1;
            packed.strb = -1;
            packed.last = i == {port.words - 1};
            stream.write(packed);
        }}
    }}
}}
"""
    return f"""void receive_{index}({stream}, void* frames, unsigned first, unsigned count) {{
    char* bytes = static_cast<char*>(frames) + std::size_t(first) * {frame};
    for (unsigned f = 0; f < count; ++f) {{
        for (unsigned i = 0; i < {port.words}; ++i, bytes += {size}) {{
            const {_axis_type(port)} packed = stream.read();
            if (bool(packed.last) != (i == {port.words - 1})) throw std::runtime_error("TLAST is not at the end of a frame");
            const std::uint64_t word = std::uint64_t(packed.data);
            std::memcpy(bytes, &word, {size});
        }}
    }}
    if (!stream.empty()) throw std::runtime_error("the design wrote more words than its frames have");
}}
"""


def _testbench_source(dataflow: Dataflow) -> str:
    reads = "\n".join(
        f'    const auto {p} = bytes("{p}.bin");' for p in (*dataflow.ports_in, *dataflow.ports_out)
    )
    first, first_port = dataflow.ports_in[0], dataflow.reader[dataflow.ports_in[0]][1]
    frame = first_port.elements * first_port.elem.num_bytes
    sizes = "".join(
        f" || {name}.size() != std::size_t(frames) * {port.elements * port.elem.num_bytes}"
        for name, port in _ports(dataflow)
    )
    declared = "\n".join(
        f'    hls::stream<{_axis_type(port)}> {name}_stream("{name}");'
        for name, port in _ports(dataflow)
    )
    sends = "\n".join(_tb_loop(p, dataflow.reader[p][1], True) for p in dataflow.ports_in)
    checks = "\n".join(_tb_loop(p, dataflow.writer[p][1], False) for p in dataflow.ports_out)
    ports = ", ".join(f"{name}_stream" for name, _ in _ports(dataflow))
    return f"""// Testbench: golden frames in, outputs compared bit for bit. Returns 0 when all are equal.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../src/{dataflow.name}.hpp"

static std::vector<char> bytes(const std::string& name) {{
    // Vitis runs the testbench in a folder of its own; run_hls.tcl adds the files to it.
    std::ifstream file(name.c_str(), std::ios::binary);
    if (!file) file.open(("testbench/" + name).c_str(), std::ios::binary);
    return std::vector<char>((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}}

int main() {{
{reads}
    const unsigned frames = {first}.size() / {frame};
    if (frames == 0{sizes}) {{
        std::printf("no golden frames, or not as many in every file\\n");
        return 2;
    }}
{declared}
{sends}
    unsigned design_id = 0;
    ::{dataflow.name}({ports}, frames, design_id);
    unsigned mismatches = 0;
{checks}
    std::printf("%u frames, design %08x: %u words differ\\n", frames, design_id, mismatches);
    return mismatches ? 1 : 0;
}}
"""


def _tb_loop(name: str, port: Port, is_input: bool) -> str:
    size = port.elem.num_bytes * port.lanes
    head = f"    for (std::size_t i = 0; i * {size} < {name}.size(); ++i) {{\n        std::uint64_t word = 0;\n"
    copy = f"        std::memcpy(&word, &{name}[i * {size}], {size});\n"
    if is_input:
        return (
            f"{head}{copy}        {_axis_type(port)} packed;\n        packed.data = word;\n"
            f"        packed.keep = -1;\n        packed.strb = -1;\n"
            f"        packed.last = i % {port.words} == {port.words - 1};\n"
            f"        {name}_stream.write(packed);\n    }}"
        )
    return f"{head}{copy}        if (std::uint64_t({name}_stream.read().data) != word) ++mismatches;\n    }}"


def _tcl(dataflow: Dataflow, options: HlsOptions) -> str:
    vectors = "\n".join(
        f"add_files -tb testbench/{p}.bin" for p in (*dataflow.ports_in, *dataflow.ports_out)
    )
    part = options.board.vitis_part or f"(none: Vitis HLS does not support {options.board.part})"
    return f"""# Vitis HLS 2022.1 or newer: vitis_hls -f run_hls.tcl ?step ...?
# Steps: csim csynth cosim export; all but cosim when none is named.
set steps [expr {{$argc > 2 ? [lrange $argv 2 end] : {{csim csynth export}}}}]

open_project -reset vitis
set_top {dataflow.name}
add_files src/{dataflow.name}.cpp -cflags "-std=c++14 -Iinclude"
add_files -tb testbench/{dataflow.name}_tb.cpp -cflags "-std=c++14"
{vectors}

open_solution -reset -flow_target vivado solution
set_part {{{part}}}
create_clock -period {1000 / options.clock_mhz:.3f} -name default

if {{"csim" in $steps}} {{ csim_design }}
if {{"csynth" in $steps}} {{ csynth_design }}
if {{"cosim" in $steps}} {{ cosim_design }}
if {{"export" in $steps}} {{ export_design -format ip_catalog -display_name {{{dataflow.name}}} }}
exit
"""


def _readme(dataflow: Dataflow, options: HlsOptions) -> str:
    rows = "\n".join(
        f"| `{a.name}` | {_comment(a.layer)} | {a.kernel.kind} | "
        f"{', '.join(f'{k} {v}' for k, v in a.kernel.folding.items())} | {a.kernel.cycles} |"
        for a in dataflow.actors
    )
    fps = options.clock_mhz * 1e6 / dataflow.cycles
    return f"""# {dataflow.name}

A streaming accelerator for {options.board.title} ({options.board.part}) at {options.clock_mhz:g} MHz,
{dataflow.cycles} cycles a frame: {fps:.0f} frames/s, estimated. Design ID `{options.design_id:08x}`.

- `src/{dataflow.name}.cpp`: the top function; every layer is one call. `src/layers/`: a header for
  each layer with constants. `include/lepton/`: the kernels.
- `testbench/`: golden frames and a testbench that compares bit for bit.
- `run_hls.tcl`: Vitis HLS: C simulation, synthesis, IP export. `vitis_hls -f run_hls.tcl`
- Without Vitis, from this folder:

```
g++ -std=c++14 -O2 -Wno-unknown-pragmas -Isim -Iinclude src/*.cpp testbench/*.cpp -o tb && ./tb
```

| actor | layer | kernel | folding | cycles a frame |
|---|---|---|---|---|
{rows}
"""
