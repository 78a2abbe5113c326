"""Build shared libraries with g++, once for each content: they are cached by hash."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from lepton_edge.errors import ToolFailedError, ToolMissingError

FLAGS = ("-std=c++14", "-O2", "-fPIC", "-shared", "-Wno-unknown-pragmas")
"""Plain -O2 simulates fastest: g++ 12 vectorises the kernels' inner loops better than at -O3."""

TIMEOUT_S = 1200.0
_BUILD = "build-"
KEPT_LIBRARIES = 64
"""Libraries kept in the cache; the least recently used go first."""


def compiler() -> str:
    """Return the path of the C++ compiler: $CXX, or g++.

    Raises:
        ToolMissingError: there is none.
    """
    name = os.environ.get("CXX") or "g++"
    path = shutil.which(name)
    if path is None:
        raise ToolMissingError(
            f"C simulation needs a C++ compiler; {name!r} was not found",
            hint="apt-get install g++ (or set CXX), or compile with --no-csim",
        )
    return str(Path(path).absolute())


def cache_folder() -> Path:
    """Return the folder of built libraries: below $XDG_CACHE_HOME or ~/.cache, else in /tmp.

    Only a folder of this user is taken: what is in it will be loaded and run.

    Raises:
        ToolFailedError: none can be written.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    places = [Path(tempfile.gettempdir()) / f"lepton-edge-{os.getuid()}-csim"]
    with contextlib.suppress(RuntimeError):  # this user has no home
        home = base if base.is_absolute() else Path.home() / ".cache"
        places.insert(0, home / "lepton-edge" / "csim")
    for folder in places:
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
                return folder
    raise ToolFailedError(
        "there is no place for the built simulation",
        where=" and ".join(map(str, places)),
        hint="set XDG_CACHE_HOME to a directory that you can write to",
    )


def build_library(root: Path, sources: Iterable[str], include: Iterable[str]) -> Path:
    """Return a shared library of ``sources``, built now or found in the cache.

    Args:
        root: folder of the sources; everything below it that is source text counts as content.
        sources: C++ files, relative to ``root``.
        include: include folders, relative to ``root``.

    Raises:
        ToolMissingError: there is no compiler.
        ToolFailedError: the compiler refused the sources, or took too long; its log is kept.
    """
    gxx = compiler()
    command = [gxx, *FLAGS, *(f"-I{folder}" for folder in include), *sources]
    key = _digest(root, command)
    library = cache_folder() / f"{key}.so"
    if library.exists():
        with contextlib.suppress(OSError):
            library.touch()
        return library
    _forget_old(library.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=_BUILD, dir=library.parent) as folder:
            built = Path(folder) / library.name
            _compile([*command, "-o", str(built)], root, library.with_suffix(".log"))
            built.replace(library)
    except OSError as error:
        raise ToolFailedError(
            f"the built simulation cannot be kept: {error.strerror}",
            where=str(library.parent),
            hint="free some space, or set XDG_CACHE_HOME to another directory",
        ) from None
    return library


def _compile(command: list[str], root: Path, log: Path) -> None:
    """Run the compiler; ``command`` ends with the file that it is to write."""
    status, said = _run(command, root, Path(command[-1]).parent)
    if status != 0 or not Path(command[-1]).is_file():
        log.write_text(f"$ {shlex.join(command)}\n{said}", encoding="utf-8")
        first = next((line for line in said.splitlines() if "error" in line), "no message")
        raise ToolFailedError(
            f"{command[0]} ended with status {status}: {first}", where=str(root), hint=f"log: {log}"
        )


def _run(command: list[str], root: Path, scratch: Path) -> tuple[int, str]:
    """Return status and words of the compiler, which ends with us if we are interrupted."""
    try:
        process = subprocess.Popen(
            command, cwd=root, env={**os.environ, "TMPDIR": str(scratch)}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except OSError as error:
        raise ToolFailedError(
            f"{command[0]} cannot be run: {error.strerror}", hint="set CXX to a C++ compiler"
        ) from None
    try:
        said, _ = process.communicate(timeout=TIMEOUT_S)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise ToolFailedError(
            f"{command[0]} did not finish within {TIMEOUT_S:.0f} s", where=str(root)
        ) from None
    return process.returncode, said.decode(errors="replace")


def _digest(root: Path, command: list[str]) -> str:
    _, version = _run([command[0], "-dumpfullversion", "-dumpmachine"], root, root)
    digest = hashlib.sha256("\0".join([*command, version]).encode())
    for path in _source_files(root):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def _source_files(root: Path) -> Iterator[Path]:
    kinds = {".cpp", ".hpp", ".h"}
    yield from sorted(path for path in root.rglob("*") if path.suffix in kinds and path.is_file())


def _forget_old(folder: Path) -> None:
    with contextlib.suppress(OSError):
        libraries = sorted(folder.glob("*.so"), key=lambda p: p.stat().st_mtime, reverse=True)
        for path in libraries[KEPT_LIBRARIES:]:
            path.unlink(missing_ok=True)
            path.with_suffix(".log").unlink(missing_ok=True)
        for path in folder.glob(f"{_BUILD}*"):  # of a run that was killed
            if time.time() - path.stat().st_mtime > 2 * TIMEOUT_S:
                shutil.rmtree(path, ignore_errors=True)
