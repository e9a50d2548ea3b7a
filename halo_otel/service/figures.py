"""What dashboards ask of the last analysis, as gauges: how runs ended, how much could be seen, what findings cost.

They are about this replica's lookback: over replicas they add up (coverage excepted), after a restart they
are whole with the first analysis, and each is a fresh statement, not a sum over time.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from halo_otel.model.finding import Finding, Status
from halo_otel.model.report import Report
from halo_otel.selfobs import Counters

# Strangers name services and agents. Those with the most traces are told by name; a dashboard cannot show more.
AGENTS_MAX: Final = 200
_OUTCOMES: Final = {True: "failed", False: "passed", None: "unknown"}
_OVER: Final = frozenset({Status.MUTED, Status.RESOLVED})


def tell(
    counters: Counters, report: Report, ended: Mapping[tuple[str, str, bool | None], int]
) -> None:
    """Set the gauges from `report`, whose findings bear their history, and how its traces `ended`."""
    _outcomes(counters, ended)
    coverage = report.coverage
    for kind, share in (
        ("payload_captured", coverage.payload_captured),
        ("outcome_known", coverage.outcome_known),
    ):
        counters.set("halo.analysis.coverage", share, kind=kind)
    counters.set("halo.analysis.abstaining_detectors", len(coverage.detectors_abstained))
    _waste(counters, (finding for finding in report.findings if finding.status not in _OVER))


def _outcomes(counters: Counters, ended: Mapping[tuple[str, str, bool | None], int]) -> None:
    """Every agent gets all three outcomes: a rate of nothing is 0, not absent."""
    agents: Counter[tuple[str, str]] = Counter()
    for (service, agent, _), traces in ended.items():
        agents[service, agent] += traces
    ranked = sorted(agents, key=lambda one: (-agents[one], one))
    counters.clear("halo.analysis.outcomes")
    for service, agent in ranked[:AGENTS_MAX]:
        for failed, word in _OUTCOMES.items():
            about = {"service": service, "agent": agent, "outcome": word}
            counters.set("halo.analysis.outcomes", ended.get((service, agent, failed), 0), **about)


def _waste(counters: Counters, findings: Iterable[Finding]) -> None:
    """By what `analysis.max_findings` bounds: category, service and agent of the findings themselves."""
    sums: dict[str, dict[tuple[str, str, str], float]] = {
        "halo.findings.wasted_tokens": defaultdict(float),
        "halo.findings.wasted_cost": defaultdict(float),
        "halo.findings.wasted_seconds": defaultdict(float),
    }
    for finding in findings:
        impact, subject = finding.impact, finding.subject
        about = finding.category, subject.service or "", subject.agent or ""
        wasted = impact.tokens_wasted, impact.cost_wasted, impact.seconds_wasted
        for total, value in zip(sums.values(), wasted, strict=True):
            total[about] += value
    for name, total in sums.items():
        counters.clear(name)
        for (category, service, agent), value in total.items():
            counters.set(name, value, category=category, service=service, agent=agent)
