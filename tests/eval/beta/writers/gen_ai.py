"""OTel's gen_ai conventions with the content in log records, in the newer form and the older one.

Newer: one event per model call with all of its messages, a tool's arguments and result on its span.
Older (1.28 to 1.36): one event per message; a tool's content stands in events of its span as well.
"""

from typing import Any, Final

from tests.eval.beta.run import Message, Step
from tests.eval.beta.writers.written import (
    CLIENT,
    Event,
    Show,
    Written,
    output_message,
)

_NEWER: Final = ("opentelemetry.util.genai.handler", "1.3b0")
_OLDER: Final = ("opentelemetry.instrumentation.openai_v2", "2.1b0")
_DETAILS: Final = "gen_ai.client.inference.operation.details"
_OPERATIONS: Final = {
    "run": "invoke_workflow",
    "agent": "invoke_agent",
    "model": "chat",
    "tool": "execute_tool",
}
_PROVIDERS: Final = {"claude": "anthropic", "mistral": "mistral_ai"}
_FINISH: Final = {"tool_calls": "tool_call"}


def write(show: Show, step: Step) -> Written:
    """`step` as an operation, with its content in events."""
    operation = _OPERATIONS.get(step.kind)
    name = f"{operation} {step.name}" if operation else step.name
    setting = show.run.setting
    attributes: dict[str, Any] = {"gen_ai.conversation.id": setting.session}
    if operation:
        attributes["gen_ai.operation.name"] = operation
    if step.kind == "run":
        attributes["gen_ai.workflow.name"] = step.name
    elif step.kind != "parse":
        attributes["gen_ai.agent.name"] = step.agent
    if step.error and not step.in_words:
        attributes["error.type"] = step.error[0]
    events: tuple[Event, ...] = ()
    if step.kind == "agent":
        attributes["gen_ai.agent.version"] = setting.version
        attributes["gen_ai.provider.name"] = _provider(setting.model)
    elif step.kind == "model":
        attributes |= _usage(step)
        events = _newer_events(show, step) if show.style.newer else _older_events(show, step)
    elif step.kind == "tool":
        more, events = _tool(show, step)
        attributes |= more
    if show.style.evaluates and not step.parent:
        events += (_evaluation(show),)
    return Written(
        name=name,
        scope=_NEWER if show.style.newer else _OLDER,
        kind=CLIENT if step.kind == "model" else 1,
        attributes=attributes,
        events=() if step.bare else events,
    )


def _provider(model: str) -> str:
    return _PROVIDERS.get(model.partition("-")[0], "openai")


def _usage(step: Step) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "gen_ai.provider.name": _provider(step.name),
        "gen_ai.request.model": step.name,
    }
    if step.error is None:
        attributes |= {
            "gen_ai.response.model": step.name,
            "gen_ai.response.finish_reasons": [_FINISH.get(step.finish, step.finish)],
            "gen_ai.usage.input_tokens": step.input_tokens,
            "gen_ai.usage.output_tokens": step.output_tokens,
        }
        if step.reasoning_tokens:
            attributes["gen_ai.usage.reasoning.output_tokens"] = step.reasoning_tokens
    return attributes


def _newer_events(show: Show, step: Step) -> tuple[Event, ...]:
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system_instructions": [{"type": "text", "content": show.told(step)}],
        "gen_ai.input.messages": [_message(message) for message in step.given],
    }
    if step.error is None:
        answer = _message(output_message(step))
        answer["finish_reason"] = _FINISH.get(step.finish, step.finish)
        attributes["gen_ai.output.messages"] = [answer]
    if tools := show.tools(step):
        attributes["gen_ai.tool.definitions"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.says,
                "parameters": tool.schema,
            }
            for tool in tools
        ]
    return (Event(name=_DETAILS, attributes=attributes),)


def _message(message: Message) -> dict[str, Any]:
    if message.answers:
        part = {
            "type": "tool_call_response",
            "id": message.answers.id,
            "response": message.text,
        }
        return {"role": "tool", "parts": [part]}
    parts: list[dict[str, Any]] = []
    if message.text:
        parts.append({"type": "text", "content": message.text})
    parts.extend(
        {"type": "tool_call", "id": call.id, "name": call.tool, "arguments": call.arguments}
        for call in message.calls
    )
    return {"role": message.role, "parts": parts}


def _older_events(show: Show, step: Step) -> tuple[Event, ...]:
    system = {"gen_ai.system": _provider(step.name)}
    made = [
        Event(name="gen_ai.system.message", body={"content": show.told(step)}, attributes=system)
    ]
    for message in step.given:
        body: dict[str, Any] = {"content": message.text}
        if message.calls:
            body["tool_calls"] = _calls(message)
        if message.answers:
            body["id"] = message.answers.id
        made.append(
            Event(name=f"gen_ai.{message.role}.message", body=body, attributes=dict(system))
        )
    if step.error is None:
        answer = output_message(step)
        told: dict[str, Any] = {"role": "assistant", "content": answer.text}
        if answer.calls:
            told["tool_calls"] = _calls(answer)
        choice: dict[str, Any] = {"index": 0, "finish_reason": step.finish, "message": told}
        made.append(Event(name="gen_ai.choice", body=choice, attributes=dict(system)))
    return tuple(made)


def _calls(message: Message) -> list[Any]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.tool, "arguments": call.text},
        }
        for call in message.calls
    ]


def _tool(show: Show, step: Step) -> tuple[dict[str, Any], tuple[Event, ...]]:
    attributes: dict[str, Any] = {"gen_ai.tool.name": step.name, "gen_ai.tool.type": "function"}
    tool = show.cast.tool(step.name)
    if tool:
        attributes["gen_ai.tool.description"] = tool.says
    if step.call is None:
        return attributes, ()
    attributes["gen_ai.tool.call.id"] = step.call.id
    told = step.error is None or step.in_words
    if show.style.newer:
        if not step.bare:
            attributes["gen_ai.tool.call.arguments"] = step.call.text
            if told:
                attributes["gen_ai.tool.call.result"] = step.result
        return attributes, ()
    given: dict[str, Any] = {"role": "tool", "content": step.call.text, "id": step.call.id}
    events = [Event(name="gen_ai.tool.message", body=given)]
    if told:
        answer: dict[str, Any] = {"message": step.result, "id": step.call.id}
        events.append(Event(name="gen_ai.choice", body=answer))
    return attributes, tuple(events)


def _evaluation(show: Show) -> Event:
    good = not show.run.failed
    return Event(
        name="gen_ai.evaluation.result",
        attributes={
            "gen_ai.evaluation.name": "TaskCompletion",
            "gen_ai.evaluation.score.value": 1.0 if good else 0.0,
            "gen_ai.evaluation.score.label": "pass" if good else "fail",
        },
    )
