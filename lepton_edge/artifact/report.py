"""The report: every figure of a design, and how each came to be known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from functools import reduce
from typing import Any

from lepton_edge.artifact.document import Document, dump, is_number, parse
from lepton_edge.errors import InternalError

SCHEMA = 2
"""Version of report.json; raised when an old report could be misread."""


class Evidence(Enum):
    """How a figure is known, from the strongest to the weakest."""

    MEASURED = "measured"
    """Seen on the real device."""
    SIMULATED = "simulated"
    """From a cycle-accurate simulation of the design."""
    SYNTHESISED = "synthesised"
    """From a synthesis or place-and-route report of the design."""
    ESTIMATED = "estimated"
    """From a model; its known error is told with it."""


@dataclass(frozen=True)
class Metric:
    """One figure.

    Args:
        name: what it is, with its unit at the end: ``latency_us``, ``lut``.
        value: a finite number.
        unit: in print: ``µs``, ``frames/s``; empty for a count.
        evidence: how it is known.
        source: the tool, model or file that it is from.
        error: the known error of an estimate, in words; may be empty.
    """

    name: str
    value: float
    unit: str
    evidence: Evidence
    source: str
    error: str = ""

    def __post_init__(self) -> None:
        if not is_number(self.value):
            raise InternalError(f"metric {self.name!r} must be a finite number, not {self.value!r}")


@dataclass(frozen=True)
class LayerRow:
    """One layer of the design.

    Args:
        name: the layer's name in the design.
        op: what it computes.
        region: where it runs: ``fpga``, ``cpu``.
        folding: the parallelism chosen, by axis: ``{"pe": 4, "simd": 9}``.
        cycles: clock cycles for one frame; None where that is not known.
        resources: what it takes: ``lut``, ``ff``, ``dsp``, ``bram36``, ``uram``; estimated.
        sources: names of the nodes in the model that it comes from.
        synthesised: the same amounts as synthesis found them; empty before. The metrics of the
            same names tell by which tool.
    """

    name: str
    op: str
    region: str
    folding: dict[str, int]
    cycles: int | None
    resources: dict[str, float]
    sources: tuple[str, ...]
    synthesised: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class VerificationRow:
    """One comparison of two forms of the design.

    Args:
        level: the form that was checked: ``csim``.
        samples: how many samples were compared.
        mismatches: how many of them differ in at least one bit.
        against: the form it was compared with: ``reference``.
        seconds: how long it took.
    """

    level: str
    samples: int
    mismatches: int
    against: str
    seconds: float


@dataclass(frozen=True)
class FallbackRow:
    """One layer that the target does not run, and why."""

    layer: str
    op: str
    reason: str


@dataclass(frozen=True)
class Report:
    """All figures of one design; ``report.json`` holds it."""

    model: str
    target: str
    board: str
    metrics: tuple[Metric, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    verification: tuple[VerificationRow, ...] = ()
    fallbacks: tuple[FallbackRow, ...] = ()
    warnings: tuple[str, ...] = ()
    schema: int = SCHEMA

    def metric(self, name: str) -> Metric | None:
        """Return the metric of that name with the strongest evidence, or None."""
        found = [metric for metric in self.metrics if metric.name == name]
        strength = [*Evidence]
        return min(found, key=lambda metric: strength.index(metric.evidence), default=None)

    def with_metric(self, metric: Metric) -> Report:
        """Return this report with ``metric`` in it.

        It takes the place of the one of the same name and evidence; one of other evidence stays
        beside it, so that an estimate can be compared with what came true.
        """
        key = lambda row: (row.name, row.evidence)  # noqa: E731
        return replace(self, metrics=_put(self.metrics, metric, key))

    def without_metric(self, name: str, evidence: Evidence) -> Report:
        """Return this report without a metric that no longer belongs to what else it says."""
        kept = (m for m in self.metrics if (m.name, m.evidence) != (name, evidence))
        return replace(self, metrics=tuple(kept))

    def with_verification(self, row: VerificationRow) -> Report:
        """Return this report with ``row`` in the place of the one of the same level."""
        return replace(self, verification=_put(self.verification, row, lambda r: r.level))

    def with_rows(self, rows: Iterable[VerificationRow]) -> Report:
        """Return this report with every row in the place of the one of its level."""
        return reduce(Report.with_verification, rows, self)

    def with_metrics(self, metrics: Iterable[Metric]) -> Report:
        """Return this report with every metric in the place of the one of its name."""
        return reduce(Report.with_metric, metrics, self)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        for metric in values["metrics"]:
            metric["evidence"] = metric["evidence"].value
        return {"schema": values.pop("schema"), **values}

    def to_json(self) -> str:
        """Return the text of report.json."""
        return dump(self.as_dict())

    @classmethod
    def from_json(cls, text: str, where: str = "report.json") -> Report:
        """Read the text of report.json.

        Args:
            text: the file's text.
            where: the file's path, for messages.

        Raises:
            ArtifactError: a key is missing, unknown or ill-typed, or the schema is another.
        """
        document = parse(text, where, SCHEMA)
        report = cls(
            model=document.text("model"),
            target=document.text("target"),
            board=document.text("board"),
            metrics=document.rows("metrics", _read_metric),
            layers=document.rows("layers", _read_layer),
            verification=document.rows("verification", _read_verification),
            fallbacks=document.rows("fallbacks", _read_fallback),
            warnings=document.texts("warnings"),
        )
        document.finish()
        return report


def _put(rows: tuple[Any, ...], row: Any, key: Any) -> tuple[Any, ...]:
    if key(row) not in map(key, rows):
        return (*rows, row)
    return tuple(row if key(old) == key(row) else old for old in rows)


def _read_metric(row: Document) -> Metric:
    evidence = row.text("evidence")
    known = [item.value for item in Evidence]
    if evidence not in known:
        raise row.error("evidence", f"one of {', '.join(known)}", evidence)
    return Metric(
        name=row.text("name"),
        value=row.number("value"),
        unit=row.text("unit"),
        evidence=Evidence(evidence),
        source=row.text("source"),
        error=row.text("error"),
    )


def _read_layer(row: Document) -> LayerRow:
    return LayerRow(
        name=row.text("name"),
        op=row.text("op"),
        region=row.text("region"),
        folding=row.integer_table("folding"),
        cycles=row.integer_or_none("cycles"),
        resources=row.number_table("resources"),
        sources=row.texts("sources"),
        synthesised=row.number_table("synthesised"),
    )


def _read_verification(row: Document) -> VerificationRow:
    return VerificationRow(
        level=row.text("level"),
        samples=row.integer("samples"),
        mismatches=row.integer("mismatches"),
        against=row.text("against"),
        seconds=row.number("seconds"),
    )


def _read_fallback(row: Document) -> FallbackRow:
    return FallbackRow(layer=row.text("layer"), op=row.text("op"), reason=row.text("reason"))
