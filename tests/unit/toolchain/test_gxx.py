"""Shared libraries: built once for each content, refused with a log, safe to build side by side."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lepton_edge.errors import ToolFailedError, ToolMissingError
from lepton_edge.toolchain import cache, gxx

pytestmark = pytest.mark.needs("g++")

ANSWER = '#include "answer.hpp"\nextern "C" int answer() { return ANSWER; }\n'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project of two files, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    (folder / "include").mkdir(parents=True)
    (folder / "src").mkdir()
    (folder / "src" / "answer.cpp").write_text(ANSWER)
    (folder / "include" / "answer.hpp").write_text("#define ANSWER 42\n")
    return folder


def build(root: Path) -> Path:
    return gxx.build_library(root, ["src/answer.cpp"], ["include"])


def answer(library: Path) -> int:
    return int(ctypes.CDLL(str(library)).answer())


def test_builds_into_the_cache(root: Path, tmp_path: Path) -> None:
    library = build(root)
    assert library.parent == tmp_path / "cache" / "lepton-edge" / "csim"
    assert answer(library) == 42
    assert list(library.parent.iterdir()) == [library]


def test_the_same_content_is_built_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = build(root)
    os.utime(library, (1, 1))
    monkeypatch.setattr(gxx, "compile_with", lambda *_: pytest.fail("compiled again"))
    assert build(root) == library
    assert library.stat().st_mtime > 1  # the most recently used stay


def test_a_changed_header_is_another_library(root: Path) -> None:
    first = build(root)
    (root / "include" / "answer.hpp").write_text("#define ANSWER 43\n")
    second = build(root)
    assert first != second
    assert answer(second) == 43


def test_other_flags_are_another_library(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(root)
    monkeypatch.setattr(gxx, "FLAGS", (*gxx.FLAGS, "-DOTHER"))
    assert build(root) != first


def test_a_refused_source_leaves_a_log(root: Path) -> None:
    (root / "src" / "answer.cpp").write_text("int answer( { return 0; }\n")
    with pytest.raises(ToolFailedError) as caught:
        build(root)
    error = caught.value
    assert "g++ ended with status 1: src/answer.cpp:1:" in error.what
    assert error.where == str(root)
    log = Path(error.hint.removeprefix("log: "))
    text = log.read_text()
    assert text.startswith("$ ")
    assert "-Iinclude" in text
    assert "error: " in text
    assert list(log.parent.iterdir()) == [log]


def test_a_compiler_that_does_not_end(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "slow-g++"
    slow.write_text('#!/bin/sh\n[ "$1" = -dumpfullversion ] && exit 0\nexec sleep 30\n')
    slow.chmod(0o755)
    monkeypatch.setenv("CXX", str(slow))
    monkeypatch.setattr(gxx, "TIMEOUT_S", 0.2)
    with pytest.raises(ToolFailedError, match="slow-g\\+\\+ did not finish within 0 s"):
        build(root)
    assert not list(cache.cache_folder("csim").iterdir())


def test_no_compiler(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nonexistent/g++")
    with pytest.raises(ToolMissingError) as caught:
        build(root)
    assert str(caught.value) == (
        "simulation needs a C++ compiler; '/nonexistent/g++' was not found\n"
        "hint: apt-get install g++ (or set CXX), or compile with --no-csim"
    )


def test_the_cache_that_cannot_be_made_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert cache.cache_folder("csim").is_relative_to(tmp_path)


def test_old_libraries_are_forgotten(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT", 2)
    for age in range(4):
        old = cache.cache_folder("csim") / f"old{age}.so"
        old.write_text("")
        stamp = time.time() - 100 - age
        os.utime(old, (stamp, stamp))
    library = build(root)
    left = {p.name for p in library.parent.iterdir()}
    assert {library.name, "old0.so"} <= left
    assert left.isdisjoint({"old2.so", "old3.so"})


def test_two_processes_build_the_same_library_at_once(root: Path) -> None:
    code = (
        "import ctypes, sys; from pathlib import Path; from lepton_edge.toolchain.gxx import *;"
        "p = build_library(Path(sys.argv[1]), ['src/answer.cpp'], ['include']);"
        "print(p, ctypes.CDLL(str(p)).answer())"
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = {job.communicate(timeout=60)[0] for job in jobs}
    assert len(outputs) == 1
    library, value = outputs.pop().split()
    assert value == "42"
    assert list(Path(library).parent.iterdir()) == [Path(library)]
