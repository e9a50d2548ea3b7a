"""What a detector returns: one trace's occurrence of one claim."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from halo_otel.model.finding import Role, Subject
from halo_otel.model.span import SpanId

EVERYTHING: Final = "*"  # the operation of a group that stands for all of an agent's work
ANY_AGENT: Final = "*"  # the agent of a group that stands for all agents of a service


class Grade(StrEnum):
    """How a fact is known: recorded as such, or inferred from what was recorded."""

    EXPLICIT = "explicit"
    INFERRED = "inferred"


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """Comparable operations; `target` is the tool or the model, `""` for all of them."""

    service: str
    agent: str
    operation: str  # a SpanKind, or "" for the agent as a whole
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One evidence span of a hit."""

    span_id: SpanId
    role: Role
    note: str
    time_ns: int
    resource_id: int


class SpanRow(Protocol):
    """A row of a detector's query that is about one span."""

    @property
    def span_id(self) -> str: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def resource_id(self) -> int: ...


def spot(row: SpanRow, role: Role, note: str) -> Spot:
    """The evidence span that `row` is about."""
    return spot_at(row.span_id, row.end_ns, row.resource_id, role, note)


def spot_at(
    span_id: str, end_ns: int | None, resource_id: int | None, role: Role, note: str
) -> Spot:
    """An evidence span that a row names beside its own; the time and resource of an outer join."""
    return Spot(
        span_id=SpanId(span_id),
        role=role,
        note=note,
        time_ns=end_ns or 0,
        resource_id=resource_id or 0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """The *extra* work only: what would not have been done without the fault."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """`detector`'s claim about `subject` in one trace.

    `exposure` is the group whose traces could have shown it. `scope` completes the identity.
    `calls` are the spans the claim explains, so that a stronger claim about the same spans can take
    its place. `strength` counts repetitions, `recovered` says that the run made it good later, `evident`
    that the trace shows the harm itself, so that no comparison of outcomes is needed to believe in it.
    `slots` fill the sentences of the finding.
    """

    detector: str
    category: str
    subject: Subject
    exposure: Group
    scope: tuple[str, ...] = ()
    trace: int
    spots: tuple[Spot, ...]
    calls: frozenset[int]
    grade: Grade
    waste: Waste = Waste()
    strength: int = 1
    recovered: bool = False
    evident: bool = False
    slots: Mapping[str, str] = field(default_factory=dict)
