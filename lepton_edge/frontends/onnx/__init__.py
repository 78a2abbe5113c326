"""The ONNX front end: float, QDQ and QONNX models to Graphs."""

from __future__ import annotations

from lepton_edge.frontends.onnx.importer import import_onnx, import_onnx_proto

__all__ = ["import_onnx", "import_onnx_proto"]
