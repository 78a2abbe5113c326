"""The command line, ``lepton-edge``."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        argv: the arguments after the program's name; those of the process by default.
    """
    try:  # from here on: importing takes a moment, in which Ctrl-C may come
        from lepton_edge.cli.launch import launch

        return launch(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
