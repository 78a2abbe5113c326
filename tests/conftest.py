"""What every test can use: golden files, models and data from outside, checks for tools."""

from __future__ import annotations

import difflib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"

settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


# A shell that runs the tests in the background has them ignore these, and programs that they start.
for ignored in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(
            ignored,
            signal.default_int_handler if ignored is signal.SIGINT else signal.SIG_DFL,
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the files under tests/golden with what the code gives now",
    )


def find_tool(name: str) -> str | None:
    """Return the path of a command, also looking beside the Python that runs the tests."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    return shutil.which(name, path=path)


def pytest_runtest_setup(item: pytest.Item) -> None:
    wanted = [str(tool) for marker in item.iter_markers("needs") for tool in marker.args]
    missing = [tool for tool in wanted if find_tool(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}, which is not on the PATH")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the directory of third-party models and data, or skip."""
    path = Path(os.environ.get("LEPTON_SHARED") or ROOT.parent / "shared")
    if not (path / "models").is_dir():
        pytest.skip("no third-party models: LEPTON_SHARED names no directory that holds them")
    return path


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Give a function that compares a text with a file under tests/golden.

    ``golden("ir/residual.txt", text)`` fails with a diff; with ``--update-golden`` it writes.
    """

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.is_file():
            pytest.fail(f"no golden file {name}: make it with ./task golden, and read it")
        wanted = path.read_text(encoding="utf-8")
        if text != wanted:
            diff = difflib.unified_diff(
                wanted.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm=""
            )
            pytest.fail("\n".join(["differs from its golden file:", *diff]), pytrace=False)

    return compare
