"""Swallowed errors: something inside a step fails, the step says it worked, and the run goes wrong.

detectors.md §2.3 no. 21: a failed span below a call that reports success, with nothing after it inside the
call that makes it good; told where runs with it surely fail more often, or where the call then answers
that there is nothing, as if it had looked. A call's own error that its model sees is none: an agent may
react to it.
"""

import json
import re
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import FAILURES, Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

RISK_LOW_MIN: Final = 1.2  # lower bound of the risk ratio (detectors.md §1.2)
_RESULT_CHARS_MAX: Final = 2_000  # an answer that says "nothing" is short

# Where the inner operation says that the thing does not exist, "nothing found" is the truth.
_SAYS_ABSENT: Final = re.compile(
    r"(?i)\b404\b|not[ _]?found|no such|(does|did) ?(not|n't) exist|no (rows?|results?|match)|cache miss|unknown"
)
_NOTHING: Final = re.compile(
    r"(?i)\W*(no|nothing|0)( \w+)? ?(results?|match(es)?|rows|items|hits|records?|entries|found)( found)?\W*"
)
_MEMBER: Final = re.compile(
    r"\s*([-*] )?[*_`]{0,2}(?P<name>[^\W\d]\w*)[*_`]{0,2}:[*_`]{0,2}\s*(?P<value>.*?)\s*"
)
_STATUS: Final = frozenset(
    {"", "0", "1", "true", "false", "ok", "success", "succeeded", "done", "completed"}
)

# `near` are the spans of runs in which anything fails. `inside` is the way up from failed spans to the first call around them; a failed span on the way has said
# so to what is above it, and what an agent meets it may answer. A call that two layers record is one call.
# A fallback is what begins after the failure inside the same call and works, of the same kind if that is
# known: a database's answer does not make good a refused payment.
_SWALLOWED: Final = """
with recursive near as materialized (
  select s, p, t, kind, own_tool, tool, name, start_ns, end_ns, span_id, resource_id, failed, error_text, error_type
  from frame_span where t in (select t from frame_span where failed)),
inside as (
  select child.s as inner_s, child.own_tool as inner_tool, parent.s, parent.p,
         parent.kind in ('tool', 'retriever') as is_call
  from near child join near parent on child.p = parent.s
  where child.failed and not parent.failed and parent.kind not in ('agent', 'llm')
  union all
  select inner_s, inner_tool, parent.s, parent.p, parent.kind in ('tool', 'retriever') as is_call
  from inside join near parent on inside.p = parent.s
  where not is_call and not parent.failed and parent.kind not in ('agent', 'llm')),
caught as (
  select call.t, call.s as call_s, call.service, call.agent, call.tool, span.s, span.span_id, span.name,
         span.kind, span.end_ns, span.resource_id, left(span.error_text, 160) as text,
         host.span_id as call_span_id, host.end_ns as call_end_ns, host.resource_id as call_resource,
         coalesce(span.error_type, '') as error_type, left(said.result, $result_chars) as result
  from inside join frame_call call on inside.s = call.s
  join near span on span.s = inside.inner_s join near host on host.s = call.s
  left join frame_text said on said.s = call.s
  where is_call and not call.failed and inner_tool is distinct from call.tool),
fallback as (
  select distinct caught.s from caught join near other
    on other.t = caught.t and other.start_ns >= caught.end_ns and other.end_ns <= caught.call_end_ns
  where not other.failed and other.tool = caught.tool and other.s > caught.call_s and other.kind = caught.kind
    and (other.kind <> 'other' or split_part(other.name, ' ', 1) = split_part(caught.name, ' ', 1)))
select * from caught where s not in (select s from fallback) order by t, service, agent, tool, name, s
"""


class _Caught(NamedTuple):
    t: int
    call_s: int
    service: str
    agent: str
    tool: str
    s: int
    span_id: str
    name: str
    kind: str
    end_ns: int
    resource_id: int
    text: str
    call_span_id: str
    call_end_ns: int
    call_resource: int
    error_type: str
    result: str | None


def swallowed_error(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and tool that hides a failure."""
    rows = map(_Caught._make, _fetched(frame))
    by_tool = groupby(rows, key=lambda row: (row.t, row.service, row.agent, row.tool))
    return [_hit(list(same)) for _, same in by_tool]


def _fetched(frame: Frame) -> list[tuple[object, ...]]:
    return frame.con.execute(_SWALLOWED, {"result_chars": _RESULT_CHARS_MAX}).fetchall()


def _is_hollow(caught: _Caught) -> bool:
    """Whether the call answers that there is nothing although it could not look."""
    if caught.result is None or _SAYS_ABSENT.search(f"{caught.error_type} {caught.text}"):
        return False
    told = _read(caught.result)
    if isinstance(told, dict):
        members = list(told.values())
        return any(one in (None, "", [], {}) for one in members) and not any(map(_says, members))
    return told == [] or (isinstance(told, str) and _NOTHING.fullmatch(told) is not None)


def _read(result: str) -> object:
    """The value in an answer: JSON, also as the one text block of a message, or lines `name: value`, also as a
    list in Markdown."""
    try:
        told = json.loads(result)
    except ValueError:
        lines = [_MEMBER.fullmatch(line) for line in result.strip().splitlines()]
        members = {line["name"]: line["value"] for line in lines if line}
        return members if members and all(lines) else result
    if isinstance(told, list) and len(told) == 1 and isinstance(told[0], dict):
        text = told[0].get("text")
        return _read(text) if isinstance(text, str) else told
    return told


def _says(member: object) -> bool:
    """Whether a member of an answer is content: flags, page numbers and "ok" are none."""
    if isinstance(member, str):
        return member.strip().casefold() not in _STATUS
    if isinstance(member, int | float):  # a flag is a number, too
        return member not in (0, 1)
    return bool(member)


def _hit(caught: list[_Caught]) -> Hit:
    first = caught[0]
    return Hit(
        detector="swallowed_error",
        category="swallowed_error",
        subject=Subject(service=first.service, agent=first.agent, tool=first.tool),
        exposure=Group(first.service, first.agent, "tool", first.tool),
        trace=first.t,
        spots=(
            spot(first, Role.CAUSE, first.text or "failed"),
            spot_at(
                first.call_span_id,
                first.call_end_ns,
                first.call_resource,
                Role.SYMPTOM,
                "the call around it reports success",
            ),
        ),
        calls=frozenset(one.s for one in caught),
        grade=Grade.EXPLICIT,
        waste=Waste(),
        strength=len(caught),
        evident=any(map(_is_hollow, caught)),
        slots={"name": first.name, "text": first.text},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    tool, inner = wording.quoted(hit.subject.tool), wording.quoted(hit.slots["name"])
    text = wording.plain(hit.slots["text"])
    says = f" (“{text}”)" if text else ""
    answer = ", answering that there is nothing" if hit.evident else ""
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)}: tool {tool} reports success although {inner}"
        " inside it fails",
        summary=f"{wording.rate(assessment)}. The inner operation fails{says}, nothing inside the call makes"
        f" it good, and the call does not tell the agent{answer}.{wording.harm(assessment)}",
        why="it failed inside a call that reports success, so the agent cannot react to it",
        recommendation=f"Let {tool} return the error of {inner} to the agent, or a result that says what is"
        " missing, instead of success.",
    )


SWALLOWED_ERROR: Final = Detector(
    name="swallowed_error",
    category="swallowed_error",
    find=swallowed_error,
    needs=FAILURES,
    tell=_tell,
    prior=0.95,
    nature=Nature.RISK,
    isolated=Isolated.NEVER,
    risk_low_min=RISK_LOW_MIN,
)
