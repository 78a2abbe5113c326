"""Products that share a DSP block, bit by bit, with codes at the ends of their types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from lepton_edge.backends.fpga.kernels.base import Elem
from lepton_edge.backends.fpga.kernels.packing import NARROW_BITS, Packing, borrowed, packings
from lepton_edge.ir.types import Array

DSP48E1, DSP48E2 = 25, 27
ACCUMULATOR_BITS = 48


def codes(elem: Elem, *shape: int) -> st.SearchStrategy[Array]:
    """Draw codes, most of them next to the ends of their type."""
    ends = sorted({elem.lowest, min(elem.lowest + 1, elem.highest), elem.highest})
    code = st.sampled_from(ends) | st.integers(elem.lowest, elem.highest)
    count = int(np.prod(shape))
    lists = st.lists(code, min_size=count, max_size=count)
    return lists.map(lambda values: np.array(values, np.int64).reshape(shape))


def block_sums(packing: Packing, stored: Array, x: Array, wide_bits: int) -> list[int]:
    """Return the sums of one chain as a row of blocks makes them, from its bits.

    Args:
        packing: how the products are packed.
        stored: the weights as stored [fields, chain].
        x: inputs [chain].
        wide_bits: of the blocks' wider factor.
    """
    bits, top = packing.field_bits, (packing.fields - 1) * packing.field_bits
    low = (1 << bits) - 1
    total = sum(1 << (field * bits + bits - 1) for field in range(packing.fields - 1))
    for weights, code in zip(stored.T.tolist(), x.tolist(), strict=True):
        assert all(packing.weight.lowest <= w <= packing.weight.highest for w in weights)
        # The top field is a signed number; the others are sign extended to their bits.
        factor = (weights[-1] << top) + sum(
            (w & low) << (field * bits) for field, w in enumerate(weights[:-1])
        )
        assert -(1 << (wide_bits - 1)) <= factor < 1 << (wide_bits - 1)
        assert -(1 << (NARROW_BITS - 1)) <= code < 1 << (NARROW_BITS - 1)
        total += factor * code
        assert -(1 << (ACCUMULATOR_BITS - 1)) <= total < 1 << (ACCUMULATOR_BITS - 1)
    fields = [(total >> (field * bits)) & low for field in range(packing.fields - 1)]
    return [_half_taken_back(field, bits) for field in fields] + [total >> top]


def _half_taken_back(field: int, bits: int) -> int:
    """Invert the highest bit of a field, which is its sign then."""
    inverted = field ^ (1 << (bits - 1))
    return inverted - (inverted >> (bits - 1) << bits)


@given(st.data())
def test_shared_products_are_exact(data: st.DataObject) -> None:
    x = Elem(data.draw(st.integers(1, 9)), data.draw(st.booleans()))
    weight = Elem(data.draw(st.integers(2, 9)))
    wide_bits = data.draw(st.sampled_from((DSP48E1, DSP48E2)))
    rows, columns = data.draw(st.sampled_from((2, 3, 4, 6, 8))), data.draw(st.integers(1, 6))
    weights = data.draw(codes(weight, rows, columns))
    for fields, packing in packings(x, weights, wide_bits).items():
        event(f"{fields} fields, chain of {packing.chain}")
        stored = borrowed(weights, fields)
        inputs = data.draw(codes(x, columns))
        length = data.draw(st.integers(1, packing.chain))
        for row in range(0, rows, fields):
            # The inputs that bring a field to an end, and any.
            worst = np.where(weights[row] > 0, x.highest, x.lowest)
            best = np.where(weights[row] > 0, x.lowest, x.highest)
            for start in range(columns - length + 1):
                lanes = np.s_[start : start + length]
                for codes_in in (inputs, worst, best):
                    chain = codes_in[lanes]
                    found = block_sums(packing, stored[row : row + fields, lanes], chain, wide_bits)
                    assert found == (weights[row : row + fields, lanes] @ chain).tolist()


@given(st.data())
def test_no_longer_chain_would_do(data: st.DataObject) -> None:
    """Some input brings a longer chain beyond its field: the weights alone decide."""
    x = Elem(8, data.draw(st.booleans()))
    weights = data.draw(codes(Elem(8), 2, 4))
    packing = packings(x, weights, DSP48E1)[2]
    if packing.chain == 4:
        return
    length, room = packing.chain + 1, 1 << (packing.field_bits - 1)
    sums = [
        int(weights[0, k : k + length] @ np.where(toward(weights[0, k : k + length]), *ends))
        for k in range(4 - length + 1)
        for toward in (lambda w: w > 0, lambda w: w <= 0)
        for ends in [(x.highest, x.lowest)]
    ]
    assert max(sums) >= room or min(sums) < -room


S8, U8 = Elem(8), Elem(8, False)


@pytest.mark.parametrize(
    ("x", "weights", "field_bits", "chain"),
    [
        (S8, [[127] * 4, [-128] * 4], 17, 4),
        (S8, [[-127] * 4, [-127] * 4], 17, 4),
        # 4 * -128 * -128 is 65536, one more than 17 bits hold.
        (S8, [[-128] * 4, [0] * 4], 17, 3),
        # -129 takes a ninth bit, and leaves 16 to the lower field.
        (S8, [[-1] * 4, [-128] * 4], 16, 4),
        (S8, [[-128] * 4, [-128] * 4], 16, 1),
        (U8, [[127] * 4, [-128] * 4], 17, 2),
        (U8, [[64, -64, 64, -64], [-127] * 4], 17, 4),
    ],
)
def test_corners(x: Elem, weights: list[list[int]], field_bits: int, chain: int) -> None:
    packing = packings(x, np.array(weights), DSP48E1)[2]
    assert (packing.field_bits, packing.chain) == (field_bits, chain)


def test_four_products_where_they_fit() -> None:
    signs = np.tile([[-7, 7]], (4, 3))
    assert packings(Elem(4), signs, DSP48E1)[4].field_bits == 7
    # -8 * -8 is 64, which 7 bits do not hold.
    assert 4 not in packings(Elem(4), signs - 1, DSP48E1)
    assert 4 not in packings(Elem(4, False), signs, DSP48E1)


@pytest.mark.parametrize("wide_bits", [0, 18])
def test_no_8_bit_products_share_a_block_of_18_bits(wide_bits: int) -> None:
    assert not packings(S8, np.full((4, 4), 100), wide_bits)


def test_rows_that_do_not_divide_share_no_block() -> None:
    assert not packings(S8, np.full((5, 4), 100), DSP48E1)
    assert not packings(Elem(18, False), np.full((4, 4), 1), DSP48E1)
