"""Data that leaves where it should not: credentials and personal numbers in answers and in what is sent out.

Judged is only where data *leaves*: what an agent answers, and the arguments of tools that tell others (mail,
chat, tickets, the web, whatever has an addressee) or, for credentials, of any tool that does more than read, run
or keep files. What a tool returns stays inside; that an agent read a secret is no exposure yet. Healthy, and
left alone: what the user said first (a support agent that handles the customer's own data); a field of its own
(a payment's card number, a request's authorization, extracted JSON); a credential that the run itself made for
somebody (`create_api_key`, `login`). What is sensitive is said by `redact`; a value shows at most
four of its characters.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Isolated, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Spot, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject
from halo_otel.redact import Sensitive, credentials, personal

_PLACES_SHOWN: Final = 3  # evidence spans of one trace

# Words in a tool's name. Who only reads mail or tickets sends nothing; a question to the web goes out.
_WEB: Final = "web google bing tavily serp duckduckgo http https url curl browse browser webhook internet".split()
_TELLING: Final = (
    "email mail gmail outlook sms slack discord telegram whatsapp teams tweet twitter message messages msg"
    " notify notification reply respond post publish comment share forward upload gist pastebin issue ticket chat"
    " channel letter fax pager broadcast announce external partner vendor public"
).split()
# Whoever is addressed is told, whatever the tool is called.
_ADDRESSED: Final = r'(?i)"(to|recipients?|cc|bcc|channel|to_?(address|email|number)|(email|phone)_?(address|number|to)?|webhook(_?url)?|partner|vendor|supplier|url|endpoint)":'
_FILES: Final = "file files edit patch str disk directory editor".split()
_MAKING: Final = (
    "create generate regenerate issue rotate mint new register provision reset login authenticate auth signin"
    " token credential credentials secret session oauth"
).split()

# A run's answers are what its first agent says without calling a tool, and the last thing anybody says.
_LEAVING: Final = """
with root as (
  select t, arg_min(s, (p is not null, s)) as s, arg_min(agent, (p is not null, s)) as agent
  from frame_span group by t),
final as (select t, max_by(s, (end_ns, s)) as s from frame_turn group by t),
sent as materialized (
  select s, arguments from frame_text where arguments is not null and regexp_matches(arguments, $prefilter)),
leaving as (
  select turn.t, turn.s, turn.service, turn.agent, '' as tool, text.output as told
  from frame_turn turn join frame_text text using (s) join root on root.t = turn.t
  join final on final.t = turn.t
  where (turn.agent = root.agent or turn.s = final.s)
    and turn.s not in (select turn_s from frame_call where turn_s is not null)
  union all
  select span.t, span.s, span.service, span.agent, '', text.output
  from root join frame_span span using (s) join frame_text text using (s)
  where span.kind in ('agent', 'chain')
  union all
  select t, s, service, agent, tool, arguments
  from (select call.*, sent.arguments, halo_words(call.tool) as words from sent join frame_call call using (s))
  where not handoff and (
    list_has_any(words, $web)
    or effect <> 'read' and (list_has_any(words, $telling) or regexp_matches(arguments, $addressed))
    or $writing and effect in ('write', 'unknown') and not list_has_any(words, $files)))
select leaving.t, leaving.service, leaving.agent, leaving.tool, leaving.s, span.span_id,
       case when span.kind in ('agent', 'chain') then span.end_ns else span.start_ns end as since_ns,
       span.end_ns, span.resource_id, leaving.told
from leaving join frame_span span using (s)
where leaving.told is not null and regexp_matches(leaving.told, $prefilter)
order by leaving.t, leaving.service, leaving.agent, leaving.tool, leaving.s
"""

# Where a value was first said in the trace before it left: by whoever asked, or by a tool. Texts are compared
# without the spaces and dashes that people put into numbers.
_ORIGIN: Final = """
with wanted as (
  select unnest($places::integer[]) as place, unnest($traces::integer[]) as t, unnest($texts::varchar[]) as value,
         unnest($since::bigint[]) as since_ns),
told as (
  select span.t, span.s, span.kind in ('tool', 'retriever') as inside,
         case when inside then span.end_ns else span.start_ns end as told_ns,
         translate(case when inside then coalesce(w.tool_result, w.output_text) else w.input_text end,
                   ' -' || chr(9) || chr(10) || chr(13), '') as text
  from frame_trace trace join spans w using (trace_id)
  join frame_span span on span.t = trace.t and span.span_id = w.span_id
  where trace.t in (select t from wanted) and span.kind in ('tool', 'retriever', 'agent', 'llm', 'chain')),
instructed as (
  select distinct trace.t, translate(said.text, ' -' || chr(9) || chr(10) || chr(13), '') as text
  from frame_trace trace join spans w using (trace_id) join texts said on said.text_id = w.system_instructions
  where trace.t in (select t from wanted)),
heard as (select t, bool_or(not inside and text is not null) as heard from told group by t),
first as (
  select place, min(told_ns) filter (not inside) as asked_ns, min(told_ns) filter (inside) as read_ns,
         min_by(s, (told_ns, s)) filter (inside) as read_s
  from wanted join told on wanted.t = told.t and told_ns <= since_ns and contains(told.text, wanted.value)
  where not (inside and told.s in (select unnest($leaving::integer[]))) group by place)
select wanted.place, coalesce(heard.heard, false) as heard,
       coalesce(first.asked_ns < first.read_ns, first.asked_ns is not null, false) as asked,
       exists (select 1 from instructed where instructed.t = wanted.t and contains(instructed.text, wanted.value)),
       span.span_id, span.end_ns, span.resource_id, call.tool,
       coalesce(call.effect = 'write' or list_has_any(halo_words(call.tool), $making), false) as made
from wanted left join first using (place) left join heard on heard.t = wanted.t
left join frame_span span on span.s = first.read_s left join frame_call call on call.s = first.read_s
order by wanted.place
"""


class _Leaving(NamedTuple):
    t: int
    service: str
    agent: str
    tool: str
    s: int
    span_id: str
    since_ns: int  # what was said later is not where it comes from
    end_ns: int
    resource_id: int
    told: str


class _Origin(NamedTuple):
    place: int
    heard: bool  # what the run was asked is known
    asked: bool  # whoever asked said it first
    instructed: bool  # it stands in the agent's instructions
    span_id: str | None
    end_ns: int | None
    resource_id: int | None
    tool: str | None
    made: bool


class _Found(NamedTuple):
    where: _Leaving
    argument: str
    what: Sensitive


def credential_exposure(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and tool (or answer) by which a credential leaves."""

    def leaves(found: _Found, origin: _Origin) -> bool:
        return not origin.made and (origin.instructed or not origin.asked)

    found = _search(frame, credentials.PREFILTER, _credentials, writing=True)
    return _hits(frame, "credential_exposure", found, leaves)


def personal_data_exposure(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and tool (or answer) by which somebody's number leaves."""

    def leaves(found: _Found, origin: _Origin) -> bool:
        return origin.heard and not origin.asked and not origin.instructed

    found = _search(frame, personal.PREFILTER, _personal, writing=False)
    return _hits(frame, "personal_data_exposure", found, leaves)


def _search(
    frame: Frame, prefilter: str, find: Callable[[str, str], Iterator[Sensitive]], *, writing: bool
) -> list[_Found]:
    words = {"web": _WEB, "telling": _TELLING, "files": _FILES, "addressed": _ADDRESSED}
    rows = frame.con.execute(_LEAVING, {**words, "prefilter": prefilter, "writing": writing})
    return [
        _Found(where, argument, what)
        for where in map(_Leaving._make, rows.fetchall())
        for argument, text in _texts(where.told)
        for what in find(argument, text)
    ]


def _texts(told: str) -> Iterator[tuple[str, str]]:
    """The texts in `told` with the name each goes by; of what is no JSON the whole, without a name."""
    try:
        value: object = json.loads(told) if told[:1] in ("{", "[") else told
    except (ValueError, RecursionError):
        value = told
    todo: list[tuple[str, object]] = [("", value)]
    while todo:
        name, value = todo.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict):
            todo += [(f"{name}.{key}" if name else key, item) for key, item in value.items()]
        elif isinstance(value, list):
            todo += [(name, item) for item in value]


_PLACES_FOR_SECRETS: Final = (
    "auth token secret password passwd credential apikey api_key api-key access_key private_key cookie bearer"
    " header dsn connection database_url db_url"
).split()


def _credentials(argument: str, text: str) -> Iterator[Sensitive]:
    """A credential in the field that is there for it is where it belongs."""
    name = argument.lower()
    if not any(word in name for word in _PLACES_FOR_SECRETS):
        yield from credentials.find(text)


def _personal(argument: str, text: str) -> Iterator[Sensitive]:
    """A number that fills a field of its own is what the field is for; within words it is told."""
    for number in personal.find(text):
        before, after = text[: number.start].strip(), text[number.end :].strip()
        if (before or after) and not (before[-1:] == after[:1] == '"'):
            yield number


def _hits(
    frame: Frame,
    detector: str,
    found: Sequence[_Found],
    leaves: Callable[[_Found, _Origin], bool],
) -> list[Hit]:
    origins = _origins(frame, found)
    pairs = [(one, origins[one.where.t, one.what.value]) for one in found]
    kept = [(one, origin) for one, origin in pairs if leaves(one, origin)]
    return [
        _hit(detector, list(same)) for _, same in groupby(kept, key=lambda pair: pair[0].where[:4])
    ]


def _origins(frame: Frame, found: Sequence[_Found]) -> Mapping[tuple[int, str], _Origin]:
    """Where each value of a trace was first said."""
    since: dict[tuple[int, str], int] = {}
    for one in found:
        value = one.where.t, one.what.value
        since[value] = min(one.where.since_ns, since.get(value, one.where.since_ns))
    if not since:
        return {}
    values = sorted(since)
    rows = frame.con.execute(
        _ORIGIN,
        {
            "places": list(range(len(values))),
            "traces": [t for t, _ in values],
            "texts": [value for _, value in values],
            "since": [since[value] for value in values],
            "leaving": sorted({one.where.s for one in found}),
            "making": _MAKING,
        },
    )
    return {values[origin.place]: origin for origin in map(_Origin._make, rows.fetchall())}


def _hit(detector: str, found: list[tuple[_Found, _Origin]]) -> Hit:
    first = found[0][0].where
    spots: dict[str, Spot] = {}
    for one, origin in found:
        where = one.where
        place = (
            f" in argument {wording.quoted(one.argument)}" if one.argument and where.tool else ""
        )
        spots.setdefault(
            where.span_id,
            spot(where, Role.CAUSE, f"{one.what.kind} {one.what.shown}{place}"),
        )
        if origin.span_id is not None:
            spots.setdefault(
                origin.span_id,
                spot_at(
                    origin.span_id,
                    origin.end_ns,
                    origin.resource_id,
                    Role.SYMPTOM,
                    f"where the agent read it: {one.what.kind} {one.what.shown}",
                ),
            )
    sure = all(origin.span_id is not None or origin.instructed for _, origin in found)
    return Hit(
        detector=detector,
        category="data_exposure",
        subject=Subject(service=first.service, agent=first.agent, tool=first.tool or None),
        # Any run could have told it: a tool that is called for nothing else would always have.
        exposure=Group(first.service, first.agent, EVERYTHING),
        scope=("tool" if first.tool else "answer",),
        trace=first.t,
        spots=tuple(spots.values())[:_PLACES_SHOWN],
        calls=frozenset(one.where.s for one, _ in found),
        grade=Grade.EXPLICIT if sure else Grade.INFERRED,
        strength=len({one.what.value for one, _ in found}),
        slots={
            "kinds": "|".join(sorted({one.what.kind for one, _ in found})),
            "arguments": "|".join(sorted({one.argument for one, _ in found if one.argument})),
            "sources": "|".join(sorted({origin.tool for _, origin in found if origin.tool})),
            "instructed": "yes" if any(origin.instructed for _, origin in found) else "",
        },
    )


def _said(assessment: Assessment, slot: str) -> list[str]:
    """What the hits say in a slot, each once."""
    hits = [hit for found in assessment.pattern.hits.values() for hit in found]
    return sorted({part for hit in hits for part in hit.slots[slot].split("|") if part})


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    secret = hit.detector == "credential_exposure"
    what = "credentials" if secret else "personal data"
    kinds = ", ".join(_said(assessment, "kinds"))
    tool = wording.quoted(hit.subject.tool)
    way = f"through tool {tool}" if hit.subject.tool else "in answers"
    sources = [wording.quoted(source) for source in _said(assessment, "sources")[:3]]
    read = f" It was read from {', '.join(sources)}." if sources else ""
    if _said(assessment, "instructed"):
        read += " It stands in the agent's instructions."
    arguments = [wording.quoted(name) for name in _said(assessment, "arguments")[:3]]
    place = f"argument {', '.join(arguments)} of {tool}" if hit.subject.tool and arguments else way
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} gives away {what} {way}",
        summary=f"{wording.rate(assessment)}: {kinds}, {place}.{read}{wording.harm(assessment)}",
        why=f"the span by which the {what} left",
        recommendation=_cure(kinds, place, sources, secret=secret),
    )


def _cure(kinds: str, place: str, sources: list[str], *, secret: bool) -> str:
    origin = f"what {', '.join(sources)} returns" if sources else "the agent's context"
    if secret:
        return (
            f"Revoke and renew what was shown ({kinds}), also in the traces themselves. Take secrets out of {origin}: "
            f"let the tool look them up by name when it runs. Refuse anything of that form in {place}."
        )
    return (
        f"Mask it ({kinds}) in {origin} to the last four characters before the agent sees it, and refuse whole "
        f"numbers of that form in {place}; pass an id where the other side needs to find the person."
    )


CREDENTIAL_EXPOSURE: Final = Detector(
    name="credential_exposure",
    category="data_exposure",
    find=credential_exposure,
    tell=_tell,
    prior=0.95,
    nature=Nature.RISK,
    isolated=Isolated.ALWAYS,
    needs_payload=True,
)
PERSONAL_DATA_EXPOSURE: Final = Detector(
    name="personal_data_exposure",
    category="data_exposure",
    find=personal_data_exposure,
    tell=_tell,
    prior=0.95,
    nature=Nature.RISK,
    habit=Habit.SHOWN,
    needs_payload=True,
)
