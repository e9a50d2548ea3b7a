"""`overview`: the window at one glance."""

from collections import Counter
from typing import Any, Final

from halo_otel.clock import rfc3339
from halo_otel.recursion.environment.arguments import Arguments
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.reply import Reply, page

_LISTED_MAX: Final = 15  # of agents, tools and models; the busiest

_OUTCOMES: Final = "select outcome, count(*) from traces group by outcome order by outcome"
_AGENTS: Final = """
select service, agent, count(*) as traces, count(*) filter (outcome = 'failed') as failed,
       count(*) filter (outcome = 'passed') as passed, sum(tokens)::bigint as tokens,
       round(sum(cost), 4) as cost, round(median(seconds), 2) as median_seconds
from traces group by all order by traces desc, service, agent
"""
_TOOLS: Final = """
select tool, count(*) as calls, count(*) filter (failed) as failed,
       count(distinct trace_id) as traces, round(median(ms), 1) as median_ms
from spans where is_call group by all order by calls desc, tool
"""
_MODELS: Final = """
select model, count(*) as turns, count(*) filter (failed) as failed,
       coalesce(sum(tokens), 0)::bigint as tokens, round(coalesce(sum(cost), 0), 4) as cost
from spans where kind = 'llm' group by all order by turns desc, model
"""


class Overview(Arguments):
    """The window at one glance: time, counts, outcomes, cost, findings by severity, and the busiest
    services, agents, tools and models. Start here; it costs little."""


def run(environment: Environment, asked: Overview) -> Reply:
    """The overview."""
    window, coverage = environment.report.window, environment.report.coverage
    severities = Counter(one.severity.value for one in environment.report.findings)
    (tokens, cost), *_ = environment.rows("select sum(tokens)::bigint, sum(cost) from traces")
    head = {
        "start": rfc3339(window.start_ns),
        "end": rfc3339(window.end_ns),
        "traces": len(environment.judgements),
        "spans": environment.rows("select count(*) from spans")[0][0],
        "services": list(window.services)[:_LISTED_MAX],
        "outcomes": dict(environment.rows(_OUTCOMES)),
        "tokens": tokens,
        "cost_usd": None if cost is None else round(cost, 4),
        "findings": dict(sorted(severities.items())),
        "payload_captured": coverage.payload_captured,
        "outcome_known": coverage.outcome_known,
    }
    items = [
        *_named(
            environment, _AGENTS, "service agent traces failed passed tokens cost_usd median_s"
        ),
        *_named(environment, _TOOLS, "tool calls failed traces median_ms"),
        *_named(environment, _MODELS, "model turns failed tokens cost_usd"),
    ]
    how = "query traces and spans, GROUP BY agent, tool or model"
    return page(environment.fence, items, head=head, bytes_max=asked.bytes_max, more=how)


def _named(environment: Environment, sql: str, names: str) -> list[dict[str, Any]]:
    rows = environment.rows(f"from ({sql}) limit {_LISTED_MAX}")
    return [dict(zip(names.split(), row, strict=True)) for row in rows]
