from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lepton_edge.errors import InternalError, ToolMissingError, ToolVersionError
from lepton_edge.toolchain import find
from lepton_edge.toolchain.find import PACKAGES, TOOLS, Package, Tool, look_for, require_tool

TOOL = Tool("widget", ("widget-ng", "widget"), "tests", "make widget", minimum=(2, 1))


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(find.sys, "executable", str(tmp_path / "python"))
    return tmp_path


def install(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_missing_tool_is_told(tools: Path) -> None:
    assert look_for(TOOL).problem == "not found"
    assert not look_for(TOOL).is_usable


def test_a_tool_tells_path_and_version(tools: Path) -> None:
    install(tools / "widget", "echo 'Widget 2.10.3 (built by gcc 12.2.0)'")

    found = look_for(TOOL)

    assert (found.version, found.path, found.problem) == ("2.10.3", str(tools / "widget"), "")


def test_the_first_command_is_preferred(tools: Path) -> None:
    install(tools / "widget", "echo 2.1")
    install(tools / "widget-ng", "echo 3.0")

    assert look_for(TOOL).version == "3.0"


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo widget 2.0.9", "version 2.0.9; wanted 2.1 or newer"),
        ("echo hello", "version unknown; wanted 2.1 or newer"),
        ("exit 3", "ended with status 3 when asked for its version"),
    ],
)
def test_a_tool_that_cannot_be_used_says_why(tools: Path, script: str, problem: str) -> None:
    install(tools / "widget", script)

    assert look_for(TOOL).problem == problem


def test_a_tool_that_hangs_is_left(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "VERSION_TIMEOUT_S", 0.2)
    install(tools / "widget", "exec /bin/sleep 30")

    assert look_for(TOOL).problem.startswith("did not tell its version")


def test_a_tool_that_cannot_start_is_told(tools: Path) -> None:
    install(tools / "widget", "")
    (tools / "widget").write_text("#!/no/such/shell\n")

    assert look_for(TOOL).problem == "cannot be started: No such file or directory"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("g++ (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright", "12.2.0"),
        ("Yosys 0.38+92 (git sha1 84116c9a3, clang 14.0.0)", "0.38"),
        ("Verilator 5.020 2024-01-01 rev", "5.020"),
        ("\n****** Vivado v2023.2 (64-bit)\n", "2023.2"),
        ("", ""),
    ],
)
def test_versions_are_read(tools: Path, text: str, version: str) -> None:
    (tools / "text").write_text(f"{text}\n")
    install(tools / "widget", f"while read -r line; do echo \"$line\"; done < '{tools}/text'")

    assert look_for(Tool("widget", ("widget",), "", "")).version == version


def test_requiring_a_missing_or_old_tool_teaches(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "TOOLS", (TOOL,))

    with pytest.raises(ToolMissingError) as missing:
        require_tool("widget")
    install(tools / "widget", "echo 1.0")
    with pytest.raises(ToolVersionError) as old:
        require_tool("widget")
    install(tools / "widget", "echo 2.1")

    assert str(missing.value) == (
        "widget is not installed; it is needed for tests\nhint: make widget"
    )
    assert old.value.what == "version 1.0; wanted 2.1 or newer"
    assert require_tool("widget").path == str(tools / "widget")
    with pytest.raises(InternalError):
        require_tool("unheard of")


def test_packages_are_looked_up_by_their_distribution() -> None:
    assert look_for(Package("numpy", "", "")).version
    assert look_for(Package("no-such-package-0", "", "")).problem == "not installed"


@pytest.mark.parametrize("wanted", [*TOOLS, *PACKAGES], ids=lambda wanted: wanted.name)
def test_each_says_what_for_and_how_to_install(wanted: Tool | Package) -> None:
    assert wanted.purpose
    assert wanted.install
