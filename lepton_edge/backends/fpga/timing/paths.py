"""The longest path from clock edge to clock edge through a netlist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lepton_edge.backends.fpga.timing.fabric import CellTiming, Fabric, Pin, Wire, pins
from lepton_edge.backends.fpga.timing.netlist import CONSTANT, Cell, Netlist
from lepton_edge.errors import InternalError, UnsupportedError

Array = npt.NDArray[np.float64]

MAX_NAMED = 3
"""Cells that the message on a loop names."""

PORT = -1
"""Stands for a cell where a path begins or ends at a port of the netlist."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A net and the cell behind it, as part of a path.

    Args:
        cell: index in the netlist's cells; PORT at an output port.
        pin: the pin where the net enters.
        net: the net.
        net_ps: the net's delay.
        cell_ps: the cell's: through it, or its setup time.
    """

    cell: int
    pin: Pin
    net: int
    net_ps: float
    cell_ps: float


@dataclass(frozen=True, slots=True)
class Path:
    """A path from clock edge to clock edge.

    Args:
        start: index of the cell that begins it; PORT at an input port.
        start_pin: its pin, or the port.
        launch_ps: from the clock's edge to there.
        hops: from there on; the last cell is the one that ends the path.
    """

    start: int
    start_pin: Pin
    launch_ps: float
    hops: tuple[Hop, ...]

    @property
    def delay_ps(self) -> float:
        """The whole delay, setup time included."""
        return self.launch_ps + sum(hop.net_ps + hop.cell_ps for hop in self.hops)


def longest_path(netlist: Netlist, fabric: Fabric) -> Path | None:
    """Return the path that takes longest; None where there is none at all.

    Raises:
        UnsupportedError: the fabric does not know a cell.
        InternalError: the netlist has a combinational loop.
    """
    graph = _Graph.of(netlist, fabric)
    arrival, edge_into = _arrivals(netlist, graph)
    ends = np.array([hop.net_ps + hop.cell_ps for hop in graph.ends])
    if not len(ends):
        return None
    totals = arrival[[hop.net for hop in graph.ends]] + ends
    worst = int(np.argmax(totals))
    if not np.isfinite(totals[worst]):
        return None
    hops = [graph.ends[worst]]
    node = graph.ends[worst].net
    while edge_into[node] >= 0:
        edge = int(edge_into[node])
        hops.append(graph.hops[edge])
        node = graph.sources[edge]
    start, pin = graph.starts[node]
    path = tuple(hop for hop in reversed(hops) if hop.pin)
    return Path(start, pin, graph.launch[node], path)


@dataclass
class _Graph:
    """Nodes are nets, then meeting points inside cells with many arcs of one delay.

    Args:
        num_nodes: how many there are.
        sources: node where each edge begins.
        targets: node where it ends.
        hops: what it is; a hop without a pin is inside a cell.
        launch: when a node is valid, for those that a clock edge or an input port sets.
        starts: cell and pin that does.
        ends: where paths end.
    """

    num_nodes: int
    sources: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)
    launch: dict[int, float] = field(default_factory=dict)
    starts: dict[int, tuple[int, Pin]] = field(default_factory=dict)
    ends: list[Hop] = field(default_factory=list)

    @classmethod
    def of(cls, netlist: Netlist, fabric: Fabric) -> _Graph:
        """Return the graph of a netlist."""
        graph = cls(netlist.num_nets)
        timings = _timings(netlist, fabric)
        wires = _Wires(netlist, fabric, timings)
        for port, nets in netlist.inputs.items():
            for pin, net in pins({port: nets}, port):
                graph._start(net, PORT, pin, fabric.input_ps)
        for index, (cell, timing) in enumerate(zip(netlist.cells, timings, strict=True)):
            for pin, delay in timing.launch_ps.items():
                for name, net in pins(cell.outputs, pin):
                    graph._start(net, index, name, delay)
            for pin, delay in timing.setup_ps.items():
                for name, net in pins(cell.inputs, pin):
                    graph.ends.append(
                        Hop(index, name, net, wires.delay_ps(net, index, name), delay)
                    )
            graph._add_arcs(index, cell, timing, wires)
        for port, nets in netlist.outputs.items():
            for pin, net in pins({port: nets}, port):
                delay = wires.delay_ps(net, PORT, pin)
                graph.ends.append(Hop(PORT, pin, net, delay, fabric.output_ps))
        return graph

    def _start(self, net: int, cell: int, pin: Pin, delay_ps: float) -> None:
        if delay_ps >= self.launch.get(net, 0.0):
            self.launch[net] = delay_ps
            self.starts[net] = (cell, pin)

    def _add_arcs(self, index: int, cell: Cell, timing: CellTiming, wires: _Wires) -> None:
        for arc in timing.arcs:
            sources = [p for pin in arc.sources for p in pins(cell.inputs, pin)]
            targets = [net for pin in arc.targets for _, net in pins(cell.outputs, pin)]
            if len(targets) > 1:
                middle = self.num_nodes
                self.num_nodes += 1
                for target in targets:
                    self._edge(middle, target, Hop(index, "", CONSTANT, 0.0, 0.0))
                targets = [middle]
            for name, net in sources:
                hop = Hop(index, name, net, wires.delay_ps(net, index, name), arc.delay_ps)
                for target in targets:
                    self._edge(net, target, hop)

    def _edge(self, source: int, target: int, hop: Hop) -> None:
        self.sources.append(source)
        self.targets.append(target)
        self.hops.append(hop)


def _timings(netlist: Netlist, fabric: Fabric) -> list[CellTiming]:
    """Return the timing of each cell."""
    known: dict[tuple[object, ...], CellTiming] = {}
    found = []
    for cell in netlist.cells:
        settings = {k: v for k, v in cell.parameters.items() if not k.startswith("INIT")}
        key = (cell.kind, *cell.inputs, *cell.outputs, *settings.items())
        timing = known.get(key) or fabric.cell(cell)
        if timing is None:
            raise UnsupportedError(
                f"no delays are known for the cell {cell.kind} on {fabric.name}",
                where=cell.name,
                hint="timing is estimated for what synthesis makes of the compiler's own designs",
            )
        known[key] = timing
        found.append(timing)
    return found


class _Wires:
    """The delay of each net to each of its loads."""

    def __init__(self, netlist: Netlist, fabric: Fabric, timings: Sequence[CellTiming]) -> None:
        self._cells = netlist.cells
        self._fabric = fabric
        self._is_block = [timing.is_block for timing in timings]
        self._driver = {
            net: (index, port)
            for index, cell in enumerate(netlist.cells)
            for port, nets in cell.outputs.items()
            for net in nets
        }
        # Loads of a net by how they are reached: of those in its driver's slice there is but one.
        self._kinds: dict[tuple[int, Wire], int] = {}
        self._loads = [0] * netlist.num_nets
        for net in (net for nets in netlist.outputs.values() for net in nets if net != CONSTANT):
            self._loads[net] += 1
        for cell in netlist.cells:
            for port, nets in cell.inputs.items():
                for net in nets:
                    if net != CONSTANT:
                        self._loads[net] += 1
                        key = net, self._wire(net, cell, port)
                        self._kinds[key] = self._kinds.get(key, 0) + 1

    def _wire(self, net: int, load: Cell, port: str) -> Wire:
        if net not in self._driver:
            return Wire.ROUTED
        index, out_port = self._driver[net]
        return self._fabric.wire(self._cells[index], out_port, load, port)

    def delay_ps(self, net: int, load: int, pin: Pin) -> float:
        """Return the delay of a net to the pin of a cell, or to a port."""
        driver, out_port = self._driver.get(net, (PORT, ""))
        feed_ps = 0.0
        if driver != PORT and load != PORT:
            ends = self._cells[driver], out_port, self._cells[load], pin.partition("[")[0]
            wire = self._fabric.wire(*ends)
            count = self._kinds[net, wire]
            is_whole = count == self._loads[net] or not self._fabric.is_chain_split
            if wire is Wire.CASCADE and is_whole:
                return 0.0
            if wire is Wire.SLICE and count == 1:
                return self._fabric.slice_ps
            feed_ps = self._fabric.feed_ps(*ends)
        is_block = any(index != PORT and self._is_block[index] for index in (driver, load))
        routing = self._fabric.block_routing if is_block else self._fabric.routing
        return routing.delay_ps(self._loads[net], len(self._cells)) + feed_ps


def _arrivals(netlist: Netlist, graph: _Graph) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return when each node is valid at the latest, and the edge that makes it so late.

    Nodes that nothing sets are never valid: -inf. Where no edge makes a node late, it is -1.
    """
    sources, targets = np.array(graph.sources, np.int64), np.array(graph.targets, np.int64)
    delays = np.array([hop.net_ps + hop.cell_ps for hop in graph.hops], np.float64)
    arrival = np.full(graph.num_nodes, -np.inf)
    arrival[list(graph.launch)] = list(graph.launch.values())
    edge_into = np.full(graph.num_nodes, -1, np.int64)
    waiting = np.bincount(targets, minlength=graph.num_nodes)
    ready = np.flatnonzero(waiting == 0)
    for edges in _levels(sources, targets, waiting, ready):
        late = arrival[sources[edges]] + delays[edges]
        order = np.argsort(late, kind="stable")  # the latest writes last, and stays
        edges, late = edges[order], late[order]
        is_later = late > arrival[targets[edges]]
        arrival[targets[edges[is_later]]] = late[is_later]
        edge_into[targets[edges[is_later]]] = edges[is_later]
    left = np.flatnonzero(waiting)
    if len(left):
        raise _loop(netlist, graph, set(left.tolist()))
    return arrival, edge_into


def _levels(
    sources: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int64],
    waiting: npt.NDArray[np.int64],
    ready: npt.NDArray[np.int64],
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the edges out of nodes of which all incoming edges have been yielded.

    Args:
        sources: of the edges.
        targets: of the edges.
        waiting: by node, how many edges into it have not been yielded; kept up to date.
        ready: the nodes without incoming edges.
    """
    order = np.argsort(sources, kind="stable")
    begins = np.searchsorted(sources[order], np.arange(len(waiting) + 1))
    while len(ready):
        counts = begins[ready + 1] - begins[ready]
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        edges = order[np.repeat(begins[ready], counts) + offsets]
        yield edges
        np.subtract.at(waiting, targets[edges], 1)
        reached = np.unique(targets[edges])
        ready = reached[waiting[reached] == 0]


def _loop(netlist: Netlist, graph: _Graph, nodes: set[int]) -> InternalError:
    """Return the error for a combinational loop, which is among some nodes that wait for others."""
    before = {
        target: (source, hop.cell)
        for source, target, hop in zip(graph.sources, graph.targets, graph.hops, strict=True)
        if source in nodes
    }
    node = next(iter(nodes))
    seen: dict[int, int] = {}
    while node not in seen:
        seen[node] = len(seen)
        node = before[node][0]
    around = [before[n][1] for n, place in seen.items() if place >= seen[node]]
    names = list(dict.fromkeys(netlist.cells[cell].name for cell in around))
    return InternalError(
        f"the netlist has a combinational loop through {len(names)} cells",
        where=", ".join(names[:MAX_NAMED]),
    )
