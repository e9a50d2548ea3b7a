"""What goal trees need of spans, read in one query for as many traces as wanted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from halo_otel.window.view import View

TEXT_CHARS_MAX: Final = 400  # of a task: its first sentence is shown
ARGUMENT_CHARS_MAX: Final = 60  # of a call's telling argument; a longer one is left out

# The words of arguments that say what a call is about. Others (a password, a body) are not shown.
_TELLING: Final = (
    "query|q|question|search|search_query|keywords?|city|location|origin|destination|path|file_path"
    "|file_name|filename|file|url|command|cmd|pattern|sql|symbol|topic|title|name|(?:[a-z]+_)?id"
)
_PLAN_TOOL: Final = "todo_?write|write_?todos?|update_?(plan|todos?)|manage_todo_list"

# latency   an outlier of its peers in the view: robust z > 3.5 on log-durations (Iglewicz & Hoaglin
#           1993), at least twice their median and 100 ms more; NULL with fewer than 30 peers. A spread
#           under 5 % counts as 5 %: peers that always take the same time are not judged over jitter.
# repeats   asked and answered like an earlier one of the trace; compared by two 64-bit hashes.
_QUERY: Final = f"""
with chosen as materialized (
  select *, case when span_kind = 'llm' then coalesce(model_requested, model_served)
                 when span_kind in ('tool', 'retriever') then coalesce(tool_name, name) end as target
  from spans semi join (select unnest($traces::varchar[]) as trace_id) using (trace_id)),
peer as (
  select span_kind as kind,
         case when span_kind = 'llm' then coalesce(model_requested, model_served)
              else coalesce(tool_name, name) end as target,
         ln(greatest(end_ns::double - start_ns, 1)) as v
  from spans where span_kind in ('llm', 'tool', 'retriever')),
centre as (
  select kind, target, count(*) as n, median(v) as middle
  from peer semi join (select distinct span_kind as kind, target from chosen) using (kind, target)
  group by all having n >= 30),
usual as (
  select kind, target, any_value(middle) as middle, greatest(median(abs(v - middle)), 0.05) as spread
  from peer join centre using (kind, target) group by all)
select trace_id as trace, span_id as id, parent_span_id as parent_id, coalesce(c.name, '') as name,
       coalesce(span_kind, 'other') as kind, coalesce(service, '') as service, c.kind = 5 as consumes,
       start_ns, greatest(start_ns, end_ns) as end_ns, agent_name as agent, session_id as session,
       c.target as target,
       case when coalesce(input_tokens, output_tokens) is not null
            then least(coalesce(input_tokens, 0), 1e12::bigint)
                 + least(coalesce(output_tokens, 0), 1e12::bigint) end as tokens,
       case when isfinite(cost) then cost end as cost,
       error_source is not null as failed, handoff_target as handoff,
       case when coalesce(span_kind, 'other') not in ('tool', 'retriever', 'embedding')
            then nullif(trim(left(input_text, {TEXT_CHARS_MAX})), '') end as task,
       case when span_kind in ('tool', 'retriever') then regexp_extract(
            left(tool_arguments, 1000), '"(?:{_TELLING})"\\s*:\\s*"([^"\\\\]+)"', 1)
            end as argument,
       case when span_kind = 'tool' and regexp_full_match(lower(tool_name), '{_PLAN_TOOL}')
            then tool_arguments end as plan,
       case when middle is not null then coalesce(
            0.6745 * (ln(greatest(end_ns::double - start_ns, 1)) - middle) / spread > 3.5
            and end_ns::double - start_ns >= 2 * exp(middle)
            and end_ns::double - start_ns - exp(middle) >= 1e8, false) end as slow,
       case when span_kind in ('tool', 'retriever') and tool_arguments is not null
            then hash(c.target, tool_arguments) end as asked,
       case when tool_result is not null then hash(tool_result) end as answered
from chosen c left join usual on usual.kind = span_kind and usual.target = c.target
order by trace_id, start_ns, span_id
"""  # noqa: S608 our words


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Columns, by trace, then start, then id. Texts are as told and may be cut; None is unknown."""

    trace: list[str]
    id: list[str]
    parent_id: list[str]
    name: list[str]
    kind: list[str]
    service: list[str]
    consumes: list[bool]  # takes from a queue: it may start when its parent has long ended
    start_ns: list[int]
    end_ns: list[int]
    agent: list[str | None]
    session: list[str | None]
    target: list[str | None]  # tool or model
    tokens: list[int | None]
    cost: list[float | None]  # USD
    failed: list[bool]
    handoff: list[str | None]  # the agent that is handed over to
    task: list[str | None]  # what an agent, a chain or a model was asked
    argument: list[str | None]  # the value that tells most of a call
    plan: list[str | None]  # arguments of a call that writes down a plan
    slow: list[bool | None]  # against its peers
    repeats: list[bool | None]  # an earlier call


COLUMNS: Final = tuple(field.name for field in fields(Spans))


def read(view: View, traces: Sequence[str]) -> Spans:
    """The spans of `traces`, with what log records tell about them."""
    view.join_logs(traces)
    table: Any = view.con.sql(_QUERY, params={"traces": list(traces)}).to_arrow_table()
    told = {name: table.column(name).to_pylist() for name in table.column_names}
    calls = zip(told["trace"], told.pop("asked"), told.pop("answered"), strict=True)
    told["repeats"] = list(_repeats(calls))
    told["argument"] = [
        text if text and len(text) <= ARGUMENT_CHARS_MAX else None for text in told["argument"]
    ]
    return Spans(**told)


def _repeats(calls: Iterable[tuple[str, int | None, int | None]]) -> Iterator[bool | None]:
    seen: set[tuple[str, int, int]] = set()
    for trace, asked, answered in calls:
        if asked is None or answered is None:
            yield None if asked is None else False
            continue
        yield (trace, asked, answered) in seen
        seen.add((trace, asked, answered))
