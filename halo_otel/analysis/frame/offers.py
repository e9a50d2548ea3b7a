"""`frame_offer`, `frame_shape`: which tools agents were offered, and what their calls look like.

    frame_offer  t, agent, definitions          the distinct lists of tools each agent of a trace was given
    frame_shape  t, s, service, agent, tool, failed, shape     one row per call whose arguments are an object

A shape is the arguments without their values (DuckDB's `json_structure`): calls have a million different
arguments and a few shapes, so what is true of a shape is found out once. Elements of an array are merged
into one shape, numbers are BIGINT, UBIGINT or DOUBLE, an empty object is `"JSON"`.
"""

from typing import Final

import duckdb

TABLES: Final = ("frame_offer", "frame_shape")
# Lists that differ in every trace (a date in a description) would be read once per trace: those that are
# offered most are kept, agents with others count as not knowing what they were offered.
LISTS_MAX: Final = 500
SHAPE_CHARS_MAX: Final = 2000  # arguments with more than some hundred members have no schema

_OFFERS: Final = """
create temp table frame_offer as
select distinct span.t, span.agent, w.tool_definitions as definitions
from (select trace_id, span_id, tool_definitions from spans where tool_definitions is not null) w
join frame_trace trace using (trace_id)
join frame_span span on span.t = trace.t and span.span_id = w.span_id
"""
_RARE_OFFERS: Final = """
delete from frame_offer where definitions not in (
  select definitions from frame_offer group by definitions
  order by count(*) desc, definitions limit $lists_max)
"""

_SHAPES: Final = """
create temp table frame_shape as
select * from (
  select call.t, call.s, call.service, call.agent, call.tool, call.failed,
         json_structure(text.arguments)::varchar as shape
  from frame_call call join frame_text text using (s)
  where text.arguments[1] = '{' and json_valid(text.arguments))
where length(shape) <= $shape_max
"""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make both tables of the frame on `con`."""
    con.execute(_OFFERS)
    con.execute(_RARE_OFFERS, {"lists_max": LISTS_MAX})
    con.execute(_SHAPES, {"shape_max": SHAPE_CHARS_MAX})
