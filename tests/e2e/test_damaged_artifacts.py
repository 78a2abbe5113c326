"""An artifact that is not as compile wrote it is refused: it is never run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("g++")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def refused(folder: Path, mlp: Any, call: Any) -> str:
    """Return the message with which every use of an artifact is refused."""
    report = folder / "report.json"
    before = report.read_bytes() if report.is_file() else b""
    messages = []
    for words in (
        ("verify", folder),
        ("run", folder, "--input", mlp.inputs),
        ("run", folder, "--input", mlp.inputs, "--level", "reference"),
    ):
        ended = call(*words)
        assert ended.status == 10, (words, ended.err)
        messages.append(ended.error)
    assert len(set(messages)) == 1
    assert (report.read_bytes() if report.is_file() else b"") == before
    return messages[0]


DAMAGE = [_flip, _truncate, Path.unlink, _link, _directory]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda f: f.__name__.strip("_"))
def test_every_file_is_guarded(
    damage: Callable[[Path], None], artifact: Path, mlp: Any, call: Any
) -> None:
    files = sorted(json.loads((artifact / "manifest.json").read_text())["files"])
    assert "hls/src/mlp.cpp" in files
    assert "graphs/core.npz" in files
    spoilt = artifact.with_name("spoilt")
    for name in (*files, "manifest.json", "report.json"):
        if "include" in name and not name.endswith(("mvu.hpp", "vec.hpp")):
            continue
        if damage is _truncate and name.endswith(".bin"):
            continue  # shorter than what is cut
        shutil.copytree(artifact, spoilt)
        if not (name == "report.json" and damage is _flip):
            damage(spoilt / name)
            place = str(spoilt / Path(name))
            message = refused(spoilt, mlp, call)
            assert place in message or str(spoilt) in message
        shutil.rmtree(spoilt)


def _edit(*path: Any) -> Callable[[dict[str, Any]], None]:
    *keys, value = path

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


EDITS = [
    _edit("files", {}),
    _edit("files", "../../etc/passwd", "0" * 64),
    _edit("files", "/etc/passwd", "0" * 64),
    _edit("inputs", []),
    _edit("inputs", 0, "name", "z"),
    _edit("inputs", 0, "shape", [1, 99]),
    _edit("outputs", 0, "name", "z"),
    _edit("options", "design", "../../../tmp/evil"),
    _edit("options", "ports", "outputs", 0, "elements", 1),
    _edit("options", "ports", "outputs", 0, "elements", 10**12),
    _edit("options", "ports", "inputs", 0, "dtype", "rubbish"),
    _edit("options", "ports", "inputs", 0, "value", "z"),
    _edit("design_id", "deadbeef"),
    _edit("schema", 2),
]


@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
def test_an_edited_manifest_is_refused(edit: Any, artifact: Path, mlp: Any, call: Any) -> None:
    path = artifact / "manifest.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))

    assert "manifest.json" in refused(artifact, mlp, call)


def _sealed(artifact: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit a manifest as its writer could have: with the hashes and the seal that belong to it."""
    path = artifact / "manifest.json"
    document = json.loads(path.read_text())
    edit(document)
    for name in document["files"]:
        document["files"][name] = hashlib.sha256((artifact / name).read_bytes()).hexdigest()
    del document["seal"]
    text = json.dumps(document, sort_keys=True).encode()
    path.write_text(json.dumps(document | {"seal": hashlib.sha256(text).hexdigest()}))


PORT = ("options", "ports", "outputs", 0)
FORGERIES = [
    (_edit("options", {}), "key 'options.design': wanted a text, found nothing"),
    (_edit("options", "design", "x(); //"), "wanted a name of letters, digits and _"),
    (_edit("options", "design", "other"), "but there is no hls/src/other.cpp"),
    (_edit("options", "ports", {}), "key 'options.ports.inputs': wanted a list of objects"),
    (_edit("options", "ports", "inputs", []), "wanted at least one port, found []"),
    (_edit(*PORT, "dtype", "|O"), "key 'options.ports.outputs[0].dtype': wanted one of |i1"),
    (_edit(*PORT, "dtype", "<i8"), "the manifest says"),
    (_edit(*PORT, "lanes", 0), "key 'options.ports.outputs[0].lanes': wanted a whole number"),
    (_edit(*PORT, "lanes", 3), "wanted a divisor of 4 elements, found 3"),
    (_edit(*PORT, "elements", 1 << 40), "in the manifest cannot carry"),
    (_edit(*PORT, "elements", 40), "in the manifest cannot carry"),
    (_edit(*PORT, "value", "z"), "its values are not those of the ports in the manifest"),
    (_edit(*PORT, "name", "z"), "port 'z' has no bits"),
    (_edit(*PORT, "name", "z;"), "wanted a name of letters, digits and _"),
    (_edit("inputs", 0, "shape", [1, 99]), "its inputs are not those in the manifest"),
    (_edit("outputs", 0, "name", "z"), "its outputs are not those in the manifest"),
    (_edit("clock_mhz", 0), "clock_mhz is 0; wanted a number above 0"),
]


@pytest.mark.parametrize(("edit", "words"), FORGERIES, ids=[f[1] for f in FORGERIES])
def test_a_manifest_that_makes_no_sense_is_refused(
    edit: Any, words: str, artifact: Path, mlp: Any, call: Any
) -> None:
    _sealed(artifact, edit)

    assert words in refused(artifact, mlp, call)


@pytest.mark.parametrize(
    ("old", "new"), [("after", "core"), ("before", "core"), ("core", "after"), ("core", "network")]
)
def test_graphs_that_were_swapped_are_refused(
    old: str, new: str, artifact: Path, mlp: Any, call: Any
) -> None:
    graphs = artifact / "graphs"
    shutil.copyfile(graphs / f"{old}.npz", graphs / f"{new}.npz")
    _sealed(artifact, lambda _: None)

    assert str(graphs) in refused(artifact, mlp, call)


@pytest.mark.parametrize(
    ("key", "value"), [("module", "none"), ("memories", ["../../../etc/passwd"])]
)
def test_nodes_that_need_other_files_are_not_built(
    key: str, value: Any, artifact: Path, call: Any
) -> None:
    path = artifact / "rtl" / "nodes.json"
    document = json.loads(path.read_text())
    document["nodes"][1][key] = value
    path.write_text(json.dumps(document))
    _sealed(artifact, lambda _: None)

    ended = call("build", artifact)

    assert ended.status == 10
    assert "which compile did not write" in ended.error


@pytest.mark.parametrize("place", ["hls/include/cstdint", "hls/src/layers/x.hpp", "hls/sim/vector"])
def test_a_file_that_g_plus_plus_would_read_too(
    place: str, artifact: Path, mlp: Any, call: Any
) -> None:
    (artifact / place).write_text("#error mine\n")

    assert "was not written by compile" in refused(artifact, mlp, call)


def test_other_files_may_be_added(artifact: Path, mlp: Any, call: Any) -> None:
    (artifact / "hls" / "build").mkdir()
    (artifact / "hls" / "build" / "vitis.log").write_text("mine")

    assert call("verify", artifact).status == 0


PLACES = [
    "graphs/core.npz", "graphs/new.npz", "hls/src/new/y.npz", "rtl/y.npz", "build/y.npz",
    "samples.npz", "../mlp/graphs/core.npz",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_outputs_replace_no_part_of_the_artifact(
    place: str, artifact: Path, mlp: Any, call: Any, helpers: Any
) -> None:
    before = helpers.tree(artifact)

    ended = call("run", artifact, "--input", mlp.inputs, "--output", artifact / place)

    assert ended.status == 2
    assert "is a part of the artifact" in ended.error
    assert helpers.tree(artifact) == before


def test_waveforms_replace_no_part_of_the_artifact(
    artifact: Path, mlp: Any, call: Any, helpers: Any
) -> None:
    before = helpers.tree(artifact)
    words = ("--input", mlp.inputs, "--level", "rtl", "--trace", artifact / "manifest.json")

    assert "is a part of the artifact" in call("run", artifact, *words).error
    assert helpers.tree(artifact) == before


@pytest.mark.parametrize("place", ["outputs.npz", "mine/y.npz"])
def test_outputs_may_lie_beside_the_design(place: str, artifact: Path, mlp: Any, call: Any) -> None:
    assert call("run", artifact, "--input", mlp.inputs, "-o", artifact / place).status == 0
    assert call("verify", artifact, "--samples", "4").status == 0


def test_a_damaged_simulation_in_the_cache(artifact: Path, shell: Any, tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert shell("verify", artifact, env=env).status == 0
    (library,) = (tmp_path / "cache").rglob("csim/*.so")
    library.unlink()
    library.write_bytes(b"\x7fELF" + bytes(100))

    ended = shell("verify", artifact, env=env)

    assert ended.status == 10
    assert str(library) in ended.error
    assert "delete this file" in ended.error
