"""What is known about each finding over time, and what the Collector still has to be told.

One registry, SQLite by default or PostgreSQL by URL, one code path. Promises: one finding per
fingerprint, across windows and replicas; a finding is resolved only when enough traces that could
have shown it did not, at each replica that showed it; what replicas do at once comes out as if one had
come after the other, and a run that is recorded twice counts once; whatever a run changes, including
what is to be emitted, is committed in one transaction, so a crash neither forgets a finding nor tells it
twice from here. A run of the model tier moves the life of nothing but what the model found, and what it
spends all replicas account for together. What is remembered is limited (`registry.history`,
`registry.max_findings`).

`registry` is the door. `lifecycle` decides states, `sightings` knows who showed a finding of late, `told`
which evidence was told, `emission` decides what is told and builds the OTLP/JSON, `outbox` keeps it until
it is acknowledged, `account` books what the model tier spends, `dropped_claims` keeps what it said that
did not hold, `store` owns the database, `migrations` its schema.
"""

from typing import TYPE_CHECKING

from halo_otel.findings.lifecycle import UNRESOLVED
from halo_otel.findings.values import (
    Baseline,
    DroppedClaim,
    Pending,
    Query,
    Run,
    RunInfo,
    SignalKind,
    Transition,
)

if TYPE_CHECKING:
    from halo_otel.findings.registry import Registry

__all__ = [
    "UNRESOLVED",
    "Baseline",
    "DroppedClaim",
    "Pending",
    "Query",
    "Registry",
    "Run",
    "RunInfo",
    "SignalKind",
    "Transition",
]


def __getattr__(name: str) -> object:
    """`Registry` is imported by whom it is for: a command that asks the service needs no database, and
    SQLAlchemy is a third of what such a command costs."""
    if name != "Registry":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from halo_otel.findings.registry import Registry

    return Registry
