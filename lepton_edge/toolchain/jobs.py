"""Run long programs side by side: a log for each, a time limit, and no child left behind."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lepton_edge.errors import ToolFailedError
from lepton_edge.toolchain.process import plain

TICK_S = 0.05
"""How often the running programs are looked at, in seconds."""


@dataclass(frozen=True)
class Job:
    """A program to run.

    Args:
        name: what messages call it.
        command: program and arguments.
        folder: where it runs.
        log: file that takes its words; its folder must exist.
        timeout_s: seconds after which it is killed.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    log: Path
    timeout_s: float


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Args:
        job: which.
        status: its exit status, negative for a signal; None where it was killed for its time.
        seconds: how long it took.
    """

    job: Job
    status: int | None
    seconds: float

    def require(self, *files: str) -> None:
        """See that the job succeeded, and that what it must write is in its folder.

        Raises:
            ToolFailedError: it failed, or a file is not there.
        """
        if self.status != 0:
            raise self.failure()
        for file in files:
            if not (self.job.folder / file).is_file():
                raise self.fault(f"ended without an error, but wrote no {file}")

    def fault(self, what: str) -> ToolFailedError:
        """Return the error of a job whose tool did something else than it must."""
        tool = Path(self.job.command[0]).name
        return ToolFailedError(f"{tool} {what}", where=self.job.name, hint=f"log: {self.job.log}")

    def failure(self) -> ToolFailedError:
        """Return the error of a job that failed: how it ended, its first complaint, its log."""
        job = self.job
        tool = Path(job.command[0]).name
        if self.status is None:
            what = f"{tool} did not finish within {job.timeout_s:.0f} s, and was ended"
        elif self.status < 0:
            what = f"{tool} was ended by {signal.Signals(-self.status).name}"
        else:
            what = f"{tool} ended with status {self.status}: {complaint(job.log)}"
        return ToolFailedError(what, where=job.name, hint=f"log: {job.log}")


def run_jobs(jobs: Sequence[Job], parallel: int) -> Generator[Ended]:
    """Run jobs, at most ``parallel`` at once, and yield each as it ends.

    When the caller stops early (an error, an interrupt), those that still run are killed.

    Raises:
        ToolFailedError: a program cannot be started.
    """
    waiting = list(reversed(jobs))
    running: dict[Job, tuple[subprocess.Popen[bytes], float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                job = waiting.pop()
                running[job] = _start(job), time.monotonic()
            ended = [e for e in map(_look, running.items()) if e is not None]
            for one in ended:
                del running[one.job]
                yield one
            if not ended:
                time.sleep(TICK_S)
    finally:
        for process, _ in running.values():
            _kill(process)


def complaint(log: Path) -> str:
    """Return the line of a log that says what went wrong: its first error, or its last line."""
    with contextlib.suppress(OSError):
        said = plain(log.read_text(encoding="utf-8", errors="replace"))
        lines = [line.strip() for line in said.splitlines()[1:]]
        lines = [line for line in lines if line]
        errors = (line for line in lines if "error" in line.lower())
        return next(errors, lines[-1] if lines else "it said nothing")[:300]
    return "its log cannot be read"


def _start(job: Job) -> subprocess.Popen[bytes]:
    try:
        with job.log.open("wb") as log:
            log.write(f"$ {shlex.join(job.command)}\n".encode())
            log.flush()
            return subprocess.Popen(
                job.command, cwd=job.folder, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
    except OSError as error:
        if not job.folder.is_dir():
            raise ToolFailedError(
                f"{job.folder} is gone: was the design compiled again meanwhile?",
                where=job.name,
                hint="run the command again",
            ) from None
        raise ToolFailedError(
            f"{job.command[0]} cannot be run: {error.strerror}",
            where=job.name,
            hint="lepton-edge doctor looks at the tools",
        ) from None


def _look(entry: tuple[Job, tuple[subprocess.Popen[bytes], float]]) -> Ended | None:
    job, (process, started) = entry
    seconds = time.monotonic() - started
    status = process.poll()
    if status is None and seconds > job.timeout_s:
        _kill(process)
        return Ended(job, None, seconds)
    return None if status is None else Ended(job, status, seconds)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
