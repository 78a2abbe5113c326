"""Names of nets and cells as people know them.

They follow the RTL of this project: instances are ``u_x``, generated blocks ``g_x``, the streams of
a module ``in_data``, ``out_ready`` and so on. At the top, each actor is an instance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TAKEN = re.compile(
    r"(?:^|_)(?:in|a|b)_(?:data|valid)$|(?:^|_)out\d*_ready$"
    r"|^(?:clk|rst|enable|step|address|in|start|valid_in)$"
)
"""Names that modules give to what they take from outside."""

_TOOL = re.compile(r"\$.*")


def best_name(names: Iterable[str]) -> str:
    """Return which of a net's names is from where it is driven; "" where it has none.

    A net goes by a name in each module that it passes. The innermost is the driver's, once those
    are left out by which modules call their inputs.
    """

    def rank(name: str) -> tuple[bool, int, int, str]:
        last = name.rpartition(".")[2].partition("[")[0]
        return bool(_TAKEN.search(last)), -name.count("."), len(name), name

    return min(names, key=rank, default="")


def readable(name: str) -> str:
    """Return a name without the marks of instances, generated blocks and tools.

    ``u_conv.g_lane[2].u_sum.total[3]`` becomes ``conv.lane[2].sum.total[3]``.
    """
    return ".".join(filter(None, map(_readable_part, _parts(name))))


def instance_of(name: str) -> str:
    """Return the instance at the top that a name lies in: ``conv``; "" for names of the top."""
    parts = _parts(name)
    return parts[0][2:] if len(parts) > 1 and parts[0].startswith("u_") else ""


def _parts(name: str) -> list[str]:
    """Return the parts of a hierarchical name; Yosys puts its own in front, or behind a ``$``."""
    plain = name.removeprefix("$flatten").replace("\\", "")
    return _TOOL.sub("", plain).split(".")


def _readable_part(part: str) -> str:
    if part.startswith("genblk"):
        return ""
    if part.startswith("g_"):
        return part[2:] if part.endswith("]") else ""
    return part.removeprefix("u_")
