"""Build shared libraries with g++, once for each content."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from lepton_edge.errors import ToolFailedError, ToolMissingError
from lepton_edge.toolchain.cache import cached, digest
from lepton_edge.toolchain.process import run, run_or_fail

FLAGS = ("-std=c++14", "-O2", "-fPIC", "-shared", "-Wno-unknown-pragmas")
"""Plain -O2 simulates fastest: g++ 12 vectorises the kernels' inner loops better than at -O3."""

TIMEOUT_S = 1200.0


def compiler() -> str:
    """Return the path of the C++ compiler: $CXX, or g++.

    Raises:
        ToolMissingError: there is none.
    """
    name = os.environ.get("CXX") or "g++"
    path = shutil.which(name)
    if path is None:
        raise ToolMissingError(
            f"simulation needs a C++ compiler; {name!r} was not found",
            hint="apt-get install g++ (or set CXX), or compile with --no-csim",
        )
    return str(Path(path).absolute())


def compiler_version(gxx: str) -> str:
    """Return what tells one compiler's code from another's: version and machine."""
    _, said = run([gxx, "-dumpfullversion", "-dumpmachine"], Path.cwd(), timeout_s=TIMEOUT_S)
    return said


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
    key = digest([*command, compiler_version(gxx)], root, _source_files(root))

    def build(library: Path, scratch: Path, log: Path) -> None:
        compile_with([*command, "-o", str(library)], root, scratch, log)

    return cached("csim", key, ".so", build)


def compile_with(command: list[str], root: Path, scratch: Path, log: Path) -> None:
    """Run a compiler command; temporary files go to ``scratch``.

    Args:
        command: it ends with the file that it is to write.
        root: where to run it.
        scratch: an existing folder.
        log: kept if it fails.

    Raises:
        ToolFailedError: it failed, or took too long.
    """
    run_or_fail(command, root, log, timeout_s=TIMEOUT_S, environment={"TMPDIR": str(scratch)})
    if not Path(command[-1]).is_file():
        raise ToolFailedError(
            f"{command[0]} ended with status 0, but wrote no output",
            where=str(root),
            hint="see `lepton-edge doctor`",
        )


def _source_files(root: Path) -> Iterator[Path]:
    kinds = {".cpp", ".hpp", ".h"}
    yield from sorted(path for path in root.rglob("*") if path.suffix in kinds and path.is_file())
