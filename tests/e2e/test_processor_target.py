"""A network as a program for this computer: compile, run, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.needs("g++")


@pytest.fixture(scope="module")
def quantized(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the artifact of the shipped example in int8."""
    from lepton_edge.flow import CompileOptions, compile_model

    root = tmp_path_factory.mktemp("cpu") / "digits"
    options = CompileOptions(target="cpu", calibration=digits.calibration, quantize="int8")
    return compile_model(digits.model, root, options).root


def test_a_float_network_stays_in_floats(digits: Any, call: Any, tmp_path: Path) -> None:
    ended = call("compile", digits.model, "--target", "cpu", "-o", tmp_path / "d", "--json")
    assert ended.status == 0, ended.err
    report = json.loads(ended.out)["report"]
    assert (report["target"], report["board"]) == ("cpu", "")
    metrics = {row["name"]: row for row in report["metrics"]}
    assert {"latency_us", "throughput_fps", "activation_bytes", "model_bytes"} <= metrics.keys()
    assert all(row["evidence"] == "measured" for row in metrics.values())
    assert metrics["activation_bytes"]["value"] <= 1.1 * metrics["activation_bound_bytes"]["value"]
    (row,) = report["verification"]
    assert (row["level"], row["mismatches"]) == ("device", 0)
    assert {row["region"] for row in report["layers"]} == {"cpu"}


def test_the_program_gives_the_bits_of_the_reference_and_the_right_digits(
    quantized: Path, digits: Any, call: Any, tmp_path: Path
) -> None:
    outputs = {}
    for level in ("reference", "device", None):
        path = tmp_path / f"{level}.npz"
        words = ["--level", level] if level else []
        ended = call("run", quantized, "--input", digits.inputs, *words, "--output", path)
        assert ended.status == 0, ended.err
        with np.load(path) as archive:
            outputs[level] = [archive[name] for name in archive.files]
    for level in ("device", None):
        for found, wanted in zip(outputs[level], outputs["reference"], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_verify_compares_what_was_compiled(quantized: Path, call: Any) -> None:
    ended = call("verify", quantized, "--samples", 200, "--json")
    assert ended.status == 0, ended.err
    (row,) = json.loads(ended.out)["report"]["verification"]
    assert (row["level"], row["samples"], row["mismatches"]) == ("device", 200, 0)


def test_what_only_designs_have_is_refused(quantized: Path, call: Any, tmp_path: Path) -> None:
    ended = call("run", quantized, "--input", tmp_path / "x.npz", "--level", "rtl")
    assert ended.status != 0
    ended = call("build", quantized)
    assert ended.status != 0
    assert "is a program for cpu" in ended.error
    assert "--target fpga" in ended.error


@pytest.mark.parametrize(
    "words",
    [
        ["--board", "pynq-z2"], ["--fps", "100"], ["--latency-us", "5"], ["--clock-mhz", "100"],
        ["--lut", "100"], ["--dsp", "3"], ["--bram", "3"], ["--folding", "f.toml"],
        ["--no-csim"],
    ],
)  # fmt: skip
def test_options_of_designs_are_refused(
    words: list[str], digits: Any, call: Any, tmp_path: Path
) -> None:
    ended = call("compile", digits.model, "--target", "cpu", *words, "-o", tmp_path / "d")
    assert ended.status != 0
    assert words[0] in ended.error
    assert "--target fpga" in ended.error
    assert not (tmp_path / "d").exists()


def test_a_damaged_program_is_told(quantized: Path, digits: Any, call: Any, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(quantized, copy)
    library = copy / "code" / "network.so"
    library.write_bytes(library.read_bytes()[:-100])
    ended = call("run", copy, "--input", digits.inputs)
    assert ended.status != 0
    assert "differs from what compile wrote" in ended.error


def test_explore_and_dry_run_are_for_designs(digits: Any, call: Any) -> None:
    for word in ("--explore", "--dry-run"):
        ended = call("compile", digits.model, "--target", "cpu", word)
        assert ended.status != 0
        assert word in ended.error


def test_without_tvm_the_command_says_how_to_get_it(
    digits: Any, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("lepton_edge.backends.tvm")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tvm", None)
    ended = call("compile", digits.model, "--target", "cpu", "-o", tmp_path / "d")
    assert ended.status != 0
    assert "Apache TVM, which is not installed" in ended.error
    assert "pip install 'apache-tvm" in ended.error


@pytest.mark.parametrize("board", ["raspberry-pi-4", "raspberry-pi-5", "pynq-z2"])
def test_arm_boards_compute_the_bits_of_the_reference(
    board: str, digits: Any, call: Any, tmp_path: Path
) -> None:
    from lepton_edge.backends.computers import load_computer
    from tests.processors import needs_emulator

    needs_emulator(load_computer(board).host.arch)
    words = ["--target", "arm", "--board", board, "--quantize", "int8"]
    words += ["--calibration", digits.calibration, "-o", tmp_path / "d", "--json"]
    ended = call("compile", digits.model, *words)
    assert ended.status == 0, ended.err
    report = json.loads(ended.out)["report"]
    assert report["board"] == board
    (row,) = report["verification"]
    assert (row["level"], row["mismatches"]) == ("device", 0)
    assert {"network.h", "network.c", "kernels.o", "calls.o", "weights.S"} <= {
        path.name for path in (tmp_path / "d" / "code").iterdir()
    }
    ended = call("run", tmp_path / "d", "--input", digits.inputs, "--output", tmp_path / "y.npy")
    assert ended.status == 0, ended.err
    ended = call("run", tmp_path / "d", "--input", digits.inputs, "--threads", "2")
    assert ended.status != 0
    assert "has one thread here" in ended.error


def test_an_arm_board_that_is_none_is_told(digits: Any, call: Any, tmp_path: Path) -> None:
    words = ["--target", "arm", "--board", "raspberry-pi-44", "-o", tmp_path / "d"]
    ended = call("compile", digits.model, *words)
    assert ended.status != 0
    assert "raspberry-pi-4" in ended.error
    assert not (tmp_path / "d").exists()
