"""What is known about one trace after the map side of an analysis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from halo_otel.analysis.claims.hit import Group, Hit
from halo_otel.model.span import SpanId, TraceId


class Asked(NamedTuple):
    """The user's first words in a trace, and how they speak of what was before."""

    text: str  # its beginning
    complains: bool
    thanks: bool


class Link(NamedTuple):
    """Hit `cause` of a trace explains its hit `symptom`; `edge` is the evidence (`causes`)."""

    cause: int  # place in `Judgement.hits`
    symptom: int
    edge: str


class Origin(NamedTuple):
    """A trace's first span, and what was given before it began (`origins.NAMES`)."""

    span_id: SpanId
    end_ns: int
    resource_id: int
    attributes: tuple[tuple[str, str], ...]


class Work(NamedTuple):
    """What a trace did in one group."""

    group: Group
    calls: int
    ns: int
    repeats: int  # calls that ask and are answered like an earlier one
    path_ns: int  # of it on the critical path, without what agents asked for do (`frame.path`)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One trace, judged. `failed` is None where only weak evidence speaks.

    How it ended is first judged by its own telemetry alone; `outcome.settle` takes all traces into account.
    """

    trace_id: TraceId
    last_arrival_ns: int
    start_ns: int
    end_ns: int
    origin: Origin
    service: str
    agent: str
    session: str | None
    failed: bool | None
    p_failed: float | None  # None where nothing speaks for either
    basis: tuple[str, ...]  # the votes that decided, strongest first (`outcome.LABELS`)
    votes: tuple[str, ...]
    asked: Asked | None  # of traces that belong to a session
    spans: int
    tokens: int
    cost: float
    calls: int
    calls_captured: int  # calls whose arguments and answer are known
    turns: int
    turns_captured: int  # model turns of whose words anything is known
    gaps: Mapping[
        str, int
    ]  # calls that are not captured, by why: absent, redacted, truncated, empty
    work: tuple[Work, ...]
    hits: tuple[Hit, ...]
    links: tuple[Link, ...] = ()
