"""Text of what drives a generated design: the C simulation's bridge and the testbench."""

from __future__ import annotations

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.hls_cpp import all_ports, axis_type
from lepton_edge.backends.fpga.kernels.base import Port


def bridge_source(dataflow: Dataflow) -> str:
    """Return the C simulation as a shared library: plain arrays in and out."""
    ins = "\n".join(
        _bridge_port(i, dataflow.reader[p][1], True) for i, p in enumerate(dataflow.ports_in)
    )
    outs = "\n".join(
        _bridge_port(i, dataflow.writer[p][1], False) for i, p in enumerate(dataflow.ports_out)
    )
    declared = "\n".join(
        f'    hls::stream<{axis_type(port)}> {name}("{name}");'
        for name, port in all_ports(dataflow)
    )
    ports = ", ".join(name for name, _ in all_ports(dataflow))
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
extern "C" int lepton_csim(const void* const* inputs, void* const* outputs, unsigned frames,
                           unsigned at_once, unsigned* design_id, char* message,
                           unsigned message_size) {{
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
    stream = f"hls::stream<{axis_type(port)}>& stream"
    if is_input:
        return f"""void send_{index}({stream}, const void* frames,
            unsigned first, unsigned count) {{
    const char* bytes = static_cast<const char*>(frames) + std::size_t(first) * {frame};
    for (unsigned f = 0; f < count; ++f) {{
        for (unsigned i = 0; i < {port.words}; ++i, bytes += {size}) {{
            std::uint64_t word = 0;
            std::memcpy(&word, bytes, {size});
            {axis_type(port)} packed;
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
            const {axis_type(port)} packed = stream.read();
            if (bool(packed.last) != (i == {port.words - 1}))
                throw std::runtime_error("TLAST is not at the end of a frame");
            const std::uint64_t word = std::uint64_t(packed.data);
            std::memcpy(bytes, &word, {size});
        }}
    }}
    if (!stream.empty())
        throw std::runtime_error("the design wrote more words than its frames have");
}}
"""


def testbench_source(dataflow: Dataflow) -> str:
    """Return the testbench that runs the golden frames."""
    reads = "\n".join(
        f'    const auto {p} = bytes("{p}.bin");' for p in (*dataflow.ports_in, *dataflow.ports_out)
    )
    first, first_port = dataflow.ports_in[0], dataflow.reader[dataflow.ports_in[0]][1]
    frame = first_port.elements * first_port.elem.num_bytes
    sizes = "".join(
        f" || {name}.size() != std::size_t(frames) * {port.elements * port.elem.num_bytes}"
        for name, port in all_ports(dataflow)
    )
    declared = "\n".join(
        f'    hls::stream<{axis_type(port)}> {name}_stream("{name}");'
        for name, port in all_ports(dataflow)
    )
    sends = "\n".join(_tb_loop(p, dataflow.reader[p][1], True) for p in dataflow.ports_in)
    checks = "\n".join(_tb_loop(p, dataflow.writer[p][1], False) for p in dataflow.ports_out)
    ports = ", ".join(f"{name}_stream" for name, _ in all_ports(dataflow))
    return f"""// Testbench: golden frames in, outputs compared bit for bit; 0 if all are equal.
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
    const std::istreambuf_iterator<char> first(file), last;
    return std::vector<char>(first, last);
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
    head = (
        f"    for (std::size_t i = 0; i * {size} < {name}.size(); ++i) {{\n"
        f"        std::uint64_t word = 0;\n"
    )
    copy = f"        std::memcpy(&word, &{name}[i * {size}], {size});\n"
    if is_input:
        return (
            f"{head}{copy}        {axis_type(port)} packed;\n        packed.data = word;\n"
            f"        packed.keep = -1;\n        packed.strb = -1;\n"
            f"        packed.last = i % {port.words} == {port.words - 1};\n"
            f"        {name}_stream.write(packed);\n    }}"
        )
    compare = f"        if (std::uint64_t({name}_stream.read().data) != word) ++mismatches;\n"
    return f"{head}{copy}{compare}    }}"
