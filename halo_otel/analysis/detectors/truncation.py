"""Truncation: an answer ends because its tokens ran out.

detectors.md §2.3 #17: the finish reason says `length`. Or no reason is stated, and an answer that begins as JSON ends
without its closing bracket, or several runs' answers break off in a sentence at the very same number of tokens,
beyond which no answer that breaks off goes: nobody stops talking there by chance. A cut that the telemetry made itself is
unknown, not a cut answer. It is made good when the agent goes on, what it says next is whole, and no call that the
cut turn asked for fails; an agent that is cut in most of its successful runs is meant to be (one-token classifiers).
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual import extent
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_SPOTS: Final = 3
_PILE_MIN: Final = 3  # runs that break off at one number of tokens
_BEGINS_AS_JSON: Final = r"^\s*(```(json)?\s*)?(\{\s*[\"}]|\[\s*[\[{\"])"
_ENDS_AS_JSON: Final = r"[\]}](\s*```)?\s*$"

_CUT: Final = """
with cut as (
  select turn.s, turn.finish = 'length' as stated, 0 as broken_at
  from frame_speech turn
  where turn.finish = 'length'
  union all
  select turn.s, false, 0
  from frame_speech turn join frame_text text using (s)
  where turn.finish is null and turn.calls = 0 and not turn.failed and turn.unknown is distinct from 'truncated'
    and text.output_end is not null and ltrim(left(text.output, 20))[1] in ('{', '[', '`')
    and regexp_matches(left(text.output, 40), $begins) and not regexp_matches(text.output_end, $ends)
    and not regexp_matches(text.output_end, '(\\.\\.\\.|…|truncated)')
  union all
  select turn.s, false, text.output_tokens::integer
  from frame_speech turn join frame_text text using (s)
  where turn.finish is null and turn.calls = 0 and not turn.failed and turn.unknown is distinct from 'truncated'
    and text.breaks_off and text.output_tokens between $tokens_min and 2147483647)
select turn.t, turn.service, turn.agent, turn.s, turn.span_id, turn.start_ns, turn.end_ns, turn.resource_id,
       turn.tokens, turn.cost, cut.stated, cut.broken_at, turn.failed_calls,
       coalesce(next.finish is distinct from 'length' and not next.failed, false)
         and coalesce(next.calls > 0 or not said.breaks_off, true) as goes_on
from cut join frame_speech turn using (s)
left join frame_speech next
  on turn.t = next.t and turn.agent = next.agent and turn.run = next.run and turn.place + 1 = next.place
left join frame_text said on said.s = next.s
order by turn.t, turn.service, turn.agent, turn.s
"""


class _Cut(NamedTuple):
    t: int
    service: str
    agent: str
    s: int
    span_id: str
    start_ns: int
    end_ns: int
    resource_id: int
    tokens: int
    cost: float
    stated: bool
    broken_at: int  # tokens after which an answer breaks off that is not known to be cut, else 0
    failed_calls: int
    goes_on: bool


def truncation(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and agent with at least one answer that was cut off."""
    parameters = {
        "begins": _BEGINS_AS_JSON,
        "ends": _ENDS_AS_JSON,
        "tokens_min": extent.BROKEN_TOKENS_MIN,
    }
    rows = map(_Cut._make, frame.con.execute(_CUT, parameters).fetchall())
    cuts = [row for row in rows if row.broken_at in (0, _cap(profile, row.service, row.agent))]
    return [_hit(list(same)) for _, same in groupby(cuts, key=lambda row: row[:3])]


def _cap(profile: Profile, service: str, agent: str) -> int | None:
    """The number of tokens at which several answers of an agent break off, and none later."""
    broken = profile.extents.get(extent.Measure("broken", service, agent), {})
    longest = max(broken, default=0)
    return longest if broken.get(longest, 0) >= _PILE_MIN else None


def _hit(cuts: list[_Cut]) -> Hit:
    lasting = [cut for cut in cuts if not cut.goes_on or cut.failed_calls]
    shown = sorted(cuts, key=lambda cut: (cut not in lasting, cut.s))[:_SPOTS]
    first = cuts[0]
    return Hit(
        detector="truncation",
        category="truncation",
        subject=Subject(service=first.service, agent=first.agent),
        exposure=Group(first.service, first.agent, EVERYTHING),
        trace=first.t,
        spots=tuple(
            spot(
                cut,
                Role.SYMPTOM if place else Role.CAUSE,
                _note(cut),
            )
            for place, cut in enumerate(shown)
        ),
        calls=frozenset(cut.s for cut in cuts),
        grade=Grade.EXPLICIT if any(cut.stated for cut in cuts) else Grade.INFERRED,
        waste=Waste(
            calls=len(cuts),
            tokens=sum(cut.tokens for cut in cuts),
            cost=sum(cut.cost for cut in cuts),
            ns=sum(cut.end_ns - cut.start_ns for cut in cuts),
        ),
        strength=len(cuts),
        recovered=not lasting,
    )


def _note(cut: _Cut) -> str:
    if cut.stated:
        return "the answer was cut off at the token limit"
    if cut.broken_at:
        return f"the answer breaks off in a sentence after {cut.broken_at} tokens, as others do"
    return "the answer begins as JSON and ends in the middle of it"


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    recovered = assessment.recovered_share
    after = "" if recovered == 0 else f" In {recovered:.0%} of them the agent goes on afterwards."
    return wording.Sentences(
        title=f"Answers of agent {wording.quoted(hit.subject.agent)} are cut off at the token limit",
        summary=f"{wording.rate(assessment)}, up to {wording.most(assessment)} times in one run.{after}{wording.harm(assessment)}",
        why="the model turn whose answer was cut off",
        recommendation="Raise the limit of output tokens of this agent's model calls, or ask for shorter answers. Check the "
        "finish reason before an answer is parsed or passed on, and let the model continue.",
    )


TRUNCATION: Final = Detector(
    name="truncation",
    category="truncation",
    find=truncation,
    tell=_tell,
    prior=0.96,
    nature=Nature.FAULT,
    habit=Habit.SHOWN,
    fails=True,
)
