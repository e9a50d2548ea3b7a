"""The budget is never overspent, and says which limit ended it."""

import asyncio
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.clock import NS_PER_S, ManualClock
from halo_otel.config.llm import Llm
from halo_otel.errors import BudgetExhausted
from halo_otel.llm.budget import NANO, Amount, Budget, Limits, MemoryAccount, Periods

WINDOW = {"input_tokens": 1000, "output_tokens": 300, "calls": 40, "cost": 0.000_002}


def llm(**changes: object) -> Llm:
    return Llm.model_validate({"budget": {"window": WINDOW}, **changes})


def account(settings: Llm) -> MemoryAccount:
    return MemoryAccount(Periods(settings.budget.hour, settings.budget.day))


def root(settings: Llm | None = None, clock: ManualClock | None = None) -> Budget:
    settings = settings or llm()
    return Budget.of(settings, clock or ManualClock(), account(settings))


def within(amount: Amount, settings: Llm) -> bool:
    window = settings.budget.window
    assert window.cost is not None
    return (
        amount.input_tokens <= window.input_tokens
        and amount.output_tokens <= window.output_tokens
        and amount.calls <= window.calls
        and amount.cost_nano <= window.cost * NANO
    )


class _Watched(MemoryAccount):
    """Fails the run as soon as what is booked exceeds what may be; forgets nothing."""

    def __init__(self, settings: Llm, draw: random.Random) -> None:
        super().__init__(Periods(settings.budget.hour, settings.budget.day))
        self._settings = settings
        self._draw = draw
        self.booked: dict[str, Amount] = {}

    async def take(self, ask: Amount, now_ns: int) -> str:
        for _ in range(self._draw.randrange(3)):
            await asyncio.sleep(0)
        booking = await super().take(ask, now_ns)
        self.booked[booking] = ask
        assert within(sum(self.booked.values(), Amount()), self._settings)
        return booking

    async def settle(self, booking: str, actual: Amount) -> None:
        self.booked[booking] = actual
        await super().settle(booking, actual)


async def _run(seed: int) -> Amount:
    """A random tree of children that ask at once, give back, fail, and are cancelled."""
    draw = random.Random(seed)
    settings = llm(parallelism=draw.randint(1, 6), max_depth=3)
    watched = _Watched(settings, draw)
    budget = Budget.of(settings, ManualClock(), watched)
    truly = [Amount()]
    in_flight = 0

    async def call(own: Budget) -> None:
        nonlocal in_flight
        ask = Amount(
            input_tokens=draw.randint(1, 200),
            output_tokens=draw.randint(1, 60),
            cost_nano=draw.randint(0, 300),
            calls=1,
        )
        reservation = await own.reserve(ask)
        in_flight += 1
        assert in_flight <= settings.parallelism
        actual = Amount(
            input_tokens=draw.randint(0, ask.input_tokens),
            output_tokens=draw.randint(0, ask.output_tokens),
            cost_nano=draw.randint(0, ask.cost_nano),
            calls=1,
        )
        try:
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)
            truly.append(actual)
        except asyncio.CancelledError:
            actual = ask  # nobody knows what it cost
            truly.append(actual)
            raise
        finally:
            in_flight -= 1
            await reservation.settle(actual)
            await reservation.settle(actual)

    async def question(own: Budget) -> None:
        try:
            for _ in range(draw.randint(1, 6)):
                await call(own)
                if draw.random() < 0.4:
                    make = draw.choice((own.child, own.part))
                    child = make(own.left.share(draw.choice((0.2, 0.5, 1.0))))
                    await asyncio.gather(question(child), question(child))
        except BudgetExhausted:
            pass

    tasks = [asyncio.ensure_future(question(budget)) for _ in range(draw.randint(1, 6))]
    for _ in range(draw.randrange(30)):
        await asyncio.sleep(0)
    if draw.random() < 0.5:
        draw.choice(tasks).cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not [task for task in tasks if not task.cancelled() and task.exception()]
    spent = sum(truly, Amount())
    assert spent == budget.spent
    assert budget.left == Limits(
        input_tokens=1000, output_tokens=300, calls=40, cost_nano=2000
    ).without(spent)
    assert within(spent, settings)
    return spent


@settings(max_examples=1000)
@given(st.integers())
def test_never_overspent_whatever_children_do_at_once(seed: int) -> None:
    asyncio.run(_run(seed))


def test_the_runs_of_that_law_reach_the_limit() -> None:
    """Otherwise it would say nothing."""
    spent = [asyncio.run(_run(seed)) for seed in range(100)]
    assert sum(amount.input_tokens > 800 for amount in spent) > 30


@pytest.mark.parametrize(
    ("ask", "limit"),
    [
        (Amount(input_tokens=1001), "input_tokens"),
        (Amount(output_tokens=301), "output_tokens"),
        (Amount(cost_nano=2001), "cost"),
        (Amount(calls=41), "calls"),
    ],
)
async def test_the_limit_is_named(ask: Amount, limit: str) -> None:
    with pytest.raises(BudgetExhausted, match=f"llm.budget.window.{limit}") as refusal:
        await root().reserve(ask)
    assert refusal.value.limit == f"llm.budget.window.{limit}"


async def test_time_is_a_limit() -> None:
    clock = ManualClock()
    budget = root(clock=clock)
    clock.advance(599)
    await (await budget.reserve(Amount(calls=1))).settle(Amount(calls=1))
    assert budget.seconds_left == 1
    clock.advance(1)
    with pytest.raises(BudgetExhausted, match=r"llm\.budget\.window\.time"):
        await budget.reserve(Amount(calls=1))


async def test_a_child_has_its_share_and_its_depth() -> None:
    budget = root(llm(max_depth=1))
    child = budget.child(budget.left.share(0.25))
    assert child.left.input_tokens == 250
    with pytest.raises(BudgetExhausted, match="share of llm"):
        await child.reserve(Amount(input_tokens=251))
    await (await child.reserve(Amount(input_tokens=250))).settle(Amount(input_tokens=240))
    assert (child.left.input_tokens, budget.left.input_tokens) == (10, 760)
    with pytest.raises(BudgetExhausted, match="max_depth"):
        child.child(Limits())


async def test_a_child_sees_what_is_left_above() -> None:
    budget = root()
    child = budget.child(Limits(input_tokens=900))
    await (await budget.reserve(Amount(input_tokens=800))).settle(Amount(input_tokens=800))
    assert child.left.input_tokens == 200


async def test_who_does_not_fit_only_now_waits_for_what_comes_back() -> None:
    budget = root()
    first = await budget.reserve(Amount(input_tokens=900, calls=1))
    second = asyncio.ensure_future(budget.reserve(Amount(input_tokens=900, calls=1)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()
    await first.settle(Amount(input_tokens=50, calls=1))
    assert (await second).ask.input_tokens == 900


async def test_who_waited_in_vain_is_refused() -> None:
    budget = root()
    first = await budget.reserve(Amount(input_tokens=900))
    second = asyncio.ensure_future(budget.reserve(Amount(input_tokens=900)))
    await asyncio.sleep(0)
    await first.settle(Amount(input_tokens=900))
    with pytest.raises(BudgetExhausted):
        await second


@pytest.mark.parametrize(("period", "seconds"), [("hour", 3600), ("day", 86400)])
async def test_an_account_spans_windows_and_forgets_in_time(period: str, seconds: int) -> None:
    settings = llm(budget={"window": WINDOW, period: {"input_tokens": 1500}})
    clock, shared = ManualClock(), account(settings)
    one = Budget.of(settings, clock, shared)
    await (await one.reserve(Amount(input_tokens=1000))).settle(Amount(input_tokens=900))
    two = Budget.of(settings, clock, shared)
    with pytest.raises(BudgetExhausted, match=rf"llm\.budget\.{period}\.input_tokens"):
        await two.reserve(Amount(input_tokens=601))
    await (await two.reserve(Amount(input_tokens=600))).settle(Amount(input_tokens=600))
    clock.advance(seconds)
    three = Budget.of(settings, clock, shared)
    await three.reserve(Amount(input_tokens=1000))


async def test_an_account_that_is_full_only_now_is_waited_for() -> None:
    settings = llm(budget={"window": WINDOW, "hour": {"input_tokens": 900}})
    budget = Budget.of(settings, ManualClock(), account(settings))
    first = await budget.reserve(Amount(input_tokens=500))
    second = asyncio.ensure_future(budget.reserve(Amount(input_tokens=500)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not second.done()
    await first.settle(Amount(input_tokens=100))
    await second


def test_a_settlement_that_never_comes_counts_whole() -> None:
    """As after a crash: what may have been spent stays booked."""
    settings = llm(budget={"window": WINDOW, "hour": {"input_tokens": 1000}})
    shared = account(settings)

    async def crash() -> None:
        await Budget.of(settings, ManualClock(), shared).reserve(Amount(input_tokens=700))

    asyncio.run(crash())
    with pytest.raises(BudgetExhausted, match="hour"):
        asyncio.run(crash())


AMOUNTS = st.builds(Amount, input_tokens=st.integers(0, 9), cost_nano=st.integers(0, 9))


@given(AMOUNTS, AMOUNTS)
def test_amounts_add_up(one: Amount, two: Amount) -> None:
    assert one + two - two == one
    assert Limits(input_tokens=9).without(one).input_tokens == 9 - one.input_tokens


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 9), st.none() | st.integers(0, 9))))
def test_an_account_holds_what_was_booked_in_the_hour_and_the_day(
    booked: list[tuple[int, int, int | None]],
) -> None:
    """As seconds that pass before it, calls it asks for, calls it settles for, if it does."""
    spent: list[tuple[int, int]] = []
    now_s = 0

    class Checked(Periods):
        def check(self, ask: Amount, bookings: Callable[[int], Amount], now_ns: int) -> None:
            for length_ns in self.lengths_ns:
                since_s = (now_ns - length_ns) // NS_PER_S
                known = sum(calls for at_s, calls in spent if at_s > since_s)
                assert bookings(now_ns - length_ns).calls == known

    async def run() -> None:
        nonlocal now_s
        settings = Llm()
        account = MemoryAccount(Checked(settings.budget.hour, settings.budget.day))
        for pause_s, asked, settled in booked:
            now_s += pause_s
            booking = await account.take(Amount(calls=asked), now_s * NS_PER_S)
            if settled is not None:
                await account.settle(booking, Amount(calls=settled))
            spent.append((now_s, asked if settled is None else settled))
        await account.settle("unknown", Amount(calls=1))

    asyncio.run(run())
