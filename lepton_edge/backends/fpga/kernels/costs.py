"""What kernels cost in LUTs and flip-flops: amounts of what they are made of, times prices.

The prices are in costs.json. `python -m benchmarks.calibration` fits them to what Yosys makes of
many kernels, and notes how far the estimates of whole designs, which the fit has not seen, are off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lepton_edge.backends.boards import Resources

COSTS = Path(__file__).parent / "costs.json"

Price = tuple[float, float]
"""LUTs and flip-flops."""


@dataclass(frozen=True)
class Costs:
    """Prices, and what is known of them.

    Args:
        source: the tool, and when.
        prices: by kind of kernel and name of an amount.
        designs: how many whole designs the estimates were compared with.
        error: by resource: mean and largest error of these designs, as parts of what synthesis
            found.
    """

    source: str
    prices: Mapping[str, Mapping[str, Price]]
    designs: int
    error: Mapping[str, tuple[float, float]]

    def known_error(self, resource: str) -> str:
        """Return what a report says of the error of an estimated resource; empty where none is."""
        if resource not in self.error:
            return ""
        mean, worst = self.error[resource]
        if worst == 0:
            return f"exact in {self.designs} designs"
        return f"{mean:.1%} on average, {worst:.1%} at most, of {self.designs} designs"


@lru_cache(maxsize=1)
def costs() -> Costs:
    """Return the prices that come with the package."""
    document: dict[str, Any] = json.loads(COSTS.read_text(encoding="utf-8"))
    return Costs(
        document["source"],
        {
            kind: {name: (float(lut), float(ff)) for name, (lut, ff) in prices.items()}
            for kind, prices in document["prices"].items()
        },
        document["designs"],
        {name: (float(mean), float(worst)) for name, (mean, worst) in document["error"].items()},
    )


def logic(kind: str, amounts: Mapping[str, float]) -> Resources:
    """Return the LUTs and flip-flops of a kernel, a FIFO or the register file.

    Args:
        kind: of kernel.
        amounts: what it is made of; what has no price is free.
    """
    prices = costs().prices.get(kind, {})
    lut = ff = 0.0
    for name, amount in amounts.items():
        price = prices.get(name)
        if price is not None:
            lut += amount * price[0]
            ff += amount * price[1]
    return Resources(lut=round(lut), ff=round(ff))


# -- amounts that several kernels have ------------------------------------------------------------


def counter_bits(*limits: int) -> int:
    """Return the bits of counters that count up to limits."""
    return sum((limit - 1).bit_length() for limit in limits)


def tree_bits(count: int, bits: int) -> int:
    """Return the adder bits of a sum of ``count`` numbers (hls/rtl/lepton_sum.sv)."""
    total = 0
    while count > 1:
        bits += 1
        total += count // 2 * bits
        count = (count + 1) // 2
    return total
