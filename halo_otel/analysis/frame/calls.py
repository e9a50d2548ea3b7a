"""`frame_turn`, `frame_call`, `frame_repeated`: what models were asked and what tools were called."""

from typing import Final

import duckdb

TABLES: Final = ("frame_turn", "frame_call", "frame_repeated")

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
delegating as (
  select p as s from frame_span where kind = 'agent' and p is not null
  union
  select parent.p from frame_span span join frame_span parent on span.p = parent.s
  where span.kind = 'agent' and parent.own_tool is null and parent.p is not null),
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
       s in (from delegating) as delegates, turn_s,
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


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the tables from `frame_span`."""
    con.execute(_TURNS)
    con.execute(_CALLS)
    con.execute(_REPEATED)
