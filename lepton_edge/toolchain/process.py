"""Run an external program: its words, its end, and no child left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lepton_edge.errors import ToolFailedError

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, movements
    r"|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?"  # titles, links
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
"""Control sequences of terminals, and control characters but for tabs and ends of lines.

Source: ECMA-48, section 5.4.
"""


def run(
    command: Sequence[str | Path],
    cwd: Path,
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Return status and words (stdout and stderr) of a program, which ends with us at the latest.

    Args:
        command: program and arguments.
        cwd: where to run it.
        timeout_s: seconds after which it is killed.
        environment: variables besides ours.

    Raises:
        ToolFailedError: it cannot be started, or took too long.
    """
    words = [str(part) for part in command]
    try:
        process = subprocess.Popen(
            words, cwd=cwd, env={**os.environ, **(environment or {})}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except OSError as error:
        raise ToolFailedError(
            f"{words[0]} cannot be run: {error.strerror}", hint="see `lepton-edge doctor`"
        ) from None
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise ToolFailedError(
            f"{words[0]} did not finish within {timeout_s:.0f} s", where=str(cwd)
        ) from None
    return process.returncode, said.decode(errors="replace")


def run_or_fail(
    command: Sequence[str | Path],
    cwd: Path,
    log: Path,
    *,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program that must succeed, and return what it said.

    Args:
        command: see `run`.
        cwd: see `run`.
        log: where its words are kept if it fails.
        timeout_s: see `run`.
        environment: see `run`.

    Raises:
        ToolFailedError: it failed; the message has its first error, the hint the log.
    """
    status, said = run(command, cwd, timeout_s=timeout_s, environment=environment)
    if status != 0:
        words = [str(part) for part in command]
        log.write_text(f"$ {shlex.join(words)}\n{said}", encoding="utf-8")
        first = next(filter(_is_complaint, plain(said).splitlines()), "no message")
        raise ToolFailedError(
            f"{words[0]} ended with status {status}: {first}", where=str(cwd), hint=f"log: {log}"
        )
    return said


def plain(said: str) -> str:
    """Return a tool's words without colours and other control sequences of terminals."""
    return _CONTROL.sub("", said)


def _is_complaint(line: str) -> bool:
    """Whether a tool's line says what is wrong (a warning may have been made an error)."""
    lowered = line.lower()
    return ("error" in lowered and "exiting due to" not in lowered) or "%warning" in lowered
