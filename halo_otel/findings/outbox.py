"""Records that wait for the Collector.

    put ──▶ due ──claim──▶ leased ──acknowledged──▶ gone
             ▲               │
             └── failed, or the lease ran out ──┘

A claim is a lease: whoever claims has until its end to say how sending went, else the record is due
again. So a crash between sending and deleting sends twice, never not at all, and replicas on one
registry do not send each other's records a second time.

Every function works inside the caller's transaction.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.findings.emission import Message
from halo_otel.findings.tables import outbox
from halo_otel.findings.values import Pending, SignalKind


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
    connection: Connection, kind: SignalKind, limit: int, now_ns: int, lease_ns: int
) -> list[Pending]:
    """The due records of `kind`, transitions first, then the oldest, leased to the caller."""
    rows = connection.execute(
        sa.select(outbox.c.record_id, outbox.c.payload, outbox.c.attempts)
        .where(outbox.c.kind == kind.value, outbox.c.next_attempt_ns <= now_ns)
        .order_by(outbox.c.worth.desc(), outbox.c.record_id)
        .limit(limit)
    ).all()
    postpone(connection, [row.record_id for row in rows], now_ns + lease_ns)
    return [
        Pending(record_id=row.record_id, kind=kind, payload=row.payload, attempts=row.attempts)
        for row in rows
    ]


def postpone(
    connection: Connection, ids: Collection[int], until_ns: int, *, failed: bool = False
) -> None:
    """Let nobody claim the records `ids` before `until_ns`; `failed` counts an attempt."""
    connection.execute(
        sa.update(outbox)
        .where(outbox.c.record_id.in_(ids))
        .values(next_attempt_ns=until_ns, attempts=outbox.c.attempts + int(failed))
    )


def remove(connection: Connection, ids: Collection[int]) -> None:
    """Forget the records `ids`: they were acknowledged or given up."""
    connection.execute(sa.delete(outbox).where(outbox.c.record_id.in_(ids)))


def size(connection: Connection) -> int:
    """How many records wait, leased ones included."""
    return connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar_one()
