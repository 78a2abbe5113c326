"""A check of torch.export archives before torch reads them.

``torch.export.load`` unpickles what an archive asks it to, evaluates its symbolic expressions
with ``eval``, resolves operator names by attribute lookup and loads native code that lies in it.
So only archives that need none of this are handed on.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from lepton_edge.errors import ImportModelError, UnsupportedError

MAX_ARCHIVE_BYTES = 1 << 31

_PLAIN = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(version|serialization_id|alignment)"
    r"|\.format_version|\.storage_alignment"
    r"|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|extra/[^/]+"
)
"""Archive members that hold text, JSON or raw tensor bytes; the sample inputs are checked apart."""

_OPERATOR = re.compile(
    r"torch\.ops\.(aten|quantized_decomposed|prims)(\.[A-Za-z][A-Za-z0-9_]*){1,2}"
    r"|torch\.(sym_\w+|_sym_sqrt)"
    r"|_operator\.(getitem|add|sub|mul|truediv|floordiv|mod|neg|eq|ne|lt|le|gt|ge|pow|and_|or_)"
    r"|math\.(ceil|floor|trunc|sqrt)"
)

_SYMBOL = re.compile(
    r"Symbol\('[a-z]{1,2}\d+'(, (positive|integer|nonnegative|real)=(True|False))*\)"
    r"|\b(Integer|Add|Mul|FloorDiv|Mod|Max|Min)\("
)
_ARITHMETIC = re.compile(r"[0-9 ,()+-]*")

_HINT = "save it again with torch.export.save(torch.export.export(module, inputs), 'model.pt2')"


SAMPLES = "data/sample_inputs/model.pt"
"""The member that torch unpickles if it cannot load it as tensors."""


def check_archive(data: bytes) -> tuple[bytes, bytes]:
    """Check that reading an archive runs no code of its author.

    Args:
        data: the file.

    Returns:
        The archive, written anew from the members that were checked (two readers can see
        different members in one crafted file); and its sample inputs, which the caller must
        try to load as tensors before torch does.

    Raises:
        ImportModelError: the file is no torch.export archive, or is damaged.
        UnsupportedError: it holds pickled objects, compiled code, or expressions to evaluate.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = _member_names(archive)
            for name in ("archive_version", "models/model.json", SAMPLES):
                if name not in names:
                    raise ImportModelError(
                        f"is a zip archive without {name!r}: not what torch.export.save of "
                        "PyTorch 2.9 or newer writes",
                        hint=_HINT,
                    )
            for name, member in names.items():
                if name.endswith("_config.json"):
                    _check_config(name, _json(archive, member))
            _check_program(archive.read(names["models/model.json"]))
            return _copied(archive, names), archive.read(names[SAMPLES])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise ImportModelError(
            f"is not a torch.export archive, or is damaged: {error}", hint=_HINT
        ) from None


def _member_names(archive: zipfile.ZipFile) -> dict[str, str]:
    members = archive.infolist()
    if not members:
        raise ImportModelError("is an empty zip archive", hint=_HINT)
    root = members[0].filename.split("/")[0]
    names: dict[str, str] = {}
    for member in members:
        head, _, name = member.filename.partition("/")
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise ImportModelError(
                f"the member {member.filename!r} is compressed or encrypted; torch stores plainly",
                hint=_HINT,
            )
        if head != root or name in names or not _PLAIN.fullmatch(name):
            raise UnsupportedError(
                f"the archive holds {member.filename!r}; wanted one exported program with tensors "
                "only, no compiled code and no pickled objects",
                hint=_HINT,
            )
        names[name] = member.filename
    return names


def _copied(archive: zipfile.ZipFile, names: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as copy:
        for name, member in names.items():
            copy.writestr(f"program/{name}", archive.read(member))
    return buffer.getvalue()


def _json(archive: zipfile.ZipFile, member: str) -> Any:
    try:
        return json.loads(archive.read(member))
    except RecursionError:
        raise ImportModelError(f"the member {member!r} is nested too deeply") from None


def _check_config(name: str, config: Any) -> None:
    entries = config.get("config") if isinstance(config, dict) else None
    if not isinstance(entries, dict):
        raise ImportModelError(f"the member {name!r} is malformed", hint=_HINT)
    for tensor, entry in entries.items():
        path = entry.get("path_name") if isinstance(entry, dict) else None
        if not isinstance(path, str) or entry.get("use_pickle") is not False:
            raise UnsupportedError(
                f"the tensor {tensor!r} is stored as a pickle, which can run any code",
                hint=f"store plain dense tensors; {_HINT}",
            )
        if not re.fullmatch(r"(weight|tensor)_\d+", path):
            raise UnsupportedError(
                f"the constant {tensor!r} is a pickled object ({path!r}), which can run any code",
                hint="export a module whose constants are tensors",
            )


def _check_program(raw: bytes) -> None:
    if b"__enum__" in raw:
        raise UnsupportedError("the program's inputs hold Python enums", hint="pass tensors only")
    try:
        program = json.loads(raw)
    except RecursionError:
        raise ImportModelError("the exported program is nested too deeply") from None
    if not isinstance(program, dict):
        raise ImportModelError("the exported program is malformed", hint=_HINT)
    if program.get("guards_code"):
        raise UnsupportedError(
            "the program holds guards, which are Python code", hint="export with fixed shapes"
        )
    for key, text in _strings(program):
        if key in ("target", "as_operator") and text.startswith(
            ("torch", "_operator", "math", "#")
        ):
            if not _OPERATOR.fullmatch(text):
                raise UnsupportedError(
                    f"the program calls {text!r}; wanted PyTorch's own tensor operators",
                    hint="export without custom operators and control flow",
                )
        elif key == "expr_str" and not _ARITHMETIC.fullmatch(_SYMBOL.sub("(", text)):
            raise UnsupportedError(
                f"the program holds the expression {text[:80]!r}; wanted sizes and their sums and "
                "products",
                hint="export with fixed shapes",
            )


def _strings(tree: Any) -> Iterator[tuple[str, str]]:
    """Yield every string of a JSON tree with the key that it stands at."""
    pending: list[tuple[str, Any]] = [("", tree)]
    while pending:
        key, value = pending.pop()
        if isinstance(value, str):
            yield key, value
        elif isinstance(value, dict):
            pending.extend(value.items())
        elif isinstance(value, list):
            pending.extend((key, item) for item in value)
