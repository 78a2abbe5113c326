"""The shell: a design behind six pins, for chips and boards with fewer pins than it has ports."""

from __future__ import annotations

from lepton_edge.backends.fpga.rtl_nodes import Pin, Structure

SHELL_PINS = ("clk", "rst_n", "shift", "step", "serial_in", "serial_out")
"""Ports of a shell: clock, reset (active low), and those of ``lepton_scan``."""

SHELL_SOURCES = ("lepton_scan.sv",)
"""Files in ``hls/rtl/shell`` that a shell needs."""


def shell_name(structure: Structure) -> str:
    """Return the name of the module that `shell_text` writes."""
    return f"{structure.top}__shell"


def shell_text(structure: Structure) -> str:
    """Return a module that reaches all ports of a design through a scan register.

    Every input can take any value and every output can be seen, so that synthesis keeps all logic;
    with ``lepton_scan``'s protocol a host can run the design through it, a step at a time.
    """
    data = [pin for pin in _driven(structure) if not is_handshake(pin)]
    handshakes = [pin for pin in _driven(structure) if is_handshake(pin)]
    outputs = [pin for pin in structure.pins if pin.direction == "output"]
    wires = "".join(
        f"    logic [{p.bits - 1}:0] {p.name};\n" for p in (*data, *handshakes, *outputs)
    )
    ports = ",\n".join(f"        .{pin.name}({pin.name})" for pin in (*data, *handshakes, *outputs))
    return f"""// {structure.top} behind few pins: see lepton_scan.sv for the protocol.
// Bits of data, from the highest: {_names(data)}.
// Bits of handshakes: {_names(handshakes)}.
// Bits of outputs: {_names(outputs)}.
module {shell_name(structure)} (
    input  logic clk,
    input  logic rst_n,
    input  logic shift,
    input  logic step,
    input  logic serial_in,
    output logic serial_out
);
    logic rst;
{wires}
    always_ff @(posedge clk) rst <= !rst_n;

    lepton_scan #(
        .DATA({_bits(data)}),
        .HANDSHAKES({_bits(handshakes)}),
        .OUTPUTS({_bits(outputs)})
    ) u__scan (
        .clk(clk),
        .rst(rst),
        .shift(shift),
        .step(step),
        .serial_in(serial_in),
        .serial_out(serial_out),
        .data({_joined(data)}),
        .handshakes({_joined(handshakes)}),
        .outputs({_joined(outputs)})
    );

    {structure.top} u__design (
        .ap_clk(clk),
        .ap_rst_n(!rst),
{ports}
    );
endmodule
"""


def is_handshake(pin: Pin) -> bool:
    """Whether an input of the top must be high for a single cycle to move a single word."""
    return pin.direction == "input" and pin.name.endswith(("VALID", "READY"))


def _driven(structure: Structure) -> list[Pin]:
    """Return the inputs that the scan register drives."""
    clocked = ("ap_clk", "ap_rst_n")
    return [p for p in structure.pins if p.direction == "input" and p.name not in clocked]


def _bits(pins: list[Pin]) -> int:
    return sum(pin.bits for pin in pins)


def _names(pins: list[Pin]) -> str:
    return ", ".join(f"{pin.name} ({pin.bits})" for pin in pins)


def _joined(pins: list[Pin]) -> str:
    return f"{{{', '.join(pin.name for pin in pins)}}}"
