"""The stream kernels lose no word, double none and keep their order: proven, not sampled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hwsim.formal import prover
from tests.hwsim.formal.prover import Proof

pytestmark = pytest.mark.needs(*prover.TOOLS)


def fifo(bits: int, depth: int) -> Proof:
    """A FIFO; filling it and emptying it takes two cycles a word."""
    return Proof("fifo", {"BITS": bits, "DEPTH": depth}, 2 * depth + 6)


def deep_fifo(bits: int, depth: int) -> Proof:
    """A FIFO whose filling takes minutes to find, of a form that another one shows full."""
    return Proof("fifo", {"BITS": bits, "DEPTH": depth}, 0)


def width(x_bits: int, in_lanes: int, out_lanes: int) -> Proof:
    return Proof("width", {"X_BITS": x_bits, "IN_LANES": in_lanes, "OUT_LANES": out_lanes}, 30)


def concat(words_a: int, words_b: int) -> Proof:
    return Proof("concat", {"WORDS_A": words_a, "WORDS_B": words_b})


def slice_(words: int, begin: int, end: int) -> Proof:
    return Proof("slice", {"WORDS": words, "BEGIN": begin, "END": end})


SAMPLE = (
    Proof("skid", {"BITS": 2, "FULL": 1}),
    Proof("fork", {"BITS": 2}),
    fifo(2, 5),
    width(1, 2, 3),
    width(1, 2, 4),
    concat(2, 3),
    slice_(4, 1, 3),
)
"""In every run of the tests."""

SWEEP = (
    *(Proof("skid", {"BITS": bits, "FULL": full}) for bits in (1, 2, 8) for full in (0, 1)),
    *(Proof("fork", {"BITS": bits}) for bits in (1, 8)),
    *(fifo(2, depth) for depth in (2, 3, 4, 6, 7, 8, 9, 16)),
    fifo(8, 4),
    # LUT RAM because of its depth, and because of its bits; block RAM, odd and even.
    deep_fifo(1, 64),
    deep_fifo(1, 100),
    fifo(64, 65),
    deep_fifo(32, 128),
    deep_fifo(8, 512),
    *(width(1, a, b) for a in range(1, 7) for b in range(1, 7)),
    *(width(4, a, b) for a, b in ((4, 2), (2, 4), (4, 6), (3, 2))),
    Proof("join", {"A_BITS": 2, "B_BITS": 3}),
    *(concat(a, b) for a in (1, 2, 3) for b in (1, 2, 3)),
    *(
        slice_(*words)
        for words in ((1, 0, 1), (2, 0, 1), (2, 1, 2), (4, 1, 3), (5, 0, 5), (5, 4, 5))
    ),
)

PROVEN = (*SAMPLE, *(proof for proof in SWEEP if proof not in SAMPLE))

PROOFS = [
    pytest.param(proof, id=proof.name, marks=() if proof in SAMPLE else pytest.mark.slow)
    for proof in PROVEN
]


@pytest.mark.parametrize("proof", PROOFS)
def test_kernel_is_proven_for_all_time(proof: Proof, tmp_path: Path) -> None:
    """By induction. That it can be full, empty again, and pass a word, shows what this is worth."""
    path = prover.model(proof, tmp_path)
    prover.check_base(path)
    prover.check_step(path)
    if proof.reach_cycles:
        prover.check_reach(path, proof.reach_cycles)
