"""`compare`: where a failing run parts from a passing one."""

import json
from difflib import SequenceMatcher
from typing import Any, Final, NamedTuple

from halo_otel.recursion.environment.arguments import Arguments, TraceId
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, clipped, failure, page

_STEPS: Final = """
select step, span_id, coalesce(tool, model, ''), kind, agent, failed, error, arguments, result
from spans where trace_id = ? and (is_call or kind = 'llm') order by step limit 2000
"""
_VALUE_CHARS: Final = 120
_RUN_SHOWN: Final = 8  # steps of one difference


class Compare(Arguments):
    """Two runs side by side, best a failing one and the passing one nearest to it (clusters names such
    pairs): what both do, where they part first, which steps only one has, and where the same step was made
    with other arguments or answered otherwise."""

    failing: TraceId
    passing: TraceId


class _Step(NamedTuple):
    step: int
    span_id: str
    target: str
    kind: str
    agent: str
    failed: bool
    error: str | None
    arguments: str | None
    result: str | None

    @property
    def alike(self) -> tuple[object, ...]:
        return self.kind, self.target, self.agent, self.failed


def run(environment: Environment, asked: Compare) -> Reply:
    """The differences in order."""
    ones, others = (
        [_Step._make(row) for row in environment.rows(_STEPS, [trace])]
        for trace in (asked.failing, asked.passing)
    )
    for trace, steps in ((asked.failing, ones), (asked.passing, others)):
        if not steps:
            return failure(f"trace {trace} has no steps or does not exist: clusters names pairs")
    matcher = SequenceMatcher(None, [s.alike for s in ones], [s.alike for s in others], False)
    items: list[dict[str, Any]] = []
    for tag, low, high, other_low, other_high in matcher.get_opcodes():
        if tag == "equal":
            pairs = zip(ones[low:high], others[other_low:other_high], strict=True)
            items += [found for one, other in pairs if (found := _difference(one, other))]
        else:
            items.append(
                {
                    "only_failing": _run(ones[low:high]),
                    "only_passing": _run(others[other_low:other_high]),
                }
            )
    first = next((code for code in matcher.get_opcodes() if code[0] != "equal"), None)
    head = {
        "failing_steps": len(ones),
        "passing_steps": len(others),
        "alike": round(matcher.ratio(), 3),
        "same_beginning": first[1] if first else len(ones),
    }
    how = "more bytes_max, or trace for each"
    return page(environment.fence, items, head=head, bytes_max=asked.bytes_max, more=how)


def _run(steps: list[_Step]) -> list[dict[str, Any]]:
    shown = [
        {
            "step": one.step,
            "span_id": one.span_id,
            one.kind: one.target,
            "error": clipped(one.error, _VALUE_CHARS),
            "arguments": clipped(one.arguments, _VALUE_CHARS),
        }
        for one in steps[:_RUN_SHOWN]
    ]
    left = len(steps) - len(shown)
    kept = [{name: value for name, value in one.items() if value} for one in shown]
    return [*kept, {"and": f"{left} more"}] if left else kept


def _difference(one: _Step, other: _Step) -> dict[str, Any] | None:
    """What differs in the same step; None if nothing does."""
    if one.kind == "llm" or (one.arguments == other.arguments and one.result == other.result):
        return None
    changed = _members(one.arguments, other.arguments)
    answers = one.result != other.result
    return {
        "same_step": one.target,
        "failing_span": one.span_id,
        "passing_span": other.span_id,
        "arguments": changed,
        "failing_answer": clipped(one.error or one.result, _VALUE_CHARS) if answers else None,
        "passing_answer": clipped(other.error or other.result, _VALUE_CHARS) if answers else None,
    }


def _members(one: str | None, other: str | None) -> dict[str, list[str | None]]:
    """Members of two arguments' objects that differ: failing, passing."""
    left, right = _object(one), _object(other)
    return {
        name: [clipped(left.get(name), _VALUE_CHARS), clipped(right.get(name), _VALUE_CHARS)]
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    }


def _object(text: str | None) -> dict[str, str]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return {"": text or ""}
    return {
        name: member if isinstance(member, str) else json.dumps(member, sort_keys=True)
        for name, member in value.items()
    }
