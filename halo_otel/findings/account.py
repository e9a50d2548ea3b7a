"""What the model tier spends, booked in the registry: one account for all replicas, over restarts.

A booking is made before its request is sent and corrected when it is settled; one that never is, because the
process died, counts whole until its day is over.
"""

import asyncio
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from halo_otel.findings.store import Store
from halo_otel.findings.tables import bookings
from halo_otel.llm.budget import Amount, Periods

_AMOUNTS: Final = ("input_tokens", "output_tokens", "cost_nano", "calls")


class RegistryAccount:
    """An `llm.budget.Account` in the registry's database; made by `Registry.account`.

    Looking at what is spent and booking are one writing transaction, which no other writer overlaps. Both
    methods raise, besides what `Account` says, `Unreachable` and `StateDamaged` as the registry does.
    """

    def __init__(self, store: Store, periods: Periods) -> None:
        self._store = store
        self._periods = periods

    async def take(self, ask: Amount, now_ns: int) -> str:
        """See `llm.budget.Account`."""
        return await asyncio.to_thread(self._take, ask, now_ns)

    async def settle(self, booking: str, actual: Amount) -> None:
        """See `llm.budget.Account`; a booking that is forgotten by now stays so."""
        await asyncio.to_thread(self._settle, int(booking), actual)

    def _take(self, ask: Amount, now_ns: int) -> str:
        with self._store.writing() as connection:
            self._periods.check(ask, lambda since_ns: _spent(connection, since_ns), now_ns)
            too_old = bookings.c.at_ns <= now_ns - self._periods.reach_ns
            connection.execute(sa.delete(bookings).where(too_old))
            booking = connection.execute(
                sa.insert(bookings)
                .values(at_ns=now_ns, **_columns(ask))
                .returning(bookings.c.booking_id)
            ).scalar_one()
            return str(booking)

    def _settle(self, booking: int, actual: Amount) -> None:
        with self._store.writing() as connection:
            connection.execute(
                sa.update(bookings)
                .where(bookings.c.booking_id == booking)
                .values(**_columns(actual))
            )


def _spent(connection: Connection, since_ns: int) -> Amount:
    """The sum of what was booked after `since_ns`."""
    sums = [
        sa.cast(sa.func.coalesce(sa.func.sum(bookings.c[name]), 0), sa.BigInteger).label(name)
        for name in _AMOUNTS
    ]
    row = connection.execute(sa.select(*sums).where(bookings.c.at_ns > since_ns)).one()
    return Amount(**row._mapping)


def _columns(amount: Amount) -> dict[str, int]:
    return {name: getattr(amount, name) for name in _AMOUNTS}
