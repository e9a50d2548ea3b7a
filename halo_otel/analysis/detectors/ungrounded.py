"""References to things nobody has mentioned: an id that an agent invented.

Which arguments refer to something is learned: those whose id-like values stand in an earlier text of the trace in
at least 90 % of the uses that succeed (one-sided 95 % lower bound, of 50 uses or more, in small windows 30;
detectors.md §1.4c counts failed uses, too, so that many inventions would make a reference forgotten).
Of such an argument a value is *invented* when nothing that the agent was given says it: no result, no input, no
instruction in the frame's texts, and, looked up for the few that are left, nothing in the raw attributes and
events of the trace's earlier spans or in earlier traces of the session. A value whose parts were said
(`order 4711` for `ORD-4711`) was put together, not invented. Where anything that was said before the call is
unknown, the detector abstains.
"""

import math
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.claims.statistics import risk_ratio_low
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.analysis.usual.tooluse import References, Tool, ToolUse
from halo_otel.analysis.wrongcalls import told
from halo_otel.model.finding import Role, Subject

_GROUNDED_MIN: Final = 0.9
# … where values that were not said fail more often than those that were: the tool itself tells them apart, and the
# invented ones that it takes are among the uses that succeed.
_GROUNDED_MIN_CONTRAST: Final = 0.8
_Z_ONE_SIDED: Final = 1.645
_USES_MIN: Final = 50
_USES_MIN_SMALL: Final = 30
_SMALL_WINDOW_USES: Final = 1000  # all uses of references together: about a hundred traces
_REFUSED_MIN: Final = 0.5  # share of ungrounded calls that fail from which they are wrong for sure
_LOOKED_UP_MAX: Final = 500  # traces of one shard whose raw spans are read
_PART_CHARS_MIN: Final = 3  # shorter runs of digits stand everywhere

_SUSPECTS: Final = """
with referring as (
  select unnest($services::varchar[]) as service, unnest($tools::varchar[]) as tool,
         unnest($names::varchar[]) as name),
used as (
  select * from frame_argument semi join referring using (service, tool, name) where is_id and src is null),
success as (select t, agent, tool, max(start_ns) as start_ns from frame_call where not failed group by all),
unseen as (
  select t, list(span_id order by s) as calls
  from frame_call join (select s, span_id from frame_span) using (s) where not result_known group by t),
meeting as (select t, min(session) as session from frame_span group by t)
select used.t, used.s, used.service, used.agent, used.tool, used.name, used.value, call.failed or used.denied as failed,
       coalesce(success.start_ns >= call.end_ns, false) as recovered,
       span.span_id, span.start_ns, span.end_ns, span.resource_id,
       call.tokens, call.cost, call.work_ns as ns, left(coalesce(span.error_text, ''), 120) as text,
       turn.span_id as turn_span_id, turn.end_ns as turn_end_ns, turn.resource_id as turn_resource,
       trace.trace_id, meeting.session, coalesce(unseen.calls, []) as unseen
from used join frame_call call using (s) join frame_span span using (s)
join frame_trace trace on trace.t = used.t join meeting on meeting.t = used.t
left join frame_span turn on call.turn_s = turn.s
left join unseen on unseen.t = used.t
left join success on call.t = success.t and call.agent = success.agent and call.tool = success.tool
order by used.t, used.s, used.name
"""


class _Suspect(NamedTuple):
    t: int
    s: int
    service: str
    agent: str
    tool: str
    name: str
    value: str
    failed: bool
    recovered: bool
    span_id: str
    start_ns: int
    end_ns: int
    resource_id: int
    tokens: int
    cost: float
    ns: int
    text: str
    turn_span_id: str | None
    turn_end_ns: int | None
    turn_resource: int | None
    trace_id: str
    session: str | None
    unseen: list[str]  # calls of the trace whose answer is not there

    @property
    def wanted(self) -> str:
        """The value as it is looked for."""
        return self.value.lower().strip("#.-+/")  # as `frame.flow` compares ids


def ungrounded_argument(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent, tool and argument with an invented value."""
    found = sorted(_invented(frame, profile), key=_identity)
    return [_hit(list(alike), profile) for _, alike in groupby(found, key=_identity)]


def _identity(suspect: _Suspect) -> tuple[int, str, str, str, str]:
    return suspect.t, suspect.service, suspect.agent, suspect.tool, suspect.name


def _invented(frame: Frame, profile: Profile) -> list[_Suspect]:
    referring = _referring(profile.tools)
    if not referring:
        return []
    parameters = {
        "services": [tool.service for tool, _ in referring],
        "tools": [tool.name for tool, _ in referring],
        "names": [name for _, name in referring],
    }
    rows = frame.con.execute(_SUSPECTS, parameters).fetchall()
    suspects = list(map(_Suspect._make, rows))
    traces = sorted({suspect.trace_id for suspect in suspects})[:_LOOKED_UP_MAX]
    if not traces:
        return []
    spans = told.raw_spans(frame.con, traces)
    left = [
        suspect
        for suspect in suspects
        if suspect.trace_id in spans and not _is_said(suspect, spans[suspect.trace_id])
    ]
    met = told.met(
        frame.con,
        [told.Sought(one.session, one.trace_id, one.start_ns, one.wanted) for one in left],
    )
    return [one for place, one in enumerate(left) if place not in met]


def _referring(tools: Mapping[Tool, ToolUse]) -> list[tuple[Tool, str]]:
    """The arguments that are learned to be references."""
    all_uses = sum(r.uses for use in tools.values() for r in (use.references or {}).values())
    uses_min = _USES_MIN if all_uses >= _SMALL_WINDOW_USES else _USES_MIN_SMALL
    return sorted(
        (tool, name)
        for tool, use in tools.items()
        for name, counts in (use.references or {}).items()
        if counts.uses >= uses_min
        and _low(counts) >= (_GROUNDED_MIN_CONTRAST if _is_contrast(counts) else _GROUNDED_MIN)
    )


def _is_contrast(counts: References) -> bool:
    """Whether calls fail more often with values that were not said than with others, by no chance."""
    said = counts.grounded + counts.failed
    return risk_ratio_low(counts.refused, counts.loose, counts.failed, said) > 1


def _low(counts: References) -> float:
    """One-sided 95 % lower bound of the grounded share, by the normal approximation (§2.3)."""
    share = counts.grounded / counts.uses
    return share - _Z_ONE_SIDED * math.sqrt(share * (1 - share) / counts.uses)


def _is_said(suspect: _Suspect, spans: Iterable[told.RawSpan]) -> bool:
    """Whether the value was told before the call, or something was told that is unknown."""
    # A refused value was not put together from its parts, or the tool would know it.
    parts = [] if suspect.failed else _parts(suspect.wanted)
    heard = False
    for span in spans:
        if span.told_ns > suspect.start_ns or span.span_id == suspect.span_id:
            continue
        heard = heard or span.heard
        if span.blind or (span.span_id in suspect.unseen and not span.empty):
            return True
        raw = f"{span.fact} {span.attributes} {span.events}".lower()
        if suspect.wanted not in raw and not (parts and all(part in raw for part in parts)):
            continue
        for text in told.told(span):
            if suspect.wanted in text or (parts and all(part in text for part in parts)):
                return True
    return not heard


def _parts(value: str) -> list[str]:
    """The runs of letters and digits that have a digit, none if one of them is too short to tell."""
    runs = re.findall(r"[a-z]*\d[a-z0-9]*", value)
    return runs if all(len(run) >= _PART_CHARS_MIN for run in runs) else []


def _hit(suspects: list[_Suspect], profile: Profile) -> Hit:
    first = suspects[0]
    counts = (profile.tools[Tool(first.service, first.tool)].references or {})[first.name]
    sure = counts.refused >= _REFUSED_MIN * counts.loose or _is_contrast(counts)
    spots = [
        spot(
            first,
            Role.CAUSE,
            f"{first.name} = {first.value[:60]} stands nowhere before"
            + (f": {first.text}" if first.text else ""),
        )
    ]
    if first.turn_span_id is not None:
        spots.append(
            spot_at(
                first.turn_span_id,
                first.turn_end_ns,
                first.turn_resource,
                Role.SYMPTOM,
                "the model turn that made the value up",
            )
        )
    return Hit(
        detector="ungrounded_argument",
        category="ungrounded_argument",
        subject=Subject(
            service=first.service,
            agent=first.agent,
            tool=first.tool,
            attributes={"argument": first.name},
        ),
        exposure=Group(first.service, first.agent, "tool", first.tool),
        trace=first.t,
        spots=tuple(spots),
        calls=frozenset(one.s for one in suspects),
        # What tools take may be known from somewhere that is not recorded.
        grade=Grade.EXPLICIT if sure else Grade.INFERRED,
        waste=Waste(
            calls=len(suspects),
            tokens=sum(one.tokens for one in suspects),
            cost=sum(one.cost for one in suspects),
            ns=sum(one.ns for one in suspects),
        ),
        strength=len(suspects),
        recovered=suspects[-1].recovered,
        slots={"value": first.value, "grounded": f"{counts.grounded / counts.uses:.0%}"},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    agent, tool = wording.quoted(hit.subject.agent), wording.quoted(hit.subject.tool)
    argument = wording.quoted(hit.subject.attributes["argument"])
    value = wording.quoted(hit.slots["value"])
    return wording.Sentences(
        title=f"Agent {agent} makes up the {argument} it calls {tool} with",
        summary=f"{wording.rate(assessment)}: values such as {value} stand in nothing that the run was told,"
        f" while {hit.slots['grounded']} of those that the tool takes do.{wording.harm(assessment)}",
        why="the call with a value that no user, tool or instruction said",
        recommendation=f"Let {tool} refuse a {argument} that the run has not seen, with a message that says which"
        f" tool lists the valid ones, and say in its description that {argument} is to be looked up first.",
    )


UNGROUNDED_ARGUMENT: Final = Detector(
    name="ungrounded_argument",
    category="ungrounded_argument",
    find=ungrounded_argument,
    tell=_tell,
    prior=0.9,
    nature=Nature.RISK,
    isolated=Isolated.STRONG,
    needs_payload=True,
)
