"""What a pass is, and the runner that checks the graph after each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from lepton_edge.errors import InternalError, LeptonError
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.verify import verify
from lepton_edge.registry import Registry

PASSES: Registry[type[Pass]] = Registry("pass", "lepton_edge.passes")
"""Every pass by its command-line name."""


class Effect(Enum):
    """What a pass may do to results."""

    EXACT = "exact"
    """Every code stays the same; floats stay the same up to binary32 rounding."""
    APPROXIMATE = "approximate"
    """Results change; the pass says by how much."""


@dataclass(frozen=True)
class Pass:
    """A transformation of a graph. Fields of a subclass are its options."""

    name: ClassVar[str] = ""
    effect: ClassVar[Effect] = Effect.EXACT

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.name:
            PASSES.add(cls.name, cls)

    def run(self, graph: Graph) -> Graph:
        """Return the transformed graph; the argument is left as it is."""
        raise NotImplementedError


Watcher = Callable[[str, Graph], None]


def run_passes(graph: Graph, passes: Iterable[Pass], watch: Watcher | None = None) -> Graph:
    """Apply passes in order, verifying the graph after each.

    Args:
        graph: a valid graph.
        passes: in order.
        watch: called with the pass name and the graph after each pass (to save stages).

    Raises:
        LeptonError: what a pass found wrong with the network.
        InternalError: a pass produced an invalid graph.
    """
    for pass_ in passes:
        graph = pass_.run(graph)
        try:
            verify(graph)
        except LeptonError as error:
            raise InternalError(f"produced an invalid graph: {error}", where=pass_.name) from error
        if watch:
            watch(pass_.name, graph)
    return graph
