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
from halo_otel.findings.sightings import Sightings
from halo_otel.findings.tables import findings
from halo_otel.findings.told import Told
from halo_otel.findings.values import RunInfo, Transition
from halo_otel.model.cell import Trend
from halo_otel.model.finding import MODEL_TIER, Explanation, Finding, Status
from halo_otel.model.report import Report
from halo_otel.otlp import names

# Affected traces remembered per finding: what makes "seen again" differ from "still in the
# lookback". At 33 bytes each this bounds a row to 660 KB.
TRACES_MAX: Final = 20_000

# Fingerprint -> newly judged traces that could have shown it and did not, None if one did.
Exposed: TypeAlias = Mapping[str, int | None]


class Recording:
    """The work of one `Registry.record`, inside its transaction; fills `messages`."""

    def __init__(
        self,
        connection: Connection,
        report: Report,
        *,
        run: RunInfo,
        now_ns: int,
        emit: Emit,
        replica: str,
        exposed: Exposed,
        trends: Mapping[str, Trend],
    ) -> None:
        """Read at once what is known of the findings the run speaks of."""
        self._connection = connection
        self._report = report
        self._findings = {finding.fingerprint: finding for finding in report.findings}
        self._run = run
        self._run_id: int | None = None
        self._now_ns = now_ns
        self._emit = emit
        self._replica = replica
        self._exposed = exposed
        self._trends = trends
        self._rows = rows.found(connection, self._findings)
        self._told = Told(connection, self._findings)
        spoken_of = sorted({*self._findings, *exposed, *trends})
        self._sightings = Sightings(connection, spoken_of, replica, now_ns)
        self._births: list[dict[str, object]] = []
        self._changes: list[dict[str, object]] = []
        self._steps: list[Transition] = []
        self.messages: list[Message] = []

    def record(self) -> list[Transition]:
        """Take in the report; returns the steps it caused, in order, none if it was taken in before."""
        if not self._put_run():
            return []
        return self._concluded([self._reported(finding) for finding in self._findings.values()])

    def deepen(self) -> list[Transition]:
        """Take in what a model added to the report; returns the steps of what the model itself found.

        Of all other findings only the explanations are taken: their figures and their life were recorded
        when they were found, and may be newer by now.
        """
        if not self._put_run():
            return []
        return self._concluded(
            [
                self._reported(finding) if finding.tier == MODEL_TIER else self._explained(finding)
                for finding in self._findings.values()
            ]
        )

    def _put_run(self) -> bool:
        """Remember the run; False if it stands there already.

        Whoever loses the connection while a run is committed cannot know whether it was, and records
        it again: the silence it tells of must not count twice.
        """
        self._run_id = history.put_run(
            self._connection, self._replica, self._report, self._run, self._now_ns
        )
        return self._run_id is not None

    def _concluded(self, known: Sequence[Finding]) -> list[Transition]:
        """Look at the findings the run is silent about, write everything, tell of the run as a whole."""
        self._unreported()
        self._put()
        audible = [finding for finding in known if finding.status is not Status.MUTED]
        if self._report.window.settled or self._steps:
            self.messages.append(
                emission.analysis(
                    self._report,
                    audible,
                    self._run,
                    self._now_ns,
                    transitions=len(self._steps),
                    own=self._own_resource(),
                )
            )
        return self._steps

    def _put(self) -> None:
        if self._births:
            self._connection.execute(sa.insert(findings), self._births)
        rows.update_all(self._connection, self._changes)
        self._told.put(self._connection, self._now_ns)
        self._sightings.put(self._connection)

    def _reported(self, finding: Finding) -> Finding:
        """Bring one reported finding in; returns it with its history."""
        row = self._rows.get(finding.fingerprint)
        if row is None:
            return self._born(finding)
        known = rows.traces(row)
        fresh = _fresh(finding, known)
        before = rows.state(row)
        state = lifecycle.woken(before, self._now_ns)
        if fresh:
            state = lifecycle.seen(state, self._now_ns)
            rate = _rate(finding)
            self._sightings.seen(finding.fingerprint, rate)
        else:
            rate = row.rate
            state = self._absent(state, finding.fingerprint, rate)
        state = self._headed(state, finding.fingerprint)
        finding = replace(
            finding,
            status=state.status,
            explanation=_standing(finding.explanation or _explanation(row), state),
            first_seen_ns=min(row.first_seen_ns, self._first_ns(finding)),
            last_seen_ns=max(row.last_seen_ns, self._last_ns(finding))
            if fresh
            else row.last_seen_ns,
            windows_seen=state.windows_seen,
        )
        self._changes.append(
            {
                **self._columns(finding),
                **rows.state_columns(state),
                **(_trace_column([*known, *fresh]) if fresh else {}),
                "rate": rate,
                "told_ns": self._tell(finding, before, state, row.told_ns, fresh=bool(fresh)),
            }
        )
        self._tell_occurrences(finding)
        return finding

    def _explained(self, finding: Finding) -> Finding:
        """Keep the explanation of a finding that is recorded by now; returns it as it is known."""
        row = self._rows.get(finding.fingerprint)
        if row is None:  # let go meanwhile
            return finding
        told = _standing(finding.explanation, rows.state(row))
        if told is None:
            return rows.finding(row)
        self._changes.append(
            {"fingerprint": row.fingerprint, "explanation": explanation.dumps(told)}
        )
        known = replace(rows.finding(row), explanation=told)
        self._tell_occurrences(replace(known, evidence=finding.evidence))
        return known

    def _born(self, finding: Finding) -> Finding:
        state = lifecycle.born(self._now_ns)
        rate = _rate(finding)
        self._sightings.seen(finding.fingerprint, rate)
        finding = replace(
            finding,
            status=state.status,
            first_seen_ns=self._first_ns(finding),
            last_seen_ns=self._last_ns(finding),
            windows_seen=state.windows_seen,
        )
        self._births.append(
            {
                **self._columns(finding),
                **rows.state_columns(state),
                **_trace_column(_fresh(finding, [])),
                "rate": rate,
                "told_ns": self._tell(finding, None, state, 0, fresh=True),
            }
        )
        self._tell_occurrences(finding)
        return finding

    def _unreported(self) -> None:
        """Findings this run is silent about: mutes may end, exposure may resolve."""
        silent_about = [name for name in self._exposed if name not in self._findings]
        standings = rows.standings(self._connection, silent_about, self._now_ns)
        for fingerprint, row in sorted(standings.items()):
            if fingerprint in self._findings:
                continue
            before = rows.state(row)
            state = lifecycle.woken(before, self._now_ns)
            state = self._absent(state, fingerprint, row.rate)
            state = self._headed(state, fingerprint)
            if state != before:
                self._change(fingerprint, before, state)

    def _change(self, fingerprint: str, before: State, state: State) -> None:
        """Note the new state of a finding this run is silent about."""
        change: dict[str, object] = {
            "fingerprint": fingerprint,
            **rows.state_columns(state),
        }
        if state.life is Status.RESOLVED:
            change["explanation"] = None
        if state.status is not before.status:
            row = rows.find(self._connection, fingerprint)
            assert row is not None, "no other writer overlaps"
            finding = rows.finding(row)
            told = _standing(finding.explanation, state)
            finding = replace(finding, status=state.status, explanation=told)
            change["told_ns"] = self._tell(finding, before, state, row.told_ns, fresh=False)
        self._changes.append(change)

    def _absent(self, state: State, fingerprint: str, rate: float) -> State:
        """The state after a run that brought no new trace of it."""
        traces = self._exposed.get(fingerprint, 0)
        if traces is None:
            self._sightings.seen(fingerprint, rate)
            return lifecycle.glimpsed(state)
        self._sightings.unseen(fingerprint, traces)
        held = self._sightings.held(fingerprint)
        return lifecycle.unseen(state, traces, rate, self._now_ns, held=held)

    def _headed(self, state: State, fingerprint: str) -> State:
        """The state after its rate was tested against its own past, if it was."""
        trend = self._trends.get(fingerprint)
        if trend is None:
            return state
        return lifecycle.headed(state, self._sightings.headed(fingerprint, trend), self._now_ns)

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
        told = self._told.add(finding, self._emit.max_occurrences)
        if told and finding.status is not Status.MUTED:
            self.messages += emission.occurrences(
                finding,
                told,
                self._now_ns,
                child_spans=self._emit.child_spans,
                own=self._own_resource(),
            )

    def _columns(self, finding: Finding) -> dict[str, object]:
        return {
            "fingerprint": finding.fingerprint,
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


def _explanation(row: rows.Row) -> Explanation | None:
    return explanation.loads(row.explanation)


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
