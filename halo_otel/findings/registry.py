"""The door of the room: what a run found goes in, what is known and what is to be told comes out.

All functions block on the database; the event loop calls them through `asyncio.to_thread`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.config.sections import Emit
from halo_otel.errors import NotFound
from halo_otel.findings import cells, dropped_claims, history, lifecycle, outbox, rows
from halo_otel.findings.account import RegistryAccount
from halo_otel.findings.lifecycle import State
from halo_otel.findings.otlpjson import line
from halo_otel.findings.recording import Exposed, Recording
from halo_otel.findings.store import RegistryDamaged, Store
from halo_otel.findings.tables import findings
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
from halo_otel.llm.budget import Periods
from halo_otel.model.cell import CellCount, Trend
from halo_otel.model.finding import Finding
from halo_otel.model.report import Report
from halo_otel.selfobs import Counters

logger = logging.getLogger(__name__)

_OPEN: Final = "halo.findings.open"
_REASON_BYTES_MAX: Final = 512


class Registry:
    """Findings, their history and the outbox in one database.

    `url` is `config.Config.registry_url`; `replica` names this instance among those that share a
    PostgreSQL registry; of `settings` it takes how much is remembered and `on_damage`. `emit` is `None` where
    nothing is to be sent: the outbox stays empty, and what is found meanwhile is not told later either.
    Besides the errors each function names, all raise `Unreachable` when the database does not answer,
    `StateDamaged` when it cannot be read and `ConfigError` when its user may not do what is asked.
    """

    def __init__(
        self,
        url: str,
        emit: Emit | None,
        counters: Counters,
        *,
        replica: str = "local",
        settings: sections.Registry = sections.Registry(),  # noqa: B008 (immutable)
    ) -> None:
        self._store = Store(url)
        self._emit = emit
        self._counters = counters
        self._replica = replica
        self._settings = settings

    def open(self) -> None:
        """Connect, bring the schema up to date; see `Store.open` for the errors.

        A damaged SQLite file is renamed and an empty one begun if `registry.on_damage` says so.
        """
        try:
            self._open()
        except RegistryDamaged as error:
            if self._settings.on_damage == "stop":
                raise
            aside = self._store.set_aside()
            self._counters.add("halo.findings.damaged")
            logger.error("%s: set aside as %s, an empty one is begun", error, aside)  # noqa: TRY400 (the message is for people)
            self._open()

    def _open(self) -> None:
        self._store.open()
        with self._store.reading() as connection:
            self._count_open(connection)

    def close(self) -> None:
        """Let go of the database; safe twice and unopened."""
        self._store.close()

    def record(
        self,
        report: Report,
        run: RunInfo,
        now_ns: int,
        exposed: Exposed | None = None,
        trends: Mapping[str, Trend] | None = None,
    ) -> list[Transition]:
        """Take in one analysis run, in one transaction: findings, lifecycle, history, outbox.

        `exposed` says, for fingerprints of findings that are not resolved, how many of the traces
        judged for the first time in this run belong to that finding's subject, so that they could have
        shown it, and did not; None if one did.
        Where it says nothing, nothing is ever resolved. `trends` say, for fingerprints whose rate was
        tested against its own past in this run, where it is heading. Recording the same report again in another
        run changes neither findings nor what is told about them; recording the same run again changes nothing.
        """
        with self._writing(report, run, now_ns, exposed, trends) as (_, recording):
            return recording.record()

    def record_model(
        self,
        report: Report,
        run: RunInfo,
        now_ns: int,
        exposed: Exposed | None = None,
        dropped: Sequence[DroppedClaim] = (),
        *,
        dropped_max: int,
    ) -> list[Transition]:
        """Take in what the model tier added to a recorded `report`, in one transaction.

        The explanations of findings, and what the model itself found, whose life only these runs move:
        `exposed` is about them, as in `record`. Of the claims that did not hold, `dropped` and older ones,
        the newest `dropped_max` are kept.
        """
        with self._writing(report, run, now_ns, exposed) as (connection, recording):
            transitions = recording.deepen()
            dropped_claims.put(connection, dropped, dropped_max)
        return transitions

    @contextmanager
    def _writing(
        self,
        report: Report,
        run: RunInfo,
        now_ns: int,
        exposed: Exposed | None,
        trends: Mapping[str, Trend] | None = None,
    ) -> Iterator[tuple[Connection, Recording]]:
        """The transaction of one run; what it has to tell goes into the outbox at its end."""
        lost = 0
        with self._store.writing() as connection:
            recording = Recording(
                connection,
                report,
                run=run,
                now_ns=now_ns,
                emit=self._emit or Emit(),
                replica=self._replica,
                exposed=exposed or {},
                trends=trends or {},
            )
            yield connection, recording
            if self._emit is not None:
                lost = outbox.put(connection, recording.messages, now_ns, self._emit.max_outbox)
            history.prune(connection, now_ns, self._settings)
            self._count_open(connection)
        if lost:
            self._counters.add("halo.emitter.dropped_records", lost, reason="outbox_full")

    def account(self, periods: Periods) -> RegistryAccount:
        """What all that share this registry spend on models."""
        return RegistryAccount(self._store, periods)

    # --- asking

    def findings(self, query: Query = Query()) -> list[Finding]:  # noqa: B008 (immutable)
        """The findings that fit `query`, highest priority first."""
        with self._store.reading() as connection:
            return rows.listed(connection, query)

    def finding(self, fingerprint: str) -> Finding:
        """One finding with all its known affected traces; raises `NotFound`."""
        with self._store.reading() as connection:
            return rows.finding(_row(connection, fingerprint))

    def transitions(self, after_seq: int = 0, limit: int = 1000) -> list[Transition]:
        """The steps after `after_seq`, in order; feeds the control API's `watch`."""
        with self._store.reading() as connection:
            return history.transitions(connection, after_seq, limit)

    def runs(self, limit: int = 100) -> list[Run]:
        """The latest runs, newest first."""
        with self._store.reading() as connection:
            return history.runs(connection, limit)

    def dropped_claims(self, limit: int = 100) -> list[DroppedClaim]:
        """What models said that did not hold, newest first."""
        with self._store.reading() as connection:
            return dropped_claims.listed(connection, limit)

    # --- muting

    def mute(self, fingerprint: str, until_ns: int | None, reason: str, now_ns: int) -> Finding:
        """Keep silent about a finding until `until_ns`, or for good; it keeps counting.

        `reason` stands in the transition. Raises `NotFound`.
        """
        return self._by_hand(
            fingerprint, lambda state: lifecycle.muted(state, until_ns), reason, now_ns
        )

    def unmute(self, fingerprint: str, now_ns: int) -> Finding:
        """Tell about a finding again; raises `NotFound`."""
        return self._by_hand(fingerprint, lifecycle.unmuted, "", now_ns)

    def _by_hand(
        self, fingerprint: str, change: Callable[[State], State], reason: str, now_ns: int
    ) -> Finding:
        with self._store.writing() as connection:
            before = rows.state(_row(connection, fingerprint))
            after = change(before)
            rows.update(connection, fingerprint, after)
            history.step(
                connection,
                fingerprint,
                before.status,
                after.status,
                now_ns,
                reason=line(reason, _REASON_BYTES_MAX),
            )
            self._count_open(connection)
            return rows.finding(_row(connection, fingerprint))

    # --- baselines

    def record_baselines(self, baselines: Sequence[Baseline]) -> None:
        """Remember what a window saw; the same window and service again replaces it."""
        with self._store.writing() as connection:
            history.put_baselines(connection, self._replica, baselines)

    def baselines(self, since_ns: int, service: str | None = None) -> list[Baseline]:
        """What windows that began at `since_ns` or later saw, summed over replicas, oldest first."""
        with self._store.reading() as connection:
            return history.baselines(connection, since_ns, service)

    def record_cells(self, counts: Sequence[CellCount]) -> None:
        """Remember what one window of this replica saw; the same window and cell again replaces it."""
        with self._store.writing() as connection:
            cells.put(connection, self._replica, counts)

    def cells(self, since_ns: int) -> list[CellCount]:
        """What this replica's windows that began at `since_ns` or later saw, oldest first."""
        with self._store.reading() as connection:
            return cells.since(connection, self._replica, since_ns)

    # --- the outbox

    def pending(self, kind: SignalKind, limit: int, now_ns: int, lease_s: float) -> list[Pending]:
        """Up to `limit` due records of `kind`, leased to the caller for `lease_s` seconds."""
        with self._store.writing() as connection:
            lease_ns = round(lease_s * NS_PER_S)
            return outbox.claim(connection, kind, limit, now_ns, lease_ns, self._replica)

    def mark_emitted(self, ids: Iterable[int]) -> None:
        """The Collector acknowledged these records, or they were given up: forget them."""
        with self._store.writing() as connection:
            outbox.remove(connection, tuple(ids))

    def mark_failed(self, ids: Iterable[int], next_attempt_ns: int) -> None:
        """Sending these records failed: they are due again at `next_attempt_ns`."""
        with self._store.writing() as connection:
            outbox.fail(connection, tuple(ids), next_attempt_ns)

    def outbox_size(self) -> int:
        """How many records wait for the Collector."""
        with self._store.reading() as connection:
            return outbox.size(connection)

    def _count_open(self, connection: Connection) -> None:
        """Set the gauge `halo.findings.open{category,severity,service}`."""
        keys = (findings.c.category, findings.c.severity, findings.c.service)
        counted = connection.execute(
            sa.select(*keys, sa.func.count())
            .where(findings.c.status.in_([status.value for status in lifecycle.OPEN]))
            .group_by(*keys)
        ).all()
        self._counters.clear(_OPEN)
        for category, severity, service, count in counted:
            self._counters.set(_OPEN, count, category=category, severity=severity, service=service)


def _row(connection: Connection, fingerprint: str) -> rows.Row:
    row = rows.find(connection, fingerprint)
    if row is None:
        raise NotFound(
            f"no finding {fingerprint[:64]!r}: `halo-otel findings` lists the known fingerprints"
        )
    return row
