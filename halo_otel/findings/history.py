"""What happened: transitions, runs and baselines, and how long it is remembered.

Every function works inside the caller's transaction.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.findings import cells, sightings, tables
from halo_otel.findings.lifecycle import FOR_GOOD_NS
from halo_otel.findings.rows import service_column
from halo_otel.findings.values import Baseline, Run, RunInfo, Transition
from halo_otel.model.finding import Status
from halo_otel.model.report import Report

_DAY_NS: Final = 86_400 * NS_PER_S
BASELINE_NS: Final = 8 * _DAY_NS  # design §2: baselines reach 7 days back; one more to be whole
BASELINES_MAX: Final = 1_000  # of one window; those with the most traces are kept
FINDING_NS: Final = 90 * _DAY_NS  # a finding nobody has seen for so long
STEPS_PER_FINDING: Final = 10  # transitions and runs kept, by `registry.max_findings`


def step(
    connection: Connection,
    fingerprint: str,
    before: Status | None,
    after: Status,
    at_ns: int,
    *,
    run_id: int | None = None,
    reason: str = "",
) -> Transition | None:
    """Append one step; no step, no row."""
    if before is after:
        return None
    seq = connection.execute(
        sa.insert(tables.transitions)
        .values(
            fingerprint=fingerprint,
            before=before and before.value,
            after=after.value,
            at_ns=at_ns,
            run_id=run_id,
            reason=reason,
        )
        .returning(tables.transitions.c.seq)
    ).scalar_one()
    return Transition(
        seq=seq,
        fingerprint=fingerprint,
        before=before,
        after=after,
        at_ns=at_ns,
        run_id=run_id,
        reason=reason,
    )


def transitions(connection: Connection, after_seq: int, limit: int) -> list[Transition]:
    """The steps after `after_seq`, in order."""
    table = tables.transitions
    found = connection.execute(
        sa.select(table).where(table.c.seq > after_seq).order_by(table.c.seq).limit(limit)
    )
    return [
        Transition(
            seq=row.seq,
            fingerprint=row.fingerprint,
            before=row.before and Status(row.before),
            after=Status(row.after),
            at_ns=row.at_ns,
            run_id=row.run_id,
            reason=row.reason,
        )
        for row in found
    ]


def put_run(
    connection: Connection, replica: str, report: Report, info: RunInfo, now_ns: int
) -> int | None:
    """Remember a run; returns its id, None if this very run stands there already."""
    window, usage = report.window, report.usage
    table = tables.runs
    same = {
        "replica": replica,
        "recorded_ns": now_ns,
        "start_ns": info.start_ns,
        "end_ns": info.end_ns,
        "trigger": info.trigger,
    }
    known = connection.execute(
        sa.select(table.c.run_id).where(*(table.c[name] == value for name, value in same.items()))
    )
    if known.first() is not None:
        return None
    run_id: int = connection.execute(
        sa.insert(table)
        .values(
            **same,
            duration_s=info.duration_s,
            traces=window.traces,
            judged=window.settled,
            spans=window.spans,
            late=window.late,
            findings=len(report.findings),
            model_calls=usage.model_calls,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=usage.cost,
        )
        .returning(table.c.run_id)
    ).scalar_one()
    return run_id


def runs(connection: Connection, limit: int) -> list[Run]:
    """The latest runs, newest first."""
    table = tables.runs
    found = connection.execute(sa.select(table).order_by(table.c.run_id.desc()).limit(limit))
    return [
        Run(
            run_id=row.run_id,
            replica=row.replica,
            recorded_ns=row.recorded_ns,
            info=RunInfo(
                start_ns=row.start_ns,
                end_ns=row.end_ns,
                trigger=row.trigger,
                duration_s=row.duration_s,
            ),
            traces=row.traces,
            judged=row.judged,
            spans=row.spans,
            late=row.late,
            findings=row.findings,
            model_calls=row.model_calls,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cost=row.cost,
        )
        for row in found
    ]


def put_baselines(connection: Connection, replica: str, baselines: Sequence[Baseline]) -> None:
    """Remember `baselines`; what this replica said about the same window and service is replaced."""
    table = tables.baselines
    kept = sorted(baselines, key=lambda one: (-one.traces, one.service))[:BASELINES_MAX]
    for baseline in kept:
        key = {
            "replica": replica,
            "window_start_ns": baseline.window_start_ns,
            "service": service_column(baseline.service),
        }
        connection.execute(
            sa.delete(table).where(*(table.c[name] == value for name, value in key.items()))
        )
        connection.execute(
            sa.insert(table).values(
                **key, traces=baseline.traces, spans=baseline.spans, errors=baseline.errors
            )
        )


def baselines(connection: Connection, since_ns: int, service: str | None) -> list[Baseline]:
    """Baselines of windows that began at `since_ns` or later, summed over replicas, in order."""
    table = tables.baselines
    keys = (table.c.window_start_ns, table.c.service)
    sums = [
        sa.cast(sa.func.sum(table.c[name]), sa.BigInteger) for name in ("traces", "spans", "errors")
    ]
    select = sa.select(*keys, *sums).where(table.c.window_start_ns >= since_ns)
    if service is not None:
        select = select.where(table.c.service == service_column(service))
    return [
        Baseline(window_start_ns=start_ns, service=name, traces=traces, spans=spans, errors=errors)
        for start_ns, name, traces, spans, errors in connection.execute(
            select.group_by(*keys).order_by(*keys)
        )
    ]


def prune(connection: Connection, now_ns: int, settings: sections.Registry) -> None:
    """Forget what is too old, and what is above `settings.max_findings`; mutes for good stay longest."""
    since_ns = now_ns - round(settings.history * NS_PER_S)
    most = STEPS_PER_FINDING * settings.max_findings
    runs, steps, baselines = tables.runs, tables.transitions, tables.baselines
    connection.execute(sa.delete(runs).where(runs.c.recorded_ns < since_ns))
    connection.execute(sa.delete(steps).where(steps.c.at_ns < since_ns))
    for table, number in ((runs, runs.c.run_id), (steps, steps.c.seq)):
        newest = sa.select(sa.func.max(number)).scalar_subquery()
        connection.execute(sa.delete(table).where(number <= newest - most))
    connection.execute(
        sa.delete(baselines).where(baselines.c.window_start_ns < now_ns - BASELINE_NS)
    )
    cells.prune(connection, now_ns - BASELINE_NS)
    sightings.prune(connection, now_ns)
    _prune_findings(connection, now_ns, settings.max_findings)


def _prune_findings(connection: Connection, now_ns: int, most: int) -> None:
    """Strangers' texts make fingerprints: beyond `most`, those not seen longest go first."""
    findings = tables.findings
    for_good = sa.func.coalesce(findings.c.muted_until_ns, 0) == FOR_GOOD_NS
    connection.execute(
        sa.delete(findings).where(findings.c.updated_ns < now_ns - FINDING_NS, ~for_good)
    )
    count = connection.execute(sa.select(sa.func.count()).select_from(findings)).scalar_one()
    if count > most:
        oldest = (
            sa.select(findings.c.fingerprint)
            .order_by(sa.case((for_good, 1), else_=0), findings.c.updated_ns)
            .limit(count - most)
        )
        connection.execute(sa.delete(findings).where(findings.c.fingerprint.in_(oldest)))
