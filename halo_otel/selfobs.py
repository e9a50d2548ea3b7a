"""Our own counters: one named happening, one line at the place where it happens.

Names follow the Collector's (`otelcol_receiver_accepted_spans` → `halo.receiver.accepted_spans`).
A `Counters` belongs to one process; `snapshot` crosses to the other one and to the metrics emitter.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HELP: Final[dict[str, str]] = {
    "halo.clock.offset_seconds": "how far arrival times are ahead of the clock, which was set",
    "halo.receiver.accepted_spans": "spans journaled and acknowledged",
    "halo.receiver.accepted_log_records": "log records journaled and acknowledged",
    "halo.receiver.refused_spans": "spans of requests that the journal did not take; the sender may retry",
    "halo.receiver.refused_log_records": "log records of such requests",
    "halo.receiver.request_duration_seconds": "from a whole request to its acknowledgement",
    "halo.receiver.certificate_expiry_seconds": "Unix time at which a server's certificate expires",
    "halo.receiver.rejected_spans": "spans refused one by one for invalid ids",
    "halo.receiver.rejected_log_records": "log records refused one by one for invalid ids",
    "halo.receiver.repaired_requests": "requests whose invalid UTF-8 was replaced, not refused",
    "halo.receiver.internal_errors": "unexpected errors; the sender was asked to retry",
    "halo.receiver.refused_requests": "requests not acknowledged, by reason; the sender may retry",
    "halo.receiver.failed_requests": "requests that can never be accepted, by reason",
    "halo.receiver.too_deep_values": "values nested deeper than protobuf reads, replaced by a text",
    "halo.receiver.memory_bytes": "memory of the service's processes, as memory_limiter counts it",
    "halo.receiver.ignored_metric_requests": "metric requests accepted and ignored",
    "halo.receiver.unauthenticated_requests": "requests without a token of ours, by reason",
    "halo.receiver.closed_connections": "HTTP connections that were closed on the client, by reason"
    " (gRPC closes its own by itself, and tells nobody)",
    "halo.receiver.failed_reloads": "rotated certificates and tokens that are no good; the old ones stay",
    "halo.receiver.looped_items": "own spans and log records dropped by the loop guard",
    "halo.journal.torn_bytes": "bytes of unacknowledged frames cut off at start",
    "halo.journal.skipped_bytes": "bytes of damaged frames set aside at start (on_damage: skip)",
    "halo.journal.bytes": "bytes journaled and not yet ingested",
    "halo.journal.capacity_bytes": "what of those there may be: journal.max_bytes",
    "halo.process.start_time_seconds": "Unix time at which a process began, by process",
    "halo.process.cpu_seconds": "processor time, by process",
    "halo.process.resident_memory_bytes": "memory in RAM, by process",
    "halo.process.open_fds": "open file descriptors, by process",
    "halo.build.info": "1, with the version",
    "halo.engine.restarts": "engine processes started again after one had died",
    "halo.ingest.spans": "spans stored in windows",
    "halo.ingest.log_records": "log records stored in windows",
    "halo.ingest.let_go_log_records": "log records of no trace, let go at once (window.keep: agents)",
    "halo.ingest.superseded_spans": "placeholders left out: the span itself came or comes later",
    "halo.ingest.undecodable_frames": "requests that could not be stored; their bytes are set aside",
    "halo.ingest.unkept_frames": "such requests without room in window.quarantine_bytes; counted alone",
    "halo.ingest.cut_values": "texts stored shorter and values stored flatter than they came",
    "halo.ingest.dropped_attributes": "attributes not stored: window.attribute_count_limit",
    "halo.ingest.dropped_events": "events of spans not stored: window.event_count_limit",
    "halo.ingest.dropped_links": "links of spans not stored: window.link_count_limit",
    "halo.redaction.masked_values": "sensitive values taken out, by kind and place (store, emit)",
    "halo.window.lag_seconds": "age of the oldest request not yet in a window",
    "halo.window.damaged": "window files that could not be read and were set aside",
    "halo.window.expired": "windows deleted by retention",
    "halo.window.repeated_spans": "span rows of sealed windows that came before: senders tried again",
    "halo.window.let_go_traces": "traces without any agent span, let go (window.keep: agents)",
    "halo.window.let_go_spans": "spans of such traces",
    "halo.window.let_go_log_records": "log records of no agent's trace, let go with them",
    "halo.window.failed_compactions": "windows kept whole because what to let go could not be left out",
    "halo.analysis.runs": "analysis runs",
    "halo.analysis.failed_runs": "analysis runs that failed and are tried again",
    "halo.analysis.ended_runs": "analysis runs ended before their time, by the limit that ended them",
    "halo.analysis.duration_seconds": "duration of the last analysis run",
    "halo.analysis.run_duration_seconds": "durations of analysis runs, by trigger",
    "halo.analysis.late_spans": "spans that arrived after their trace was judged",
    "halo.analysis.spans_unseen": "spans left out of runs by analysis.max_spans",
    "halo.analysis.unreported_findings": "findings left out of reports by analysis.max_findings",
    "halo.analysis.outcomes": "judged traces of the lookback, by service, agent and outcome",
    "halo.analysis.coverage": "share of the lookback that could be judged, 0 to 1, by kind",
    "halo.analysis.abstaining_detectors": "detectors that could not judge: payloads are not captured",
    "halo.log.suppressed_lines": "log lines like many before them, not written (telemetry.log_repeats)",
    "halo.findings.damaged": "registry files that could not be read and were set aside",
    "halo.findings.open": "findings that are open now",
    "halo.findings.wasted_tokens": "extra tokens of the lookback, by category, service and agent",
    "halo.findings.wasted_cost": "USD spent on extra work in the lookback",
    "halo.findings.wasted_seconds": "time that somebody waited for extra work in the lookback",
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
    "halo.llm.failed_reloads": "rotated key or headers file that is no good; the old one stays",
    "halo.llm.failed_analyses": "windows to which the model added nothing, by the error's name",
    "halo.llm.dropped_claims": "claims of the model that did not hold, by reason",
    "halo.llm.untold_spans": "spans about the model's own work that could not be written",
    "halo.llm.masked_values": "sensitive values masked before they left, by kind",
    "halo.emitter.sent_records": "log records and spans the Collector acknowledged",
    "halo.emitter.failed_attempts": "attempts to send that failed and will be repeated",
    "halo.emitter.failed_reloads": "rotated headers_file that is no good; the old headers stay",
    "halo.emitter.outbox": "records waiting for the Collector",
    "halo.emitter.outbox_capacity": "what of those there may be: emit.max_outbox",
    "halo.emitter.dropped_records": "records given up: outbox full or refused for good",
}
GAUGES: Final = frozenset(
    {
        "halo.clock.offset_seconds",
        "halo.journal.bytes",
        "halo.receiver.memory_bytes",
        "halo.receiver.certificate_expiry_seconds",
        "halo.journal.capacity_bytes",
        "halo.process.start_time_seconds",
        "halo.process.resident_memory_bytes",
        "halo.process.open_fds",
        "halo.build.info",
        "halo.window.lag_seconds",
        "halo.analysis.duration_seconds",
        "halo.analysis.outcomes",
        "halo.analysis.coverage",
        "halo.analysis.abstaining_detectors",
        "halo.findings.open",
        "halo.findings.wasted_tokens",
        "halo.findings.wasted_cost",
        "halo.findings.wasted_seconds",
        "halo.emitter.outbox",
        "halo.emitter.outbox_capacity",
    }
)
# Upper bounds of buckets, in seconds. The first are those of Prometheus' own clients.
HISTOGRAMS: Final[dict[str, tuple[float, ...]]] = {
    "halo.receiver.request_duration_seconds": (
        *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
        *(1.0, 2.5, 5.0, 10.0),
    ),
    "halo.analysis.run_duration_seconds": (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
}
_FROM_ZERO: Final = (
    "halo.engine.restarts",
    "halo.ingest.undecodable_frames",
    "halo.window.damaged",
    "halo.analysis.failed_runs",
    "halo.analysis.spans_unseen",
    "halo.emitter.failed_reloads",
    "halo.llm.failed_reloads",
)
_DROPS: Final = (
    {"reason": "outbox_full"},
    {"reason": "refused", "kind": "log"},
    {"reason": "refused", "kind": "span"},
)
_PARTS: Final = ("bucket", "sum", "count")


def le(bound: float) -> str:
    """A bucket's bound as its attribute says it."""
    return "+Inf" if bound == float("inf") else repr(bound)


def family(name: str) -> tuple[str, str]:
    """The name in `HELP` that a reading belongs to, and which part it is of a histogram, else ""."""
    whole, _, part = name.rpartition(".")
    return (whole, part) if part in _PARTS and whole in HISTOGRAMS else (name, "")


@dataclass(frozen=True, slots=True)
class Reading:
    """One counter or gauge at one moment; or a part of a histogram, as Prometheus has them: `NAME.sum`,
    `NAME.count`, and for each bound, the attribute `le`, how many were no more: `NAME.bucket`.
    """

    name: str
    attributes: tuple[tuple[str, str], ...]
    value: float
    since_ns: int = 0  # when counting began; 0: not known


class Counters:
    """Thread-safe counters, gauges and histograms; a name that is not in `HELP` is a programming error.

    `since_ns`: the moment, for who counts.
    """

    def __init__(self, since_ns: int = 0) -> None:
        self._since_ns = since_ns
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def begin(self) -> None:
        """Count from 0 what alerts watch and nobody expects: of a counter that begins at 1 Prometheus'
        `increase` says 0."""
        for name in _FROM_ZERO:
            self.add(name, 0)
        for attributes in _DROPS:
            self.add("halo.emitter.dropped_records", 0, **attributes)

    def add(self, name: str, value: float = 1, **attributes: str) -> None:
        """Count `value` more happenings of `name`."""
        key = (name, tuple(sorted(attributes.items())))
        assert name in HELP, name
        with self._lock:
            self._grow(key, value)

    def observe(self, name: str, value: float, **attributes: str) -> None:
        """One more `value` in the histogram `name`."""
        pairs = tuple(sorted(attributes.items()))
        with self._lock:
            for bound in (*HISTOGRAMS[name], float("inf")):
                with_bound = tuple(sorted((*pairs, ("le", le(bound)))))
                self._grow((f"{name}.bucket", with_bound), float(value <= bound))
            self._grow((f"{name}.sum", pairs), value)
            self._grow((f"{name}.count", pairs), 1)

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
        since_ns = self._since_ns
        return [Reading(name, attributes, value, since_ns) for (name, attributes), value in items]

    def _grow(self, key: tuple[str, tuple[tuple[str, str], ...]], value: float) -> None:
        self._values[key] = self._values.get(key, 0) + value
