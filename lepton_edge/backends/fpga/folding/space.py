"""All foldings of a network: the options of each actor, and what neighbours cost together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.dataflow import (
    AXI_LITE,
    Actor,
    Dataflow,
    connect,
    must_agree,
)
from lepton_edge.backends.fpga.folding.budget import PRICES, counts
from lepton_edge.backends.fpga.folding.pins import Pins, check_pins, exclusive, obeying
from lepton_edge.backends.fpga.folding.problem import Joint, Part, Problem
from lepton_edge.backends.fpga.kernels.base import Elem, Kernel
from lepton_edge.backends.fpga.kernels.fifo import MIN_DEPTH, fifo
from lepton_edge.backends.fpga.kernels.plumbing import Fork, Stream, WidthConverter, converters
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.ir.types import Array


@dataclass(frozen=True)
class Decision:
    """An actor that chooses its folding; forks follow their writers and choose nothing.

    Args:
        actor: the actor.
        kernels: its foldings, those that another one beats everywhere left out.
        cycles: int64 [kernels], cycles a frame.
        costs: int64 [kernels, resources], in units.
        lanes: int64 [kernels, ports], of its inputs and then of its output.
        forks: the streams behind it that end at forks, and these.
    """

    actor: Actor
    kernels: tuple[Kernel, ...]
    cycles: Array
    costs: Array
    lanes: Array
    forks: tuple[tuple[str, Fork], ...]

    @cached_property
    def columns(self) -> list[int]:
        """For each port the first one that has the same lanes in all options."""
        return [
            next(c for c in range(p + 1) if (self.lanes[:, c] == self.lanes[:, p]).all())
            for p in range(self.lanes.shape[1])
        ]


@dataclass(frozen=True)
class Link:
    """A stream between two deciding actors, as lowered: without converters.

    Args:
        stream: its name.
        writer: index of the decision that writes it, directly or through forks.
        reader: index of the decision that reads it.
        port: which input of the reader.
        elem: its elements.
        elements: how many a frame.
        must_agree: whether both ends need the same lanes.
    """

    stream: str
    writer: int
    reader: int
    port: int
    elem: Elem
    elements: int
    must_agree: bool


@dataclass(frozen=True)
class Waiting:
    """Elements that a stream was seen to need room for, beside what a plain FIFO has.

    Args:
        before: in front of the width converter.
        behind: behind it, or where there is none.
    """

    before: int = 0
    behind: int = 0


@dataclass(frozen=True)
class Row:
    """A limit beside the resources that a choice must keep.

    Args:
        options: int64 [kernels] for each decision.
        converters: int64, for each link, what a converter there adds.
        fixed: what is there whatever is chosen.
        limit: the most that the sum may be.
    """

    options: tuple[Array, ...]
    converters: tuple[int, ...]
    fixed: int
    limit: int


class Space:
    """Everything that a network may become.

    Args:
        dataflow: as lowered.
        pins: foldings that the user fixed.

    Raises:
        ConfigError: a pinned folding is not legal, with the legal values.
    """

    def __init__(self, dataflow: Dataflow, pins: Pins) -> None:
        self.dataflow = dataflow
        deciding = [a for a in dataflow.actors if not isinstance(a.kernel, Fork)]
        foldings = {a.name: list(a.kernel.foldings()) for a in deciding}
        free = [a for a in deciding if not isinstance(a.kernel, Stream)]
        check_pins([(a, foldings[a.name]) for a in free], pins)
        for actor in free:
            foldings[actor.name] = obeying(foldings[actor.name], actor, pins)
        self.decisions = [_decision(a, foldings[a.name], _forks(dataflow, a)) for a in deciding]
        self.links = _links(dataflow, [a.name for a in deciding])
        for link in self.links:
            writer, reader = self.decisions[link.writer], self.decisions[link.reader]
            common = np.isin(writer.lanes[:, -1], reader.lanes[:, link.port])
            if link.must_agree and not common.any():
                raise exclusive(reader.actor.layer)

    @cached_property
    def cycle_counts(self) -> list[int]:
        """The cycle counts that some option has, ascending, from the fastest possible."""
        floor = max(int(d.cycles.min()) for d in self.decisions)
        return sorted({int(c) for d in self.decisions for c in d.cycles if c >= floor})

    @property
    def bottleneck(self) -> Actor:
        """The slowest actor when everything is as fast as it can be."""
        return max(self.decisions, key=lambda d: int(d.cycles.min())).actor

    def problem(
        self, budget: Resources, waiting: Mapping[str, Waiting], rows: Sequence[Row] = ()
    ) -> Problem:
        """Return the choice among all options.

        Args:
            budget: what the network may use.
            waiting: what FIFOs hold, by stream; where nothing is said they are plain.
            rows: what else is limited.
        """
        parts: list[Part] = []
        variables: list[list[int]] = []
        values: list[Array] = []
        for index, decision in enumerate(self.decisions):
            columns = sorted(set(decision.columns))
            names = {column: len(values) + k for k, column in enumerate(columns)}
            variables.append([names[c] for c in decision.columns])
            found = [np.unique(decision.lanes[:, c], return_inverse=True) for c in columns]
            values += [lanes for lanes, _ in found]
            parts.append(
                Part(
                    np.arange(len(decision.kernels)),
                    decision.cycles,
                    np.column_stack(
                        [decision.costs + _fork_costs(decision, waiting)]
                        + [row.options[index] for row in rows]
                    ),
                    tuple(names.values()),
                    np.stack([places for _, places in found], axis=1),
                )
            )
        joints: list[Joint] = []
        for index, link in enumerate(self.links):
            scope = variables[link.writer][-1], variables[link.reader][link.port]
            lanes = tuple(values[scope[0]].tolist()), tuple(values[scope[1]].tolist())
            costs = _joint_costs(
                link.elem, link.elements, *lanes, waiting.get(link.stream, Waiting())
            )
            differ = values[scope[0]][:, None] != values[scope[1]]
            extra = [(differ * row.converters[index])[..., None] for row in rows]
            allowed = ~differ if link.must_agree else np.ones_like(differ)
            joints.append(Joint(scope, np.concatenate([costs, *extra], axis=2), allowed))
        return Problem(
            tuple(parts),
            tuple(joints),
            tuple(len(v) for v in values),
            np.append(counts(AXI_LITE), np.array([row.fixed for row in rows], np.int64)),
            np.append(counts(budget), np.array([row.limit for row in rows], np.int64)),
            np.append(PRICES, np.zeros(len(rows))),
        )

    def connected(self, options: Sequence[int]) -> Dataflow:
        """Return the network with the chosen foldings, connected."""
        kernels = {d.actor.name: d.kernels[k] for d, k in zip(self.decisions, options, strict=True)}
        return connect(self.dataflow.with_kernels(lambda a: kernels.get(a.name, a.kernel)))

    def observed(self, planned: Dataflow) -> dict[str, Waiting]:
        """Return what the FIFOs of a network with depths have room for, by stream as lowered."""
        waiting: dict[str, Waiting] = {}
        for stream in self.dataflow.streams:
            reader = planned.reader[stream][0]
            held = _held(planned, stream)
            if isinstance(reader.kernel, WidthConverter):
                waiting[stream] = Waiting(held, _held(planned, reader.outputs[0]))
            else:
                waiting[stream] = Waiting(0, held)
        return {stream: room for stream, room in waiting.items() if room != Waiting()}


def _held(planned: Dataflow, stream: str) -> int:
    """Return the elements that wait in a stream's FIFO, and for it in a line buffer."""
    depth, reader = planned.depth(stream), planned.reader[stream][0].kernel
    words = 0 if depth <= MIN_DEPTH else depth
    if isinstance(reader, SlidingWindow) and not reader.is_wide:
        words += max(0, reader.depth - reader.span - reader.usual_spare)
    return words * planned.writer[stream][1].lanes


def _decision(
    actor: Actor, kernels: Sequence[Kernel], forks: Sequence[tuple[str, Fork]]
) -> Decision:
    lanes = np.array([[p.lanes for p in (*k.inputs, k.outputs[0])] for k in kernels], np.int64)
    cycles = np.array([k.cycles for k in kernels], np.int64)
    costs = np.stack([counts(k.resources) for k in kernels])
    kept = _undominated(lanes, np.column_stack([cycles, costs]))
    return Decision(
        actor,
        tuple(kernels[k] for k in kept),
        cycles[kept],
        costs[kept],
        lanes[kept],
        tuple(forks),
    )


def _undominated(lanes: Array, costs: Array) -> list[int]:
    """Return the options that no other one with the same lanes beats or equals everywhere."""
    groups: dict[bytes, list[int]] = {}
    for index in np.lexsort(costs.T[::-1]).tolist():
        group = groups.setdefault(lanes[index].tobytes(), [])
        if not any((costs[other] <= costs[index]).all() for other in group):
            group.append(index)
    return sorted(index for group in groups.values() for index in group)


def _forks(dataflow: Dataflow, actor: Actor) -> list[tuple[str, Fork]]:
    """Return the streams that lead from an actor into forks, and the forks."""
    found: list[tuple[str, Fork]] = []
    streams = list(actor.outputs)
    while streams:
        stream = streams.pop()
        reader = dataflow.reader[stream][0] if stream in dataflow.reader else None
        if reader and isinstance(reader.kernel, Fork):
            found.append((stream, reader.kernel))
            streams += reader.outputs
    return found


def _links(dataflow: Dataflow, names: Sequence[str]) -> list[Link]:
    index = {name: k for k, name in enumerate(names)}
    origin: dict[str, int] = {}
    for actor in dataflow.actors:
        is_fork = isinstance(actor.kernel, Fork)
        source = origin[actor.inputs[0]] if is_fork else index[actor.name]
        origin |= dict.fromkeys(actor.outputs, source)
    return [
        Link(
            stream,
            origin[stream],
            index[actor.name],
            port,
            actor.kernel.inputs[port].elem,
            actor.kernel.inputs[port].elements,
            must_agree(dataflow.writer[stream][0].kernel),
        )
        for actor in dataflow.actors
        if actor.name in index
        for port, stream in enumerate(actor.inputs)
        if stream in origin
    ]


def _fork_costs(decision: Decision, waiting: Mapping[str, Waiting]) -> Array:
    """Return what the forks behind an actor cost, with the FIFOs in front: [kernels, resources]."""
    costs = np.zeros_like(decision.costs)
    out = decision.actor.kernel.outputs[0]
    for lanes in np.unique(decision.lanes[:, -1]) if decision.forks else ():
        total = Resources()
        for stream, fork in decision.forks:
            room = waiting.get(stream, Waiting())
            total += replace(fork, lanes=int(lanes)).resources
            total += _fifo(out.elem, int(lanes), room.before + room.behind)
        costs[decision.lanes[:, -1] == lanes] = counts(total)
    return costs


def _fifo(elem: Elem, lanes: int, held: int) -> Resources:
    return fifo(elem.bits * lanes, max(MIN_DEPTH, -(-held // lanes)))


@lru_cache(maxsize=4096)
def _joint_costs(
    elem: Elem,
    elements: int,
    out_lanes: tuple[int, ...],
    in_lanes: tuple[int, ...],
    waiting: Waiting,
) -> Array:
    """Return the cost of FIFOs and converters between lanes: [out_lanes, in_lanes, resources]."""
    table = np.zeros((len(out_lanes), len(in_lanes), len(PRICES)), np.int64)
    for i, a in enumerate(out_lanes):
        for j, b in enumerate(in_lanes):
            if a == b:
                cost = _fifo(elem, a, waiting.before + waiting.behind)
            else:
                cost = _fifo(elem, a, waiting.before) + _fifo(elem, b, waiting.behind)
                for converter in converters(elem, elements, a, b):
                    cost += converter.resources
            table[i, j] = counts(cost)
    return table
