"""A compile that fails on the way: what was there before is untouched, nothing is left behind."""

from __future__ import annotations

import os
import resource
import signal
import stat
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.needs("g++")


def slow_compiler(folder: Path) -> dict[str, str]:
    """Return surroundings in which the compiler leaves a file in $TMPDIR, and takes for ever."""
    path = folder / "slow-g++"
    path.write_text(
        '#!/bin/sh\n[ "$1" = -dumpfullversion ] && exit\n'
        f'touch "$TMPDIR/scratch" {folder}/started\nsleep 300\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / "tmp").mkdir()
    return {
        "CXX": str(path),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "TMPDIR": str(folder / "tmp"),
    }


def wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def is_running(words: str) -> bool:
    commands = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline"))
    try:
        return any(words.encode() in command for command in commands)
    except OSError:
        return is_running(words)


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("name", ["mlp", "digits"])  # bounds alone decide for mlp, not for digits
def test_stopped_while_g_plus_plus_runs(
    name: str, signum: int, status: int, artifact: Path, start: Any, helpers: Any, tmp_path: Path,
    request: Any,
) -> None:  # fmt: skip
    before = helpers.tree(artifact.parent)
    env = slow_compiler(tmp_path)
    process = start("compile", *request.getfixturevalue(name).words, "-o", artifact, env=env)
    wait_for(tmp_path / "started")
    time.sleep(0.3)  # until it is waited for

    process.send_signal(signum)
    _, err = process.communicate(timeout=30)

    assert process.returncode == status
    assert "Traceback" not in err
    assert ("interrupted" in err) == (signum == signal.SIGINT)
    assert helpers.tree(artifact.parent) == before
    assert not [*(tmp_path / "tmp").iterdir()]
    assert {p.suffix for p in (tmp_path / "cache").rglob("*") if p.is_file()} <= {".log"}
    assert not is_running(env["CXX"]), "the compiler goes on"


def test_killed(mlp: Any, artifact: Path, start: Any, call: Any, helpers: Any, tmp_path: Path):
    before = helpers.tree(artifact)
    process = start("compile", *mlp.words, "-o", artifact, env=slow_compiler(tmp_path))
    wait_for(tmp_path / "started")
    process.kill()
    process.communicate()

    assert helpers.tree(artifact) == before
    assert call("verify", artifact).status == 0
    (left,) = (p for p in artifact.parent.iterdir() if p != artifact)
    assert left.name.startswith(".mlp.partial-")
    os.utime(left, (0, 0))
    assert call("compile", *mlp.words, "-o", artifact).status == 0
    assert [*artifact.parent.iterdir()] == [artifact], "what the killed run left was not removed"


@pytest.mark.parametrize(
    ("cxx", "words"),
    [
        ("/bin/false", "/bin/false ended with status 1"),
        ("true", "ended with status 0"),
        ("/nonexistent/g++", "needs a C++ compiler; '/nonexistent/g++' was not found"),
        ("", ""),
    ],
)
def test_a_compiler_that_fails(
    cxx: str, words: str, mlp: Any, artifact: Path, shell: Any, helpers: Any, tmp_path: Path
) -> None:
    before = helpers.tree(artifact.parent)
    env = {"CXX": cxx, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    if not cxx:
        env["PATH"] = str(tmp_path)

    ended = shell("compile", *mlp.words, "-o", artifact, env=env)

    assert ended.status == 9
    assert words in ended.error
    assert "hint: " in ended.error
    assert helpers.tree(artifact.parent) == before


@pytest.mark.parametrize("limit", [0, 300, 3000])
def test_a_full_disk(limit: int, mlp: Any, artifact: Path, shell: Any, helpers: Any) -> None:
    before = helpers.tree(artifact.parent)

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ended = shell("compile", *mlp.words, "-o", artifact, preexec_fn=small_files)

    assert ended.status == 2
    assert "the artifact cannot be written: File too large" in ended.error
    assert helpers.tree(artifact.parent) == before


@pytest.mark.slow
def test_little_memory(helpers: Any, shell: Any, tmp_path: Path) -> None:
    w = np.ones((1, 1, 1, 1), np.float32)
    model = helpers.save_onnx(
        tmp_path / "m.onnx",
        [("Conv", ["x", "w"], ["y"], "c", {})], {"x": [1, 1, 20000, 20000]}, ["y"], w=w,
    )  # fmt: skip
    with (tmp_path / "x.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (1, 1, 20000, 20000)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * 20000**2)

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    env = {"OPENBLAS_NUM_THREADS": "1"}
    words = ("--calibration", tmp_path / "x.npy", "-o", tmp_path / "out")
    ended = shell("compile", model, *words, preexec_fn=little, env=env)

    assert ended.status in (2, 4)
    assert "memory" in ended.error
    assert {p.name for p in tmp_path.iterdir()} == {"m.onnx", "x.npy"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become nobody")
def test_a_directory_of_somebody_else(digits: Any, artifact: Path, call: Any) -> None:
    try:
        os.seteuid(65534)
        ended = call("compile", *digits.words, "-q", "--no-csim", "-o", "/usr/lepton-edge-e2e")
    finally:
        os.seteuid(0)

    assert ended.status == 2
    assert "the artifact cannot be written: Permission denied" in ended.error


def test_two_at_once(mlp: Any, start: Any, call: Any, tmp_path: Path) -> None:
    clocks = (100, 110, 120)
    out = tmp_path / "out" / "net"
    running = [start("compile", *mlp.words, "--clock-mhz", c, "-o", out) for c in clocks]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err

    assert call("verify", out).status == 0
    assert [*out.parent.iterdir()] == [out]
