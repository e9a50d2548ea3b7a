"""`trace`: the steps of one run, a line each."""

from typing import Any, Final

from pydantic import Field

from halo_otel.recursion.environment.arguments import Paged, TraceId
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, clipped, failure, page

_TRACE: Final = """
select service, agent, outcome, why, seconds, spans, turns, calls, tokens, cost, given
from traces where trace_id = ?
"""
_STEPS: Final = """
select step, span_id, kind, coalesce(tool, model, name), agent, round(start_ms), round(ms), failed, error,
       tokens, arguments, coalesce(result, output), finish_reason
from spans where trace_id = ? and (? or kind <> 'other' or failed) order by step
"""


class Trace(Paged):
    """One run: how it went as a whole and its steps in order, a line each, with the beginnings of what was
    asked and answered. Spans that are no step of an agent are left out unless they failed."""

    trace_id: TraceId
    chars: int = Field(80, ge=0, le=500, description="of each text that is shown, 0 to 500")
    everything: bool = Field(False, description="also spans that are no step of an agent")


def run(environment: Environment, asked: Trace) -> Reply:
    """The run."""
    found = environment.rows(_TRACE, [asked.trace_id])
    if not found:
        return failure(f"there is no trace {asked.trace_id}: search or query for trace ids")
    names = "service agent outcome why seconds spans turns calls tokens cost given"
    head = {"trace_id": asked.trace_id, **dict(zip(names.split(), found[0], strict=True))}
    steps = environment.rows(_STEPS, [asked.trace_id, asked.everything])
    items = [_step(row, asked.chars) for row in steps[asked.offset :]]
    return page(
        environment.fence,
        items,
        head=head,
        offset=asked.offset,
        total=len(steps),
        bytes_max=asked.bytes_max,
    )


def _step(row: tuple[Any, ...], chars: int) -> dict[str, Any]:
    step, span_id, kind, what, agent, at, ms, failed, error, tokens, asked, answer, finish = row
    return {
        "step": step,
        "span_id": span_id,
        kind: clipped(what, 100),
        "agent": agent if kind == "agent" else None,
        "at_ms": at,
        "ms": ms,
        "failed": failed or None,
        "error": clipped(error, max(chars, 120)),
        "tokens": tokens,
        "finish": finish,
        "arguments": clipped(asked, chars) if chars else None,
        "answer": clipped(answer, chars) if chars else None,
    }
