"""What the telemetry does not tell, so that nobody takes silence for health.

Two claims, about a service as a whole: *content* (what tools were asked and answered, what models were
given and said) is not recorded for most calls or most turns of a run, and *usage* (tokens) is not. Both are
the operator's to switch on, or were switched off on purpose: then the finding is muted once.
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import capture, wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import ANY_AGENT, EVERYTHING, Grade, Group, Hit, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

# `why` is the commonest reason; a payload that stands nowhere has none, it is absent.
_GAPS: Final = """
with operation as (
  select t, s, service, 'content' as missing, 'tools' as part, not (arguments_known and result_known) as gap,
         coalesce(unknown, 'absent') as why
  from frame_call
  union all
  select turn.t, turn.s, turn.service, 'content', 'models', wordless, coalesce(unknown, 'absent')
  from frame_turn turn join frame_span using (s)
  union all
  select t, s, service, 'usage', 'models', tokens is null, 'absent' from frame_turn
  -- the usage of a whole run may stand on its agent
  where t not in (select t from frame_span where tokens is not null))
select operation.t, operation.service, missing, part, mode(why) filter (gap) as why,
       count(*) filter (gap) as gaps, count(*) as operations,
       coalesce(string_agg(distinct span.dialects, ',') filter (gap), '') as dialects,
       list(operation.s order by operation.s) filter (gap) as calls,
       arg_min(span.span_id, operation.s) filter (gap) as span_id,
       arg_min(span.end_ns, operation.s) filter (gap) as end_ns,
       arg_min(span.resource_id, operation.s) filter (gap) as resource_id
from operation join frame_span span using (s)
group by operation.t, operation.service, missing, part
having 2 * gaps > operations
order by all
"""


class _Gap(NamedTuple):
    t: int
    service: str
    missing: str
    part: str
    why: str
    gaps: int
    operations: int
    dialects: str
    calls: list[int]
    span_id: str
    end_ns: int
    resource_id: int


def instrumentation(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, service and kind of thing that most of its operations do not tell."""
    gaps = map(_Gap._make, frame.con.execute(_GAPS).fetchall())
    return [_hit(list(same)) for _, same in groupby(gaps, key=lambda gap: gap[:3])]


def _hit(parts: list[_Gap]) -> Hit:
    gap = max(parts, key=lambda part: part.gaps)
    return Hit(
        detector="instrumentation",
        category="instrumentation",
        subject=Subject(service=gap.service),
        exposure=Group(gap.service, ANY_AGENT, EVERYTHING),
        scope=(gap.missing, gap.why),
        trace=gap.t,
        spots=(
            spot(
                gap,
                Role.CAUSE,
                f"{gap.missing} {gap.why}; so on {gap.gaps} of {gap.operations} calls of this run",
            ),
        ),
        calls=frozenset(call for part in parts for call in part.calls),
        grade=Grade.EXPLICIT,
        strength=1,
        slots={
            "dialects": ",".join(part.dialects for part in parts),
            "parts": ",".join(part.part for part in parts),
        },
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    pattern = assessment.pattern
    missing, why = pattern.scope
    hits = [hit for found in pattern.hits.values() for hit in found]
    dialects = {dialect for hit in hits for dialect in hit.slots["dialects"].split(",")}
    parts = sorted({part for hit in hits for part in hit.slots["parts"].split(",")})
    what, blind = _MISSING[missing]
    what = what.format(" and ".join(reversed(parts)))
    how = "is not recorded" if why == "absent" else f"is {why}"
    return wording.Sentences(
        title=f"Telemetry of {wording.quoted(pattern.first.subject.service)}: {what} {how}",
        summary=f"{wording.rate(assessment)}. {blind}",
        why="the first span of the run that lacks it",
        recommendation=capture.cure(missing, why, dialects),
    )


_MISSING: Final = {
    "content": (
        "what {} were asked and answered",
        "Loops, repeated calls and wrong arguments cannot be seen without it; errors and latency can.",
    ),
    "usage": ("token usage", "What faults cost cannot be told without it."),
}
INSTRUMENTATION: Final = Detector(
    name="instrumentation",
    category="instrumentation",
    find=instrumentation,
    tell=_tell,
    prior=1.0,  # it counts what is there
    nature=Nature.TELEMETRY,
    isolated=Isolated.NEVER,
    rate_min=0.5,  # an operator who samples content has chosen to
)
