"""Context loss: the prompt shrinks in the middle of a run, and the agent asks again for what it knew.

detectors.md §2.3 #19: within one run of an agent the prompt drops by more than half, and afterwards calls that
read are made again with the arguments and the answers of calls before the drop. A compaction that keeps what
is needed repeats nothing; an agent that had repeated the call already before the drop polls.
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_PROMPT_MIN: Final = 2_000  # tokens before the drop; below, a turn's own size is more than that
_AGAIN_MIN: Final = 2  # one repeated lookup happens anyway

_LOST: Final = """
with drops as (
  select turn.*, before.prompt as before, before.end_ns as before_ns
  from frame_speech turn join frame_speech before
    on turn.t = before.t and turn.agent = before.agent and turn.run = before.run and turn.place = before.place + 1
  where before.prompt >= $prompt_min and turn.prompt > 0 and 2 * turn.prompt < before.prompt and turn.place > 2
  qualify row_number() over (partition by turn.t, turn.service, turn.agent order by turn.s) = 1)
select drops.t, drops.service, drops.agent, drops.span_id, drops.end_ns, drops.resource_id, drops.before, drops.prompt,
       after.s, span.span_id as again_span_id, after.end_ns as again_end_ns, span.resource_id as again_resource,
       after.tokens, after.cost, after.work_ns
from drops join frame_call after on after.t = drops.t and after.agent = drops.agent and after.start_ns >= drops.start_ns
join frame_span span on after.s = span.s
where after.effect in ('read', 'unknown') and not after.failed and (
  select count(*) = 1 from frame_call earlier where earlier.t = after.t and earlier.agent = after.agent
  and earlier.sig = after.sig and earlier.obs = after.obs and earlier.start_ns < drops.start_ns)
order by drops.t, drops.service, drops.agent, after.s
"""


class _Again(NamedTuple):
    t: int
    service: str
    agent: str
    span_id: str
    end_ns: int
    resource_id: int
    before: int
    prompt: int
    s: int
    again_span_id: str
    again_end_ns: int
    again_resource: int
    tokens: int
    cost: float
    work_ns: int


def context_loss(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and agent that asks again for at least two things after its prompt shrank."""
    rows = map(_Again._make, frame.con.execute(_LOST, {"prompt_min": _PROMPT_MIN}).fetchall())
    found = [list(same) for _, same in groupby(rows, key=lambda row: row[:3])]
    return [_hit(calls) for calls in found if len(calls) >= _AGAIN_MIN]


def _hit(calls: list[_Again]) -> Hit:
    first = calls[0]
    return Hit(
        detector="context_loss",
        category="context_growth",
        subject=Subject(service=first.service, agent=first.agent),
        exposure=Group(first.service, first.agent, EVERYTHING),
        scope=("loss",),
        trace=first.t,
        spots=(
            spot(
                first, Role.CAUSE, f"the prompt shrank from {first.before} to {first.prompt} tokens"
            ),
            spot_at(
                first.again_span_id,
                first.again_end_ns,
                first.again_resource,
                Role.SYMPTOM,
                f"asked and answered before the prompt shrank; {len(calls)} such calls",
            ),
        ),
        calls=frozenset(call.s for call in calls),
        grade=Grade.INFERRED,
        waste=Waste(
            calls=len(calls),
            tokens=sum(call.tokens for call in calls),
            cost=sum(call.cost for call in calls),
            ns=sum(call.work_ns for call in calls),
        ),
        strength=len(calls),
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} loses its context in the middle of a run and starts over",
        summary=f"{wording.rate(assessment)}: the prompt shrinks by more than half, then up to {wording.most(assessment)} calls "
        f"ask again for what was known.{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the first turn whose prompt lacks what came before",
        recommendation="Look at how the history is cut or summarised before the cited turn: keep ids, decisions and results of "
        "tools in the summary, and check that the conversation is loaded again when a run is resumed.",
    )


CONTEXT_LOSS: Final = Detector(
    name="context_loss",
    category="context_growth",
    find=context_loss,
    tell=_tell,
    prior=0.93,
    nature=Nature.RISK,
    habit=Habit.SHOWN,
    needs_payload=True,
)
