"""When words move through a kernel: the steps of a frame, one a cycle where nothing waits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lepton_edge.ir.types import Array


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps of a frame. A step happens once the words that it reads are there.

    Args:
        count: steps a frame; those of the next frame follow without a gap.
        reads: for each input, int64 [words]: the first step that needs the word, ascending;
            ``count`` for words that only the next frame's first step can wait for.
        writes: int64 [words]: the step that writes each output word, ascending; a fork writes
            to both outputs.
        frees: for each input, int64 [words]: the step after which the word's place is free again;
            the same as ``reads`` for kernels that take a word when they need it.
        room: for each input the words that the kernel itself keeps between ``reads`` and ``frees``.
    """

    count: int
    reads: tuple[Array, ...]
    writes: Array
    frees: tuple[Array, ...]
    room: tuple[int, ...]

    @classmethod
    def of(cls, count: int, reads: Array | tuple[Array, ...], writes: Array) -> Steps:
        """Return the steps of a kernel that takes each word in the step that needs it."""
        taken = reads if isinstance(reads, tuple) else (reads,)
        return cls(count, taken, writes, taken, (0,) * len(taken))

    @classmethod
    def word_for_word(cls, words: int, inputs: int = 1) -> Steps:
        """Return the steps of a kernel that writes a word for each word (of each input)."""
        each = np.arange(words)
        return cls.of(words, (each,) * inputs, each)
