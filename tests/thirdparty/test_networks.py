"""Networks that nobody here made: the same bits at every level, and little accuracy lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.agreement import final_codes, onnxruntime_codes, walk
from benchmarks.networks import Case, few_bit_cases, float_cases, quantized_cases
from lepton_edge.flow import CompileOptions, compile_model
from lepton_edge.frontends import import_model
from lepton_edge.ir import interpreter
from lepton_edge.passes.pipeline import QuantizeOptions, lower, quantize, simplify
from tests.hwsim.rtl.harness import needs_simulator

QUANTIZED = (
    "mlperf_ic_resnet8_int8_qdq",
    "mlperf_kws_dscnn_int8_qdq",
    "mlperf_ad_fcae_int8_qdq",
    "tflm_sine_mlp_int8_qdq",
)
FEW_BITS = {
    "zoo_tfc_1w1a_qonnx": 0.9296,
    "zoo_tfc_1w2a_qonnx": 0.9474,
    "zoo_tfc_2w2a_qonnx": 0.9660,
}
"""Accuracy on all of MNIST's test images, of the float reference too."""

FLOAT = (
    "mlperf_ic_resnet8_fp32",
    "mlperf_kws_dscnn_fp32",
    "ort_mnist_conv_op8_fp32",
    "mlperf_ad_fcae_fp32",
)


def case_named(cases: list[Case], name: str) -> Case:
    return next(case for case in cases if case.name == name)


def csim_mismatches(name: str, count: int, folder: Path) -> int:
    """Compile without proof, then verify on ``count`` inputs; return the codes that differ."""
    case = case_named(quantized_cases(count), name)
    artifact = compile_model(case.path, folder / name, CompileOptions(csim=False))
    (value,) = (spec.name for spec in artifact.manifest.inputs)
    report = artifact.verify(inputs={value: case.inputs}, levels=["csim"])
    (row,) = report.verification
    assert row.samples == count
    return row.mismatches


@pytest.mark.usefixtures("shared")
@pytest.mark.needs("g++")
@pytest.mark.parametrize("name", QUANTIZED)
def test_csim_equals_the_interpreter(name: str, tmp_path: Path) -> None:
    assert csim_mismatches(name, 40, tmp_path) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("shared")
@pytest.mark.needs("g++")
@pytest.mark.parametrize("name", QUANTIZED)
def test_csim_equals_the_interpreter_on_many_inputs(name: str, tmp_path: Path) -> None:
    assert csim_mismatches(name, 1000, tmp_path) == 0


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("name", QUANTIZED[1:])
def test_the_interpreter_agrees_with_onnxruntime(name: str) -> None:
    case = case_named(quantized_cases(500), name)
    graph = lower(simplify(import_model(case.path))).graph
    ours = interpreter.run(graph, {graph.inputs[0]: case.inputs})[graph.outputs[0]]
    for optimised in (False, True):
        theirs = final_codes(case, optimised)
        assert (ours == theirs).mean() >= 0.998
        assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).all()


@pytest.mark.usefixtures("shared")
def test_only_exact_ties_of_a_mean_pool_part_resnet8_from_onnxruntime() -> None:
    case = case_named(quantized_cases(200), "mlperf_ic_resnet8_int8_qdq")
    graph = lower(simplify(import_model(case.path))).graph
    theirs = onnxruntime_codes(case)
    # Given onnxruntime's rounding of the mean pool, the rest of the network agrees.
    values, _ = walk(graph, case.inputs, theirs, "means")
    final = final_codes(case, optimised=False)
    assert (values[graph.outputs[0]] == final).mean() >= 0.998
    assert (values[graph.outputs[0]].argmax(axis=1) == final.argmax(axis=1)).all()
    # Given onnxruntime's codes, each layer differs only where a real lies on a rounding boundary.
    _, rows = walk(graph, case.inputs, theirs, "all")
    assert rows
    for layer, (share, largest, distance) in rows.items():
        assert share <= 0.005, layer
        assert largest <= 1, layer
        assert distance <= 1e-4, layer


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("name", FLOAT)
def test_int8_quantisation_keeps_the_accuracy(name: str) -> None:
    case = case_named(float_cases(1000), name)
    source = simplify(import_model(case.path))
    (value,) = source.inputs
    graph = lower(quantize(source, QuantizeOptions(), {value: case.calibration})).graph
    wanted, found = (
        interpreter.run(g, {value: case.inputs})[source.outputs[0]].reshape(len(case.inputs), -1)
        for g in (source, graph)
    )
    if case.labels is None:
        assert np.linalg.norm(found - wanted) <= 0.03 * np.linalg.norm(wanted)
    else:
        lost = (wanted.argmax(1) == case.labels).mean() - (found.argmax(1) == case.labels).mean()
        assert lost <= 0.005


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("name", FEW_BITS)
def test_networks_of_few_bits_keep_every_output(name: str) -> None:
    case = case_named(few_bit_cases(10_000), name)
    source = simplify(import_model(case.path))
    graph = lower(source).graph
    wanted, found = (
        interpreter.run(g, {g.inputs[0]: case.inputs})[g.outputs[0]] for g in (source, graph)
    )
    np.testing.assert_array_equal(found, wanted)
    assert (found.argmax(axis=1) == case.labels).mean() == pytest.approx(FEW_BITS[name], abs=1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("shared")
@needs_simulator
@pytest.mark.parametrize("name", FEW_BITS)
def test_networks_of_few_bits_have_the_same_bits_at_every_level(name: str, tmp_path: Path) -> None:
    case = case_named(few_bit_cases(200), name)
    artifact = compile_model(case.path, tmp_path / name, CompileOptions(csim=False))
    (value,) = (spec.name for spec in artifact.manifest.inputs)
    report = artifact.verify(inputs={value: case.inputs}, levels=["csim", "rtl"])
    assert [row.level for row in report.verification] == ["csim", "rtl", "rtl-stalled"]
    assert all(row.samples == 200 and row.mismatches == 0 for row in report.verification)
