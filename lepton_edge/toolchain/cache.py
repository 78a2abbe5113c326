"""Libraries that were built before, by a hash of all they were built from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from lepton_edge.errors import ToolFailedError

KEPT = 64
"""Files of a kind that are kept; the least recently used go first."""

STALE_S = 3600.0
"""Age at which a build's folder is taken for one of a run that was killed."""

_BUILD = "build-"


def cache_folder(kind: str) -> Path:
    """Return the folder of one kind of built files: below $XDG_CACHE_HOME or ~/.cache, else /tmp.

    Only a folder of this user is taken: what is in it will be loaded and run.

    Raises:
        ToolFailedError: none can be written.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    places = [Path(tempfile.gettempdir()) / f"lepton-edge-{os.getuid()}-{kind}"]
    with contextlib.suppress(RuntimeError):  # this user has no home
        home = base if base.is_absolute() else Path.home() / ".cache"
        places.insert(0, home / "lepton-edge" / kind)
    for folder in places:
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
                return folder
    raise ToolFailedError(
        "there is no place for built files",
        where=" and ".join(map(str, places)),
        hint="set XDG_CACHE_HOME to a directory that you can write to",
    )


def cached(kind: str, key: str, suffix: str, build: Callable[[Path, Path, Path], None]) -> Path:
    """Return a file from the cache, built now if it is not there.

    Args:
        kind: folder of the cache.
        key: hash of all that the file is built from.
        suffix: of its name.
        build: called with the path to write, an empty folder for everything else, and the path
            of a log that outlives a failure.

    Raises:
        ToolFailedError: the build failed, or the file cannot be kept.
    """
    path = cache_folder(kind) / f"{key}{suffix}"
    if path.exists():
        with contextlib.suppress(OSError):
            path.touch()
        return path
    _forget_old(path.parent, suffix)
    try:
        with tempfile.TemporaryDirectory(prefix=_BUILD, dir=path.parent) as scratch:
            built = Path(scratch) / path.name
            build(built, Path(scratch), path.with_suffix(".log"))
            built.replace(path)
    except OSError as error:
        raise ToolFailedError(
            f"what was built cannot be kept: {error.strerror}",
            where=str(path.parent),
            hint="free some space, or set XDG_CACHE_HOME to another directory",
        ) from None
    return path


def digest(words: Iterable[str], root: Path, files: Iterable[Path]) -> str:
    """Return a hash of words and of files with their paths relative to ``root``."""
    total = hashlib.sha256("\0".join(words).encode())
    for path in files:
        total.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:32]


def _forget_old(folder: Path, suffix: str) -> None:
    with contextlib.suppress(OSError):
        files = sorted(folder.glob(f"*{suffix}"), key=lambda p: p.stat().st_mtime, reverse=True)
        for path in files[KEPT:]:
            path.unlink(missing_ok=True)
            path.with_suffix(".log").unlink(missing_ok=True)
        for path in folder.glob(f"{_BUILD}*"):
            if time.time() - path.stat().st_mtime > STALE_S:
                shutil.rmtree(path, ignore_errors=True)
