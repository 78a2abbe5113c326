"""Processors that this computer is, can stand in for or emulates; others are skipped."""

from __future__ import annotations

import pytest

from lepton_edge.backends.tvm.machine import Machine, arm32, arm64, x86
from lepton_edge.runtime.processor import processor_features
from lepton_edge.toolchain import cross
from tests.conftest import find_tool


def needs_emulator(arch: str) -> None:
    """Skip a test where the compiler or the emulator of an architecture is missing."""
    for tool in cross.TOOLS[arch][::2]:
        if find_tool(tool) is None:
            pytest.skip(f"needs {tool}")


def machine(name: str) -> Machine:
    """Return a processor, or skip the test where its programs cannot run."""
    if name.startswith("cortex"):
        found = arm32(name) if name == "cortex-a9" else arm64(name)
        needs_emulator(found.arch)
        return found
    found = x86(name)
    missing = set(found.features) - processor_features()
    if missing:
        pytest.skip(f"this computer lacks {', '.join(sorted(missing))}")
    return found
