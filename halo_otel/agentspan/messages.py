"""Chat messages, in every shape they are recorded in, to the text a person would read.

Shapes: OTel's `[{role, parts: [{type, content}]}]` (1.37 and later), OpenAI's
`[{role, content, tool_calls}]` with `content` text or a list of `{type, text}`, and Bedrock's
content blocks `[{text}, {toolUse: {name, input}}]`, which Strands writes. What is not message-shaped
is taken as it is.
"""

from typing import Any, Final, TypeAlias

from halo_otel.agentspan.values import arguments, decoded, label, payload, text

Message: TypeAlias = dict[str, Any]

INSTRUCTING_ROLES: Final = frozenset({"system", "developer"})
_INSTRUCTING_HINTS: Final = tuple(f'"{role}"' for role in INSTRUCTING_ROLES)
_TEXT_TYPES: Final = (None, "text", "input_text", "output_text")
_RESULT_TYPES: Final = ("tool_call_response", "tool-result")
_CALL_KEYS: Final = ("function", "toolUse", "function_call", "functionCall")


def given(value: Any) -> str | None:
    """What was asked: the text of the last user message that has any, else the last message's text
    or the tool results it consists of.
    """
    messages = _messages(value)
    if not messages:
        return payload(value)
    for message in reversed(messages):
        if message["role"] == "user" and (said := _said(message)):
            return said
    return _said(messages[-1]) or _returned(messages[-1])


def answered(value: Any) -> str | None:
    """What was answered: the text of the last message, or the tool calls it consists of."""
    messages = _messages(value)
    if not messages:
        return payload(value)
    return _said(messages[-1]) or _called(messages[-1])


def instructions(value: Any) -> str | None:
    """What the model was told to be: the text of the system and developer messages."""
    if isinstance(value, str) and not any(role in value for role in _INSTRUCTING_HINTS):
        return None
    said = [
        _said(message)
        for message in _messages(value)
        if label(message["role"]) in INSTRUCTING_ROLES
    ]
    return "\n".join(piece for piece in said if piece) or None


def message_text(value: Any) -> str | None:
    """The text of one message, or the tool calls it consists of; content alone is read as such."""
    found = decoded(value)
    if isinstance(found, dict) and (
        "content" in found or "parts" in found or "tool_calls" in found
    ):
        return _said(found) or _called(found)
    return content_text(value)


def finish_reason(value: Any) -> Any:
    """The finish reason stated in the last message of `value`."""
    if isinstance(value, str) and '"finish_reason"' not in value:
        return None
    messages = _messages(value)
    return messages[-1].get("finish_reason") if messages else None


def returned(value: Any) -> str | None:
    """The tool results that the last message consists of, else its text."""
    messages = _messages(value)
    return (_returned(messages[-1]) or _said(messages[-1])) if messages else payload(value)


def called(value: Any) -> str | None:
    """Tool calls, recorded by themselves, as `name(arguments)`, one to a line."""
    found = decoded(value)
    return _called({"parts": found}) if isinstance(found, list) else payload(value)


def call_arguments(value: Any) -> str | None:
    """The arguments of the one tool call that the last message consists of."""
    messages = _messages(value)
    parts = messages[-1].get("parts") if messages else None
    calls = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    found = [call["arguments"] for call in calls if "arguments" in call]
    return arguments(found[0]) if len(found) == 1 else None


def content_text(value: Any) -> str | None:
    """The text of one message's content: plain, or blocks as JSON."""
    found = decoded(value)
    blocks = [found] if isinstance(found, dict) else found
    if not isinstance(blocks, list):
        return payload(value)
    message = {"parts": blocks}
    return _said(message) or _called(message) or payload(value)


def _messages(value: Any) -> list[Message]:
    found = decoded(value)
    if isinstance(found, dict):
        found = _inside(found)
    if not isinstance(found, list):
        return []
    return [message for message in found if isinstance(message, dict) and "role" in message]


def _inside(found: dict[str, Any]) -> Any:
    """The messages of a request or an answer that was recorded whole."""
    for key in ("messages", "contents"):  # OpenAI's and Gemini's requests
        if key in found:
            return found[key]
    if isinstance(choices := found.get("choices"), list):  # OpenAI's answer
        return [
            {"finish_reason": choice.get("finish_reason"), **message}
            for choice in choices
            if isinstance(choice, dict) and isinstance(message := choice.get("message"), dict)
        ]
    for key in ("message", "content"):  # an event's body, Gemini's answer
        if isinstance(found.get(key), dict):
            return [found[key]]
    return [found]


def _said(message: Message) -> str | None:
    content = message.get("parts", message.get("content"))
    if isinstance(content, dict):  # AWS's logs put it one level deeper
        content = decoded(content.get("content") or content.get("message"))
    if isinstance(content, list):
        return text("\n".join(piece for part in content if (piece := _piece(part))))
    return text(content)


def _piece(part: Any) -> str | None:
    if isinstance(part, dict):
        part = (
            (part.get("content") or part.get("text")) if part.get("type") in _TEXT_TYPES else None
        )
    return part if isinstance(part, str) else None


def _returned(message: Message) -> str | None:
    """The tool results of `message`; Pydantic AI calls `result` what others call `response`."""
    parts = message.get("parts", message.get("content"))
    results = [
        result
        for part in (parts if isinstance(parts, list) else ())
        if isinstance(part, dict) and part.get("type") in _RESULT_TYPES
        if (result := _result(part))
    ]
    return "\n".join(results) or None


def _result(part: dict[str, Any]) -> str | None:
    for key in ("response", "result", "output"):
        if key in part:
            found = part[key]
            if isinstance(found, dict) and set(found) == {"type", "value"}:  # Vercel's
                found = found["value"]
            return content_text(found)
    return None


def _called(message: Message) -> str | None:
    """The tool calls of `message` as `name(arguments)`, one to a line."""
    lines = []
    for key in ("parts", "content", "tool_calls"):
        calls = message.get(key)
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and (line := _call(call)):
                lines.append(line)
    return "\n".join(lines) or None


def _call(call: dict[str, Any]) -> str | None:
    for inner in (*map(call.get, _CALL_KEYS), call):
        if isinstance(inner, dict) and isinstance(
            name := inner.get("name", inner.get("toolName")), str
        ):
            for key in ("arguments", "input", "args"):
                if key in inner:
                    return f"{name}({payload(inner[key]) or ''})"
    return None
