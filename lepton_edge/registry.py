"""Name tables filled by class definitions and by a scan of a package."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Generic, TypeVar

from lepton_edge.errors import InternalError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from name to item; scanning ``package`` imports the modules that fill it.

    Args:
        kind: what an item is, for messages ("op", "pass", "kernel").
        package: dotted package whose modules register items when imported.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._items: dict[str, T] = {}
        self._scanned = False

    def add(self, name: str, item: T) -> None:
        """Register ``item``; raises InternalError when the name is taken."""
        if name in self._items:
            raise InternalError(f"two {self.kind}s are named {name!r}", where=self._package)
        self._items[name] = item

    def __getitem__(self, name: str) -> T:
        self.scan()
        if name not in self._items:
            raise UnknownNameError.of(self.kind, name, self._items)
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        self.scan()
        return iter(sorted(self._items))

    def __contains__(self, name: object) -> bool:
        self.scan()
        return name in self._items

    def scan(self) -> None:
        """Import every module of the package once; an import that fails stops the program."""
        if self._scanned:
            return
        self._scanned = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
