"""One run into the registry: match what it reports with what is known, decide, note what to tell."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel import __version__
from halo_otel.clock import NS_PER_S
from halo_otel.config.sections import Emit
from halo_otel.findings import document, emission, explanation, history, lifecycle, rows
from halo_otel.findings.emission import TOLD, TOLD_ONCE, Message
from halo_otel.findings.lifecycle import State
from halo_otel.findings.tables import evidence, findings
from halo_otel.findings.values import RunInfo, Transition
from halo_otel.model.cell import Trend
from halo_otel.model.finding import MODEL_TIER, Evidence, Explanation, Finding, Role, Status
from halo_otel.model.report import Report
from halo_otel.otlp import names

# Affected traces remembered per finding: what makes "seen again" differ from "still in the
# lookback". At 33 bytes each this bounds a row to 660 KB.
TRACES_MAX: Final = 20_000
# Evidence spans remembered per finding, so that none is told twice. A run shows at most
# `analysis.max_evidence` and a lookback is some dozen runs.
EVIDENCE_MAX: Final = 1_000


# Fingerprint -> newly judged traces that could have shown it and did not, None if one did.
Exposed: TypeAlias = Mapping[str, int | None]


class Recording:
    """The work of one `Registry.record`, inside its transaction; fills `messages`."""

    def __init__(
        self, connection: Connection, *, run: RunInfo, now_ns: int, emit: Emit, replica: str
    ) -> None:
        self._connection = connection
        self._run = run
        self._run_id: int | None = None
        self._now_ns = now_ns
        self._emit = emit
        self._replica = replica
        self._steps: list[Transition] = []
        self._trends: Mapping[str, Trend] = {}
        self.messages: list[Message] = []

    def record(
        self, report: Report, exposed: Exposed, trends: Mapping[str, Trend]
    ) -> list[Transition]:
        """Take in `report`; returns the steps it caused, in order."""
        self._trends = trends
        self._put_run(report)
        known = [self._reported(finding, exposed) for finding in report.findings]
        self._unreported({finding.fingerprint for finding in report.findings}, exposed)
        return self._concluded(report, known)

    def deepen(self, report: Report, exposed: Exposed) -> list[Transition]:
        """Take in what a model added to `report`; returns the steps of what the model itself found.

        Of all other findings only the explanations are taken: their figures and their life were recorded
        when they were found, and may be newer by now.
        """
        self._put_run(report)
        known = [
            self._reported(finding, exposed)
            if finding.tier == MODEL_TIER
            else self._explained(finding)
            for finding in report.findings
        ]
        self._unreported({finding.fingerprint for finding in report.findings}, exposed)
        return self._concluded(report, known)

    def _put_run(self, report: Report) -> None:
        self._run_id = history.put_run(
            self._connection, self._replica, report, self._run, self._now_ns
        )

    def _concluded(self, report: Report, known: Sequence[Finding]) -> list[Transition]:
        audible = [finding for finding in known if finding.status is not Status.MUTED]
        if report.window.settled or self._steps:
            self.messages.append(
                emission.analysis(
                    report,
                    audible,
                    self._run,
                    self._now_ns,
                    transitions=len(self._steps),
                    own=self._own_resource(),
                )
            )
        return self._steps

    def _reported(self, finding: Finding, exposed: Exposed) -> Finding:
        """Bring one reported finding in; returns it with its history."""
        row = rows.find(self._connection, finding.fingerprint)
        if row is None:
            return self._born(finding)
        known = rows.traces(row)
        fresh = _fresh(finding, known)
        before = rows.state(row)
        state = lifecycle.woken(before, self._now_ns)
        if fresh:
            state = lifecycle.seen(state, self._now_ns)
            rate = _rate(finding)
        else:
            rate = row.rate
            state = self._absent(state, finding.fingerprint, rate, exposed)
        state = self._headed(state, finding.fingerprint)
        finding = replace(
            finding,
            status=state.status,
            explanation=_standing(finding.explanation or rows.finding(row).explanation, state),
            first_seen_ns=min(row.first_seen_ns, self._first_ns(finding)),
            last_seen_ns=max(row.last_seen_ns, self._last_ns(finding))
            if fresh
            else row.last_seen_ns,
            windows_seen=state.windows_seen,
        )
        told_ns = self._tell(finding, before, state, row.told_ns, fresh=bool(fresh))
        rows.update(
            self._connection,
            finding.fingerprint,
            state,
            **self._columns(finding),
            **(_trace_column([*known, *fresh]) if fresh else {}),
            rate=rate,
            told_ns=told_ns,
        )
        self._tell_occurrences(finding)
        return finding

    def _explained(self, finding: Finding) -> Finding:
        """Keep the explanation of a finding that is recorded by now; returns it as it is known."""
        row = rows.find(self._connection, finding.fingerprint)
        if row is None:  # let go meanwhile
            return finding
        told = _standing(finding.explanation, rows.state(row))
        if told is None:
            return rows.finding(row)
        rows.update(
            self._connection, row.fingerprint, rows.state(row), explanation=explanation.dumps(told)
        )
        known = replace(rows.finding(row), explanation=told)
        self._tell_occurrences(replace(known, evidence=finding.evidence))
        return known

    def _born(self, finding: Finding) -> Finding:
        state = lifecycle.born(self._now_ns)
        finding = replace(
            finding,
            status=state.status,
            first_seen_ns=self._first_ns(finding),
            last_seen_ns=self._last_ns(finding),
            windows_seen=state.windows_seen,
        )
        self._connection.execute(
            sa.insert(findings).values(
                fingerprint=finding.fingerprint,
                **rows.state_columns(state),
                **self._columns(finding),
                **_trace_column(_fresh(finding, [])),
                rate=_rate(finding),
                told_ns=self._tell(finding, None, state, 0, fresh=True),
            )
        )
        self._tell_occurrences(finding)
        return finding

    def _unreported(self, reported: set[str], exposed: Exposed) -> None:
        """Findings this run is silent about: mutes may end, exposure may resolve."""
        waiting = self._connection.execute(
            sa.select(findings).where(
                findings.c.status == Status.MUTED.value, findings.c.muted_until_ns <= self._now_ns
            )
        ).all()
        candidates = {row.fingerprint: row for row in waiting}
        for fingerprint in exposed:
            row = rows.find(self._connection, fingerprint)
            if row is not None:
                candidates[fingerprint] = row
        for fingerprint, row in sorted(candidates.items()):
            if fingerprint in reported:
                continue
            before = rows.state(row)
            state = lifecycle.woken(before, self._now_ns)
            state = self._absent(state, fingerprint, row.rate, exposed)
            state = self._headed(state, fingerprint)
            finding = rows.finding(row)
            told = _standing(finding.explanation, state)
            finding = replace(finding, status=state.status, explanation=told)
            told_ns = self._tell(finding, before, state, row.told_ns, fresh=False)
            rows.update(
                self._connection,
                fingerprint,
                state,
                told_ns=told_ns,
                explanation=explanation.dumps(told),
            )

    def _absent(self, state: State, fingerprint: str, rate: float, exposed: Exposed) -> State:
        """The state after a run that brought no new trace of it."""
        traces = exposed.get(fingerprint, 0)
        if traces is None:
            return lifecycle.glimpsed(state)
        return lifecycle.unseen(state, traces, rate, self._now_ns)

    def _headed(self, state: State, fingerprint: str) -> State:
        """The state after its rate was tested against its own past, if it was."""
        trend = self._trends.get(fingerprint)
        return state if trend is None else lifecycle.headed(state, trend, self._now_ns)

    def _tell(
        self, finding: Finding, before: State | None, state: State, told_ns: int, *, fresh: bool
    ) -> int:
        """Note the step, and the pattern record if one is due; returns when it was last told."""
        status_before = None if before is None else before.status
        step = history.step(
            self._connection,
            finding.fingerprint,
            status_before,
            state.status,
            self._now_ns,
            run_id=self._run_id,
        )
        if step is not None:
            self._steps.append(step)
        news = step is not None and status_before is not Status.MUTED and state.status in TOLD
        repeat_ns = round(self._emit.repeat_interval * NS_PER_S)
        open_ = state.status in lifecycle.OPEN and finding.category not in TOLD_ONCE
        repeat = fresh and open_ and self._now_ns - told_ns >= repeat_ns
        if not news and not repeat:
            return told_ns
        self.messages.append(emission.pattern(finding, self._run, self._now_ns, repeat=not news))
        return self._now_ns

    def _tell_occurrences(self, finding: Finding) -> None:
        """Occurrence records for evidence spans nobody was told about; muted ones count as told."""
        if finding.category in TOLD_ONCE:
            return  # nothing happened at these spans
        table = evidence
        known = {
            (row.trace_id, row.span_id)
            for row in self._connection.execute(
                sa.select(table.c.trace_id, table.c.span_id).where(
                    table.c.fingerprint == finding.fingerprint
                )
            )
        }
        fresh: dict[tuple[str, str], Evidence] = {}
        for span in finding.evidence:
            key = (span.trace_id, span.span_id)
            if span.role is not Role.CONTRAST and key not in known:
                fresh.setdefault(key, span)
        told = list(fresh.values())[: self._emit.max_occurrences]
        if not told:
            return
        self._connection.execute(
            sa.insert(table),
            [
                {
                    "fingerprint": finding.fingerprint,
                    "trace_id": span.trace_id,
                    "span_id": span.span_id,
                    "recorded_ns": self._now_ns,
                }
                for span in told
            ],
        )
        if len(known) + len(told) > EVIDENCE_MAX:
            self._forget_evidence(finding.fingerprint, len(known) + len(told) - EVIDENCE_MAX)
        if finding.status is not Status.MUTED:
            self.messages += emission.occurrences(
                finding,
                told,
                self._now_ns,
                child_spans=self._emit.child_spans,
                own=self._own_resource(),
            )

    def _forget_evidence(self, fingerprint: str, count: int) -> None:
        """Delete the `count` oldest evidence rows of one finding."""
        table = evidence
        oldest = self._connection.execute(
            sa.select(table.c.trace_id, table.c.span_id)
            .where(table.c.fingerprint == fingerprint)
            .order_by(table.c.recorded_ns, table.c.trace_id, table.c.span_id)
            .limit(count)
        ).all()
        self._connection.execute(
            sa.delete(table).where(
                table.c.fingerprint == fingerprint,
                table.c.trace_id == sa.bindparam("oldest_trace"),
                table.c.span_id == sa.bindparam("oldest_span"),
            ),
            [{"oldest_trace": trace, "oldest_span": span} for trace, span in oldest],
        )

    def _columns(self, finding: Finding) -> dict[str, object]:
        return {
            "category": finding.category,
            "severity": finding.severity.value,
            "service": rows.service_column(finding.subject.service),
            "priority": finding.priority,
            "document": document.dumps(finding),
            "explanation": explanation.dumps(finding.explanation),
            "first_seen_ns": finding.first_seen_ns,
            "last_seen_ns": finding.last_seen_ns,
            "updated_ns": self._now_ns,
        }

    def _own_resource(self) -> dict[str, str]:
        return {
            names.RESOURCE_SERVICE_NAME: names.SERVICE_NAME,
            names.RESOURCE_SERVICE_VERSION: __version__,
            names.RESOURCE_SERVICE_INSTANCE: self._replica,
        }

    def _first_ns(self, finding: Finding) -> int:
        return finding.first_seen_ns or self._run.start_ns

    def _last_ns(self, finding: Finding) -> int:
        return finding.last_seen_ns or self._run.end_ns


def _standing(told: Explanation | None, state: State) -> Explanation | None:
    """An explanation ends with what it explains: should that come back, it may have another cause."""
    return None if state.life is Status.RESOLVED else told


def _fresh(finding: Finding, known: Sequence[str]) -> list[str]:
    """The affected traces nobody reported before; of very many only a stable half is looked at."""
    seen = set(known)
    looked_at = sorted(set(finding.traces))[: TRACES_MAX // 2]
    return [trace for trace in looked_at if trace not in seen]


def _trace_column(traces: Sequence[str]) -> dict[str, str]:
    return {"traces": "\n".join(traces[-TRACES_MAX:])}


def _rate(finding: Finding) -> float:
    """Affected over exposed traces, 0..1."""
    affected, exposed = finding.impact.traces_affected, finding.impact.traces_exposed
    return affected / max(affected, exposed, 1)
