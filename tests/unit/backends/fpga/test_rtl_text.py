"""The RTL project as text: a golden top, clean under Verilator's warnings, exact memory files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.fpga.rtl_text import literal, memory_text, rtl_project
from lepton_edge.toolchain.verilator import lint
from tests.hwsim.rtl import harness

DESIGN_ID = 0x1E97


def test_golden_top(planned, golden) -> None:
    project = rtl_project(planned, DESIGN_ID)
    golden("rtl/tiny.sv", project.files[f"{project.top}.sv"])
    golden("rtl/sim/bridge.cpp", project.files["sim/bridge.cpp"])


def test_text_is_clean(planned) -> None:
    project = rtl_project(planned, DESIGN_ID)
    for path, text in project.files.items():
        assert text.isascii(), path
        assert text.endswith("\n"), path
        if path == f"{project.top}.sv":
            assert not [line for line in text.splitlines() if line != line.rstrip()], path


def test_each_memory_file_is_named_once_and_each_name_is_there(planned) -> None:
    project = rtl_project(planned, DESIGN_ID)
    top = project.files[f"{project.top}.sv"]
    for path in project.files:
        if path.startswith("memory/") and not path.endswith(("_00.mem", "_01.mem", "_02.mem")):
            assert top.count(f'"{path}"') == 1, path
    named = {part.split('"')[0] for part in top.split('("')[1:] if part.startswith("memory/")}
    assert named
    for name in named:
        assert name in project.files or f"{name}_00.mem" in project.files


@harness.needs_simulator
def test_the_top_has_no_warning(planned, tmp_path: Path) -> None:
    project = rtl_project(planned, DESIGN_ID)
    for path, text in project.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    sources = [path for path in project.files if path.endswith(".sv")]
    assert "%Warning" not in lint(tmp_path, project.top, sources)


@pytest.mark.parametrize(
    ("words", "bits", "wanted"),
    [
        ([[1, -1], [7, -8]], 4, "f1\n87\n"),  # lane 0 is lowest
        ([[-1]], 5, "1f\n"),
        ([[1], [0]], 1, "1\n0\n"),
        ([[3, 0, -4]], 3, "103\n"),
        ([[-(1 << 63)]], 64, "8000000000000000\n"),
    ],
)
def test_memory_words_have_all_their_digits(words, bits: int, wanted: str) -> None:
    assert memory_text(np.array(words, np.int64), bits) == wanted


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("PE", 4, "4"),
        ("OFFSET", -3, "-64'sd3"),
        ("LOWEST", -(1 << 63), "64'sh8000000000000000"),
        ("USE_DSP", "yes", '"yes"'),
    ],
)
def test_literals(name: str, value: int | str, wanted: str) -> None:
    assert literal(name, value) == wanted
