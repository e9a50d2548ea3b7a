"""The traces of a window, one line each."""

from typing import Final

from halo_otel.clock import rfc3339
from halo_otel.control.sources import TraceSummary
from halo_otel.errors import NotFound
from halo_otel.model.span import TraceId
from halo_otel.window.store import WindowStore
from halo_otel.window.view import View

# Only model calls count tokens: agent spans repeat the sums of the calls below them.
_SUMMARIES: Final = """
    SELECT
        trace_id,
        coalesce(arg_min(service, start_ns), ''),
        coalesce(
            arg_min(name, start_ns) FILTER (parent_span_id = ''), arg_min(name, start_ns), ''
        ),
        arg_min(agent_name, start_ns),
        min(start_ns),
        max(end_ns),
        count(*),
        count(*) FILTER (error_source IS NOT NULL),
        sum(coalesce(input_tokens, 0)::HUGEINT + coalesce(output_tokens, 0)) FILTER (
            span_kind = 'llm' AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
        )
    FROM spans
    GROUP BY trace_id
    ORDER BY min(start_ns) DESC, trace_id
    LIMIT ?
"""


def summaries(view: View, limit: int) -> list[TraceSummary]:
    """The newest `limit` traces of a view."""
    rows = view.con.execute(_SUMMARIES, [limit]).fetchall()
    return [
        TraceSummary(
            trace_id=TraceId(trace_id),
            service=service,
            name=name,
            agent=agent,
            start_ns=start_ns,
            end_ns=end_ns,
            spans=spans,
            failed_spans=failed_spans,
            tokens=None if tokens is None else int(tokens),
        )
        for trace_id, service, name, agent, start_ns, end_ns, spans, failed_spans, tokens in rows
    ]


def of_window(store: WindowStore, start_ns: int, limit: int) -> list[TraceSummary]:
    """The newest `limit` traces with a span in the window that starts at `start_ns`.

    Raises NotFound when there is no such window (any more).
    """
    for window in store.windows():
        if window.start_ns == start_ns:
            with store.view(window.start_ns, window.end_ns) as view:
                return summaries(view, limit)
    raise NotFound(f"no window starts at {rfc3339(start_ns)}: `halo-otel windows` lists them")
