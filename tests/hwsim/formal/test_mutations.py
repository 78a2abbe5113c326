"""The proofs can fail: each of these bugs, put into a copy of a kernel, is found.

What must fail is what a neighbour sees of the kernel, in a run from power-up. So the lemmas about
its registers are left out; and so is, but for ROOM, the statement that it is ready exactly while
there is room, which would find most of these bugs before a word is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hwsim.formal import prover
from tests.hwsim.formal.prover import Proof, RefutedError
from tests.hwsim.formal.test_proofs import PROVEN, concat, fifo, slice_, width

pytestmark = [pytest.mark.slow, pytest.mark.needs(*prover.TOOLS)]


@dataclass(frozen=True)
class Bug:
    """A change of a kernel's text.

    Args:
        kernel: its text is changed.
        what: in words.
        before: what stands there, once.
        after: what takes its place.
        proof: what must fail.
    """

    kernel: str
    what: str
    before: str
    after: str
    proof: Proof

    @property
    def name(self) -> str:
        """A name for a test."""
        return f"{self.proof.name}-{self.what.replace(' ', '_')}"

    def changed(self) -> dict[str, str]:
        """Return the changed text by file name."""
        file = f"lepton_{self.kernel}.sv"
        text = (prover.RTL / file).read_text()
        assert text.count(self.before) == 1, f"{file} has not once: {self.before}"
        return {file: text.replace(self.before, self.after)}


def bugs(kernel: str, proof: Proof, *changes: tuple[str, str, str]) -> tuple[Bug, ...]:
    """Return bugs of one kernel, each as (what, before, after)."""
    return tuple(Bug(kernel, *change, proof) for change in changes)


SKID = bugs(
    "skid",
    Proof("skid", {"BITS": 2, "FULL": 1}),
    ("ready always", "in_ready <= !in_valid && in_ready;", "in_ready <= 1'b1;"),
    ("ready after a word", "in_ready <= !in_valid && in_ready;", "in_ready <= in_ready;"),
    ("never ready again", "in_ready  <= 1'b1;\n                end else", "end else"),
    ("forgets spare", "out_data  <= is_spare ? spare : in_data;", "out_data  <= in_data;"),
    ("overwrites spare", "if (!is_spare) spare <= in_data;", "spare <= in_data;"),
    ("drops spare", "out_valid <= in_valid || is_spare;", "out_valid <= in_valid;"),
    ("does not hold", "if (out_ready || !out_valid) begin", "if (1'b1) begin"),
    (
        "sends spare twice",
        "out_valid <= in_valid || is_spare;\n                    is_spare  <= 1'b0;",
        "out_valid <= in_valid || is_spare;",
    ),
    (
        "reset leaves spare",
        "    out_valid <= 1'b0;\n                    is_spare  <= 1'b0;",
        "    out_valid <= 1'b0;",
    ),
)
HALF = bugs(
    "skid",
    Proof("skid", {"BITS": 2, "FULL": 0}),
    ("ready while read", "in_ready = !out_valid;", "in_ready = !out_valid || out_ready;"),
    ("overwrites", "if (!out_valid) out_data <= in_data;", "out_data <= in_data;"),
    ("sends twice", "out_valid ? !out_ready : in_valid", "out_valid || in_valid"),
    ("does not hold", "out_valid ? !out_ready : in_valid", "in_valid && !out_valid"),
)
FORK = bugs(
    "fork",
    Proof("fork", {"BITS": 2}),
    ("ready always", "in_ready  = !is_spare;", "in_ready  = 1'b1;"),
    ("forgets second reader", " && (!out1_valid || out1_ready);", ";"),
    ("never done", "(!out0_valid || out0_ready) &&", "(out0_valid && out0_ready) &&"),
    ("first reader twice", "if (out0_ready) out0_valid <= 1'b0;", ""),
    ("second reader never", "out1_valid <= is_next;", ""),
    ("drops spare", "is_next   = in_valid || is_spare;", "is_next   = in_valid;"),
    ("swaps words", "out1_data = word;", "out1_data = is_spare ? spare : word;"),
)
FIFO = bugs(
    "fifo",
    fifo(2, 5),
    ("one word too many", "is_space <= count != COUNT_BITS'(DEPTH - 1);", "is_space <= 1'b1;"),
    ("counts from the wrong side", "if (write != take) count", "if (write != read) count"),
    ("forgets to count a word out", "if (write != read) stored", "if (write) stored"),
    (
        "reads wrap early",
        "read_place == PLACE_BITS'(DEPTH - 1)",
        "read_place == PLACE_BITS'(DEPTH - 2)",
    ),
    (
        "writes wrap late",
        "write_place == PLACE_BITS'(DEPTH - 1)",
        "write_place == PLACE_BITS'(DEPTH)",
    ),
    ("overwrites when full", "write     = in_valid && is_space;", "write     = in_valid;"),
    (
        "does not hold",
        "assign read     = is_stored && (!out_valid || out_ready);",
        "assign read     = is_stored;",
    ),
    (
        "reads what is being written",
        "assign is_stored = stored != '0;",
        "assign is_stored = stored != '0 || write;",
    ),
    ("reset leaves words", "stored      <= '0;", ""),
)
BLOCK_FIFO = bugs(
    "fifo",
    fifo(64, 65),
    ("latch overwritten", "read = is_stored && (!is_latched || move);", "read = is_stored;"),
    ("output overwritten", "is_latched && (!out_valid || out_ready);", "is_latched;"),
    ("latch lost", "if (!is_latched || move) is_latched <= is_stored;", "is_latched <= is_stored;"),
    ("latch sent twice", "is_latched <= is_stored;", "is_latched <= is_latched || is_stored;"),
    (
        "skips the latch",
        "if (move) out_data <= latch;",
        "if (move) out_data <= memory[read_place];",
    ),
    ("stalls when single", "stored != '0;", "stored > 1;"),
)
NARROW = bugs(
    "width",
    width(1, 4, 2),
    ("ready within a word", "in_ready  = step && is_first;", "in_ready  = step;"),
    (
        "swaps lanes",
        "is_first ? in_data[OUT_BITS-1:0] : held[OUT_BITS-1:0]",
        "is_first ? in_data[IN_BITS-1:OUT_BITS] : held[OUT_BITS-1:0]",
    ),
    ("sends nothing on", "send      = in_valid || !is_first;", "send      = in_valid;"),
    ("moves while stalled", "if (step) held <= is_first", "held <= is_first"),
    ("counts while stalled", ".step (step && send)", ".step (send)"),
)
THREE_PIECES = bugs(
    "width",
    width(1, 3, 1),
    (
        "repeats a piece",
        "in_data[IN_BITS-1:OUT_BITS] : held >> OUT_BITS;",
        "in_data[IN_BITS-1:OUT_BITS] : held;",
    ),
)
WIDEN = bugs(
    "width",
    width(1, 2, 4),
    ("ready always", "in_ready  = can_write || !is_last;", "in_ready  = 1'b1;"),
    ("swaps lanes", "whole     = {in_data, held};", "whole     = {held, in_data};"),
    ("sends without a piece", "in_valid && is_last", "is_last"),
    ("sends every piece", "in_valid && is_last", "in_valid"),
    ("moves without a piece", "if (take) held <= whole", "held <= whole"),
)
GEARBOX = bugs(
    "width",
    width(1, 2, 3),
    ("word too early", "count >= COUNT_BITS'(OUT_UNITS);", "count >= COUNT_BITS'(OUT_UNITS - 1);"),
    ("word too late", "count >= COUNT_BITS'(OUT_UNITS);", "count > COUNT_BITS'(OUT_UNITS);"),
    (
        "room for one too many",
        "left <= COUNT_BITS'(MOST - IN_UNITS);",
        "left <= COUNT_BITS'(MOST - IN_UNITS + 1);",
    ),
    ("does not shift", "send ? held >> OUT_BITS : held;", "held;"),
    ("shifts too little", "send ? held >> OUT_BITS", "send ? held >> OUT_BITS - X_BITS"),
    ("sends into a full register", "send     = step && is_word;", "send     = is_word;"),
    (
        "appends a lane too high",
        "if (left == COUNT_BITS'(place))",
        "if (left == COUNT_BITS'(place + 1))",
    ),
)
JOIN = bugs(
    "join",
    Proof("join", {"A_BITS": 2, "B_BITS": 3}),
    ("ready always", "in_a_ready = !is_a || take_a;", "in_a_ready = 1'b1;"),
    (
        "waits for the other side",
        "in_b_ready = !is_b || take_b;",
        "in_b_ready = !is_b || take_b && is_a;",
    ),
    ("sends twice", "is_b   <= in_b_valid;", "is_b   <= is_b || in_b_valid;"),
)
CONCAT = bugs(
    "concat",
    concat(2, 1),
    ("one word more of a", "index < WORD_BITS'(WORDS_A);", "index <= WORD_BITS'(WORDS_A);"),
    ("reads both", "b_ready   = step && !is_a;", "b_ready   = step;"),
    ("reads while stalled", "a_ready   = step && is_a;", "a_ready   = is_a;"),
    ("swaps sides", "is_a ? a_data : b_data", "is_a ? b_data : a_data"),
    ("counts what is not there", ".step (step && is_word)", ".step (step)"),
)
SLICE = bugs(
    "slice",
    slice_(4, 1, 3),
    ("ends early", "(END - BEGIN);", "(END - BEGIN - 1);"),
    ("begins late", "(WORD_BITS + 1)'(BEGIN) <", "(WORD_BITS + 1)'(BEGIN + 1) <"),
    ("counts while stalled", ".step (in_valid && in_ready)", ".step (in_valid)"),
    ("drops nothing", "in_valid && is_kept", "in_valid"),
)
BUGS = (
    *(*SKID, *HALF, *FORK, *FIFO, *BLOCK_FIFO),
    *(*NARROW, *THREE_PIECES, *WIDEN, *GEARBOX, *JOIN, *CONCAT, *SLICE),
)

ROOM = (
    *bugs(
        "fifo",
        fifo(2, 5),
        ("one word too few", "count != COUNT_BITS'(DEPTH - 1);", "count < COUNT_BITS'(DEPTH - 2);"),
        ("space late", "else if (take) is_space <= 1'b1;", "else is_space <= count < DEPTH;"),
    ),
    *bugs(
        "width",
        width(1, 2, 4),
        ("ready only for all", "in_ready  = can_write || !is_last;", "in_ready  = can_write;"),
    ),
    *bugs(
        "width",
        width(1, 2, 3),
        ("room for too few", "left <= COUNT_BITS'(MOST - IN_UNITS);", "left < OUT_UNITS - 1;"),
    ),
)
"""No word goes wrong, but less fits than the kernel says."""


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bug_is_found(bug: Bug, tmp_path: Path) -> None:
    _find(bug, tmp_path, "lemma_", "ready_while_room")


@pytest.mark.parametrize("bug", ROOM, ids=lambda bug: bug.name)
def test_missing_room_is_found(bug: Bug, tmp_path: Path) -> None:
    _find(bug, tmp_path, "lemma_")


def _find(bug: Bug, folder: Path, *without: str) -> None:
    assert bug.proof in PROVEN, "without the bug, it must be proven"
    path = prover.model(bug.proof, folder, bug.changed(), without)
    with pytest.raises(RefutedError) as caught:
        prover.check_base(path)
    assert caught.value.labels


PATHS = (
    *(bug for bug in HALF if "while read" in bug.what),
    *bugs(
        "fifo",
        fifo(2, 5),
        ("ready while read", "in_ready  = is_space;", "in_ready  = is_space || take;"),
        (
            "falls through",
            "assign out_data = latch;",
            "assign out_data = is_stored ? latch : in_data;",
        ),
    ),
    *bugs(
        "width",
        width(1, 2, 4),
        ("ready only for a word", "can_write || !is_last;", "in_valid && (can_write || !is_last);"),
    ),
)


@pytest.mark.parametrize("bug", PATHS, ids=lambda bug: bug.name)
def test_path_through_a_kernel_is_found(bug: Bug, tmp_path: Path) -> None:
    prover.copy_sources(tmp_path, bug.changed())
    assert prover.paths_through(f"lepton_{bug.kernel}", bug.proof.parameters, tmp_path)
