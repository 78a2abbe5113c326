"""The parts of an RTL project that are synthesised on their own, and what joins them.

A node is an actor, a FIFO, or the register file. Streams between nodes are registered
at both ends, so that a node's netlist alone tells its resources and its timing, and the netlists
of all nodes, joined by the top, are the whole design.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from lepton_edge.artifact.document import Document, dump, parse
from lepton_edge.backends.boards import DspKind
from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.kernels.plumbing import AxisEnd
from lepton_edge.backends.fpga.rtl_text import (
    AXI_LITE,
    MEMORY,
    actor_connections,
    all_parameters,
    fifo_module,
    literal,
    memory_files,
    registers_module,
    top_ports,
)

SCHEMA = 1
"""Version of nodes.json."""

NODES = "nodes.json"
"""The file beside the top that describes the nodes."""

WRAPPER = "node"
"""The module that `wrapper_text` writes."""


@dataclass(frozen=True)
class Pin:
    """A port of a module.

    Args:
        name: of the port.
        direction: ``input`` or ``output``.
        bits: its width.
    """

    name: str
    direction: str
    bits: int

    @property
    def declaration(self) -> str:
        """The port in a module's header."""
        return f"{self.direction} logic [{self.bits - 1}:0] {self.name}"


@dataclass(frozen=True)
class Node:
    """An instance in the top, which is synthesised on its own.

    Args:
        name: of the instance, without the ``u_`` before it.
        layer: layer that it belongs to; empty for the register file.
        module: module in ``kernels/``.
        parameters: by name.
        pins: its ports.
        memories: paths of the memory files that it reads, relative to the project.
    """

    name: str
    layer: str
    module: str
    parameters: dict[str, int | str]
    pins: tuple[Pin, ...]
    memories: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where the node is, in the user's words: its layer, its kernel and its name."""
        return f"{self.layer or 'the register file'} ({self.module} {self.name})"

    def neutral(self, path: str) -> str:
        """Return a memory file's name without the node's own, for nodes that are alike."""
        return path.removeprefix(f"{MEMORY}/{self.name}_")


@dataclass(frozen=True)
class Structure:
    """A design as nodes.

    Args:
        top: name of the top module, in ``<top>.sv``.
        pins: the top's ports.
        nodes: all instances in the top.
    """

    top: str
    pins: tuple[Pin, ...]
    nodes: tuple[Node, ...]

    def to_json(self) -> str:
        """Return the text of nodes.json."""
        return dump({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def from_json(cls, text: str, where: str = NODES) -> Structure:
        """Read the text of nodes.json.

        Raises:
            ArtifactError: it is damaged, or of another schema.
        """
        document = parse(text, where, SCHEMA)
        structure = cls(
            top=document.text("top"),
            pins=document.rows("pins", _read_pin),
            nodes=document.rows("nodes", _read_node),
        )
        document.finish()
        return structure


def structure_of(dataflow: Dataflow, design_id: int, dsp_kind: DspKind = "DSP48E1") -> Structure:
    """Return the nodes of a planned network; for the arguments see `rtl_project`."""
    nodes = [_actor_node(dataflow, actor, dsp_kind) for actor in dataflow.actors]
    nodes += [_fifo_node(dataflow, stream) for stream in dataflow.streams]
    nodes.append(_registers_node(dataflow, design_id))
    pins = tuple(Pin(name, way, bits) for way, name, bits in top_ports(dataflow))
    return Structure(dataflow.name, pins, tuple(nodes))


def wrapper_text(node: Node) -> str:
    """Return a module that holds nothing but the node's instance.

    Nodes that are alike have the same text, whatever they are called.
    """
    pins = ",\n".join(f"    {pin.declaration}" for pin in node.pins)
    values = {k: node.neutral(v) if isinstance(v, str) else v for k, v in node.parameters.items()}
    parameters = ",\n".join(f"        .{k}({literal(k, v)})" for k, v in values.items())
    ports = ",\n".join(f"        .{pin.name}({pin.name})" for pin in node.pins)
    return (
        f"module {WRAPPER} (\n{pins}\n);\n"
        f"    {node.module} #(\n{parameters}\n    ) u_kernel (\n{ports}\n    );\nendmodule\n"
    )


_CLOCKED = (Pin("clk", "input", 1), Pin("rst", "input", 1))


def _actor_node(dataflow: Dataflow, actor: Actor, dsp_kind: DspKind) -> Node:
    kernel, module = actor.kernel, actor.kernel.module
    _, more = actor_connections(dataflow, actor, dsp_kind)
    pins: list[Pin] = []
    if isinstance(kernel, AxisEnd):
        pins += _axis_end_pins(kernel)
    else:
        for prefix, port in zip(module.inputs, kernel.inputs, strict=True):
            pins += _stream_pins(prefix, port.width, is_input=True)
        for prefix, port in zip(module.outputs, kernel.outputs, strict=True):
            pins += _stream_pins(prefix, port.width, is_input=False)
    return Node(
        name=actor.name,
        layer=actor.layer,
        module=module.name,
        parameters={**all_parameters(actor.name, module), **more},
        pins=(*_CLOCKED, *pins),
        memories=tuple(memory_files(actor.name, module)),
    )


def _axis_end_pins(kernel: AxisEnd) -> Iterator[Pin]:
    (port,), bus = kernel.inputs, kernel.axis_width
    if kernel.is_input:
        yield from _stream_pins("axis_t", bus, is_input=True)
        yield from _stream_pins("out_", port.width, is_input=False)
        yield from (Pin("start", "input", 1), Pin("frames", "input", 32))
    else:
        yield from _stream_pins("in_", port.width, is_input=True)
        yield from _stream_pins("axis_t", bus, is_input=False)
        yield from (Pin("axis_tkeep", "output", bus // 8), Pin("axis_tlast", "output", 1))
        yield Pin("frame_done", "output", 1)


def _fifo_node(dataflow: Dataflow, stream: str) -> Node:
    writer, port = dataflow.writer[stream]
    module = fifo_module(port.width, dataflow.depth(stream))
    ends = (
        *_stream_pins("in_", port.width, is_input=True),
        *_stream_pins("out_", port.width, is_input=False),
    )
    return Node(
        name=f"{stream}_fifo",
        layer=writer.layer,
        module=module.name,
        parameters=dict(module.parameters),
        pins=(*_CLOCKED, *ends),
        memories=(),
    )


def _registers_node(dataflow: Dataflow, design_id: int) -> Node:
    outputs = len(dataflow.ports_out)
    module = registers_module(outputs)
    bus = (Pin(f"s_axi_{name.lower()}", way, bits) for way, name, bits in AXI_LITE)
    control = (
        Pin("start", "output", 1),
        Pin("frames", "output", 32),
        Pin("frame_done", "input", outputs),
    )
    return Node(
        name="registers",
        layer="",
        module=module.name,
        parameters={"DESIGN_ID": design_id, **module.parameters},
        pins=(*_CLOCKED, *bus, *control),
        memories=(),
    )


def _stream_pins(prefix: str, bits: int, *, is_input: bool) -> list[Pin]:
    forward, back = ("input", "output") if is_input else ("output", "input")
    return [
        Pin(f"{prefix}data", forward, bits),
        Pin(f"{prefix}valid", forward, 1),
        Pin(f"{prefix}ready", back, 1),
    ]


def _read_pin(row: Document) -> Pin:
    return Pin(row.text("name"), row.text("direction"), row.integer("bits", 1))


def _read_node(row: Document) -> Node:
    parameters = row.any_table("parameters")
    if not all(isinstance(value, int | str) for value in parameters.values()):
        raise row.error("parameters", "whole numbers and texts", parameters)
    return Node(
        name=row.text("name"),
        layer=row.text("layer"),
        module=row.text("module"),
        parameters=parameters,
        pins=row.rows("pins", _read_pin),
        memories=row.texts("memories"),
    )
