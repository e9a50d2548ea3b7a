"""Runs the analysis when it is due or asked for, and gives what it found to the registry."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from halo_otel.analysis.change.watch import PAST_NS, Watch, Watched, merged
from halo_otel.analysis.claims.exposure import exposed
from halo_otel.analysis.goals.tree import goal_tree, session_tree
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.run import Run
from halo_otel.analysis.scheduler import ScheduledRun, Scheduler
from halo_otel.clock import NS_PER_S, Clock, offset_ns
from halo_otel.config import sections
from halo_otel.errors import HaloError, Retryable
from halo_otel.findings import UNRESOLVED, Baseline, Query, Registry, RunInfo
from halo_otel.model.finding import MODEL_TIER, Finding
from halo_otel.model.goal import GoalNode
from halo_otel.model.report import Report
from halo_otel.model.span import TraceId
from halo_otel.redact.redactor import Redactor
from halo_otel.redact.reports import redacted
from halo_otel.selfobs import Counters
from halo_otel.service import figures
from halo_otel.window.store import WindowStore

T = TypeVar("T")
OnReport = Callable[[Report, Sequence[Judgement]], None]
logger = logging.getLogger(__name__)

TICK_S = 1.0
STOP_GRACE_S = 3.0
FAILURE_PAUSE_S = 60.0  # one log line a minute
# Findings whose exposure is asked for in each run; those beyond are the least important ones.
KNOWN_FINDINGS_MAX = 10_000
# What is itself found by comparing has no rate of its own.
UNWATCHED = frozenset({"cohort", "regression"})
# Replicas take turns in a shared registry; the own last run is among so many.
RUNS_SEARCHED = 1_000


class Analyst:
    """The scheduler's clock. Async context manager around the one thread that analyses.

    One thread means one run at a time. Leaving waits a moment for the run under way and then leaves it
    behind: it only reads, and what it would have found the next start finds again.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        registry: Registry,
        store: WindowStore,
        settings: sections.Analysis,
        clock: Clock,
        counters: Counters,
        *,
        replica: str,
        window_s: float,
        on_report: OnReport | None = None,
        redact: Redactor | None = None,
    ) -> None:
        """`on_report` is told each recorded report and the judgements it is made of, on the thread that analyses.
        What reports say passes through `redact` before it is recorded."""
        self._on_report = on_report
        self._redact = redact
        self._scheduler = scheduler
        self._registry = registry
        self._store = store
        self._settings = settings
        self._clock = clock
        self._counters = counters
        self._replica = replica
        self._window_s = window_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="analysis")
        self._watch: Watch | None = None
        self._latest: Report | None = None
        self._resume_ns = 0
        self._held: tuple[ScheduledRun, int] | None = None
        self._judged_before_ns: int | None = None  # when an earlier process ran last
        self._under_way: set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> "Analyst":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=STOP_GRACE_S)

    @property
    def latest(self) -> Report | None:
        """The last run's report, its findings with their history; None before the first."""
        return self._latest

    async def run(self) -> None:
        """Look every second whether a run is due; ends by cancellation."""
        while True:
            await self.tick(self._clock.arrival_ns())
            await self._clock.sleep(TICK_S)

    async def tick(self, now_ns: int) -> None:
        """Run if a run is due at `now_ns`, a time of arrivals."""
        await self._in_thread(partial(self._run_if_due, now_ns))

    async def analyze(self) -> Report:
        """Run now, whatever is due; waits for a run under way first."""
        return await self._in_thread(self._run_on_demand)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return await asyncio.shield(future)

    def tree(self, trace_id: TraceId) -> Sequence[GoalNode]:
        """The goal tree of a trace within the lookback; empty for an unknown trace. Blocks."""
        with self._store.view(self._since_ns()) as view:
            return goal_tree(view, trace_id)

    def session_tree(self, session: str) -> Sequence[GoalNode]:
        """The goal tree of a session's traces within the lookback; empty if there are none. Blocks."""
        with self._store.view(self._since_ns()) as view:
            return session_tree(view, session)

    def _since_ns(self) -> int:
        return self._clock.arrival_ns() - round(self._settings.lookback * NS_PER_S)

    def _run_if_due(self, now_ns: int) -> None:
        """Run if due. A run that fails is counted and tried again later: it must not stop ingest and
        emission, and would fail after a restart as well."""
        if now_ns < self._resume_ns:
            return
        try:
            self._publish_held()
            scheduled = self._scheduler.tick(now_ns)
            if scheduled is not None:
                self._publish(scheduled, now_ns)
        except HaloError as error:
            logger.error("no analysis for %.0f s: %s", FAILURE_PAUSE_S, error)  # noqa: TRY400 (the message is for people)
            self._pause(now_ns)
        except Exception:
            logger.exception("an analysis failed; the next is in %.0f s", FAILURE_PAUSE_S)
            self._pause(now_ns)

    def _pause(self, now_ns: int) -> None:
        self._resume_ns = now_ns + round(FAILURE_PAUSE_S * NS_PER_S)
        self._counters.add("halo.analysis.failed_runs")

    def _run_on_demand(self) -> Report:
        self._publish_held()
        now_ns = self._clock.arrival_ns()
        return self._publish(self._scheduler.run_now(now_ns), now_ns)

    def _publish_held(self) -> None:
        """Record the run that the registry did not take when it was made: no other says the same."""
        if self._held is not None:
            self._publish(*self._held)

    def _publish(self, scheduled: ScheduledRun, now_ns: int) -> Report:
        """Record a run, or hold it while the registry cannot be written. Raises `HaloError`."""
        self._held = None
        try:
            return self._record(scheduled, now_ns)
        except Retryable:
            self._held = scheduled, now_ns
            self._watch = None  # it has seen the run: begin again with what the registry remembers
            raise

    def _record(self, scheduled: ScheduledRun, now_ns: int) -> Report:
        """Record a run that began at `now_ns`: findings, what is to be told of them, baselines.

        The registry, and who is told, go by the wall's time.
        """
        run, report = scheduled.run, scheduled.run.report
        known = self._registry.findings(Query(statuses=UNRESOLVED, limit=KNOWN_FINDINGS_MAX))
        # What the model found only the model sees again: no run without it speaks for its end.
        subjects = {one.fingerprint: one.subject for one in known if one.tier != MODEL_TIER}
        if self._judged_before_ns is None:
            self._judged_before_ns = self._last_run_ns()
        watched = self._watched(run, known, now_ns)
        report = replace(report, findings=merged(report.findings, watched.regressions))
        report = report if self._redact is None else redacted(report, self._redact)
        standing = {finding.fingerprint for finding in watched.regressions}
        if not watched.any_closed:
            standing.update(f.fingerprint for f in known if f.category == "regression")
        duration_s = (self._clock.arrival_ns() - now_ns) / NS_PER_S
        transitions = self._registry.record(
            report,
            RunInfo(
                start_ns=report.window.start_ns,
                end_ns=report.window.end_ns,
                trigger=scheduled.trigger,
                duration_s=duration_s,
            ),
            now_ns - offset_ns(self._clock),
            {
                # While a regression stands, no run without a failure speaks for its end.
                name: None if name in standing else count
                for name, count in exposed(run, subjects, self._judged_before_ns).items()
            },
            watched.trends,
        )
        if watched.counts:
            self._registry.record_cells(watched.counts)
        self._registry.record_baselines(
            [
                Baseline(
                    window_start_ns=counts.window_start_ns,
                    service=counts.service,
                    traces=counts.traces,
                    spans=counts.spans,
                    errors=counts.errors,
                )
                for counts in scheduled.sealed
            ]
        )
        self._counters.set("halo.analysis.duration_seconds", duration_s)
        self._counters.observe(
            "halo.analysis.run_duration_seconds", duration_s, trigger=scheduled.trigger
        )
        logger.info(
            "analysed (%s): %d traces judged, %d findings, %d changes, %.2f s",
            scheduled.trigger,
            len(run.judged),
            len(report.findings),
            len(transitions),
            duration_s,
        )
        self._latest = self._with_history(report)
        figures.tell(self._counters, self._latest, run.ended)
        if self._on_report is not None:
            self._on_report(self._latest, scheduled.judgements)
        return self._latest

    def _watched(self, run: Run, known: Sequence[Finding], now_ns: int) -> Watched:
        """What the watch over windows makes of a run; begins with what the registry remembers."""
        if self._watch is None:
            self._watch = Watch(
                self._registry.cells(now_ns - PAST_NS),
                window_ns=round(self._window_s * NS_PER_S),
                evidence_max=self._settings.max_evidence,
            )
        subjects = {
            finding.fingerprint: finding.subject
            for finding in known
            if finding.category not in UNWATCHED and finding.tier != MODEL_TIER
        }
        return self._watch.take(run, subjects, self._judged_before_ns or 0, now_ns)

    def _with_history(self, report: Report) -> Report:
        """`report` with what the registry knows of its findings: the analysis takes each for new."""
        every = self._registry.findings(Query(limit=KNOWN_FINDINGS_MAX))
        known = {finding.fingerprint: finding for finding in every}
        return replace(
            report,
            findings=tuple(
                replace(
                    finding,
                    explanation=known[finding.fingerprint].explanation,
                    status=known[finding.fingerprint].status,
                    first_seen_ns=known[finding.fingerprint].first_seen_ns,
                    last_seen_ns=known[finding.fingerprint].last_seen_ns,
                    windows_seen=known[finding.fingerprint].windows_seen,
                )
                if finding.fingerprint in known
                else finding
                for finding in report.findings
            ),
        )

    def _last_run_ns(self) -> int:
        """When this replica last recorded a run, as a time of arrivals; 0 if it never did."""
        runs = self._registry.runs(limit=RUNS_SEARCHED)
        own = [run.recorded_ns for run in runs if run.replica == self._replica]
        return max(own) + offset_ns(self._clock) if own else 0
