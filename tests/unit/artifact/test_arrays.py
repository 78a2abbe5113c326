from __future__ import annotations

import contextlib
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_edge.artifact import arrays
from lepton_edge.artifact.arrays import check_output, load_arrays, save_arrays
from lepton_edge.artifact.manifest import TensorSpec
from lepton_edge.errors import CalibrationError, UserError

IMAGE = TensorSpec("image", "float32", (1, 8, 8, 1))
STATE = TensorSpec("state", "int8", (1, 4))
HINT = "wanted a .npz or .npy file with image: float32[N,8,8,1]"


def npy(array: np.ndarray[Any, Any], **options: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


def npz(**found: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **found)
    return content.getvalue()


def header(shape: str, descr: str = "'<f4'") -> bytes:
    """Return the start of a .npy file that claims anything."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def zipped(name: str, content: bytes, **options: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def test_arrays_are_matched_by_name(tmp_path: Path) -> None:
    image, state = np.zeros((3, 8, 8, 1), np.float32), np.ones((3, 4), np.int8)
    np.savez(tmp_path / "x.npz", state=state, image=image)

    found = load_arrays(tmp_path / "x.npz", [IMAGE, STATE])

    assert list(found) == ["image", "state"]
    assert np.array_equal(found["state"], state)


@pytest.mark.parametrize("suffix", ["npz", "npy", ""])
def test_a_single_array_may_have_any_name_and_the_file_any_suffix(
    tmp_path: Path, suffix: str
) -> None:
    image = np.arange(128, dtype=np.float32).reshape(2, 8, 8, 1)
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(npy(image) if suffix == "npy" else npz(arr_0=image))

    assert np.array_equal(load_arrays(path, [IMAGE])["image"], image)


def test_a_missing_batch_axis_is_added(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((8, 8, 1), np.float32))

    assert load_arrays(tmp_path / "x.npy", [IMAGE])["image"].shape == (1, 8, 8, 1)


def test_shapes_and_types_are_left_to_the_interpreter(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3), np.float64))

    assert load_arrays(tmp_path / "x.npy", [IMAGE])["image"].shape == (2, 3)


def test_fortran_order_and_format_version_2_are_read(tmp_path: Path) -> None:
    image = np.asfortranarray(np.arange(128, dtype=np.float32).reshape(2, 8, 8, 1))
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array(file, image, version=(2, 0))

    assert np.array_equal(load_arrays(tmp_path / "x.npy", [IMAGE])["image"], image)


GOOD = npy(np.zeros((2, 8, 8, 1), np.float32))
OBJECTS = np.array([{"a": 1}, None], dtype=object)
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "text": (b"0.1, 0.2, 0.3\n", "this is no .npz or .npy file"),
    "pickle": (pickle.dumps([1, 2]), "this is a pickle, which could run code when read"),
    "objects.npy": (npy(OBJECTS, allow_pickle=True), "it holds Python objects (a pickle)"),
    "objects.npz": (npz(image=OBJECTS), "it holds Python objects (a pickle)"),
    "objects in a record": (header("(1,)", "[('a', '|O')]") + bytes(8), "it holds Python objects"),
    "cut.npy": (GOOD[:-1], "truncated: its header claims 512 bytes of values, 511 are there"),
    "cut in its header": (GOOD[:20], "damaged: "),
    "magic only": (b"\x93NUMPY", "damaged: "),
    "cut.npz": (npz(image=np.zeros(99))[:-30], "damaged: "),
    "cut in its directory": (b"PK\x03\x04", "damaged: File is not a zip file"),
    "no member": (zipped("x", b"")[-22:], "damaged"),
    "other member": (zipped("readme.txt", b"hello"), "'readme.txt' is no array, or there twice"),
    "huge.npy": (header("(9999999999,)"), "it claims 37.3 GiB of values; at most 2 GiB are read"),
    "huge product": (header("(4294967296, 4294967296, 16)"), "GiB of values; at most 2 GiB"),
    "huge.npz": (
        zipped("image.npy", header("(9999999999,)")),
        "it claims 37.3 GiB of values; at most 2 GiB are read",
    ),
    "negative": (header("(-1, 8)"), "its header claims the shape (-1, 8)"),
    "no shape": (header("'x'"), "damaged: "),
    "no type": (header("(1,)", "'nonsense'"), "damaged: "),
    "code for a header": (header("__import__('os').abort()"), "damaged: "),
    "version 9": (b"\x93NUMPY\x09\x00" + bytes(60), "its format version (9, 0) is not known"),
    "other name, two inputs": (npz(a=np.zeros(1), b=np.zeros(1)), "its arrays do not match"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_name_and_what_was_wanted(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    path = tmp_path / "inputs.npz"
    path.write_bytes(content)

    with pytest.raises(UserError) as caught:
        load_arrays(path, [IMAGE])

    assert message in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.hint == HINT


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    content = bytearray(zipped("image.npy", GOOD))
    content[content.index(b"NUMPY") + 200] ^= 1
    (tmp_path / "x.npz").write_bytes(content)

    with pytest.raises(UserError, match="Bad CRC-32"):
        load_arrays(tmp_path / "x.npz", [IMAGE])


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "MAX_BYTES", 1 << 20)
    np.savez_compressed(tmp_path / "x.npz", image=np.zeros(1 << 20, np.float32))

    with pytest.raises(UserError, match="GiB of values"):
        load_arrays(tmp_path / "x.npz", [IMAGE])


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped("image.npy", GOOD))
    content[6] |= 1
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1
    (tmp_path / "x.npz").write_bytes(content)

    with pytest.raises(UserError, match="encrypted"):
        load_arrays(tmp_path / "x.npz", [IMAGE])


def test_missing_names_are_told_with_what_was_found(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=np.zeros((1, 8, 8, 1)), other=np.zeros(2, np.int8))

    with pytest.raises(UserError) as caught:
        load_arrays(tmp_path / "x.npz", [IMAGE, STATE])

    assert caught.value.what == (
        "its arrays do not match; found image: float64[1, 8, 8, 1], other: int8[2]"
    )
    assert caught.value.hint == (
        "wanted a .npz or .npy file with image: float32[N,8,8,1], state: int8[N,4]"
    )


def test_one_nameless_array_cannot_serve_two_inputs(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(2))

    with pytest.raises(UserError, match="found one without a name"):
        load_arrays(tmp_path / "x.npy", [IMAGE, STATE])


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UserError, match="there is no such file"):
        load_arrays(tmp_path / "nothing.npz", [IMAGE])
    with pytest.raises(UserError, match="this is a directory"):
        load_arrays(tmp_path, [IMAGE])
    with pytest.raises(UserError, match="this is no regular file"):
        load_arrays(tmp_path / "pipe", [IMAGE])


def test_the_caller_chooses_the_class_of_error(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="there is no such file"):
        load_arrays(tmp_path / "nothing.npz", [IMAGE], CalibrationError)


@given(st.integers(0, 700), st.integers(0, 255), st.sampled_from([GOOD, zipped("image.npy", GOOD)]))
def test_a_damaged_byte_never_gives_another_exception(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, content: bytes
) -> None:
    damaged = bytearray(content)
    damaged[place % len(damaged)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged)

    with contextlib.suppress(UserError):
        load_arrays(path, [IMAGE])


def test_messages_are_golden(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    texts = []
    for name, (content, _) in BAD.items():
        (tmp_path / "inputs.npz").write_bytes(content)
        with pytest.raises(UserError) as caught:
            load_arrays(tmp_path / "inputs.npz", [IMAGE])
        if not caught.value.what.startswith("damaged"):  # those words are numpy's
            texts.append(f"[{name}]\n{caught.value}\n".replace(str(tmp_path), "DIR"))

    golden("messages/arrays.txt", "\n".join(texts))


def test_outputs_come_back(tmp_path: Path) -> None:
    scores = np.arange(6, dtype=np.int32).reshape(3, 2)

    save_arrays(tmp_path / "deep" / "y.npz", {"scores/0": scores, "file": scores[:, 0]})
    save_arrays(tmp_path / "y.npy", {"scores": scores})

    with np.load(tmp_path / "deep" / "y.npz") as found:
        assert set(found.files) == {"scores/0", "file"}
        assert np.array_equal(found["scores/0"], scores)
    assert np.array_equal(np.load(tmp_path / "y.npy"), scores)


def test_outputs_replace_a_file_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "y.npy"
    save_arrays(path, {"y": np.zeros(3)})

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        save_arrays(path, {"y": np.ones(3)})

    assert np.array_equal(np.load(path), np.zeros(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["y.npy"]


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("y.csv", 1, "outputs are written as .npz or .npy, not .csv"),
        ("y", 1, "not without a suffix"),
        ("y.npy", 2, ".npy holds one array; there are 2 outputs"),
        ("folder.npz", 1, "wanted a file to write, found a directory"),
        ("file/y.npz", 1, "cannot be written: "),
    ],
)
def test_a_bad_place_for_outputs_is_found_before_the_work(
    tmp_path: Path, name: str, count: int, message: str
) -> None:
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").write_text("x")

    with pytest.raises(UserError) as caught:
        check_output(tmp_path / name, count)

    assert message in caught.value.what
    assert caught.value.where == str(tmp_path / name)


def test_of_many_arrays_only_some_are_told(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    np.savez(path, **{f"a{i}": np.zeros(1) for i in range(2000)})
    with pytest.raises(UserError) as caught:
        load_arrays(path, [IMAGE])
    assert caught.value.what.endswith("a9: float64[1], and 1,990 more")


NAMES = {
    "input:0": "input:0",
    "a/b.c": "a/b.c",
    "../../etc/x": "_/_/etc/x",
    "/abs": "_/abs",
    "a//b/.": "a/_/b/_",
    "..": "_",
    "a\0b": "a_b",
    "a\\..\\b": "a_.._b",
    "a_b": "a_b_",
}


def test_names_lead_nowhere_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "y.npz"
    arrays = {name: np.full((2, 1), i) for i, name in enumerate(NAMES)}
    save_arrays(path, arrays)

    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"{name}.npy" for name in NAMES.values()]
    found = load_arrays(path, [TensorSpec(name, "int64", (1, 1)) for name in NAMES])
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
