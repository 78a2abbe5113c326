"""Where activations lie in memory: one arena, whose places are used again.

Values that live at the same time do not overlap. Each is placed at the lowest offset that is free
while it lives, the largest first, which for networks comes close to the bound given by the largest
set of values that live at once (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
Inference", 2020, algorithm 3). Where that is not the bound, other orders are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

TRIES = 300
"""Orders of placing that are tried at most."""

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector."""

SLACK = 64
"""Bytes behind the arena and every other array that kernels may read, never write."""


@dataclass(frozen=True)
class Life:
    """A value's size and the steps, first and last, in which it must be in memory."""

    num_bytes: int
    begin: int
    end: int


@dataclass(frozen=True)
class Arena:
    """Offsets of values.

    Args:
        offsets: bytes from the arena's begin.
        num_bytes: what the arena takes.
        bound: what the largest set of values that live at once takes; no plan takes less.
    """

    offsets: Mapping[str, int]
    num_bytes: int
    bound: int


def aligned(num_bytes: int) -> int:
    """Return a size rounded up to the alignment."""
    return -(-num_bytes // ALIGNMENT) * ALIGNMENT


def placed(lives: Mapping[str, Life]) -> Arena:
    """Return where each value lies: the best of the plans that a few orders of placing give."""
    bound = _largest_set(lives)
    best: dict[str, int] = {}
    least = None
    for order in islice(_orders(lives), TRIES):
        offsets = _placed_in(order, lives)
        end = max((offsets[name] + aligned(lives[name].num_bytes) for name in offsets), default=0)
        if least is None or end < least:
            best, least = offsets, end
        if least <= bound:
            break
    return Arena(best, least or 0, bound)


def _orders(lives: Mapping[str, Life]) -> Iterator[list[str]]:
    """Yield orders of placing: by size, by time, by both, and then with values pulled forward."""
    keys: tuple[Callable[[Life], tuple[int, ...]], ...] = (
        lambda v: (-v.num_bytes, v.begin),
        lambda v: (v.begin, -v.num_bytes),
        lambda v: (-v.num_bytes * (v.end - v.begin + 1),),
        lambda v: (v.begin - v.end, -v.num_bytes),
    )
    for key in keys:
        yield sorted(lives, key=lambda name: key(lives[name]))
    random = Random(0)
    base = sorted(lives, key=lambda name: keys[0](lives[name]))
    while base:
        order = list(base)
        for _ in range(random.randint(1, 4)):
            order.insert(0, order.pop(random.randrange(len(order))))
        yield order


def _placed_in(order: Sequence[str], lives: Mapping[str, Life]) -> dict[str, int]:
    """Return offsets if values are placed in an order, each as low as it can be."""
    offsets: dict[str, int] = {}
    for name in order:
        life = lives[name]
        taken = sorted(
            (offset, offset + aligned(lives[other].num_bytes))
            for other, offset in offsets.items()
            if lives[other].begin <= life.end and life.begin <= lives[other].end
        )
        offsets[name] = _lowest_gap(taken, life.num_bytes)
    return offsets


def _lowest_gap(taken: Sequence[tuple[int, int]], num_bytes: int) -> int:
    """Return the lowest offset at which so many bytes overlap none of the intervals."""
    offset = 0
    for begin, end in taken:
        if begin - offset >= num_bytes:
            break
        offset = max(offset, end)
    return offset


def _largest_set(lives: Mapping[str, Life]) -> int:
    """Return the most bytes that live in one step."""
    steps = {life.begin for life in lives.values()}
    return max(
        (
            sum(aligned(v.num_bytes) for v in lives.values() if v.begin <= step <= v.end)
            for step in steps
        ),
        default=0,
    )
