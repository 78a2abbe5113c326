"""Reading model files that nobody vouches for."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, numpy_helper

from lepton_edge.errors import ImportModelError, UnsupportedError
from lepton_edge.ir.types import Array

MAX_FILE_BYTES = (1 << 31) - 1
"""Largest protobuf message. Source: Protocol Buffers documentation, proto limits (2 GiB)."""

MAX_TENSOR_BYTES = 1 << 30
"""Largest tensor that is read: decoding one takes several times its size in memory."""

_EXPORT_HINT = "export the model again; onnx.checker.check_model(path) should accept it"

_SUB_BYTE_BITS = {
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    **{getattr(TensorProto, name): 4 for name in ("FLOAT4E2M1",) if hasattr(TensorProto, name)},
    **{getattr(TensorProto, name): 2 for name in ("INT2", "UINT2") if hasattr(TensorProto, name)},
}


def read_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file; tensors in external files are left there.

    Raises:
        ImportModelError: there is no such file, it cannot be read, or it is not an ONNX model.
    """
    where = str(path)
    data = _read_file(path, where)
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise ImportModelError(
            f"is not an ONNX model, or is damaged: {_first_bytes(data)}",
            where=where,
            hint=_EXPORT_HINT,
        ) from None
    if not model.HasField("graph") or not model.opset_import:
        raise ImportModelError(
            f"is not an ONNX model: it has no {'graph' if model.opset_import else 'operator set'}",
            where=where,
            hint=_EXPORT_HINT,
        )
    return model


def _read_file(path: Path, where: str) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            found = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise ImportModelError(f"is {found}; wanted an .onnx file", where=where)
        if status.st_size > MAX_FILE_BYTES:
            raise ImportModelError(
                f"has {status.st_size} bytes; an ONNX file has at most {MAX_FILE_BYTES}",
                where=where,
                hint="save its tensors apart: onnx.save(..., save_as_external_data=True)",
            )
        if status.st_size == 0:
            raise ImportModelError("is empty", where=where, hint=_EXPORT_HINT)
        return path.read_bytes()
    except FileNotFoundError:
        raise ImportModelError("there is no such file", where=where) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImportModelError(f"cannot be read: {reason}", where=where) from None


def _first_bytes(data: bytes) -> str:
    head = data[:16]
    if head.startswith(b"PK"):
        return "it is a zip archive (a PyTorch file?)"
    if data.startswith(b"version https://git-lfs"):
        return "it is a git-lfs pointer; run git lfs pull"
    if all(32 <= byte < 127 or byte in b"\r\n\t" for byte in head):
        return f"it is text that begins {head.decode('ascii')!r}"
    return f"it begins with the bytes {head.hex(' ')}"


def tensor_array(tensor: TensorProto, base_dir: Path | None, where: str) -> Array:
    """Return the array of a tensor, after its claims are checked against its data.

    Args:
        tensor: from the model.
        base_dir: the directory that external data may lie in; None forbids external data.
        where: the place for messages.

    Raises:
        ImportModelError: shape and data disagree, or external data is outside ``base_dir``.
        UnsupportedError: the element type cannot be used.
    """
    where = f"{where}: tensor {tensor.name!r}" if tensor.name else where
    dims = tuple(tensor.dims)
    if any(d < 0 for d in dims):
        raise ImportModelError(f"has the shape {list(dims)}", where=where, hint=_EXPORT_HINT)
    if tensor.HasField("segment"):
        raise UnsupportedError("is stored in segments", where=where, hint=_EXPORT_HINT)
    wanted = math.prod(dims) * _bits_of(tensor, where)
    num_bytes = -(-wanted // 8)
    if num_bytes > MAX_TENSOR_BYTES:
        raise ImportModelError(
            f"claims {num_bytes} bytes; at most {MAX_TENSOR_BYTES} are read", where=where
        )
    if tensor.data_location == TensorProto.EXTERNAL:
        raw = _external_bytes(tensor, num_bytes, base_dir, where)
        tensor = TensorProto(dims=dims, data_type=tensor.data_type, raw_data=raw)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != num_bytes:
            raise ImportModelError(
                f"has {len(tensor.raw_data)} bytes of data; its shape {list(dims)} needs "
                f"{num_bytes}",
                where=where,
                hint=_EXPORT_HINT,
            )
    else:
        _require_entries(tensor, math.prod(dims), where)
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ImportModelError(f"cannot be decoded: {error}", where=where) from None


def _bits_of(tensor: TensorProto, where: str) -> int:
    if tensor.data_type in _SUB_BYTE_BITS:
        return _SUB_BYTE_BITS[tensor.data_type]
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, ValueError, TypeError):
        raise ImportModelError(
            f"has the unknown element type {tensor.data_type}", where=where, hint=_EXPORT_HINT
        ) from None
    if dtype.kind in "OUSc":
        kind = "strings" if dtype.kind != "c" else "complex numbers"
        raise UnsupportedError(f"holds {kind}; wanted real numbers", where=where)
    return dtype.itemsize * 8


def _require_entries(tensor: TensorProto, count: int, where: str) -> None:
    field = onnx.helper.tensor_dtype_to_field(tensor.data_type)
    found = len(getattr(tensor, field))
    if tensor.data_type in _SUB_BYTE_BITS:
        per_entry = 8 // _SUB_BYTE_BITS[tensor.data_type]
        count = -(-count // per_entry)
    if found != count:
        raise ImportModelError(
            f"has {found} entries of data; its shape {list(tensor.dims)} needs {count}",
            where=where,
            hint=_EXPORT_HINT,
        )


def _external_bytes(
    tensor: TensorProto, num_bytes: int, base_dir: Path | None, where: str
) -> bytes:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    place = Path(location)
    if base_dir is None:
        raise ImportModelError(
            "keeps its data in another file, which a model in memory does not have", where=where
        )
    if not location or place.is_absolute() or ".." in place.parts or "\0" in location:
        raise ImportModelError(
            f"keeps its data in {location!r}; wanted a file beside the model", where=where
        )
    root = base_dir.resolve()
    path = Path(os.path.realpath(root / place))
    is_inside = path.is_relative_to(root)
    if not is_inside or not _is_file(path):
        found = "does not exist there" if is_inside else "leads out of it"
        raise ImportModelError(
            f"keeps its data in {location!r} in the model's directory, which {found}",
            where=where,
            hint="keep the data file beside the model file",
        )
    offset = _whole(entries.get("offset", "0"), "offset", where)
    length = _whole(entries.get("length", str(num_bytes)), "length", where)
    size = path.stat().st_size
    if length != num_bytes or offset + length > size:
        raise ImportModelError(
            f"wants {num_bytes} bytes; {location!r} gives {length} at offset {offset} of {size}",
            where=where,
            hint="model and data file do not belong together",
        )
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
    except OSError as error:
        raise ImportModelError(f"cannot read {location!r}: {error.strerror}", where=where) from None
    if len(data) != length:
        raise ImportModelError(f"{location!r} ended after {len(data)} bytes", where=where)
    return data


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a loop of links
        return False


def _whole(text: str, key: str, where: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise ImportModelError(
            f"external data has the {key} {text!r}; wanted a number", where=where
        )
    return int(text)
