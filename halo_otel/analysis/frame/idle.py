"""How long agents did nothing: times in an agent's span during which nothing it started was running.

    frame_idle  t, s, service, agent, gap_ns, run_ns, gap_end_ns, before_s, after_s, wait_s

One row per agent span, and per call that was there before the agent that it asked for began (a queue).
The `gap_*` are those of the longest time. A span that only tells of waiting (`queue.wait`, `acquire lock`)
is waiting itself, and so is a call of a tool that by its name or its description does nothing else, as long
as nothing runs beside it. What waits for a person is no idleness: a gap beside an approval, or between two
answers of the model (the user's turn).
"""

from typing import Final

import duckdb

TABLES: Final = ("frame_idle",)

_HUMAN: Final = (
    r"(?i)human|approv|confirm|\buser|ask_user|review|sign.?off|consent|feedback|interrupt"
)
_WAITS: Final = (
    r"(?i)(^|[^a-z])(wait|waiting|queue|queued|lock|acquire|throttle|semaphore|blocked|backlog)"
)
# Tools that wait: `wait_for_worker`, `acquireLock`, `reserve_slot`; or "Waits until the job is done.".
_WAIT_TOOLS: Final = r"(?i)(^|[^a-z])(a?wait|((acquire|reserve|obtain|claim)_?(slot|lock|lease|permit|semaphore|turn|capacity|quota)))"
_DESCRIBED: Final = (
    r'"name"\s*:\s*"([^"]{1,100})"\s*,\s*"description"\s*:\s*"[Ww]aits?\s+(?:for|until)\b[^"]*"'
)

_IDLE: Final = rf"""
create temp table frame_idle as
with described as (
  select text_id as definitions, unnest(regexp_extract_all(text, '{_DESCRIBED}')) as definition
  from texts where text_id in (select definitions from frame_offer) and regexp_matches(text, '"[Ww]aits?\s')),
-- Of a trace: another service's tool of the same name may do something else.
wait_tool as (
  select t, tool from frame_call where tool in (
    select tool from (select distinct tool from frame_call)
    where regexp_matches(tool, '{_WAIT_TOOLS}') and not regexp_matches(tool, '{_HUMAN}'))
  union
  select t, regexp_extract(definition, '{_DESCRIBED}', 1) from described join frame_offer using (definitions)
  where not regexp_matches(definition, '{_HUMAN}')),
holder as (
  select s, t, service, agent, start_ns, end_ns, true as is_agent from frame_span where kind = 'agent'
  union all
  select distinct top.s, top.t, low.service, low.agent, top.start_ns, top.end_ns, false
  from frame_span low join frame_span top on low.p = top.s
  where low.kind = 'agent' and top.kind in ('tool', 'chain') and low.agent <> top.agent),
child as (
  select holder.s as holder, low.s, low.start_ns, low.end_ns, low.kind, low.name,
         low.kind in ('other', 'chain') and regexp_matches(low.name, '{_WAITS}')
           and not regexp_matches(low.name, '{_HUMAN}') as waits
  from frame_span low join holder on low.p = holder.s),
wait as (
  select holder, s, start_ns, end_ns, false as is_call from child where waits
  union all
  select span.run, call.s, call.start_ns, call.end_ns, true
  from frame_call call semi join wait_tool using (t, tool) join frame_span span using (s)
  where span.run is not null and not delegates and not handoff),
busy as (
  select distinct wait.s from wait join frame_span span on span.run = wait.holder join frame_call other on span.s = other.s
  where is_call and other.start_ns < wait.end_ns and other.end_ns > wait.start_ns and other.s not in (select s from wait)),
edge as (
  select holder, s, start_ns, end_ns, kind, name from child where not waits
  union all
  select s, null, end_ns, end_ns, 'end', '' from holder
  where is_agent and s in (select holder from child)),
gap as (
  select edge.holder, edge.s as after_s, edge.kind as after_kind, edge.name as after_name, edge.start_ns as gap_end_ns,
         coalesce(max(edge.end_ns) over w, holder.start_ns) as gap_start_ns, arg_max(edge.s, edge.end_ns) over w as before_s
  from edge join holder on edge.holder = holder.s
  where holder.is_agent or edge.s is not null
  window w as (partition by edge.holder order by edge.start_ns, edge.s nulls last
               rows between unbounded preceding and 1 preceding)
  qualify holder.is_agent or row_number() over (partition by edge.holder order by edge.start_ns, edge.s) = 1),
long as (
  select gap.*, gap_end_ns - gap_start_ns as gap_ns
  from gap left join frame_span before on gap.before_s = before.s
  where gap_end_ns - gap_start_ns >= 1000000000
    and not regexp_matches(coalesce(before.name, '') || ' ' || after_name, '{_HUMAN}')
    and not (coalesce(before.kind = 'llm', false) and after_kind in ('llm', 'agent', 'end'))
  union all
  select holder, null, 'end', '', end_ns, start_ns, null, end_ns - start_ns
  from wait where is_call and end_ns - start_ns >= 1000000000 and s not in (from busy)),
total as (
  select holder as s, max(gap_ns) as gap_ns, arg_max(gap_end_ns, (gap_ns, gap_end_ns)) as gap_end_ns,
         arg_max_null(before_s, (gap_ns, gap_end_ns)) as before_s, arg_max_null(after_s, (gap_ns, gap_end_ns)) as after_s
  from long group by holder),
run as (select t, max(end_ns) - min(start_ns) as run_ns from frame_span group by t)
select holder.t, holder.s, holder.service, holder.agent, coalesce(total.gap_ns, 0) as gap_ns, run.run_ns, total.gap_end_ns, total.before_s, total.after_s, waiting.s as wait_s
from holder join run using (t) left join total using (s)
left join (select holder as s_, arg_max(s, (end_ns - start_ns, s)) as s from wait group by holder) waiting
  on waiting.s_ = holder.s
"""  # noqa: S608 our patterns


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make `frame_idle` of the frame on `con`."""
    con.execute(_IDLE)
