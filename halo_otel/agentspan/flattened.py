"""Chat messages that stand in attributes of their own: `llm.input_messages.0.message.content`."""

from dataclasses import dataclass
from functools import lru_cache

from halo_otel.agentspan.messages import INSTRUCTING_ROLES, content_text
from halo_otel.agentspan.source import Reading
from halo_otel.agentspan.values import label, text
from halo_otel.model.span import Attributes


@dataclass(frozen=True, slots=True, eq=False)
class Flattened:
    """Where a dialect flattens messages to: `{before}{index}{after}.role`, and `{call}.name` under a
    message's `.tool_calls.{index}`.
    """

    before: str
    after: str
    call: str

    def given(self, reading: Reading) -> str | None:
        """The text of the last user message that has any, else of the last message."""
        attributes = reading.span.attributes
        last = self._size(attributes) - 1
        for index in range(last, -1, -1):
            message = self._message(index)
            if attributes.get(f"{message}.role") == "user" and (said := _said(attributes, message)):
                return said
        return _said(attributes, self._message(last)) if last >= 0 else None

    def answered(self, reading: Reading) -> str | None:
        """The text of the last message, or the tool calls it consists of."""
        attributes = reading.span.attributes
        last = self._size(attributes) - 1
        if last < 0:
            return None
        message = self._message(last)
        return _said(attributes, message) or self._called(attributes, message)

    def instructions(self, reading: Reading) -> str | None:
        """The text of the system and developer messages that the others follow."""
        attributes = reading.span.attributes
        pieces: list[str] = []
        index = 0
        while label(attributes.get(_role(self, index))) in INSTRUCTING_ROLES:
            pieces.append(_said(attributes, self._message(index)) or "")
            index += 1
        return text("\n".join(piece for piece in pieces if piece))

    def _message(self, index: int) -> str:
        return f"{self.before}{index}{self.after}"

    def _size(self, attributes: Attributes) -> int:
        """How many messages stand there, by bisection: there may be hundreds."""
        if _role(self, 0) not in attributes:
            return 0
        low, high = 0, 1
        while _role(self, high) in attributes:
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            if _role(self, middle) in attributes:
                low = middle
            else:
                high = middle
        return high

    def _called(self, attributes: Attributes, message: str) -> str | None:
        lines: list[str] = []
        while True:
            call = f"{message}.tool_calls.{len(lines)}{self.call}"
            name = label(attributes.get(f"{call}.name"))
            if name is None:
                return "\n".join(lines) or None
            lines.append(f"{name}({text(attributes.get(f'{call}.arguments')) or ''})")


@lru_cache(1024)
def _role(place: Flattened, index: int) -> str:
    """The key of a message's role; the same few are asked for again and again."""
    return f"{place.before}{index}{place.after}.role"


def _said(attributes: Attributes, message: str) -> str | None:
    content = attributes.get(f"{message}.content")
    if content is not None:
        return content_text(content)
    pieces: list[str] = []
    while f"{(part := f'{message}.contents.{len(pieces)}.message_content')}.type" in attributes:
        pieces.append(text(attributes.get(f"{part}.text")) or "")
    return text("\n".join(piece for piece in pieces if piece))
