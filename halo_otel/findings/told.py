"""Which evidence spans were told, so that each is told once ever, and how many of them are remembered."""

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.findings import rows
from halo_otel.findings.tables import evidence
from halo_otel.model.finding import Evidence, Finding, Role

# Evidence spans remembered per finding. A run shows at most `analysis.max_evidence` and a lookback is
# some dozen runs.
EVIDENCE_MAX: Final = 1_000

_Key = tuple[str, str]  # trace id, span id


class Told:
    """The told spans of the findings one run reports; `put` writes those that were added."""

    def __init__(self, connection: Connection, fingerprints: Collection[str]) -> None:
        self._known: dict[str, set[_Key]] = {}
        self._added: dict[str, list[_Key]] = {}
        columns = (evidence.c.fingerprint, evidence.c.trace_id, evidence.c.span_id)
        for some in rows.chunks(fingerprints):
            found = connection.execute(sa.select(*columns).where(evidence.c.fingerprint.in_(some)))
            for fingerprint, trace_id, span_id in found:
                self._known.setdefault(fingerprint, set()).add((trace_id, span_id))

    def add(self, finding: Finding, most: int) -> list[Evidence]:
        """The first `most` spans of `finding` nobody was told about; they count as told from now on."""
        known = self._known.setdefault(finding.fingerprint, set())
        fresh: dict[_Key, Evidence] = {}
        for span in finding.evidence:
            key = (span.trace_id, span.span_id)
            if span.role is not Role.CONTRAST and key not in known:
                fresh.setdefault(key, span)
        told = dict(list(fresh.items())[:most])
        known.update(told)
        self._added.setdefault(finding.fingerprint, []).extend(told)
        return list(told.values())

    def put(self, connection: Connection, now_ns: int) -> None:
        """Write what was added; of each finding the newest `EVIDENCE_MAX` stay."""
        added = [
            {
                "fingerprint": fingerprint,
                "trace_id": trace_id,
                "span_id": span_id,
                "recorded_ns": now_ns,
            }
            for fingerprint, keys in self._added.items()
            for trace_id, span_id in keys
        ]
        if added:
            connection.execute(sa.insert(evidence), added)
        for fingerprint in self._added:
            excess = len(self._known[fingerprint]) - EVIDENCE_MAX
            if excess > 0:
                _forget(connection, fingerprint, excess)


def _forget(connection: Connection, fingerprint: str, count: int) -> None:
    """Delete the `count` oldest rows of one finding."""
    oldest = connection.execute(
        sa.select(evidence.c.trace_id, evidence.c.span_id)
        .where(evidence.c.fingerprint == fingerprint)
        .order_by(evidence.c.recorded_ns, evidence.c.trace_id, evidence.c.span_id)
        .limit(count)
    ).all()
    connection.execute(
        sa.delete(evidence).where(
            evidence.c.fingerprint == fingerprint,
            evidence.c.trace_id == sa.bindparam("oldest_trace"),
            evidence.c.span_id == sa.bindparam("oldest_span"),
        ),
        [{"oldest_trace": trace, "oldest_span": span} for trace, span in oldest],
    )
