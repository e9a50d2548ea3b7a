"""Calls of tools that do not exist.

A name is no tool if the error of its call says so; if no list of tools in the trace has it (prefixes of MCP
servers and frameworks aside) and it never succeeds; or, where traces have no lists, if it never succeeds while
a tool of nearly the same name is called twenty times as often (detectors.md §1.4b). A tool that always fails is
not an unknown one: unless the error says it, the name must be like one that exists or be the model's own words,
and an error of a backend means that there is a tool.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.analysis.usual.tooluse import Tool
from halo_otel.analysis.wrongcalls import complaints, schemas
from halo_otel.analysis.wrongcalls.offered import Offered, same
from halo_otel.model.finding import Role, Subject

_TWIN_SIMILAR_MIN: Final = 0.93  # Jaro-Winkler (§1.4b)
# How much more often the twin is called. §1.4b asks for fifty; what is that rare is below the systemic gate.
_TWIN_TIMES_MIN: Final = 20
_OF_TOOLS: Final = re.compile(r"\btool\b", re.IGNORECASE)
_TEXT_CHARS_MAX: Final = 300

# Failed calls of tools that never succeed, failures of any span that speak of a missing tool, and answers that
# begin by saying so (some frameworks hand the error to the model as a result).
_SUSPECTS: Final = """
with never as (
  select unnest($services::varchar[]) as service, unnest($tools::varchar[]) as tool),
given as (
  select t, string_agg(distinct definitions::varchar, ',' order by definitions::varchar) as lists
  from frame_offer group by all),
agents as (select distinct t, agent from frame_offer),
said as (
  select s, left(result, $chars) as text from frame_text
  where result is not null and kind = 'tool' and regexp_matches(left(result, 120), $complaint)),
suspect as (
  select span.s, coalesce(said.text, left(span.error_text, $chars)) as text, said.s is not null as told
  from frame_span span left join said using (s)
  where said.s is not null
     or (span.failed and regexp_matches(left(span.error_text, $chars), $complaint))
     or span.s in (select s from frame_call semi join never using (service, tool) where failed))
select span.t, span.s, span.kind, span.service, span.agent, coalesce(call.tool, '') as tool,
       coalesce(suspect.text, '') as text, coalesce(given.lists, '') as lists, agents.t is not null as given,
       coalesce(called.arguments, '') as arguments,
       coalesce(contains(asked.output, call.tool), false) as asked,
       span.span_id, span.end_ns, span.resource_id,
       coalesce(call.tokens, 0) as tokens, coalesce(call.cost, 0.0) as cost, coalesce(call.work_ns, 0) as ns,
       turn.span_id as turn_span_id, turn.end_ns as turn_end_ns, turn.resource_id as turn_resource
from suspect join frame_span span using (s)
left join frame_call call using (s)
left join frame_text called on called.s = call.s
left join frame_span turn on turn.s = call.turn_s
left join frame_text asked on asked.s = call.turn_s
left join given on given.t = span.t
left join agents on agents.t = span.t and agents.agent = span.agent
where call.s is not null or span.kind not in ('tool', 'retriever')
order by span.t, span.s
"""


class _Suspect(NamedTuple):
    t: int
    s: int
    kind: str
    service: str
    agent: str
    tool: str
    text: str
    lists: str
    given: bool
    arguments: str
    asked: bool
    span_id: str
    end_ns: int
    resource_id: int
    tokens: int
    cost: float
    ns: int
    turn_span_id: str | None
    turn_end_ns: int | None
    turn_resource: int | None


class _Unknown(NamedTuple):
    suspect: _Suspect
    name: str
    meant: str  # the tool there is, "" if none is like it
    absent: bool  # from what was offered; else the agent was offered what its runtime does not have
    explicit: bool


def unknown_tool(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and name."""
    found = sorted(_unknown(frame, profile), key=_identity)
    return [_hit(list(alike)) for _, alike in groupby(found, key=_identity)]


def _identity(unknown: _Unknown) -> tuple[int, str, str, str]:
    return unknown.suspect.t, unknown.suspect.service, unknown.suspect.agent, unknown.name


def _unknown(frame: Frame, profile: Profile) -> Iterator[_Unknown]:
    never = sorted(tool for tool, use in profile.tools.items() if use.calls.ok == 0)
    parameters = {
        "services": [tool.service for tool in never],
        "tools": [tool.name for tool in never],
        "complaint": complaints.NO_TOOL_PREFILTER,
        "chars": _TEXT_CHARS_MAX,
    }
    suspects = frame.con.execute(_SUSPECTS, parameters).fetchall()
    offered = Offered(frame) if suspects else None
    named: set[tuple[int, str]] = set()
    for suspect in sorted(map(_Suspect._make, suspects), key=lambda s: (s.t, not s.tool, s.s)):
        assert offered is not None
        known = suspect.lists if suspect.lists and offered.knows(suspect.lists) else ""
        names = offered.names(known) if known else frozenset()
        name = _said(suspect)
        if name is None:
            unknown = _silent(frame, profile, suspect, names)
        else:
            meant = _nearest(frame, profile, suspect, name, names)
            offer = any(same(name, one) for one in names) or _ever_ok(profile, suspect, name)
            unknown = _Unknown(suspect, name, meant, not offer, True)
        if unknown is None or (not suspect.tool and (suspect.t, unknown.name) in named):
            continue  # a span above the call says it again
        named.add((suspect.t, unknown.name))
        yield unknown


def _said(suspect: _Suspect) -> str | None:
    """The tool that the error says there is not."""
    name = complaints.missing_tool(suspect.text)
    if name is None or not suspect.tool:
        return name or None
    if not name or same(name, suspect.tool):
        return suspect.tool
    # A client of many tools, or a framework's stand-in for a call it could not make, got the name.
    said = _OF_TOOLS.search(suspect.text) is not None and f'"{name}"' in suspect.arguments
    return name if said else None


def _silent(
    frame: Frame, profile: Profile, suspect: _Suspect, names: frozenset[str]
) -> _Unknown | None:
    """A tool that never succeeds and whose error does not say why."""
    tool = suspect.tool
    if not tool or _ever_ok(profile, suspect, tool) or complaints.of_backend(suspect.text):
        return None
    if suspect.given and names:
        if any(same(tool, one) for one in names):
            return None
        meant = schemas.nearest(frame.con, tool, names)
        return _Unknown(suspect, tool, meant, True, True) if meant or suspect.asked else None
    if suspect.lists:
        return None  # other agents of the trace have lists, this one's are not known
    calls = profile.tools[Tool(suspect.service, tool)].calls.traces
    twins = [
        other.name
        for other, use in profile.tools.items()
        if other.service == suspect.service and use.calls.ok >= _TWIN_TIMES_MIN * calls
    ]
    meant = schemas.nearest(frame.con, tool, twins, _TWIN_SIMILAR_MIN)
    return _Unknown(suspect, tool, meant, True, False) if meant else None


def _ever_ok(profile: Profile, suspect: _Suspect, name: str) -> bool:
    use = profile.tools.get(Tool(suspect.service, name))
    told_as_result = suspect.text and complaints.missing_tool(suspect.text) is not None
    return use is not None and use.calls.ok > (use.calls.traces if told_as_result else 0)


def _nearest(
    frame: Frame, profile: Profile, suspect: _Suspect, name: str, names: frozenset[str]
) -> str:
    known = names or {
        tool.name
        for tool, use in profile.tools.items()
        if tool.service == suspect.service and use.calls.ok > 0
    }
    return schemas.nearest(frame.con, name, known)


def _hit(unknown: list[_Unknown]) -> Hit:
    first, suspect = unknown[0], unknown[0].suspect
    calls = [one.suspect for one in unknown]
    spots = [
        spot(suspect, Role.CAUSE, suspect.text or f"no tool of this name was offered: {first.name}")
    ]
    if suspect.turn_span_id is not None:
        spots.append(
            spot_at(
                suspect.turn_span_id,
                suspect.turn_end_ns,
                suspect.turn_resource,
                Role.SYMPTOM,
                "the model turn that named the tool",
            )
        )
    return Hit(
        detector="unknown_tool",
        category="unknown_tool",
        subject=Subject(service=suspect.service, agent=suspect.agent, tool=first.name),
        # Whoever calls it is wrong, so all runs of the agent could have shown it.
        exposure=Group(suspect.service, suspect.agent, EVERYTHING),
        trace=suspect.t,
        spots=tuple(spots),
        calls=frozenset(call.s for call in calls),
        grade=Grade.EXPLICIT if any(one.explicit for one in unknown) else Grade.INFERRED,
        waste=Waste(
            calls=len(calls),
            tokens=sum(call.tokens for call in calls),
            cost=sum(call.cost for call in calls),
            ns=sum(call.ns for call in calls),
        ),
        strength=len(calls),
        slots={"meant": first.meant, "absent": "yes" if first.absent else ""},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    agent, tool = wording.quoted(hit.subject.agent), wording.quoted(hit.subject.tool)
    meant = hit.slots["meant"]
    if not hit.slots["absent"]:
        cure = (
            f"{tool} is offered to the agent or works in other runs, so it is not invented: register it where"
            " the failing runs execute, or take it out of the definitions given to them."
        )
    elif meant:
        cure = (
            f"The nearest tool there is: {wording.quoted(meant)}. Accept {tool} as another name of it, or name"
            " it that way in the instructions, and let the error list the tools there are."
        )
    else:
        cure = (
            f"Take {tool} out of the agent's instructions and examples if it stands there, and let the error"
            " list the tools there are; if the agent needs it, offer it."
        )
    return wording.Sentences(
        title=f"Agent {agent} calls the tool {tool}, which "
        + ("there is not" if hit.slots["absent"] else "its runtime does not have"),
        summary=f"{wording.rate(assessment)}.{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the call of a tool that does not exist",
        recommendation=cure,
    )


UNKNOWN_TOOL: Final = Detector(
    name="unknown_tool",
    category="unknown_tool",
    find=unknown_tool,
    tell=_tell,
    prior=0.96,
    nature=Nature.FAULT,
    own_doing=True,
    isolated=Isolated.ANY,
    fails=True,
)
