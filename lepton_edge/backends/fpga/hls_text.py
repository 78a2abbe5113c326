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
from lepton_edge.backends.fpga.hls_cpp import (
    all_ports,
    port_arguments,
    safe_comment,
    stream_word,
    wrapped,
)
from lepton_edge.backends.fpga.hls_depths import hls_depths
from lepton_edge.backends.fpga.hls_sim_text import bridge_source, testbench_source
from lepton_edge.backends.fpga.kernels.base import Port, Table
from lepton_edge.backends.fpga.kernels.depthwise import Depthwise
from lepton_edge.backends.fpga.kernels.matrix_vector import MatrixVector
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
    return {**network_files(dataflow), **board_files(dataflow, options)}


def board_files(dataflow: Dataflow, options: HlsOptions) -> dict[str, str]:
    """Return the files that name the board, the clock or the design's identity."""
    return {
        f"src/{dataflow.name}.cpp": _top_source(dataflow, options),
        "run_hls.tcl": _tcl(dataflow, options),
        "README.md": _readme(dataflow, options),
    }


def network_files(dataflow: Dataflow) -> dict[str, str]:
    """Return the files that follow from the planned network alone: weights are most of them."""
    name = dataflow.name
    files = {
        f"src/{name}.hpp": _top_header(dataflow),
        "sim/csim.cpp": bridge_source(dataflow),
        f"testbench/{name}_tb.cpp": testbench_source(dataflow),
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
            f"hls::stream<{stream_word(p)}>& in{_index(i, kernel.inputs)}"
            for i, p in enumerate(kernel.inputs)
        ),
        *(
            f"hls::stream<{stream_word(p)}>& out{_index(i, kernel.outputs)}"
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
    return f"""// Layer: {safe_comment(actor.layer)}
{_sources_comment(actor)}// {kernel.summary}.
// {_cost_comment(actor)}
#pragma once

#include "lepton/{call.header}"

namespace layers {{
namespace {actor.name} {{

{tables}
inline void run({wrapped(arguments, 16)}) {{
{pragmas}    lepton::{call.function}<{wrapped([str(t) for t in call.template], 8)}>(
        {wrapped(values, 8)});
}}

}}  // namespace {actor.name}
}}  // namespace layers
"""


def _table_pragmas(actor: Actor) -> list[str]:
    kernel = actor.kernel
    if isinstance(kernel, MatrixVector | Depthwise):
        where = {"block": "impl=bram", "distributed": "impl=lutram"}.get(kernel.style)
        return [f"bind_storage variable=weights type=rom_1p {where}"] if where else []
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


def _index(i: int, ports: Sequence[Port]) -> str:
    return f"_{i}" if len(ports) > 1 else ""


# -- top ----------------------------------------------------------------------------------------


def _top_header(dataflow: Dataflow) -> str:
    guard = f"{dataflow.name}_hpp".upper()
    lines = "\n".join(
        f"//   {name}: {port.elements} elements a frame, {port.elem.c_type} in "
        f"{port.elem.num_bytes} byte(s) each, {port.lanes} a word"
        for name, port in all_ports(dataflow)
    )
    arguments = [*port_arguments(dataflow), "unsigned frames", "unsigned& design_id"]
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

void {dataflow.name}({wrapped(arguments, 8)});

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
    depths = hls_depths(dataflow)
    streams = "".join(
        _stream_text(dataflow, stream, max(dataflow.depth(stream), depths.get(stream, 0)))
        for stream in dataflow.streams
    )
    calls = "\n".join(_call_text(actor) for actor in dataflow.actors)
    ports = [name for name, _ in all_ports(dataflow)]
    interfaces = "".join(f"#pragma HLS interface axis port={p}\n" for p in ports)
    arguments = [*port_arguments(dataflow), "unsigned frames"]
    return f"""// {safe_comment(dataflow.name)}: a streaming accelerator
// for {safe_comment(options.board.title)} at {options.clock_mhz:g} MHz.
//
// Every layer is an actor of its own; all work at the same time on what streams through them.
// Planned: {dataflow.cycles} cycles a frame, set by {dataflow.bottleneck.name}.
#include "{dataflow.name}.hpp"

{includes}{layers}
static void accelerator({wrapped(arguments, 24)}) {{
#pragma HLS dataflow
{streams}
{calls}
}}

void {dataflow.name}({wrapped([*arguments, "unsigned& design_id"], 8)}) {{
{interfaces}#pragma HLS interface s_axilite port=frames
#pragma HLS interface s_axilite port=design_id
#pragma HLS interface s_axilite port=return
    design_id = 0x{options.design_id:08x}u;
    accelerator({", ".join([*ports, "frames"])});
}}
"""


def _stream_text(dataflow: Dataflow, stream: str, depth: int) -> str:
    port = dataflow.writer[stream][1]
    return (
        f'    hls::stream<{stream_word(port)}> {stream}("{stream}");'
        f"  // {port.words} words a frame\n"
        f"#pragma HLS stream variable={stream} depth={depth}\n"
        f"#pragma HLS aggregate variable={stream} compact=bit\n"
    )


def _call_text(actor: Actor) -> str:
    kernel, call = actor.kernel, actor.kernel.call
    streams = ", ".join((*actor.inputs, *actor.outputs))
    comment = f"    // {safe_comment(actor.layer)}: {kernel.summary}; {_cost_comment(actor)}\n"
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
    shown = "; ".join(safe_comment(s) for s in actor.sources[:6])
    return f"// From the model's {shown}.\n"


# -- project files ------------------------------------------------------------------------------


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
        f"| `{a.name}` | {safe_comment(a.layer)} | {a.kernel.kind} | "
        f"{', '.join(f'{k} {v}' for k, v in a.kernel.folding.items())} | {a.kernel.cycles} |"
        for a in dataflow.actors
    )
    fps = options.clock_mhz * 1e6 / dataflow.cycles
    return f"""# {dataflow.name}

A streaming accelerator for {options.board.title} ({options.board.part})
at {options.clock_mhz:g} MHz, {dataflow.cycles} cycles a frame: {fps:.0f} frames/s, estimated.
Design ID `{options.design_id:08x}`.

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
