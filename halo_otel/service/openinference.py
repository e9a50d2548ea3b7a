"""What a model was asked and answered, as OpenInference names it.

Names: OpenInference's semantic conventions (Arize, `spec/semantic_conventions.md`): `openinference.span.kind`,
`input.value`, `output.value`, `llm.*`, `tool.name`. Texts are written as `llm.payloads` lets them leave, cut to
`TEXT_CHARS_MAX`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from halo_otel.llm.conversation import Answer, BadCall, Call, Payload, Question, Text
from halo_otel.llm.privacy import Payloads, Veil
from halo_otel.redact.mask import Rules

TEXT_CHARS_MAX: Final = (
    4_000  # a span with forty messages stays far below what a Collector takes at once
)
KIND: Final = "openinference.span.kind"
INPUT, OUTPUT = "input.value", "output.value"

Value = str | int | float | bool


class Telling:
    """Values as attributes, under one rule for what leaves."""

    def __init__(self, payloads: Payloads, rules: Rules) -> None:
        self._payloads = payloads
        self._rules = rules

    def text(self, *content: Text) -> str:
        """`content` as it may leave."""
        return _cut(Veil(self._payloads, self._rules).text(*content))

    def arguments(self, arguments: Mapping[str, object]) -> str:
        """A call's arguments as JSON."""
        return _cut(
            json.dumps(Veil(self._payloads, self._rules).value(dict(arguments)), ensure_ascii=False)
        )

    def reply(self, tool: str, reply: str) -> str:
        """What a tool said. Without payloads it holds names and hashes only, as when it was sent."""
        is_bare = self._payloads == "none"
        return self.text(reply if is_bare else Payload(field=f"reply.{tool}", text=reply))

    def question(self, question: Question) -> dict[str, Value]:
        """The messages and tools of a request."""
        told: dict[str, Value] = {}
        for place, message in enumerate(question.messages):
            prefix = f"llm.input_messages.{place}.message"
            told[f"{prefix}.role"] = message.author
            told[f"{prefix}.content"] = self.text(*message.content)
            told |= dict(self._calls(prefix, message.calls))
            if message.answers:
                told[f"{prefix}.tool_call_id"] = message.answers
        for place, tool in enumerate(question.tools):
            named = {"type": "function", "function": {"name": tool.name}}
            told[f"llm.tools.{place}.tool.json_schema"] = json.dumps(named)
        return told

    def answer(self, answer: Answer) -> dict[str, Value]:
        """What came back, and what it cost."""
        spent, prefix = answer.spent, "llm.output_messages.0.message"
        return {
            OUTPUT: self.text(answer.text),
            "llm.model_name": answer.model,
            "llm.token_count.prompt": spent.input_tokens,
            "llm.token_count.completion": spent.output_tokens,
            "llm.token_count.total": spent.input_tokens + spent.output_tokens,
            "llm.cost.total": spent.cost,
            f"{prefix}.role": "assistant",
            f"{prefix}.content": self.text(answer.text),
            **dict(self._calls(prefix, answer.calls)),
        }

    def _calls(self, prefix: str, calls: Sequence[Call | BadCall]) -> Iterator[tuple[str, Value]]:
        for place, call in enumerate(calls):
            under = f"{prefix}.tool_calls.{place}.tool_call"
            yield f"{under}.id", call.id
            yield f"{under}.function.name", call.tool
            if isinstance(call, Call):
                yield f"{under}.function.arguments", self.arguments(call.arguments)


def _cut(text: str) -> str:
    if len(text) <= TEXT_CHARS_MAX:
        return text
    return f"{text[:TEXT_CHARS_MAX]}… ({len(text)} characters)"
