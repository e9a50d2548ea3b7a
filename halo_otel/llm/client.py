"""Asks the model, through everything that may go wrong on the way. See the room's docstring."""

import asyncio
import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil
from types import TracebackType
from typing import Final, TypeAlias, get_args
from urllib.parse import urlsplit

from halo_otel.clock import Clock, rfc3339
from halo_otel.config.llm import Llm, Price
from halo_otel.errors import (
    BudgetExhausted,
    ConfigError,
    ContextTooLong,
    HaloError,
    Permanent,
    Refused,
    Rejected,
    Unreachable,
)
from halo_otel.llm import endpoint, reading, writing
from halo_otel.llm.breaker import Breaker
from halo_otel.llm.budget import NANO, Amount, Budget, Reservation
from halo_otel.llm.conversation import Answer, BadCall, Json, Message, Preview, Question, Role
from halo_otel.llm.endpoint import Abilities, Fault, Feature
from halo_otel.llm.privacy import Sent, Veil
from halo_otel.llm.reading import Usage
from halo_otel.llm.tokens import BYTES_PER_TOKEN, Tokens
from halo_otel.llm.transport import Failed, OnText, Transport
from halo_otel.redact.mask import USUAL, Rules
from halo_otel.selfobs import Counters

# Full jitter: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
_BACKOFF_S: Final = (1.0, 30.0)  # the bound of the first wait, and of all
_PATIENCE_S: Final = 120.0  # the longest wait that an endpoint may ask for, as in `openai`
_SMALL_CHARS: Final = 4_096  # of a question that is masked at once, in some milliseconds
_GO_ON: Final = (
    "This is the analysis of recorded traces of software, asked for by its operators; nothing in them is"
    " carried out. Please go on, and leave out what you cannot answer."
)
_PRICED_TOKENS: Final = 1_000_000  # that prices are told for

# Told of a question when it is asked (None), and of its answer or why it has none.
Watch: TypeAlias = Callable[[Question, Answer | HaloError | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A request, ready to leave."""

    question: Question
    body: Json
    content: bytes
    veil: Veil
    abilities: Abilities
    used: set[Feature]
    price: Price | None
    output_tokens: int  # at most
    most: Amount


class Model:
    """The model behind `llm.base_url`. Async context manager; stop is safe twice and unstarted.

    `price_of` knows the prices of models that `llm.prices` does not name; `rules` say what is masked.
    """

    def __init__(
        self,
        settings: Llm,
        sent: Sent,
        clock: Clock,
        counters: Counters,
        draw: random.Random,
        price_of: Callable[[str], Price | None],
        rules: Rules = USUAL,
    ) -> None:
        self._settings = settings
        self.rules = rules
        self._sent = sent
        self._clock = clock
        self._counters = counters
        self._draw = draw
        self._price_of = price_of
        self._address = urlsplit(settings.base_url)
        self._abilities: dict[str, Abilities] = {}
        self._tokens = Tokens()
        self._breaker = Breaker(clock)
        self._transport = Transport(settings, clock, counters)
        self._watch: Watch = lambda question, came: None

    async def __aenter__(self) -> "Model":
        """Raises ConfigError: no model, package missing, or money limited and a price unknown."""
        self._check_prices()
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._transport.__aexit__(kind, error, tb)

    async def ask(
        self, question: Question, budget: Budget, on_text: OnText | None = None
    ) -> Answer:
        """The answer, paid from `budget`. With `on_text` the answer is streamed: it is called with every
        piece of text as it comes, and with `None` when all so far is void, because the question is asked again.

        Raises BudgetExhausted, ContextTooLong (make it shorter), Refused, Rejected (whoever configured this
        must act), Unreachable (later), Unwritable (what leaves cannot be recorded, so nothing left).
        """
        self._watch(question, None)
        try:
            answer = await self._asked(question, budget, on_text)
        except HaloError as error:
            self._watch(question, error)
            raise
        self._watch(question, answer)
        return answer

    def watched(self, watch: Watch) -> "Model":
        """This model, over the same connection, with `watch` told of every question put to it."""
        model = copy.copy(self)
        model._watch = watch
        return model

    async def _asked(self, question: Question, budget: Budget, on_text: OnText | None) -> Answer:
        """Until it does not decline, as often as may be tried."""
        refusals = 0
        while True:
            answer = await self._answered(question, budget, on_text)
            if answer.refusal is None:
                return answer
            self._counters.add("halo.llm.refusals", role=question.role)
            if refusals >= self._settings.refusal_retries:
                raise Refused(f"the model declines: {endpoint.plain(answer.refusal)}")
            refusals += 1
            if on_text:
                on_text(None)
            said = Message.assistant(answer.text or answer.refusal)
            question = replace(question, messages=(*question.messages, said, Message.user(_GO_ON)))

    def preview(self, question: Question, *, stream: bool = False) -> Preview:
        """What `ask` would send first; nothing is sent."""
        draft = self._draft(question, stream=stream)
        return Preview(
            model=draft.body["model"],
            body=draft.content,
            fields=draft.veil.fields,
            masked=draft.veil.masked,
            input_tokens_max=draft.most.input_tokens,
            input_tokens_estimated=ceil(len(draft.content) / BYTES_PER_TOKEN),
            output_tokens_max=draft.most.output_tokens,
            cost_max=draft.most.cost if draft.price else None,
        )

    async def _answered(self, question: Question, budget: Budget, on_text: OnText | None) -> Answer:
        failures = 0
        while True:
            draft = await self._drafted(question, stream=on_text is not None)
            try:
                return await self._attempt(draft, budget, on_text, failures + 1)
            except Failed as failed:
                fault = failed.fault
                if fault.feature:
                    self._counters.add("halo.llm.fallbacks", feature=fault.feature)
                    draft.abilities.lose(fault.feature, draft.body)
                    continue
                self._counters.add("halo.llm.failed_attempts", role=question.role, why=fault.kind)
                if fault.kind not in ("busy", "down", "broken"):
                    raise _error(fault) from failed.__cause__
                if on_text:
                    on_text(None)
                failures += 1
                await self._pause(fault, failures, budget)
                self._counters.add("halo.llm.retries", role=question.role)

    async def _drafted(self, question: Question, stream: bool) -> _Draft:
        """Masking takes two seconds for a megabyte, so not on the loop; but for a few kilobytes it is quicker
        there than beside it, where the two wait for each other."""
        if (
            sum(len(each) for message in question.messages for each in _texts(message))
            <= _SMALL_CHARS
        ):
            return self._draft(question, stream)
        return await asyncio.to_thread(self._draft, question, stream)

    def _draft(self, question: Question, stream: bool) -> _Draft:
        settings = self._settings
        model = _model(settings, question.role)
        is_openai = (self._address.hostname or "").endswith((".openai.com", ".azure.com"))
        abilities = self._abilities.setdefault(model, Abilities(is_openai))
        veil = Veil(settings.payloads, self.rules)
        body = writing.body(question, model, abilities, veil, settings, stream)
        price = self._price(model)
        written = body[abilities.output_limit]
        return _Draft(
            question=question,
            body=body,
            content=writing.encoded(body),
            veil=veil,
            abilities=abilities,
            used=abilities.used(body),
            price=price,
            output_tokens=written,
            most=self._most(body, written, price),
        )

    def _most(self, body: Json, output_tokens: int, price: Price | None) -> Amount:
        """What a request can cost at most, by what is known of its tokens now."""
        sent, cost = self._tokens.at_most(body), 0.0
        if price:
            cost = sent * max(price.input, price.cache_write or 0) + output_tokens * price.output
        return Amount(
            input_tokens=sent,
            output_tokens=output_tokens,
            cost_nano=ceil(cost * NANO / _PRICED_TOKENS),
            calls=1,
        )

    async def _attempt(
        self, draft: _Draft, budget: Budget, on_text: OnText | None, attempt: int
    ) -> Answer:
        """One request. Raises Failed; whatever happens, what it may have cost is paid."""
        reservation = await self._reserve(draft, budget)
        actual = Amount()  # nothing has left
        try:
            self._breaker.enter()
            await self._sent.record(draft.content, self._about(draft, attempt))
            for kind, number in draft.veil.masked.items():
                self._counters.add("halo.llm.masked_values", number, kind=kind)
            actual = reservation.ask  # nobody knows yet
            seconds = min(self._settings.timeout, budget.seconds_left)
            try:
                completion = await self._transport.exchange(
                    draft.content, draft.used, seconds, on_text
                )
                answer, usage = reading.read(completion, draft.question)
            except (Failed, reading.Unusable) as error:
                failed = error if isinstance(error, Failed) else _broken(error)
                self._breaker.note(failed.fault.kind)
                if failed.fault.is_free:
                    actual = Amount(calls=1)
                raise failed from error
            self._breaker.note("answered")
            actual = self._spent(draft, usage, reservation.ask)
            self._count(answer, draft.question.role)
            return replace(answer, spent=actual)
        finally:
            if actual.calls:
                self._count_spending(draft.question.role, actual)
            await reservation.settle(actual)

    async def _reserve(self, draft: _Draft, budget: Budget) -> Reservation:
        try:
            # Others' answers while it waits tell more of its tokens.
            return await budget.reserve(
                draft.most, lambda: self._most(draft.body, draft.output_tokens, draft.price)
            )
        except BudgetExhausted as error:
            self._counters.add("halo.llm.budget_refusals", limit=error.limit)
            raise

    def _spent(self, draft: _Draft, usage: Usage | None, most: Amount) -> Amount:
        """What was used; where the endpoint does not count, `most`."""
        if usage is None:
            self._counters.add("halo.llm.uncounted")
            return most
        self._tokens.learn(draft.body, most.input_tokens, usage.input_tokens)
        cost = usage.cost or 0.0
        if usage.cost is None and draft.price:
            cost = _cost(usage, draft.price)
        return Amount(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_nano=ceil(cost * NANO),
            calls=1,
        )

    async def _pause(self, fault: Fault, failures: int, budget: Budget) -> None:
        """Wait before the next attempt. Raises Unreachable where there is none."""
        named_s = fault.wait_s or 0.0
        bound_s = min(_BACKOFF_S[0] * 2 ** (failures - 1), _BACKOFF_S[1])
        pause_s = named_s + self._draw.uniform(0, bound_s)
        why = ""
        if failures > self._settings.retries:
            why = f"{failures} attempts failed"
        elif named_s > _PATIENCE_S:
            why = f"it asks to wait {named_s:.0f} s"
        elif pause_s >= budget.seconds_left:
            why = "the time for this window is up before the next attempt"
        if why:
            raise Unreachable(f"llm.base_url: {why}; the last answer: {fault.what}")
        await self._clock.sleep(pause_s)

    def _price(self, model: str) -> Price | None:
        return self._settings.prices.get(model) or self._price_of(model)

    def _check_prices(self) -> None:
        budget = self._settings.budget
        if all(each.cost is None for each in (budget.window, budget.hour, budget.day)):
            return
        for role in get_args(Role):
            model = _model(self._settings, role)
            if self._price(model) is None:
                raise ConfigError(
                    f"llm.budget limits cost, but what {model!r} costs is not known: add it to llm.prices"
                )

    def _about(self, draft: _Draft, attempt: int) -> Json:
        return {
            "at": rfc3339(self._clock.now_ns()),
            "host": self._address.netloc,
            "model": draft.body["model"],
            "role": draft.question.role,
            "attempt": attempt,
            "messages": len(draft.body["messages"]),
            "payloads": self._settings.payloads,
            "fields": dict(sorted(draft.veil.fields.items())),
            "masked": dict(sorted(draft.veil.masked.items())),
        }

    def _count(self, answer: Answer, role: Role) -> None:
        self._counters.add("halo.llm.calls", role=role)
        if bad := sum(isinstance(call, BadCall) for call in answer.calls):
            self._counters.add("halo.llm.malformed_calls", bad, role=role)

    def _count_spending(self, role: str, actual: Amount) -> None:
        for direction, tokens in (("input", actual.input_tokens), ("output", actual.output_tokens)):
            self._counters.add("halo.llm.tokens", tokens, direction=direction, role=role)
        self._counters.add("halo.llm.cost", actual.cost, role=role)


def _texts(message: Message) -> Iterator[str]:
    """All of its texts; of calls something about as long."""
    yield from (each if isinstance(each, str) else each.text for each in message.content)
    yield from (repr(call) for call in message.calls)


def _model(settings: Llm, role: Role) -> str:
    roles = {"synthesis": settings.synthesis_model, "compaction": settings.compaction_model}
    model = roles.get(role) or settings.model
    if model is None:
        raise ConfigError("llm.model is not set: name the model that analyses")
    return model


def _cost(usage: Usage, price: Price) -> float:
    """USD."""
    cached, written = usage.cached_tokens, usage.cache_written_tokens
    return (
        (usage.input_tokens - cached - written) * price.input
        + cached * (price.input if price.cache_read is None else price.cache_read)
        + written * (price.input if price.cache_write is None else price.cache_write)
        + usage.output_tokens * price.output
    ) / _PRICED_TOKENS


def _broken(error: reading.Unusable) -> Failed:
    return Failed(Fault(kind="broken", what=endpoint.plain(str(error)), is_free=False))


def _error(fault: Fault) -> Permanent:
    what = f"llm.base_url: {fault.what}"
    if fault.kind == "too_long":
        return ContextTooLong(what, fault.tokens)
    return Refused(what) if fault.kind == "declined" else Rejected(what)
