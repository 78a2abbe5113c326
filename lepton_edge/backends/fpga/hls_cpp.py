"""Pieces of C++ text that the design and its testbench share."""

from __future__ import annotations

from collections.abc import Sequence

from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.kernels.base import Port


def stream_word(port: Port) -> str:
    """Return the C++ type of a stream's word."""
    return f"lepton::Vec<{port.elem.c_type}, {port.lanes}>"


def axis_type(port: Port) -> str:
    """Return the C++ type of an AXI-Stream word."""
    return f"ap_axiu<{8 * port.elem.num_bytes * port.lanes}, 0, 0, 0>"


def all_ports(dataflow: Dataflow) -> list[tuple[str, Port]]:
    """Return the AXI-Stream ports with their names, inputs first."""
    return [
        *((p, dataflow.reader[p][1]) for p in dataflow.ports_in),
        *((p, dataflow.writer[p][1]) for p in dataflow.ports_out),
    ]


def port_arguments(dataflow: Dataflow) -> list[str]:
    """Return the C++ declarations of the AXI-Stream ports."""
    return [f"hls::stream<{axis_type(port)}>& {name}" for name, port in all_ports(dataflow)]


def safe_comment(text: str) -> str:
    """Return text that is safe in a line comment: on one line, and splicing no line to it."""
    return "".join(c if c.isprintable() and c not in "\\?" else "_" for c in text)[:120]


def wrapped(parts: Sequence[str], indent: int, width: int = 100) -> str:
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
