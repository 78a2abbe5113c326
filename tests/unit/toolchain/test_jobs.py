"""Programs side by side: statuses, logs, time limits, and none left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lepton_edge.errors import ToolFailedError
from lepton_edge.toolchain.jobs import Ended, Job, complaint, run_jobs


def shell(tmp_path: Path, name: str, script: str, timeout_s: float = 20.0) -> Job:
    return Job(name, ("/bin/sh", "-c", script), tmp_path, tmp_path / f"{name}.log", timeout_s)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_ends_with_its_status_and_its_log(tmp_path: Path) -> None:
    jobs = [shell(tmp_path, f"job{i}", f"echo said {i}; echo more >&2; exit {i}") for i in range(4)]

    ended = {e.job.name: e.status for e in run_jobs(jobs, 2)}

    assert ended == {f"job{i}": i for i in range(4)}
    log = jobs[3].log.read_text()
    assert log.splitlines()[0].startswith("$ /bin/sh -c")
    assert log.splitlines()[1:] == ["said 3", "more"]


def test_no_more_run_at_once_than_allowed(tmp_path: Path) -> None:
    script = "mkdir running.$$; sleep 0.2; ls -d running.* | wc -l >> seen; rmdir running.$$"
    jobs = [shell(tmp_path, f"job{i}", script) for i in range(6)]

    assert len(list(run_jobs(jobs, 2))) == 6
    assert max(map(int, (tmp_path / "seen").read_text().split())) <= 2


def test_what_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    job = shell(tmp_path, "slow", "sleep 60 & echo $! > child; wait", timeout_s=0.5)

    (ended,) = run_jobs([job], 1)

    assert ended.status is None
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 5
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)  # until init has reaped it
    assert not is_alive(child)
    error = ended.failure()
    assert error.what == "sh did not finish within 0 s, and was ended"
    assert error.where == "slow"
    assert error.hint == f"log: {job.log}"


def test_who_stops_early_leaves_nothing_running(tmp_path: Path) -> None:
    jobs = [shell(tmp_path, "quick", "exit 1"), shell(tmp_path, "slow", "echo $$ > pid; sleep 60")]
    ended = run_jobs(jobs, 2)

    assert next(ended).job.name == "quick"
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    ended.close()

    assert not is_alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("echo fine; echo 'ERROR: no such cell'; echo later; exit 3", "ERROR: no such cell"),
        ("echo only words; exit 3", "only words"),
        ("exit 3", "it said nothing"),
    ],
)
def test_a_failure_tells_the_first_error(tmp_path: Path, script: str, what: str) -> None:
    (ended,) = run_jobs([shell(tmp_path, "job", script)], 1)

    assert ended.failure().what == f"sh ended with status 3: {what}"


def test_a_signal_is_named(tmp_path: Path) -> None:
    (ended,) = run_jobs([shell(tmp_path, "job", "kill -SEGV $$")], 1)

    assert ended.failure().what == "sh was ended by SIGSEGV"


def test_what_cannot_start_is_told(tmp_path: Path) -> None:
    job = Job("job", ("/no/such/tool",), tmp_path, tmp_path / "log", 1.0)

    with pytest.raises(ToolFailedError, match="/no/such/tool cannot be run: No such file"):
        list(run_jobs([job], 1))


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    job = Job("job", ("true",), tmp_path / "gone", tmp_path / "log", 1.0)

    with pytest.raises(ToolFailedError, match="gone is gone: was the design compiled again"):
        list(run_jobs([job], 1))


def test_a_complaint_has_no_colours(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"$ tool\n\x1b]0;title\x07\x1b[1;31mERROR:\x1b[0m no \x1b[Kcells\x08\n")
    assert complaint(log) == "ERROR: no cells"


def test_a_log_that_is_gone_is_told(tmp_path: Path) -> None:
    assert complaint(tmp_path / "missing") == "its log cannot be read"
    job = Job("job", ("tool",), tmp_path, tmp_path / "missing", 1.0)
    assert "its log cannot be read" in Ended(job, 1, 0.0).failure().what
