from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import RenderableType

from lepton_edge.artifact.report import (
    Evidence,
    FallbackRow,
    LayerRow,
    Metric,
    Report,
    VerificationRow,
)
from lepton_edge.backends.boards import load_board
from lepton_edge.cli import causes, guide, pieces, render
from lepton_edge.cli.output import PIPED_WIDTH, render_text
from lepton_edge.toolchain.find import PACKAGES, TOOLS, Found

MODEL = "cost model"
REPORT = Report(
    model="digits",
    target="fpga",
    board="pynq-z2",
    metrics=(
        Metric("lut", 21_345, "", Evidence.ESTIMATED, MODEL, "±25 %"),
        Metric("ff", 30_001, "", Evidence.ESTIMATED, MODEL, "±25 %"),
        Metric("dsp", 230, "", Evidence.ESTIMATED, MODEL, "±5 %"),
        Metric("bram36", 12.5, "", Evidence.ESTIMATED, MODEL),
        Metric("uram", 0, "", Evidence.ESTIMATED, MODEL),
        Metric("throughput_fps", 86_805.6, "frames/s", Evidence.ESTIMATED, MODEL, "±10 %"),
        Metric("latency_us", 41.276, "µs", Evidence.ESTIMATED, MODEL),
        Metric("clock_mhz", 100, "MHz", Evidence.ESTIMATED, "the board's default"),
    ),
    layers=(
        LayerRow(
            "network/stage1/block2/residual/conv3x3/convolution",
            "matrix-vector",
            "fpga",
            {"pe": 16, "simd": 36},
            1152,
            {"lut": 18_000, "ff": 24_000, "dsp": 230, "bram36": 12.5},
            ("Conv_3",),
        ),
        LayerRow("[bold]relu[/bold]", "threshold", "fpga", {}, None, {"lut": 3345}, ("Relu_4",)),
    ),
    verification=(
        VerificationRow("dataflow", 1000, 0, "reference", 0.51),
        VerificationRow("csim", 32, 3, "reference", 12.75),
    ),
    fallbacks=(FallbackRow("gru_1", "GRU", "no kernel for recurrent layers"),),
    warnings=("2 of 64 channels of conv1 are always zero",),
)
BUDGET = load_board("pynq-z2").resources.as_dict()


def text(view: RenderableType) -> str:
    return render_text(view, io.StringIO())


@pytest.fixture(autouse=True)
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def test_a_compiled_design(golden: Callable[[str, str], None]) -> None:
    shown = text(render.compiled(REPORT, Path("build/digits"), BUDGET))

    golden("messages/compiled.txt", shown)
    assert max(map(len, shown.splitlines())) <= PIPED_WIDTH
    assert "[bold]relu[/bold]" in shown
    assert "\x1b" not in shown


def test_a_long_path_stays_on_one_line() -> None:
    path = Path("/".join(["directory"] * 20))

    assert f"written to {path}\n" in text(render.compiled(REPORT, path, BUDGET))


def test_a_plan_of_hardly_anything(golden: Callable[[str, str], None]) -> None:
    golden("messages/planned.txt", text(render.compiled(Report("m", "fpga", ""), None, None)))


def test_totals_without_a_known_board_have_no_share() -> None:
    table = render.totals_table(REPORT, None)

    assert table is not None
    assert "?" in text(table)


def test_layers_tell_their_region_where_there_are_several() -> None:
    cpu = dataclasses.replace(REPORT.layers[1], region="cpu")
    table = render.layers_table(dataclasses.replace(REPORT, layers=(REPORT.layers[0], cpu)))

    assert table is not None
    assert "region" in text(table)


def test_verification(golden: Callable[[str, str], None]) -> None:
    golden("messages/verified.txt", text(render.verified(REPORT)))


@pytest.mark.parametrize(
    ("name", "width", "short"),
    [("conv", 8, "conv"), ("abcdefghij", 7, "abc…hij"), ("abcdefghij", 6, "abc…ij")],
)
def test_long_names_are_shortened_in_the_middle(name: str, width: int, short: str) -> None:
    assert pieces.shorten_middle(name, width) == short
    assert len(short) <= width


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (12.5, "12.5"), (86_805.6, "86,806"), (0.0123449, "0.01234"), (1e6, "1,000,000")],
)
def test_numbers(value: float, shown: str) -> None:
    assert pieces.number(value) == shown


@pytest.mark.parametrize(
    ("used", "has", "shown"),
    [(1, 4, "25.0 %"), (0, 0, "-"), (1, 0, "none there"), (1, None, "?")],
)
def test_shares(used: float, has: float | None, shown: str) -> None:
    assert render.share(used, has) == shown


def test_a_run_shows_the_first_samples() -> None:
    scores = np.eye(12, dtype=np.int32)

    assert text(render.ran({"scores": scores}, "csim", None)).splitlines() == [
        "scores: int32[12, 12], 12 samples, computed by csim",
        "  highest at index: 0  1  2  3  4  5  6  7  8  9  …",
    ]
    assert text(render.ran({"label": np.array([[7]])}, "reference", None)).splitlines() == [
        "label: int64[1, 1], 1 sample, computed by reference",
        "  value: 7",
    ]
    assert "written to y.npz" in text(render.ran({"scores": scores}, "csim", Path("y.npz")))


def test_a_run_as_json() -> None:
    outputs = {"y": np.array([[1.5], [np.nan]], np.float32)}

    assert render.run_document(outputs, "csim", Path("y.npz")) == {
        "level": "csim",
        "outputs": [{"name": "y", "dtype": "float32", "shape": [2, 1], "top1": [1.5, None]}],
        "output": "y.npz",
    }


def test_one_board(golden: Callable[[str, str], None]) -> None:
    golden("messages/board.txt", text(guide.board_detail(load_board("pynq-z2"))))


def test_a_doctor_who_misses_something(golden: Callable[[str, str], None]) -> None:
    found = [Found(wanted, version="1.2.3") for wanted in PACKAGES]
    found += [Found(tool, problem="not found") for tool in TOOLS]

    golden("messages/doctor.txt", text(guide.doctor_table(found, "3.11.2", False)))


def test_an_explanation(golden: Callable[[str, str], None]) -> None:
    cls = causes.error_class("does-not-fit")

    golden("messages/explain.txt", text(guide.explanation(cls, causes.TYPICAL_CAUSES[cls.code])))


def test_columns_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    assert max(map(len, text(render.verified(REPORT)).splitlines())) <= 60
