"""Lepton Edge: from a trained network to a verified edge device.

Names are loaded when they are first used, so that ``import lepton_edge`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lepton_edge.errors import LeptonError
    from lepton_edge.flow import Artifact, CompileOptions, open_artifact
    from lepton_edge.flow import compile_model as compile  # noqa: A004 - used with its module

__version__ = "0.1.0"

__all__ = [
    "compile",
    "open_artifact",
    "CompileOptions",
    "Artifact",
    "LeptonError",
    "__version__",
]

_HOMES = {
    "compile": ("lepton_edge.flow", "compile_model"),
    "open_artifact": ("lepton_edge.flow", "open_artifact"),
    "CompileOptions": ("lepton_edge.flow", "CompileOptions"),
    "Artifact": ("lepton_edge.flow", "Artifact"),
    "LeptonError": ("lepton_edge.errors", "LeptonError"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lepton_edge' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
