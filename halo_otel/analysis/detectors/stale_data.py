"""Stale data: acting on an older state of a thing than somebody in the run has already seen.

detectors.md §1.6. Explicit evidence: an answer states a version lower than the highest one that any
agent had been told before the call began; or an agent changes a thing whose newer version another agent
has seen since. Inferred: after a change that succeeded, a reading brings the very answer from before it,
with the old value in the changed field. Who looks again and gets the newest version before it goes on is
not stale (a cache refreshed); a thing that is rolled back in the run has no order, nor does one that two
services saw within the skew of their clocks.
"""

import json
from typing import Any, Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.teams import resources
from halo_otel.analysis.teams.resources import SKEW_NS, Told
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

# A later reading that is up to date makes an old one harmless unless the agent has acted in between.
_OLD_READS: Final = """
with seen as (
  select *, arg_max(s, nth) over w as top_s from frame_touch
  where nth is not null and not failed and (t, key) in (
    select (t, key) from frame_touch where not failed and nth is not null
    group by t, key having count(distinct nth) > 1)
  window w as (partition by t, key order by end_ns, s)),
old as (
  select stale.*, newest.s as newest_s, newest.agent as newest_agent, newest.mark as newest_mark, newest.nth as newest_nth
  from seen stale asof join seen before
    on stale.t = before.t and stale.key = before.key and stale.start_ns >= before.end_ns
  join frame_touch newest on newest.s = before.top_s
  where stale.effect <> 'write' and stale.nth < newest.nth
    and (stale.service = newest.service or newest.end_ns + $skew <= stale.start_ns)),
later as (
  select old.s, min(act.s) filter (act.effect = 'write' and not act.failed) as act_s,
         min(act.s) filter (act.effect <> 'write' and act.nth >= old.newest_nth) as fresh_s
  from old join frame_touch act on act.t = old.t and act.key = old.key and act.agent = old.agent and act.s > old.s
  group by old.s)
select old.t, old.service, old.agent, old.tool, old.resource, old.mark, old.s, newest_agent, newest_mark, newest_s, act_s,
       turn_s
from old left join later using (s)
anti join frame_touch undone on undone.t = old.t and undone.key = old.key and halo_undoes(undone.tool)
where fresh_s is null or fresh_s > act_s
order by old.t, old.s
"""
# The state that a change builds on is what it says, else what its agent saw last. Who has made the
# newer state says so itself; that a change undoes it is another detector's claim.
_OLD_ACTS: Final = """
with act as (
  select * from frame_touch where effect = 'write' and not failed and (t, key) in (
    select (t, key) from frame_touch where not failed and nth is not null
    group by t, key having count(distinct nth) > 1 and count(distinct agent) > 1)),
known as (
  select act.s, coalesce(any_value(act.base_nth), arg_max(own.nth, (own.end_ns, own.s))) as nth,
         coalesce(any_value(act.base), arg_max(own.mark, (own.end_ns, own.s))) as mark,
         arg_max(own.s, (own.end_ns, own.s)) as own_s
  from act left join frame_touch own on own.t = act.t and own.key = act.key and own.agent = act.agent
    and own.nth is not null and not own.failed and own.end_ns <= act.start_ns
  where act.base is null or act.base_nth is not null
  group by act.s)
select act.t, act.service, act.agent, act.tool, act.resource, known.mark, known.own_s, newest.agent, newest.mark,
       newest.s, act.s as act_s, act.turn_s
from act join known using (s) join frame_touch newest
  on newest.t = act.t and newest.key = act.key and newest.agent <> act.agent and newest.nth > known.nth
  and not newest.failed and newest.effect <> 'write'
  and newest.end_ns + case when newest.service = act.service then 0 else $skew end <= act.start_ns
anti join frame_touch undone on undone.t = act.t and undone.key = act.key and halo_undoes(undone.tool)
qualify row_number() over (partition by act.s order by newest.nth desc, newest.s) = 1
order by act.t, act.s
"""
_SAME_AS_BEFORE: Final = """
with change as (
  select *, lead(start_ns) over (partition by t, key order by start_ns, s) as next_ns
  from frame_touch where effect = 'write' and not failed)
select again.t, again.service, again.agent, again.tool, again.resource, null as mark, again.s,
       change.agent as newest_agent, null as newest_mark, change.s as newest_s, null as act_s, again.turn_s,
       change.key_names
from change
join frame_touch again on again.t = change.t and again.key = change.key and again.effect = 'read' and not again.failed
  and again.mark is null
  and again.start_ns >= change.end_ns + case when again.service = change.service then 0 else $skew end
  and again.start_ns < coalesce(change.next_ns, 9223372036854775807)
semi join frame_touch first on first.t = again.t and first.key = again.key and first.sig = again.sig
  and first.obs = again.obs and first.end_ns <= change.start_ns
qualify row_number() over (partition by again.s order by change.s desc) = 1
order by again.t, again.s
"""
_PENDING: Final = ("queued", "accepted", "scheduled", "pending", "submitted", "async", "later")


class _Stale(NamedTuple):
    t: int
    service: str
    agent: str
    tool: str
    resource: str
    mark: str | None
    s: int | None  # the reading of the old state; None where the change states it
    newest_agent: str
    newest_mark: str | None
    newest_s: int
    act_s: int | None
    turn_s: int | None


def stale_data(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and tool that read or acted on an old state."""
    skew = {"skew": SKEW_NS}
    read = [_Stale(*row) for row in frame.con.execute(_OLD_READS, skew).fetchall()]
    acted = [_Stale(*row) for row in frame.con.execute(_OLD_ACTS, skew).fetchall()]
    explained = {one.act_s for one in read}
    acted = _untold(frame, [one for one in acted if one.act_s not in explained])
    same = _unchanged(frame, skew)
    found: dict[tuple[int, str, str, str], tuple[_Stale, Grade, int]] = {}
    for one, grade in (
        *((one, Grade.EXPLICIT) for one in (*read, *acted)),
        *((one, Grade.INFERRED) for one in same),
    ):
        key = (one.t, one.service, one.agent, one.tool)
        first, known, times = found.get(key, (one, grade, 0))
        found[key] = (first, known, times + 1)
    where = resources.places(
        frame, (s for one, *_ in found.values() for s in (one.s, one.newest_s, one.act_s))
    )
    return [_hit(one, grade, times, where) for one, grade, times in found.values()]


def _untold(frame: Frame, acts: list[_Stale]) -> list[_Stale]:
    """Those whose model had not read the newer state in another way."""
    texts = resources.said(frame, (one.newest_s for one in acts))
    nothing = resources.Said(None, None)
    known = resources.told(
        frame,
        [
            (one.turn_s, nothing._replace(result=texts.get(one.newest_s, nothing).result))
            for one in acts
        ],
    )
    return [one for one, told in zip(acts, known, strict=True) if told is not Told.YES]


def _unchanged(frame: Frame, skew: dict[str, int]) -> list[_Stale]:
    """Readings after a change in whose answer the changed field still has another value."""
    rows = frame.con.execute(_SAME_AS_BEFORE, skew).fetchall()
    texts = resources.said(frame, (s for row in rows for s in (row[6], row[9])))
    found = []
    for *row, keys in rows:
        one = _Stale(*row)
        answer, change = texts.get(one.s or 0), texts.get(one.newest_s)
        if (
            answer is None
            or change is None
            or any(word in (change.result or "").lower() for word in _PENDING)
        ):
            continue
        new = {
            path.rpartition(".")[2]: value
            for path, value in resources.changes(change.arguments, keys).items()
        }
        if any(_differs(answer.result, name, value) for name, value in new.items()):
            found.append(one)
    return found


def _differs(answer: str | None, name: str, value: str) -> bool:
    """Whether the only field of that name in a JSON answer has another value."""
    try:
        stated = list(_fields(json.loads(answer or "null"), name))
    except (ValueError, RecursionError):
        return False
    return len(stated) == 1 and str(stated[0]).lower() != value.lower()


def _fields(value: Any, name: str) -> list[Any]:
    if isinstance(value, dict):
        own = [value[name]] if name in value and not isinstance(value[name], (dict, list)) else []
        return own + [found for member in value.values() for found in _fields(member, name)]
    return (
        [found for member in value for found in _fields(member, name)]
        if isinstance(value, list)
        else []
    )


def _hit(one: _Stale, grade: Grade, times: int, where: dict[int, resources.Place]) -> Hit:
    newer = f"version {one.newest_mark}" if one.newest_mark else "a newer value"
    older = f"version {one.mark}" if one.mark else "the value from before"
    reading, act = _at(where, one.s), _at(where, one.act_s)
    spots = []
    if reading is not None and reading.end_ns > where[one.newest_s].end_ns:
        spots.append(reading.spot(Role.CAUSE, f"{one.agent} is told {older} of {one.resource}"))
        if act is not None:
            spots.append(act.spot(Role.SYMPTOM, f"{one.agent} acts on {older}"))
    elif act is not None:
        spots.append(act.spot(Role.CAUSE, f"{one.agent} acts on {older} of {one.resource}"))
        if reading is not None:
            spots.append(reading.spot(Role.SYMPTOM, f"{one.agent} had looked last here"))
    seen = f"{one.newest_agent} had seen {newer} before"
    spots.append(where[one.newest_s].spot(Role.CONTRAST, seen))
    return Hit(
        detector="stale_data",
        category="stale_data",
        subject=Subject(service=one.service, agent=one.agent, tool=one.tool),
        exposure=Group(one.service, one.agent, "tool", one.tool),
        trace=one.t,
        spots=tuple(spots),
        calls=frozenset(s for s in (one.s, one.act_s) if s is not None),
        grade=grade,
        strength=times,
        slots={
            "newer": newer,
            "older": older,
            "who": one.newest_agent,
            "acted": "yes" if one.act_s is not None else "no",
        },
    )


def _at(where: dict[int, resources.Place], s: int | None) -> resources.Place | None:
    return None if s is None else where[s]


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    hits = [one for found in assessment.pattern.hits.values() for one in found]
    acted = sum(one.slots["acted"] == "yes" for one in hits)
    agent, tool = wording.quoted(hit.subject.agent), wording.quoted(hit.subject.tool)
    who = sorted({one.slots["who"] for one in hits})[:3]
    others = ", ".join(wording.quoted(name) for name in who)
    example = f"{hit.slots['older']} after {hit.slots['newer']} had been seen"
    return wording.Sentences(
        title=f"Agent {agent} works with stale data of tool {tool}",
        summary=f"{wording.rate(assessment)}: it goes on with an older state than {others} had seen before in the"
        f" same run (for example {wording.plain(example)}); in {acted} of {len(hits)} cases it then changes"
        f" the thing.{wording.harm(assessment)}",
        why="what it knew was older than what had already been seen in the run",
        recommendation=f"Let {agent} read again right before it acts, let {tool} read from where writes go (or drop"
        " its cache when something is written), and send the version along with every change, so that a change"
        " that builds on an old one is refused.",
    )


STALE_DATA: Final = Detector(
    name="stale_data",
    category="stale_data",
    find=stale_data,
    needs="frame_touch",
    tell=_tell,
    prior=0.95,
    nature=Nature.RISK,
    isolated=Isolated.NEVER,
    needs_payload=True,
    claims_calls=True,
)
