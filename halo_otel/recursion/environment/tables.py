"""What a model can query: documented tables of the judged traces, copied from the view and the frame."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from halo_otel.analysis.causality.outcome import LABELS
from halo_otel.analysis.judgement import Judgement
from halo_otel.model.report import Report
from halo_otel.otlp.anyvalue import to_json
from halo_otel.window.sealed import Table
from halo_otel.window.tables import arrow_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_SAID_CHARS, _SAID_CHARS_MIN = 80, 12  # of an answer, that are looked for; shorter ones are a word

TRACES: Final = Table(
    name="traces",
    key=("trace_id",),
    query="from env_trace",
    columns={
        "trace_id": "32 hex digits",
        "service": "of its first span",
        "agent": "of its first span",
        "session": "conversation it belongs to, NULL if unknown",
        "outcome": "'failed', 'passed' or 'unknown'",
        "why": "what speaks for that outcome",
        "start_ns": "Unix nanoseconds",
        "seconds": "from first start to last end",
        "spans": "how many",
        "turns": "model calls",
        "calls": "tool calls",
        "tokens": "in and out, counted once",
        "cost": "USD",
        "given": "JSON: version, model, deployment, tenant, … as settled before it began",
    },
    texts=("session", "given"),
)
SPANS: Final = Table(
    name="spans",
    key=("trace_id", "step"),
    query="""
select trace.trace_id, span.span_id, parent.span_id as parent_id,
       (row_number() over (partition by span.t order by span.s))::integer as step,
       span.kind, span.name, span.service, span.agent,
       case when span.kind in ('tool', 'retriever') then span.tool end as tool, span.model,
       (span.start_ns - min(span.start_ns) over (partition by span.t)) / 1e6 as start_ms,
       (span.end_ns - span.start_ns) / 1e6 as ms, path.on_path_ns / 1e6 as on_path_ms,
       span.failed, span.error_type, span.error_text as error, span.finish_reason,
       span.tokens, span.input_tokens, span.cost,
       call.s is not null as is_call, turn.span_id as turn_id, call.sig as asks, call.obs as answers,
       w.tool_arguments as arguments, w.tool_arguments_chars as arguments_chars,
       w.tool_result as result, w.tool_result_chars as result_chars,
       w.input_text as input, w.input_text_chars as input_chars,
       w.output_text as output, w.output_text_chars as output_chars, w.evaluations,
       w.system_instructions::varchar as instructions_id, w.tool_definitions::varchar as tools_id,
       w.retrieval_documents::varchar as documents_id, span.end_ns, span.resource_id
from frame_span span join frame_trace trace using (t)
join spans w on w.trace_id = trace.trace_id and w.span_id = span.span_id
left join frame_span parent on span.p = parent.s
left join frame_call call on call.s = span.s
left join frame_span turn on call.turn_s = turn.s
left join frame_path path on path.s = span.s
""",
    columns={
        "trace_id": "",
        "span_id": "16 hex digits, unique in its trace",
        "parent_id": "span_id of the parent",
        "step": "place in the trace, from 1, by start",
        "kind": "agent, llm, tool, retriever, chain, guardrail, …, other",
        "name": "as recorded",
        "service": "",
        "agent": "its own, else the nearest one above",
        "tool": "of tool calls",
        "model": "of model calls",
        "start_ms": "since the trace began",
        "ms": "duration",
        "on_path_ms": "of it what the run waited for (critical path)",
        "failed": "true or false",
        "error_type": "",
        "error": "its text",
        "finish_reason": "of model calls",
        "tokens": "in and out, where stated deepest",
        "input_tokens": "with cached ones",
        "cost": "USD",
        "is_call": "true for a logical tool call; a second record of the same call is false",
        "turn_id": "span_id of the model call that asked for it",
        "asks": "equal for calls of the same tool with the same arguments",
        "answers": "equal for calls with the same answer",
        "arguments": "text, at most 16384 characters, like the next three; NULL is not captured",
        "arguments_chars": "its whole length",
        "result": "of a tool call",
        "result_chars": "",
        "input": "what a model or agent was given",
        "input_chars": "",
        "output": "what it answered",
        "output_chars": "",
        "evaluations": "JSON list of {name,score,label,explanation}",
        "instructions_id": "system instructions: text_id in texts",
        "tools_id": "tools it was offered: text_id in texts",
        "documents_id": "what a retriever found: text_id in texts",
        "end_ns": "Unix nanoseconds",
        "resource_id": "",
    },
    texts=("name", "error", "arguments", "result", "input", "output", "evaluations"),
)
TEXTS: Final = Table(
    name="texts",
    key=("text_id",),
    query="""
select text_id::varchar as text_id, chars, text from texts where text_id in (
  select unnest([w.system_instructions, w.tool_definitions, w.retrieval_documents])
  from spans w join frame_trace using (trace_id))
""",
    columns={"text_id": "", "chars": "", "text": "whole"},
    texts=("text",),
)
ARGUMENTS: Final = Table(
    name="arguments",
    key=("trace_id", "span_id", "name", "value"),
    query="""
select trace.trace_id, span.span_id, argument.tool, argument.name, argument.value,
       said.span_id as said_by
from frame_argument argument join frame_trace trace using (t) join frame_span span using (s)
left join frame_span said on argument.src = said.s
""",
    columns={
        "trace_id": "",
        "span_id": "the call",
        "tool": "",
        "name": "of the argument",
        "value": "scalar, as text",
        "said_by": "span that said this id-like value before; NULL if none did",
    },
    texts=("value",),
)
EDGES: Final = Table(
    name="edges",
    key=("trace_id", "from_id", "to_id", "kind"),
    # A call's answer flows into the agent's next turn if that is given it to the letter.
    query=f"""
with edge(t, kind, from_s, to_s) as (
  select t, 'parent', p, s from frame_span where p is not null
  union all select t, 'emission', turn_s, s from frame_call where turn_s is not null
  union select t, 'data', src, s from frame_argument where src is not null
  union select call.t, 'data', call.s, turn.s
  from (select call.*, left(text.result, {_SAID_CHARS}) as said
        from frame_call call join frame_text text using (s) where length(text.result) >= {_SAID_CHARS_MIN}) call
  asof join frame_turn turn
    on call.t = turn.t and call.agent = turn.agent and call.end_ns <= turn.start_ns
  join frame_trace trace on trace.t = turn.t join frame_span span on span.s = turn.s
  join spans w on w.trace_id = trace.trace_id and w.span_id = span.span_id
  where contains(w.input_text, call.said) or contains(w.input_text, trim(to_json(call.said)::varchar, '"')))
select trace.trace_id, edge.kind, low.span_id as from_id, high.span_id as to_id
from edge join frame_trace trace using (t)
join frame_span low on edge.from_s = low.s join frame_span high on edge.to_s = high.s
""",  # noqa: S608 our numbers
    columns={
        "trace_id": "",
        "kind": "parent: contains; emission: a model call asked for it; data: it said an id that"
        " the call is made with, or is a call whose answer the turn was given",
        "from_id": "span_id",
        "to_id": "span_id",
    },
)
FINDINGS: Final = Table(
    name="findings",
    key=("place",),
    query="from env_finding",
    columns={
        "fingerprint": "",
        "place": "by priority, from 1",
        "detector": "",
        "category": "",
        "severity": "info, warn, error, fatal",
        "confidence": "0 to 1",
        "title": "",
        "service": "",
        "agent": "",
        "tool": "",
        "affected": "traces",
    },
    texts=("title",),
)
FINDING_TRACES: Final = Table(
    name="finding_traces",
    key=("fingerprint", "trace_id"),
    query="from env_finding_trace",
    columns={"fingerprint": "", "trace_id": ""},
)
TABLES: Final = (TRACES, SPANS, TEXTS, ARGUMENTS, EDGES, FINDINGS, FINDING_TRACES)

_KINDS: Final = {
    "env_trace": "trace_id,service,agent,session,outcome,why,start_ns:BIGINT,seconds:DOUBLE,"
    "spans:BIGINT,turns:BIGINT,calls:BIGINT,tokens:BIGINT,cost:DOUBLE,given",
    "env_finding": "fingerprint,place:BIGINT,detector,category,severity,confidence:DOUBLE,title,"
    "service,agent,tool,affected:BIGINT",
    "env_finding_trace": "fingerprint,trace_id",
}
_OUTCOMES: Final = {True: "failed", False: "passed", None: "unknown"}


def prepare(con: "Connection", judgements: Sequence[Judgement], report: Report) -> None:
    """Put what is known beside the spans onto `con`, for the queries of the tables."""
    _put(con, "env_trace", [_trace(judgement) for judgement in judgements])
    judged = {judgement.trace_id for judgement in judgements}
    found = enumerate(report.findings, start=1)
    _put(
        con,
        "env_finding",
        [
            (
                one.fingerprint,
                place,
                one.detector,
                one.category,
                one.severity.value,
                one.confidence,
                one.title,
                one.subject.service,
                one.subject.agent,
                one.subject.tool,
                len(one.traces),
            )
            for place, one in found
        ],
    )
    pairs = [(one.fingerprint, trace) for one in report.findings for trace in one.traces]
    _put(con, "env_finding_trace", [pair for pair in pairs if pair[1] in judged])


def clear(con: "Connection") -> None:
    """Take it off again."""
    for table in _KINDS:
        con.execute(f"drop table if exists temp.{table}")


def _trace(judgement: Judgement) -> tuple[object, ...]:
    return (
        judgement.trace_id,
        judgement.service,
        judgement.agent,
        judgement.session,
        _OUTCOMES[judgement.failed],
        ", ".join(LABELS[vote].says for vote in judgement.basis if vote in LABELS),
        judgement.start_ns,
        (judgement.end_ns - judgement.start_ns) / 1e9,
        judgement.spans,
        judgement.turns,
        judgement.calls,
        judgement.tokens,
        judgement.cost,
        to_json(dict(judgement.origin.attributes)),
    )


def _put(con: "Connection", name: str, rows: Sequence[tuple[object, ...]]) -> None:
    pairs = [column.partition(":") for column in _KINDS[name].split(",")]
    kinds = {column: kind or "VARCHAR" for column, _, kind in pairs}
    columns = {column: [row[place] for row in rows] for place, column in enumerate(kinds)}
    layout = ", ".join(f"{column} {kind}" for column, kind in kinds.items())
    con.execute(f"create or replace temp table {name} ({layout})").fetchall()
    con.from_arrow(arrow_of(kinds, columns)).query("rows", f"insert into {name} from rows")
