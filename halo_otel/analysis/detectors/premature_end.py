"""Premature ends: the final answer says it is done while a part of the task is not.

detectors.md §2.3 #35. The last words of the run admit nothing and claim success (`phrases`), or are just a statement
that goes against the agent's own plan; and one of these holds:

    failed   a call that writes, or an agent below the root, failed; it is never made good, nobody is told, and the
             run went on with other things (where it did not, that is an ignored error)
    plan     the agent's own plan, as it last wrote it down, holds items that were not begun
    part     the task names several things of one kind by id; calls are about some of them, and none about others
    said     so does the answer, of things that it says were all done

Abstains where arguments or the final words are not known in full.
"""

from typing import Final, NamedTuple

from halo_otel.analysis.claims import phrases, wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, spot, spot_at
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_PLAN_TOOL: Final = r"(?i)(todo|to_do|plan|checklist|task_?list)"
# As JSON (`TodoWrite`) or as a list of boxes.
_NOT_BEGUN: Final = r'("(?:status|state)"\s*:\s*"(?:pending|not[ _]started|todo|to_do|open|not_begun|queued)"|(?:^|\\n|")\s*[-*] \[ \])'
_NAMES: Final = r"[A-Za-z#]{1,12}[-_#]?[0-9]{2,12}"
_NAMES_MAX: Final = 12
_STATEMENT_CHARS_MIN: Final = 20  # "Done." is no account of what was done
# “A, B and C have been changed”, “I've changed A and B”.
_LIST: Final = r"[\w./#-]*[0-9]{2,}[\w./#-]*(?:(?:,| and|, and| &) [\w./#-]*[0-9]{2,}[\w./#-]*)+"
_SAID: Final = (
    rf"(?i)({_LIST}\)? (?:have|has|are|were|was)(?: now| all| both)?(?: been)?(?: successfully)? (?:{phrases.DONE})\b"
    rf"|\b(?:i|we)(?:['’]ve| have)?(?: now| just| successfully)? (?:{phrases.DONE}) (?:both |all (?:\w+ )?)?{_LIST})"
)

# What runs end on: words, after which nothing is called.
_ENDINGS: Final = """
create or replace temp table frame_ending as
with last as (
  select t, max_by(s, (end_ns, s)) as s from frame_speech where not failed group by t)
select last.t, turn.service, turn.agent, turn.s, turn.start_ns, turn.end_ns, turn.span_id, turn.resource_id,
       text.output, regexp_matches(text.output, $claim) as claims
from last join frame_speech turn using (s) join frame_text text using (s)
where turn.calls = 0 and text.output_chars = length(text.output)
  and not exists (select 1 from frame_call call where call.t = last.t and call.start_ns > turn.start_ns)
  and not regexp_matches(text.output, $admission) and length(text.output) >= $chars_min
  and right(rtrim(text.output), 1) <> '?'
"""
_FAILED: Final = """
with lost as (
  select call.t, call.s, call.tool as what, call.tool, call.start_ns, call.end_ns, ending.start_ns as ending_ns
  from frame_call call join frame_ending ending using (t)
  where ending.claims and call.failed and call.effect in ('write', 'unknown') and call.end_ns <= ending.start_ns
    and not exists (
      select 1 from frame_call later where later.t = call.t and not later.failed and later.start_ns >= call.start_ns
      and (later.tool = call.tool or 2 * len(list_intersect(halo_words(later.tool), halo_words(call.tool)))
           >= len(halo_words(call.tool)) and later.effect <> 'read'))
  union all
  select span.t, span.s, span.agent, null, span.start_ns, span.end_ns, ending.start_ns
  from frame_span span join frame_ending ending using (t)
  where ending.claims and span.kind = 'agent' and span.failed and span.p is not null and span.end_ns <= ending.start_ns
    and not exists (
      select 1 from frame_span later where later.t = span.t and later.kind = 'agent' and later.agent = span.agent
      and not later.failed and later.start_ns >= span.end_ns))
select lost.t, lost.what, lost.s from lost
where exists (select 1 from frame_call later where later.t = lost.t and not later.failed
              and later.start_ns >= lost.end_ns and (later.effect <> 'read' or lost.tool is null))
  and not exists (
    select 1 from frame_speech told join frame_text text using (s)
    where told.t = lost.t and told.calls = 0 and told.start_ns >= lost.end_ns
      and regexp_matches(text.output, $admission))
qualify row_number() over (partition by lost.t order by lost.s) = 1
order by lost.t
"""
_PLAN: Final = """
with plan as (
  select call.t, max(call.s) as s from frame_call call join frame_ending ending using (t)
  where call.effect <> 'read' and not call.failed and regexp_matches(call.tool, $plan_tool) group by call.t)
select plan.t, len(regexp_extract_all(text.arguments, $not_begun))::varchar as what, plan.s
from plan join frame_text text using (s) where regexp_matches(text.arguments, $not_begun) order by plan.t
"""

# Things of one kind have ids of one form: letters are letters, digits are digits. What calls are about is read
# from their whole arguments; one whose arguments are unknown may be about anything.
_TASK: Final = """
  select ending.t, min_by(text.input, span.s) as input, min(span.s) as s
  from frame_ending ending join frame_span span using (t) join frame_text text on text.s = span.s
  where ending.claims and text.input is not null and span.kind in ('agent', 'llm', 'chain') group by ending.t"""
_ANSWER: Final = """
  select t, regexp_extract(output, $said) as input, s from frame_ending where regexp_matches(output, $said)"""
_LEFT_OUT: Final = """
with asked as ({}),
named as (
  select t, s, unnest(list_distinct(regexp_extract_all(input, $names))) as id
  from asked where len(regexp_extract_all(input, $names)) >= 2),
kinds as (
  select t, s, regexp_replace(regexp_replace(upper(id), '[0-9]', '9', 'g'), '[^0-9A-Z]', '', 'g') as kind,
         list(id order by id) as ids
  from named group by all having count(*) between 2 and $names_max),
known as (
  select call.t, string_agg(lower(coalesce(text.arguments, '')), ' ') as arguments
  from frame_call call left join frame_text text using (s) where call.t in (select t from kinds)
  group by call.t having bool_and(call.arguments_known and text.arguments is not null)),
begun as (
  select kinds.*, list_filter(ids, lambda id: not contains(arguments, lower(ltrim(id, '#')))) as untouched
  from kinds join known using (t))
select t, untouched[1] as what, s from begun
where len(untouched) between 1 and len(ids) - 1
qualify row_number() over (partition by t order by kind) = 1
order by t
"""
# Who said it first is to blame: an agent may only pass on another's words.
_SPANS: Final = """
with found as (select unnest($t::integer[]) as t, unnest($s::integer[]) as s),
said as (
  select ending.t, any_value(ending.output) as output, min(turn.s) as s
  from frame_ending ending semi join found using (t) join frame_speech turn using (t)
  join frame_text text on text.s = turn.s
  where turn.calls = 0 and text.output = ending.output group by ending.t)
select said.t, turn.service, turn.agent, turn.s, turn.span_id, turn.end_ns, turn.resource_id,
       left(said.output, 160), cause.span_id, cause.end_ns, cause.resource_id
from said join found using (t) join frame_speech turn on turn.s = said.s join frame_span cause on cause.s = found.s
order by said.t
"""


class _Open(NamedTuple):
    t: int
    service: str
    agent: str
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    said: str
    open_span_id: str
    open_end_ns: int
    open_resource: int


_KINDS: Final = {
    "failed": (_FAILED, "{} failed and was never made good"),
    "plan": (_PLAN, "{} items of the agent's own plan were not begun"),
    "part": (_LEFT_OUT.format(_TASK), "no call is about {}, which the task names"),
    "said": (_LEFT_OUT.format(_ANSWER), "no call is about {}, which the answer says is done"),
}


def premature_end(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace whose last words leave out a part of the task; the surest sign is told."""
    con = frame.con
    con.execute(
        _ENDINGS,
        {"claim": phrases.CLAIM, "admission": phrases.ADMISSION, "chars_min": _STATEMENT_CHARS_MIN},
    )
    parameters: dict[str, dict[str, object]] = {
        "failed": {"admission": phrases.ADMISSION},
        "plan": {"plan_tool": _PLAN_TOOL, "not_begun": _NOT_BEGUN},
        "part": {"names": _NAMES, "names_max": _NAMES_MAX},
        "said": {"names": _NAMES, "names_max": _NAMES_MAX, "said": _SAID},
    }
    found: dict[
        int, tuple[str, str, int]
    ] = {}  # trace -> sign, what is open, the span that shows it
    for sign, (query, _) in _KINDS.items():
        for t, what, s in con.execute(query, parameters[sign]).fetchall():
            found.setdefault(t, (sign, what, s))
    spans = con.execute(
        _SPANS, {"t": sorted(found), "s": [found[t][2] for t in sorted(found)]}
    ).fetchall()
    con.execute("drop table frame_ending")
    return [_hit(end, *found[end.t][:2]) for end in map(_Open._make, spans)]


def _hit(end: _Open, sign: str, what: str) -> Hit:
    is_open = _KINDS[sign][1].format(what if sign == "plan" else wording.quoted(what))
    return Hit(
        detector="premature_end",
        category="premature_end",
        subject=Subject(service=end.service, agent=end.agent),
        exposure=Group(end.service, end.agent, EVERYTHING),
        scope=(sign, what) if sign == "failed" else (sign,),
        trace=end.t,
        spots=(
            spot(end, Role.CAUSE, f"says {wording.quoted(end.said)}"),
            spot_at(end.open_span_id, end.open_end_ns, end.open_resource, Role.SYMPTOM, is_open),
        ),
        calls=frozenset({end.s}),
        grade=Grade.INFERRED,
        slots={"open": is_open, "said": end.said},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} says it is done while a part of the task is not",
        summary=f"{wording.rate(assessment)}: {wording.plain(hit.slots['open'])}, and the run ends with for example "
        f"{wording.quoted(hit.slots['said'])}.{wording.harm(assessment)}",
        why="the final answer, which claims more than was done",
        recommendation="Have the agent go through what was asked, or through its plan, before it answers: each part done, failed "
        "or left out, and say so. End the run only when no part is open.",
    )


PREMATURE_END: Final = Detector(
    name="premature_end",
    category="premature_end",
    find=premature_end,
    tell=_tell,
    prior=0.96,  # times .87 for what is read from words
    nature=Nature.FAULT,
    isolated=Isolated.NEVER,
    fails=True,
    needs_payload=True,
)
