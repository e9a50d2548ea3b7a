"""Which values calls are made with, and where in the trace each was said before.

    frame_argument  t, s, agent, tool, name, value, is_id, denied, src   one row per scalar member of a
                                                                     call's arguments; `src` is the span
                                                                     that said an id-like value last before
                                                                     the call

A value is id-like when it is one token with a digit in it: `order_4711`, `mia@example.com`, `#W12`, or several
joined by slashes: `NM/4711-H`, `src/part2.py`. Such values are looked up in what tools returned, what
users and agents were told, and in instructions, over the whole stored text. Only values that some call of the
trace uses are kept, so the cost is one pass over the texts (detectors.md §1.4c). Case, a leading `#` and
closing punctuation do not matter. A call is `denied` whose answer says that there is no such thing, although it
has not failed.
"""

from typing import Final

import duckdb

TABLES: Final = ("frame_argument", "frame_said")

# A token with a digit in it, whatever stands around it; RE2 finds only these, so plain words cost nothing.
_ID: Final = r"[#A-Za-z_.@+-]{0,62}[0-9][A-Za-z0-9_.@+-]{0,62}"
# … and of several parts; one without a letter is a date or a fraction.
_JOINED: Final = r"[A-Za-z0-9_.@+-]{1,62}(?:/[A-Za-z0-9_.@+-]{1,62}){1,12}"
_DENIED: Final = (
    r'(?i)"(?:found|exists|known)"\s*:\s*false|\b(?:not found|no such|(?:does|did) ?(?:not|n.t) exist|is not known'
    r"|nothing is known|no (?:record|entry|entries|match|matches|results?|rows?)(?: was| were)? found)\b"
)
_DENIAL_HINT: Final = "ound|xist|such|nown"  # cheap, and in all of these
_DENIAL_CHARS_MAX: Final = 500  # a longer answer tells something
_SAME: Final = "create or replace temp macro halo_id(text) as lower(trim(text, '#.-+/'))"

_ARGUMENTS: Final = rf"""
create temp table frame_argument as
with member as (
  select call.t, call.s, call.agent, call.tool, call.service, unnest(map_entries(
           text.arguments::json::map(varchar, json))) as entry,
         case when text.result_chars <= {_DENIAL_CHARS_MAX} and regexp_matches(text.result, '{_DENIAL_HINT}')
              then regexp_matches(text.result, '{_DENIED}') else false end as denied
  from frame_call call join frame_text text using (s)
  where text.arguments[1] = '{{' and json_valid(text.arguments)),
scalar as (
  select t, s, service, agent, tool, entry.key as name, json_type(entry.value) as type,
         entry.value ->> '$' as value, denied
  from member where json_type(entry.value) not in ('OBJECT', 'ARRAY', 'NULL'))
select *, case when contains(value, '/')
                 then regexp_full_match(value, '/?{_JOINED}') and regexp_matches(value, '[A-Za-z]')
                      and regexp_matches(value, '[0-9]') else false end as joined,
       type in ('VARCHAR', 'BIGINT', 'UBIGINT') and length(value) >= 4
         and (joined or regexp_full_match(value, '{_ID}')) as is_id,
       case when is_id then hash(halo_id(value)) end as h
from scalar
"""  # noqa: S608 our pattern

_SAID: Final = rf"""
create temp table frame_said as
with wanted as (select distinct t, h from frame_argument where is_id),
joined as (select distinct t from frame_argument where joined),
said as (
  select span.t, span.s, span.end_ns as told_ns, w.tool_result as text
  from spans w join frame_trace trace using (trace_id)
  join frame_span span on span.t = trace.t and span.span_id = w.span_id
  where w.tool_result is not null and span.t in (select t from wanted)
  union all
  select span.t, span.s, span.start_ns, w.input_text
  from spans w join frame_trace trace using (trace_id)
  join frame_span span on span.t = trace.t and span.span_id = w.span_id
  where w.span_kind in ('agent', 'llm', 'chain')
    and w.input_text is not null and span.t in (select t from wanted)
  union all
  select instructed.t, instructed.s, instructed.start_ns, given.text
  from (select span.t, w.system_instructions as id, min(span.s) as s, min(span.start_ns) as start_ns
        from spans w join frame_trace trace using (trace_id)
        join frame_span span on span.t = trace.t and span.span_id = w.span_id
        where w.system_instructions is not null group by all) instructed
  join texts given on given.text_id = instructed.id),
told as (
  select t, s, told_ns, unnest(
           case when t in (from joined)
                then list_concat(regexp_extract_all(text, '{_ID}'), regexp_extract_all(text, '{_JOINED}'))
                else regexp_extract_all(text, '{_ID}') end) as token
  from said),
hashed as (
  select t, s, told_ns, hash(halo_id(token)) as h from told)
select h.t, h.h, h.told_ns, arg_max(h.s, h.s) as s
from hashed h semi join wanted using (t, h) group by all
"""  # noqa: S608 our pattern

_SOURCES: Final = """
create or replace temp table frame_argument as
select argument.* exclude (h, joined), said.s as src
from (select argument.*, call.start_ns from frame_argument argument join frame_call call using (s)) argument
asof left join frame_said said
  on argument.t = said.t and argument.h = said.h and argument.start_ns >= said.told_ns
"""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make `frame_argument` of the frame and the texts on `con`."""
    con.execute(_SAME)
    con.execute(_ARGUMENTS)
    con.execute(_SAID)
    con.execute(_SOURCES)
    con.execute("drop table frame_said")
