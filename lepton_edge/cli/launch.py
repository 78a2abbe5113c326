"""Run a command: every way in which it can end becomes a message and an exit status."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import typer

from lepton_edge import __version__
from lepton_edge.artifact.interrupts import sigterm_raises
from lepton_edge.cli.app import app
from lepton_edge.cli.output import Output
from lepton_edge.errors import InternalError, LeptonError, UserError

INTERRUPTED = 128 + signal.SIGINT
PIPE_CLOSED = 128 + signal.SIGPIPE

_MACHINE = {
    errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EROFS,
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO,
}  # fmt: skip
"""What the surroundings cause, not we: names, permissions, full disks."""

# typer.BadParameter is a UsageError is a ClickException, in the click that this typer uses: some
# versions of typer import click, others carry their own copy.
_CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def launch(argv: list[str]) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name.

    Returns:
        The exit status.
    """
    _prepare_streams()
    try:
        with sigterm_raises():
            return _run(argv)
    except BrokenPipeError:  # the reader has seen enough
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _prepare_streams() -> None:
    """See that any text can be written to stdout and stderr, whatever they are."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this process
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        with contextlib.suppress(AttributeError, OSError, ValueError):
            getattr(sys, name).reconfigure(errors="replace")


def _run(argv: list[str]) -> int:
    output = Output(is_json="--json" in argv, is_quiet=True)
    outcome = _attempt(argv)
    if isinstance(outcome, LeptonError):
        output.fail(outcome)
        return outcome.exit_status
    if outcome == INTERRUPTED:
        output.interrupted()
    return outcome


def _attempt(argv: list[str]) -> int | LeptonError:
    """Run the command; return its exit status, or how it failed."""
    command = typer.main.get_command(app)
    try:
        status = command.main(argv or ["--help"], "lepton-edge", standalone_mode=False)
    except BrokenPipeError:
        raise
    except InternalError as error:
        return _logged(argv, error)
    except LeptonError as error:
        return error
    except _CLICK_ERROR as error:
        return _usage_error(argv, error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except MemoryError as error:
        what = f"the machine's memory is not enough: {str(error) or 'it is used up'}"
        return UserError(
            what, hint="give a smaller network or fewer samples, or end other programs"
        )
    except Exception as error:  # noqa: BLE001 - whatever a command forgot to expect
        if isinstance(error, OSError) and error.errno in _MACHINE:
            return UserError(str(error.strerror), where=str(error.filename or ""))
        return _logged(argv, InternalError(f"{type(error).__name__}: {error}"))
    return status if isinstance(status, int) else 0  # INTERRUPTED where typer caught it itself


def _usage_error(argv: list[str], error: Exception) -> UserError:
    context = getattr(error, "ctx", None)
    names = [word for word in argv[:1] if not word.startswith("-")]
    message: str = getattr(error, "format_message", error.__str__)()
    command = context.command_path if context else " ".join(["lepton-edge", *names])
    what = message[:1].lower() + message[1:].removesuffix(".")
    return UserError(what, where=command, hint=f"{command} --help")


def _logged(argv: list[str], error: InternalError) -> InternalError:
    """Write the traceback of the exception in flight to a log file, and name it in the hint."""
    text = f"lepton-edge {__version__}, Python {sys.version}\n$ {shlex.join(argv)}\n\n"
    text += traceback.format_exc()
    hint = "please report this, with the command and the model"
    try:
        descriptor, path = tempfile.mkstemp(prefix="lepton-edge-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as log:
            log.write(text)
        hint += f"; the full traceback is in {path}"
    except OSError:
        hint += " and this traceback:\n" + text
    error.hint = f"{error.hint}\n{hint}" if error.hint else hint
    return error
