"""What a failure in a trace comes from: edges between failed steps.

An edge is evidence, never mere order in time (detectors.md §1.5). From a failed step to a later one:

    passed_on   the later call is made with an id or the very error text that the failed one returned
    names       the later error names the failed tool, or says that an earlier step failed
    link        the later span links to the failed one
    needs       calls of the later tool take what the failed one returns in most runs where both work
    lacks       the later error says that what the failed tool is named after is not there
    empty       the later call is made with an empty value, and its error speaks of that, right after
                the failure
    follows     wherever the first fails the second fails too, and hardly ever else (Fisher's exact test)
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.frame import FAILURES, Frame
from halo_otel.analysis.usual.course import Fall, Step
from halo_otel.analysis.usual.profile import Profile

_NEEDS_SHARE: Final = 0.8
_NEEDS_RUNS_MIN: Final = 10
_FOLLOWS_TRACES_MIN: Final = 5
_FOLLOWS_RATE_MIN: Final = 0.6
_FOLLOWS_RATIO_MIN: Final = 4.0
_FOLLOWS_P_MAX: Final = 0.001
_PASSED_CHARS_MIN: Final = 12  # an error text shorter than that is a word
_STEPS_MAX: Final = 200  # failed steps of one trace that are compared with each other

_SAYS_EARLIER: Final = re.compile(
    r"(?i)\b(upstream|previous|earlier|preceding|prerequisite|prior|dependency|dependent|required)"
    r" (step|call|task|tool|stage|result|output|operation|agent|request|data)s?\b"
    r"[^.]{0,40}\b(fail|missing|unavailable|not available|error|empty|incomplete|absent|did not)"
)
# A value that stands for none: what a template or a model writes where a result should be.
_EMPTY_VALUES: Final = frozenset({"", "none", "null", "undefined", "nan"})
_SAYS_EMPTY: Final = re.compile(r"(?i)\b(none|null|undefined|nan|empty|blank|missing)\b")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_WORD_CHARS_MIN: Final = 4  # shorter parts of a tool's name are in every error
EDGES: Final[Mapping[str, str]] = {
    "passed_on": "is made with what the failed call returned",
    "names": "says so in its error",
    "lacks": "says that what it makes is not there",
    "empty": "is made with an empty value right after it",
    "link": "links to it",
    "needs": "takes what it returns in most good runs",
    "follows": "fails wherever it failed, and hardly ever else",
}

# Of what no call encloses, such as an agent that raised, only the deepest failure counts.
_FAILURES: Final = r"""
with recursive above as (
  select distinct p as s from frame_span where failed and p is not null
  union
  select span.p as s from frame_span span join above using (s) where span.p is not null),
failure as (
  select t, s, service, agent, tool, sig, start_ns, end_ns, turn_s from frame_call where failed
  union all
  select t, s, service, agent, '' as tool, null as sig, start_ns, end_ns, null as turn_s from frame_span
  where failed and tool is null and s not in (select s from above)),
several as (
  select t from failure group by t having count(distinct (agent, tool)) > 1 or count(distinct sig) > 2),
source as (
  select argument.s, list(distinct argument.src order by argument.src) as sources
  from frame_argument argument semi join failure using (s) where src is not null group by all)
select failure.t, failure.s, failure.service, failure.agent, failure.tool,
       coalesce(failure.sig, failure.s) as sig, failure.start_ns, failure.end_ns,
       coalesce(span.error_text, '') as text, halo_masked(halo_unwrapped(span.error_text)) as template,
       coalesce(text.arguments, text.input, '') as arguments, coalesce(source.sources, []) as sources,
       coalesce(regexp_extract_all(w.links, '"span_id":\s*"([0-9a-f]{16})"', 1), []) as links,
       span.span_id, span.resource_id, turn.span_id as turn_span_id, turn.end_ns as turn_end_ns,
       turn.resource_id as turn_resource,
       (select min(good.start_ns) from frame_call good where good.t = failure.t and not good.failed
          and good.agent = failure.agent and good.tool = failure.tool
          and good.start_ns >= failure.end_ns) as made_good_ns
from failure semi join several using (t) join frame_span span using (s)
join frame_trace trace on failure.t = trace.t
join spans w on w.trace_id = trace.trace_id and w.span_id = span.span_id
left join frame_text text on text.s = failure.s
left join source on source.s = failure.s
left join frame_span turn on failure.turn_s = turn.s
order by failure.t, failure.s
"""


class Failure(NamedTuple):
    """A failed step of a trace in which several fail."""

    t: int
    s: int
    service: str
    agent: str
    tool: str
    sig: int
    start_ns: int
    end_ns: int
    text: str
    template: str
    arguments: str
    sources: list[int]
    links: list[str]
    span_id: str
    resource_id: int
    turn_span_id: str | None
    turn_end_ns: int | None
    turn_resource: int | None
    made_good_ns: int | None

    @property
    def step(self) -> Step:
        """The tool of an agent that failed."""
        return Step(self.agent, self.tool)


class Edge(NamedTuple):
    """`src` failed and `dst` failed of it."""

    src: Failure
    dst: Failure
    kind: str  # of `EDGES`


def edges(frame: Frame, profile: Profile) -> Iterator[tuple[int, list[Edge]]]:
    """The edges of each trace that has any, in the order of the traces."""
    if FAILURES not in frame.holds:
        return
    rows = map(Failure._make, frame.con.execute(_FAILURES).fetchall())
    for t, failures in groupby(rows, key=lambda row: row.t):
        found = list(_edges(list(failures)[:_STEPS_MAX], profile))
        if found:
            yield t, found


def _edges(failures: Sequence[Failure], profile: Profile) -> Iterator[Edge]:
    """For each failed step the earlier failures it comes from; of equal steps the first stands for all."""
    first: dict[tuple[Step, int], Failure] = {}
    for failure in failures:
        first.setdefault((failure.step, failure.sig), failure)
    for dst in first.values():
        seen: set[Step] = set()
        for src in first.values():
            if src.step == dst.step or src.step in seen or src.end_ns > dst.start_ns:
                continue
            if src.made_good_ns is not None and src.made_good_ns <= dst.start_ns:
                continue
            kind = _kind(src, dst, profile, last=_is_last(src, dst, failures))
            if kind is not None:
                seen.add(src.step)
                yield Edge(src, dst, kind)


def _is_last(src: Failure, dst: Failure, failures: Sequence[Failure]) -> bool:
    """Whether no other step failed between the two."""
    return not any(
        src.end_ns <= one.start_ns and one.end_ns <= dst.start_ns
        for one in failures
        if one.step not in (src.step, dst.step)
    )


def _kind(src: Failure, dst: Failure, profile: Profile, *, last: bool) -> str | None:
    course = profile.usual
    text = src.text.strip()
    if src.s in dst.sources or (
        len(text) >= _PASSED_CHARS_MIN and text[:80] in _unescaped(dst.arguments)
    ):
        return "passed_on"
    if src.span_id in dst.links:
        return "link"
    if _names(src, dst):
        return "names"
    works = course.works.get((dst.service, dst.tool), 0)
    fed = course.feeds.get((dst.service, src.tool, dst.tool), 0)
    if works >= _NEEDS_RUNS_MIN and fed >= _NEEDS_SHARE * works:
        return "needs"
    if _lacks(src, dst):
        return "lacks"
    if last and _SAYS_EMPTY.search(dst.text) and _has_empty_value(dst.arguments):
        return "empty"
    return "follows" if src.template != dst.template and _follows(src, dst, profile) else None


def _unescaped(arguments: str) -> str:
    return arguments.replace('\\"', '"')


def _names(src: Failure, dst: Failure) -> bool:
    if src.text == dst.text:
        return False
    told = dst.text.casefold()
    for name in (src.tool, src.agent if src.agent != dst.agent else ""):
        distinct = len(name) >= 8 or "_" in name.strip("_")
        if distinct and re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", told):
            return True
    return bool(_SAYS_EARLIER.search(dst.text))


def _lacks(src: Failure, dst: Failure) -> bool:
    """Whether the later error misses a thing the failed tool is named after and its own tool is not."""
    things = _words(src.tool) - _words(dst.tool)
    told = dst.text.casefold()
    return any(
        re.search(
            rf"\b(no|without|missing|lacks|needs|requires) (an? |the |any )?{thing}\b"
            rf"|\b{thing} (\w+ )?(is |was |does |has )?(missing|not (found|exist|ready|available|started|created)|required)",
            told,
        )
        for thing in sorted(things)
    )


def _words(name: str) -> set[str]:
    words = {word.casefold() for word in _WORD.findall(name)}
    return {word for word in words if len(word) >= _WORD_CHARS_MIN}


def _has_empty_value(arguments: str) -> bool:
    try:
        given = json.loads(arguments)
    except ValueError:
        return False
    values = given.values() if isinstance(given, dict) else ()
    return any(
        value is None or (isinstance(value, str) and value.strip().casefold() in _EMPTY_VALUES)
        for value in values
    )


def _follows(src: Failure, dst: Failure, profile: Profile) -> bool:
    course = profile.usual
    fall = course.falls.get(Fall(src.service, src.step, dst.step))
    unit = course.units.get((dst.service, dst.step))
    if fall is None or unit is None or fall.failed < _FOLLOWS_TRACES_MIN:
        return False
    others, others_failed = unit.traces - fall.traces, unit.failed - fall.failed
    rate = fall.failed / fall.traces
    if others < _FOLLOWS_TRACES_MIN or rate < _FOLLOWS_RATE_MIN:
        return False
    if rate < _FOLLOWS_RATIO_MIN * others_failed / others:
        return False
    return fisher(fall.failed, fall.traces, unit.failed, unit.traces) <= _FOLLOWS_P_MAX


def fisher(hits: int, drawn: int, marked: int, total: int) -> float:
    """One-sided p of at least `hits` marked among `drawn` of `total` of which `marked` are (Fisher 1935)."""

    def log_choose(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    whole = log_choose(total, drawn)
    return min(
        1.0,
        sum(
            math.exp(log_choose(marked, k) + log_choose(total - marked, drawn - k) - whole)
            for k in range(max(hits, drawn - (total - marked)), min(drawn, marked) + 1)
        ),
    )
