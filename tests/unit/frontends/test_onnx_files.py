"""Files that nobody vouches for: each failure is one error that says what to do."""

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.frontends import import_model
from lepton_edge.frontends.onnx import import_onnx, load
from lepton_edge.ir.interpreter import run

WEIGHTS = np.arange(3, dtype=np.float32)


def model_with(tensor: TensorProto) -> onnx.ModelProto:
    tensor.name = "w"
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [tensor],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def external(**entries: str) -> TensorProto:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.fixture
def save(tmp_path):
    def write(content: bytes | TensorProto):
        path = tmp_path / "model.onnx"
        data = content if isinstance(content, bytes) else model_with(content).SerializeToString()
        path.write_bytes(data)
        return path

    return write


def test_a_good_file(save):
    graph = import_model(save(numpy_helper.from_array(WEIGHTS)))
    assert graph.name == "model"
    np.testing.assert_array_equal(run(graph, {"x": np.ones((1, 3))})["y"], [[1, 2, 3]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04" + b"\xff" * 50, "is not an ONNX model, or is damaged: it is a zip archive"),
        (b"import torch  # not a model", "it is text that begins 'import torch  # '"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer; run git lfs pull"),
        (b"\xff\xfe\xfd\xfc" * 9, "it begins with the bytes ff fe fd fc"),
        (b"\x08\x08", "is not an ONNX model: it has no operator set"),
    ],
)
def test_bad_content(save, content, message):
    path = save(content)
    with pytest.raises(ImportModelError) as caught:
        import_onnx(path)
    assert message in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.hint


def test_truncated_files(save):
    path = save(numpy_helper.from_array(WEIGHTS))
    data = path.read_bytes()
    for size in range(1, len(data)):
        path.write_bytes(data[:size])
        with pytest.raises((ImportModelError, UnsupportedError)):
            import_onnx(path)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(ImportModelError, match="there is no such file"):
        import_onnx(tmp_path / "missing.onnx")
    with pytest.raises(ImportModelError, match="is a directory; wanted"):
        import_onnx(tmp_path)
    with pytest.raises(ImportModelError, match="cannot be read"):
        import_onnx(tmp_path / "a\0b.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ImportModelError, match="is not a regular file"):
        import_onnx(tmp_path / "pipe.onnx")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(save):
    path = save(numpy_helper.from_array(WEIGHTS))
    path.chmod(0)
    with pytest.raises(ImportModelError, match="cannot be read: Permission denied"):
        import_onnx(path)


def test_files_beyond_the_limit_are_not_read(save, monkeypatch):
    path = save(numpy_helper.from_array(WEIGHTS))
    monkeypatch.setattr(load, "MAX_FILE_BYTES", 10)
    with pytest.raises(ImportModelError, match="an ONNX file has at most 10") as caught:
        import_onnx(path)
    assert "save_as_external_data" in caught.value.hint


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (
            TensorProto(data_type=1, dims=[3], raw_data=b"\0" * 8),
            "has 8 bytes of data; its shape [3] needs 12",
        ),
        (
            TensorProto(data_type=1, dims=[3], float_data=[1.0, 2.0]),
            "has 2 entries of data; its shape [3] needs 3",
        ),
        (
            TensorProto(data_type=TensorProto.INT4, dims=[3], int32_data=[1]),
            "has 1 entries of data; its shape [3] needs 2",
        ),
        (
            TensorProto(data_type=1, dims=[1 << 40]),
            "claims 4398046511104 bytes; at most 1073741824 are read",
        ),
        (TensorProto(data_type=1, dims=[-3]), "has the shape [-3]"),
        (TensorProto(data_type=77, dims=[3]), "has the unknown element type 77"),
    ],
)
def test_tensors_that_lie(save, tensor, message):
    path = save(tensor)
    with pytest.raises(ImportModelError) as caught:
        import_onnx(path)
    assert caught.value.what == message
    assert caught.value.where == f"{path}: initializer: tensor 'w'"


def test_strings_are_refused(save):
    tensor = TensorProto(data_type=TensorProto.STRING, dims=[1], string_data=[b"a"])
    with pytest.raises(UnsupportedError, match="holds strings; wanted real numbers"):
        import_onnx(save(tensor))


def test_external_data(save, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(b"\1" * 8 + WEIGHTS.tobytes())
    path = save(external(location="data/w.bin", offset="8", length="12"))
    np.testing.assert_array_equal(run(import_onnx(path), {"x": np.zeros((1, 3))})["y"], [WEIGHTS])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "/etc/passwd"}, "wanted a file beside the model"),
        ({"location": "../secret.bin"}, "wanted a file beside the model"),
        ({"location": "a/../../secret.bin"}, "wanted a file beside the model"),
        ({}, "wanted a file beside the model"),
        ({"location": "missing.bin"}, "which does not exist there"),
        ({"location": "out.bin"}, "which leads out of it"),
        ({"location": "x" * 5000}, "which does not exist there"),
        ({"location": "loop.bin"}, "which does not exist there"),
        ({"location": "w.bin", "offset": "4"}, "gives 12 at offset 4 of 12"),
        ({"location": "w.bin", "length": "8"}, "wants 12 bytes; 'w.bin' gives 8"),
        ({"location": "w.bin", "offset": "-4"}, "has the offset '-4'; wanted a number"),
        ({"location": "w.bin", "length": "9" * 30}, "wanted a number"),
    ],
)
def test_bad_external_data(tmp_path, entries, message):
    (tmp_path / "secret.bin").write_bytes(WEIGHTS.tobytes())
    base = tmp_path / "models"
    base.mkdir()
    (base / "w.bin").write_bytes(WEIGHTS.tobytes())
    (base / "out.bin").symlink_to("../secret.bin")
    (base / "loop.bin").symlink_to("loop.bin")
    path = base / "model.onnx"
    path.write_bytes(model_with(external(**entries)).SerializeToString())
    with pytest.raises(ImportModelError) as caught:
        import_onnx(path)
    assert message in caught.value.what


def test_external_data_of_a_model_in_memory():
    from lepton_edge.frontends.onnx import import_onnx_proto

    with pytest.raises(ImportModelError, match="which a model in memory does not have"):
        import_onnx_proto(model_with(external(location="w.bin")), "m")
