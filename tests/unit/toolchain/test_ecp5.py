"""Registers that move into ECP5 multipliers, and those that stay outside."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lepton_edge.toolchain.ecp5 import absorb_registers

CLOCK, ENABLE = 2, 3
FF_DIRECTIONS = {"CLK": "input", "CE": "input", "LSR": "input", "DI": "input", "Q": "output"}


def flip_flop(data: int | str, output: int, **changes: Any) -> dict[str, Any]:
    parameters = {
        "CEMUX": "CE", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET",
    }  # fmt: skip
    ports = {"CLK": [CLOCK], "CE": [ENABLE], "LSR": ["0"], "DI": [data], "Q": [output]}
    return {
        "type": "TRELLIS_FF",
        "parameters": {k: changes.pop(k, v) for k, v in parameters.items()},
        "connections": {k: [changes[k]] if k in changes else v for k, v in ports.items()},
        "port_directions": dict(FF_DIRECTIONS),
    }


def multiplier(a: list[int | str], b: list[int | str]) -> dict[str, Any]:
    """Return a multiplier of two factors, extended by their last bits."""
    ports: dict[str, list[int | str]] = {"P0": [900]}
    for letter, bits in (("A", a), ("B", b)):
        ports |= {f"{letter}{i}": [bits[min(i, len(bits) - 1)]] for i in range(18)}
    directions = {name: "output" if name == "P0" else "input" for name in ports}
    return {
        "type": "MULT18X18D",
        "parameters": {},
        "connections": ports,
        "port_directions": directions,
    }


@pytest.fixture
def module() -> dict[str, Any]:
    """Give a product of two registered factors of two bits, whose registers follow others."""
    cells = {f"early{i}": flip_flop(10 + i, 20 + i) for i in range(4)}
    cells |= {f"late{i}": flip_flop(20 + i, 30 + i) for i in range(4)}
    cells["product"] = multiplier([30, 31], [32, 33])
    ports = {"y": {"direction": "output", "bits": [900]}}
    return {"cells": cells, "ports": ports}


def test_registers_of_both_factors_move(module: dict[str, Any]) -> None:
    assert absorb_registers(module) == 1

    cells = module["cells"]
    product = cells["product"]
    assert sorted(cells) == ["early0", "early1", "early2", "early3", "product"]
    assert product["connections"]["A0"] == [20]
    assert product["connections"]["A17"] == [21]  # the sign, from the same register
    assert product["connections"]["B1"] == [23]
    assert product["connections"]["CLK0"] == [CLOCK]
    assert product["connections"]["CE0"] == [ENABLE]
    assert product["port_directions"]["CE0"] == "input"
    assert product["parameters"]["REG_INPUTA_CLK"] == "CLK0"
    assert product["parameters"]["REG_INPUTB_CE"] == "CE0"
    assert absorb_registers(module) == 0


def test_a_register_that_something_else_reads_stays_too(module: dict[str, Any]) -> None:
    module["ports"]["also"] = {"direction": "output", "bits": [31]}
    assert absorb_registers(module) == 1
    assert "late1" in module["cells"]
    assert "late0" not in module["cells"]


def test_a_constant_may_be_among_the_bits_of_one_factor(module: dict[str, Any]) -> None:
    module["cells"]["product"] = multiplier(["1", 31, "0"], [32, 33])
    assert absorb_registers(module) == 1
    assert module["cells"]["product"]["connections"]["A0"] == ["1"]

    module["cells"]["product"] = multiplier(["1", 31], [32, "1"])
    assert absorb_registers(module) == 0  # the product would start as another


CHANGES = {
    "another enable": {"CE": 4},
    "another clock": {"CLK": 5},
    "no enable": {"CEMUX": "1 "},
    "inverted enable": {"CEMUX": "INV"},
    "reset": {"LSR": 6},
    "starts at 1": {"REGSET": "SET"},
    "falling edge": {"CLKMUX": "INV"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_register_that_differs_keeps_all_outside(module: dict[str, Any], change: str) -> None:
    module["cells"]["late2"] = flip_flop(22, 32, **CHANGES[change])
    before = copy.deepcopy(module)
    assert absorb_registers(module) == 0
    assert module == before


def test_logic_between_registers_keeps_them_outside(module: dict[str, Any]) -> None:
    lut = {
        "type": "LUT4",
        "parameters": {},
        "connections": {"A": [20], "B": ["0"], "C": ["0"], "D": ["0"], "Z": [50]},
        "port_directions": {**dict.fromkeys("ABCD", "input"), "Z": "output"},
    }
    deeper = copy.deepcopy(lut)
    deeper["connections"] |= {"A": [50], "Z": [51]}
    module["cells"] |= {"lut": lut, "deeper": deeper}

    module["cells"]["late2"] = flip_flop(51, 32)
    assert absorb_registers(module) == 0
    module["cells"]["late2"] = flip_flop(50, 32)
    assert absorb_registers(module) == 1  # one LUT is quick enough


def test_no_multiplier_nothing_to_do(module: dict[str, Any]) -> None:
    del module["cells"]["product"]
    before = copy.deepcopy(module)
    assert absorb_registers(module) == 0
    assert module == before
