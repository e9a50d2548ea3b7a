"""What the model may spend: one tree of budgets for one window, over one account for all of them.

Promises: a request is paid for before it is sent, with the most that it can cost; what it did not cost comes
back when it is settled. So the sum of what is spent and what is reserved never exceeds a limit, whatever
children do at the same time. A child draws from its parent: its own limits can only be narrower. A request
that does not fit only because others are in flight waits for what they give back; one that would not fit
even then is refused with the name of the limit. One event loop.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Final, Protocol

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.config.llm import DailySpending, HourlySpending, Llm, WindowSpending
from halo_otel.errors import BudgetExhausted

NANO: Final = 1_000_000_000  # money is counted in whole billionths of a USD, so that sums are exact
_HOUR_NS: Final = 3600 * NS_PER_S
_DAY_NS: Final = 24 * _HOUR_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """What one or several requests cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    calls: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_nano=self.cost_nano + other.cost_nano,
            calls=self.calls + other.calls,
        )

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(
            input_tokens=self.input_tokens - other.input_tokens,
            output_tokens=self.output_tokens - other.output_tokens,
            cost_nano=self.cost_nano - other.cost_nano,
            calls=self.calls - other.calls,
        )

    @property
    def cost(self) -> float:
        """USD."""
        return self.cost_nano / NANO


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most of each; `None` is no limit."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano: int | None = None
    calls: int | None = None

    def broken_by(self, amount: Amount) -> str | None:
        """The first limit that `amount` exceeds, as the configuration names it."""
        for name in _NAMES:
            limit = getattr(self, name)
            if limit is not None and getattr(amount, name) > limit:
                return name.removesuffix("_nano")
        return None

    def without(self, amount: Amount) -> "Limits":
        """What is left of each after `amount`, at least nothing."""
        left = {
            name: max(0, limit - getattr(amount, name))
            for name in _NAMES
            if (limit := getattr(self, name)) is not None
        }
        return Limits(**left)

    def narrowed(self, other: "Limits") -> "Limits":
        """The narrower of each."""
        both = {name: (getattr(self, name), getattr(other, name)) for name in _NAMES}
        told = {name: [each for each in pair if each is not None] for name, pair in both.items()}
        return Limits(**{name: min(limits) for name, limits in told.items() if limits})

    def share(self, part: float) -> "Limits":
        """`part` of each, rounded down."""
        parts = {
            name: int(limit * part) for name in _NAMES if (limit := getattr(self, name)) is not None
        }
        return Limits(**parts)


_NAMES: Final = tuple(each.name for each in fields(Amount))


class Account(Protocol):
    """What everything that shares a registry has spent in the last hour and day; it survives restarts."""

    async def take(self, ask: Amount, now_ns: int) -> str:
        """Book `ask`, in one step with the check that no limit breaks; the name of the booking.

        Raises BudgetExhausted. A booking that is never settled stays as it is.
        """
        ...

    async def settle(self, booking: str, actual: Amount) -> None:
        """Correct the booking to what it cost."""
        ...


class Periods:
    """The limits of any hour and any day, over bookings as `(at_ns, amount)`."""

    def __init__(self, hour: HourlySpending, day: DailySpending) -> None:
        self._bounds = (
            ("llm.budget.hour", _HOUR_NS, _limits(hour)),
            ("llm.budget.day", _DAY_NS, _limits(day)),
        )

    @property
    def lengths_ns(self) -> tuple[int, ...]:
        """How far back `check` looks."""
        return tuple(length_ns for _, length_ns, _ in self._bounds)

    @property
    def reach_ns(self) -> int:
        """Bookings this old break no limit any more."""
        return max(self.lengths_ns)

    def check(self, ask: Amount, bookings: Callable[[int], Amount], now_ns: int) -> None:
        """Raise BudgetExhausted if `ask` and what `bookings(since_ns)` sums up break a limit."""
        for name, length_ns, limits in self._bounds:
            spent = bookings(now_ns - length_ns)
            if broken := limits.broken_by(spent + ask):
                raise exhausted(f"{name}.{broken}", limits, spent, ask)


@dataclass(slots=True)
class _Recent:
    """Bookings of the last while, oldest first, and their sum: a thousand requests of one `map` add it up often."""

    bookings: dict[str, tuple[int, Amount]] = field(default_factory=dict)
    total: Amount = field(default_factory=Amount)

    def forget(self, until_ns: int) -> None:
        while self.bookings and next(iter(self.bookings.values()))[0] <= until_ns:
            _, amount = self.bookings.pop(next(iter(self.bookings)))
            self.total -= amount

    def book(self, booking: str, at_ns: int, amount: Amount) -> None:
        self.bookings[booking] = (at_ns, amount)
        self.total += amount

    def settle(self, booking: str, actual: Amount) -> None:
        if booking in self.bookings:
            at_ns, amount = self.bookings[booking]
            self.bookings[booking] = (at_ns, actual)
            self.total += actual - amount


class MemoryAccount:
    """An account of this process alone."""

    def __init__(self, periods: Periods) -> None:
        self._periods = periods
        self._recent = {length_ns: _Recent() for length_ns in periods.lengths_ns}
        self._count = 0

    async def take(self, ask: Amount, now_ns: int) -> str:
        for length_ns, recent in self._recent.items():
            recent.forget(now_ns - length_ns)
        self._periods.check(ask, lambda since_ns: self._recent[now_ns - since_ns].total, now_ns)
        self._count += 1
        booking = str(self._count)
        for recent in self._recent.values():
            recent.book(booking, now_ns, ask)
        return booking

    async def settle(self, booking: str, actual: Amount) -> None:
        for recent in self._recent.values():
            recent.settle(booking, actual)


class _Tree:
    """What all budgets of a tree share."""

    def __init__(self, settings: Llm, clock: Clock, account: Account) -> None:
        self.clock = clock
        self.account = account
        self.end_ns = clock.now_ns() + round(settings.budget.window.time * NS_PER_S)
        self.parallelism = settings.parallelism
        self.max_depth = settings.max_depth
        self.booking = asyncio.Lock()  # from looking whether a request fits until it is booked
        self.in_flight = 0
        self.settled = (
            asyncio.Event()
        )  # set once, when something comes back; then there is a new one

    def give_way(self) -> None:
        """Wake all that wait."""
        self.settled.set()
        self.settled = asyncio.Event()


class Reservation:
    """What one request may cost, paid. Unless it is settled, it counts whole for ever."""

    def __init__(self, budget: "Budget", ask: Amount, booking: str) -> None:
        self.ask = ask
        self._budget: Budget | None = budget
        self._booking = booking

    async def settle(self, actual: Amount) -> None:
        """Pay `actual` instead; a second time changes nothing."""
        if self._budget is not None:
            budget, self._budget = self._budget, None
            await budget.settle(self.ask, actual, self._booking)


class Budget:
    """A node in the tree: `Budget.of` makes the root, `child` the others. `spent` includes children's."""

    def __init__(
        self, tree: _Tree, name: str, limits: Limits, parent: "Budget | None" = None, depth: int = 0
    ) -> None:
        self.depth = depth  # 0 at the root
        self._tree = tree
        self._name = name
        self._limits = limits
        self._lineage: tuple[Budget, ...] = (self, *(parent._lineage if parent else ()))
        self._held = Amount()
        self.spent = Amount()

    @classmethod
    def of(cls, settings: Llm, clock: Clock, account: Account) -> "Budget":
        """The budget of one window; its time runs from now."""
        tree = _Tree(settings, clock, account)
        return cls(tree, "llm.budget.window", _limits(settings.budget.window))

    def child(self, limits: Limits) -> "Budget":
        """A budget for a question below this one. Raises BudgetExhausted below `llm.max_depth`."""
        if self.depth >= self._tree.max_depth:
            limit = "llm.max_depth"
            raise BudgetExhausted(limit, f"{limit}: questions are {self.depth} deep already")
        return Budget(self._tree, f"share of {self._name}", limits, self, self.depth + 1)

    def part(self, limits: Limits) -> "Budget":
        """A part of this one for several questions at its depth, so that something is left for others."""
        return Budget(self._tree, f"part of {self._name}", limits, self, self.depth)

    @property
    def parallelism(self) -> int:
        """Requests of the whole tree that may be in flight at once."""
        return self._tree.parallelism

    @property
    def left(self) -> Limits:
        """What is not spent, here and above. Some of it may be reserved; most of that comes back."""
        left = Limits()
        for budget in self._lineage:
            left = left.narrowed(budget._limits.without(budget.spent))
        return left

    @property
    def seconds_left(self) -> float:
        return max(0.0, (self._tree.end_ns - self._tree.clock.now_ns()) / NS_PER_S)

    async def reserve(
        self, ask: Amount, renewed: Callable[[], Amount] | None = None
    ) -> Reservation:
        """Pay `ask` before the request is sent; waits while others in flight hold what it needs, and then asks
        for what `renewed` gives.

        Raises BudgetExhausted, which names the limit.
        """
        tree = self._tree
        while True:
            async with tree.booking:
                self._refuse(ask)
                settled = tree.settled
                if self._fits(ask):
                    try:
                        booking = await tree.account.take(ask, tree.clock.now_ns())
                    except BudgetExhausted:
                        # What others give back may make room; without them nothing will.
                        if not tree.in_flight and not settled.is_set():
                            raise
                    else:
                        self._hold(ask)
                        return Reservation(self, ask, booking)
            await settled.wait()
            ask = renewed() if renewed else ask

    async def settle(self, ask: Amount, actual: Amount, booking: str) -> None:
        """Called by the reservation."""
        for budget in self._lineage:
            budget.spent += actual
        self._release(ask)
        self._tree.give_way()
        await self._tree.account.settle(booking, actual)

    def _refuse(self, ask: Amount) -> None:
        if self.seconds_left <= 0:
            limit = "llm.budget.window.time"
            raise BudgetExhausted(limit, f"{limit}: the time for this window is up")
        for budget in self._lineage:
            if broken := budget._limits.broken_by(budget.spent + ask):
                raise exhausted(f"{budget._name}.{broken}", budget._limits, budget.spent, ask)

    def _fits(self, ask: Amount) -> bool:
        return self._tree.in_flight < self._tree.parallelism and not any(
            budget._limits.broken_by(budget.spent + budget._held + ask) for budget in self._lineage
        )

    def _hold(self, ask: Amount) -> None:
        self._tree.in_flight += 1
        for budget in self._lineage:
            budget._held += ask

    def _release(self, ask: Amount) -> None:
        self._tree.in_flight -= 1
        for budget in self._lineage:
            budget._held -= ask


def exhausted(limit: str, limits: Limits, spent: Amount, ask: Amount) -> BudgetExhausted:
    """The error for `limit`, whose last word is the name of what is limited."""
    name = limit.rpartition(".")[2]
    name = "cost_nano" if name == "cost" else name
    most, gone, asked = (getattr(each, name) for each in (limits, spent, ask))
    return BudgetExhausted(
        limit, f"{limit}: a request may need {asked}, {gone} of {most} are spent: raise it, or wait"
    )


def _limits(settings: WindowSpending | HourlySpending | DailySpending) -> Limits:
    cost = settings.cost
    return Limits(
        input_tokens=settings.input_tokens,
        output_tokens=settings.output_tokens,
        cost_nano=None if cost is None else int(cost * NANO),
        calls=settings.calls if isinstance(settings, WindowSpending) else None,
    )
