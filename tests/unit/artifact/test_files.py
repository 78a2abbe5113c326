from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lepton_edge.artifact import files
from lepton_edge.artifact.files import read_text, read_toml, shown
from lepton_edge.errors import ArtifactError, ConfigError, LeptonError


def test_a_text_comes_back(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("é\n", encoding="utf-8")
    assert read_text(tmp_path / "t", 3, ConfigError) == "é\n"


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 40)


BAD: list[tuple[Callable[[Path], object], str]] = [
    (os.mkfifo, "this is no regular file"),
    (lambda path: path.symlink_to("/dev/zero"), "this is no regular file"),
    (Path.mkdir, "this is a directory"),
    (_large, "too large: more than 1 MiB"),
    (lambda path: path.write_bytes(b"\xff"), "cannot be read: not UTF-8 text"),
    (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic links"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[b[1] for b in BAD])
@pytest.mark.parametrize("kind", [ConfigError, ArtifactError])
def test_what_is_no_small_text_file_is_refused(
    make: Callable[[Path], object], message: str, kind: type[LeptonError], tmp_path: Path
) -> None:
    make(tmp_path / "t")
    with pytest.raises(kind) as caught:
        read_text(tmp_path / "t", 1 << 20, kind, "try again")
    assert (caught.value.what, caught.value.where) == (message, str(tmp_path / "t"))
    assert caught.value.hint == "try again"


def test_names_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none", 1, ConfigError)
    with pytest.raises(ConfigError, match="cannot be read: there is no such file"):
        read_toml(tmp_path / "none")
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        read_toml(tmp_path / ("x" * 300))
    with pytest.raises(ConfigError, match="null byte"):
        read_toml(tmp_path / "a\0b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = [", "not a TOML file"),
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("a = " + "{b = " * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("a = " + "9" * 5000, "not a TOML file"),
        ("#" * (files.MAX_TOML_BYTES + 1), "too large"),
    ],
    ids=range(5),
)
def test_what_is_no_toml_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_toml(tmp_path / "t")
    assert caught.value.where == str(tmp_path / "t")


def test_values_are_shown_shortly() -> None:
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"a": deep}
    assert shown(3) == "3"
    assert len(shown(deep)) < 100
    assert len(shown("x" * 10**6)) <= 60
    assert len(shown([["x" * 100] * 100] * 100)) < 3000
