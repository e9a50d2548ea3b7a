"""Two sets of traces, or two reports, against each other: before and after a change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from halo_otel.analysis import cohorts, frame
from halo_otel.analysis.causality import outcome
from halo_otel.analysis.change import metrics
from halo_otel.analysis.change.metrics import FAILURES
from halo_otel.analysis.change.telling import regression, whose
from halo_otel.analysis.change.verdicts import Pair, changes
from halo_otel.analysis.claims import gathering
from halo_otel.analysis.claims.hit import EVERYTHING, Group
from halo_otel.analysis.claims.pattern import Exposure, Pattern
from halo_otel.analysis.claims.wording import quoted
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.judging import judge
from halo_otel.analysis.reduce import Reduced, reduce
from halo_otel.analysis.run import newest, resources_of, summed_up
from halo_otel.analysis.usual import profile
from halo_otel.config import sections
from halo_otel.model.comparison import Change, Comparison, MetricChange, Sight, Slower
from halo_otel.model.finding import Finding, Status, Subject
from halo_otel.model.report import Report, WindowSummary
from halo_otel.model.span import Attributes
from halo_otel.window.view import View

# With a baseline at hand, what a finding's status says.
_STATUS: Final = {
    Change.NEW: Status.NEW,
    Change.WORSE: Status.ESCALATING,
    Change.SAME: Status.ONGOING,
    Change.BETTER: Status.IMPROVING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The comparison, and the later report with each finding's status against the earlier one."""

    comparison: Comparison
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    first: bool  # the earlier one
    judgements: Sequence[Judgement]
    reduced: Reduced
    patterns: Mapping[str, Pattern]
    resources: Mapping[int, Attributes]
    window: WindowSummary


def compare_views(before: View, after: View, *, settings: sections.Analysis) -> Compared:
    """Judge both by one yardstick and compare; every trace of a view counts as complete."""
    earlier, later = _sides((before, after), settings)
    pairs = _pairs(earlier, later)
    figures = metrics.compare(earlier.judgements, later.judgements)
    comparison = Comparison(
        before=earlier.window,
        after=later.window,
        findings=tuple(changes(pairs)),
        metrics=tuple(figures),
    )
    regressions = [
        _regression(metric, later, settings.max_evidence)
        for metric in figures
        if metric.change is Change.WORSE
    ]
    report = Report(
        window=later.window, coverage=later.reduced.coverage, findings=later.reduced.findings
    )
    return Compared(comparison=comparison, report=_with_status(report, comparison, regressions))


def compare_reports(before: Report, after: Report) -> Compared:
    """What became of the findings of `before`, as far as reports tell.

    Of a finding that one of them does not have, the traces that could have shown it are taken to be as
    large a part of the traces as in the other, and up to two to have shown it. Reports hold no figures of
    runs.
    """
    known = (
        {f.fingerprint: f for f in before.findings},
        {f.fingerprint: f for f in after.findings},
    )
    scale = after.window.settled / max(1, before.window.settled)
    pairs = []
    for name in sorted(known[0].keys() | known[1].keys()):
        earlier, later = known[0].get(name), known[1].get(name)
        if (earlier or later) is None:
            continue
        seen_before, seen_after = _reported(earlier), _reported(later)
        if seen_before is None and seen_after is not None:
            seen_before = Sight(affected=0, exposed=round(seen_after.exposed / max(scale, 1e-9)))
        if seen_after is None and seen_before is not None:
            seen_after = Sight(affected=0, exposed=round(seen_before.exposed * scale))
        assert seen_before is not None
        assert seen_after is not None
        pairs.append(Pair(earlier, later, seen_before, seen_after))
    comparison = Comparison(
        before=before.window,
        after=after.window,
        findings=tuple(changes(pairs, reported=True)),
        metrics=(),
    )
    return Compared(comparison=comparison, report=_with_status(after, comparison, ()))


def _reported(finding: Finding | None) -> Sight | None:
    if finding is None:
        return None
    impact = finding.impact
    return Sight(
        affected=impact.traces_affected, exposed=max(impact.traces_affected, impact.traces_exposed)
    )


def _sides(views: Sequence[View], settings: sections.Analysis) -> list[_Side]:
    frames, arrivals = [], []
    for view in views:
        arrived = view.traces_last_arrival()
        told, _ = newest([trace for trace in arrived if trace.agent_spans], settings.max_spans)
        traces = [trace.trace_id for trace in told]
        view.join_logs(traces)
        arrivals.append(arrived)
        frames.append(frame.build(view.con, traces))
    usual = profile.merge(profile.learn(one) for one in frames)
    judged = [
        outcome.settle(sorted(judge(one, usual), key=lambda judgement: judgement.trace_id))
        for one in frames
    ]
    for view in views:
        frame.drop(view.con)
    everything = [judgement for judgements in judged for judgement in judgements]
    sides = []
    for view, arrived, judgements in zip(views, arrivals, judged, strict=True):
        resources = resources_of(view, judgements)
        reduced = reduce(judgements, settings=settings, resources=resources, among=everything)
        until_ns = max((info.end_ns for info in view.windows), default=0)
        sides.append(
            _Side(
                first=view is views[0],
                judgements=judgements,
                reduced=reduced,
                patterns={p.fingerprint: p for p in gathering.gather(judgements, everything)},
                resources=resources,
                window=summed_up(view, arrived, judgements, until_ns, 0),
            )
        )
    return sides


def _pairs(before: _Side, after: _Side) -> list[Pair]:
    known = [{f.fingerprint: f for f in side.reduced.findings} for side in (before, after)]
    names = sorted(known[0].keys() | known[1].keys())
    patterns = {**before.patterns, **after.patterns}
    groups = {
        group for pattern in patterns.values() for group in (_group(pattern), _agent(pattern))
    }
    sights = []
    for side in (before, after):
        exposures: dict[Group, Exposure] = {group: Exposure() for group in sorted(groups)}
        gathering.measure(exposures, side.judgements)
        sights.append(
            {
                name: _sight(name, patterns[name], side, exposures)
                if name in patterns
                else _cohort_sight(known[0].get(name) or known[1][name], side)
                for name in names
            }
        )
    return [
        Pair(known[0].get(name), known[1].get(name), sights[0][name], sights[1][name])
        for name in names
    ]


def _group(pattern: Pattern) -> Group:
    return pattern.first.exposure


def _agent(pattern: Pattern) -> Group:
    return Group(pattern.first.exposure.service, pattern.first.exposure.agent, EVERYTHING)


def _sight(name: str, pattern: Pattern, side: _Side, exposures: Mapping[Group, Exposure]) -> Sight:
    """Where a tool was not used before, every run of its agent did without the fault; where it is not
    used any more, nothing shows that it is fixed."""
    affected = len(side.patterns[name].hits) if name in side.patterns else 0
    exposed = exposures[_group(pattern)].traces(True, False, None)
    if not exposed and side.first:
        exposed = exposures[_agent(pattern)].traces(True, False, None)
    return Sight(affected=affected, exposed=max(affected, exposed))


def _cohort_sight(finding: Finding, side: _Side) -> Sight:
    """How a cohort fared on a side; one that is slow or costly is known only where it is a finding."""
    own = next((f for f in side.reduced.findings if f.fingerprint == finding.fingerprint), None)
    if (sight := _reported(own)) is not None:
        return sight
    members = [
        judgement
        for judgement in side.judgements
        if judgement.service == finding.subject.service
        and cohorts.concerns(judgement, finding.subject.attributes)
        and judgement.failed is not None
    ]
    failing = finding.impact.failed_traces_attributable > 0
    failed = sum(judgement.failed is True for judgement in members) if failing else 0
    return Sight(affected=failed, exposed=len(members))


def _with_status(report: Report, comparison: Comparison, more: Sequence[Finding]) -> Report:
    status = {
        change.finding.fingerprint: _STATUS[change.change]
        for change in comparison.findings
        if change.change in _STATUS
    }
    findings = [
        replace(finding, status=status.get(finding.fingerprint, finding.status))
        for finding in report.findings
    ]
    findings += more
    findings.sort(key=lambda finding: -finding.priority)
    return replace(report, findings=tuple(findings))


def _regression(metric: MetricChange, after: _Side, evidence_max: int) -> Finding:
    runs = [
        judgement
        for judgement in after.judgements
        if (judgement.service, judgement.agent) == (metric.service, metric.agent)
    ]
    failing = metric.name == FAILURES
    if failing:
        runs = [judgement for judgement in runs if judgement.failed is not None]
        affected = [judgement for judgement in runs if judgement.failed]
        excess = (metric.after - metric.before) * len(runs)
        levels = f"from {metric.before:.1%} to {metric.after:.1%}"
        title = "fails more often than in the baseline"
    else:
        affected = runs
        excess = len(runs) * 0.05 * (1 - 1 / metric.effect.value)
        unit = f" {metric.unit}" if metric.unit else ""
        levels = f"from a median of {metric.before:,.3g} to {metric.after:,.3g}{unit}"
        title = f"needs {metric.effect.value:.1f} times the {metric.name} of the baseline"
    why, cure = _slower(metric.slower)
    low, high = metric.effect.ci
    subject = Subject(service=metric.service, agent=metric.agent)
    return replace(
        regression(
            detector="baseline_regression",
            subject=subject,
            measure=metric.name,
            title=f"{whose(subject).capitalize()} {title}",
            summary=(
                f"The {metric.name} of {whose(subject)} went {levels} ({metric.runs_before} runs before,"
                f" {metric.runs_after} after; {metric.effect.measure} {metric.effect.value:.3g}, 95 %"
                f" interval {low:.3g} to {high:.3g}).{why}"
            ),
            recommendation=(
                f"{cure}Compare a run that shows it with one of the baseline: what changed in version, prompt,"
                " model or tools between them?"
            ),
            effect=metric.effect,
            affected=affected,
            exposed=runs,
            excess=excess,
            failing=failing,
            evidence_max=evidence_max,
            resources=after.resources,
        ),
        status=Status.REGRESSED,
    )


def _slower(slower: Slower | None) -> tuple[str, str]:
    """Which operation is behind it and what to look at, as sentences; "" where none is."""
    if slower is None:
        return "", ""
    what = f"agent {quoted(slower.agent)} itself"
    if slower.tool is not None or slower.model is not None:
        kind = "tool" if slower.tool is not None else "model"
        what = f"{kind} {quoted(slower.tool or slower.model)} of agent {quoted(slower.agent)}"
    why = (
        f" A run waits {slower.after_s:.3g} s for {what} and waited {slower.before_s:.3g} s before: that is"
        f" {slower.share:.0%} of what runs take longer."
    )
    return why, f"Look at {what} first. "
