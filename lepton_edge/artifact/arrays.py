"""Read input arrays and write output arrays: .npz and .npy files, never pickles."""

from __future__ import annotations

import io
import math
import os
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from lepton_edge.artifact.manifest import TensorSpec
from lepton_edge.artifact.store import replace_file
from lepton_edge.errors import LeptonError, UserError
from lepton_edge.ir.types import Array

MAX_BYTES = 2 << 30
"""Most bytes that the arrays of one file may take in memory."""

MOST_LISTED = 10
"""Arrays of a file that a message names."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")
"""Characters that paths must not have: control characters, the separator of other systems."""

_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    tokenize.TokenError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise on files that are not what they claim."""


def load_arrays(
    path: Path, specs: Sequence[TensorSpec], kind: type[LeptonError] = UserError
) -> dict[str, Array]:
    """Read one array for each of ``specs`` from a .npz or .npy file.

    Names are matched; where one array is wanted and one is there, its name does not matter. A
    missing batch axis is added. Shapes and types are not checked here: the interpreter does that.

    Args:
        path: the file.
        specs: what is wanted.
        kind: class of the errors raised.

    Returns:
        Arrays with a leading axis of N samples, by name, in the order of ``specs``.

    Raises:
        LeptonError: of class ``kind``, with the file and what was wanted.
    """
    wanted = describe_specs(specs)

    def error(what: str) -> LeptonError:
        return kind(what, where=str(path), hint=f"wanted a .npz or .npy file with {wanted}")

    if not path.exists():
        raise error("there is no such file")
    if not path.is_file():
        raise error("this is a directory" if path.is_dir() else "this is no regular file")
    try:
        found = _read_file(path)
    except _Refused as refusal:
        raise error(str(refusal)) from None
    except MemoryError:
        raise error("the arrays do not fit in memory") from None
    except PermissionError as failure:
        raise error(f"cannot be read: {failure.strerror}") from None
    except _DAMAGE as failure:
        raise error(f"damaged: {str(failure) or type(failure).__name__}") from None
    arrays = _matched(found, specs)
    if arrays is None:
        raise error(f"its arrays do not match; found {_listed(found)}")
    return arrays


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write ``arrays`` as a whole or not at all: .npz, or .npy where there is one.

    Raises:
        UserError: the name ends otherwise, .npy cannot hold them, or it cannot be written.
    """
    check_output(path, len(arrays))
    content = io.BytesIO()
    if path.suffix == ".npy":
        (array,) = arrays.values()
        np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
    else:
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in zip(member_names(arrays), arrays.values(), strict=True):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    replace_file(path, content.getvalue())


def member_names(names: Iterable[str]) -> list[str]:
    """Return what arrays are called in an archive: their names, where these are safe as paths.

    Parts of a path that would lead elsewhere when the archive is unpacked become underscores.
    """
    found: list[str] = []
    for name in names:
        parts = (_UNSAFE.sub("_", part) for part in name.split("/"))
        safe = "/".join("_" if part in ("", ".", "..") else part for part in parts)
        while safe in found:
            safe += "_"
        found.append(safe)
    return found


def check_output(path: Path, num_arrays: int) -> None:
    """See, before the work, that ``num_arrays`` arrays can be written to ``path``.

    Raises:
        UserError: they cannot.
    """
    where = str(path)
    if path.suffix not in (".npz", ".npy"):
        raise UserError(
            f"outputs are written as .npz or .npy, not {path.suffix or 'without a suffix'}",
            where=where,
            hint=f"--output {path.stem or 'outputs'}.npz",
        )
    if path.suffix == ".npy" and num_arrays != 1:
        what = f".npy holds one array; there are {num_arrays} outputs"
        raise UserError(what, where=where, hint=f"--output {path.with_suffix('.npz')}")
    check_place(path)


def check_place(path: Path) -> None:
    """See, before the work, that a file can be written to ``path``; make its directory.

    Raises:
        UserError: it cannot.
    """
    where = str(path)
    if path.is_dir():
        raise UserError("wanted a file to write, found a directory", where=where)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=where) from error
    if not os.access(path.parent, os.W_OK):
        raise UserError("its directory cannot be written", where=where)


def describe_specs(specs: Sequence[TensorSpec]) -> str:
    """Return what ``specs`` ask for, in words: ``image: float32[N,1,8,8]``."""
    if not specs:
        return "no array"
    return ", ".join(
        f"{spec.name}: {spec.dtype}[{','.join(['N', *map(str, spec.shape[1:])])}]"
        if spec.shape[:1] == (1,)
        else f"{spec.name}: {spec.dtype}[{','.join(map(str, spec.shape))}]"
        for spec in specs
    )


def _listed(found: Mapping[str, Array]) -> str:
    """Return what a file holds, in words; of many arrays the first."""
    names = [
        f"{name or 'one without a name'}: {a.dtype}{list(a.shape)}"
        for name, a in list(found.items())[:MOST_LISTED]
    ]
    more = [f"and {len(found) - MOST_LISTED:,} more"] if len(found) > MOST_LISTED else []
    return ", ".join(names + more) or "none"


class _Refused(Exception):  # noqa: N818 - it never leaves this module
    """The file is sound, or might be, but is not taken."""


def _read_file(path: Path) -> dict[str, Array]:
    with path.open("rb") as file:
        start = file.read(6)
        file.seek(0)
        if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return _read_archive(file)
        if start == b"\x93NUMPY":
            return {"": _read_array(file, path.stat().st_size)}
    if not start:
        raise _Refused("the file is empty")
    if start.startswith((b"\x80", b"(", b"]")) and path.suffix in (".npy", ".npz", ".pkl"):
        raise _Refused("this is a pickle, which could run code when read")
    raise _Refused("this is no .npz or .npy file")


def _read_archive(file: IO[bytes]) -> dict[str, Array]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if total > MAX_BYTES:
            raise _Refused(_too_large(total))
        arrays: dict[str, Array] = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in arrays:
                raise _Refused(f"its member {member.filename!r} is no array, or there twice")
            with archive.open(member) as stream:
                arrays[name] = _read_array(stream, member.file_size)
    return arrays


def _read_array(stream: IO[bytes], size: int) -> Array:
    """Read one array in .npy form, but not before its header is found to be plausible."""
    shape, dtype, header_bytes = _read_header(stream)
    if dtype.hasobject:
        raise _Refused("it holds Python objects (a pickle), which could run code when read")
    num_bytes = math.prod(shape) * dtype.itemsize
    if num_bytes > MAX_BYTES:
        raise _Refused(_too_large(num_bytes))
    if num_bytes > size - header_bytes:
        raise _Refused(
            f"truncated: its header claims {num_bytes} bytes of values, "
            f"{max(size - header_bytes, 0)} are there"
        )
    stream.seek(0)
    array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    stream.read(1)  # the end of an archive member: now its checksum is compared
    return array


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version in ((2, 0), (3, 0)):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise _Refused(f"its format version {version} is not known")
    if any(length < 0 for length in shape):
        raise _Refused(f"its header claims the shape {shape}")
    return shape, dtype, stream.tell()


def _too_large(num_bytes: int) -> str:
    return (
        f"it claims {num_bytes / 2**30:.1f} GiB of values; at most {MAX_BYTES >> 30} GiB are read"
    )


def _matched(found: dict[str, Array], specs: Sequence[TensorSpec]) -> dict[str, Array] | None:
    if len(found) == len(specs) == 1:
        found = {specs[0].name: next(iter(found.values()))}
    names = [spec.name for spec in specs]
    if set(found) == set(member_names(names)):  # as they are written here
        found = {name: found[key] for name, key in zip(names, member_names(names), strict=True)}
    if set(found) != set(names):
        return None
    arrays = {name: found[name] for name in names}
    for spec in specs:
        if spec.shape[:1] == (1,) and arrays[spec.name].ndim == len(spec.shape) - 1:
            arrays[spec.name] = arrays[spec.name][np.newaxis]
    return arrays
