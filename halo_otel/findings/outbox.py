"""Records that wait for the Collector.

    put ──▶ due ──claim──▶ leased ──acknowledged──▶ gone
             ▲               │
             └── failed, or the lease ran out ──┘

A claim is a lease: whoever claims has until its end to say how sending went, else the record is due
again. So a crash between sending and deleting sends twice, never not at all, and replicas on one
registry do not send each other's records a second time. Their clocks differ: another's lease has run out
only `SKEW_NS` after its end by the own clock.

Every function works inside the caller's transaction.
"""

from collections.abc import Collection, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.clock import NS_PER_S
from halo_otel.findings.emission import Message
from halo_otel.findings.tables import outbox
from halo_otel.findings.values import Pending, SignalKind

# Five minutes fast and five minutes slow: the skew Kerberos (RFC 4120) and others bear.
SKEW_NS: Final = 600 * NS_PER_S


def put(connection: Connection, messages: Sequence[Message], now_ns: int, size_max: int) -> int:
    """Add `messages`; returns how many records were dropped to keep at most `size_max`.

    Dropped are the least worth first (`emission.Worth`: repeats, then details, then transitions),
    the oldest of them first.
    """
    keys = [message.dedupe_key for message in messages if message.dedupe_key]
    connection.execute(sa.delete(outbox).where(outbox.c.dedupe_key.in_(keys)))
    if messages:
        connection.execute(
            sa.insert(outbox),
            [
                {
                    "kind": message.kind.value,
                    "worth": int(message.worth),
                    "dedupe_key": message.dedupe_key,
                    "payload": message.payload,
                    "created_ns": now_ns,
                    "attempts": 0,
                    "next_attempt_ns": now_ns,
                }
                for message in messages
            ],
        )
    excess = size(connection) - size_max
    if excess <= 0:
        return 0
    least = (
        sa.select(outbox.c.record_id)
        .order_by(outbox.c.worth, outbox.c.record_id)
        .limit(excess)
        .scalar_subquery()
    )
    connection.execute(sa.delete(outbox).where(outbox.c.record_id.in_(least)))
    return excess


def claim(
    connection: Connection, kind: SignalKind, limit: int, now_ns: int, lease_ns: int, replica: str
) -> list[Pending]:
    """The due records of `kind`, transitions first, then the oldest, leased to `replica`."""
    own = sa.func.coalesce(outbox.c.leased_by, replica) == replica
    lapsed = outbox.c.next_attempt_ns <= now_ns - SKEW_NS
    rows = connection.execute(
        sa.select(outbox.c.record_id, outbox.c.payload, outbox.c.attempts)
        .where(outbox.c.kind == kind.value, outbox.c.next_attempt_ns <= now_ns, own | lapsed)
        .order_by(outbox.c.worth.desc(), outbox.c.record_id)
        .limit(limit)
    ).all()
    if rows:
        connection.execute(
            _of([row.record_id for row in rows]).values(
                next_attempt_ns=now_ns + lease_ns, leased_by=replica
            )
        )
    return [
        Pending(record_id=row.record_id, kind=kind, payload=row.payload, attempts=row.attempts)
        for row in rows
    ]


def fail(connection: Connection, ids: Collection[int], until_ns: int) -> None:
    """Sending the records `ids` failed: whoever comes first may claim them again at `until_ns`."""
    connection.execute(
        _of(ids).values(next_attempt_ns=until_ns, attempts=outbox.c.attempts + 1, leased_by=None)
    )


def _of(ids: Collection[int]) -> sa.Update:
    return sa.update(outbox).where(outbox.c.record_id.in_(ids))


def remove(connection: Connection, ids: Collection[int]) -> None:
    """Forget the records `ids`: they were acknowledged or given up."""
    connection.execute(sa.delete(outbox).where(outbox.c.record_id.in_(ids)))


def size(connection: Connection) -> int:
    """How many records wait, leased ones included."""
    return connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar_one()
