"""What a clumsy or hostile user gives: one clear error each, and nothing left behind."""

from __future__ import annotations

import gzip
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

LIE = "initializer: tensor 'w'"


def _weights(model: onnx.ModelProto) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if t.name == "w")


def _set_dims(*dims: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        _weights(model).dims[:] = dims

    return change


def _set_weights(value: float) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        array = np.full((16, 8), value, np.float32)
        _weights(model).CopyFrom(onnx.numpy_helper.from_array(array, "w"))

    return change


def _external(location: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = _weights(model)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return change


def _wire(index: int, value: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node[index].input[0] = value

    return change


def _op(kind: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node[1].op_type = kind

    return change


def _no_output(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def _only_identity(model: onnx.ModelProto) -> None:
    del model.graph.node[:]
    model.graph.node.append(onnx.helper.make_node("Identity", ["x"], ["y"]))


def _shape(*sizes: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        dims = model.graph.input[0].type.tensor_type.shape
        del dims.dim[:]
        for size in sizes:
            dims.dim.add(dim_value=size)

    return change


MODELS: list[tuple[str, Any, int, str]] = [
    ("nan", _set_weights(np.nan), 3, "holds NaN or infinity"),
    ("infinity", _set_weights(np.inf), 3, "holds NaN or infinity"),
    ("overflow", _set_weights(1e38), 4, "is not finite on the calibration data"),
    ("dims too large", _set_dims(16, 800_000), 3, f"{LIE}: has 512 bytes of data"),
    ("dims absurd", _set_dims(1 << 40, 1 << 40), 3, "bytes; at most 1073741824 are read"),
    ("dims negative", _set_dims(-16, 8), 3, f"{LIE}: has the shape [-16, 8]"),
    ("secrets", _external("/etc/passwd"), 3, "wanted a file beside the model"),
    ("parent", _external("../../etc/passwd"), 3, "wanted a file beside the model"),
    ("no data file", _external("nope.bin"), 3, "keep the data file beside the model file"),
    ("itself", _external("."), 3, "keep the data file beside the model file"),
    ("cycle", _wire(0, "f"), 3, "the nodes form a cycle"),
    ("dangling", _wire(1, "nowhere"), 3, "reads 'nowhere', which nothing defines"),
    ("unknown operator", _op("Frobnicate"), 7, "the operator 'Frobnicate' is not supported"),
    ("no output", _no_output, 3, "the model has no output"),
    ("nothing to compute", _only_identity, 7, "no layer of the network can run on the FPGA"),
    ("10^12 elements", _shape(1, 10**6, 10**6), 3, "at most 2147483648 elements"),
    ("ill-typed", _shape(1, 15), 3, "node 'first' (Gemm)"),
    ("batch of 8", _shape(8, 16), 7, "takes one frame at once"),
]


@pytest.mark.parametrize(("change", "status", "words"), [m[1:] for m in MODELS],
                         ids=[m[0] for m in MODELS])  # fmt: skip
def test_a_model_that_cannot_be(
    change: Any, status: int, words: str, mlp: Any, artifact: Path, call: Any, helpers: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    model = onnx.load(mlp.model)
    change(model)
    path = tmp_path / "bad.onnx"
    path.write_bytes(model.SerializeToString())
    before = helpers.tree(artifact.parent)

    ended = call("compile", path, "--calibration", mlp.calibration, "-o", artifact)

    assert ended.status == status, ended.err
    assert words in ended.error
    assert ended.out == ""
    assert helpers.tree(artifact.parent) == before


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 40)


FILES: list[tuple[str, Any, str]] = [
    ("m.onnx", lambda p: p.write_bytes(b""), "is empty"),
    ("m.onnx", lambda p: p.write_bytes(b"hello world\n" * 9), "it is text that begins 'hello"),
    ("m.onnx", lambda p: p.write_bytes(gzip.compress(b"x" * 99)), "begins with the bytes 1f 8b"),
    ("m.onnx", lambda p: p.write_bytes(bytes(1000)), "is not an ONNX model, or is damaged"),
    ("m.onnx", Path.mkdir, "is a directory; wanted an .onnx file"),
    ("m.onnx", os.mkfifo, "is not a regular file"),
    ("m.onnx", _loop, "Too many levels of symbolic links"),
    ("m.onnx", _sparse, "an ONNX file has at most 2147483647"),
    ("m.onnx", lambda _: None, "there is no such file"),
    ("m", lambda _: None, "there is no such file"),
    ("m", Path.mkdir, "this is a directory"),
    ("m.pth", lambda p: p.write_bytes(b"PK"), "torch.export.save"),
    ("m.tflite", lambda p: p.write_bytes(b"TFL3"), "tf2onnx"),
]


@pytest.mark.parametrize(("name", "make", "words"), FILES, ids=[f[2] for f in FILES])
def test_a_file_that_is_no_model(
    name: str, make: Any, words: str, call: Any, tmp_path: Path
) -> None:
    make(tmp_path / name)

    ended = call("compile", tmp_path / name, "-o", tmp_path / "out")

    assert ended.status == 3
    assert words in ended.error
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.9999])
def test_a_truncated_model(share: float, mlp: Any, call: Any, tmp_path: Path) -> None:
    data = mlp.model.read_bytes()
    path = tmp_path / "m.onnx"
    path.write_bytes(data[: int(len(data) * share)])

    ended = call("compile", path, "-o", tmp_path / "out")

    assert ended.status == 3
    assert str(path) in ended.error


def _saved(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


def _bomb(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": (100 << 20, 16)}
        np.lib.format.write_array_header_1_0(member, header)
        member.write(bytes(1 << 20))


X = np.ones((4, 16), np.float32)
CALIBRATIONS: list[tuple[str, Any, str]] = [
    ("missing", lambda _: None, "there is no such file"),
    ("empty", lambda p: p.write_bytes(b""), "the file is empty"),
    ("text", lambda p: p.write_text("1,2,3"), "this is no .npz or .npy file"),
    ("pickle", lambda p: p.write_bytes(pickle.dumps(X)), "this is a pickle, which could run code"),
    ("objects", _saved(x=np.array([{}, []], object)), "it holds Python objects"),
    ("bomb", _bomb, "its header claims 6710886400 bytes|it claims 6.2 GiB of values"),
    ("no array", _saved(), "its arrays do not match; found none"),
    ("names", _saved(a=X, b=X), "found a: float32[4, 16], b: float32[4, 16]"),
    ("shape", _saved(x=X[:, :9]), "input 'x' is float32[4, 9]; wanted float32[N,16]"),
    ("layout", _saved(x=X.reshape(4, 4, 4)), "hint: x.reshape(-1, 16)"),
    ("no sample", _saved(x=X[:0]), "the inputs hold no sample"),
    ("nan", _saved(x=X * np.nan), "input 'x' holds values that are not finite"),
    ("huge", _saved(x=X.astype(float) * 1e300), "values beyond the range of binary32"),
    ("overflow", _saved(x=X * 3e38), "is not finite on the calibration data"),
    ("texts", _saved(x=np.full((4, 16), "a")), "wanted numbers: float32[N,16]"),
    ("complex", _saved(x=X.astype(complex)), "input 'x' holds complex128"),
]


@pytest.mark.parametrize(("make", "words"), [c[1:] for c in CALIBRATIONS],
                         ids=[c[0] for c in CALIBRATIONS])  # fmt: skip
def test_calibration_that_is_none(
    make: Any, words: str, mlp: Any, call: Any, tmp_path: Path
) -> None:
    make(tmp_path / "c.npz")

    ended = call("compile", mlp.model, "--calibration", tmp_path / "c.npz", "-o", tmp_path / "out")

    assert ended.status == 4
    assert any(part in ended.error for part in words.split("|")), ended.error
    assert {p.name for p in tmp_path.iterdir()} <= {"c.npz"}


def test_more_samples_than_are_needed(mlp: Any, call: Any, tmp_path: Path) -> None:
    x = np.load(mlp.calibration)["x"]
    many = x[np.arange(12_000) % len(x)]
    many[10_000:] *= 1000  # seen, it would spoil the ranges
    np.savez(tmp_path / "c.npz", x=many)
    words = ("--calibration", tmp_path / "c.npz", "--no-csim", "-o")

    ended = call("compile", mlp.model, *words, tmp_path / "out")

    assert ended.status == 0
    assert "of 12,000 calibration samples the first 10,000 are used" in ended.err
    assert call("compile", *mlp.words, "--no-csim", "-q", "-o", tmp_path / "few").status == 0
    cores = [np.load(tmp_path / name / "graphs" / "core.npz") for name in ("out", "few")]
    assert cores[0].files == cores[1].files
    assert all((cores[0][name] == cores[1][name]).all() for name in cores[0].files)


GOOD_DATA = {
    "one sample": X[:1], "no batch axis": X[0], "constant": X, "zeros": X * 0, "tiny": X * 1e-40,
    "float64": X.astype(float), "float16": X.astype(np.float16), "bytes": X.astype(np.uint8),
}  # fmt: skip


@pytest.mark.parametrize("observer", ["minmax", "percentile", "mse"])
@pytest.mark.parametrize("name", GOOD_DATA)
def test_odd_but_possible_calibration(
    name: str, observer: str, mlp: Any, call: Any, tmp_path: Path
) -> None:
    np.savez(tmp_path / "c.npz", whatever=GOOD_DATA[name])
    words = ("--calibration", tmp_path / "c.npz", "--observer", observer, "--no-csim", "--quiet")

    ended = call("compile", mlp.model, *words, "-o", tmp_path / "out")

    assert (ended.status, ended.err) == (0, "")


def test_channels_in_another_place(helpers: Any, call: Any, tmp_path: Path) -> None:
    w = np.ones((2, 3, 3, 3), np.float32)
    model = helpers.save_onnx(
        tmp_path / "m.onnx", [("Conv", ["x", "w"], ["y"], "c", {})], {"x": [1, 3, 8, 8]}, ["y"], w=w
    )
    np.savez(tmp_path / "c.npz", x=np.ones((5, 8, 8, 3), np.float32))

    ended = call("compile", model, "--calibration", tmp_path / "c.npz", "-o", tmp_path / "out")

    assert ended.status == 4
    assert "x.transpose(0, 3, 1, 2)" in ended.error


OPTIONS: list[tuple[str, int, str]] = [
    ("--board pynq-z3", 2, "did you mean pynq-z2"),
    ("--board PYNQ-Z2", 2, "did you mean pynq-z2"),
    ("--board nope.toml", 2, "there is no such board file"),
    ("--fps 1e12", 2, "--fps 1e+12 leaves less than one clock cycle at 100 MHz"),
    ("--fps 9e7", 8, "the goal allows"),
    ("--fps 0", 2, "wanted a number above 0, found 0"),
    ("--fps -1", 2, "wanted a number above 0, found -1"),
    ("--fps nan", 2, "wanted a number above 0, found nan"),
    ("--latency-us 0.001", 2, "--latency-us 0.001 leaves less than one clock cycle"),
    ("--latency-us 0.05", 8, "cycles from input to output; the goal allows 5"),
    ("--clock-mhz 100000", 2, "beyond the 200 MHz that PYNQ-Z2"),
    ("--clock-mhz 1e-300", 2, "--clock-mhz 1e-300 is below 0.01 MHz"),
    ("--samples 0", 2, "wanted a number above 0"),
    ("--samples 1e3", 2, "'--samples'"),
    ("--quantize none", 4, "the target needs integers"),
    ("--folding nope.toml", 2, "cannot be read"),
    ("--lut 53201", 2, "a cap of 53201 lut was given; PYNQ-Z2 has 53200"),
    ("--bram 1e9", 2, "a cap of 1e+09 bram36 was given; PYNQ-Z2 has 140"),
    ("--dsp -1", 2, "wanted 0 or more, found -1"),
    ("--dsp 2.5", 2, "'--dsp'"),
    ("--lut 100", 8, "of 100 allowed (estimated); most lut goes to layer"),
    ("--lut 0", 8, "hint: quantise to fewer bits; at this rate it would fit"),
    ("--explore", 2, "--explore and --output exclude each other"),
    ("--plot x.png", 2, "--plot draws what --explore finds"),
]


@pytest.mark.parametrize(("words", "status", "message"), OPTIONS, ids=[o[0] for o in OPTIONS])
def test_options_that_cannot_be(
    words: str, status: int, message: str, mlp: Any, call: Any, tmp_path: Path
) -> None:
    ended = call("compile", *mlp.words, *words.split(), "-o", tmp_path / "out")

    assert ended.status == status
    assert message in ended.error
    assert [*tmp_path.iterdir()] == []


FOLDINGS = [
    ("a = [", "not a TOML file"),
    ("[frist]\npe = 1", "did you mean first?"),
    ("[first]\npe = 3", "wanted one of 1, 2, 4, 8"),
    ('[first]\npe = "4"', "wanted a table of whole numbers"),
    ("pe = 4", "wanted a table of whole numbers"),
    ("[first]\nppe = 4", "'ppe' is not a folding parameter of this layer; it has"),
]


@pytest.mark.parametrize(("text", "message"), FOLDINGS, ids=[f[0] for f in FOLDINGS])
def test_foldings_that_cannot_be(
    text: str, message: str, mlp: Any, call: Any, tmp_path: Path
) -> None:
    (tmp_path / "f.toml").write_text(text)

    ended = call("compile", *mlp.words, "--folding", tmp_path / "f.toml", "-o", tmp_path / "out")

    assert ended.status == 2
    assert message in ended.error
    assert str(tmp_path / "f.toml") in ended.error


@pytest.mark.parametrize("words", ["--fps 1e-310", "--latency-us 1e308"])
def test_goals_that_anything_reaches(words: str, mlp: Any, call: Any) -> None:
    assert call("compile", *mlp.words, *words.split(), "--dry-run", "-q").status == 0


def test_more_random_samples_than_memory(mlp: Any, artifact: Path, call: Any) -> None:
    ended = call("verify", artifact, "--samples", 10**11)

    assert ended.status == 2
    assert "--samples 99999999984 takes 11920.9 GiB; at most 2 GiB are drawn" in ended.error


def test_a_board_too_small(mlp: Any, call: Any, tmp_path: Path) -> None:
    from lepton_edge.data import data_dir

    text = (data_dir("targets") / "boards" / "pynq-z2.toml").read_text()
    text = text.replace('"pynq-z2"', '"tiny"', 1)
    lines = ["lut = 100" if line.startswith("lut =") else line for line in text.splitlines()]
    (tmp_path / "tiny.toml").write_text("\n".join(lines))

    ended = call("compile", *mlp.words, "--board", tmp_path / "tiny.toml", "-o", tmp_path / "out")

    assert ended.status == 8
    assert "lut" in ended.error
    assert "it would fit" in ended.error


PLACES: list[tuple[str, str]] = [
    ("model/mlp.onnx", "wanted a directory to write, found a file"),
    ("model", "the directory is not empty, and holds no artifact"),
    ("model/mlp.onnx/x", "a part of its path is a file"),
    ("x" * 300, "File name too long"),
    ("/dev/full", "wanted a directory to write, found a file"),
    ("/proc/x", "No such file or directory"),
    (".", "the current directory, a parent of it, or a mount point cannot be replaced"),
    ("a\0b", "null byte"),
]


@pytest.mark.parametrize(("place", "message"), PLACES, ids=[p[1] for p in PLACES])
def test_places_that_cannot_be_written(
    place: str, message: str, mlp: Any, call: Any, tmp_path: Path, monkeypatch: Any, helpers: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mlp.onnx").write_bytes(mlp.model.read_bytes())
    before = helpers.tree(tmp_path)

    ended = call("compile", "model/mlp.onnx", "--calibration", mlp.calibration, "-o", place)

    assert ended.status == 2
    assert message in ended.error
    assert helpers.tree(tmp_path) == before


@pytest.mark.parametrize("place", ["a/", "b/../c", "d e ü µ 日本", "f/g/h/", "-dash"])
def test_odd_but_possible_places(
    place: str, mlp: Any, call: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()

    assert call("compile", *mlp.words, "-q", f"--output={place}").status == 0
    assert call("verify", "-q", "--", place).status == 0
    assert [p for p in tmp_path.rglob(".*") if "partial" in p.name] == []


def test_inputs_of_run_are_checked(artifact: Path, call: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=X[:, :9])
    inputs = ("--input", tmp_path / "x.npz")

    for command in ("run", "verify"):
        message = call(command, artifact, *inputs).error
        assert "wanted float32[N,16]" in message
        assert str(tmp_path / "x.npz") in message
    assert call("run", artifact, "--input", tmp_path / "none.npz").status == 2
    np.savez(tmp_path / "x.npz", x=X)
    assert "not .csv" in call("run", artifact, *inputs, "--output", tmp_path / "y.csv").error
    assert call("run", artifact, *inputs, "--output", "/dev/full").status == 2
    assert call("run", tmp_path / "nothing", *inputs).status == 10
    assert call("verify", mlp_file := tmp_path / "x.npz").status == 10, mlp_file
