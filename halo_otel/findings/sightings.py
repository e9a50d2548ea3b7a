"""Who showed a finding of late: one sighting per finding and replica, because each sees its own share.

A pattern may live in one replica's share alone: a broken host, a zone, a route. What the others do not see
says nothing against it. So a replica that showed a finding *holds* it until that replica itself was silent
for long enough (the rule of three in `lifecycle`), and where the finding is heading is said by those that
show it. A replica that could say nothing for `HOLD_NS`, because it is gone or has no such traffic any more,
is not waited for; then all others' silence decides.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.clock import NS_PER_S
from halo_otel.findings import lifecycle, rows, tables
from halo_otel.model.cell import Trend

# Far above the differences of replicas' clocks, below a day: what was mended while its replica was
# replaced is told as resolved the same day.
HOLD_NS: Final = 6 * 3600 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """How one replica saw one finding; `rate` is that of its last sight, in 0..1."""

    rate: float
    unseen_traces: int = 0  # exposed traces this replica judged since
    trend: Trend | None = None
    judged_ns: int  # when it last judged a trace that could have shown it

    @property
    def holds(self) -> bool:
        """Whether it is too early for this replica to call the finding gone."""
        return not lifecycle.silent_enough(self.unseen_traces, self.rate)


class Sightings:
    """The sightings of the findings one run of `replica` speaks of; `put` writes what changed."""

    def __init__(
        self, connection: Connection, fingerprints: Collection[str], replica: str, now_ns: int
    ) -> None:
        self._replica = replica
        self._now_ns = now_ns
        self._changed: set[str] = set()
        self._known: dict[str, dict[str, Sighting]] = {}
        table = tables.sightings
        for some in rows.chunks(fingerprints):
            for row in connection.execute(
                sa.select(table).where(
                    table.c.fingerprint.in_(some), table.c.judged_ns > now_ns - HOLD_NS
                )
            ):
                self._known.setdefault(row.fingerprint, {})[row.replica] = Sighting(
                    rate=row.rate,
                    unseen_traces=row.unseen_traces,
                    trend=None if row.trend is None else Trend(row.trend),
                    judged_ns=row.judged_ns,
                )

    def seen(self, fingerprint: str, rate: float) -> None:
        """This replica showed it, at `rate`."""
        own = self._own(fingerprint)
        trend = None if own is None else own.trend
        self._set(fingerprint, Sighting(rate=rate, trend=trend, judged_ns=self._now_ns))

    def unseen(self, fingerprint: str, exposed: int) -> None:
        """This replica judged `exposed` traces that could have shown it, and did not."""
        own = self._own(fingerprint)
        if own is not None and exposed:
            unseen_traces = own.unseen_traces + exposed
            self._set(
                fingerprint, replace(own, unseen_traces=unseen_traces, judged_ns=self._now_ns)
            )

    def headed(self, fingerprint: str, trend: Trend) -> Trend:
        """This replica tested its own rate of it; returns where it is heading as a whole."""
        own = self._own(fingerprint)
        if own is not None:
            self._set(fingerprint, replace(own, trend=trend))
        trends = {one.trend for one in self._known.get(fingerprint, {}).values()} - {None}
        if not trends:
            return trend
        if Trend.UP in trends:
            return Trend.UP
        return Trend.DOWN if trends == {Trend.DOWN} else Trend.STEADY

    def held(self, fingerprint: str) -> bool:
        """Whether any replica that showed it would call it gone too early."""
        return any(one.holds for one in self._known.get(fingerprint, {}).values())

    def put(self, connection: Connection) -> None:
        """Write what changed."""
        table = tables.sightings
        changed = sorted(self._changed)
        for some in rows.chunks(changed):
            connection.execute(
                sa.delete(table).where(
                    table.c.fingerprint.in_(some), table.c.replica == self._replica
                )
            )
        if changed:
            connection.execute(
                sa.insert(table), [self._row(fingerprint) for fingerprint in changed]
            )

    def _own(self, fingerprint: str) -> Sighting | None:
        return self._known.get(fingerprint, {}).get(self._replica)

    def _set(self, fingerprint: str, sighting: Sighting) -> None:
        if sighting != self._own(fingerprint):
            self._known.setdefault(fingerprint, {})[self._replica] = sighting
            self._changed.add(fingerprint)

    def _row(self, fingerprint: str) -> dict[str, object]:
        own = self._known[fingerprint][self._replica]
        return {
            "fingerprint": fingerprint,
            "replica": self._replica,
            "rate": own.rate,
            "unseen_traces": own.unseen_traces,
            "trend": None if own.trend is None else own.trend.value,
            "judged_ns": own.judged_ns,
        }


def prune(connection: Connection, now_ns: int) -> None:
    """Forget the sightings nobody waits for any more."""
    table = tables.sightings
    connection.execute(sa.delete(table).where(table.c.judged_ns <= now_ns - HOLD_NS))
