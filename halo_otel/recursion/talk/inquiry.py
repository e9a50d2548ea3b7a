"""One conversation with the model: it looks around with tools until it reports, or until it must.

It ends with a call of the tool `report`, whose arguments are the answer. Before each turn the model is told
what is left; in the last one, which comes early when money, requests or time run out, it can do nothing but
report, so that what it found is not lost. Turns of long ago are shortened when the conversation grows.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from halo_otel.errors import BudgetExhausted, ContextTooLong
from halo_otel.llm.budget import Budget
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import Answer, BadCall, Call, Message, Payload, Question, Text, Tool
from halo_otel.recursion import prompts
from halo_otel.recursion.progress import Listener, Looked, Said, Wrote
from halo_otel.recursion.talk.compaction import shortened

TALK_TOKENS_MAX: Final = 24_000  # each turn sends the whole talk again
_IDLE_TURNS_MAX: Final = 2  # in a row that neither look nor report
_SECONDS_MIN: Final = 30.0  # what a report may take
_CALLS_PER_TURN_MAX: Final = 16

Check = Callable[[dict[str, Any]], Awaitable[str | None]]


class Toolbox(Protocol):
    """What the model may use to look around."""

    @property
    def tools(self) -> Sequence[Tool]: ...

    async def call(self, call: Call) -> Sequence[Text]:
        """What the tool says; what is wrong with a call is said, too, not raised."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What is asked, and what it is about. `report` is the tool whose arguments are the answer; `check` takes
    them and says what is wrong with them, which the model may correct once."""

    about: str
    opening: tuple[Message, ...]
    report: Tool
    turns: int
    check: Check


async def inquire(
    model: Model,
    budget: Budget,
    inquiry: Inquiry,
    toolbox: Toolbox,
    listen: Listener | None = None,
) -> str:
    """Have the conversation; why nothing was reported, "" if something was.

    With `listen` the model's text is streamed to it. Raises what the model raises, but for an exhausted
    budget, which ends it.
    """
    talk = _Talk(model, budget, inquiry, toolbox, listen)
    for turn in range(1, inquiry.turns + 1):
        try:
            answer, is_last = await talk.turn(turn)
        except BudgetExhausted as error:
            return str(error)
        found = _report(answer, inquiry.report.name)
        if found is not None:
            problem = await inquiry.check(dict(found.arguments))
            if problem is None or is_last or talk.corrected:
                return ""
            talk.correct(answer, found, problem)
        elif is_last:
            return "it did not report"
        else:
            await talk.go_on(answer)
    raise AssertionError("the last turn returns")


@dataclass(slots=True)
class _Talk:
    """The messages so far."""

    model: Model
    budget: Budget
    inquiry: Inquiry
    toolbox: Toolbox
    listen: Listener | None
    messages: list[Message] = field(default_factory=list)  # after the opening
    idle: int = 0
    size_tokens: int = 0
    corrected: bool = False

    async def turn(self, number: int) -> tuple[Answer, bool]:
        """The model's next turn, and whether it was told that it is the last."""
        is_last = number == self.inquiry.turns or self.idle >= _IDLE_TURNS_MAX or self._is_scarce()
        tools = (self.inquiry.report,) if is_last else (*self.toolbox.tools, self.inquiry.report)
        # A first request says nothing that depends on others: it is what a dry run shows.
        tokens = self.budget.left.input_tokens if number > 1 else None
        countdown = Message.user(
            prompts.REPORT_NOW if is_last else prompts.countdown(number, self.inquiry.turns, tokens)
        )
        if self.size_tokens > TALK_TOKENS_MAX:
            await self._shorten()
        try:
            answer = await self._ask(countdown, tools)
        except ContextTooLong:
            await self._shorten()
            answer = await self._ask(countdown, tools)
        self.size_tokens = answer.spent.input_tokens
        return answer, is_last

    async def go_on(self, answer: Answer) -> None:
        """Carry out what the answer asks for."""
        self.messages.append(answer.message)
        self.idle = 0 if answer.calls else self.idle + 1
        for place, call in enumerate(answer.calls):
            if isinstance(call, BadCall):
                told: Sequence[Text] = (call.problem,)
            elif place >= _CALLS_PER_TURN_MAX:
                told = (prompts.TOO_MANY_CALLS,)
            elif call.tool == self.inquiry.report.name:
                told = (prompts.REPORT_ALONE,)
            else:
                told = await self.toolbox.call(call)
                self._tell(call, told)
            self.messages.append(Message.result(call, *told))
        if not answer.calls:
            self.messages.append(Message.user(prompts.REPORT_BY_TOOL))

    def correct(self, answer: Answer, report: Call, problem: str) -> None:
        """Give the report back."""
        self.corrected = True
        self.messages.append(answer.message)
        for call in answer.calls:
            told = problem if call.id == report.id else prompts.REPORT_ALONE
            self.messages.append(Message.result(call, told))

    async def _ask(self, countdown: Message, tools: tuple[Tool, ...]) -> Answer:
        messages = (*self.inquiry.opening, *self.messages, countdown)
        question = Question(messages=messages, tools=tools)
        answer = await self.model.ask(question, self.budget, self._wrote if self.listen else None)
        if self.listen:
            self.listen(Said(about=self.inquiry.about, answer=answer))
        return answer

    def _wrote(self, text: str | None) -> None:
        assert self.listen is not None, "text is streamed to somebody"
        self.listen(Wrote(about=self.inquiry.about, text=text))

    def _tell(self, call: Call, told: Sequence[Text]) -> None:
        if self.listen:
            reply = "".join(one.text if isinstance(one, Payload) else one for one in told)
            self.listen(
                Looked(
                    about=self.inquiry.about,
                    tool=call.tool,
                    arguments=dict(call.arguments),
                    reply=reply,
                    call_id=call.id,
                )
            )

    async def _shorten(self) -> None:
        self.messages = await shortened(self.model, self.budget, self.messages)

    def _is_scarce(self) -> bool:
        """Whether another look would leave too little for the report: it sends at least as much again."""
        left = self.budget.left
        after = 2 * self.size_tokens
        return (
            (left.input_tokens is not None and after > 0 and left.input_tokens < 2 * after)
            or (left.calls is not None and left.calls <= 1)
            or self.budget.seconds_left < _SECONDS_MIN
        )


def _report(answer: Answer, name: str) -> Call | None:
    """The call of `report`; beside calls of other tools it would come too early."""
    reports = [call for call in answer.calls if isinstance(call, Call) and call.tool == name]
    return reports[0] if reports and len(answer.calls) == len(reports) else None
