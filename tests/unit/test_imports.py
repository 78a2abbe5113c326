from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lepton_edge

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("onnx", "torch", "typer", "rich", "click", "tvm", "ortools", "pandas", "matplotlib")


def modules_after(statement: str) -> set[str]:
    """Return the names of all modules loaded by a fresh Python after ``statement``."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = modules_after("import lepton_edge")

    assert not loaded & {*HEAVY, "numpy"}
    assert {name for name in loaded if name.startswith("lepton_edge")} == {"lepton_edge"}


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    assert not modules_after("from lepton_edge.cli import main") & {*HEAVY, "numpy"}


def test_the_solver_and_plots_are_loaded_when_used() -> None:
    loaded = modules_after("import lepton_edge.flow, lepton_edge.cli.plots, lepton_edge.cli.app")

    assert not loaded & {"ortools", "pandas", "matplotlib"}


def test_help_needs_neither_onnx_nor_torch_nor_numpy() -> None:
    statement = (
        "import contextlib, io\nfrom lepton_edge.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])"
    )

    assert not modules_after(statement) & {"onnx", "torch", "numpy"}


def test_the_public_names_are_these() -> None:
    assert lepton_edge.__all__ == [
        "compile",
        "open_artifact",
        "CompileOptions",
        "Artifact",
        "LeptonError",
        "__version__",
    ]
    assert set(lepton_edge.__all__) <= set(dir(lepton_edge))


def test_the_version_is_that_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert lepton_edge.__version__ == project["version"]


def test_names_are_loaded_when_used() -> None:
    from lepton_edge.errors import LeptonError

    assert lepton_edge.LeptonError is LeptonError


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        lepton_edge.nonsense  # noqa: B018
