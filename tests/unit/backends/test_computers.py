"""Computers that programs are compiled for."""

from __future__ import annotations

import pytest

from lepton_edge.backends.computers import ARMS, list_computers, load_computer
from lepton_edge.backends.tvm.machine import Dot, arm32, arm64
from lepton_edge.errors import UnknownNameError


def test_every_computer_has_a_processor_that_there_is_code_for() -> None:
    for computer in list_computers():
        assert computer.host.arch in ARMS
        of_arch = arm64 if computer.host.arch == "aarch64" else arm32
        machine = of_arch(computer.host.cpu.lower())
        assert machine.arch == computer.host.arch
        assert machine.dot in (Dot.SDOT, Dot.SMLAL)


def test_boards_with_a_fabric_are_computers_too() -> None:
    assert load_computer("pynq-z2").host.cpu == "Cortex-A9"
    assert load_computer("zcu104").host.cpu == "Cortex-A53"
    assert load_computer("raspberry-pi-5").host.cpu == "Cortex-A76"


def test_unknown_computers_are_told_with_near_names() -> None:
    with pytest.raises(UnknownNameError, match="no computer is named 'raspberry-pi-44'") as error:
        load_computer("raspberry-pi-44")
    assert "raspberry-pi-4" in error.value.hint
    with pytest.raises(UnknownNameError, match="no computer is named 'icebreaker'"):
        load_computer("icebreaker")
