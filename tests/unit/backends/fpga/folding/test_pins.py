"""Pins: obeyed, or refused with what there is; read from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lepton_edge.backends.fpga.folding import Goal, plan, read_pins
from lepton_edge.errors import ConfigError, UnknownNameError
from tests.unit.backends.fpga.folding.networks import conv, depthwise


def test_pins_are_obeyed(net, plenty) -> None:
    planned = plan(conv(net), plenty, Goal(), {"c": {"pe": 2, "simd": 3, "dsp": 0, "lanes": 1}})
    foldings = {a.name: a.kernel.folding for a in planned.actors if a.layer == "c"}
    assert foldings["c"] == {"pe": 2, "simd": 3, "dsp": 0, "bram": 0}
    assert foldings["c_pad"] == {"lanes": 1}
    assert foldings["c_window"] == {"lanes": 1, "line_bram": 0, "taps": 1}


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
    assert foldings["d_window"] == {"lanes": 2, "line_bram": 0}
    assert foldings["d"]["pe"] == 2


@pytest.mark.parametrize("where", [0, 1])
def test_weights_and_line_buffers_stay_where_they_are_pinned(net, plenty, where: int) -> None:
    n = net()
    x = n.layer("c", n.input(32, 32, 8), 16)
    flow = n.dataflow(n.layer("d", n.layer("e", x, 64, kernel=1), 64, groups=64))
    pins = {name: {"bram": where, "line_bram": where} for name in ("c", "d")}
    planned = plan(flow, plenty, Goal(cycles=400_000), pins)
    foldings = {a.name: a.kernel.folding for a in planned.actors}
    assert foldings["c"]["bram"] == foldings["d"]["bram"] == where
    assert foldings["c_window"]["line_bram"] == foldings["d_window"]["line_bram"] == where


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
