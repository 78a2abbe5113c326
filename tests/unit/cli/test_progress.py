from __future__ import annotations

import io
import re

import pytest

from lepton_edge.cli import progress
from lepton_edge.cli.progress import LiveProgress, PlainProgress, make_progress, stage_line
from lepton_edge.progress import Silent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def text_of(stream: io.StringIO) -> str:
    """Return what was written, with every time as 0 and without terminal codes."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    return re.sub(r"\[ *\d+\.\d s\]", "[  0.0 s]", text)


def test_a_line_begins_with_its_time() -> None:
    assert stage_line(1.24, "quantise", 0) == "[  1.2 s] quantise"
    assert stage_line(123.4, "conv1", 1) == "[123.4 s]   conv1"


def test_plain_lines_come_as_stages_begin() -> None:
    stream = io.StringIO()
    report = make_progress(stream)
    assert isinstance(report, PlainProgress)

    with report.stage("quantise [int8]"):
        with report.stage("calibrate"):
            report.advance(1, 100)
        report.note("2 layers are narrow")
    with report.stage("plan"):
        pass

    assert text_of(stream).splitlines() == [
        "[  0.0 s] quantise [int8]",
        "[  0.0 s]   calibrate",
        "[  0.0 s]   2 layers are narrow",
        "[  0.0 s] plan",
    ]


def test_plain_counts_come_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    report = PlainProgress(stream)
    with report.stage("calibrate"):
        report.advance(1, 100)
        monkeypatch.setattr(progress, "QUIET_S", 0.0)
        report.advance(2, 100)

    assert text_of(stream).splitlines() == ["[  0.0 s] calibrate", "[  0.0 s]   2 of 100"]


def test_a_terminal_keeps_one_line_for_each_stage() -> None:
    stream = Terminal()
    report = make_progress(stream)
    assert isinstance(report, LiveProgress)

    with report.stage("quantise [int8]"), report.stage("calibrate"):
        report.advance(50, 100)
        report.note("half of it")
    with report.stage("plan"):
        pass

    kept = re.findall(r"\[  0\.0 s\] .*", text_of(stream))
    assert [line.rstrip() for line in kept] == [
        "[  0.0 s]     half of it",
        "[  0.0 s]   calibrate",
        "[  0.0 s] quantise [int8]",
        "[  0.0 s] plan",
    ]


def test_a_terminal_says_which_stage_did_not_finish() -> None:
    stream = Terminal()
    report = LiveProgress(stream)

    with pytest.raises(KeyError), report.stage("plan"):
        raise KeyError

    assert "plan (not finished)" in text_of(stream)
    report.advance(1, 2)  # outside a stage: nothing to show, no harm


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    report = Silent()

    with report.stage("plan"):
        report.advance(1, 2)
        report.note("x")

    assert capsys.readouterr() == ("", "")
