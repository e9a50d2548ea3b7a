"""Rows of the table `findings` to values and back."""

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from itertools import islice
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
# Below the fewest parameters any build of SQLite takes in one statement (999, sqlite.org/limits.html).
_CHUNK: Final = 500
_STATE: Final = tuple(each.name for each in fields(State))

Row = sa.Row[tuple[Any, ...]]


def find(connection: Connection, fingerprint: str) -> Row | None:
    """The row of one finding, if there is one."""
    return connection.execute(
        sa.select(findings).where(findings.c.fingerprint == fingerprint)
    ).one_or_none()


def chunks(fingerprints: Iterable[str]) -> Iterator[list[str]]:
    """`fingerprints` in order, in lists that fit into one statement."""
    waiting = iter(fingerprints)
    while some := list(islice(waiting, _CHUNK)):
        yield some


def found(connection: Connection, fingerprints: Iterable[str]) -> dict[str, Row]:
    """The rows of those findings that exist."""
    return {
        row.fingerprint: row
        for some in chunks(fingerprints)
        for row in connection.execute(sa.select(findings).where(findings.c.fingerprint.in_(some)))
    }


def standings(connection: Connection, fingerprints: Iterable[str], now_ns: int) -> dict[str, Row]:
    """Where those findings stand that exist, and those whose mute has ended; without their texts."""
    columns = [findings.c[name] for name in ("fingerprint", "rate", *_STATE)]
    mute_ended = (findings.c.status == Status.MUTED.value) & (findings.c.muted_until_ns <= now_ns)
    wanted = [findings.c.fingerprint.in_(some) for some in chunks(fingerprints)]
    return {
        row.fingerprint: row
        for where in (mute_ended, *wanted)
        for row in connection.execute(sa.select(*columns).where(where))
    }


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


def update_all(connection: Connection, changes: Iterable[dict[str, object]]) -> None:
    """Write columns of many findings; each change names its `fingerprint`, no finding twice."""
    kinds: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for change in changes:
        kinds.setdefault(tuple(sorted(change)), []).append(
            {f"new_{name}": value for name, value in change.items()}
        )
    for names, rows in kinds.items():
        connection.execute(
            sa.update(findings)
            .where(findings.c.fingerprint == sa.bindparam("new_fingerprint"))
            .values({name: sa.bindparam(f"new_{name}") for name in names if name != "fingerprint"}),
            rows,
        )


def update(connection: Connection, fingerprint: str, state: State, **columns: object) -> None:
    """Write `state` and the other `columns` of one finding."""
    connection.execute(
        sa.update(findings)
        .where(findings.c.fingerprint == fingerprint)
        .values(**state_columns(state), **columns)
    )
