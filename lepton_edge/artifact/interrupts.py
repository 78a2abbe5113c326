"""Let a polite kill, or a terminal that closes, end the program as an exception would."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise SystemExit (status 143 or 129) within the block.

    Only in the main thread, and only where nobody has installed a handler of their own.
    """
    is_main = threading.current_thread() is threading.main_thread()
    ours = [s for s in _SIGNALS if is_main and signal.getsignal(s) is signal.SIG_DFL]
    for signum in ours:
        signal.signal(signum, _stop)
    try:
        yield
    finally:
        for signum in ours:
            signal.signal(signum, signal.SIG_DFL)


def _stop(signum: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)
