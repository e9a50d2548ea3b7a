"""Hits of one identity gathered over all judged traces, with what they are measured against."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from halo_otel.analysis.claims.hit import Hit
from halo_otel.model.finding import Impact, Severity

REPEATS_KEPT: Final = 2  # repeats beyond two are counted as two


@dataclass(slots=True)
class Exposure:
    """The traces in which a pattern could have shown, and the work they did there."""

    outcomes: Counter[tuple[bool | None, int]] = field(default_factory=Counter)
    calls: int = 0
    ns: int = 0

    def traces(self, *failed: bool | None, repeats_min: int = 0) -> int:
        """Traces with one of these outcomes in which at least so many calls repeat an earlier one;
        `repeats_min` is at most `REPEATS_KEPT`."""
        return sum(
            n for (f, repeats), n in self.outcomes.items() if f in failed and repeats >= repeats_min
        )


@dataclass(slots=True, kw_only=True)
class Pattern:
    """All hits with one fingerprint, by trace in the order of the trace ids."""

    fingerprint: str
    scope: tuple[str, ...]  # of an error: operation, type, text of its class
    hits: dict[int, list[Hit]] = field(default_factory=dict)  # place of the judgement -> its hits
    exposure: Exposure = field(default_factory=Exposure)
    agent_work: Exposure = field(default_factory=Exposure)

    @property
    def first(self) -> Hit:
        """The hit that stands for all: they share everything that names the claim."""
        return next(iter(self.hits.values()))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A pattern that is a finding."""

    pattern: Pattern
    rate: float
    ci: tuple[float, float]
    confidence: float
    severity: Severity
    impact: Impact
    systemic: bool
    harmful: bool  # the traces it is in fail more often than the others
    recovered_share: float  # of the hits in `pattern`
    made_good: int  # traces that met it too and are left out, since they made it good
