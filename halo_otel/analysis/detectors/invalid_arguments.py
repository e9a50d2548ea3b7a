"""Calls whose arguments break the tool's schema: the one in the trace, else the one its successes teach.

detectors.md §1.4a and b. What is wrong is found once per shape of arguments (`analysis.schemas`). It counts as
*refused* where the call failed and either its error names the argument, or calls of this shape hardly ever
succeed while others of the tool mostly do; that the tool failed alone proves nothing, since backends fail, too.
Where the tool takes what its definition forbids, that is told as information: the definition is wrong or the
argument is ignored. Where the arguments or both schemas are unknown the detectors abstain.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.analysis.usual.tooluse import Tool, ToolUse, Use
from halo_otel.analysis.wrongcalls import complaints, schemas
from halo_otel.analysis.wrongcalls.offered import Offered
from halo_otel.analysis.wrongcalls.schemas import Kind, Schema, Violation
from halo_otel.model.finding import Role, Subject

_TOOL_OK_MIN: Final = 0.5  # a tool that mostly fails teaches nothing (§1.4b)
_CHANCE_MAX: Final = (
    0.01  # … that all traces with such a call fail as often as the tool does anyway
)

_SHAPES: Final = """
with given as (
  select t, agent, string_agg(definitions::varchar, ',' order by definitions) as lists
  from frame_offer group by all)
select service, tool, shape, coalesce(lists, '') as lists, list(s order by s) as calls
from (
  select shape.*, lists from frame_shape shape left join given using (t, agent)
  where failed = $refused and ($refused or lists is not null)
  qualify $refused or row_number() over (partition by t, agent, tool, shape order by s) = 1)
group by service, tool, shape, lists order by service, tool, shape, lists
"""
_VALUES: Final = """
with given as (
  select t, agent, string_agg(definitions::varchar, ',' order by definitions) as lists
  from frame_offer group by all),
listed as (
  select unnest($lists::varchar[]) as lists, unnest($tools::varchar[]) as tool,
         unnest($names::varchar[]) as name, unnest($allowed::varchar[][]) as allowed)
select argument.s, argument.name, argument.value, allowed
from frame_argument argument join given using (t, agent)
join listed on listed.lists = given.lists and listed.tool = argument.tool and listed.name = argument.name
where not list_contains(allowed, argument.value)
order by argument.s, argument.name
"""
_CALLS: Final = """
with wanted as (select unnest($calls::integer[]) as s),
success as (select t, agent, tool, max(start_ns) as start_ns from frame_call where not failed group by all)
select call.s, call.t, call.service, call.agent, call.tool, call.failed,
       coalesce(success.start_ns >= call.end_ns, false) as recovered, span.span_id, span.end_ns,
       span.resource_id, call.tokens, call.cost, call.work_ns as ns, coalesce(span.error_text, '') as text,
       turn.span_id as turn_span_id, turn.end_ns as turn_end_ns, turn.resource_id as turn_resource
from frame_call call join wanted using (s) join frame_span span using (s)
left join frame_span turn on call.turn_s = turn.s
left join success on call.t = success.t and call.agent = success.agent and call.tool = success.tool
order by call.s
"""
_COMPLAINTS: Final = """
select shape.s from frame_shape shape join frame_span span using (s)
where shape.failed and regexp_matches(span.error_text, $complaint) order by shape.s
"""


class _Call(NamedTuple):
    s: int
    t: int
    service: str
    agent: str
    tool: str
    failed: bool
    recovered: bool
    span_id: str
    end_ns: int
    resource_id: int
    tokens: int
    cost: float
    ns: int
    text: str
    turn_span_id: str | None
    turn_end_ns: int | None
    turn_resource: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """Calls of one tool with one shape of arguments, and the schema they are held against."""

    members: frozenset[str]
    schema: Schema | None
    stated: bool  # … by the definition in the trace
    rare: bool  # calls of this shape do not succeed, the tool's others mostly do
    improbable: bool  # … and that is no chance


class _Wrong(NamedTuple):
    call: _Call
    violation: Violation
    value: str
    explicit: bool


def invalid_arguments(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent, tool, argument and kind of violation that a tool refused."""
    return _hits(frame, profile, refused=True)


def tolerated_arguments(frame: Frame, profile: Profile) -> list[Hit]:
    """The same for what the definition forbids and the tool takes all the same."""
    return _hits(frame, profile, refused=False)


def _hits(frame: Frame, profile: Profile, *, refused: bool) -> list[Hit]:
    found = sorted(_wrongs(frame, profile, refused=refused), key=_identity)
    return [
        _hit([*same], "invalid_arguments" if refused else "tolerated_arguments")
        for _, same in groupby(found, key=_identity)
    ]


def _identity(wrong: _Wrong) -> tuple[int, str, str, str, str, str]:
    call, violation = wrong.call, wrong.violation
    return call.t, call.service, call.agent, call.tool, violation.kind, violation.argument


def _wrongs(frame: Frame, profile: Profile, *, refused: bool) -> Iterator[_Wrong]:
    forms: dict[int, _Form] = {}
    broken: dict[int, list[tuple[Violation, str]]] = {}
    _by_shape(frame, profile, forms, broken, refused=refused)
    complained: set[int] = set()
    if refused:
        rows = frame.con.execute(_COMPLAINTS, {"complaint": complaints.PREFILTER}).fetchall()
        complained = {s for (s,) in rows if s in forms}
    calls = frame.con.execute(_CALLS, {"calls": sorted(broken.keys() | complained)}).fetchall()
    for call in map(_Call._make, calls):
        form = forms[call.s]
        wrong = {(v.kind, v.argument): (v, value) for v, value in broken.get(call.s, ())}
        if not refused:
            yield from (_Wrong(call, *one, False) for one in wrong.values())
            continue
        for violation in _told(frame, call, form):
            wrong.setdefault((violation.kind, violation.argument), (violation, ""))
        renamed = {v.suggestion for v, _ in wrong.values() if v.kind is Kind.UNKNOWN}
        for violation, value in wrong.values():
            if violation.kind is Kind.MISSING and violation.argument in renamed:
                continue
            named = complaints.names(call.text, violation.argument, value)
            if named or _is_refused(call, form, violation):
                yield _Wrong(call, violation, value, named)


def _is_refused(call: _Call, form: _Form, violation: Violation) -> bool:
    """Whether the call failed of it although the error does not name the argument."""
    if violation.kind is Kind.ENUM or not form.rare:
        return False
    if violation.kind is Kind.UNKNOWN and not violation.suggestion:
        return False
    if violation.kind is Kind.MISSING and not form.stated:
        return False  # what agents always pass need not be required
    if complaints.about_arguments(call.text):
        return True
    return form.improbable and (form.stated or violation.kind is Kind.UNKNOWN)


def _told(frame: Frame, call: _Call, form: _Form) -> Iterator[Violation]:
    """What the error says is wrong, as far as it agrees with the call."""
    known = schemas.names(form.schema) if form.schema is not None else []
    for kind, name, meant in complaints.stated(call.text):
        if kind is Kind.UNKNOWN and name in form.members:
            others = [other for other in known if other not in form.members]
            yield Violation(kind, name, schemas.nearest(frame.con, name, others))
        elif kind is Kind.MISSING and name not in form.members and name in known:
            yield Violation(kind, name)
        elif kind in (Kind.TYPE, Kind.ENUM) and name in form.members:
            yield Violation(kind, name, meant)


def _by_shape(
    frame: Frame,
    profile: Profile,
    forms: dict[int, _Form],
    broken: dict[int, list[tuple[Violation, str]]],
    *,
    refused: bool,
) -> None:
    """Fill `forms` and `broken` for the calls that failed, or for those that were taken."""
    offered, lessons = Offered(frame), _Lessons(profile)
    enums: dict[tuple[str, str, str], list[str]] = {}
    rows = frame.con.execute(_SHAPES, {"refused": refused}).fetchall()
    for service, tool, shape, lists, calls in rows:
        stated = offered.schemas(lists, tool) if lists else []
        form = lessons.form(Tool(service, tool), shape, stated)
        forms.update(dict.fromkeys(calls, form))
        for schema in stated[:1]:
            for name, allowed in schemas.allowed(schema).items():
                enums[lists, tool, name] = allowed
        if form.schema is None or not (form.stated or form.rare):
            continue
        wrong = [schemas.violations(schema, schemas.decoded(shape)) for schema in stated]
        if not stated:
            wrong = [schemas.violations(form.schema, schemas.decoded(shape))]
        common = [v for v in wrong[0] if all(v in others for others in wrong)]
        named = [(v, "") for v in _suggested(frame, common, form)]
        if not refused:
            named = [(v, "") for v, _ in named if v.kind is not Kind.UNKNOWN or v.suggestion]
        if named:
            broken.update((s, list(named)) for s in calls)
    for s, violation, value in _values(frame, enums):
        if s in forms:
            broken.setdefault(s, []).append((violation, value))


def _suggested(frame: Frame, found: Iterable[Violation], form: _Form) -> Iterator[Violation]:
    """The violations; unknown names with what was meant: the most similar, or the only one missing."""
    found = list(found)
    missing = [v.argument for v in found if v.kind is Kind.MISSING]
    unknown = [v.argument for v in found if v.kind is Kind.UNKNOWN]
    for violation in found:
        if violation.kind is not Kind.UNKNOWN or "." in violation.argument:
            yield violation
            continue
        names = schemas.names(form.schema) if form.schema is not None else []
        absent = [name for name in names if name not in form.members]
        meant = schemas.nearest(frame.con, violation.argument, absent)
        if not meant and len(missing) == len(unknown) == 1:
            meant = missing[0]
        yield Violation(violation.kind, violation.argument, meant)


def _values(
    frame: Frame, enums: Mapping[tuple[str, str, str], list[str]]
) -> Iterator[tuple[int, Violation, str]]:
    """Members with a value that the definition does not list."""
    if not enums:
        return
    lists, tools, names = zip(*enums, strict=True)
    listed = {"lists": lists, "tools": tools, "names": names, "allowed": [*enums.values()]}
    for s, name, value, allowed in frame.con.execute(_VALUES, listed).fetchall():
        meant = schemas.nearest(frame.con, value, allowed)
        yield s, Violation(Kind.ENUM, name, meant or _one_of(allowed)), value


def _one_of(allowed: list[str]) -> str:
    return " or ".join(allowed[:5]) + (" …" if len(allowed) > 5 else "")


class _Lessons:
    """What the profile teaches about shapes; each tool's schema is learned once."""

    def __init__(self, profile: Profile) -> None:
        self._tools = profile.tools
        self._schemas: dict[Tool, Schema | None] = {}

    def form(self, tool: Tool, shape: str, stated: list[Schema]) -> _Form:
        use = self._tools.get(tool, ToolUse())
        if tool not in self._schemas:
            self._schemas[tool] = schemas.learned(use.shapes)
        such = Use(0, 0) if use.shapes is None else use.shapes.get(shape, Use(0, 0))
        members = schemas.decoded(shape)
        mostly_ok = use.calls.ok > _TOOL_OK_MIN * use.calls.traces
        failing = 1 - use.calls.ok / max(1, use.calls.traces)
        return _Form(
            members=frozenset(members) if isinstance(members, dict) else frozenset(),
            schema=stated[0] if stated else self._schemas[tool],
            stated=bool(stated),
            rare=mostly_ok and such.ok < schemas.OK_RATE_BAD * such.traces,
            improbable=failing ** (such.traces - such.ok) <= _CHANCE_MAX,
        )


def _hit(wrongs: list[_Wrong], detector: str) -> Hit:
    call, violation, value, _ = wrongs[0]
    calls = [wrong.call for wrong in wrongs]
    spots = [spot(call, Role.CAUSE, _note(violation, value, call.text))]
    if call.turn_span_id is not None:
        spots.append(
            spot_at(
                call.turn_span_id,
                call.turn_end_ns,
                call.turn_resource,
                Role.SYMPTOM,
                "the model turn that wrote the arguments",
            )
        )
    failed = detector == "invalid_arguments"
    return Hit(
        detector=detector,
        category="invalid_arguments",
        subject=Subject(
            service=call.service,
            agent=call.agent,
            tool=call.tool,
            attributes={"argument": violation.argument},
        ),
        exposure=Group(call.service, call.agent, "tool", call.tool),
        scope=(violation.kind,),
        trace=call.t,
        spots=tuple(spots),
        calls=frozenset(one.s for one in calls),
        grade=Grade.EXPLICIT if any(wrong.explicit for wrong in wrongs) else Grade.INFERRED,
        waste=Waste(
            calls=len(calls),
            tokens=sum(one.tokens for one in calls),
            cost=sum(one.cost for one in calls),
            ns=sum(one.ns for one in calls),
        )
        if failed
        else Waste(),
        strength=len(calls),
        recovered=calls[-1].recovered or not failed,
        slots={"suggestion": violation.suggestion, "value": value},
    )


def _note(violation: Violation, value: str, text: str) -> str:
    says = f": {text[:120]}" if text else ""
    return f"{violation.kind} {violation.argument}{f' = {value[:40]}' if value else ''}{says}"


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    kind = Kind(assessment.pattern.scope[0])
    agent, tool = wording.quoted(hit.subject.agent), wording.quoted(hit.subject.tool)
    argument = wording.quoted(hit.subject.attributes["argument"])
    meant = hit.slots["suggestion"]
    refused = hit.detector == "invalid_arguments"
    what, cure = _WORDS[kind]
    hint = ""
    if meant:
        hint = f" {_MEANT[kind].format(wording.quoted(meant))}"
    outcome = (
        f"{_calls(assessment)} failed of it; {assessment.recovered_share:.0%} of the runs made it good."
        if refused
        else "The tool takes it all the same: what it does with it is not what the definition says."
    )
    return wording.Sentences(
        title=f"Agent {agent} calls {tool} {what.format(argument)}"
        + ("" if refused else ", and the tool takes it"),
        summary=f"{wording.rate(assessment)}.{hint} {outcome}{wording.harm(assessment)}",
        why="its arguments are not what the tool takes",
        recommendation=cure.format(argument=argument, tool=tool, meant=wording.quoted(meant))
        if meant or kind is Kind.MISSING
        else f"State in the definition of {tool} which arguments it takes, refuse others with a message that"
        f" lists them, and say in its description how to do without {argument}.",
    )


def _calls(assessment: Assessment) -> str:
    n = sum(hit.strength for hits in assessment.pattern.hits.values() for hit in hits)
    return "1 call" if n == 1 else f"{n} calls"


_MEANT: Final = {
    Kind.UNKNOWN: "The tool knows {}.",
    Kind.TYPE: "It has to be {}.",
    Kind.ENUM: "Allowed: {}.",
    Kind.MISSING: "{}",
}
_WORDS: Final = {
    Kind.UNKNOWN: (
        "with the argument {}, which it does not have",
        "Let {tool} accept {argument} as another name of {meant}, or rename {meant} to what the model expects.",
    ),
    Kind.MISSING: (
        "without the argument {}, which it requires",
        "Say in the description of {tool} where {argument} comes from, mark it as required in the definition,"
        " or give it a default.",
    ),
    Kind.TYPE: (
        "with a wrong type of argument {}",
        "State the type of {argument} ({meant}) with an example in the definition of {tool}, enforce it with"
        " strict tool calls, or let the tool convert it.",
    ),
    Kind.ENUM: (
        "with a value of {} that is not allowed",
        "Let {tool} name the allowed values of {argument} when it refuses one, accept other spellings of"
        " {meant}, or enforce the list with strict tool calls.",
    ),
}

INVALID_ARGUMENTS: Final = Detector(
    name="invalid_arguments",
    category="invalid_arguments",
    find=invalid_arguments,
    tell=_tell,
    prior=0.95,
    nature=Nature.FAULT,
    own_doing=True,
    isolated=Isolated.ANY,
    fails=True,
    needs_payload=True,
)
TOLERATED_ARGUMENTS: Final = Detector(
    name="tolerated_arguments",
    category="invalid_arguments",
    find=tolerated_arguments,
    tell=_tell,
    prior=0.9,  # inferred, so it stays information
    nature=Nature.RISK,
    isolated=Isolated.NEVER,
    habit=Habit.SHOWN,
    needs_payload=True,
)
