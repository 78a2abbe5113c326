"""Which front end reads which file, and what importing the package loads."""

import subprocess
import sys

import pytest

from lepton_edge.errors import ImportModelError
from lepton_edge.frontends import import_model


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("model.pth", "weights alone are not a network"),
        ("model.tflite", "convert it to ONNX first"),
        ("model.xyz", "give an ONNX, QDQ or QONNX model (.onnx) or a torch.export program (.pt2)"),
        ("model", "give an ONNX, QDQ or QONNX model"),
    ],
)
def test_other_endings(tmp_path, name, hint):
    with pytest.raises(ImportModelError) as caught:
        import_model(tmp_path / name)
    assert "wanted .onnx or .pt2" in caught.value.what
    assert caught.value.hint.startswith(hint)


def test_the_package_loads_neither_onnx_nor_torch():
    code = (
        "import sys, lepton_edge.frontends;"
        "print([m for m in ('onnx', 'torch', 'google.protobuf') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
