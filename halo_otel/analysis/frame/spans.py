"""`frame_trace` and `frame_span`: every span of the traces to judge, numbered, under its agent."""

from collections.abc import Sequence
from typing import Final

import duckdb

from halo_otel.clock import NS_PER_S

TABLES: Final = ("frame_trace", "frame_span", "frame_lineage")

_TRACES: Final = """
create temp table frame_trace as
select (row_number() over (order by trace_id) - 1)::integer as t, trace_id,
       max(arrival_ns) as last_arrival_ns
from arrivals semi join (select unnest($traces::varchar[]) as trace_id) using (trace_id)
group by trace_id having count(span_kind) > 0
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
         case when w.input_tokens is not null then least(
           w.input_tokens + case when w.cache_accounting = 'beside'
             then least(coalesce(w.cache_read_tokens, 0), $tokens_max)
                  + least(coalesce(w.cache_write_tokens, 0), $tokens_max) else 0 end,
           $tokens_max) end as input_tokens, w.tool_result_chars as result_chars,
         w.cost, w.status_code, w.dialects,
         w.handoff_target is not null as hands_off, left(w.handoff_target, 200) as handoff_target,
         case when w.span_kind = 'llm' then coalesce(w.input_text, w.output_text) is null end as wordless,
         case when w.span_kind in ('llm', 'retriever') then coalesce(w.input_unknown, w.output_unknown)
              when w.span_kind = 'tool' then coalesce(w.arguments_unknown, w.result_unknown) end as unknown, w.finish_reason, w.output_text is not null as answered,
         w.error_source is not null as failed, w.error_source, left(w.error_type, 200) as error_type,
         case when w.error_source is not null
              then left(coalesce(w.error_message, w.status_message, ''), 1000) end as error_text,
         case when w.span_kind = 'tool' then halo_arguments(w.tool_arguments, w.tool_arguments_chars)
              when w.span_kind = 'retriever' and w.input_unknown is null
              then halo_arguments(coalesce(w.tool_arguments, w.input_text),
                                  coalesce(w.tool_arguments_chars, w.input_text_chars)) end as arguments,
         case when w.span_kind = 'tool' then halo_observation(w.tool_result, w.tool_result_chars)
              when w.span_kind = 'retriever' and w.output_unknown is null
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
  select s, own_agent as agent, own_tool as tool, case when kind = 'agent' then s end as run
  from frame_span where p is null and s not in (select s from frame_lineage)
  union all
  select child.s, coalesce(child.own_agent, above.agent),
         case when child.kind = 'agent' then null else coalesce(child.own_tool, above.tool) end,
         case when child.kind = 'agent' then child.s else above.run end
  from frame_span child join lineage above on child.p = above.s)
select s, agent, tool, run from lineage
"""

# Parents that form a cycle are reached from no root. Cutting every edge that does not point to an
# earlier span breaks each cycle at least once and keeps the rest.
_CUT_CYCLES: Final = """
update frame_span set p = null
where p >= s and s not in (select s from frame_lineage)
"""

_NAME: Final = """
create or replace temp table frame_span as
select span.* exclude (own_agent), coalesce(lineage.agent, span.service) as agent, lineage.tool, lineage.run
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


def build(con: duckdb.DuckDBPyConnection, traces: Sequence[str]) -> None:
    """Make both tables from the relations `spans` and `arrivals`."""
    con.execute(_TRACES, {"traces": list(traces)})
    con.execute(_SPANS, _BOUNDS)
    con.execute(
        "create temp table frame_lineage (s integer, agent varchar, tool varchar, run integer)"
    )
    con.execute(_DESCENT)
    if count(con, "frame_lineage") < count(con, "frame_span"):
        con.execute(_CUT_CYCLES)
        con.execute(_DESCENT)
    con.execute(_NAME)
    con.execute("drop table frame_lineage")
    con.execute(_LEAF_USAGE)


def count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    """How many rows `table` has."""
    row = con.execute(f"select count(*) from {table}").fetchone()  # noqa: S608 our name
    assert row is not None
    return int(row[0])
