"""Text of what drives the RTL form of a design in simulation: the bridge from C to its ports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.hls_cpp import all_ports


@dataclass(frozen=True)
class PortPins:
    """A ready/valid stream among a top's pins.

    Args:
        name: of the stream.
        bits: of a word.
        is_input: into the design.
        data: pin of the words.
        valid: pin of the writer's flag.
        ready: pin of the reader's flag.
    """

    name: str
    bits: int
    is_input: bool
    data: str
    valid: str
    ready: str


def top_pins(dataflow: Dataflow) -> tuple[PortPins, ...]:
    """Return the AXI-Streams of a generated top, inputs first."""
    return tuple(
        PortPins(
            name,
            8 * port.elem.num_bytes * port.lanes,
            name in dataflow.ports_in,
            *(f"{name}_T{part}" for part in ("DATA", "VALID", "READY")),
        )
        for name, port in all_ports(dataflow)
    )


def bridge_text(
    top: str,
    streams: Sequence[PortPins],
    *,
    clock: str = "ap_clk",
    reset: str = "!ap_rst_n",
    has_registers: bool = True,
) -> str:
    """Return the C++ that shows the driver a top's pins.

    Args:
        top: name of the top module.
        streams: its streams.
        clock: its clock.
        reset: its reset, with a ``!`` before it where the pin is active low.
        has_registers: whether it has the AXI-Lite registers of a generated design.
    """
    rows = "".join(_stream_row(stream) for stream in streams)
    pin = reset.removeprefix("!")
    level = "!is_reset" if reset.startswith("!") else "is_reset"
    return f"""// Drives the Verilated design from plain arrays.
#include "V{top}.h"

#include "driver.hpp"

using namespace lepton_driver;
using Model = V{top};
using Design = Driver<Model>;

static const Pins<Model> pins = {{
    [](Model& m, bool level) {{ m.{clock} = level; }},
    [](Model& m, bool is_reset) {{ m.{pin} = {level}; }},
}};
static const std::vector<Stream<Model>> streams = {{
{rows}}};

extern "C" {{
void* lepton_open() {{ return new Design(pins, streams); }}
void lepton_close(void* design) {{ delete static_cast<Design*>(design); }}
void lepton_reset(void* design) {{ static_cast<Design*>(design)->reset(); }}
std::int64_t lepton_run(void* design, const Job* job) {{
    return static_cast<Design*>(design)->run(*job);
}}
int lepton_trace(void* design, const char* path) {{
    return static_cast<Design*>(design)->trace(path);
}}
{_REGISTERS if has_registers else ""}}}
"""


_REGISTERS = """int lepton_write(void* design, std::uint32_t address, std::uint32_t value) {
    return Registers<Model>(*static_cast<Design*>(design)).write(address, value);
}
int lepton_read(void* design, std::uint32_t address, std::uint32_t* value) {
    return Registers<Model>(*static_cast<Design*>(design)).read(address, *value);
}
"""


def _stream_row(stream: PortPins) -> str:
    # Verilator writes two underscores of a name so.
    data, valid, ready = (
        pin.replace("__", "___05F") for pin in (stream.data, stream.valid, stream.ready)
    )
    mine, theirs = (valid, ready) if stream.is_input else (ready, valid)
    put = f"put(m.{data}, w)" if stream.is_input else "(void)m; (void)w"
    return f"""    {{"{stream.name}", {str(stream.is_input).lower()}, {stream.bits},
     [](Model& m, const std::uint32_t* w) {{ {put}; }},
     [](const Model& m, std::uint32_t* w) {{ get(m.{data}, w); }},
     [](Model& m, bool flag) {{ m.{mine} = flag; }},
     [](const Model& m) -> bool {{ return m.{theirs}; }}}},
"""
