"""Error signatures: one identity per kind of error, across traces, windows and deploys.

detectors.md §1.1: blame the deepest failed span of an ancestor chain, since most exceptions are
recorded again by every ancestor; prefer `exception.type`; unwrap; mask. The masked templates of all
traces meet in `halo_otel.analysis.claims.templates`.
"""

import re
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Spot, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import FAILURES, Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_ERRORS_SHOWN: Final = 2  # error spans of one kind shown per trace; the rest says the same
_RAISED: Final = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Timeout|Warning))\s*:")

_MACHINERY: Final = re.compile(
    r"(?i)time[d]?[ -]?out|connection|unavailable|refused|\breset\b|network|rate.?limit|quota|throttl|\b429\b"
    r"|\b50[0-9]\b|internal( server)? error|overloaded|temporar|\bdns\b|unreachable|deadline|econn|socket"
    r"|certificate has|\bssl\b|\btls\b|permission|forbidden|unauthori[sz]ed|\b40[13]\b|out of memory|disk"
)
_REQUEST: Final = re.compile(
    r"(?i)\b(invalid|unexpected|unknown|unrecogni[sz]ed|malformed|validation|schema|argument|parameter|syntax"
    r"|missing (required|field|key)|bad request|no such|unsupported|4(00|04|22)|\w*(validation|type|key|value|syntax)error"
    r"|(is|are) required|must (be|have|not)|(not|n't|n’t) (exist|found|allowed|valid|supported))\b"
)

# `above` are all ancestors of failed spans: a failed span among them repeats what failed below it.
# A call that nobody's turn in sight asked for, such as a group chat's code runner's, answers the last turn.
_ROOT_ERRORS: Final = """
with recursive above as (
  select distinct p as s from frame_span where failed and p is not null
  union
  select span.p as s from frame_span span join above using (s) where span.p is not null),
root as (
  select *, coalesce(tool, '') as target from frame_span
  where failed and s not in (select s from above)),
spoken as (
  select root.s, turn.s as turn_s
  from root asof join frame_turn turn on root.t = turn.t and root.start_ns >= turn.end_ns
  where root.kind = 'tool')
select root.t, root.service, root.agent, root.kind, root.target,
       coalesce(root.error_type, '') as error_type,
       halo_masked(halo_unwrapped(root.error_text)) as template, root.error_source as source,
       root.s, root.span_id, root.end_ns, root.resource_id, root.end_ns - root.start_ns as ns,
       root.s in (select s from frame_mended) as recovered,
       coalesce(call.tokens, root.tokens, 0) as tokens,
       coalesce(call.cost, root.cost, 0.0) as cost, left(root.error_text, 160) as text,
       turn.span_id as turn_span_id, turn.end_ns as turn_end_ns, turn.resource_id as turn_resource,
       coalesce(call.effect = 'opaque', false) as runs_code
from root
left join frame_call call on root.s = call.s
left join spoken on root.s = spoken.s
left join frame_span turn on coalesce(call.turn_s, spoken.turn_s) = turn.s
order by all
"""


class _RootError(NamedTuple):
    t: int
    service: str
    agent: str
    kind: str
    target: str
    error_type: str
    template: str
    source: str
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    ns: int
    recovered: bool
    tokens: int
    cost: float
    text: str
    turn_span_id: str | None
    turn_end_ns: int | None
    turn_resource: int | None
    runs_code: bool


def error_signature(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, operation and masked error text."""
    rows = map(_RootError._make, frame.con.execute(_ROOT_ERRORS).fetchall())
    return [_hit(list(same)) for _, same in groupby(rows, key=lambda row: row[:7])]


def _error_type(error: _RootError) -> str:
    """The recorded type, or the one the unwrapped text begins with; without its module."""
    if error.error_type:
        return error.error_type.rsplit(".", 1)[-1]
    raised = _RAISED.match(error.template)
    return raised[1] if raised else ""


def _is_request_at_fault(error: _RootError) -> bool:
    """Whether the call failed of what it was asked, so that the turn that asked is to blame.

    So it is when the error speaks of the request and not of the machinery, when the tool answered in
    words that it will not do it, and when the tool runs what the model wrote (detectors.md §1.5: blame
    moved to the emitter found three times as many causes in TRAIL).
    """
    if error.turn_span_id is None or not error.target or _MACHINERY.search(error.text):
        return False
    told = error.source == "tool_result" or error.runs_code
    return told or _REQUEST.search(f"{error.error_type} {error.text}") is not None


def _hit(errors: list[_RootError]) -> Hit:
    first = errors[0]
    operation = "tool" if first.target else first.kind
    asked_wrong = _is_request_at_fault(first)
    spots: list[Spot] = []
    for error in errors[:_ERRORS_SHOWN]:
        spots.append(
            spot(
                error,
                Role.SYMPTOM if asked_wrong else Role.CAUSE,
                error.text or error.error_type or "failed",
            )
        )
    if first.turn_span_id is not None:
        turn = spot_at(
            first.turn_span_id,
            first.turn_end_ns,
            first.turn_resource,
            Role.CAUSE if asked_wrong else Role.SYMPTOM,
            "the model turn that asked for the failed call",
        )
        spots.insert(0 if asked_wrong else len(spots), turn)
    return Hit(
        detector="error_signature",
        category="error",
        subject=Subject(service=first.service, agent=first.agent, tool=first.target or None),
        exposure=Group(first.service, first.agent, operation, first.target),
        scope=(operation, _error_type(first), first.template),
        trace=first.t,
        spots=tuple(spots),
        calls=frozenset(error.s for error in errors),
        grade=Grade.INFERRED if first.source == "tool_result" else Grade.EXPLICIT,
        # One attempt is what the error itself costs; the others are a loop's or a storm's.
        waste=Waste(calls=1, tokens=first.tokens, cost=first.cost, ns=first.ns),
        strength=len(errors),
        recovered=errors[-1].recovered,
        slots={"blame": "turn" if asked_wrong else "call"},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    operation, kind, template = assessment.pattern.scope
    says = (
        wording.plain(template.replace("«", "").replace("»", ""))
        or wording.plain(kind)
        or "an error without a message"
    )
    if kind and kind not in says:
        says = f"{wording.plain(kind, wording.NAME_CHARS_MAX)}: {says}"
    what = (
        f"tool {wording.quoted(hit.subject.tool)}"
        if hit.subject.tool
        else _OPERATIONS.get(operation, operation)
    )
    recovered = assessment.recovered_share
    after = (
        "No later attempt succeeds."
        if recovered == 0
        else f"In {recovered:.0%} of them a later attempt succeeds."
    )
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)}: {what} fails with “{says}”",
        summary=f"{wording.rate(assessment)}. {after}{wording.harm(assessment)}",
        why="the model turn that asked for the call, which failed of what it was asked"
        if hit.slots["blame"] == "turn"
        else "the deepest span of its branch that failed",
        recommendation=f"Look at {what} at the cited spans: the same error comes back run after run, so "
        "retrying will not cure it. Fix the cause, or tell the agent how to avoid the call.",
    )


_OPERATIONS: Final = {"llm": "the model call", "agent": "the run", "other": "an operation"}

ERROR_SIGNATURE: Final = Detector(
    name="error_signature",
    category="error",
    find=error_signature,
    needs=FAILURES,
    tell=_tell,
    prior=0.96,
    nature=Nature.FAULT,
    isolated=Isolated.ANY,
    fails=True,
)
