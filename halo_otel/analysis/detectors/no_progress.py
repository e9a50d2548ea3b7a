"""No progress: many steps in a row that bring nothing new and write nothing.

detectors.md §2.3 #9: at least eight (p95 of good episodes there). A call brings nothing when its answer was seen
before in the trace, when it fails, or when its short answer holds no word that the trace has not already seen in
answers, arguments or the task ("no results for …" with the query in it). A call that writes, or may write, and works is
progress unless it is the very same call again, or says that nothing came of it. A call whose answer changes when
it is made again was a wait or a retry that worked. An unknown answer is taken to be new.
"""

from itertools import groupby
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Habit, Nature
from halo_otel.analysis.claims.hit import EVERYTHING, Grade, Group, Hit, Waste, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_STEPS_MIN: Final = 8
_SHORT_CHARS: Final = 300  # longer answers with another hash are taken to be new

# The same short answer of a tool that may write ("done") is no sign, unless it says that nothing came of it.
_NOTHING: Final = r"(^\s*(\[\s*\]|\{\s*\}|null|none|nothing)?\s*$|\b(no|not|nothing|none|zero|0) (\w+ ){0,2}(found|results?|match\w*|hits?|records?|rows|changes?|progress)\b)"

# First the cheap signs: rows of calls that may be stale, by hashes and lengths alone. Only what was said in
# the traces of such rows is cut into words.
_BUSY: Final = """
create or replace temp table no_progress_busy as
select distinct call.t from frame_call call join frame_span span using (s)
group by call.t, call.agent
having count(*) >= $steps
   and count(*) filter (call.failed or span.result_chars <= $short) + count(*) - count(distinct call.obs) >= $steps
"""
_STALE: Final = """
with told as (
  select call.t, call.service, call.agent, call.s, call.tool, call.effect, call.failed, call.obs,
         row_number() over (partition by call.t, call.obs order by call.s) > 1 and call.obs is not null as seen,
         row_number() over (partition by call.t, call.sig, call.obs order by call.s) > 1
           and call.sig is not null and call.obs is not null as same,
         coalesce(last_value(call.obs) over (partition by call.t, call.sig order by call.s
           rows between unbounded preceding and unbounded following) <> call.obs and call.sig is not null, false) as waited,
         coalesce(span.result_chars <= $short, false) as short
  from frame_call call join frame_span span using (s)
  where not call.handoff and call.t in (select t from no_progress_busy)),
maybe as (
  select *, case when waited then false when failed then true when effect = 'read' then seen or short
                 when effect = 'unknown' then same or short else same end as stale
  from told),
rows as (
  select *, sum((not stale)::integer) over (partition by t, agent order by s) as row from maybe),
long as (
  select *, count(*) filter (stale) over (partition by t, service, agent, row) as steps from rows),
row as (select * from long where stale and steps >= $steps),
text as (
  select call.t, call.s, lower(coalesce(text.result, '')) as result, lower(coalesce(text.arguments, '')) as arguments
  from frame_call call join frame_text text using (s) where call.t in (select t from row)),
task as (
  select span.t, min(span.s) as s, lower(min_by(text.input, span.s)) as words
  from frame_text text join frame_span span using (s)
  where span.kind in ('agent', 'llm', 'chain') and text.input is not null and span.t in (select t from row)
  group by span.t),
word as (
  select t, s, 1 as heard, unnest(list_distinct(regexp_extract_all(result, '[\\pL\\pN]{3,}'))) as word from text
  union all
  select t, s, 0, unnest(list_distinct(regexp_extract_all(arguments, '[\\pL\\pN]{3,}'))) from text
  union all
  select t, -1, 0, unnest(list_distinct(regexp_extract_all(words, '[\\pL\\pN]{3,}'))) from task),
first as (
  select t, word, min_by(s, (s, heard)) as s, min_by(heard, (s, heard)) as heard from word group by all),
news as (select t, s, count(*) as words from first where heard = 1 group by all),
sure as (
  select row.* exclude (stale, steps),
         failed or same or (effect = 'read' or regexp_matches(text.result, $nothing))
                           and (seen or coalesce(news.words, 0) = 0) as stale
  from row left join news using (t, s) left join text using (t, s)),
again as (
  select *, sum((not stale)::integer) over (partition by t, service, agent, row order by s) as part from sure)
select again.t, again.service, again.agent, again.row, again.part, again.s, span.span_id, span.end_ns, span.resource_id,
       call.tool, call.tokens, call.cost, call.work_ns
from again join frame_call call using (s) join frame_span span using (s)
where again.stale
qualify count(*) over (partition by again.t, again.service, again.agent, again.row, again.part) >= $steps
order by again.t, again.service, again.agent, again.s
"""


class _Step(NamedTuple):
    t: int
    service: str
    agent: str
    row: int
    part: int
    s: int
    span_id: str
    end_ns: int
    resource_id: int
    tool: str
    tokens: int
    cost: float
    work_ns: int


def no_progress(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace and agent: all its rows of at least eight steps without anything new."""
    limits = {"short": _SHORT_CHARS, "steps": _STEPS_MIN}
    busy = frame.con.execute(_BUSY, limits).fetchone()
    rows = []
    if busy != (0,):
        rows = frame.con.execute(_STALE, {**limits, "nothing": _NOTHING}).fetchall()
    frame.con.execute("drop table no_progress_busy")
    return [
        _hit(list(same)) for _, same in groupby(map(_Step._make, rows), key=lambda row: row[:3])
    ]


def _hit(steps: list[_Step]) -> Hit:
    first, last = steps[0], steps[-1]
    tools = sorted({step.tool for step in steps})
    return Hit(
        detector="no_progress",
        category="no_progress",
        subject=Subject(service=first.service, agent=first.agent),
        exposure=Group(first.service, first.agent, EVERYTHING),
        trace=first.t,
        spots=(
            spot(first, Role.CAUSE, f"from here on {len(steps)} calls bring nothing new"),
            spot(last, Role.SYMPTOM, "the last of them"),
        ),
        calls=frozenset(step.s for step in steps),
        grade=Grade.INFERRED,
        waste=Waste(
            calls=len(steps),
            tokens=sum(step.tokens for step in steps),
            cost=sum(step.cost for step in steps),
            ns=sum(step.work_ns for step in steps),
        ),
        strength=len(steps),
        slots={"tools": ", ".join(wording.quoted(tool) for tool in tools[:4])},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)} takes many steps without learning or changing anything",
        summary=f"{wording.rate(assessment)}: up to {wording.most(assessment)} calls of {hit.slots['tools']} bring nothing "
        f"that was not known.{wording.waste(assessment)}{wording.harm(assessment)}",
        why="the first call of a row that brings nothing new",
        recommendation=f"Stop or replan after {_STEPS_MIN} calls that bring nothing new: tell the agent what it has already tried, "
        "and let it ask the user or answer with what it has.",
    )


NO_PROGRESS: Final = Detector(
    name="no_progress",
    category="no_progress",
    find=no_progress,
    tell=_tell,
    prior=0.95,
    nature=Nature.RISK,
    habit=Habit.SHOWN,
    needs_payload=True,
    claims_calls=True,
)
