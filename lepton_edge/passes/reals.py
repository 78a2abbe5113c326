"""The reals of a quantised graph, each as a rule of integers: what lower_integers tracks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lepton_edge.passes.rules import RealRule


class Refused(Exception):  # noqa: N818 - it never leaves lower_integers
    """An op has no integer form here; the message says why."""


@dataclass(frozen=True)
class Scaled:
    """A real that is a rule of one integer tensor of the new graph."""

    value: str
    rule: RealRule
    is_codes: bool
    """Whether the rule is just what the codes of ``value`` stand for."""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Total:
    """A real that is a rule of ``slope_a * a + slope_b * b``, codes without zero points."""

    a: str
    b: str
    slope_a: Fraction
    slope_b: Fraction
    rule: RealRule
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probabilities:
    """The softmax of codes over the last axis."""

    value: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pieces:
    """Concatenated reals of different types."""

    parts: tuple[Scaled, ...]
    axis: int
    sources: tuple[str, ...] = ()


Real = Scaled | Total | Probabilities | Pieces
