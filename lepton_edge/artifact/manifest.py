"""The manifest: what a design reads and writes, its files with their hashes, who made it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from lepton_edge.artifact.document import AGAIN, Document, dump, is_number, parse
from lepton_edge.errors import ArtifactError
from lepton_edge.ir.types import QuantType, TensorType

SCHEMA = 1
"""Version of manifest.json; raised when an old manifest could be misread."""

_HEX = re.compile(r"[0-9a-f]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_QUANT_KEYS = {"scale", "zero_point", "bits", "signed"}


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a design.

    Args:
        name: its name in the model.
        dtype: numpy's name of the type of stored values: ``int8``, ``float32``.
        shape: batch first, where the batch is 1.
        quant: None for plain values; else ``scale``, ``zero_point``, ``bits`` and ``signed`` of
            the codes; where they run along an axis, the first two are lists and ``axis`` is there;
            where the codes 0 and 1 stand for -scale and +scale, ``bipolar`` is true.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    quant: dict[str, Any] | None = None

    @classmethod
    def of(cls, name: str, type_: TensorType) -> TensorSpec:
        """Describe a value of a graph."""
        quant = _describe_quant(type_.quant) if type_.is_quantized else None
        return cls(name, str(type_.elem.dtype), type_.shape, quant)


@dataclass(frozen=True)
class Manifest:
    """What an artifact is; ``manifest.json`` holds it.

    Args:
        name: the design's name.
        target: the kind of device: ``fpga``.
        board: the board planned for; empty where the target needs none.
        clock_mhz: the design's clock, in MHz.
        design_id: hex text that only an equal design has.
        inputs: what it reads, in the model's order.
        outputs: what it writes, in the model's order.
        files: the sha256 of each file that compile wrote, by its path below the artifact.
        tools: versions of what made it, by name.
        options: what the user asked for.
    """

    name: str
    target: str
    board: str
    clock_mhz: float
    design_id: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    files: dict[str, str] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        document = {"schema": values.pop("schema"), **values}
        return {**document, "seal": _seal(document)}

    def to_json(self) -> str:
        """Return the text of manifest.json."""
        return dump(self.as_dict())

    @classmethod
    def from_json(cls, text: str, where: str = "manifest.json") -> Manifest:
        """Read the text of manifest.json.

        Args:
            text: the file's text.
            where: the file's path, for messages.

        Raises:
            ArtifactError: a key is missing, unknown or ill-typed, the schema is another, or the
                values are not those that were written.
        """
        document = parse(text, where, SCHEMA)
        seal = document.text("seal")
        manifest = cls(
            name=document.text("name"),
            target=document.text("target"),
            board=document.text("board"),
            clock_mhz=document.number("clock_mhz"),
            design_id=document.text("design_id"),
            inputs=document.rows("inputs", _read_spec),
            outputs=document.rows("outputs", _read_spec),
            files=document.text_table("files"),
            tools=document.text_table("tools"),
            options=document.any_table("options"),
        )
        document.finish()
        if not _HEX.fullmatch(manifest.design_id):
            raise document.error("design_id", "lower-case hex digits", manifest.design_id)
        for path, digest in manifest.files.items():
            if not _is_inside(path):
                raise document.error("files", "relative paths inside the artifact", path)
            if not _SHA256.fullmatch(digest):
                raise document.error(f"files.{path}", "a sha256 in hex", digest)
        try:
            is_whole = seal == manifest.as_dict()["seal"]
        except RecursionError:  # options as deep as compile writes none
            is_whole = False
        if not is_whole:
            raise ArtifactError("differs from what compile wrote", where=where, hint=AGAIN)
        return manifest


def _seal(document: dict[str, Any]) -> str:
    """Return the sha256 of all values, which tells a manifest that was edited or damaged."""
    try:
        text = json.dumps(document, sort_keys=True, allow_nan=False)
    except (ValueError, TypeError):
        return ""  # it cannot be written either
    return hashlib.sha256(text.encode()).hexdigest()


def _is_inside(text: str) -> bool:
    path = PurePosixPath(text)
    return text == str(path) and not path.is_absolute() and ".." not in path.parts and text != "."


def _describe_quant(quant: QuantType) -> dict[str, Any]:
    described: dict[str, Any] = {
        "scale": quant.scale[0],
        "zero_point": quant.zero_point[0],
        "bits": quant.bits,
        "signed": quant.signed,
    }
    if not quant.is_per_tensor:
        described |= {
            "scale": list(quant.scale),
            "zero_point": list(quant.zero_point),
            "axis": quant.axis,
        }
    return described | ({"bipolar": True} if quant.bipolar else {})


def _read_spec(row: Document) -> TensorSpec:
    return TensorSpec(
        name=row.text("name"),
        dtype=row.text("dtype"),
        shape=row.integers("shape"),
        quant=_read_quant(row),
    )


def _read_quant(row: Document) -> dict[str, Any] | None:
    quant = row.any_or_none("quant")
    if quant is None:
        return None
    wanted = "scale, zero_point, bits and signed"
    if set(quant) - {"axis", "bipolar"} != _QUANT_KEYS:
        raise row.error("quant", wanted, quant)
    scales, zeros = _as_list(quant["scale"]), _as_list(quant["zero_point"])
    is_sound = (
        all(is_number(scale) and scale > 0 for scale in scales)
        and all(type(zero) is int for zero in zeros)
        and type(quant["bits"]) is int
        and quant["bits"] > 0
        and type(quant["signed"]) is bool
        and type(quant.get("axis", 0)) is int
        and type(quant.get("bipolar", False)) is bool
    )
    if not is_sound:
        raise row.error("quant", wanted, quant)
    return quant


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) and value else [value]
