"""Log records that tell what a span did, as the span events they stand for.

Since 1.28 OTel's content and evaluations may come as log records that bear the ids of their span. One
normaliser reads both: `event_name` says at ingest whether a record is such an event, `span_events`
makes it what the same instrumentation would have written on the span itself.

Shapes (conventions §5; the packages' own sources): the event's name stands in the record's own field or in the attribute
`event.name`; its members in the body (1.28 to 1.36), in the attributes (1.37 and later), or in a body
of JSON text (Python's logging). AWS's distribution moves all content of a span into one record whose
event name is the scope's and whose body is `{input: {messages}, output: {messages}}`. Google's ADK has
the message `{role, parts}` in the member `content`. Claude Code's events have bare names in a scope of
their own.
"""

from collections.abc import Iterator
from typing import Any, Final

from halo_otel.agentspan import claude_code, evaluation
from halo_otel.agentspan.values import decoded
from halo_otel.model.span import AnyValue, Attributes, LogRecord, SpanEvent

EVALUATION: Final = evaluation.RESULT
# What a record is called that holds a span's whole content in AWS's shape.
MOVED: Final = "gen_ai.client.inference.operation.details"

_CHOICE: Final = "gen_ai.choice"
_PREFIXES: Final = ("gen_ai.", "claude_code.")
_CLAUDE_CODE: Final = "claude_code."
_SIDES: Final = frozenset({"input", "output"})
_ROLES: Final = {"system": "system", "user": "user", "tool": "tool"}


def is_genai_event(record: LogRecord) -> bool:
    """Whether `record` tells what an agent's span did."""
    return event_name(record) is not None


def event_name(record: LogRecord) -> str | None:
    """The name of the GenAI event that `record` is, None for any other log record."""
    name = record.event_name or record.attributes.get("event.name") or ""
    if isinstance(name, str):
        if name.startswith(_PREFIXES):
            return name
        if name and record.scope.name.startswith(claude_code.DIALECT.scopes):
            return _CLAUDE_CODE + name
    return MOVED if _moved(record.body) else None


def span_events(
    name: str, time_ns: int, attributes: Attributes, body: AnyValue
) -> tuple[SpanEvent, ...]:
    """The span events that a record stands for; `name` is what `event_name` gave for it."""
    if name == MOVED and _moved(body):
        return tuple(_moved_events(body, time_ns))
    members = {**attributes, **_members(body)}
    content = members.get("content")
    if isinstance(content, dict) and isinstance(content.get("parts"), list):
        name = _adk_name(name, content)
        members["content"] = content = content["parts"]
    if name == _CHOICE and content is not None:
        members.setdefault("message", content)
    return (SpanEvent(name=name, time_ns=time_ns, attributes=members),)


def _adk_name(name: str, message: dict[str, Any]) -> str:
    """What Google's ADK should have called an event.

    It calls all of a request user messages: the user's, the model's own and the tools' answers.
    """
    if name != "gen_ai.user.message":
        return name
    if message.get("role") == "model":
        return "gen_ai.assistant.message"
    answers = [
        isinstance(part, dict) and part.get("function_response") for part in message["parts"]
    ]
    return "gen_ai.tool.message" if answers and all(answers) else name


def _members(body: Any) -> dict[str, Any]:
    """The members of an event's body; text that is no JSON object is its content."""
    found = decoded(body)
    if isinstance(found, dict):
        return found
    return {"content": body} if isinstance(body, str) and body else {}


def _moved(body: Any) -> bool:
    """Whether `body` has AWS's shape."""
    return (
        isinstance(body, dict)
        and 0 < len(body) <= len(_SIDES)
        and _SIDES.issuperset(body)
        and all(
            isinstance(side, dict) and isinstance(side.get("messages"), list)
            for side in body.values()
        )
    )


def _moved_events(body: Any, time_ns: int) -> Iterator[SpanEvent]:
    """One event per message, as it was on the span before it was moved."""
    for side in ("input", "output"):
        for message in body.get(side, {}).get("messages", ()):
            if not isinstance(message, dict):
                continue
            content = message.get("content")
            members = dict(content) if isinstance(content, dict) else {"content": content}
            if side == "output":
                name = _CHOICE
                members.setdefault("message", members.get("content"))
            else:
                name = f"gen_ai.{_ROLES.get(str(message.get('role')), 'assistant')}.message"
            yield SpanEvent(name=name, time_ns=time_ns, attributes=members)
