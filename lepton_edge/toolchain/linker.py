"""Link object files to a shared library."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from lepton_edge.toolchain import gxx


def link_library(objects: Sequence[Path], library: Path) -> None:
    """Write a shared library of object files, which need the mathematical functions of C alone.

    Raises:
        ToolMissingError: there is no compiler to link with.
        ToolFailedError: it failed; its log is beside the library.
    """
    command = [gxx.compiler(), "-shared", *map(str, objects), "-lm", "-o", str(library)]
    log = library.with_suffix(".log")
    with tempfile.TemporaryDirectory() as scratch:
        gxx.compile_with(command, library.parent, Path(scratch), log)
    log.unlink(missing_ok=True)
