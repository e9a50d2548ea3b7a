"""Refusals: the model declines a step, is asked again, and declines again.

detectors.md §1.3, §2.3 #8: at least two refusals by one agent on the same sub-goal with a re-ask between. The
sub-goal is the same when the question is (Jaccard of its words from .5 on), or when the same answer is given
again (from .6 on) without naming a rule: a customer who insists and is told of the policy each time is served
correctly. A call that works between two refusals makes them two sub-goals.
"""

from itertools import groupby, pairwise
from typing import Final, NamedTuple

from halo_otel.analysis.claims import phrases, wording
from halo_otel.analysis.claims.detector import Detector, Habit, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_REFUSALS_MIN: Final = 2
# Both, and the words of a rule, are set so that tau-bench's airline customers who insist stay silent.
_ASKED_ALIKE: Final = 0.5
_REFUSED_ALIKE: Final = 0.6
_RULE: Final = r"(?i)\b(polic(y|ies)|rules?|terms|exceptions?|eligib\w+|human agent|refundable|basic economy)\b"

# Only the beginning of an answer tells a refusal; what providers flag as one needs no words.
_REFUSALS: Final = """
with refused as (
  select turn.*, coalesce(text.input, '') as input, coalesce(left(text.output, 400), '') as output
  from frame_speech turn left join frame_text text using (s)
  where calls = 0 and (turn.finish in ('content_filter', 'refusal')
                       or regexp_matches(left(text.output, 300), $refusal))),
often as (
  select * from refused qualify count(*) over (partition by t, service, agent) >= $refusals),
worked as (select t, agent, list(start_ns) as times from frame_call where not failed
           and t in (select t from often) group by all)
select often.t, often.service, often.agent, often.span_id, often.start_ns, often.end_ns, often.resource_id,
       often.tokens, often.cost, often.input, often.output, regexp_matches(output, $rule) as ruled, often.s,
       len(list_filter(coalesce(worked.times, []), lambda ns: ns < often.start_ns)) as worked_before,
       coalesce(list_max(worked.times) >= often.end_ns, false) as works_after
from often left join worked using (t, agent)
order by often.t, often.service, often.agent, often.s
"""


class _Refusal(NamedTuple):
    t: int
    service: str
    agent: str
    span_id: str
    start_ns: int
    end_ns: int
    resource_id: int
    tokens: int
    cost: float
    input: str
    output: str
    ruled: bool
    s: int
    worked_before: int
    works_after: bool


def refusal(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and agent: its longest row of refusals of one thing."""
    parameters = {"refusal": phrases.REFUSAL, "rule": _RULE, "refusals": _REFUSALS_MIN}
    rows = map(_Refusal._make, frame.con.execute(_REFUSALS, parameters).fetchall())
    hits = []
    for _, same in groupby(rows, key=lambda row: row[:3]):
        longest = max(_rows(list(same)), key=len)
        if len(longest) >= _REFUSALS_MIN:
            hits.append(_hit(longest))
    return hits


def _rows(refusals: list[_Refusal]) -> list[list[_Refusal]]:
    """Refusals cut where another thing is refused than before."""
    rows = [[refusals[0]]]
    for before, after in pairwise(refusals):
        if _is_again(before, after):
            rows[-1].append(after)
        else:
            rows.append([after])
    return rows


def _is_again(before: _Refusal, after: _Refusal) -> bool:
    if before.worked_before != after.worked_before:
        return False
    asked = phrases.alike(phrases.words(before.input), phrases.words(after.input))
    if asked >= _ASKED_ALIKE:
        return True
    refused = phrases.alike(phrases.words(before.output), phrases.words(after.output))
    return refused >= _REFUSED_ALIKE and not (before.ruled or after.ruled)


def _hit(refusals: list[_Refusal]) -> Hit:
    first, again = refusals[0], refusals[1:]
    return Hit(
        detector="refusal",
        category="refusal",
        subject=Subject(service=first.service, agent=first.agent),
        exposure=Group(first.service, first.agent, EVERYTHING),
        trace=first.t,
        spots=tuple(
            spot(
                one,
                Role.SYMPTOM if place else Role.CAUSE,
                f"refusal {place + 1} of {len(refusals)}: {wording.quoted(one.output)}",
            )
            for place, one in enumerate(refusals[:3])
        ),
        calls=frozenset(one.s for one in refusals),
        grade=Grade.INFERRED,
        waste=Waste(
            calls=len(again),
            tokens=sum(one.tokens for one in again),
            cost=sum(one.cost for one in again),
            ns=sum(one.end_ns - one.start_ns for one in again),
        ),
        strength=len(refusals),
        recovered=refusals[-1].works_after,
        slots={"says": first.output},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} refuses the same step again and again",
        summary=f"{wording.rate(assessment)}: the model declines up to {wording.most(assessment)} times although it is "
        f"asked again, for example {wording.quoted(hit.slots['says'])}.{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the first answer that declines the step",
        recommendation="Asking again does not help: say in the instructions that this step is allowed and why, or rephrase "
        "it. If it must be refused, end the run after the first refusal and hand it to a person.",
    )


REFUSAL: Final = Detector(
    name="refusal",
    category="refusal",
    find=refusal,
    tell=_tell,
    prior=0.93,
    nature=Nature.FAULT,
    habit=Habit.SHOWN,
    fails=True,
    needs_payload=True,
)
