"""The HLS project as text: read as golden files, compiled, run, and fed to Tcl."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.fpga.dataflow import Actor
from lepton_edge.backends.fpga.hls_text import (
    HlsOptions,
    _layer_header,
    pack,
    project_files,
    vector_files,
)
from lepton_edge.backends.fpga.kernels.base import Elem, Port
from lepton_edge.backends.fpga.kernels.requantize import Lookup
from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph

STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")
SIM = ("-Isim", "-Iinclude")


@pytest.fixture
def project(small: Graph, planned, write_project, options) -> Path:
    """Give the written project, with golden vectors of four frames."""
    graph = small
    rng = np.random.default_rng(3)
    arrays = {
        v: rng.integers(0, 16, (4, *graph.types[v].shape[1:])).astype(np.uint8)
        for v in graph.inputs
    }
    results = interpreter.run(graph, arrays)
    root: Path = write_project(planned)
    vectors = vector_files(
        planned, [arrays[v] for v in graph.inputs], [results[v] for v in graph.outputs]
    )
    for path, content in vectors.items():
        (root / path).write_bytes(content)
    return root


def build_testbench(root: Path, *flags: str) -> Path:
    sources = [
        str(p.relative_to(root)) for p in (*root.glob("src/*.cpp"), *root.glob("testbench/*.cpp"))
    ]
    done = subprocess.run(
        ["g++", "-std=c++14", *flags, *sources, "-o", "tb"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return root / "tb"


def run_testbench(root: Path) -> tuple[int, str]:
    done = subprocess.run(["./tb"], cwd=root, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


# -- text -----------------------------------------------------------------------------------------


def test_golden_project(planned, options, golden) -> None:
    files = project_files(planned, options)
    generated = {
        p: t for p, t in files.items() if not p.startswith(("include/", "sim/ap", "sim/hls"))
    }
    assert sorted(p for p in generated if "/layers/" not in p) == [
        "README.md", "run_hls.tcl", "sim/csim.cpp", "src/tiny.cpp", "src/tiny.hpp",
        "testbench/tiny_tb.cpp",
    ]  # fmt: skip
    for path, text in generated.items():
        golden(f"hls/{path}", text)


def test_text_is_clean(planned, options) -> None:
    for path, text in project_files(planned, options).items():
        assert text.endswith("\n"), path
        assert not re.search(r"[ \t]$", text, re.MULTILINE), path
        assert "\t" not in text, path


def test_every_include_is_in_the_project_or_the_library(planned, options) -> None:
    files = project_files(planned, options)
    library = {
        *("algorithm", "cstddef", "cstdint", "cstdio", "cstring", "exception", "fstream"),
        *("iterator", "limits", "memory", "stdexcept", "string", "type_traits", "utility"),
        "vector",
    }
    for path, text in files.items():
        for name in re.findall(r'#include [<"]([^>"]+)[>"]', text):
            here = Path(path).parent
            found = any(
                str(Path(*_resolved(base / name))) in files
                for base in (here, Path("include"), Path("sim"))
            )
            assert found or name in library, f"{path} includes {name}"


def _resolved(path: Path) -> tuple[str, ...]:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return tuple(parts)


def test_every_layer_with_constants_is_included(planned, options) -> None:
    files = project_files(planned, options)
    headers = {p.removeprefix("src/") for p in files if p.startswith("src/layers/")}
    assert headers == set(re.findall(r'#include "(layers/[^"]+)"', files["src/tiny.cpp"]))
    assert len(headers) >= 8


@pytest.mark.parametrize(
    "layer", ["a\nint x;", "a\\", "a\\\n b", "*/ x /*", "a??/", "a\r\nb", "\u2028", "x" * 500]
)
def test_a_layers_name_stays_in_its_comment(planned, options, layer: str) -> None:
    kernel = Lookup(Elem(2), Elem(4), 1, 2, 1, np.arange(4).reshape(1, 4), -2)
    header = _layer_header(Actor("safe", kernel, ("a",), ("b",), layer, (layer, "other")))
    lines = header.splitlines()
    code = [line for line in lines if not line.startswith("//")]
    plain = _layer_header(Actor("safe", kernel, ("a",), ("b",), "plain", ("plain", "other")))
    assert code == [line for line in plain.splitlines() if not line.startswith("//")]
    assert not any(line.endswith(("\\", "??/")) for line in lines)
    assert max(map(len, lines)) < 400


# -- compiled -------------------------------------------------------------------------------------


@pytest.mark.needs("g++")
def test_the_testbench_passes_and_notices_each_flipped_byte(project: Path) -> None:
    build_testbench(project, "-O0", *STRICT, *SIM)
    assert run_testbench(project) == (0, "4 frames, design 1eafc0de: 0 words differ\n")
    for output in ("lookup_out0.bin", "best_out1.bin"):
        path = project / "testbench" / output
        good = path.read_bytes()
        for at in {0, len(good) // 2, len(good) - 1}:
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            assert run_testbench(project) == (1, "4 frames, design 1eafc0de: 1 words differ\n")
        path.write_bytes(good)
    assert run_testbench(project)[0] == 0


@pytest.mark.needs("g++")
def test_the_testbench_wants_all_vectors(project: Path) -> None:
    build_testbench(project, "-O0", *SIM, "-w")
    for name in ("image_in0.bin", "side_in1.bin", "lookup_out0.bin", "best_out1.bin"):
        path = project / "testbench" / name
        good = path.read_bytes()
        for bad in (b"", good[:-1], good + good):
            path.write_bytes(bad)
            assert run_testbench(project)[0] == 2, name
        path.write_bytes(good)


@pytest.mark.needs("g++")
def test_the_bridge_compiles_without_a_warning(project: Path) -> None:
    done = subprocess.run(
        ["g++", "-std=c++14", "-O0", *STRICT, *SIM, "-fsyntax-only", "sim/csim.cpp"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.needs("g++")
def test_the_project_means_the_same_with_the_vendors_types(project: Path) -> None:
    spec = importlib.util.find_spec("hls4ml")
    types = Path(spec.origin or "").parent / "templates" / "vivado" / "ap_types" if spec else None
    if types is None or not (types / "ap_int.h").is_file():
        pytest.skip("the vendor's ap_types headers come with hls4ml (pip install hls4ml)")
    build_testbench(project, "-O0", "-w", f"-I{types}", *SIM)
    assert run_testbench(project) == (0, "4 frames, design 1eafc0de: 0 words differ\n")


# -- Tcl ------------------------------------------------------------------------------------------

STUBS = """\
proc exit args {}
foreach name {open_project set_top add_files open_solution set_part create_clock
              csim_design csynth_design cosim_design export_design} {
    proc $name args "puts \\[list $name {*}\\$args\\]"
}
set argv [lrange $argv 0 end]
source run_hls.tcl
"""


@pytest.mark.needs("tclsh")
@pytest.mark.parametrize(
    ("steps", "run"),
    [
        ([], ["csim_design", "csynth_design", "export_design"]),
        (["csim"], ["csim_design"]),
        (["csynth", "cosim"], ["csynth_design", "cosim_design"]),
    ],
)
def test_tcl_runs_the_wanted_steps(project: Path, steps: list[str], run: list[str]) -> None:
    (project / "stubs.tcl").write_text(STUBS)
    # vitis_hls gives its script the whole command line: -f run_hls.tcl steps
    done = subprocess.run(
        ["tclsh", "stubs.tcl", "-f", "run_hls.tcl", *steps],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    calls = done.stdout.splitlines()
    assert [c.split()[0] for c in calls if c.split()[0].endswith("_design")] == run
    assert "set_top tiny" in calls
    assert "create_clock -period 10.000 -name default" in calls
    for added in (c.split() for c in calls if c.startswith("add_files")):
        assert (project / next(w for w in added[1:] if not w.startswith("-"))).is_file()


@pytest.mark.needs("tclsh")
def test_tcl_for_a_board_that_vitis_does_not_know(planned, options, write_project) -> None:
    text = project_files(planned, HlsOptions(replace(options.board, vitis_part=""), 40.0, 1))
    assert "set_part {(none: Vitis HLS does not support" in text["run_hls.tcl"]
    assert "-period 25.000" in text["run_hls.tcl"]


# -- vectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elem", "values", "wanted"),
    [
        (Elem(4, False), [15, 0], b"\x0f\x00"),
        (Elem(5), [-16, 15], b"\xf0\x0f"),
        (Elem(12), [-2048, 1], b"\x00\xf8\x01\x00"),
        (Elem(20, False), [1 << 19], b"\x00\x00\x08\x00"),
        (Elem(33), [-1], b"\xff" * 8),
    ],
)
def test_codes_travel_as_little_endian_whole_bytes(elem: Elem, values, wanted: bytes) -> None:
    port = Port(elem, len(values), 1)
    assert pack(np.array([values]), port) == wanted
