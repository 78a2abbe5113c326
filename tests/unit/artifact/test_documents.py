from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_edge.artifact.manifest import Manifest, TensorSpec
from lepton_edge.artifact.report import (
    Evidence,
    FallbackRow,
    LayerRow,
    Metric,
    Report,
    VerificationRow,
)
from lepton_edge.errors import ArtifactError, InternalError
from lepton_edge.ir.types import Float, QuantType, TensorType

REPORT = Report(
    model="digits",
    target="fpga",
    board="pynq-z2",
    metrics=(Metric("lut", 5000, "", Evidence.ESTIMATED, "cost model", "±20 %"),),
    layers=(LayerRow("conv", "mvu", "fpga", {"pe": 2}, None, {"lut": 12.5}, ("Conv_0",)),),
    verification=(VerificationRow("csim", 32, 0, "reference", 1.5),),
    fallbacks=(FallbackRow("gru", "GRU", "no kernel"),),
    warnings=("slow",),
)
QUANT = {"scale": 0.5, "zero_point": 0, "bits": 8, "signed": True}
MANIFEST = Manifest(
    name="digits",
    target="fpga",
    board="pynq-z2",
    clock_mhz=100.0,
    design_id="0badcafe",
    inputs=(TensorSpec("image", "int8", (1, 8, 8, 1), QUANT),),
    outputs=(TensorSpec("label", "int64", (1,)),),
    files={"src/top.cpp": "a" * 64},
    tools={"lepton-edge": "0.1.0"},
    options={"fps": None},
)

TEXT = st.text(max_size=8)
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9)
COUNT = st.integers(0, 10**12)
REPORTS = st.builds(
    Report,
    model=TEXT,
    target=TEXT,
    board=TEXT,
    metrics=st.lists(
        st.builds(Metric, TEXT, NUMBER, TEXT, st.sampled_from(Evidence), TEXT, TEXT), max_size=3
    ).map(tuple),
    layers=st.lists(
        st.builds(
            LayerRow,
            TEXT,
            TEXT,
            TEXT,
            st.dictionaries(TEXT, COUNT, max_size=2),
            COUNT | st.none(),
            st.dictionaries(TEXT, NUMBER, max_size=2),
            st.lists(TEXT, max_size=2).map(tuple),
            st.dictionaries(TEXT, NUMBER, max_size=2),
        ),
        max_size=3,
    ).map(tuple),
    verification=st.lists(
        st.builds(VerificationRow, TEXT, COUNT, COUNT, TEXT, NUMBER), max_size=2
    ).map(tuple),
    fallbacks=st.lists(st.builds(FallbackRow, TEXT, TEXT, TEXT), max_size=2).map(tuple),
    warnings=st.lists(TEXT, max_size=2).map(tuple),
    schema=st.just(2),
)


def changed(document: Report | Manifest, *path: Any, value: Any) -> str:
    """Return the JSON text with the value at ``path`` replaced, or removed where it is None."""
    values = json.loads(document.to_json())
    place = values
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(values)


@given(REPORTS)
def test_a_report_survives_json(report: Report) -> None:
    assert Report.from_json(report.to_json()) == report


def test_a_manifest_survives_json() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_the_keys_of_a_report_are_those_of_the_design() -> None:
    assert [*json.loads(REPORT.to_json())] == [
        "schema",
        "model",
        "target",
        "board",
        "metrics",
        "layers",
        "verification",
        "fallbacks",
        "warnings",
    ]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("model",), None, "key 'model': wanted a text, found nothing"),
        (("model",), 3, "key 'model': wanted a text, found 3"),
        (("extra",), 1, "unknown key 'extra'"),
        (("metrics",), {}, "key 'metrics': wanted a list of objects, found {}"),
        (("metrics", 0, "value"), "much", "key 'metrics[0].value': wanted a number, found 'much'"),
        (("metrics", 0, "value"), True, "key 'metrics[0].value': wanted a number, found True"),
        (
            ("metrics", 0, "evidence"),
            "guessed",
            "key 'metrics[0].evidence': wanted one of measured, simulated, synthesised, estimated",
        ),
        (("metrics", 0, "colour"), "red", "unknown key 'metrics[0].colour'"),
        (("layers", 0, "cycles"), -1, "key 'layers[0].cycles': wanted a whole number, 0 or more"),
        (("layers", 0, "folding"), {"pe": 1.5}, "key 'layers[0].folding': wanted an object of"),
        (("layers", 0, "sources"), [1], "key 'layers[0].sources': wanted a list of texts"),
        (("verification", 0, "samples"), None, "wanted a whole number, 0 or more, found nothing"),
        (("warnings",), "one", "key 'warnings': wanted a list of texts, found 'one'"),
    ],
)
def test_a_damaged_report_names_the_key(path: tuple[Any, ...], value: Any, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        Report.from_json(changed(REPORT, *path, value=value), "build/report.json")

    assert message in caught.value.what
    assert caught.value.where == "build/report.json"
    assert caught.value.hint == "compile the model again"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("design_id",), "XYZ", "key 'design_id': wanted lower-case hex digits, found 'XYZ'"),
        (("files",), {"../../etc/passwd": "a" * 64}, "wanted relative paths inside the artifact"),
        (("files",), {"/etc/passwd": "a" * 64}, "wanted relative paths inside the artifact"),
        (("files",), {"a//b": "a" * 64}, "wanted relative paths inside the artifact"),
        (("files",), {".": "a" * 64}, "wanted relative paths inside the artifact"),
        (("files",), {"top.cpp": "short"}, "key 'files.top.cpp': wanted a sha256 in hex"),
        (("inputs", 0, "shape"), [1, "8"], "key 'inputs[0].shape': wanted a list of whole"),
        (("inputs", 0, "quant"), {"scale": 1}, "wanted scale, zero_point, bits and signed"),
        (("inputs", 0, "quant", "scale"), 0, "wanted scale, zero_point, bits and signed"),
        (("inputs", 0, "quant", "bits"), "8", "wanted scale, zero_point, bits and signed"),
        (("inputs", 0, "quant"), 7, "key 'inputs[0].quant': wanted an object, found 7"),
        (("clock_mhz",), "fast", "key 'clock_mhz': wanted a number, found 'fast'"),
        (("tools",), {"g++": 12}, "key 'tools': wanted an object of texts"),
    ],
)
def test_a_damaged_manifest_names_the_key(path: tuple[Any, ...], value: Any, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        Manifest.from_json(changed(MANIFEST, *path, value=value))

    assert message in caught.value.what


@pytest.mark.parametrize("text", ["", "{", "[]", "nul", '{"schema": NaN}', "[" * 100_000])
def test_what_is_no_json_object_is_an_artifact_error(text: str) -> None:
    with pytest.raises(ArtifactError, match="JSON"):
        Report.from_json(text)


@pytest.mark.parametrize("depth", [300, 700])
def test_options_that_are_nested_deeply(depth: int) -> None:
    deep = "[" * depth + "1" + "]" * depth
    text = MANIFEST.to_json().replace('"options": {', f'"options": {{"a": {deep}, ', 1)
    with pytest.raises(ArtifactError):
        Manifest.from_json(text)


def test_a_newer_schema_says_upgrade_and_a_older_one_compile() -> None:
    with pytest.raises(ArtifactError) as newer:
        Report.from_json(changed(REPORT, "schema", value=99))
    with pytest.raises(ArtifactError) as older:
        Manifest.from_json(changed(MANIFEST, "schema", value=0))

    assert newer.value.what == "schema version 99; this version reads 2"
    assert "upgrade lepton-edge" in newer.value.hint
    assert older.value.hint == "compile the model again"


def test_verification_rows_are_replaced_by_level() -> None:
    csim = VerificationRow("csim", 100, 1, "reference", 2.0)
    dataflow = VerificationRow("dataflow", 8, 0, "reference", 0.1)

    report = REPORT.with_verification(dataflow).with_verification(csim)

    assert report.verification == (csim, dataflow)


def test_metrics_are_found_and_replaced_by_name_and_evidence() -> None:
    estimate = REPORT.metric("lut")
    first = Metric("lut", 4900, "", Evidence.SYNTHESISED, "yosys")
    better = Metric("lut", 4800, "", Evidence.SYNTHESISED, "a newer yosys")

    report = REPORT.with_metric(first).with_metric(better)

    assert report.metric("lut") == better  # the stronger evidence
    assert report.metrics == (estimate, better)  # the estimate stays beside it
    assert report.metric("ff") is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "12"])
def test_a_metric_is_a_finite_number(value: Any) -> None:
    with pytest.raises(InternalError, match="finite number"):
        Metric("lut", value, "", Evidence.ESTIMATED, "")


def test_what_json_cannot_hold_is_an_internal_error() -> None:
    with pytest.raises(InternalError, match="cannot be written"):
        dataclasses.replace(MANIFEST, options={"x": object()}).to_json()


def test_a_manifest_says_that_codes_are_signs() -> None:
    spec = TensorSpec.of("z", TensorType((1, 2), QuantType.signs((0.5,))))
    assert spec.dtype == "uint8"
    assert spec.quant == {
        "scale": 0.5, "zero_point": 1, "bits": 1, "signed": False, "bipolar": True,
    }  # fmt: skip
    manifest = dataclasses.replace(MANIFEST, inputs=(spec,))
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_a_spec_describes_a_value_of_a_graph() -> None:
    per_tensor = QuantType(8, True, (0.5,), (3,))
    per_axis = QuantType(4, False, (0.5, 0.25), axis=3)

    assert TensorSpec.of("x", TensorType((1, 2), Float())) == TensorSpec("x", "float32", (1, 2))
    assert TensorSpec.of("y", TensorType((1, 2), per_tensor)) == TensorSpec(
        "y", "int8", (1, 2), {"scale": 0.5, "zero_point": 3, "bits": 8, "signed": True}
    )
    assert TensorSpec.of("z", TensorType((1, 1, 1, 2), per_axis)).quant == {
        "scale": [0.5, 0.25],
        "zero_point": [0],
        "bits": 4,
        "signed": False,
        "axis": 3,
    }
    manifest = dataclasses.replace(
        MANIFEST, inputs=(TensorSpec.of("z", TensorType((1, 1, 1, 2), per_axis)),)
    )
    assert Manifest.from_json(manifest.to_json()) == manifest
