"""Symptoms are told with their cause: which claim explains which others, and what that makes of findings.

In a trace a hit is a symptom of another when its calls fail of what that one says about the same calls,
or when an edge between failures (`causes`) leads to it. A finding that is a symptom of one other in most
of its traces is no finding of its own: it stands in the summary of its cause (detectors.md §1.10).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from halo_otel.analysis.causality import causes
from halo_otel.analysis.claims.hit import Hit
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.judgement import Judgement, Link
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Severity

SAME: Final = "same"  # the edge between two claims about one call

# What a claim about calls says of other claims about the same calls: these fail *because* of it.
_EXPLAINS: Final[Mapping[str, frozenset[str]]] = {
    "unknown_tool": frozenset({"error", "retry_storm", "loop"}),
    "invalid_arguments": frozenset({"error", "retry_storm", "loop"}),
    "ungrounded_argument": frozenset({"error"}),
    "malformed_output": frozenset({"error"}),
    "truncation": frozenset({"malformed_output", "error"}),
    "context_growth": frozenset({"error", "truncation"}),
    "step_limit": frozenset({"error"}),
    "cascade": frozenset({"error"}),
    "swallowed_error": frozenset({"error"}),
    "skipped_step": frozenset({"error"}),
}
_SAME_MIN: Final = 0.5  # share of a symptom's calls that the cause is about
_MOST: Final = 2 / 3  # share of a symptom's traces that the cause explains

# The failed spans inside a failed call are that call to whoever made it.
_ENCLOSING: Final = """
select inner_span.s, call.s from frame_call call join frame_span inner_span using (t)
where call.failed and inner_span.failed and inner_span.s > call.s and inner_span.tool = call.tool
  and inner_span.start_ns <= call.end_ns
order by all
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """A finding that another one explains in so many of its traces, and by which edge mostly."""

    assessment: Assessment
    traces: int
    edge: str


def links(
    frame: Frame, profile: Profile, hits: Mapping[int, Sequence[Hit]]
) -> dict[int, tuple[Link, ...]]:
    """By trace, which of its hits explain which others of them."""
    several = {t: of_trace for t, of_trace in hits.items() if len(of_trace) > 1}
    if not several:
        return {}
    enclosing: dict[int, int] = dict(frame.con.execute(_ENCLOSING).fetchall())
    calls = {
        t: [frozenset(enclosing.get(s, s) for s in hit.calls) for hit in of_trace]
        for t, of_trace in several.items()
    }
    found: dict[int, set[Link]] = defaultdict(set)
    for t, of_trace in several.items():
        found[t].update(_same_calls(of_trace, calls[t]))
    for t, known in causes.edges(frame, profile):
        if t in several:
            found[t].update(_along(known, several[t], calls[t]))
    return {t: tuple(sorted(of_t)) for t, of_t in found.items() if of_t}


def _same_calls(hits: Sequence[Hit], calls: Sequence[frozenset[int]]) -> Iterator[Link]:
    for i, cause in enumerate(hits):
        explained = _EXPLAINS.get(cause.category, frozenset())
        for j, symptom in enumerate(hits):
            if i == j or symptom.category not in explained or not calls[j]:
                continue
            if len(calls[j] & calls[i]) >= _SAME_MIN * len(calls[j]):
                yield Link(i, j, SAME)


def _along(
    known: Sequence[causes.Edge], hits: Sequence[Hit], calls: Sequence[frozenset[int]]
) -> Iterator[Link]:
    errors = [place for place, hit in enumerate(hits) if hit.category == "error"]
    for src, dst, kind in known:
        for i in errors:
            for j in errors:
                if i != j and src.s in calls[i] and dst.s in calls[j]:
                    yield Link(i, j, kind)


def fold(
    assessments: Sequence[Assessment], judgements: Sequence[Judgement]
) -> tuple[list[Assessment], dict[str, list[Symptom]]]:
    """The assessments that are no symptoms, in their order, and the symptoms by the cause's fingerprint."""
    explained = _explained(assessments, judgements)
    cause_of: dict[int, tuple[int, int, str]] = {}
    for symptom in range(len(assessments)):
        candidates = [
            (n, _ochiai(assessments[cause], judgements), -cause, edge)
            for (cause, of), edges in sorted(explained.items())
            if of == symptom
            for n, edge in [_strongest(edges)]
            if n >= _MOST * len(assessments[symptom].pattern.hits)
            and _may_stand_for(assessments[cause], assessments[symptom])
        ]
        for n, _, minus, edge in sorted(candidates, reverse=True):
            if _top(-minus, cause_of) != symptom:
                cause_of[symptom] = (-minus, n, edge)
                break
    symptoms: dict[str, list[Symptom]] = defaultdict(list)
    for symptom, (cause, n, edge) in sorted(cause_of.items()):
        top = assessments[_top(cause, cause_of)]
        symptoms[top.pattern.fingerprint].append(
            Symptom(assessment=assessments[symptom], traces=n, edge=edge)
        )
    kept = [one for place, one in enumerate(assessments) if place not in cause_of]
    return kept, dict(symptoms)


def _explained(
    assessments: Sequence[Assessment], judgements: Sequence[Judgement]
) -> dict[tuple[int, int], dict[str, set[int]]]:
    """By (cause, symptom) the traces in which an edge leads from one to the other."""
    assessed = {
        (place, id(hit)): index
        for index, one in enumerate(assessments)
        for place, hits in one.pattern.hits.items()
        for hit in hits
    }
    found: dict[tuple[int, int], dict[str, set[int]]] = {}
    for place, judgement in enumerate(judgements):
        for link in judgement.links:
            cause = assessed.get((place, id(judgement.hits[link.cause])))
            symptom = assessed.get((place, id(judgement.hits[link.symptom])))
            if cause is not None and symptom is not None and cause != symptom:
                edges = found.setdefault((cause, symptom), defaultdict(set))
                edges[link.edge].add(place)
    return found


def _strongest(edges: Mapping[str, set[int]]) -> tuple[int, str]:
    """In how many traces any edge leads there, and the edge that does so most often."""
    counts = Counter({edge: len(places) for edge, places in edges.items()})
    edge = min(counts, key=lambda name: (-counts[name], name))
    return len(set().union(*edges.values())), edge


def _may_stand_for(cause: Assessment, symptom: Assessment) -> bool:
    """A warning is not hidden behind a mere information."""
    return cause.severity is not Severity.INFO or symptom.severity is Severity.INFO


def _top(place: int, cause_of: Mapping[int, tuple[int, int, str]]) -> int:
    while place in cause_of:
        place = cause_of[place][0]
    return place


def _ochiai(assessment: Assessment, judgements: Sequence[Judgement]) -> float:
    """How well a claim tells failed runs from others (Ochiai, as spectrum-based fault localisation uses
    it: Abreu et al. 2007; for agents FAMAS, arXiv 2509.13782)."""
    shown = assessment.pattern.hits
    failed = sum(judgement.failed is True for judgement in judgements)
    both = sum(judgements[place].failed is True for place in shown)
    return both / math.sqrt(failed * len(shown)) if failed and shown else 0.0
