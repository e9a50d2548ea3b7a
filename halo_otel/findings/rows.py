"""Rows of the table `findings` to values and back."""

from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.findings import document, explanation
from halo_otel.findings.lifecycle import State
from halo_otel.findings.otlpjson import line
from halo_otel.findings.tables import findings
from halo_otel.findings.values import Query
from halo_otel.model.finding import Finding, Status
from halo_otel.model.span import TraceId

SERVICE_BYTES_MAX: Final = 256

Row = sa.Row[tuple[Any, ...]]


def find(connection: Connection, fingerprint: str) -> Row | None:
    """The row of one finding, if there is one."""
    return connection.execute(
        sa.select(findings).where(findings.c.fingerprint == fingerprint)
    ).one_or_none()


def listed(connection: Connection, query: Query) -> list[Finding]:
    """The findings that fit `query`, highest priority first."""
    select = sa.select(findings).order_by(findings.c.priority.desc(), findings.c.fingerprint)
    if query.statuses:
        select = select.where(findings.c.status.in_([status.value for status in query.statuses]))
    if query.severity:
        select = select.where(findings.c.severity == query.severity.value)
    if query.category:
        select = select.where(findings.c.category == query.category)
    if query.service:
        select = select.where(findings.c.service == service_column(query.service))
    if prefix := query.fingerprint_prefix:
        select = select.where(sa.func.substr(findings.c.fingerprint, 1, len(prefix)) == prefix)
    return [finding(row) for row in connection.execute(select.limit(query.limit))]


def finding(row: Row) -> Finding:
    """The finding of a row: the last report's claim with its history."""
    return replace(
        document.loads(row.fingerprint, row.document),
        traces=tuple(traces(row)),
        explanation=explanation.loads(row.explanation),
        status=Status(row.status),
        first_seen_ns=row.first_seen_ns,
        last_seen_ns=row.last_seen_ns,
        windows_seen=row.windows_seen,
    )


def traces(row: Row) -> list[TraceId]:
    """The affected traces known, oldest first."""
    return [TraceId(trace) for trace in row.traces.split("\n") if trace]


def state(row: Row) -> State:
    """Where the finding of a row stands in its life."""
    return State(
        life=Status(row.life),
        life_since_ns=row.life_since_ns,
        life_windows=row.life_windows,
        windows_seen=row.windows_seen,
        unseen_traces=row.unseen_traces,
        muted_until_ns=row.muted_until_ns,
        resolved_ns=row.resolved_ns,
    )


def state_columns(state: State) -> dict[str, object]:
    """The columns that hold `state`."""
    return {
        "status": state.status.value,
        "life": state.life.value,
        "life_since_ns": state.life_since_ns,
        "life_windows": state.life_windows,
        "windows_seen": state.windows_seen,
        "unseen_traces": state.unseen_traces,
        "muted_until_ns": state.muted_until_ns,
        "resolved_ns": state.resolved_ns,
    }


def service_column(service: str | None) -> str:
    """A service's name as it is stored: PostgreSQL knows no NUL, UTF-8 no lone surrogates."""
    return line(service or "", SERVICE_BYTES_MAX)


def update(connection: Connection, fingerprint: str, state: State, **columns: object) -> None:
    """Write `state` and the other `columns` of one finding."""
    connection.execute(
        sa.update(findings)
        .where(findings.c.fingerprint == fingerprint)
        .values(**state_columns(state), **columns)
    )
