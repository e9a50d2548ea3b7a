"""What was said: bounded texts of the frame's spans, for detectors that read.

    frame_text  s, t, kind, arguments, result, input, output, …     one row per span with any text

Texts are beginnings of `TEXT_CHARS_MAX` characters, `*_chars` the true lengths: the cost of an
analysis is the payload it reads, not the spans (detectors.md §0.1). Arguments are whole, or NULL where
they are longer than `ARGUMENTS_CHARS_MAX`: half an object has no members. `breaks_off` says that an output's last
word or sign is one that nothing ends with: a comma, an article.
"""

from typing import Final

import duckdb

TABLES: Final = ("frame_text",)
TEXT_CHARS_MAX: Final = 2000
ARGUMENTS_CHARS_MAX: Final = 8000
# Words after which an English sentence goes on; a comma or an open bracket in any language.
_BREAKS_OFF: Final = r"(?i)([,(\[{–]|\s(and|or|but|the|an?|of|to|in|on|at|with|for|from|by|that|which|is|are|was|were|as|its|their|if|because|than|therefore))\s*$"

_TEXTS: Final = """
create temp table frame_text as
select span.s, span.t, span.kind,
       case when w.tool_arguments_chars <= $arguments_max then w.tool_arguments end as arguments,
       w.tool_arguments_chars as arguments_chars,
       left(w.tool_result, $text_max) as result, w.tool_result_chars as result_chars,
       left(w.input_text, $text_max) as input, w.input_text_chars as input_chars,
       left(w.output_text, $text_max) as output, w.output_text_chars as output_chars,
       case when w.output_text_chars = length(w.output_text) then right(w.output_text, 200) end as output_end,
       w.output_text_chars = length(w.output_text) and regexp_matches(right(w.output_text, 20), $breaks_off) as breaks_off,
       w.output_tokens
from spans w join frame_trace trace using (trace_id)
join frame_span span on span.t = trace.t and span.span_id = w.span_id
where w.span_kind <> 'other'
  and coalesce(w.tool_arguments, w.tool_result, w.input_text, w.output_text) is not null
"""


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make `frame_text` of the frame on `con`."""
    limits = {"text_max": TEXT_CHARS_MAX, "arguments_max": ARGUMENTS_CHARS_MAX}
    con.execute(_TEXTS, {**limits, "breaks_off": _BREAKS_OFF})
