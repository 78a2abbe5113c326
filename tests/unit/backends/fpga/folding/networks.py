"""Networks small enough to try everything, and all that can be made of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import astuple, dataclass

import numpy as np

from lepton_edge.backends.boards import Board, Resources
from lepton_edge.backends.fpga.dataflow import Dataflow, connect
from lepton_edge.backends.fpga.folding import budget_of
from lepton_edge.backends.fpga.folding.budget import price_of
from lepton_edge.backends.fpga.kernels.base import Kernel
from lepton_edge.backends.fpga.kernels.plumbing import Fork
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.backends.fpga.schedule import latency_cycles, sized
from lepton_edge.ir.types import Array, QuantType


def mlp(net) -> Dataflow:
    n = net("mlp")
    return n.dataflow(n.dense("b", n.requantize("q", n.dense("a", n.input(6), 4)), 3))


def conv(net) -> Dataflow:
    n = net("conv")
    return n.dataflow(n.layer("c", n.input(4, 4, 2), 4))


def depthwise(net) -> Dataflow:
    n = net("depthwise")
    d = n.requantize("q", n.conv("d", n.input(5, 5, 4), 4, groups=4))
    return n.dataflow(n.dense("fc", n.flatten("flat", d), 2))


def residual(net) -> Dataflow:
    n = net("residual")
    x = n.input(8)
    return n.dataflow(n.add("sum", n.requantize("q", n.dense("a", x, 8)), x))


SMALL = [mlp, conv, depthwise, residual]


def deep_residual(net, blocks: int, channels: tuple[int, ...], size: int) -> Dataflow:
    """A residual network as for CIFAR-10: two 3x3 layers a block, the channels in equal stages."""
    n = net("deep_residual")
    n.codes = QuantType(8, False, (0.5,), (3,))
    x = n.layer("stem", n.input(size, size, 4), channels[0])
    for index in range(blocks):
        stage, first = divmod(index, blocks // len(channels))
        width, name = channels[stage], f"block{index}"
        strides = (2, 2) if stage and not first else (1, 1)
        y = n.requantize(f"{name}.a_q", n.conv(f"{name}.a", x, width, strides=strides))
        y = n.layer(f"{name}.b", y, width)
        if n.shape(x) != n.shape(y):
            skip = n.conv(f"{name}.skip", x, width, kernel=1, strides=strides)
            x = n.requantize(f"{name}.skip_q", skip)
        x = n.add(f"{name}.sum", y, x)
    x = n.requantize("pool_q", n.global_sum("pool", x))
    return n.dataflow(n.dense("fc", n.flatten("flat", x), 10))


@dataclass(frozen=True)
class Everything:
    """All designs of a network, as arrays over designs.

    Args:
        needs: resources [designs, resources].
        cycles: a frame.
        latencies: from the first input to the last output.
    """

    designs: tuple[Dataflow, ...]
    needs: Array
    cycles: Array
    latencies: Array

    @classmethod
    def of(cls, flow: Dataflow) -> Everything:
        designs = tuple(_designs(flow))
        needs = np.array([astuple(d.resources) for d in designs])
        cycles = np.array([d.cycles for d in designs])
        return cls(designs, needs, cycles, np.array([latency_cycles(d) for d in designs]))

    def within(self, budget: Resources) -> Array:
        """Return which designs fit."""
        return np.asarray((self.needs <= np.array(astuple(budget))).all(axis=1))

    def least_price(self, budget: Resources, among: Array) -> float:
        """Return the price of the cheapest of some designs."""
        chosen = itertools.compress(self.designs, among.tolist())
        return min(price_of(design.resources, budget) for design in chosen)


def _designs(flow: Dataflow) -> Iterator[Dataflow]:
    def choices(actor) -> list[Kernel | None]:
        return [None] if isinstance(actor.kernel, Fork) else list(actor.kernel.foldings())

    for combination in itertools.product(*map(choices, flow.actors)):
        kernels = {a.name: k for a, k in zip(flow.actors, combination, strict=True)}
        if _agree(flow, kernels):
            connected = connect(
                flow.with_kernels(lambda a, kernels=kernels: kernels[a.name] or a.kernel)
            )
            yield sized(connected)


def _agree(flow: Dataflow, kernels: dict[str, Kernel | None]) -> bool:
    """Whether the readers of channelwise windows have their lanes."""
    for actor in flow.actors:
        window = kernels[actor.name]
        if isinstance(window, SlidingWindow) and window.is_channelwise:
            reader = kernels[flow.reader[actor.outputs[0]][0].name]
            if reader is not None and reader.inputs[0].lanes != window.lanes:
                return False
    return True


def random_budgets(board: Board, count: int, seed: int = 5) -> Iterator[Resources]:
    """Yield budgets in about the proportions of a board, from too little to plenty."""
    rng = np.random.default_rng(seed)
    whole = np.array(astuple(budget_of(board)))
    for _ in range(count):
        part = whole * rng.uniform(0.01, 0.15) * rng.uniform(0.7, 1.4, len(whole))
        yield Resources(int(part[0]), int(part[1]), int(part[2]), int(part[3]), 0)
