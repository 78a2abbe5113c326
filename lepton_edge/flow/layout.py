"""What a manifest says of a program's memory, checked against the network."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from lepton_edge.artifact.document import Document
from lepton_edge.artifact.manifest import Manifest, TensorSpec
from lepton_edge.artifact.store import MANIFEST
from lepton_edge.backends.computers import ARMS
from lepton_edge.runtime.processor import Layout, Place

ARCHITECTURES = ("x86_64", *ARMS)


def layout_document(layout: Layout) -> dict[str, Any]:
    """Return a layout as plain JSON values, as it comes back from a file."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(layout)))
    return document


def layout_of(manifest: Manifest, where: str = MANIFEST) -> Layout:
    """Return what a manifest says of a program's memory.

    Args:
        manifest: of the artifact.
        where: what messages call it: the file's path.

    Raises:
        ArtifactError: it says nothing, or nothing that suits the network.
    """
    options = Document(manifest.options, where, "options.")
    document = Document(options.any_table("layout"), where, "options.layout.")
    arena_bytes = document.integer("arena_bytes")
    arch = document.text("arch")
    if arch not in ARCHITECTURES:
        raise document.error("arch", f"one of {', '.join(ARCHITECTURES)}", arch)
    inputs, outputs = (document.rows(side, _read_place) for side in ("inputs", "outputs"))
    for side, places, specs in (
        ("inputs", inputs, manifest.inputs),
        ("outputs", outputs, manifest.outputs),
    ):
        wanted = [_described(spec) for spec in specs]
        found = [(place.value, place.dtype, place.shape) for place in places]
        if sorted(found) != sorted(wanted):
            raise document.error(side, f"the {side} of the network, {wanted}", found)
        for place in places:
            if not 0 <= place.offset <= arena_bytes - _bytes(place):
                raise document.error(side, f"places within {arena_bytes} bytes", place.offset)
    features = document.texts("features")
    document.finish()
    return Layout(arena_bytes, inputs, outputs, arch, features)


def _read_place(row: Document) -> Place:
    return Place(row.text("value"), row.text("dtype"), row.integers("shape"), row.integer("offset"))


def _described(spec: TensorSpec) -> tuple[str, str, tuple[int, ...]]:
    return spec.name, spec.dtype, tuple(spec.shape)


def _bytes(place: Place) -> int:
    return int(np.prod(place.shape, dtype=np.int64)) * np.dtype(place.dtype).itemsize
