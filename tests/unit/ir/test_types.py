from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_edge.errors import RangeError
from lepton_edge.ir.types import Float, Int, QuantType, TensorType, bits_for_range, storage_dtype

PER_CHANNEL = QuantType(8, True, (0.5, 2.0), (0, 3), axis=-1)


@pytest.mark.parametrize(
    ("quant", "lowest", "highest", "dtype"),
    [
        (QuantType(8, True, (1.0,)), -128, 127, "int8"),
        (QuantType(8, False, (1.0,)), 0, 255, "uint8"),
        (QuantType(8, True, (1.0,), narrow=True), -127, 127, "int8"),
        (QuantType(1, False, (1.0,)), 0, 1, "uint8"),
        (QuantType(1, True, (1.0,)), -1, 0, "int8"),
        (QuantType.signs((1.0,)), 0, 1, "uint8"),
        (QuantType(4, True, (1.0,)), -8, 7, "int8"),
        (QuantType(9, False, (1.0,)), 0, 511, "uint16"),
        (QuantType(16, True, (1.0,)), -32768, 32767, "int16"),
        (QuantType(17, True, (1.0,)), -65536, 65535, "int32"),
        (QuantType(63, True, (1.0,)), -(1 << 62), (1 << 62) - 1, "int64"),
    ],
)
def test_ranges_and_storage(quant: QuantType, lowest: int, highest: int, dtype: str) -> None:
    assert (quant.lowest, quant.highest) == (lowest, highest)
    assert quant.num_codes == highest - lowest + 1
    assert quant.dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: QuantType(0, True, (1.0,)), "a quantised type has 1..63 bits, found 0"),
        (lambda: QuantType(64, True, (1.0,)), "a quantised type has 1..63 bits, found 64"),
        (lambda: QuantType(8, True, (0.0,)), "scales must be positive and finite"),
        (lambda: QuantType(8, True, (-1.0,)), "scales must be positive and finite"),
        (lambda: QuantType(8, True, (float("nan"),)), "scales must be positive and finite"),
        (lambda: QuantType(8, True, (float("inf"),)), "scales must be positive and finite"),
        (
            lambda: QuantType(8, True, (1.0, 1.0, 1.0), (0, 0), axis=0),
            "2 zero points for 3 scales; wanted one each",
        ),
        (
            lambda: QuantType(1, False, (1.0,), bipolar=True),
            "bipolar codes are one unsigned bit around the zero point 1",
        ),
        (
            lambda: QuantType(2, False, (1.0,), (1,), bipolar=True),
            "bipolar codes are one unsigned bit around the zero point 1",
        ),
        (lambda: QuantType(8, True, (1.0, 1.0)), "a per-tensor type has one scale, found 2"),
        (lambda: storage_dtype(65, True), "65 bits do not fit a 64-bit integer"),
        (lambda: TensorType((1,), Float()).quant, "wanted a quantised tensor, found f32[1]"),
    ],
)
def test_what_is_refused(build: object, message: str) -> None:
    with pytest.raises(RangeError) as caught:
        build()  # type: ignore[operator]
    assert caught.value.what == message


def test_quantize_rounds_half_to_even_then_adds_the_zero_point_and_saturates() -> None:
    quant = QuantType(4, False, (0.5,), (3,))
    real = np.array([-0.75, -0.25, 0.25, 0.75, 1.25, 1.75, 100.0, -100.0, np.inf, -np.inf])
    # In steps: -1.5 -0.5 0.5 1.5 2.5 3.5
    assert quant.quantize(real).tolist() == [1, 3, 3, 5, 5, 7, 15, 0, 15, 0]
    assert quant.quantize(real).dtype == np.uint8


def test_bipolar_codes_are_signs_and_zero_counts_as_positive() -> None:
    quant = QuantType.signs((0.5,))
    reals = np.array([-np.inf, -1e-40, -0.0, 0.0, 1e-40, 7.0], np.float32)
    codes = quant.quantize(reals)
    np.testing.assert_array_equal(codes, [0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(quant.dequantize(codes), [-0.5, -0.5, 0.5, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(quant.centre(codes), [-1, -1, 1, 1, 1, 1])


def test_quantize_divides_in_binary32() -> None:
    # 0.7 / 0.2 is 3.5 in binary32 and a little more in exact arithmetic on the same floats.
    quant = QuantType(8, True, (float(np.float32(0.2)),))
    steps = np.float32(0.7) / np.float32(0.2)
    assert quant.quantize(np.array([0.7], np.float32))[0] == np.rint(steps)


def test_per_axis_parameters_run_along_their_axis() -> None:
    real = np.array([[[1.0, 1.0], [-2.0, -6.0]]], np.float32)
    codes = PER_CHANNEL.quantize(real)
    assert codes.tolist() == [[[2, 3], [-4, 0]]]  # 1/2 rounds to 0, zero point 3
    np.testing.assert_array_equal(
        PER_CHANNEL.dequantize(codes), np.array([[[1.0, 0.0], [-2.0, -6.0]]], np.float32)
    )
    first = QuantType(8, True, (0.5, 2.0), axis=0)
    assert first.quantize(np.ones((2, 3), np.float32)).tolist() == [[2, 2, 2], [0, 0, 0]]


@given(
    bits=st.integers(1, 16),
    signed=st.booleans(),
    scale=st.floats(2.0**-20, 2.0**20, width=32),
    data=st.data(),
)
def test_every_code_survives_the_way_to_reals_and_back(
    bits: int, signed: bool, scale: float, data: st.DataObject
) -> None:
    plain = QuantType(bits, signed, (scale,))
    zero = data.draw(st.integers(plain.lowest, plain.highest))
    quant = QuantType(bits, signed, (scale,), (zero,))
    codes = np.arange(quant.lowest, quant.highest + 1)
    np.testing.assert_array_equal(quant.quantize(quant.dequantize(codes)), codes)


@pytest.mark.parametrize(
    ("elem", "text"),
    [
        (Float(), "f32"),
        (Int(), "i64"),
        (Int(1, False), "u1"),
        (QuantType(8, True, (0.25,)), "q8<0.25>"),
        (QuantType(8, True, (0.25,), narrow=True), "q8n<0.25>"),
        (QuantType(4, False, (0.25,), (7,)), "uq4<0.25,z=7>"),
        (QuantType.signs((0.25,)), "b1<0.25>"),
        (QuantType.signs((0.25, 1.0), 0), "b1<2 scales@0>"),
        (PER_CHANNEL, "q8<2 scales@-1,z=...>"),
        (QuantType(8, True, (0.5, 2.0), axis=0), "q8<2 scales@0>"),
    ],
)
def test_text(elem: Float | Int | QuantType, text: str) -> None:
    assert str(elem) == text
    assert str(TensorType((1, 3), elem)) == f"{text}[1,3]"


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-(1 << 40), 1 << 40))
def test_bits_for_range_is_the_narrowest_that_holds_both(a: int, b: int) -> None:
    low, high = sorted((a, b))
    bits = bits_for_range(low, high)
    assert -(1 << (bits - 1)) <= low
    assert high < 1 << (bits - 1)
    assert bits == 1 or not (-(1 << (bits - 2)) <= low and high < 1 << (bits - 2))
