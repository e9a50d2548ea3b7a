"""Error signatures: one identity per kind of error, across traces, windows and deploys.

detectors.md §1.1: blame the deepest failed span of an ancestor chain, since most exceptions are
recorded again by every ancestor; prefer `exception.type`; unwrap; mask. The masked templates of all
traces meet in `halo_otel.analysis.templates`.
"""

import re
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis import wording
from halo_otel.analysis.detector import Detector, Isolated, Nature
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.hit import Grade, Group, Hit, Spot, Waste
from halo_otel.analysis.pattern import Assessment
from halo_otel.analysis.profile import Profile
from halo_otel.model.finding import Role, Subject
from halo_otel.model.span import SpanId

_ERRORS_SHOWN: Final = 2  # error spans of one kind shown per trace; the rest says the same
_RAISED: Final = re.compile(r"(?:[A-Za-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Timeout|Warning))\s*:")

# `above` are all ancestors of failed spans: a failed span among them repeats what failed below it.
# A failure is made good by a later success of the same tool (or model turn) of the same agent.
_ROOT_ERRORS: Final = """
with recursive above as (
  select distinct p as s from frame_span where failed and p is not null
  union
  select span.p as s from frame_span span join above using (s) where span.p is not null),
root as (
  select *, coalesce(tool, '') as target from frame_span
  where failed and s not in (select s from above)),
success as (
  select t, agent, tool as target, max(start_ns) as start_ns
  from frame_call where not failed group by all
  union all
  select t, agent, '' as target, max(start_ns) as start_ns
  from frame_turn where not failed group by all)
select root.t, root.service, root.agent, root.kind, root.target,
       coalesce(root.error_type, '') as error_type,
       halo_masked(halo_unwrapped(root.error_text)) as template, root.error_source as source,
       root.s, root.span_id, root.end_ns, root.resource_id, root.end_ns - root.start_ns as ns,
       coalesce(success.start_ns >= root.end_ns, false) as recovered,
       coalesce(call.tokens, root.tokens, 0) as tokens,
       coalesce(call.cost, root.cost, 0.0) as cost, left(root.error_text, 160) as text,
       turn.span_id as turn_span_id, turn.end_ns as turn_end_ns, turn.resource_id as turn_resource
from root
left join success on root.t = success.t and root.agent = success.agent
  and root.target = success.target
left join frame_call call on root.s = call.s
left join frame_span turn on call.turn_s = turn.s
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


def _hit(errors: list[_RootError]) -> Hit:
    first = errors[0]
    operation = "tool" if first.target else first.kind
    spots: list[Spot] = []
    for error in errors[:_ERRORS_SHOWN]:
        spots.append(
            Spot(
                span_id=SpanId(error.span_id),
                role=Role.CAUSE,
                note=error.text or error.error_type or "failed",
                time_ns=error.end_ns,
                resource_id=error.resource_id,
            )
        )
    if first.turn_span_id is not None:
        spots.append(
            Spot(
                span_id=SpanId(first.turn_span_id),
                role=Role.SYMPTOM,
                note="the model turn that asked for the failed call",
                time_ns=first.turn_end_ns or 0,
                resource_id=first.turn_resource or 0,
            )
        )
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
        slots={"operation": operation, "text": first.text},
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
        why="the deepest span of its branch that failed",
        recommendation=f"Look at {what} at the cited spans: the same error comes back run after run, so "
        "retrying will not cure it. Fix the cause, or tell the agent how to avoid the call.",
    )


_OPERATIONS: Final = {"llm": "the model call", "agent": "the run", "other": "an operation"}

ERROR_SIGNATURE: Final = Detector(
    name="error_signature",
    category="error",
    find=error_signature,
    tell=_tell,
    prior=0.96,
    nature=Nature.FAULT,
    isolated=Isolated.ANY,
    fails=True,
)
