"""Small text files that somebody else may have written: read whole, or refused."""

from __future__ import annotations

import reprlib
import stat
import tomllib
from pathlib import Path
from typing import Any

from lepton_edge.errors import ConfigError, LeptonError

MAX_TOML_BYTES = 1 << 20
"""Largest configuration file that is read."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def shown(value: object) -> str:
    """Return a value as a message shows it: short, however large or deep it is."""
    return _SHORT.repr(value)


def reason_of(error: OSError | ValueError) -> str:
    """Return why a file cannot be opened, in words: ``No such file or directory``."""
    return getattr(error, "strerror", None) or str(error)


def read_text(path: Path, most_bytes: int, kind: type[LeptonError], hint: str = "") -> str:
    """Return the text of a regular file.

    Args:
        path: the file.
        most_bytes: what it may hold.
        kind: class of the errors raised.
        hint: of these errors.

    Raises:
        FileNotFoundError: there is none.
        LeptonError: of class ``kind``: it is no regular file, too large, not UTF-8 or unreadable.
    """

    def error(what: str) -> LeptonError:
        return kind(what, where=str(path), hint=hint)

    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # reading a device or a pipe might never end
            raise error("this is a directory" if stat.S_ISDIR(mode) else "this is no regular file")
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as failure:
        raise error(f"cannot be read: {reason_of(failure)}") from None
    if len(data) > most_bytes:
        raise error(f"too large: more than {most_bytes >> 20} MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise error("cannot be read: not UTF-8 text") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Return the document in a TOML file.

    Raises:
        ConfigError: there is no such file, or it is no TOML file.
    """
    where = str(path)
    try:
        return tomllib.loads(read_text(path, MAX_TOML_BYTES, ConfigError))
    except FileNotFoundError:
        raise ConfigError("cannot be read: there is no such file", where=where) from None
    except RecursionError:
        raise ConfigError("lists or tables are nested too deeply", where=where) from None
    except ValueError as error:  # also of numbers with thousands of digits
        raise ConfigError(f"not a TOML file: {error}", where=where) from None
