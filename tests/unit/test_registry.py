from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lepton_edge.errors import InternalError, UnknownNameError
from lepton_edge.ir.op import OPS
from lepton_edge.passes.base import PASSES
from lepton_edge.registry import Registry

MODULE = "from {package} import TABLE\nTABLE.add({name!r}, {name!r})\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Make a package that owns a registry, and two modules that fill it."""
    name = f"plugins_{request.node.name}"
    root = tmp_path / name
    root.mkdir()
    (root / "__init__.py").write_text(
        f"from lepton_edge.registry import Registry\nTABLE = Registry('toy', {name!r})\n"
    )
    for item in ("square", "circle"):
        (root / f"{item}.py").write_text(MODULE.format(package=name, name=item))
    monkeypatch.syspath_prepend(tmp_path)
    return name


def table(package: str) -> Registry[str]:
    __import__(package)
    found: Registry[str] = sys.modules[package].TABLE
    return found


def test_a_scan_imports_every_module_once_and_lists_names_in_order(package: str) -> None:
    registry = table(package)
    assert list(registry) == ["circle", "square"]
    assert registry["circle"] == "circle"
    assert "square" in registry
    assert "triangle" not in registry
    registry.scan()  # a second scan would register twice


def test_a_name_taken_twice_stops_the_program(package: str) -> None:
    registry = table(package)
    registry.scan()
    with pytest.raises(InternalError, match="two toys are named 'circle'"):
        registry.add("circle", "another")


def test_an_unknown_name_suggests_a_near_one(package: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        table(package)["squares"]
    assert str(caught.value) == "no toy is named 'squares'\nhint: did you mean square?"


def test_a_module_that_cannot_be_imported_stops_the_program(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "broken.py").write_text("raise ValueError('broken module')\n")
    with pytest.raises(ValueError, match="broken module"):
        list(table(package))


@pytest.mark.parametrize("registry", [OPS, PASSES], ids=["ops", "passes"])
def test_every_registered_class_is_known_by_its_own_name(registry: Registry[type]) -> None:
    for name in registry:
        assert registry[name].name == name  # type: ignore[attr-defined]
        assert registry[name].__doc__
