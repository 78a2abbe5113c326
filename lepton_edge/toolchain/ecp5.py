"""Registers into the multiplier blocks of ECP5, which Yosys 0.70 leaves outside.

A MULT18X18D takes 3.9 ns from its inputs to its outputs where neither is registered inside, and
both ways to it are long, because the blocks stand in a few rows of the chip. Here the registers
that feed a multiplier move into it: before, a path leads from the registers through a multiplier
to the next ones; afterwards, one leads to the multiplier and another from it.

Only input registers move. Trellis' database does not tell which enable the output registers obey.

Source: Lattice FPGA-TN-02205, ECP5 sysDSP Usage Guide; nextpnr, ecp5/pack.cc and bitstream.cc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Bit = int | str
"""A net, or a constant: ``"0"``, ``"1"``, ``"x"``."""

Cell = dict[str, Any]
"""A cell of Yosys' JSON netlist: ``type``, ``parameters``, ``connections``, ..."""

FACTOR_BITS = 18
_CONSTANT = ("0", "1", "x")


@dataclass(frozen=True)
class _Control:
    """What steps a register."""

    clock: Bit
    enable: Bit


@dataclass(frozen=True)
class _Register:
    data: Bit
    control: _Control


def absorb_registers(module: dict[str, Any]) -> int:
    """Move registers into the multipliers that they feed.

    A multiplier takes its input registers in if both factors come from registers of the same
    clock and enable, without reset, that start at 0. They stay outside, too, where something
    else reads them. What feeds them must be a register, a block RAM, or one LUT behind registers:
    longer logic would get the way to the multiplier on top of its own delay. Constants may be
    among the bits: a register takes them in with the first word, and until then the product is 0
    as before, because the other factor is.

    Args:
        module: a flat module for ECP5 in Yosys' JSON form; its ``cells`` are changed in place.

    Returns:
        The number of multipliers that took registers in.
    """
    cells: dict[str, Cell] = module["cells"]
    registers = dict(_registers(cells))
    sources = set(_early_bits(cells))
    absorbed = 0
    for cell in cells.values():
        if cell["type"] == "MULT18X18D" and _absorb(cell, registers, sources):
            absorbed += 1
    if absorbed:
        _drop_unread(module)
    return absorbed


def _registers(cells: Mapping[str, Cell]) -> Iterator[tuple[Bit, _Register]]:
    """Yield the output of each flip-flop that a multiplier could hold, and what it holds."""
    for cell in cells.values():
        if cell["type"] != "TRELLIS_FF":
            continue
        parameters, ports = cell["parameters"], cell["connections"]
        enables = {"CE": ports.get("CE", ["1"])[0], "1 ": "1"}
        mux = parameters.get("CEMUX", "CE")
        is_plain = (
            parameters.get("CLKMUX", "CLK") == "CLK"
            and parameters.get("REGSET", "RESET") == "RESET"
            and ports.get("LSR", ["0"])[0] == "0"
            and parameters.get("LSRMUX", "LSR") == "LSR"
            and mux in enables
        )
        if is_plain:
            control = _Control(ports["CLK"][0], enables[mux])
            yield ports["Q"][0], _Register(ports["DI"][0], control)


def _early_bits(cells: Mapping[str, Cell]) -> Iterator[Bit]:
    """Yield the nets that are steady early in a cycle."""
    outputs = {c["connections"]["Q"][0] for c in cells.values() if c["type"] == "TRELLIS_FF"}
    yield from outputs
    for cell in cells.values():
        ports = cell["connections"]
        if cell["type"] == "DP16KD":
            yield from (bit for port in ports if port.startswith("DO") for bit in ports[port])
        elif cell["type"] == "LUT4":
            inputs = {ports[port][0] for port in "ABCD" if port in ports}
            if inputs <= outputs | set(_CONSTANT):
                yield ports["Z"][0]


def _absorb(cell: Cell, registers: Mapping[Bit, _Register], sources: set[Bit]) -> bool:
    ports, parameters = cell["connections"], cell["parameters"]
    if parameters.get("REG_INPUTA_CLK", "NONE") != "NONE":
        return False
    factors = [
        {f"{factor}{bit}": ports[f"{factor}{bit}"][0] for bit in range(FACTOR_BITS)}
        for factor in "AB"
    ]
    bits = {name: bit for factor in factors for name, bit in factor.items() if bit not in _CONSTANT}
    held = {name: registers.get(bit) for name, bit in bits.items()}
    taken = [register for register in held.values() if register is not None]
    controls = {register.control for register in taken}
    is_possible = (
        len(taken) == len(held)
        and len(controls) == 1
        and all(register.data in sources or register.data in _CONSTANT for register in taken)
        and any("1" not in factor.values() for factor in factors)
        and not any("x" in factor.values() for factor in factors)
    )
    if not is_possible:
        return False
    (control,) = controls
    ports |= {name: [registers[bit].data] for name, bit in bits.items()}
    ports |= {"CLK0": [control.clock], "CE0": [control.enable], "RST0": ["0"]}
    cell.get("port_directions", {}).update({"CLK0": "input", "CE0": "input", "RST0": "input"})
    for factor in "AB":
        choice = {"CLK": "CLK0", "CE": "CE0", "RST": "RST0"}
        parameters |= {f"REG_INPUT{factor}_{kind}": value for kind, value in choice.items()}
    parameters |= {"GSR": "DISABLED", "RESETMODE": "SYNC"}
    return True


def _drop_unread(module: dict[str, Any]) -> None:
    """Remove flip-flops whose output nothing reads any more, and those that only fed them."""
    cells: dict[str, Cell] = module["cells"]
    readers = Counter(bit for cell in cells.values() for bit in _read_bits(cell))
    readers.update(bit for port in module["ports"].values() for bit in port["bits"])
    flip_flops = {
        c["connections"]["Q"][0]: n for n, c in cells.items() if c["type"] == "TRELLIS_FF"
    }
    waiting = [bit for bit in flip_flops if not readers[bit]]
    while waiting:
        cell = cells.pop(flip_flops[waiting.pop()])
        for bit in _read_bits(cell):
            readers[bit] -= 1
            if not readers[bit] and bit in flip_flops:
                waiting.append(bit)


def _read_bits(cell: Cell) -> Iterator[Bit]:
    for port, direction in cell["port_directions"].items():
        if direction != "output":
            yield from cell["connections"].get(port, ())
