"""Front ends: from a model file to a Graph. Light to import; onnx and torch load on use."""

from __future__ import annotations

from pathlib import Path

from lepton_edge.errors import ImportModelError
from lepton_edge.ir.graph import Graph


def import_model(path: Path) -> Graph:
    """Read a model file by the ending of its name.

    Args:
        path: an ONNX, QDQ or QONNX model (``.onnx``), or a program that ``torch.export.save``
            wrote (``.pt2``).

    Raises:
        ImportModelError: the ending is another one, or the file is damaged.
        UnsupportedError: the network uses something that cannot be compiled.
        ToolMissingError: a ``.pt2`` file is given and torch is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        from lepton_edge.frontends.onnx import import_onnx

        return import_onnx(path)
    if suffix == ".pt2":
        from lepton_edge.frontends.torch import import_pt2

        return import_pt2(path)
    if path.is_dir() or not path.exists():
        found = "this is a directory" if path.is_dir() else "there is no such file"
        raise ImportModelError(
            f"{found}; wanted .onnx or .pt2", where=str(path), hint=_hint_for(suffix)
        )
    raise ImportModelError(
        f"cannot tell the format from the ending {suffix!r}; wanted .onnx or .pt2",
        where=str(path),
        hint=_hint_for(suffix),
    )


def _hint_for(suffix: str) -> str:
    if suffix in (".pt", ".pth", ".ckpt", ".bin", ".safetensors"):
        return "weights alone are not a network: save it with torch.export.save(..., 'model.pt2')"
    if suffix in (".tflite", ".h5", ".keras", ".pb"):
        return "convert it to ONNX first, for example with tf2onnx"
    return "give an ONNX, QDQ or QONNX model (.onnx) or a torch.export program (.pt2)"
