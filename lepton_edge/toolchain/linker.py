"""Make shared libraries of object files."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from lepton_edge.toolchain import gxx

FLAGS = ("-O2", "-fPIC", "-shared", "-pthread")


def link_library(parts: Sequence[Path], library: Path) -> None:
    """Write a shared library of object files and C++ sources.

    Raises:
        ToolMissingError: there is no compiler to link with.
        ToolFailedError: it failed; its log is beside the library.
    """
    command = [gxx.compiler(), *FLAGS, *map(str, parts), "-lm", "-o", str(library)]
    log = library.with_suffix(".log")
    with tempfile.TemporaryDirectory() as scratch:
        gxx.compile_with(command, library.parent, Path(scratch), log)
    log.unlink(missing_ok=True)
