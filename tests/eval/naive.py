"""The rules somebody would write in an afternoon, to stand beside every figure."""

import itertools
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from halo_otel.agentspan.normalise import normalise
from halo_otel.model.facts import AgentFacts, SpanKind
from halo_otel.model.span import STATUS_ERROR, Span
from tests.eval.scenario import Window
from tests.eval.score import names

_TRACES_MIN: Final = 3  # a rule speaks when this many traces break it
_SECRET: Final = re.compile(
    r"AKIA[0-9A-Z]{16}|ghp_\w{36}|sk_live_\w+|\b(?:\d[ -]?){16}\b|\bDE\d{20}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A span and what it says."""

    span: Span
    facts: AgentFacts

    @property
    def failed(self) -> bool:
        return self.span.status_code == STATUS_ERROR

    @property
    def call(self) -> tuple[str | None, str | None]:
        return self.facts.tool_name, _text(self.facts.tool_arguments)

    @property
    def seconds(self) -> float:
        return (self.span.end_ns - self.span.start_ns) / 1e9


Traces = Mapping[str, list[Seen]]
Rule = Callable[[Traces], Iterable[str]]


def claims(window: Window) -> dict[str, set[str]]:
    """Category: the traces that the naive rule for it names."""
    traces: dict[str, list[Seen]] = defaultdict(list)
    for span in sorted(window.spans, key=lambda one: one.start_ns):
        traces[span.trace_id].append(Seen(span=span, facts=normalise(span)))
    named = {category: set(rule(traces)) for category, rule in RULES.items()}
    return {category: found for category, found in named.items() if len(found) >= _TRACES_MIN}


def hits(window: Window, named: Mapping[str, set[str]]) -> tuple[int, int]:
    """Planted faults the rules find, and categories they name for nothing."""
    found = [
        category
        for category, traces in named.items()
        for one in window.planted
        if names(one, category) and len(traces & set(one.causes)) >= len(traces) / 2
    ]
    echoes = [
        category
        for category, traces in named.items()
        for one in window.planted
        if len(traces & set(one.causes)) >= len(traces) / 2
    ]
    return int(bool(found)), len(set(named) - set(echoes))


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)


def _calls(seen: Iterable[Seen]) -> list[Seen]:
    return [one for one in seen if one.facts.tool_name and one.facts.kind is SpanKind.TOOL]


def _models(seen: Iterable[Seen]) -> list[Seen]:
    return [one for one in seen if one.facts.kind is SpanKind.LLM]


def _per_trace(test: Callable[[list[Seen]], bool]) -> Rule:
    return lambda traces: [trace for trace, seen in traces.items() if test(seen)]


def _repeated(seen: list[Seen], times: int, *, failed: bool = False) -> bool:
    counts = Counter(one.call for one in _calls(seen) if one.failed or not failed)
    return any(count >= times for count in counts.values())


def _far_above(amount: Callable[[list[Seen]], float], factor: float) -> Rule:
    def rule(traces: Traces) -> list[str]:
        amounts = {trace: amount(seen) for trace, seen in traces.items()}
        limit = factor * statistics.median(amounts.values())
        return [trace for trace, one in amounts.items() if one > limit > 0]

    return rule


def _longest(seen: list[Seen]) -> bool:
    return len(_models(seen)) >= 12


def _back_and_forth(seen: list[Seen]) -> bool:
    agents = [one.facts.agent_name for one in seen if one.facts.kind is SpanKind.AGENT]
    return len(agents) - len(set(agents)) >= 2


def _gap(seen: list[Seen]) -> bool:
    spans = sorted((one.span for one in seen), key=lambda one: one.start_ns)
    whole = max(one.end_ns for one in spans) - spans[0].start_ns
    parents = {one.parent_span_id for one in spans}
    leaves = [one for one in spans if one.span_id not in parents]
    gaps = [after.start_ns - one.end_ns for one, after in itertools.pairwise(leaves)]
    return max(gaps, default=0) > 0.4 * whole


def _tokens(seen: list[Seen]) -> float:
    return float(sum(one.facts.input_tokens or 0 for one in _models(seen)))


def _prompt_growth(seen: list[Seen]) -> bool:
    sizes = [one.facts.input_tokens for one in _models(seen) if one.facts.input_tokens]
    return bool(sizes) and sizes[-1] > 4 * sizes[0]


def _leaks(seen: list[Seen]) -> bool:
    return any(_SECRET.search(_text(one.facts.tool_arguments) or "") for one in _calls(seen))


def _silent(seen: list[Seen]) -> bool:
    calls = _calls(seen)
    return bool(calls) and all(one.facts.tool_arguments is None for one in calls)


def _cut(seen: list[Seen]) -> bool:
    return any(one.facts.finish_reason == "length" for one in _models(seen))


RULES: Final[Mapping[str, Rule]] = {
    "error": _per_trace(lambda seen: any(one.failed for one in _calls(seen))),
    "loop": _per_trace(lambda seen: _repeated(seen, 3)),
    "retry_storm": _per_trace(lambda seen: _repeated(seen, 3, failed=True)),
    "redundant_call": _per_trace(lambda seen: _repeated(seen, 2)),
    "truncation": _per_trace(_cut),
    "context_growth": _per_trace(_prompt_growth),
    "step_limit": _per_trace(_longest),
    "handoff_loop": _per_trace(_back_and_forth),
    "waiting": _per_trace(_gap),
    "latency": _far_above(lambda seen: max(one.seconds for one in seen), 3),
    "cost": _far_above(_tokens, 3),
    "data_exposure": _per_trace(_leaks),
    "instrumentation": _per_trace(_silent),
}
