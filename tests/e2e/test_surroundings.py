"""Odd terminals, locales, homes and pipes: the words come out, and the job is done."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("g++")

WORDS = {
    "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "dumb": {"TERM": "dumb", "NO_COLOR": "1"},
    "narrow": {"COLUMNS": "40"},
    "no columns": {"COLUMNS": "0"},
    "rubbish columns": {"COLUMNS": "many"},
}


@pytest.mark.parametrize("name", WORDS)
def test_terminals(name: str, mlp: Any, artifact: Path, shell: Any) -> None:
    for words in (("verify", artifact), ("boards", "pynq-z2"), ("doctor",)):
        ended = shell(*words, env=WORDS[name])
        assert ended.status == 0, ended.err
        assert "\x1b[" not in ended.out + ended.err
        assert "Traceback" not in ended.err
    ended = shell("compile", mlp.model, "-o", artifact, env=WORDS[name])
    assert ended.status == 4
    assert ended.error


HOMES = {
    "no home": {"HOME": "/nonexistent/home", "XDG_CACHE_HOME": ""},
    "a file": {"XDG_CACHE_HOME": "/etc/passwd"},
    "unwritable": {"XDG_CACHE_HOME": "/proc"},
    "relative": {"XDG_CACHE_HOME": "relative"},
}


@pytest.mark.parametrize("name", HOMES)
def test_homes(name: str, artifact: Path, shell: Any, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "work").mkdir()
    env = {"HOME": str(tmp_path / "home"), **HOMES[name], "TMPDIR": str(tmp_path / "tmp")}

    ended = shell("verify", artifact, env=env, cwd=tmp_path / "work")

    assert ended.status == 0, ended.err
    assert [*(tmp_path / "work").iterdir()] == []


def test_a_reader_that_goes_away(start: Any) -> None:
    process = start("boards", "--json")
    process.stdout.close()

    assert process.wait(timeout=30) in (1, 141)  # click ends with 1 where it sees it first
    assert process.stderr.read() == ""
    process.stderr.close()


def test_json_is_one_object_in_success_and_in_failure(
    mlp: Any, artifact: Path, call: Any, tmp_path: Path
) -> None:
    good = [
        ("compile", *mlp.words, "-o", artifact),
        ("compile", *mlp.words, "--dry-run"),
        ("run", artifact, "--input", mlp.inputs),
        ("verify", artifact),
        ("boards",),
        ("doctor",),
        ("explain", "user"),
    ]
    for words in good:
        ended = call(*words, "--json")
        assert ended.status == 0, words
        assert isinstance(json.loads(ended.out), dict)
    bad = [
        ("compile", tmp_path / "none.onnx", "-o", tmp_path / "out"),
        ("compile", mlp.model, "-o", tmp_path / "out"),
        ("compile", *mlp.words, "--fps", "9e7", "-o", tmp_path / "out"),
        ("run", tmp_path, "--input", mlp.inputs),
        ("verify", tmp_path / "none"),
        ("boards", "none"),
        ("explain", "none"),
        ("compile", "--nope"),
    ]
    for words in bad:
        ended = call(*words, "--json")
        assert ended.status not in (0, 1, 70), words
        assert json.loads(ended.out)["error"]["code"]
        assert "error[" not in ended.err


def test_relative_paths_from_another_directory(
    mlp: Any, call: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(mlp.model.parent)
    out = os.path.relpath(tmp_path / "out")
    words = ("mlp.onnx", "--calibration", "calibration.npz", "-q", "-o", out)
    assert call("compile", *words).status == 0
    monkeypatch.chdir(tmp_path)
    ended = call("run", "out", "--input", mlp.inputs, "--output", "new/y.npy")

    assert ended.status == 0, ended.err
    assert (tmp_path / "new" / "y.npy").is_file()
