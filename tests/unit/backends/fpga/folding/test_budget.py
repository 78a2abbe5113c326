"""What a plan may use: a share of the board, or what the user allows."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.folding import Caps, Goal, budget_of, plan
from lepton_edge.backends.fpga.folding.budget import price_of
from lepton_edge.errors import UserError
from tests.unit.backends.fpga.folding.networks import conv


def test_a_plan_may_use_a_share_of_the_board(board) -> None:
    assert astuple(budget_of(board)) == (37_240, 53_200, 176, 112, 0)
    assert budget_of(board, Caps()) == budget_of(board)


def test_caps_replace_the_share_of_their_resource(board) -> None:
    assert astuple(budget_of(board, Caps(lut=50_000, bram=7.75))) == (50_000, 53_200, 176, 7.5, 0)
    assert budget_of(board, Caps(dsp=0)).dsp == 0


@pytest.mark.parametrize(
    ("caps", "message"),
    [
        (Caps(lut=53_201), r"a cap of 53201 lut was given; PYNQ-Z2 has 53200"),
        (Caps(dsp=221), r"a cap of 221 dsp was given; PYNQ-Z2 has 220"),
        (Caps(bram=140.5), r"a cap of 140.5 bram36 was given; PYNQ-Z2 has 140"),
        (Caps(lut=-1), r"a cap of -1 lut was given; PYNQ-Z2 has 53200"),
    ],
)
def test_a_cap_beyond_the_board_is_refused(board, caps: Caps, message: str) -> None:
    with pytest.raises(UserError, match=message):
        budget_of(board, caps)


def test_a_plan_keeps_to_the_caps(net, board) -> None:
    flow = conv(net)
    free = plan(flow, budget_of(board), Goal()).resources
    assert free.dsp > 1
    capped = plan(flow, budget_of(board, Caps(dsp=1, bram=0)), Goal()).resources
    assert capped.dsp <= 1
    assert capped.bram36 == 0


def test_a_price_counts_shares() -> None:
    budget = Resources(lut=1000, ff=2000, dsp=10, bram36=4, uram=0)
    assert price_of(Resources(lut=500), budget) == 0.5
    assert price_of(Resources(dsp=10), budget) == pytest.approx(0.15)
    assert price_of(Resources(ff=500, bram36=0.5, uram=3), budget) == pytest.approx(0.375)
