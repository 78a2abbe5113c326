"""The dataflow graph: streaming actors connected by FIFOs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.kernels.base import Kernel, Port
from lepton_edge.backends.fpga.kernels.costs import logic
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH, fifo
from lepton_edge.backends.fpga.kernels.plumbing import Fork, converters
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.backends.fpga.names import Namespace
from lepton_edge.errors import InternalError
from lepton_edge.ir.types import Array


@dataclass(frozen=True)
class Actor:
    """One kernel at work.

    Args:
        name: unique; the layer's name and what the actor does for it.
        kernel: geometry, folding, constants.
        inputs: streams read.
        outputs: streams written.
        layer: name of the graph node it belongs to.
        sources: names of the source model's nodes.
    """

    name: str
    kernel: Kernel
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layer: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataflow:
    """A network of actors in topological order.

    Args:
        name: the design's name, a C identifier.
        actors: the first ones read the input ports, the last ones write the output ports.
        ports_in: names of the AXI-Stream inputs, read by AxisEnd actors.
        ports_out: names of the AXI-Stream outputs.
        depths: words of each FIFO; 2 where nothing is said.
    """

    name: str
    actors: tuple[Actor, ...]
    ports_in: tuple[str, ...]
    ports_out: tuple[str, ...]
    depths: Mapping[str, int]

    @cached_property
    def writer(self) -> Mapping[str, tuple[Actor, Port]]:
        """The actor and port that write each stream."""
        return {
            stream: (actor, port)
            for actor in self.actors
            for stream, port in zip(actor.outputs, actor.kernel.outputs, strict=True)
        }

    @cached_property
    def reader(self) -> Mapping[str, tuple[Actor, Port]]:
        """The actor and port that read each stream."""
        return {
            stream: (actor, port)
            for actor in self.actors
            for stream, port in zip(actor.inputs, actor.kernel.inputs, strict=True)
        }

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams between actors, in order of their writers."""
        ports = {*self.ports_in, *self.ports_out}
        return tuple(s for actor in self.actors for s in actor.outputs if s not in ports)

    def depth(self, stream: str) -> int:
        """Words that the FIFO of ``stream`` holds."""
        return self.depths.get(stream, MIN_DEPTH)

    @property
    def cycles(self) -> int:
        """Cycles a frame in steady state: those of the slowest actor."""
        return max(actor.kernel.cycles for actor in self.actors)

    @property
    def bottleneck(self) -> Actor:
        """The slowest actor."""
        return max(self.actors, key=lambda actor: actor.kernel.cycles)

    def fifo_resources(self, stream: str) -> Resources:
        """Return the cost of the FIFO of ``stream``."""
        return fifo(self.writer[stream][1].width, self.depth(stream))

    @property
    def resources(self) -> Resources:
        """Everything: kernels, FIFOs and the AXI-Lite register file."""
        total = AXI_LITE
        for actor in self.actors:
            total += actor.kernel.resources
        for stream in self.streams:
            total += self.fifo_resources(stream)
        return total

    def with_kernels(self, choose: Callable[[Actor], Kernel]) -> Dataflow:
        """Return the same network with the kernel that ``choose`` gives for each actor."""
        return replace(self, actors=tuple(replace(a, kernel=choose(a)) for a in self.actors))

    def evaluate(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute N frames actor by actor.

        Args:
            arrays: int64 [N, elements] for each input port.

        Returns:
            The same for every stream and output port.
        """
        values: dict[str, Array] = dict(arrays)
        for actor in self.actors:
            results = actor.kernel.evaluate(*(values[s] for s in actor.inputs))
            values.update(zip(actor.outputs, results, strict=True))
        return values


AXI_LITE = logic("registers", {"one": 1})
"""The AXI4-Lite register file."""


def connect(dataflow: Dataflow) -> Dataflow:
    """Give forks the width of their writers, and put converters where widths differ."""
    actors: list[Actor] = []
    lanes: dict[str, int] = {}
    names = Namespace(actor.name for actor in dataflow.actors)
    for actor in dataflow.actors:
        kernel = actor.kernel
        if isinstance(kernel, Fork):
            kernel = replace(kernel, lanes=lanes[actor.inputs[0]])
        inputs: list[str] = []
        for stream, port in zip(actor.inputs, kernel.inputs, strict=True):
            writer = dataflow.writer[stream][0].kernel if stream in lanes else None
            if writer and must_agree(writer) and lanes[stream] != port.lanes:
                raise InternalError(f"{actor.name} must have the lanes of the window that it reads")
            for converter in converters(
                port.elem, port.elements, lanes.get(stream, port.lanes), port.lanes
            ):
                converted = f"{stream}_x{port.lanes}"
                name = names.take(f"{actor.name}_width")
                actors.append(
                    Actor(name, converter, (stream,), (converted,), actor.layer, actor.sources)
                )
                stream = converted
            inputs.append(stream)
        actors.append(replace(actor, kernel=kernel, inputs=tuple(inputs)))
        for stream, port in zip(actor.outputs, kernel.outputs, strict=True):
            lanes[stream] = port.lanes
    connected = replace(dataflow, actors=tuple(actors))
    _check(connected)
    return connected


def must_agree(writer: Kernel) -> bool:
    """Whether a reader needs its writer's lanes, because the order of the words depends on them.

    Elsewhere words of other lanes hold the same elements in the same order, and can be converted.
    """
    return isinstance(writer, SlidingWindow) and writer.is_channelwise


def _check(dataflow: Dataflow) -> None:
    """Every stream has one writer and one reader that agree on elements and width."""
    for stream in dataflow.streams:
        (writer, out), (reader, into) = dataflow.writer[stream], dataflow.reader[stream]
        if (out.elem, out.elements, out.lanes) != (into.elem, into.elements, into.lanes):
            raise InternalError(
                f"{writer.name} writes {out} but {reader.name} reads {into}",
                where=f"stream {stream}",
            )
