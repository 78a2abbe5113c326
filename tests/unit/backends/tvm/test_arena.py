"""Where values lie in memory: never on each other while they live, and close to the bound."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_edge.backends.tvm.arena import ALIGNMENT, Arena, Life, aligned, placed

lives = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.builds(
        lambda size, begin, length: Life(size, begin, begin + length),
        st.integers(1, 5000), st.integers(0, 12), st.integers(0, 4),
    ),
    max_size=12,
)  # fmt: skip


def overlapping(arena: Arena, found: dict[str, Life]) -> list[tuple[str, str]]:
    """Return the pairs of values that live at the same time in the same place."""
    return [
        (a, b)
        for a, b in combinations(found, 2)
        if found[a].begin <= found[b].end
        and found[b].begin <= found[a].end
        and arena.offsets[a] < arena.offsets[b] + found[b].num_bytes
        and arena.offsets[b] < arena.offsets[a] + found[a].num_bytes
    ]


@given(lives)
def test_values_that_live_at_once_do_not_overlap(found: dict[str, Life]) -> None:
    arena = placed(found)
    assert overlapping(arena, found) == []
    assert arena.bound <= arena.num_bytes <= sum(aligned(v.num_bytes) for v in found.values())
    assert all(offset % ALIGNMENT == 0 for offset in arena.offsets.values())


def test_a_chain_needs_its_two_largest_neighbours() -> None:
    sizes = (640, 128, 128, 8, 128, 640)
    chain = {f"v{i}": Life(size, i, i + 1) for i, size in enumerate(sizes)}
    assert placed(chain).num_bytes == placed(chain).bound == 640 + 128


def test_other_orders_are_tried_where_the_first_is_not_the_best() -> None:
    """By size alone, the small value between would lie behind its neighbours."""
    sizes = (128, 128, 128, 64, 128, 128)
    chain = {f"v{i}": Life(size, i, i + 1) for i, size in enumerate(sizes)}
    assert placed(chain).num_bytes == 256


def test_nothing_takes_nothing() -> None:
    assert placed({}) == Arena({}, 0, 0)


@pytest.mark.parametrize(("size", "room"), [(1, 64), (64, 64), (65, 128)])
def test_sizes_are_aligned(size: int, room: int) -> None:
    assert aligned(size) == room
