"""Long conversations made short: what was looked at long ago becomes notes."""

from typing import Final

from halo_otel.errors import BudgetExhausted, ContextTooLong, Refused
from halo_otel.llm.budget import Budget
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import BadCall, Message, Question
from halo_otel.recursion import prompts

TURNS_KEPT: Final = 2
_NOTES_TOKENS: Final = 1_000


async def shortened(model: Model, budget: Budget, messages: list[Message]) -> list[Message]:
    """`messages` with all turns but the last ones as notes of the compaction model.

    Where it cannot write any, what is left of the old turns is which calls were made.
    """
    starts = [place for place, message in enumerate(messages) if message.author == "assistant"]
    if len(starts) <= TURNS_KEPT:
        return _without_longest_result(messages)
    cut = starts[-TURNS_KEPT]
    old, kept = messages[:cut], messages[cut:]
    question = Question(
        messages=(Message.system(prompts.COMPACTION), *_as_talk(old)),
        role="compaction",
        max_output_tokens=_NOTES_TOKENS,
    )
    try:
        answer = await model.ask(question, budget)
    except (BudgetExhausted, ContextTooLong, Refused):
        return [Message.user(prompts.LOOKED_AT + _calls(old)), *kept]
    return [Message.user(prompts.NOTES, answer.text), *kept]


def _as_talk(messages: list[Message]) -> tuple[Message, ...]:
    """The old turns as one text: calls without their tools would be refused."""
    parts = []
    for message in messages:
        calls = "".join(
            f"\n{call.tool}({dict(call.arguments)})"
            for call in message.calls
            if not isinstance(call, BadCall)
        )
        parts.append((f"\n\n[{message.author}]{calls}\n", *message.content))
    return (Message.user(*(piece for part in parts for piece in part)),)


def _calls(messages: list[Message]) -> str:
    calls = [call for message in messages for call in message.calls]
    return "\n".join(
        f"- {call.tool}({'' if isinstance(call, BadCall) else dict(call.arguments)})"
        for call in calls
    )


def _without_longest_result(messages: list[Message]) -> list[Message]:
    """One reply is too long for this model: the longest goes."""
    results = [place for place, message in enumerate(messages) if message.author == "tool"]
    if not results:
        return messages
    longest = max(
        results, key=lambda place: sum(len(_text(part)) for part in messages[place].content)
    )
    old = messages[longest]
    dropped = Message(author="tool", content=(prompts.DROPPED,), answers=old.answers)
    return [*messages[:longest], dropped, *messages[longest + 1 :]]


def _text(part: object) -> str:
    return part if isinstance(part, str) else str(getattr(part, "text", ""))
