"""The table of handlers: which function imports which ONNX operator."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from lepton_edge.errors import InternalError

if TYPE_CHECKING:
    from lepton_edge.frontends.onnx.node import NodeView

Handler = Callable[["NodeView"], None]

_PACKAGE = "lepton_edge.frontends.onnx.handlers"
_HANDLERS: dict[tuple[str, str], Handler] = {}


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text: a table of names that stays readable."""
    return tuple(text.split())


def handles(*names: str, domains: tuple[str, ...] = ("",)) -> Callable[[Handler], Handler]:
    """Register the decorated function for ONNX operators.

    Args:
        names: operator names.
        domains: operator domains; "" is ai.onnx.

    Raises:
        InternalError: an operator has a handler already.
    """

    def register(handler: Handler) -> Handler:
        for domain in domains:
            for name in names:
                if (domain, name) in _HANDLERS:
                    raise InternalError(f"two handlers for {name!r} of domain {domain!r}")
                _HANDLERS[domain, name] = handler
        return handler

    return register


def handler_for(domain: str, name: str) -> Handler | None:
    """Return the handler of an operator, or None."""
    return load_handlers().get((domain, name))


def load_handlers() -> dict[tuple[str, str], Handler]:
    """Return the whole table; imports every module of the handlers package once."""
    if not _HANDLERS:
        package = importlib.import_module(_PACKAGE)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{_PACKAGE}.{module.name}")
    return _HANDLERS
