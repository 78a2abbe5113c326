"""A whole network in RTL: the leaves of a planned dataflow graph, joined by FIFOs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from tests.hwsim.rtl.harness import (
    SOURCES,
    Leaf,
    Run,
    Simulator,
    Stream,
    build,
    instance_text,
    pack,
    unpack,
)
from tests.hwsim.rtl.leaves import leaf_of

TOP = "network"


@dataclass(frozen=True)
class Network:
    """The text of a network.

    Args:
        text: the top module.
        streams: its ports.
        files: memory files by name.
    """

    text: str
    streams: tuple[Stream, ...]
    files: Mapping[str, str]


def network_of(dataflow: Dataflow) -> Network:
    """Return the structural top of a dataflow graph."""
    ports: list[str] = []
    streams: list[Stream] = []
    files: dict[str, str] = {}
    body = [_fifo_text(dataflow, stream) for stream in dataflow.streams]
    for actor in dataflow.actors:
        leaf = leaf_of(actor.kernel, actor.name)
        files |= leaf.files
        signals, outer = _signals(dataflow, actor, leaf)
        for stream in outer:
            forward, back = ("input", "output") if stream.is_input else ("output", "input")
            ports.append(f"    {forward} logic [{stream.bits - 1}:0] {stream.name}_data")
            ports += [f"    {forward} logic {stream.name}_valid"]
            ports += [f"    {back} logic {stream.name}_ready"]
        streams += outer
        for port, bits in leaf.opens.items():
            signals[port] = f"unused_{leaf.name}__{port}"
            body.append(f"    logic [{bits - 1}:0] {signals[port]};\n")
        body.append(instance_text(leaf, signals))
    head = ",\n".join(["    input logic clk", "    input logic rst", *ports])
    # What no one reads is named so; Verilator looks at names.
    return Network(f"module {TOP} (\n{head}\n);\n{''.join(body)}endmodule\n", tuple(streams), files)


def _fifo_text(dataflow: Dataflow, stream: str) -> str:
    width = dataflow.writer[stream][1].width
    lines = [
        f"    logic [{width - 1}:0] {stream}__{end}_data;\n"
        f"    logic {stream}__{end}_valid, {stream}__{end}_ready;\n"
        for end in ("in", "out")
    ]
    ports = ", ".join(
        f".{end}_{part}({stream}__{end}_{part})"
        for end in ("in", "out")
        for part in ("data", "valid", "ready")
    )
    parameters = f".BITS({width}), .DEPTH({dataflow.depth(stream)})"
    return f"{''.join(lines)}    lepton_fifo #({parameters}) fifo_{stream} (.clk, .rst, {ports});\n"


def _signals(
    dataflow: Dataflow, actor: Actor, leaf: Leaf
) -> tuple[dict[str, str], tuple[Stream, ...]]:
    """Return what each port of a leaf is connected to, and the streams that leave the network."""
    signals: dict[str, str] = {}
    outer: list[Stream] = []
    ends = sorted(leaf.streams, key=lambda stream: not stream.is_input)
    for end, stream in zip(ends, (*actor.inputs, *actor.outputs), strict=True):
        base = stream
        if stream in (*dataflow.ports_in, *dataflow.ports_out):
            outer.append(Stream(stream, end.bits, end.is_input))
        else:
            # The writer of a stream is at its FIFO's input.
            base = f"{stream}__{'out' if end.is_input else 'in'}"
        for part in ("data", "valid", "ready"):
            signals[end.port(part)] = f"{base}_{part}"
        if end.last:
            signals[end.last] = f"{base}_data[{end.bits - 1}]"
            signals[end.port("data")] = f"{base}_data[{end.bits - 2}:0]"
    return signals, tuple(outer)


def build_network(dataflow: Dataflow, folder: Path) -> Simulator:
    """Write and build a network."""
    network = network_of(dataflow)
    top = folder / f"{TOP}.sv"
    top.write_text(network.text)
    for name, text in network.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return build(TOP, [top, *SOURCES], network.streams, folder)


def run_network(
    simulator: Simulator,
    dataflow: Dataflow,
    inputs: Mapping[str, NDArray[np.int64]],
    stall: float,
) -> tuple[dict[str, NDArray[np.int64]], Run]:
    """Run frames back to back.

    Args:
        simulator: the built network.
        dataflow: its graph.
        inputs: codes [N, elements] of each input port.
        stall: chance of a stall in each cycle, on every port.

    Returns:
        Codes [N, elements] of each output port, and the run.
    """
    frames = len(next(iter(inputs.values())))
    words = {}
    for name, codes in inputs.items():
        port = dataflow.reader[name][1]
        words[name] = pack(codes.reshape(-1, port.lanes), 8 * port.elem.num_bytes)
    ends = {name: dataflow.writer[name][1] for name in dataflow.ports_out}
    expected = {name: port.words * frames for name, port in ends.items()}
    simulator.reset()
    run = simulator.run(words, expected, stall_in=stall, stall_out=stall, patience=200_000)
    results = {
        name: unpack(
            run.words[name], 8 * port.elem.num_bytes, port.lanes, port.elem.signed
        ).reshape(frames, -1)
        for name, port in ends.items()
    }
    return results, run
