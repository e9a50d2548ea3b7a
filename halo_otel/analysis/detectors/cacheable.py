"""Cacheable calls: many runs ask one tool the same and get the same answer (`analysis.popular`).

detectors.md §2.3 #7: the same signature and the same answer in at least 20 traces, never answered
otherwise while they were in sight, by a tool that only reads; worth at least 1 % of the agent's work.
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

TRACES_MIN: Final = 20

# Of the runs in sight one had to ask; the others count (n - 1) / n of what their call took.
_POPULAR: Final = """
with popular as (
  select unnest($service::varchar[]) as service, unnest($agent::varchar[]) as agent,
         unnest($tool::varchar[]) as tool, unnest($sig::varchar[]) as sig,
         unnest($traces::bigint[]) as traces)
select call.t, call.service, call.agent, call.tool, call.s, popular.traces,
       call.end_ns - call.start_ns as ns, span.span_id, span.end_ns, span.resource_id
from frame_call call join popular
  on call.service = popular.service and call.agent = popular.agent and call.tool = popular.tool
  and call.sig::varchar = popular.sig
join frame_span span on call.s = span.s
where not call.failed
qualify row_number() over (partition by call.t, call.tool, call.sig order by call.s) = 1
order by call.t, call.service, call.agent, call.tool, call.s
"""


class _Call(NamedTuple):
    t: int
    service: str
    agent: str
    tool: str
    s: int
    traces: int
    ns: int
    span_id: str
    end_ns: int
    resource_id: int


def cacheable_call(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and tool with a call that many traces make and are answered alike."""
    known = [
        (call, seen)
        for call, seen in sorted(profile.popular.items())
        if seen.traces >= TRACES_MIN and not seen.varies
    ]
    if not known:
        return []
    parameters = {
        "service": [call.service for call, _ in known],
        "agent": [call.agent for call, _ in known],
        "tool": [call.tool for call, _ in known],
        "sig": [call.sig for call, _ in known],
        "traces": [seen.traces for _, seen in known],
    }
    rows = map(_Call._make, frame.con.execute(_POPULAR, parameters).fetchall())
    return [_hit(list(calls)) for _, calls in groupby(rows, key=lambda call: call[:4])]


def _hit(calls: list[_Call]) -> Hit:
    first = calls[0]
    return Hit(
        detector="cacheable_call",
        category="redundant_call",
        subject=Subject(service=first.service, agent=first.agent, tool=first.tool),
        exposure=Group(first.service, first.agent, "tool", first.tool),
        scope=("cacheable",),
        trace=first.t,
        spots=(
            spot(
                first,
                Role.CAUSE,
                f"{first.traces} runs in sight made this call and got the same answer",
            ),
        ),
        calls=frozenset(call.s for call in calls),
        grade=Grade.INFERRED,
        waste=Waste(
            calls=len(calls),
            ns=sum(call.ns * (call.traces - 1) // call.traces for call in calls),
        ),
        strength=first.traces,
        slots={"traces": str(first.traces)},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    tool = wording.quoted(hit.subject.tool)
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)}: run after run asks tool {tool} the same",
        summary=f"{wording.rate(assessment)}: the commonest of these calls was made by "
        f"{wording.most(assessment)} runs with the same arguments and the same answer."
        f"{wording.waste(assessment)}",
        why="many runs make this very call and are answered alike",
        recommendation=f"Cache {tool} by its arguments across runs, with a time to live that suits its data, "
        "or give the agent the answer in its instructions.",
    )


CACHEABLE_CALL: Final = Detector(
    name="cacheable_call",
    category="redundant_call",
    find=cacheable_call,
    tell=_tell,
    prior=0.95,
    nature=Nature.ADVICE,
    isolated=Isolated.NEVER,
    waste_floor=0.01,
    needs_payload=True,
)
