"""The traces to judge as compact TEMP tables with dense integer ids, so that detectors are short SQL.

    frame_trace  t, trace_id, last_arrival_ns                       one row per trace
    frame_span   t, s, p, span_id, kind, agent, tool, …             one row per span; p = parent's s
    frame_turn   t, s, agent, start_ns, end_ns, tokens, cost, …     model calls
    frame_call   t, s, agent, tool, sig, obs, failed, …             logical tool calls
    frame_repeated  t, agent, place, s, sig, obs, failed            calls of runs that may loop, in order

`s` grows with (trace, start time, span id), so "earlier in the trace" is `<`. An agent is the span's
own, else the nearest ancestor's, else the service. `tokens` and `cost` stand only where they are stated
deepest, so their sum counts nothing twice. `sig` is the hash of tool and arguments, `obs` of
what came back, both without volatile parts (`halo_otel.analysis.signatures`); NULL is unknown. A tool
call recorded twice, by the agent and by the MCP client below it, is one call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb

from halo_otel.analysis import signatures
from halo_otel.clock import NS_PER_S

_TABLES: Final = (
    "frame_trace",
    "frame_span",
    "frame_lineage",
    "frame_turn",
    "frame_call",
    "frame_repeated",
)

_TRACES: Final = """
create temp table frame_trace as
select (row_number() over (order by trace_id) - 1)::integer as t, trace_id,
       max(arrival_ns) as last_arrival_ns
from spans semi join (select unnest($traces::varchar[]) as trace_id) using (trace_id)
group by trace_id
"""

# Times and counts are the sender's word: a span of 292 years would make every sum overflow. No agent's
# run takes longer than a week, none has begun after 2116, no model call takes a trillion tokens.
_BOUNDS: Final = {
    "span_ns_max": 7 * 86_400 * NS_PER_S,
    "start_ns_max": 2**62,
    "tokens_max": 10**12,
}

# One pass over the wide rows: texts become hashes and bounded prefixes before anything is sorted. A
# retriever's query and documents are its arguments and result.
_SPANS: Final = """
create temp table frame_span as
with narrow as (
  select f.t, w.span_id, w.parent_span_id, w.start_ns,
         least(greatest(w.end_ns, w.start_ns), w.start_ns + $span_ns_max) as end_ns,
         w.resource_id, coalesce(w.span_kind, 'other') as kind, left(w.name, 200) as name,
         coalesce(w.service, '') as service, nullif(w.agent_name, '') as own_agent,
         nullif(w.session_id, '') as session,
         case when w.span_kind in ('tool', 'retriever')
              then left(coalesce(nullif(w.tool_name, ''), w.name), 200) end as own_tool,
         case when w.span_kind = 'llm' then coalesce(w.model_requested, w.model_served) end as model,
         case when coalesce(w.input_tokens, w.output_tokens) is not null
              then least(coalesce(w.input_tokens, 0), $tokens_max)
                   + least(coalesce(w.output_tokens, 0), $tokens_max) end as tokens,
         w.cost, w.status_code, w.dialects,
         w.handoff_target is not null as hands_off,
         case when w.span_kind = 'llm' then coalesce(w.input_text, w.output_text) is null end as wordless,
         case when w.span_kind = 'llm' then coalesce(w.input_unknown, w.output_unknown)
              when w.span_kind = 'tool' then coalesce(w.arguments_unknown, w.result_unknown) end as unknown, w.finish_reason, w.output_text is not null as answered,
         w.error_source is not null as failed, w.error_source, left(w.error_type, 200) as error_type,
         case when w.error_source is not null
              then left(coalesce(w.error_message, w.status_message, ''), 1000) end as error_text,
         case when w.span_kind = 'tool' then halo_arguments(w.tool_arguments, w.tool_arguments_chars)
              when w.span_kind = 'retriever'
              then halo_arguments(coalesce(w.tool_arguments, w.input_text),
                                  coalesce(w.tool_arguments_chars, w.input_text_chars)) end as arguments,
         case when w.span_kind = 'tool' then halo_observation(w.tool_result, w.tool_result_chars)
              when w.span_kind = 'retriever'
              then halo_observation(coalesce(w.tool_result, w.output_text),
                                    coalesce(w.tool_result_chars, w.output_text_chars)) end as result
  from (select * replace (least(greatest(start_ns, 0), $start_ns_max) as start_ns) from spans) w
  join frame_trace f using (trace_id)),
numbered as (
  select *, (row_number() over (order by t, start_ns, span_id) - 1)::integer as s from narrow)
select child.* exclude (parent_span_id), parent.s as p
from numbered child left join numbered parent
  on child.t = parent.t and child.parent_span_id = parent.span_id and child.s <> parent.s
"""

_DESCENT: Final = """
insert into frame_lineage
with recursive lineage as (
  select s, own_agent as agent, own_tool as tool from frame_span
  where p is null and s not in (select s from frame_lineage)
  union all
  select child.s, coalesce(child.own_agent, above.agent),
         case when child.kind = 'agent' then null else coalesce(child.own_tool, above.tool) end
  from frame_span child join lineage above on child.p = above.s)
select s, agent, tool from lineage
"""

# Parents that form a cycle are reached from no root. Cutting every edge that does not point to an
# earlier span breaks each cycle at least once and keeps the rest.
_CUT_CYCLES: Final = """
update frame_span set p = null
where p >= s and s not in (select s from frame_lineage)
"""

_NAME: Final = """
create or replace temp table frame_span as
select span.* exclude (own_agent), coalesce(lineage.agent, span.service) as agent, lineage.tool
from frame_span span join frame_lineage lineage using (s)
"""

# Usage is stated again by what encloses a model call: by its agent (the sum of all calls), by a
# framework's own span around the client library's (conventions §7.5). It counts where it is stated
# deepest; that an agent states alone is its own.
_LEAF_USAGE: Final = """
update frame_span set tokens = null, cost = null
where (tokens is not null or cost is not null) and s in (
  with recursive above as (
    select distinct p as s from frame_span
    where p is not null and (tokens is not null or cost is not null)
    union
    select span.p as s from frame_span span join above using (s) where span.p is not null)
  select s from above)
"""

# A model call recorded by a framework and again by the client library below it is one turn: the outer
# span's, with the usage of the inner.
_TURNS: Final = """
create temp table frame_turn as
with recursive inside as (
  select low.s, top.s as outer_s from frame_span low join frame_span top on low.p = top.s
  where low.kind = 'llm' and top.kind = 'llm'
  union all
  select inside.s, top.s as outer_s from inside join frame_span low on inside.outer_s = low.s
  join frame_span top on low.p = top.s where top.kind = 'llm'),
lent as (
  select outer_s as s, sum(span.tokens) as tokens, sum(span.cost) as cost
  from inside join frame_span span on inside.s = span.s group by all)
select t, s, service, agent, model, start_ns, end_ns,
       coalesce(span.tokens, lent.tokens)::bigint as tokens,
       coalesce(span.cost, lent.cost, 0.0) as cost, failed
from frame_span span left join lent using (s)
where kind = 'llm' and s not in (select s from inside)
"""

# A tool span directly below a tool span of the same name, or with one other span (the HTTP request)
# between, is the same call seen by the next layer (OTel semantic conventions for MCP: execute_tool
# encloses tools/call). The outer span is kept and takes over what only the inner one recorded.
_CALLS: Final = """
create temp table frame_call as
with tools as (select * from frame_span where kind in ('tool', 'retriever')),
above as (
  select low.s, low.arguments, low.result, low.own_tool, parent.s as parent_s,
         case when parent.own_tool is null then parent.p end as grandparent_s
  from tools low join frame_span parent on low.p = parent.s),
inner_of as (
  select above.s, top.s as outer_s, above.arguments, above.result
  from above join tools top on top.s = above.parent_s and top.own_tool = above.own_tool
  union all
  select above.s, top.s as outer_s, above.arguments, above.result
  from above join tools top on top.s = above.grandparent_s and top.own_tool = above.own_tool),
lent as (
  select outer_s as s, max(arguments) as arguments, max(result) as result from inner_of group by all),
effects as (
  select own_tool, halo_effect(own_tool) as effect, halo_handoff(own_tool) as handoff
  from (select distinct own_tool from tools)),
logical as (
  select tools.* replace (coalesce(tools.arguments, lent.arguments) as arguments,
                          coalesce(tools.result, lent.result) as result), effect, handoff
  from tools join effects using (own_tool) left join lent using (s)
  where tools.s not in (select s from inner_of)),
emitted as (
  select logical.* replace (handoff or hands_off as handoff), turn.s as turn_s, turn.tokens as turn_tokens, turn.cost as turn_cost,
         turn.end_ns - turn.start_ns as turn_ns
  from logical asof left join frame_turn turn
    on logical.t = turn.t and logical.agent = turn.agent and logical.start_ns >= turn.start_ns)
select t, s, service, agent, own_tool as tool, start_ns, end_ns, failed, error_source, effect, handoff,
       turn_s,
       coalesce(turn_tokens, 0) // n as tokens, coalesce(turn_cost, 0.0) / n as cost,
       (end_ns - start_ns) + coalesce(turn_ns, 0) // n as work_ns,
       arguments is not null as arguments_known, result is not null or failed as result_known, unknown,
       case when arguments is not null then hash(own_tool, arguments) end as sig,
       case when failed then hash(true, halo_masked(left(error_text, 500)))
            when result is not null then hash(false, result) end as obs
from (select *, count(*) over (partition by t, coalesce(turn_s, -1 - s)) as n from emitted)
"""

# Only runs in which some call was made at least three times can loop; `place` is the order in them.
_REPEATED: Final = """
create temp table frame_repeated as
select t, agent, s, sig, obs, failed,
       (row_number() over (partition by t, agent order by s))::integer as place
from frame_call semi join (
  select t, agent from frame_call where sig is not null and not handoff
  group by t, agent, sig having count(*) >= 3) using (t, agent)
where not handoff
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The TEMP tables on `con` and how many traces and spans stand in them."""

    con: duckdb.DuckDBPyConnection
    traces: int
    spans: int


def build(con: duckdb.DuckDBPyConnection, traces: Sequence[str]) -> Frame:
    """Materialise `traces` from the relation `spans`; replaces the frame that was on `con`."""
    drop(con)
    signatures.install(con)
    con.execute(_TRACES, {"traces": list(traces)})
    con.execute(_SPANS, _BOUNDS)
    con.execute("create temp table frame_lineage (s integer, agent varchar, tool varchar)")
    con.execute(_DESCENT)
    spans = _count(con, "select count(*) from frame_span")
    if _count(con, "select count(*) from frame_lineage") < spans:
        con.execute(_CUT_CYCLES)
        con.execute(_DESCENT)
    con.execute(_NAME)
    con.execute("drop table frame_lineage")
    con.execute(_LEAF_USAGE)
    con.execute(_TURNS)
    con.execute(_CALLS)
    con.execute(_REPEATED)
    return Frame(con=con, traces=_count(con, "select count(*) from frame_trace"), spans=spans)


def drop(con: duckdb.DuckDBPyConnection) -> None:
    """Free the frame's memory; nothing happens without a frame."""
    for table in _TABLES:
        con.execute(f"drop table if exists temp.{table}")


def _count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
