"""Each window of a running service against those before it.

Watched are, per window, the runs of each agent (how many fail), the calls of each of its tools (in how many
runs one fails) and each known finding (in how many of the runs that could show it it does). A window here is
what was judged for the first time since the one before, so that each trace is counted once. Agents
and tools that do worse than in their past become findings of category `regression`, for as long as they do;
findings are told to be escalating or improving.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from halo_otel.analysis.causality.inference import risk_ratio
from halo_otel.analysis.change.monitor import Count, Monitor, Standing
from halo_otel.analysis.change.telling import regression, whose
from halo_otel.analysis.claims.exposure import at_work
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.run import Run
from halo_otel.clock import NS_PER_S, rfc3339
from halo_otel.model.cell import CellCount, Trend
from halo_otel.model.finding import Effect, Finding, Subject
from halo_otel.model.span import Attributes

PAST_NS: Final = 7 * 86_400 * NS_PER_S  # design §2: baselines reach 7 days back
CELLS_MAX: Final = 200  # of one window, those with most traces
_EARLY: Final = 0.9  # a window may close so much sooner: runs come when they can
_EXPLAINED: Final = (
    0.5  # share of an agent's failing runs from which a tool's failures explain them
)

_RUNS, _CALLS, _FINDING = "runs", "calls", "finding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a run brought: regressions that stand, and if a window was closed, its counts and trends.

    Until the first window is closed (`any_closed`) it is open whether those an earlier process told still
    stand.
    """

    regressions: tuple[Finding, ...]
    any_closed: bool = True
    trends: Mapping[str, Trend] = field(default_factory=dict)  # by fingerprint of a finding
    counts: tuple[CellCount, ...] = ()


class Watch:
    """Not thread-safe: `take` is called once per run, in order. `history` is what `Watched.counts` held."""

    def __init__(self, history: Iterable[CellCount], *, window_ns: int, evidence_max: int) -> None:
        self._monitor = Monitor(history)
        self._window_ns = window_ns
        self._evidence_max = evidence_max
        self._began_ns: int | None = None
        self._any_closed = False
        self._regressions: dict[str, Finding] = {}  # by cell
        self._exposed: dict[str, list[Judgement]] = defaultdict(list)
        self._affected: dict[str, list[Judgement]] = defaultdict(list)
        self._findings: Counter[tuple[str, bool]] = Counter()  # traces by cell and whether it shows

    def take(
        self, run: Run, subjects: Mapping[str, Subject], since_ns: int, now_ns: int
    ) -> Watched:
        """Count what `run` judged for the first time, and close the window if it is over.

        `subjects` are the known findings whose rates are watched, by fingerprint; what arrived until
        `since_ns` an earlier process has counted.
        """
        fresh = [judgement for judgement in run.first if judgement.last_arrival_ns > since_ns]
        for judgement in fresh:
            self._count(judgement)
        for judgement, names in at_work(fresh, subjects):
            for name in names:
                shows = judgement.trace_id in run.sightings.get(name, frozenset())
                self._findings[_cell(_FINDING, name), shows] += 1
        if self._began_ns is None:
            self._began_ns = now_ns
        if now_ns - self._began_ns < _EARLY * self._window_ns:
            return Watched(
                regressions=tuple(self._regressions.values()), any_closed=self._any_closed
            )
        watched = self._close(self._began_ns, run.resources)
        self._any_closed = True
        self._began_ns = now_ns
        self._exposed.clear()
        self._affected.clear()
        self._findings.clear()
        return watched

    def _count(self, judgement: Judgement) -> None:
        if judgement.failed is not None:
            runs = _cell(_RUNS, judgement.service, judgement.agent)
            self._exposed[runs].append(judgement)
            if judgement.failed:
                self._affected[runs].append(judgement)
        failing = {hit.exposure for hit in judgement.hits if hit.category == "error"}
        for group in {work.group for work in judgement.work if work.group.operation == "tool"}:
            calls = _cell(_CALLS, group.service, group.agent, group.target)
            self._exposed[calls].append(judgement)
            if group in failing:
                self._affected[calls].append(judgement)

    def _close(self, began_ns: int, resources: Mapping[int, Attributes]) -> Watched:
        counts = {
            cell: Count(len(self._affected.get(cell, ())), len(exposed))
            for cell, exposed in self._exposed.items()
        }
        for cell in sorted({cell for cell, _ in self._findings}):
            shown = self._findings[cell, True]
            counts[cell] = Count(shown, shown + self._findings[cell, False])
        kept = sorted(counts, key=lambda cell: (-counts[cell].exposed, cell))[:CELLS_MAX]
        counts = {cell: counts[cell] for cell in sorted(kept)}
        standings = self._monitor.close(counts)
        trends: dict[str, Trend] = {}
        for cell, standing in standings.items():
            what, *names = json.loads(cell)
            if what == _FINDING:
                trends[names[0]] = standing.trend
            elif standing.trend is Trend.UP:
                self._regressions[cell] = self._told(cell, standing, began_ns, resources)
            else:
                self._regressions.pop(cell, None)
        return Watched(
            regressions=self._distinct(),
            trends=trends,
            counts=tuple(
                CellCount(
                    window_start_ns=began_ns,
                    cell=cell,
                    exposed=count.exposed,
                    affected=count.affected,
                    odd=cell in standings and standings[cell].trend is Trend.UP,
                )
                for cell, count in counts.items()
            ),
        )

    def _distinct(self) -> tuple[Finding, ...]:
        """An agent that fails more because a tool does is told as the tool's regression, with its harm."""
        for cell, tool in list(self._regressions.items()):
            if tool.subject.tool is None:
                continue
            for other, runs in list(self._regressions.items()):
                if runs.subject.tool is None and _explains(tool, runs):
                    tool = self._regressions[cell] = _harmful(tool, runs)
                    del self._regressions[other]
        return tuple(self._regressions.values())

    def _told(
        self, cell: str, standing: Standing, began_ns: int, resources: Mapping[int, Attributes]
    ) -> Finding:
        what, service, agent, *tool = json.loads(cell)
        subject = Subject(service=service, agent=agent, tool=tool[0] if tool else None)
        count, past = standing.count, standing.past
        ratio = risk_ratio(*count, *past)
        does = "has failing calls" if what == _CALLS else "fails"
        name = whose(subject)
        return regression(
            detector="window_regression",
            subject=subject,
            measure=what,
            title=f"{name[:1].upper()}{name[1:]} {does} {ratio.value:.1f} times as often as before",
            summary=(
                f"In {count.affected} of {count.exposed} runs ({count.affected / count.exposed:.1%})"
                f" since {rfc3339(began_ns)[:16]}Z {name} {does}; before it was {standing.usual:.1%} of"
                f" {past.exposed} runs: {ratio.value:.1f} times as often, 95 % interval"
                f" {ratio.low:.1f} to {ratio.high:.1f}."
            ),
            recommendation=(
                f"Look at what changed for {name} shortly before {rfc3339(began_ns)[:16]}Z: a"
                " deployment, a model, a prompt, or a service that its tools call."
            ),
            effect=Effect(
                measure="risk ratio",
                value=ratio.value,
                ci=(ratio.low, ratio.high),
                p_adjusted=standing.p,
            ),
            affected=self._affected.get(cell, ()),
            exposed=self._exposed[cell],
            excess=count.affected - standing.usual * count.exposed,
            failing=what == _RUNS,
            evidence_max=self._evidence_max,
            resources=resources,
        )


def _cell(*names: str) -> str:
    return json.dumps(names, ensure_ascii=False, separators=(",", ":"))


def _explains(tool: Finding, runs: Finding) -> bool:
    if (tool.subject.service, tool.subject.agent) != (runs.subject.service, runs.subject.agent):
        return False
    return len(set(tool.traces).intersection(runs.traces)) >= _EXPLAINED * len(runs.traces)


def _harmful(tool: Finding, runs: Finding) -> Finding:
    """The tool's regression as bad as that of the runs it makes fail."""
    return replace(
        tool,
        severity=max(tool.severity, runs.severity, key=lambda severity: severity.number),
        impact=replace(
            tool.impact, failed_traces_attributable=runs.impact.failed_traces_attributable
        ),
        priority=max(tool.priority, runs.priority),
    )


def merged(findings: Sequence[Finding], regressions: Sequence[Finding]) -> tuple[Finding, ...]:
    """Both, highest priority first."""
    return tuple(sorted((*findings, *regressions), key=lambda finding: -finding.priority))
