"""When to analyse, and the memory between runs.

A run is due when a window was sealed since the last one, when traces that were still open then have
settled and no window is open, or early, when errors burst:

    rate of traces with errors in the open window, 95 % lower bound  ≥  ratio × rate in earlier windows

with at least `early.min_errors` error spans, at most once per settle period until it subsides. The
memory is rebuilt after a restart by the first run, which judges the whole lookback.
"""

from dataclasses import dataclass
from typing import Final

from halo_otel.analysis.claims.statistics import wilson
from halo_otel.analysis.guard import Guard
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.lookback import Lookback
from halo_otel.analysis.run import Run, extend
from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.errors import RunEnded
from halo_otel.selfobs import Counters
from halo_otel.window import WindowInfo
from halo_otel.window.store import WindowStore
from halo_otel.window.view import View

# A view of a million spans costs about 0.15 s to open, so the open window is searched for a burst every
# second or, when it is large, every second per so many spans: 3 % of one core at most.
_LOOK_SPANS_PER_S: Final = 200_000
_SPANS_MIN: Final = 1000  # as `analysis.max_spans` has it
_BASELINE_TRACES_MIN: Final = 20  # fewer say nothing about what is usual


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCounts:
    """What one window saw of one service."""

    window_start_ns: int
    service: str
    traces: int
    traces_with_errors: int
    spans: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledRun:
    """A run, why it was due, the counts of the windows sealed since the last one, and all judgements of
    the lookback, of which the report is made."""

    run: Run
    trigger: str  # "window", "demand", "early"
    sealed: tuple[WindowCounts, ...]
    judgements: tuple[Judgement, ...]


_COUNTS: Final = """
select service, count(distinct trace_id),
       count(distinct trace_id) filter (error_source is not null),
       count(*), count(*) filter (error_source is not null)
from (select coalesce(service, '') as service, trace_id, error_source from spans)
group by service order by service
"""


class Scheduler:
    """Not thread-safe: `tick` and `run_now` are called by one thread at a time, and block."""

    def __init__(self, store: WindowStore, settings: sections.Analysis, counters: Counters) -> None:
        self._store = store
        self._settings = settings
        self._counters = counters
        self._lookback = Lookback()
        self._counts: dict[int, tuple[WindowCounts, ...]] = {}  # sealed windows by start
        # An earlier process counted what is repeated in these.
        self._sealed_before: Final = {w.start_ns for w in store.windows() if w.state == "sealed"}
        self._waiting_ns: int | None = None
        self._counted_until_ns = 0
        self._look_ns = 0
        self._early_ns = 0
        self._spans_max = settings.max_spans

    def tick(self, now_ns: int) -> ScheduledRun | None:
        """Run if a run is due at `now_ns`. Raises RunEnded."""
        trigger = self._trigger(now_ns)
        return None if trigger is None else self._run(now_ns, trigger)

    def run_now(self, now_ns: int) -> ScheduledRun:
        """Run because somebody asks. Raises RunEnded."""
        return self._run(now_ns, "demand")

    def _trigger(self, now_ns: int) -> str | None:
        since_ns = max(self._since(now_ns), self._counted_until_ns)
        windows = [window for window in self._store.windows() if window.end_ns > since_ns]
        if any(window.state == "sealed" for window in windows):
            return "window"
        settle_ns = round(self._settings.trace_settle * NS_PER_S)
        if not windows:
            waiting_ns = self._waiting_ns
            settled = waiting_ns is not None and now_ns >= waiting_ns + settle_ns
            return "window" if settled else None
        if not self._settings.early.enabled or now_ns < max(
            self._look_ns, self._early_ns + settle_ns
        ):
            return None
        spans = sum(window.spans for window in windows)
        self._look_ns = now_ns + max(1, spans // _LOOK_SPANS_PER_S) * NS_PER_S
        with self._store.view(since_ns) as view:
            burst = self._is_burst(view)
        if burst:
            self._early_ns = now_ns
        return "early" if burst else None

    def _is_burst(self, view: View) -> bool:
        """Whether the open windows hold far more failing traces than the sealed ones."""
        earlier = [count for counts in self._counts.values() for count in counts]
        usual = sum(count.traces for count in earlier)
        if usual < _BASELINE_TRACES_MIN:
            return False
        now = _counts(view, 0)
        if sum(count.errors for count in now) < self._settings.early.min_errors:
            return False
        low, _ = wilson(
            sum(count.traces_with_errors for count in now), sum(count.traces for count in now)
        )
        baseline = max(1, sum(count.traces_with_errors for count in earlier)) / usual
        return low >= min(1.0, self._settings.early.ratio * baseline)

    def _run(self, now_ns: int, trigger: str) -> ScheduledRun:
        with self._store.view(self._since(now_ns)) as view:
            run = self._extended(view, now_ns)
            windows = view.windows
        self._waiting_ns = run.waiting_ns
        sealed = self._count_sealed(windows)
        self._counters.add("halo.analysis.runs", trigger=trigger)
        self._counters.add("halo.analysis.late_spans", run.spans_late)
        self._counters.add("halo.analysis.spans_unseen", run.spans_unseen)
        self._counters.add("halo.analysis.unreported_findings", run.unreported)
        return ScheduledRun(
            run=run,
            trigger=trigger,
            sealed=sealed,
            judgements=tuple(self._lookback.judgements()),
        )

    def _extended(self, view: View, now_ns: int) -> Run:
        """A run within its limits. After one that was ended the next reads half of what that one read; then twice
        as much each time."""
        guard = Guard(self._settings)
        try:
            run = extend(
                self._lookback,
                view,
                settings=self._settings,
                until_ns=now_ns,
                guard=guard,
                spans_max=self._spans_max,
            )
        except RunEnded as error:
            self._counters.add("halo.analysis.ended_runs", limit=error.limit)
            self._spans_max = max(_SPANS_MIN, guard.spans // 2)
            raise
        self._spans_max = min(self._settings.max_spans, 2 * self._spans_max)
        return run

    def _count_sealed(self, windows: tuple[WindowInfo, ...]) -> tuple[WindowCounts, ...]:
        """Count the windows sealed since the last run; forget those out of sight."""
        visible = {window.start_ns for window in windows}
        self._counts = {start: c for start, c in self._counts.items() if start in visible}
        fresh = [w for w in windows if w.state == "sealed" and w.start_ns not in self._counts]
        for window in fresh:
            with self._store.view(window.start_ns, window.end_ns) as view:
                self._counts[window.start_ns] = _counts(view, window.start_ns)
                if window.start_ns not in self._sealed_before:
                    self._counters.add("halo.window.repeated_spans", view.repeated_spans())
            self._counted_until_ns = max(self._counted_until_ns, window.end_ns)
        return tuple(count for window in fresh for count in self._counts[window.start_ns])

    def _since(self, now_ns: int) -> int:
        return now_ns - round(self._settings.lookback * NS_PER_S)


def _counts(view: View, window_start_ns: int) -> tuple[WindowCounts, ...]:
    return tuple(
        WindowCounts(
            window_start_ns=window_start_ns,
            service=row[0],
            traces=row[1],
            traces_with_errors=row[2],
            spans=row[3],
            errors=row[4],
        )
        for row in view.con.execute(_COUNTS).fetchall()
    )
