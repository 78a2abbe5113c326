"""What a plan may use of a board, and what the resources are worth."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from lepton_edge.backends.boards import Board, Resources
from lepton_edge.errors import UserError
from lepton_edge.ir.types import Array

BUDGET_SHARE = {"lut": 0.7, "ff": 0.5, "dsp": 0.8, "bram36": 0.8, "uram": 0.8}
"""Share of a board that a plan may take.

Source: the utilisation guideline of AMD's UltraFast design methodology (UG949, report_failfast):
beyond it, placement and timing become hard. It also leaves room for DMA and interconnect.
"""

ALLOWANCE = (
    "a plan may use 70 % of a board's LUTs, 50 % of its flip-flops, 80 % of its DSP and RAM "
    "blocks; --lut, --dsp and --bram allow more or less"
)

DSP_PRICE = 0.15
"""Price of a share of the DSP blocks, where a share of any other resource costs 1.

Multipliers are what DSP blocks are for; only those of a few bits are cheaper in LUTs.
"""

NAMES = tuple(field.name for field in fields(Resources))
PRICES = np.array([DSP_PRICE if name == "dsp" else 1.0 for name in NAMES])
"""Price of the whole budget of each resource, in the order of its fields."""

UNITS = np.array([2 if name == "bram36" else 1 for name in NAMES])
"""What a resource is counted in: block RAM comes in halves."""


def counts(resources: Resources) -> Array:
    """Return an amount as whole numbers of units, int64 [resources]."""
    values = resources.as_dict().values()
    return np.array([round(v * u) for v, u in zip(values, UNITS, strict=True)], np.int64)


def price_of(resources: Resources, budget: Resources) -> float:
    """Return what an amount is worth: its shares of a budget, each at its price."""
    has = counts(budget)
    return float((PRICES * counts(resources))[has > 0] @ (1 / has[has > 0]))


@dataclass(frozen=True)
class Caps:
    """What the user allows a plan, instead of the usual share of the board.

    Args:
        lut: look-up tables; None for the share.
        dsp: multiplier blocks.
        bram: block RAM in units of 36 kbit.
    """

    lut: int | None = None
    dsp: int | None = None
    bram: float | None = None

    def by_resource(self) -> dict[str, float]:
        """Return the caps that are set, by the name of the resource."""
        named = {"lut": self.lut, "dsp": self.dsp, "bram36": self.bram}
        return {name: cap for name, cap in named.items() if cap is not None}


def budget_of(board: Board, caps: Caps | None = None) -> Resources:
    """Return what a plan may use of ``board``.

    Raises:
        UserError: a cap is more than the board has.
    """
    has = board.resources.as_dict()
    amounts = {name: has[name] * BUDGET_SHARE[name] for name in NAMES}
    for name, cap in (caps or Caps()).by_resource().items():
        if not 0 <= cap <= has[name]:
            raise UserError(
                f"a cap of {cap:g} {name} was given; {board.title} has {has[name]:g}",
                hint=f"give 0 to {has[name]:g}; without a cap a plan may use "
                f"{amounts[name]:g}, or choose a larger board",
            )
        amounts[name] = cap
    return Resources(
        lut=int(amounts["lut"]),
        ff=int(amounts["ff"]),
        dsp=int(amounts["dsp"]),
        bram36=int(amounts["bram36"] * 2) / 2,
        uram=int(amounts["uram"]),
    )
