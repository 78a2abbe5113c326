from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lepton_edge.errors import ArtifactError
from lepton_edge.ir.graph import Graph, GraphBuilder
from lepton_edge.ir.ops.quantized import Requantize, Rounding
from lepton_edge.ir.ops.shape import Pad
from lepton_edge.ir.serde import SCHEMA, load_graph, save_graph
from lepton_edge.ir.text import to_text
from lepton_edge.ir.types import Float, Int, QuantType, TensorType

Document = dict[str, Any]


def small() -> Graph:
    """A graph with an attribute of every kind: tuple, float, enum, quantised type."""
    builder = GraphBuilder("small")
    x = builder.input("x", TensorType((1, 2), QuantType(20, True, (0.1, 0.3), axis=-1)))
    real = builder.input("r", TensorType((1, 2), Float()))
    op = Requantize(QuantType(5, True, (0.7,), (-3,), narrow=True), 3, -15, 9, Rounding.HALF_EVEN)
    m = builder.constant(np.array([3, 5]), Int(32), "m")
    b = builder.constant(np.array([1]), name="b")
    y = builder.emit1(op, [x, m, b], name="requantize", sources=["/a", "/b"])
    pad = builder.emit1(Pad((0, 1), (0, 2), -0.5), [real], name="pad")
    return builder.finish([y, pad])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "graph.npz"
    save_graph(small(), path)
    return path


def test_a_graph_comes_back_equal(path: Path) -> None:
    loaded, saved = load_graph(path), small()
    assert to_text(loaded) == to_text(saved)
    assert (loaded.nodes, loaded.inputs, loaded.outputs) == (
        saved.nodes,
        saved.inputs,
        saved.outputs,
    )
    assert loaded.types == saved.types
    for value, array in saved.constants.items():
        np.testing.assert_array_equal(loaded.constants[value], array)
        assert loaded.constants[value].dtype == array.dtype
        assert not loaded.constants[value].flags.writeable


def edited(path: Path, edit: Callable[[Document, dict[str, Any]], None]) -> Path:
    """Rewrite the file with its document and arrays changed."""
    with np.load(path) as archive:
        arrays = dict(archive)
    document = json.loads(arrays.pop("graph").tobytes())
    edit(document, arrays)
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    np.savez(path, graph=text, **arrays)
    return path


def refusal(path: Path) -> ArtifactError:
    with pytest.raises(ArtifactError) as caught:
        load_graph(path)
    assert caught.value.where == str(path)
    return caught.value


def test_a_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.npz").what == "there is no such file"


@pytest.mark.parametrize("keep", [0, 1, 30, 200, -30])
def test_a_truncated_file(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(path).what.startswith("damaged graph file: ")


def test_bytes_that_were_never_an_archive(path: Path) -> None:
    path.write_bytes(b"not a zip file at all" * 20)
    assert "damaged graph file" in refusal(path).what


def test_a_bare_array_file(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert "damaged graph file" in refusal(path).what


@pytest.mark.parametrize("position", range(0, 1500, 61))
def test_a_flipped_byte_is_noticed_or_harmless(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 0x55
    path.write_bytes(content)
    try:
        loaded = load_graph(path)
    except ArtifactError:
        return
    assert to_text(loaded) == to_text(small())


def test_another_schema_says_which(path: Path) -> None:
    edited(path, lambda document, _: document.update(schema=SCHEMA + 1))
    error = refusal(path)
    assert error.what == f"graph schema {SCHEMA + 1}; this version reads {SCHEMA}"
    assert error.hint == "compile the model again"


def test_a_pickled_array_is_never_unpickled(path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("the pickle was executed",))

    def plant(_: Document, arrays: dict[str, Any]) -> None:
        arrays["c0"] = np.array([Bomb()], object)

    assert "allow_pickle=False" in refusal(edited(path, plant)).what


def damage(kind: str) -> Callable[[Document, dict[str, Any]], None]:
    def edit(document: Document, arrays: dict[str, Any]) -> None:
        node = document["nodes"][0]
        match kind:
            case "no document key":
                del document["nodes"]
            case "op":
                node["op"] = "requantise"
            case "attribute":
                node["attrs"]["shifts"] = 3
            case "attribute missing type":
                node["attrs"]["out"]["kind"] = "bits"
            case "attribute value":
                node["attrs"]["shift"] = 99
            case "enum":
                node["attrs"]["rounding"] = "up"
            case "bits":
                document["types"]["x"][1]["bits"] = 99
            case "type":
                document["types"]["x"][0] = [1, 3]
            case "constant":
                document["constants"]["m"] = "c9"
            case "constant dtype":
                arrays["c0"] = arrays["c0"].astype(np.float32)
            case "outputs":
                node["outputs"] = []
            case "not a list":
                document["nodes"] = 3
            case "not an object":
                document["types"] = [1]

    return edit


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no document key", "'nodes'"),
        ("op", "no op is named 'requantise'\nhint: did you mean requantize"),
        ("attribute", "shifts"),
        ("attribute missing type", "no element type is named 'bits'"),
        ("attribute value", "shift 99 is not in 0..62"),
        ("enum", "'up' is not a valid Rounding"),
        ("bits", "1..63 bits, found 99"),
        ("type", "multiplier has shape (2,)"),
        ("constant", "c9"),
        ("constant dtype", "is float32[2]; wanted i32[2]"),
        ("outputs", "zip()"),
        ("not a list", "int"),
        ("not an object", "list"),
    ],
)
def test_a_document_that_makes_no_sense(path: Path, kind: str, message: str) -> None:
    error = refusal(edited(path, damage(kind)))
    assert error.what.startswith("damaged graph file: ")
    assert message in error.what


def test_constants_that_are_not_finite(tmp_path: Path) -> None:
    builder = GraphBuilder("nan")
    builder.input("x", TensorType((1,), Float()))
    constant = builder.constant(np.array([np.nan], np.float32), name="c")
    path = tmp_path / "graph.npz"
    save_graph(builder.finish([constant]), path)
    assert "constant 'c': holds values that are not finite" in refusal(path).what
