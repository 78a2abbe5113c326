from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from lepton_edge import errors
from lepton_edge.cli.causes import TYPICAL_CAUSES
from lepton_edge.cli.output import error_text
from lepton_edge.errors import LeptonError, UnknownNameError, error_classes

CLASSES = [cls for cls in error_classes() if cls.__module__ == errors.__name__]

# One message as it is really raised, for each class.
EXAMPLES: dict[str, tuple[str, str, str]] = {
    "lepton": ("something failed", "", ""),
    "user": ("there is no such file", "inputs.npz", "wanted a .npz file"),
    "config": ("key 'clock.max_mhz': wanted a number above 0, found -1", "my.toml", ""),
    "unknown-name": ("no board is named 'pynq'", "", "did you mean pynq-z1?"),
    "import-model": ("not an ONNX model", "model.onnx", "export it again"),
    "quant": ("the network is float, and the target needs integers", "", "--calibration FILE"),
    "calibration": ("'image' holds NaN", "calibration.npz", ""),
    "range": ("bias 5000000000 does not fit 32 bits", "conv1", ""),
    "compile": ("the network has no layer", "model.onnx", ""),
    "pass": ("changed an output", "fold-constants", "please report it"),
    "verify": ("3 of 100 samples differ", "csim", "please report it"),
    "unsupported": ("GRU is not supported", "gru_1", ""),
    "does-not-fit": ("needs 61,000 LUT; pynq-z2 has 53,200", "", "--fps 900"),
    "tool": ("g++ could not do its part", "", ""),
    "tool-missing": ("g++ is not installed", "", "apt-get install g++"),
    "tool-version": ("version 4.8; wanted 7 or newer", "/usr/bin/g++", ""),
    "tool-failed": ("g++ ended with status 1", "build.log", ""),
    "deploy": ("the design cannot be loaded", "pynq.local", ""),
    "artifact": ("no artifact is here: manifest.json is missing", "build/x", ""),
    "device": ("does not answer", "pynq.local", ""),
    "train": ("the loss is NaN", "step 12", ""),
    "checkpoint": ("damaged", "last.ckpt", ""),
    "process-group": ("worker 3 of 8 is lost", "", ""),
    "internal": ("KeyError: 'x'", "", "please report it"),
}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_says_where_what_and_hint(cls: type[LeptonError]) -> None:
    what, where, hint = EXAMPLES[cls.code]

    text = error_text(cls(what, where=where, hint=hint))

    first, *rest = text.splitlines()
    assert first == f"error[{cls.code}]: {where + ': ' if where else ''}{what}"
    assert rest == ([f"hint: {hint}"] if hint else [])


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_error_has_a_code_a_status_a_meaning_and_causes(cls: type[LeptonError]) -> None:
    assert re.fullmatch("[a-z]+(-[a-z]+)*", cls.code)
    assert 0 < cls.exit_status < 126
    assert cls.__doc__
    assert TYPICAL_CAUSES[cls.code]


def test_codes_are_unique() -> None:
    assert len({cls.code for cls in CLASSES}) == len(CLASSES)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^ +(\w+Error) +(\d+)$", errors.__doc__ or "", re.MULTILINE)

    actual = {(cls.__name__, str(cls.exit_status)) for cls in CLASSES if cls is not LeptonError}
    assert set(drawn) == actual


def test_all_error_texts_are_golden(golden: Callable[[str, str], None]) -> None:
    texts = []
    for cls in CLASSES:
        what, where, hint = EXAMPLES[cls.code]
        texts.append(error_text(cls(what, where=where, hint=hint)))

    golden("messages/errors.txt", "\n".join(texts))


def test_an_outer_place_comes_first() -> None:
    error = LeptonError("failed", where="conv1").at("model.onnx")

    assert str(error) == "model.onnx: conv1: failed"


def test_near_names_are_suggested_and_else_all_are_told() -> None:
    near = UnknownNameError.of("board", "pynq-z3", ["kv260", "pynq-z2"])
    far = UnknownNameError.of("board", "???", ["kv260", "pynq-z2"])

    assert str(near) == "no board is named 'pynq-z3'\nhint: did you mean pynq-z2?"
    assert str(far) == "no board is named '???'\nhint: known: kv260, pynq-z2"
