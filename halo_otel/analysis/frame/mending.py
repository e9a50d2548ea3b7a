"""`frame_mended`: the failures that the run made good, whoever does the retrying.

    frame_mended  s     one row per failed span that something made good

    again     the same tool, or model, of the same agent works later; or the very same call, by whomever
    instead   the agent's next call reads in another way what the failed one was to read, and works
    sibling   what failed, or a failed span above it, is followed by a span of the same name below the same
              parent that works: a framework's attempts
    within    an operation inside a call, or a model's attempt inside a turn, that worked all the same

Arguments may differ: a corrected call is the cure of a wrong one.
"""

from typing import Final

import duckdb

TABLES: Final = ("frame_mended",)
_ALIKE_MIN: Final = (
    0.5  # share of the words of two tools' names that both have: same verb, same thing
)

# `climb` is the way from a failed span up to the last that failed of it; `step` the first call or turn
# around that, unless an agent stands between: it answers for what happens inside it.
_MENDED: Final = """
create temp table frame_mended as
with recursive climb as (
  select s as origin, s, p, t, name, kind, end_ns from frame_span where failed
  union all
  select climb.origin, above.s, above.p, above.t, above.name, above.kind, above.end_ns
  from climb join frame_span above on climb.p = above.s where above.failed),
around as (
  select climb.origin, above.s, above.p, above.kind
  from climb join frame_span above on climb.p = above.s where not above.failed
  union all
  select around.origin, above.s, above.p, above.kind
  from around join frame_span above on around.p = above.s
  where around.kind not in ('tool', 'retriever', 'llm', 'agent') and not above.failed),
success as (
  select t, agent, tool as target, max(start_ns) as start_ns from frame_call where not failed group by all
  union all
  select t, agent, '' as target, max(start_ns) as start_ns from frame_turn where not failed group by all),
again as (
  select span.s from frame_span span join success
    on span.t = success.t and span.agent = success.agent and coalesce(span.tool, '') = success.target
  where span.failed and success.start_ns >= span.end_ns
  union all
  select call.s from frame_call call join frame_call later using (t, sig)
  where call.failed and not later.failed and later.start_ns >= call.end_ns),
followed as (
  select t, s, tool, failed, effect, end_ns, lead(s) over w as next_s
  from frame_call where t in (select t from frame_call where failed) window w as (partition by t, agent order by s)),
instead as (
  select call.s from followed call join frame_call other on call.next_s = other.s
  where call.failed and call.effect = 'read' and other.effect = 'read' and not other.failed
    and other.tool <> call.tool and other.start_ns >= call.end_ns
    and len(list_intersect(halo_words(call.tool), halo_words(other.tool)))
        >= $alike * len(list_distinct(list_concat(halo_words(call.tool), halo_words(other.tool))))),
sibling as (
  select climb.origin as s from climb join frame_span other
    on other.p = climb.p and other.name = climb.name and other.kind = climb.kind
  where not other.failed and other.start_ns >= climb.end_ns),
within as (
  select around.origin as s from around join frame_span inner_span on around.origin = inner_span.s
  where around.kind in ('tool', 'retriever', 'llm') and inner_span.kind not in ('tool', 'retriever', 'agent')
    and (inner_span.kind <> 'llm' or around.kind = 'llm'))
select s from again union select s from instead union select s from sibling union select s from within
"""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table of `frame_span`, `frame_call` and `frame_turn` on `con`."""
    con.execute(_MENDED, {"alike": _ALIKE_MIN})
