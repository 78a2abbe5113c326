"""Folding: how much of each layer is computed at once, chosen against a board's budget.

Each actor has options: how many rows, columns or channels at once, multipliers in DSP blocks or in
LUTs, memories in block RAM or in LUTs. `space` lists them, `problem` puts them into numbers,
`bounds` proves how cheap a choice can be at best, `solver` finds one, `planner` sizes the FIFOs it
needs, `plan` answers the user's goal, `explore` asks for a whole range of them.
"""

from lepton_edge.backends.fpga.folding.budget import ALLOWANCE, Caps, budget_of
from lepton_edge.backends.fpga.folding.explore import explore
from lepton_edge.backends.fpga.folding.pins import Pins, read_pins
from lepton_edge.backends.fpga.folding.plan import Goal, find_plan, plan
from lepton_edge.backends.fpga.folding.planner import Plan, Planner
from lepton_edge.backends.fpga.folding.space import Space

__all__ = [
    "ALLOWANCE",
    "Caps",
    "Goal",
    "Pins",
    "Plan",
    "Planner",
    "Space",
    "budget_of",
    "explore",
    "find_plan",
    "plan",
    "read_pins",
]
