"""Build shared libraries with g++, once for each content: they are cached by hash."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from lepton_edge.errors import ToolFailedError, ToolMissingError

FLAGS = ("-std=c++14", "-O2", "-fPIC", "-shared", "-Wno-unknown-pragmas")
"""Plain -O2 simulates fastest: g++ 12 vectorises the kernels' inner loops better than at -O3."""

TIMEOUT_S = 1200.0
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
    return path


def cache_folder() -> Path:
    """Return the folder of built libraries, below $XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "lepton-edge" / "csim"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"lepton-edge-{os.getuid()}" / "csim"
        folder.mkdir(parents=True, exist_ok=True)
    return folder


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
    partial = library.with_name(f"{key}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        _compile([*command, "-o", str(partial)], root, library.with_suffix(".log"))
        partial.replace(library)
    finally:
        partial.unlink(missing_ok=True)
    _forget_old(library.parent)
    return library


def _compile(command: list[str], root: Path, log: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ToolFailedError(
            f"g++ did not finish within {TIMEOUT_S:.0f} s", where=str(root)
        ) from None
    if done.returncode != 0:
        log.write_text(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}", encoding="utf-8")
        first = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
        raise ToolFailedError(
            f"g++ ended with status {done.returncode}: {first}", where=str(root), hint=f"log: {log}"
        )


def _digest(root: Path, command: list[str]) -> str:
    version = subprocess.run(
        [command[0], "-dumpfullversion", "-dumpmachine"],
        capture_output=True,
        text=True,
        check=False,
    )
    digest = hashlib.sha256("\0".join([*command, version.stdout]).encode())
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
