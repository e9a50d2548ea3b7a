"""Near loops: nearly the same call again and again, answered the same.

detectors.md §1.3, §2.3 #4: at least four calls of one tool in a row whose arguments have a Jaccard similarity of
at least .7, with the same answer. Only the members that change are compared, word by word, so that a long
constant member makes nothing similar; where a word with a digit changes (a page, a file number, an id) the call is
a new one: pagination and batches. Where a call may have written, only the order of its words may differ.
"""

import json
from collections.abc import Mapping
from itertools import groupby, pairwise
from typing import Final, NamedTuple

from halo_otel.analysis.claims import phrases, wording
from halo_otel.analysis.claims.detector import Detector, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_CALLS_MIN: Final = 4
_ALIKE: Final = 0.7
_CALLS_READ_MAX: Final = 50  # of one row: more say the same

# Rows of calls of one tool with one answer, not all of them the very same call.
_ROWS: Final = """
with placed as (
  select *, row_number() over (partition by t, agent order by s) as place,
         row_number() over (partition by t, agent, tool, obs order by s) as turn
  from frame_call where not handoff),
rows as (
  select t, service, agent, tool, obs, place - turn as row, list(s order by s) as calls
  from placed where sig is not null and obs is not null and effect <> 'write'
  group by all having count(*) >= $calls and count(distinct sig) >= 2),
call as (select rows.* exclude (calls), unnest(calls[:$read]) as s from rows)
select call.t, call.service, call.agent, call.tool, call.row, made.effect = 'read' as reads, call.s, span.span_id,
       span.end_ns, span.resource_id, made.tokens, made.cost, made.work_ns, made.failed,
       coalesce(text.arguments, '') as arguments
from call join frame_call made using (s) join frame_span span using (s) left join frame_text text using (s)
order by call.t, call.service, call.agent, call.tool, call.row, call.s
"""


class _Call(NamedTuple):
    t: int
    service: str
    agent: str
    tool: str
    row: int
    reads: bool
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    tokens: int
    cost: float
    work_ns: int
    failed: bool
    arguments: str


def loop_near(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per row of at least four calls, each nearly the one before."""
    rows = frame.con.execute(_ROWS, {"calls": _CALLS_MIN, "read": _CALLS_READ_MAX}).fetchall()
    hits = []
    for _, same in groupby(map(_Call._make, rows), key=lambda call: call[:5]):
        row = _longest(list(same))
        if len(row) >= _CALLS_MIN and len({call.arguments for call in row}) > 1:
            hits.append(_hit(row))
    return hits


def _longest(calls: list[_Call]) -> list[_Call]:
    rows = [[calls[0]]]
    for before, after in pairwise(calls):
        if _is_near(before, after):
            rows[-1].append(after)
        else:
            rows.append([after])
    return max(rows, key=len)


def _is_near(before: _Call, after: _Call) -> bool:
    one, other = _members(before.arguments), _members(after.arguments)
    changed = [name for name in {*one, *other} if one.get(name) != other.get(name)]
    left = phrases.words(" ".join(one.get(name, "") for name in changed))
    right = phrases.words(" ".join(other.get(name, "") for name in changed))
    if any(char.isdigit() for word in left ^ right for char in word):
        return False
    return not changed or phrases.alike(left, right) >= (_ALIKE if after.reads else 1.0)


def _members(arguments: str) -> Mapping[str, str]:
    """The members of an object as text, lower case; anything else is one member without a name."""
    try:
        found = json.loads(arguments)
    except ValueError:
        return {"": arguments.lower()}
    if not isinstance(found, dict):
        return {"": arguments.lower()}
    return {name: json.dumps(value, ensure_ascii=False).lower() for name, value in found.items()}


def _hit(calls: list[_Call]) -> Hit:
    first, again, last = calls[0], calls[1:], calls[-1]
    return Hit(
        detector="loop_near",
        category="loop",
        subject=Subject(service=first.service, agent=first.agent, tool=first.tool),
        exposure=Group(first.service, first.agent, "tool", first.tool),
        scope=("near",),
        trace=first.t,
        spots=(
            spot(
                again[0], Role.CAUSE, f"nearly the call before; {len(calls)} calls with one answer"
            ),
            spot(last, Role.SYMPTOM, f"last of {len(calls)} calls"),
        ),
        calls=frozenset(call.s for call in calls),
        grade=Grade.INFERRED,
        waste=Waste(
            calls=len(again),
            tokens=sum(call.tokens for call in again),
            cost=sum(call.cost for call in again),
            ns=sum(call.work_ns for call in again),
        ),
        strength=len(calls),
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    tool = wording.quoted(hit.subject.tool)
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} rewords its calls of {tool} and gets the same answer",
        summary=f"{wording.rate(assessment)}, up to {wording.most(assessment)} nearly equal calls in a row without any "
        f"progress.{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the first call that only rewords the one before and is answered the same",
        recommendation=f"Tell the agent when {tool} brings the same answer to a reworded call, with what else it can try "
        f"(other terms, another tool, asking the user); cap reworded calls at {_CALLS_MIN - 1}.",
    )


LOOP_NEAR: Final = Detector(
    name="loop_near",
    category="loop",
    find=loop_near,
    tell=_tell,
    prior=0.95,
    nature=Nature.RISK,
    needs_payload=True,
    claims_calls=True,
)
