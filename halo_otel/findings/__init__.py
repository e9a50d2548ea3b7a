"""What is known about each finding over time, and what the Collector still has to be told.

One registry, SQLite by default or PostgreSQL by URL, one code path. Promises: one finding per
fingerprint, across windows and replicas; a finding is resolved only when enough traces that could
have shown it did not; whatever a run changes, including what is to be emitted, is committed in one
transaction, so a crash neither forgets a finding nor tells it twice from here.

`registry` is the door. `lifecycle` decides states, `emission` decides what is told and builds the
OTLP/JSON, `outbox` keeps it until it is acknowledged, `store` owns the database, `migrations` its
schema.
"""

from halo_otel.findings.lifecycle import UNRESOLVED
from halo_otel.findings.registry import Registry
from halo_otel.findings.values import (
    Baseline,
    Pending,
    Query,
    Run,
    RunInfo,
    SignalKind,
    Transition,
)

__all__ = [
    "UNRESOLVED",
    "Baseline",
    "Pending",
    "Query",
    "Registry",
    "Run",
    "RunInfo",
    "SignalKind",
    "Transition",
]
