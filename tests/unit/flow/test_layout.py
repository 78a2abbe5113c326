"""What a manifest says of a program's memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lepton_edge.artifact.manifest import Manifest, TensorSpec
from lepton_edge.errors import ArtifactError
from lepton_edge.flow.layout import layout_document, layout_of
from lepton_edge.runtime.processor import Layout, Place

LAYOUT: dict[str, Any] = {
    "arena_bytes": 128,
    "inputs": [{"value": "x", "dtype": "int8", "shape": [1, 4], "offset": 0}],
    "outputs": [{"value": "y", "dtype": "float32", "shape": [1, 2], "offset": 64}],
    "arch": "aarch64",
    "features": ["asimd"],
}


def manifest(**changes: Any) -> Manifest:
    specs = TensorSpec("x", "int8", (1, 4)), TensorSpec("y", "float32", (1, 2))
    options = {"target": "arm", "layout": {**LAYOUT, **changes}}
    return Manifest("net", "arm", "pi", 0.0, "0", specs[:1], specs[1:], options=options)


def test_a_layout_is_read_as_it_was_written() -> None:
    places = Place("x", "int8", (1, 4), 0), Place("y", "float32", (1, 2), 64)
    layout = Layout(128, places[:1], places[1:], "aarch64", ("asimd",))
    assert layout_document(layout) == LAYOUT
    assert layout_of(manifest()) == layout


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"arena_bytes": "many"}, "arena_bytes"),
        ({"arena_bytes": 70}, "outputs"),
        ({"arch": "vax"}, "arch"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [{**LAYOUT["inputs"][0], "dtype": "|O"}]}, "inputs"),
        ({"inputs": [{**LAYOUT["inputs"][0], "shape": [1, 1 << 40]}]}, "inputs"),
        ({"outputs": [{**LAYOUT["outputs"][0], "value": "z"}]}, "outputs"),
        ({"features": [3]}, "features"),
        ({"more": 1}, "more"),
    ],
)
def test_a_layout_that_does_not_suit_is_refused(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ArtifactError, match=rf"options\.layout\..*{key}|{key}"):
        layout_of(manifest(**changes))


def test_a_manifest_without_a_layout_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"options\.layout"):
        layout_of(replace(manifest(), options={}))
