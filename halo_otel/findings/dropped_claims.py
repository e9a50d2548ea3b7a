"""Claims of a model that did not hold, the newest of them, for whoever wonders what it said.

Every function works inside the caller's transaction.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.findings import tables
from halo_otel.findings.otlpjson import line
from halo_otel.findings.values import DroppedClaim
from halo_otel.model.finding import Subject

# Bytes of UTF-8: a model may write 800 characters in a statement, and `why` quotes what it wrote.
_TEXT_BYTES_MAX: Final = 4096
_NAME_BYTES_MAX: Final = 512
_PARTS: Final = ("service", "agent", "tool", "model")


def put(connection: Connection, claims: Sequence[DroppedClaim], claims_max: int) -> None:
    """Keep `claims`, and of all no more than the newest `claims_max`."""
    table = tables.dropped_claims
    if claims:
        connection.execute(sa.insert(table), [_row(claim) for claim in claims])
    beyond = (
        sa.select(table.c.claim_id)
        .order_by(table.c.claim_id.desc())
        .limit(1)
        .offset(claims_max)
        .scalar_subquery()
    )
    connection.execute(sa.delete(table).where(table.c.claim_id <= beyond))


def listed(connection: Connection, limit: int) -> list[DroppedClaim]:
    """At most `limit` claims, newest first."""
    table = tables.dropped_claims
    found = connection.execute(sa.select(table).order_by(table.c.claim_id.desc()).limit(limit))
    return [
        DroppedClaim(
            at_ns=row.at_ns,
            reason=row.reason,
            why=row.why,
            statement=row.statement,
            subject=Subject(**{part: getattr(row, part) for part in _PARTS}),
            cluster=row.cluster,
            asked=row.asked,
        )
        for row in found
    ]


def _row(claim: DroppedClaim) -> dict[str, object]:
    names = {part: getattr(claim.subject, part) for part in _PARTS} | {"cluster": claim.cluster}
    return {
        "at_ns": claim.at_ns,
        "reason": line(claim.reason, _NAME_BYTES_MAX),
        "why": line(claim.why, _TEXT_BYTES_MAX),
        "statement": line(claim.statement, _TEXT_BYTES_MAX),
        "asked": line(claim.asked, _NAME_BYTES_MAX),
        **{
            key: None if name is None else line(name, _NAME_BYTES_MAX)
            for key, name in names.items()
        },
    }
