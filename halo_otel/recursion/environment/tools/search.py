"""`search`: a pattern over what was said."""

from typing import Any, Final, Literal, get_args

from pydantic import Field

from halo_otel.recursion.environment.arguments import Paged, TraceSet
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, page

SearchedField = Literal["error", "arguments", "result", "input", "output", "name"]
MATCHES_MAX: Final = 500  # spans that one search finds; those beyond are counted
_PATTERN_CHARS_MAX: Final = 500

# RE2 backtracks never. Of each text the first match is shown; `instr` finds where it stands.
_SEARCH: Final = """
with found as (
  select trace_id, span_id, step, kind, coalesce(tool, model, name) as what, field,
         regexp_extract(said, $pattern, 0, $options) as hit, said
  from (select trace_id, span_id, step, kind, tool, model, name,
               unnest($fields) as field,
               unnest([{fields}]) as said
        from spans where $traces::varchar[] is null or trace_id in (select unnest($traces::varchar[])))
  where regexp_matches(said, $pattern, $options))
select trace_id, span_id, step, kind, what, field, hit[:$around],
       said[greatest(1, instr(said, hit) - $around):instr(said, hit) + length(hit[:$around]) + $around - 1],
       count(*) over (), (select count(distinct trace_id) from found)
from found order by trace_id, step, field limit $most
"""


class Search(Paged):
    """Where a pattern stands in what was said: errors, arguments, results, inputs, outputs, names; the first
    match of each text with what stands around it. RE2 syntax. Narrow it by a set of traces."""

    pattern: str = Field(
        min_length=1, max_length=_PATTERN_CHARS_MAX, description="RE2, at most 500"
    )
    ignore_case: bool = False
    fields: tuple[SearchedField, ...] | None = Field(None, max_length=6, description="null: all")
    traces: TraceSet | None = Field(None, description="null: all traces")
    around: int = Field(80, ge=0, le=500, description="characters around a match, 0 to 500")


def run(environment: Environment, asked: Search) -> Reply:
    """The matches, by trace and step. Raises `BadQuery` for a pattern that is none."""
    fields = sorted(set(asked.fields or get_args(SearchedField)))
    rows = environment.rows(
        _SEARCH.format(fields=", ".join(fields)),
        {
            "pattern": asked.pattern,
            "options": "si" if asked.ignore_case else "sc",
            "fields": fields,
            "around": asked.around,
            "traces": None if asked.traces is None else environment.among(asked.traces),
            "most": MATCHES_MAX,
        },
    )
    matches, traces = (rows[0][8], rows[0][9]) if rows else (0, 0)
    items = [_match(row) for row in rows[asked.offset :]]
    total = max(matches, asked.offset)
    reply_more = "narrow the set of traces" if asked.offset + len(items) >= MATCHES_MAX else ""
    return page(
        environment.fence,
        items,
        head={"matches": matches, "traces": traces} if rows else None,
        offset=asked.offset,
        total=total,
        bytes_max=asked.bytes_max,
        more=reply_more,
    )


def _match(row: tuple[Any, ...]) -> dict[str, Any]:
    trace_id, span_id, step, kind, what, field, hit, context, _, _ = row
    return {
        "trace_id": trace_id,
        "span_id": span_id,
        "step": step,
        kind: what,
        "field": field,
        "match": hit,
        "context": context if context != hit else None,
    }
