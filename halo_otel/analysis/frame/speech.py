"""`frame_speech`: model turns with what they were given, how they ended and what they led to.

    frame_speech  t, s, service, agent, run, place, turns, prompt, finish, calls, …   one row per turn

`run` is the span of the agent's invocation, `place` counts from 1 to `turns` within it; `prompt` is the
size of what the model was given, in tokens; `calls` is how many tool calls the turn asked for. Where a
framework and a client library both record a turn, what only the inner span states is taken from there.
"""

from typing import Final

import duckdb

TABLES: Final = ("frame_speech",)

_SPEECH: Final = """
create temp table frame_speech as
with client as (
  select p as s, max(input_tokens) as prompt, max(finish_reason) as finish
  from frame_span where kind = 'llm' and p is not null group by p),
asked as (
  select turn_s as s, count(*) as calls, count(*) filter (failed) as failed_calls
  from frame_call where turn_s is not null group by turn_s)
select turn.t, turn.s, turn.service, turn.agent, coalesce(span.run, -1) as run, turn.start_ns, turn.end_ns,
       turn.failed, coalesce(turn.tokens, 0)::bigint as tokens, turn.cost, span.span_id, span.resource_id,
       coalesce(span.input_tokens, client.prompt) as prompt,
       coalesce(span.finish_reason, client.finish) as finish, span.unknown,
       coalesce(asked.calls, 0) as calls, coalesce(asked.failed_calls, 0) as failed_calls,
       row_number() over w as place, count(*) over (partition by turn.t, turn.agent, span.run) as turns
from frame_turn turn join frame_span span using (s) left join client using (s) left join asked using (s)
window w as (partition by turn.t, turn.agent, span.run order by turn.s)
"""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table of the other tables of the frame on `con`."""
    con.execute(_SPEECH)
