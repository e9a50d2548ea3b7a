"""What a model may claim: one schema, and what becomes of a claim that is checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from halo_otel.analysis.causality.inference import Estimate
from halo_otel.codebase.tree import PATH_CHARS_MAX
from halo_otel.model.finding import Severity
from halo_otel.recursion.environment.arguments import SpanId, Strict, TraceId, schema
from halo_otel.recursion.environment.registry import complaints
from halo_otel.recursion.environment.tools.span import TextField
from halo_otel.window.admission import SQL_CHARS_MAX

PREDICATES_MAX, SPANS_MAX, QUOTES_MAX = 4, 20, 20
CITATIONS_MAX: Final = 10
STATEMENT_CHARS_MAX: Final = 800
QUOTE_CHARS_MIN, QUOTE_CHARS_MAX = 6, 1_000


class About(Strict):
    """Who the claim is about; null where it does not matter."""

    service: str | None = Field(None, max_length=500)
    agent: str | None = Field(None, max_length=500)
    tool: str | None = Field(None, max_length=500)
    model: str | None = Field(None, max_length=500)


class Asked(Strict):
    """One SELECT over the tables of the query tool."""

    sql: str = Field(max_length=SQL_CHARS_MAX)
    parameters: tuple[str | int | float | bool | None, ...] = Field(
        (), max_length=20, description="for $1, $2, … in the SQL"
    )


class Predicate(Asked):
    """A query that gives one value, and what that value is. It must not hold of an empty window: count what
    there is instead of what there is not."""

    comparison: Literal["=", ">=", "<=", ">", "<"] = Field(
        description="value ⟨comparison⟩ expected"
    )
    expected: int | float | str


class Contrast(Asked):
    """A query for the trace_id of every trace that shows what is claimed. It must be commoner in failed
    traces than in passed ones."""


class Cited(Strict):
    """A span that shows it."""

    trace_id: TraceId
    span_id: SpanId


class Quote(Cited):
    """What a text of a span says, to the letter."""

    field: TextField | Literal["name"]
    text: str = Field(min_length=1, max_length=QUOTE_CHARS_MAX)


class Edge(Strict):
    """How a cause reaches its effect; the path tool shows what there is."""

    trace_id: TraceId
    kind: Literal["emission", "data", "parent"]
    from_span: SpanId
    to_span: SpanId


class CodeCitation(Strict):
    """A line of the agents' source code: what it says, or a part of it, to the letter."""

    path: str = Field(min_length=1, max_length=PATH_CHARS_MAX)
    line: int = Field(ge=1)
    text: str = Field(min_length=1, max_length=QUOTE_CHARS_MAX)


class Claim(Strict):
    """One claim about the window, with all that is needed to check it."""

    subject: About
    statement: str = Field(
        min_length=10,
        max_length=STATEMENT_CHARS_MAX,
        description="what is the case, for people. Every number is one of the predicates' or the window's;"
        " name the first predicate's value if you name any. Quotation marks only around quotes.",
    )
    predicates: tuple[Predicate, ...] = Field(
        min_length=1, max_length=PREDICATES_MAX, description="1 to 4, the main one first"
    )
    spans: tuple[Cited, ...] = Field(
        min_length=1,
        max_length=SPANS_MAX,
        description="1 to 20, each with a quote of it below or an end of the edge",
    )
    quotes: tuple[Quote, ...] = Field(max_length=QUOTES_MAX)
    contrast: Contrast | None = Field(description="null if failed and passed traces both show it")
    causal: bool = Field(description="whether it says that one thing comes from another")
    edge: Edge | None = Field(description="needed if causal, between two cited spans")
    severity: Severity
    recommendation: str = Field(
        max_length=STATEMENT_CHARS_MAX, description="what to change, concretely"
    )
    code: tuple[CodeCitation, ...] = Field(
        (),
        max_length=CITATIONS_MAX,
        description="lines of code that it is about; a sentence may name them as path:line",
    )


class Reason(StrEnum):
    """Why a claim was dropped."""

    MALFORMED = "malformed"
    SUBJECT_UNKNOWN = "subject_unknown"
    SPAN_UNKNOWN = "span_unknown"
    SPAN_UNSUPPORTED = "span_unsupported"
    QUOTE_NOT_FOUND = "quote_not_found"
    QUOTE_TOO_SHORT = "quote_too_short"
    CODE_NOT_FOUND = "code_not_found"
    PREDICATE_REFUSED = "predicate_refused"
    PREDICATE_NO_VALUE = "predicate_no_value"
    PREDICATE_FALSE = "predicate_false"
    PREDICATE_VACUOUS = "predicate_vacuous"
    CONTRAST_REFUSED = "contrast_refused"
    CONTRAST_ABSENT = "contrast_absent"
    FIGURE_UNVERIFIED = "figure_unverified"
    NAME_UNVERIFIED = "name_unverified"
    ADDRESS = "address"  # no finding sends people somewhere
    CAUSE_WITHOUT_EDGE = "cause_without_edge"
    EDGE_UNKNOWN = "edge_unknown"
    REFUTED = "refuted"  # by a second look at the evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A claim that does not ship. `why` tells the model how to correct it and may hold what a trace says, so
    it belongs into the fence; `claim` is None if it could not be read. `cluster` is what was talked about."""

    reason: Reason
    why: str
    claim: Claim | None = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasted:
    """In how many failed and passed traces of the subject it shows, of how many; `ratio` of the rates."""

    failed_shown: int
    failed: int
    passed_shown: int
    passed: int
    ratio: Estimate

    @property
    def matters(self) -> bool:
        """Whether luck does not explain it; else it is a hypothesis, not shown to matter (detectors.md
        §1.11)."""
        return self.ratio.low > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A claim that holds. `values` are those of its predicates, `traces` those that show it: what the
    contrast's query gives, without one the cited ones."""

    claim: Claim
    values: tuple[int | float | str, ...]
    contrast: Contrasted | None
    traces: tuple[str, ...]


def claim_schema(*, with_code: bool = False) -> dict[str, Any]:
    """JSON schema of a claim, strict; it may cite code only where there is some."""
    strict = schema(Claim)
    if not with_code:
        del strict["properties"]["code"]
        strict["required"].remove("code")
    return strict


def read(written: str | Mapping[str, object]) -> Claim | Dropped:
    """The claim that a model wrote."""
    try:
        if isinstance(written, str):
            return Claim.model_validate_json(written)
        return Claim.model_validate_json(json.dumps(written, allow_nan=False))
    except ValidationError as error:
        return Dropped(reason=Reason.MALFORMED, why=complaints(error))
    except (TypeError, ValueError, RecursionError) as error:
        return Dropped(reason=Reason.MALFORMED, why=str(error)[:200])
