"""Folding: the budget is kept, goals are met or refused with numbers, pins are obeyed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.dataflow import Dataflow, connect
from lepton_edge.backends.fpga.folding import DSP_PRICE, Goal, budget_of, plan, read_pins
from lepton_edge.backends.fpga.kernels.base import Kernel
from lepton_edge.backends.fpga.kernels.plumbing import Fork
from lepton_edge.backends.fpga.kernels.window import SlidingWindow
from lepton_edge.backends.fpga.schedule import latency_cycles, sized
from lepton_edge.errors import ConfigError, DoesNotFitError, UnknownNameError

# -- networks small enough to try everything ------------------------------------------------------


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


every_network = pytest.mark.parametrize(
    "make", [mlp, conv, depthwise, residual], ids=lambda make: make.__name__
)


def everything(flow: Dataflow) -> Iterator[Dataflow]:
    """Plan a network in every combination of its actors' foldings."""

    def choices(actor) -> list[Kernel | None]:
        follows = isinstance(actor.kernel, Fork) or getattr(actor.kernel, "is_channelwise", False)
        return [None] if follows else list(actor.kernel.foldings())

    for combination in itertools.product(*map(choices, flow.actors)):
        kernels = {a.name: k for a, k in zip(flow.actors, combination, strict=True)}

        def kernel(actor, kernels=kernels):
            if not isinstance(actor.kernel, SlidingWindow) or not actor.kernel.is_channelwise:
                return kernels[actor.name] or actor.kernel
            reader, _ = flow.reader[actor.outputs[0]]
            return replace(actor.kernel, lanes=kernels[reader.name].inputs[0].lanes)

        connected = connect(flow.with_kernels(kernel))
        yield sized(connected)


def random_budgets(board, count: int) -> Iterator[Resources]:
    """Yield budgets in about the proportions of a board, from too little to plenty."""
    rng = np.random.default_rng(5)
    whole = np.array(astuple(budget_of(board)))
    for _ in range(count):
        part = whole * rng.uniform(0.01, 0.15) * rng.uniform(0.7, 1.4, len(whole))
        yield Resources(int(part[0]), int(part[1]), int(part[2]), int(part[3]), 0)


@every_network
def test_plans_are_nearly_the_best_there_are(net, board, make) -> None:
    """Within 5 % of exhaustive search for nearly all budgets."""
    flow = make(net)
    plans = list(everything(flow))
    needs = np.array([astuple(p.resources) for p in plans])
    cycles = np.array([p.cycles for p in plans])
    ratios = []
    for budget in random_budgets(board, 60):
        fits = (needs <= np.array(astuple(budget))).all(axis=1)
        if not fits.any():
            with pytest.raises(DoesNotFitError):
                plan(flow, budget, Goal())
            continue
        try:
            found = plan(flow, budget, Goal())
        except DoesNotFitError:
            ratios.append(np.inf)
            continue
        assert found.resources.fits(budget)
        assert found.cycles >= cycles[fits].min()
        ratios.append(found.cycles / cycles[fits].min())
    assert len(ratios) > 20
    assert np.mean(np.array(ratios) > 1.05) <= 0.08


def share(amount: Resources, budget: Resources) -> float:
    """Return what a plan takes of a budget, DSP blocks at their price."""
    shares = amount.utilisation(budget)
    return sum(shares.values()) - (1 - DSP_PRICE) * shares["dsp"]


@every_network
def test_a_rate_is_met_by_the_cheapest_found(net, plenty, make) -> None:
    flow = make(net)
    plans = [(p.cycles, share(p.resources, plenty)) for p in everything(flow)]
    for goal in sorted({cycles for cycles, _ in plans})[::3]:
        found = plan(flow, plenty, Goal(cycles=goal))
        assert found.cycles <= goal
        least = min(cost for cycles, cost in plans if cycles <= goal)
        assert share(found.resources, plenty) <= 1.25 * least


@every_network
def test_a_larger_budget_is_never_slower(net, board, make) -> None:
    flow = make(net)
    for budget in random_budgets(board, 15):
        try:
            cycles = [
                plan(flow, Resources(*(int(v * k) for v in astuple(budget))), Goal()).cycles
                for k in (1, 1.5, 2, 4)
            ]
        except DoesNotFitError:
            continue
        assert cycles == sorted(cycles, reverse=True)


def test_a_fork_does_not_limit_the_rate(net, plenty) -> None:
    """Its words are as wide as its writer's, whatever they were before folding."""
    n = net()
    x = n.requantize("stem_q", n.dense("stem", n.input(64), 64))
    flow = n.dataflow(n.add("sum", n.requantize("q", n.dense("a", x, 64)), x))
    assert (
        plan(flow, replace(plenty, lut=10**7, ff=10**7), Goal()).cycles == 8
    )  # 64 codes, 8 a word


def test_a_huge_layer_is_planned_quickly(net, plenty) -> None:
    n = net()
    flow = n.dataflow(n.dense("fc", n.input(2048), 1000))
    started = time.perf_counter()
    planned = plan(flow, plenty, Goal())
    assert time.perf_counter() - started < 2
    assert planned.resources.fits(plenty)


def test_multipliers_move_to_luts_when_dsps_run_out(net, plenty) -> None:
    flow = mlp(net)
    fast = plan(flow, plenty, Goal())
    assert plan(flow, replace(plenty, dsp=4), Goal()).cycles == fast.cycles


# -- goals ----------------------------------------------------------------------------------------


def test_a_rate_beyond_reach_says_what_limits_it(net, plenty) -> None:
    flow = conv(net)
    fastest = plan(flow, plenty, Goal()).cycles
    with pytest.raises(DoesNotFitError) as caught:
        plan(flow, plenty, Goal(cycles=fastest - 1))
    text = str(caught.value)
    assert f"takes at least {fastest} cycles a frame; the goal allows {fastest - 1}" in text
    assert f"at most one frame in {fastest} cycles" in text
    assert plan(flow, plenty, Goal(cycles=fastest)).cycles == fastest


def test_a_rate_beyond_the_budget_says_by_how_much(net) -> None:
    flow = conv(net)
    with pytest.raises(DoesNotFitError) as caught:
        plan(flow, Resources(lut=900, ff=5000, dsp=9), Goal(cycles=250))
    text = str(caught.value)
    assert "cycles a frame the design needs lut" in text
    assert "of 900" in text
    assert "most lut goes to layer 'c'" in text
    assert "it would fit" in text


@pytest.mark.parametrize("budget", [Resources(), Resources(lut=1), Resources(dsp=100)])
def test_next_to_nothing_is_refused(net, budget: Resources) -> None:
    for make in (mlp, conv, depthwise, residual):
        with pytest.raises(DoesNotFitError, match="the design needs lut"):
            plan(make(net), budget, Goal())


def test_latency_is_met_by_a_smaller_design_or_refused(net, plenty) -> None:
    flow = conv(net)
    fastest = plan(flow, plenty, Goal())
    least = latency_cycles(fastest)
    relaxed = plan(flow, plenty, Goal(latency=3 * least))
    assert latency_cycles(relaxed) <= 3 * least
    assert relaxed.resources.lut < fastest.resources.lut
    assert plan(flow, plenty, Goal(latency=least)).cycles >= fastest.cycles
    with pytest.raises(DoesNotFitError, match=f"takes {least} cycles from input to output"):
        plan(flow, plenty, Goal(latency=least - 1))


def test_rate_and_latency_together(net, plenty) -> None:
    flow = conv(net)
    slow = plan(flow, plenty, Goal(cycles=600))
    limit = latency_cycles(slow) - 1
    both = plan(flow, plenty, Goal(cycles=600, latency=limit))
    assert both.cycles <= 600
    assert latency_cycles(both) <= limit


@every_network
def test_a_latency_plan_stays_within_the_budget(net, board, make) -> None:
    for budget in random_budgets(board, 10):
        for limit in (100, 400, 2000):
            try:
                found = plan(make(net), budget, Goal(latency=limit))
            except DoesNotFitError:
                continue
            assert found.resources.fits(budget)
            assert latency_cycles(found) <= limit


# -- pins -----------------------------------------------------------------------------------------


def test_pins_are_obeyed(net, plenty) -> None:
    planned = plan(conv(net), plenty, Goal(), {"c": {"pe": 2, "simd": 3, "dsp": 0, "lanes": 1}})
    foldings = {a.name: a.kernel.folding for a in planned.actors if a.layer == "c"}
    assert foldings["c"] == {"pe": 2, "simd": 3, "dsp": 0}
    assert foldings["c_pad"] == {"lanes": 1}
    assert foldings["c_window"] == {"lanes": 1, "taps": 1}


def test_a_pin_on_a_layer_whose_output_is_forked(net, plenty) -> None:
    n = net()
    x = n.layer("c", n.input(4, 4, 2), 4)
    flow = n.dataflow(n.add("sum", n.layer("d", x, 4), x))
    planned = plan(flow, plenty, Goal(), {"c_q": {"lanes": 2}})
    (requantize,) = (a.kernel for a in planned.actors if a.name == "c_q")
    assert requantize.folding == {"lanes": 2}


def test_a_pin_reaches_the_window_of_a_depthwise_layer(net, plenty) -> None:
    planned = plan(depthwise(net), plenty, Goal(), {"d": {"lanes": 2}})
    foldings = {a.name: a.kernel.folding for a in planned.actors if a.layer == "d"}
    assert foldings["d_window"] == {"lanes": 2}
    assert foldings["d"]["pe"] == 2


def test_pins_that_exclude_each_other(net, plenty) -> None:
    with pytest.raises(ConfigError, match=r"'d'.*exclude each other"):
        plan(depthwise(net), plenty, Goal(), {"d": {"lanes": 2, "pe": 4}})


def test_an_illegal_pin_names_the_legal_ones(net, plenty) -> None:
    with pytest.raises(ConfigError, match=r"pe = 3 is not a folding.*wanted one of 1, 2, 4$"):
        plan(conv(net), plenty, Goal(), {"c": {"pe": 3}})
    with pytest.raises(
        ConfigError, match=r"'cores' is not a folding parameter of this layer; it has"
    ):
        plan(conv(net), plenty, Goal(), {"c": {"cores": 3}})


def test_a_pin_of_an_unknown_layer_suggests_one(net, plenty) -> None:
    with pytest.raises(UnknownNameError) as caught:
        plan(conv(net), plenty, Goal(), {"c_p": {"pe": 1}})
    assert str(caught.value) == "no layer is named 'c_p'\nhint: did you mean c_q or c?"


def test_pins_are_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "folding.toml"
    path.write_text('["block/conv1"]\npe = 4\nsimd = 8\n[fc]\ndsp = 0\n')
    assert read_pins(path) == {"block/conv1": {"pe": 4, "simd": 8}, "fc": {"dsp": 0}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[c\n", "not a TOML file"),
        ("pe = 4\n", "layer 'pe'.*wanted a table of whole numbers"),
        ("[c]\npe = 1.5\n", "layer 'c'.*wanted a table of whole numbers"),
        ("[c]\ndsp = true\n", "layer 'c'.*wanted a table of whole numbers"),
        (b"\xff\xfe", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_folding_file(tmp_path: Path, text, message: str) -> None:
    path = tmp_path / "folding.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message) as caught:
        read_pins(path)
    assert str(path) in str(caught.value)
