"""The parts of an RTL project that are synthesised on their own, and what joins them.

A node is one actor, one shape of FIFO, or the register file. Streams between nodes are registered
at both ends, so that a node's netlist alone tells its resources and its timing, and the netlists
of all nodes, joined by the top, are the whole design.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from lepton_edge.artifact.document import Document, dump, parse
from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.kernels.plumbing import AxisEnd
from lepton_edge.backends.fpga.rtl_text import (
    AXI_LITE,
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
    """A part that is synthesised on its own.

    Args:
        name: unique; an identifier.
        module: module in ``kernels/`` that it is an instance of.
        parameters: of that instance.
        pins: its ports.
        memories: paths of the memory files that it reads, relative to the project.
        uses: names of its instances in the top, each with the layer that it belongs to; the layer
            is empty for what belongs to none.
    """

    name: str
    module: str
    parameters: dict[str, int | str]
    pins: tuple[Pin, ...]
    memories: tuple[str, ...]
    uses: dict[str, str]

    @property
    def top(self) -> str:
        """The name of the module that `wrapper_text` writes."""
        return f"node_{self.name}"


@dataclass(frozen=True)
class Structure:
    """A design as nodes.

    Args:
        top: name of the top module, in ``<top>.sv``.
        pins: the top's ports.
        nodes: its parts; every instance in the top belongs to one of them.
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


def structure_of(dataflow: Dataflow, design_id: int) -> Structure:
    """Return the nodes of a planned network.

    Args:
        dataflow: folded and connected, with FIFO depths.
        design_id: as in `rtl_project`.
    """
    nodes = [_actor_node(dataflow, actor) for actor in dataflow.actors]
    nodes += _fifo_nodes(dataflow)
    nodes.append(_registers_node(dataflow, design_id))
    pins = tuple(Pin(name, way, bits) for way, name, bits in top_ports(dataflow))
    return Structure(dataflow.name, pins, tuple(nodes))


def wrapper_text(node: Node) -> str:
    """Return a module without parameters that holds nothing but the node's instance."""
    pins = ",\n".join(f"    {pin.declaration}" for pin in node.pins)
    values = ",\n".join(f"        .{k}({literal(k, v)})" for k, v in node.parameters.items())
    ports = ",\n".join(f"        .{pin.name}({pin.name})" for pin in node.pins)
    return (
        f"module {node.top} (\n{pins}\n);\n"
        f"    {node.module} #(\n{values}\n    ) u_node (\n{ports}\n    );\nendmodule\n"
    )


_CLOCKED = (Pin("clk", "input", 1), Pin("rst", "input", 1))


def _actor_node(dataflow: Dataflow, actor: Actor) -> Node:
    kernel, module = actor.kernel, actor.kernel.module
    _, more = actor_connections(dataflow, actor)
    pins = list(_CLOCKED)
    for prefix, port in zip(module.inputs, kernel.inputs, strict=True):
        pins += _stream_pins(prefix, port.width, is_input=True)
    for prefix, port in zip(module.outputs, kernel.outputs, strict=True):
        pins += _stream_pins(prefix, port.width, is_input=False)
    if isinstance(kernel, AxisEnd):
        pins = [*_CLOCKED, *_axis_end_pins(kernel)]
    return Node(
        name=actor.name,
        module=module.name,
        parameters={**all_parameters(actor.name, module), **more},
        pins=tuple(pins),
        memories=tuple(memory_files(actor.name, module)),
        uses={f"u_{actor.name}": actor.layer},
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


def _fifo_nodes(dataflow: Dataflow) -> Iterator[Node]:
    """Yield a node for each shape of FIFO."""
    uses: dict[tuple[int, int], dict[str, str]] = {}
    for stream in dataflow.streams:
        writer, port = dataflow.writer[stream]
        shape = (port.width, dataflow.depth(stream))
        uses.setdefault(shape, {})[f"u_{stream}_fifo"] = writer.layer
    for (bits, depth), instances in uses.items():
        module = fifo_module(bits, depth)
        yield Node(
            name=f"fifo__{depth}x{bits}",  # no layer's name has two underscores in a row
            module=module.name,
            parameters=dict(module.parameters),
            pins=(
                *_CLOCKED,
                *_stream_pins("in_", bits, is_input=True),
                *_stream_pins("out_", bits, is_input=False),
            ),
            memories=(),
            uses=instances,
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
        name="registers__",
        module=module.name,
        parameters={"DESIGN_ID": design_id, **module.parameters},
        pins=(*_CLOCKED, *bus, *control),
        memories=(),
        uses={"u_registers": ""},
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
        module=row.text("module"),
        parameters=parameters,
        pins=row.rows("pins", _read_pin),
        memories=row.texts("memories"),
        uses=row.text_table("uses"),
    )
