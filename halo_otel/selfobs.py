"""Our own counters: one named happening, one line at the place where it happens.

Names follow the Collector's (`otelcol_receiver_accepted_spans` → `halo.receiver.accepted_spans`).
A `Counters` belongs to one process; `snapshot` crosses to the other one and to the metrics emitter.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HELP: Final[dict[str, str]] = {
    "halo.receiver.accepted_spans": "spans journaled and acknowledged",
    "halo.receiver.accepted_log_records": "log records journaled and acknowledged",
    "halo.receiver.rejected_spans": "spans refused one by one for invalid ids",
    "halo.receiver.rejected_log_records": "log records refused one by one for invalid ids",
    "halo.receiver.repaired_requests": "requests whose invalid UTF-8 was replaced, not refused",
    "halo.receiver.internal_errors": "unexpected errors; the sender was asked to retry",
    "halo.receiver.refused_requests": "requests not acknowledged; the sender may retry",
    "halo.receiver.failed_requests": "requests that can never be accepted",
    "halo.receiver.ignored_metric_requests": "metric requests accepted and ignored",
    "halo.receiver.unauthenticated_requests": "requests without a token of ours, by reason",
    "halo.receiver.closed_connections": "HTTP connections that were closed on the client, by reason",
    "halo.receiver.failed_reloads": "rotated certificates and tokens that are no good; the old ones stay",
    "halo.receiver.looped_items": "own spans and log records dropped by the loop guard",
    "halo.journal.torn_bytes": "bytes of unacknowledged frames cut off at start",
    "halo.journal.skipped_bytes": "bytes of damaged frames set aside at start (on_damage: skip)",
    "halo.journal.bytes": "bytes journaled and not yet ingested",
    "halo.engine.restarts": "engine processes started again after one had died",
    "halo.ingest.spans": "spans stored in windows",
    "halo.ingest.log_records": "log records stored in windows",
    "halo.ingest.let_go_log_records": "log records of no trace, let go at once (window.keep: agents)",
    "halo.ingest.superseded_spans": "placeholders left out: the span itself came or comes later",
    "halo.ingest.undecodable_frames": "requests that could not be stored; their bytes are set aside",
    "halo.ingest.unkept_frames": "such requests without room in window.quarantine_bytes; counted alone",
    "halo.redaction.masked_values": "sensitive values taken out, by kind and place (store, emit)",
    "halo.window.lag_seconds": "age of the oldest request not yet in a window",
    "halo.window.damaged": "window files that could not be read and were set aside",
    "halo.window.expired": "windows deleted by retention",
    "halo.window.let_go_traces": "traces without any agent span, let go (window.keep: agents)",
    "halo.window.let_go_spans": "spans of such traces",
    "halo.window.let_go_log_records": "log records of no agent's trace, let go with them",
    "halo.window.failed_compactions": "windows kept whole because what to let go could not be left out",
    "halo.analysis.runs": "analysis runs",
    "halo.analysis.failed_runs": "analysis runs that failed and are tried again",
    "halo.analysis.duration_seconds": "duration of the last analysis run",
    "halo.analysis.late_spans": "spans that arrived after their trace was judged",
    "halo.analysis.spans_unseen": "spans left out of runs by analysis.max_spans",
    "halo.findings.open": "findings that are open now",
    "halo.llm.calls": "answers of the model, by role",
    "halo.llm.failed_attempts": "requests to the model without an answer, by role and why",
    "halo.llm.retries": "requests to the model sent again, by role",
    "halo.llm.refusals": "answers in which the model declined, by role",
    "halo.llm.malformed_calls": "tool calls of the model that cannot be carried out, by role",
    "halo.llm.fallbacks": "features that the model's endpoint lacks, by feature",
    "halo.llm.tokens": "tokens, by direction and role",
    "halo.llm.cost": "USD spent on the model, by role",
    "halo.llm.uncounted": "answers whose tokens the endpoint did not count; the bound was",
    "halo.llm.budget_refusals": "requests to the model not sent, by the limit they would break",
    "halo.llm.failed_analyses": "windows to which the model's endpoint added nothing",
    "halo.llm.dropped_claims": "claims of the model that did not hold, by reason",
    "halo.llm.untold_spans": "spans about the model's own work that could not be written",
    "halo.llm.masked_values": "sensitive values masked before they left, by kind",
    "halo.emitter.sent_records": "log records and spans the Collector acknowledged",
    "halo.emitter.failed_attempts": "attempts to send that failed and will be repeated",
    "halo.emitter.outbox": "records waiting for the Collector",
    "halo.emitter.dropped_records": "records given up: outbox full or refused for good",
}
GAUGES: Final = frozenset(
    {
        "halo.journal.bytes",
        "halo.window.lag_seconds",
        "halo.analysis.duration_seconds",
        "halo.findings.open",
        "halo.emitter.outbox",
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One counter or gauge at one moment."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    value: float


class Counters:
    """Thread-safe counters and gauges; a name that is not in `HELP` is a programming error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def add(self, name: str, value: float = 1, **attributes: str) -> None:
        """Count `value` more happenings of `name`."""
        key = (name, tuple(sorted(attributes.items())))
        assert name in HELP, name
        with self._lock:
            self._values[key] = self._values.get(key, 0) + value

    def set(self, name: str, value: float, **attributes: str) -> None:
        """Set the gauge `name`."""
        key = (name, tuple(sorted(attributes.items())))
        assert name in GAUGES, name
        with self._lock:
            self._values[key] = value

    def clear(self, name: str) -> None:
        """Forget every reading of the gauge `name`, so that vanished attribute sets disappear."""
        with self._lock:
            for key in [key for key in self._values if key[0] == name]:
                del self._values[key]

    def value(self, name: str, **attributes: str) -> float:
        """The reading of `name` with exactly these attributes; 0 if there is none."""
        with self._lock:
            return self._values.get((name, tuple(sorted(attributes.items()))), 0)

    def snapshot(self) -> list[Reading]:
        """All readings, sorted."""
        with self._lock:
            items: Iterable[tuple[tuple[str, tuple[tuple[str, str], ...]], float]]
            items = sorted(self._values.items())
        return [Reading(name, attributes, value) for (name, attributes), value in items]
