"""Put one directory in the place of another, so that nobody ever sees half of it."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

STALE_S = 24 * 3600
"""Age at which what a killed run left behind is removed, in seconds."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def fresh_sibling(path: Path, kind: str) -> Path:
    """Return a hidden name beside ``path`` that is not in use: ``.<name>.<kind>-<random>``."""
    return path.with_name(f".{path.name}.{kind}-{secrets.token_hex(4)}")


def replace_directory(new: Path, path: Path) -> None:
    """Move the directory ``new`` to ``path``, on the same file system; what was there is removed.

    To be called with the parent directory `locked`. The two are exchanged in one step where the
    system can do that. Where it cannot, the old one is renamed aside first, and comes back if the
    second rename fails or is never reached (see `recover`).

    Raises:
        OSError: it cannot be done; ``path`` is as it was.
    """
    if _is_free(path):
        new.rename(path)  # also onto an empty directory
    elif _exchange(new, path):
        shutil.rmtree(new, ignore_errors=True)
    else:
        _replace_in_two_steps(new, path)


def recover(path: Path) -> None:
    """Bring an old directory back whose replacement was killed between its two renames."""
    if path.exists():
        return
    with contextlib.suppress(OSError), locked(path.parent):
        aside = min(_siblings(path, "old"), key=_age_s, default=None)
        if aside is not None and not path.exists():
            aside.rename(path)


def remove_stale(path: Path) -> None:
    """Remove what killed runs for the same directory left beside it more than a day ago."""
    leftovers = _siblings(path, "partial")
    if path.exists():
        leftovers += _siblings(path, "old")
    for leftover in leftovers:
        if _age_s(leftover) > STALE_S:
            shutil.rmtree(leftover, ignore_errors=True)


def copy_entry(source: Path, target: Path) -> None:
    """Give a file, link or directory a second place, sharing its bytes where that is possible."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, copy_function=_link_or_copy)
    else:
        _link_or_copy(source, target)


def _link_or_copy(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _replace_in_two_steps(new: Path, path: Path) -> None:
    aside = fresh_sibling(path, "old")
    try:
        path.rename(aside)
        new.rename(path)
    except BaseException:
        if aside.exists() and not path.exists():
            aside.rename(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(new: Path, path: Path) -> bool:
    """Swap the two in one step; False where the system or file system has no such call."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = (os.fsencode(new), os.fsencode(path))
    status: int = renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    return status == 0


def _is_free(path: Path) -> bool:
    return not path.exists() or not any(path.iterdir())


def _siblings(path: Path, kind: str) -> list[Path]:
    prefix = f".{path.name}.{kind}-"
    try:
        return [entry for entry in path.parent.iterdir() if entry.name.startswith(prefix)]
    except OSError:
        return []


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let one process at a time swap directories in ``directory``, where locks are supported."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
