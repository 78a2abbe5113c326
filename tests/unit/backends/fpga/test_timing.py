"""Static timing analysis: sums known by hand, names, and what is refused."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lepton_edge.artifact.report import Evidence
from lepton_edge.backends.fpga.timing.analysis import Timing, analyse, slowest
from lepton_edge.backends.fpga.timing.ecp5 import ECP5
from lepton_edge.backends.fpga.timing.netlist import CONSTANT, flatten, load_netlist
from lepton_edge.backends.fpga.timing.words import best_name, instance_of, readable
from lepton_edge.backends.fpga.timing.xc7 import XC7
from lepton_edge.errors import (
    InternalError,
    LeptonError,
    ToolFailedError,
    UnknownNameError,
    UnsupportedError,
    UserError,
)

OUTPUTS = frozenset({"Q", "Q31", "O", "CO", "P", "PCOUT", "DOA", "DOADO", "DOBDO", "SPO", "DPO"})
Bit = int | str


@dataclass
class Design:
    """A netlist made by hand, as Yosys would write it."""

    cells: dict[str, Any] = field(default_factory=dict)
    ports: dict[str, Any] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=lambda: {"top": "1"})

    def cell(self, kind: str, name: str = "", **pins: Bit | Sequence[Bit]) -> Design:
        """Add a cell; pins of capital letters, parameters by ``parameters``."""
        parameters = pins.pop("parameters", {})
        self.cells[name or f"c{len(self.cells)}"] = {
            "type": kind,
            "parameters": parameters,
            "port_directions": {p: "output" if p in OUTPUTS else "input" for p in pins},
            "connections": {
                p: [b] if isinstance(b, int | str) else list(b) for p, b in pins.items()
            },
        }
        return self

    def port(self, name: str, direction: str, *bits: Bit) -> Design:
        self.ports[name] = {"direction": direction, "bits": list(bits)}
        return self

    def named(self, name: str, *bits: Bit) -> Design:
        self.names[name] = {"hide_name": 0, "bits": list(bits)}
        return self

    def module(self) -> dict[str, Any]:
        parts = {"ports": self.ports, "cells": self.cells, "netnames": self.names}
        return {"attributes": self.attributes, **parts}

    def document(self, **others: Design) -> dict[str, Any]:
        modules = {name: other.module() for name, other in others.items()}
        return {"modules": {"design": self.module(), **modules}}


def register(design: Design, d: Bit, q: Bit, **more: Any) -> Design:
    return design.cell("FDRE", C="0", D=d, Q=q, **{"CE": "1", "R": "0", **more})


def routed(loads: int) -> float:
    return 650 + 130 * math.log2(loads)


def period_ps(timing: Timing) -> float:
    return 1e6 / timing.fmax_mhz


def analysed(design: Design) -> Timing:
    return analyse(design.document(), "xc7")


# -- sums ---------------------------------------------------------------------------------------


def test_register_to_register_through_a_lut() -> None:
    """The LUT's net is inside the slice; clock to output, a routed net, the LUT, the clock."""
    design = register(register(Design(), "0", 2), 3, 4).cell("LUT2", I0=2, I1="0", O=3)
    timing = analysed(design)
    assert period_ps(timing) == pytest.approx(456 + routed(1) + 127 + 250)
    assert [step.cell for step in timing.steps] == ["LUT2", "FDRE"]
    assert (timing.low_mhz, timing.high_mhz) == pytest.approx(
        (0.7 * timing.fmax_mhz, 1.3 * timing.fmax_mhz)
    )


def test_a_net_with_more_loads_takes_longer() -> None:
    design = register(Design(), "0", 2)
    for index in range(8):
        register(design, 10 + index, 20 + index).cell("LUT1", I0=2, O=10 + index)
    assert period_ps(analysed(design)) == pytest.approx(456 + routed(8) + 127 + 250)


def test_of_two_registers_on_a_lut_one_is_outside_the_slice() -> None:
    design = register(Design(), "0", 2).cell("LUT1", I0=2, O=3)
    register(register(design, 3, 4), 3, 5)
    assert period_ps(analysed(design)) == pytest.approx(456 + routed(1) + 127 + routed(2) + 250)


def test_the_clock_enable_has_its_own_setup_time() -> None:
    design = register(register(Design(), "0", 2), "0", 3, CE=2)
    timing = analysed(design)
    assert period_ps(timing) == pytest.approx(456 + routed(1) + 205 + 250)
    assert "(clock enable)" in str(timing)


def test_a_carry_chain_takes_no_routing_and_counts_as_one_level() -> None:
    """From S[0] to CO[3] of the first block, through the second, to O[3] of the third."""
    design = register(Design(), "0", 2).cell("LUT1", I0=2, O=3)
    blocks: list[tuple[Bit, int, int]] = [("0", 10, 20), (13, 30, 40), (33, 50, 60)]
    for carry, co, o in blocks:
        design.cell(
            "CARRY4",
            CI=carry,
            CYINIT="0",
            DI=["0"] * 4,
            S=[3 if carry == "0" else "0", "0", "0", "0"],
            CO=range(co, co + 4),
            O=range(o, o + 4),
        )
    register(design, 63, 4)
    timing = analysed(design)
    assert period_ps(timing) == pytest.approx(456 + routed(1) + 127 + 508 + 114 + 313 + 250)
    assert timing.logic == ("LUT", "carry chain")


def test_what_is_no_lut_reaches_a_carry_through_one() -> None:
    design = register(Design(), "0", 2)
    design.cell("CARRY4", CI="0", S=[2, "0", "0", "0"], O=[3, 4, 5, 6])
    register(design, 3, 7)
    assert period_ps(analysed(design)) == pytest.approx(456 + routed(1) + 127 + 223 + 250)


@pytest.mark.parametrize(
    ("registers", "before_ps", "after_ps"),
    [
        ({"AREG": 1, "MREG": 1, "PREG": 1}, 254, 329),
        ({"AREG": 0, "MREG": 1, "PREG": 1}, 1416, 329),
        ({"AREG": 0, "MREG": 0, "PREG": 1}, 2739, 329),
        ({"AREG": 1, "MREG": 1, "PREG": 0}, 254, 1671),
        ({"AREG": 1, "MREG": 0, "PREG": 0}, 254, 2952),
    ],
)
def test_a_dsp_block_is_timed_to_its_first_register_and_from_its_last(
    registers: Mapping[str, int], before_ps: int, after_ps: int
) -> None:
    none = dict.fromkeys(("BREG", "CREG", "OPMODEREG", "ALUMODEREG", "CARRYINREG"), 0)
    parameters = {k: str(v) for k, v in {**none, "CARRYINSELREG": 0, **registers}.items()}
    into = register(Design(), "0", 2).cell("DSP48E1", A=[2], parameters=parameters)
    block = 950 + 250
    assert period_ps(analysed(into)) == pytest.approx(456 + block + 1.37 * before_ps)
    out = register(Design(), 3, 4).cell("DSP48E1", P=[3], parameters=parameters)
    assert period_ps(analysed(out)) == pytest.approx(1.37 * after_ps + block)


def test_a_dsp_block_without_registers_is_a_long_way() -> None:
    names = "AREG BREG CREG MREG PREG OPMODEREG ALUMODEREG CARRYINREG CARRYINSELREG"
    design = register(register(Design(), "0", 2), 3, 4)
    design.cell("DSP48E1", A=[2], P=[3], parameters=dict.fromkeys(names.split(), "0"))
    timing = analysed(design)
    assert period_ps(timing) == pytest.approx(456 + 2 * 950 + 1.37 * 2823 + 250)
    assert "most is the DSP48E1" in str(timing)


def test_dsp_blocks_hand_on_without_routing() -> None:
    design = Design()
    design.cell("DSP48E1", PCOUT=[2]).cell("DSP48E1", PCIN=[2], P=[3])
    design.port("out", "output", 3)
    assert period_ps(analysed(design)) == pytest.approx(1.37 * (329 + 148 + 1025) + 250)


@pytest.mark.parametrize(("is_registered", "launch_ps"), [("0", 2454), ("1", 882)])
def test_block_ram_with_and_without_its_output_register(is_registered: str, launch_ps: int) -> None:
    design = register(Design(), 2, 3)
    design.cell("RAMB18E1", DOADO=[2], parameters={"DOA_REG": is_registered})
    timing = analysed(design)
    assert period_ps(timing) == pytest.approx(launch_ps + 950 + 250)
    assert timing.launch_ns == launch_ps / 1000


def test_distributed_ram_is_read_at_once_and_written_at_the_clock() -> None:
    design = register(register(Design(), "0", 2), "0", 3)
    design.cell("RAM32M", ADDRA=[2], ADDRD=["0"], DIA=["0"], DOA=[4], WE=3)
    register(design, 4, 5)
    assert period_ps(analysed(design)) == pytest.approx(1330 + routed(1) + 250)  # from the clock
    design.cell("LUT1", I0=3, O=6).cells["c2"]["connections"]["WE"] = [6]
    written = 456 + routed(1) + 127 + routed(1) + 654 + 250
    assert period_ps(analysed(design)) == pytest.approx(written)


def test_ports_count_as_registers_one_net_away() -> None:
    design = Design().port("a", "input", 2).port("y", "output", 3).cell("LUT1", I0=2, O=3)
    timing = analysed(design)
    assert period_ps(timing) == pytest.approx(456 + routed(1) + 127 + routed(1) + 205 + 250)
    assert (timing.start, timing.end) == ("a", "y")


def test_the_ecp5_carry_leaves_its_chain_through_a_cell() -> None:
    """And the rest of the chain then starts anew."""
    module = Design()
    module.cell("CCU2C", A0=2, COUT=3).cell("CCU2C", CIN=3, S0=4).cell("LUT4", A=3, Z=5)
    for cell in module.cells.values():
        for pin in ("COUT", "S0", "Z"):
            cell["port_directions"].update({pin: "output"} if pin in cell["connections"] else {})
    module.port("a", "input", 2).port("y", "output", 4, 5)
    timing = analyse(module.document(), "ecp5")
    routing = ECP5.routing
    chain = routing.delay_ps(1, 3) + 447 + (routing.delay_ps(2, 3) + 443 + 447) + 443
    assert period_ps(timing) == pytest.approx(525 + chain + routing.delay_ps(1, 3))


# -- against every path -----------------------------------------------------------------------


def random_design(seed: int) -> Design:
    """Return registers and LUTs joined at random, without loops."""
    rng = np.random.default_rng(seed)
    nets: list[int] = []
    design = Design()
    for net in range(2, 12):
        nets.append(net)
        register(design, 100 + net, net)
    for net in range(12, 40):
        chosen = rng.choice(nets, size=int(rng.integers(1, 5)), replace=False)
        design.cell(f"LUT{len(chosen)}", O=net, **{f"I{i}": int(n) for i, n in enumerate(chosen)})
        nets.append(net)
    for net in range(2, 12):
        design.cell("LUT1", I0=int(rng.choice(nets)), O=100 + net)
    return design


@pytest.mark.parametrize("seed", range(8))
def test_the_path_is_the_longest_of_all(seed: int) -> None:
    """Every path is walked, one by one."""
    design = random_design(seed)
    loads: dict[int, list[tuple[str, str]]] = {}
    for name, cell in design.cells.items():
        for pin, (net,) in cell["connections"].items():
            if isinstance(net, int) and pin not in OUTPUTS:
                loads.setdefault(net, []).append((name, pin))

    def longest(net: int) -> float:
        delays = []
        for name, pin in loads.get(net, ()):
            cell = design.cells[name]
            if cell["type"] == "FDRE":
                alone = sum(p == "D" for _, p in loads[net]) == 1 and net > 11
                delays.append(0.0 if alone else routed(len(loads[net])))
            else:
                delays.append(routed(len(loads[net])) + 127 + longest(cell["connections"]["O"][0]))
            assert pin == "D" or pin.startswith("I")
        return max(delays, default=-math.inf)

    wanted = 456 + max(longest(net) for net in range(2, 12)) + 250
    assert period_ps(analysed(design)) == pytest.approx(wanted)


# -- netlists ---------------------------------------------------------------------------------


def test_a_netlist_with_hierarchy_is_that_without() -> None:
    inner = Design(attributes={}).port("a", "input", 7).port("y", "output", 8)
    inner.cell("LUT1", I0=7, O=8).named("middle", 8)
    through = Design(attributes={}).port("a", "input", 4).port("y", "output", 4)
    top = register(register(Design(), "0", 2), 5, 6)
    top.cells["u_in"] = instance("through", {"a": 2, "y": 3})
    top.cells["u_lut"] = instance("inner", {"a": 3, "y": 5})
    document = top.document(inner=inner, through=through)
    timing = analyse(document, "xc7")
    assert period_ps(timing) == pytest.approx(456 + routed(1) + 127 + 250)
    assert timing.steps[0].instance == "u_lut.c0"
    names = dict(flatten(document).names)
    assert "u_lut.middle" in names


def instance(module: str, pins: Mapping[str, int]) -> dict[str, Any]:
    connections = {pin: [net] for pin, net in pins.items()}
    directions = {"a": "input", "y": "output"}
    return {"type": module, "connections": connections, "port_directions": directions}


def test_library_modules_are_no_part_of_the_design() -> None:
    library = Design(attributes={"blackbox": "1"})
    design = register(register(Design(attributes={}), "0", 2), 2, 3)
    document = design.document(FDRE=library)
    assert len(flatten(document).cells) == 2


def test_constants_and_open_pins_are_no_nets() -> None:
    cell = flatten(register(Design(), "x", 2).document()).cells[0]
    assert cell.inputs["D"] == (CONSTANT,)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "modules: the netlist"),
        ({"modules": {}}, "0 may be"),
        ({"modules": {"a": {}, "b": {}}}, "2 may be"),
        ({"modules": {"a": []}}, "an object is missing"),
        ({"modules": {"a": {"cells": {"c": {"type": 3}}}}}, "a cell has no type"),
        ({"modules": {"a": {"cells": {"c": {"type": "FDRE"}}}}}, "an object is missing"),
        ({"modules": {"a": {"ports": {"p": {"bits": 1}}}}}, "a list of bits is missing"),
        ({"modules": {"a": {"ports": {"p": {"bits": [None]}}}}}, "a bit is None"),
    ],
)
def test_malformed_netlists_are_refused(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(ToolFailedError, match=problem):
        analyse(document, "xc7")


def test_modules_that_hold_themselves_are_refused() -> None:
    design = Design()
    design.cells["u_again"] = {"type": "design", "connections": {}}
    with pytest.raises(ToolFailedError, match="nested deeper"):
        analysed(design)


def test_a_combinational_loop_names_its_cells() -> None:
    design = register(Design(), "0", 2).cell("LUT2", "u_a.first", I0=2, I1=4, O=3)
    design.cell("LUT1", "u_a.second", I0=3, O=4).cell("LUT1", "behind", I0=4, O=5)
    register(design, 5, 6)
    with pytest.raises(InternalError, match="loop through 2 cells") as caught:
        analysed(design)
    assert set(caught.value.where.split(", ")) == {"u_a.first", "u_a.second"}


def test_unknown_cells_and_families_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="no delays are known for the cell LDCE"):
        analysed(Design().cell("LDCE", D="0", Q=2))
    with pytest.raises(UnknownNameError, match="no family with a timing model is named 'ice40'"):
        analyse({}, "ice40")
    with pytest.raises(UserError, match="no path"):
        analysed(Design().cell("LUT1", I0="0", O=2))


def test_files_that_are_no_netlists_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "netlist.json"
    for text in ("", "[1]", '{"modules"', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(ToolFailedError, match="cannot be used"):
            load_netlist(path)
    with pytest.raises(LeptonError, match="cannot be read"):
        load_netlist(tmp_path / "missing.json")
    path.write_text(json.dumps(register(register(Design(), "0", 2), 2, 3).document()))
    assert analyse(load_netlist(path), "xc7").fmax_mhz > 0
    packed = tmp_path / "netlist.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert load_netlist(packed) == load_netlist(path)
    for damaged in (b"", b"not gzip", packed.read_bytes()[:-9]):
        packed.write_bytes(damaged)
        with pytest.raises(ToolFailedError):
            load_netlist(packed)


# -- names ------------------------------------------------------------------------------------


def test_a_net_has_the_name_that_its_driver_gives_it() -> None:
    names = ["s3__in_data[2]", "u_conv.out_data[2]", "u_conv.u_out.out_data[2]"]
    assert best_name([*names, "u_s3_fifo.u_words.in_data[2]"]) == "u_conv.u_out.out_data[2]"
    assert best_name(["u_conv.codes[1]", "u_conv.u_out.in_data[1]"]) == "u_conv.codes[1]"
    assert best_name(["u_pad.in_ready", "s1__out_ready", "u_s1_fifo.out_ready"]) == "u_pad.in_ready"
    assert best_name([]) == ""


def test_names_lose_the_marks_of_rtl_and_tools() -> None:
    assert readable("u_conv.g_lane[2].g_dsp.u_sum.total[3]") == "conv.lane[2].sum.total[3]"
    raw = "$flatten\\u_conv.\\g_row[0].u_dot.$mul$lepton_dot.sv:114$1155"
    assert readable(raw) == "conv.row[0].dot"
    assert instance_of(raw) == "conv"
    assert instance_of("u_conv.u_out.out_data[2]") == "conv"
    assert instance_of("s3__in_data") == ""


def two_layers() -> Design:
    design = register(register(Design(), "0", 2), 3, 4).cell("LUT1", I0=2, O=3)
    return design.named("u_conv1.u_out.out_valid", 2).named("u_pool.count", 4)


def test_the_path_is_told_in_terms_of_layers() -> None:
    timing = analysed(two_layers())
    assert timing.node == "pool"
    assert str(timing) == (
        "674 MHz estimated, 472 to 877; the longest path is in pool, from conv1.out.out_valid to "
        "pool.count: 1.5 ns, through 1 LUT, 44 % in wires; most is a net with 1 load (0.7 ns)"
    )


def test_the_slowest_part_sets_the_clock() -> None:
    fast = analysed(two_layers())
    slow = replace(fast, fmax_mhz=90.0, low_mhz=60.0, high_mhz=120.0)
    timing = slowest({"conv1": fast, "dense": slow, "pool": fast})
    assert (timing.node, timing.fmax_mhz) == ("dense", 90.0)
    metric = timing.metric()
    assert (metric.name, metric.value, metric.unit) == ("fmax_mhz", 90.0, "MHz")
    assert metric.evidence is Evidence.ESTIMATED
    assert metric.error.startswith("60 to 120 MHz")
    assert XC7.name in metric.source
