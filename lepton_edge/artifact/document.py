"""Strict reading of the JSON documents in an artifact: every key is known, present and typed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

from lepton_edge.artifact.files import shown
from lepton_edge.errors import ArtifactError, InternalError

T = TypeVar("T")

AGAIN = "compile the model again"

_MISSING = object()


def dump(document: dict[str, Any]) -> str:
    """Return ``document`` as readable JSON text with a final newline."""
    try:
        return json.dumps(document, indent=2, allow_nan=False) + "\n"
    except (ValueError, TypeError) as error:
        raise InternalError(f"a document of the artifact cannot be written: {error}") from error


def parse(text: str, where: str, schema: int) -> Document:
    """Read JSON text whose top level is an object of the given schema version.

    Args:
        text: the JSON text.
        where: what messages call it: the file's path.
        schema: the version that the reader knows.

    Raises:
        ArtifactError: the text is damaged, or of another version.
    """
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"not a JSON document: {error}", where=where, hint=AGAIN) from None
    if not isinstance(values, dict):
        raise ArtifactError(f"wanted a JSON object, found {_kind(values)}", where=where, hint=AGAIN)
    document = Document(values, where)
    found = document.integer("schema")
    if found != schema:
        newer = "this was written by a newer version: upgrade lepton-edge, or compile again"
        raise ArtifactError(
            f"schema version {found}; this version reads {schema}",
            where=where,
            hint=newer if found > schema else AGAIN,
        )
    return document


class Document:
    """One JSON object that is read key by key, and complains about what is wrong with it.

    Args:
        values: the object.
        where: the file that it is from.
        path: the place of the object in that file, ending with a dot; empty for the top.
    """

    def __init__(self, values: dict[str, Any], where: str, path: str = "") -> None:
        self._unread = dict(values)
        self._where = where
        self._path = path

    def error(self, key: str, wanted: str, found: object) -> ArtifactError:
        """Build the error for the value ``found`` under ``key``."""
        return ArtifactError(
            f"key {self._path + key!r}: wanted {wanted}, found {_kind(found)}",
            where=self._where,
            hint=AGAIN,
        )

    def _take(self, key: str, wanted: str, check: Callable[[Any], bool]) -> Any:
        value = self._unread.pop(key, _MISSING)
        if not check(value):
            raise self.error(key, wanted, value)
        return value

    def text(self, key: str) -> str:
        """Read a text."""
        value: str = self._take(key, "a text", lambda v: isinstance(v, str))
        return value

    def integer(self, key: str, minimum: int = 0) -> int:
        """Read a whole number that is ``minimum`` or more."""
        wanted = f"a whole number, {minimum} or more"
        value: int = self._take(key, wanted, lambda v: type(v) is int and v >= minimum)
        return value

    def integer_or_none(self, key: str) -> int | None:
        """Read a whole number that is 0 or more, or null."""
        if self._unread.get(key, _MISSING) is None:
            del self._unread[key]
            return None
        return self.integer(key)

    def number(self, key: str) -> float:
        """Read a finite number."""
        value: float = self._take(key, "a number", is_number)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of texts."""
        return self._items(key, "a list of texts", lambda v: isinstance(v, str))

    def integers(self, key: str) -> tuple[int, ...]:
        """Read a list of whole numbers that are 0 or more."""
        wanted = "a list of whole numbers"
        return self._items(key, wanted, lambda v: type(v) is int and v >= 0)

    def _items(self, key: str, wanted: str, check: Callable[[Any], bool]) -> tuple[Any, ...]:
        value = self._take(key, wanted, lambda v: isinstance(v, list) and all(map(check, v)))
        return tuple(value)

    def integer_table(self, key: str) -> dict[str, int]:
        """Read an object whose values are whole numbers."""
        return self._table(key, "an object of whole numbers", lambda v: type(v) is int)

    def number_table(self, key: str) -> dict[str, float]:
        """Read an object whose values are finite numbers."""
        return self._table(key, "an object of numbers", is_number)

    def text_table(self, key: str) -> dict[str, str]:
        """Read an object whose values are texts."""
        return self._table(key, "an object of texts", lambda v: isinstance(v, str))

    def any_table(self, key: str) -> dict[str, Any]:
        """Read an object of any values."""
        return self._table(key, "an object", lambda _: True)

    def any_or_none(self, key: str) -> dict[str, Any] | None:
        """Read an object of any values, or null."""
        if self._unread.get(key, _MISSING) is None:
            del self._unread[key]
            return None
        return self.any_table(key)

    def _table(self, key: str, wanted: str, check: Callable[[Any], bool]) -> dict[str, Any]:
        table: dict[str, Any] = self._take(
            key, wanted, lambda v: isinstance(v, dict) and all(map(check, v.values()))
        )
        return table

    def rows(self, key: str, read: Callable[[Document], T]) -> tuple[T, ...]:
        """Read a list of objects, each with ``read``, which must read every key."""
        values = self._items(key, "a list of objects", lambda v: isinstance(v, dict))
        rows: list[T] = []
        for index, value in enumerate(values):
            row = Document(value, self._where, f"{self._path}{key}[{index}].")
            rows.append(read(row))
            row.finish()
        return tuple(rows)

    def finish(self) -> None:
        """Raise for the first key that nothing has read."""
        for key in self._unread:
            raise ArtifactError(f"unknown key {self._path + key!r}", where=self._where, hint=AGAIN)


def is_number(value: object) -> bool:
    """Say whether a JSON value is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _kind(value: object) -> str:
    if value is _MISSING:
        return "nothing"
    return shown(value)
