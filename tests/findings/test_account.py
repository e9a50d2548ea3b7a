"""What the model tier spends, accounted for by all that share a registry."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from halo_otel.clock import NS_PER_S
from halo_otel.config.llm import DailySpending, HourlySpending
from halo_otel.errors import BudgetExhausted
from halo_otel.findings import Registry
from halo_otel.findings.account import RegistryAccount
from halo_otel.findings.store import Store
from halo_otel.findings.tables import bookings
from halo_otel.llm.budget import NANO, Amount, Periods

NOW_NS = 1_700_000_000 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S
TOKENS_MAX = 1_000
COST_MAX = 0.000_001


def periods(**day: int) -> Periods:
    return Periods(
        HourlySpending(input_tokens=TOKENS_MAX, cost=COST_MAX), DailySpending.model_validate(day)
    )


def ask(tokens: int, cost_nano: int = 0) -> Amount:
    return Amount(input_tokens=tokens, cost_nano=cost_nano, calls=1)


def booked(url: str) -> Amount:
    """What stands in the table, seen from outside."""
    store = Store(url)
    store.open()
    columns = (bookings.c.input_tokens, bookings.c.cost_nano)
    with store.reading() as connection:
        tokens, cost = connection.execute(sa.select(*map(sa.func.sum, columns))).one()
    store.close()
    return Amount(input_tokens=int(tokens or 0), cost_nano=int(cost or 0))


async def _spend(account: RegistryAccount, seed: int) -> tuple[int, int]:
    """Random requests, of which some are settled; how many were paid and how many refused."""
    draw = random.Random(seed)
    paid = refused = 0
    for _ in range(12):
        wanted = ask(draw.randint(1, 150), draw.randint(0, 100))
        try:
            booking = await account.take(wanted, NOW_NS + draw.randint(0, 10**9))
        except BudgetExhausted:
            refused += 1
            continue
        paid += 1
        if draw.random() < 0.7:
            part = draw.random()
            tokens, cost = (int(part * each) for each in (wanted.input_tokens, wanted.cost_nano))
            await account.settle(booking, ask(tokens, cost))
    return paid, refused


@pytest.mark.parametrize("seed", range(3))
def test_no_limit_breaks_whoever_asks_at_once(
    database_url: str, open_registry: Callable[..., Registry], seed: int
) -> None:
    accounts = [open_registry(replica=f"r{n}").account(periods()) for n in range(4)]

    def one(number: int) -> tuple[int, int]:
        return asyncio.run(_spend(accounts[number % 4], 100 * seed + number))

    def look(_: int) -> Amount:
        return booked(database_url)

    with ThreadPoolExecutor(10) as threads:
        spending = threads.map(one, range(8))
        looks = list(threads.map(look, range(20)))
        counts = list(spending)
    assert sum(paid for paid, _ in counts) > 0
    assert sum(refused for _, refused in counts) > 0
    for amount in (*looks, booked(database_url)):
        assert amount.input_tokens <= TOKENS_MAX
        assert amount.cost_nano <= COST_MAX * NANO


async def test_what_is_left_can_be_spent_to_the_last(registry: Registry) -> None:
    account = registry.account(periods())
    first = await account.take(ask(600), NOW_NS)
    await account.take(ask(400), NOW_NS)
    with pytest.raises(BudgetExhausted, match=r"llm\.budget\.hour\.input_tokens.*1000 of 1000"):
        await account.take(ask(1), NOW_NS)
    await account.settle(first, ask(599))
    await account.take(ask(1), NOW_NS)
    with pytest.raises(BudgetExhausted):
        await account.take(ask(1), NOW_NS)


async def test_money_is_limited_as_tokens_are(registry: Registry) -> None:
    account = registry.account(periods())
    await account.take(ask(1, cost_nano=1000), NOW_NS)
    with pytest.raises(BudgetExhausted) as caught:
        await account.take(ask(1, cost_nano=1), NOW_NS)
    assert caught.value.limit == "llm.budget.hour.cost"


async def test_a_restart_forgets_nothing_and_an_open_booking_counts_whole(
    open_registry: Callable[..., Registry],
) -> None:
    before = open_registry()
    account = before.account(periods())
    await account.settle(await account.take(ask(900), NOW_NS), ask(300))
    await account.take(ask(700), NOW_NS)
    before.close()
    after = open_registry(replica="other").account(periods())
    with pytest.raises(BudgetExhausted):
        await after.take(ask(1), NOW_NS + HOUR_NS - 1)


async def test_an_hour_later_there_is_room_until_the_day_is_spent(
    registry: Registry, database_url: str
) -> None:
    account = registry.account(periods(input_tokens=2_500))
    for hour in range(2):
        await account.take(ask(1_000), NOW_NS + hour * HOUR_NS)
    with pytest.raises(BudgetExhausted) as caught:
        await account.take(ask(1_000), NOW_NS + 2 * HOUR_NS)
    assert caught.value.limit == "llm.budget.day.input_tokens"
    await account.take(ask(500), NOW_NS + 2 * HOUR_NS)
    forgotten = await account.take(ask(1_000), NOW_NS + 26 * HOUR_NS)
    assert booked(database_url).input_tokens == 1_000  # older ones are let go
    await account.take(ask(1), NOW_NS + 60 * HOUR_NS)
    await account.settle(forgotten, ask(7))
    assert booked(database_url).input_tokens == 1


async def test_waiting_for_the_database_does_not_hold_the_event_loop(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    store.open()
    account = RegistryAccount(store, periods())
    async with asyncio.TaskGroup() as tasks:
        with store.writing():  # as another replica does; nobody else can write
            taking = tasks.create_task(account.take(ask(1), NOW_NS))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not taking.done()
    assert taking.result()
    store.close()
