"""Langfuse's SDK: observations of a type, their input and output as JSON, usage in one attribute."""

import json
from typing import Any, Final

from tests.eval.beta.run import Message, Step
from tests.eval.beta.writers.written import Show, Written, output_message

_SCOPE: Final = ("langfuse-sdk", "5.0.4")
_TYPES: Final = {
    "run": "chain",
    "agent": "agent",
    "model": "generation",
    "tool": "tool",
    "parse": "span",
}
_OBSERVATION: Final = "langfuse.observation"


def write(show: Show, step: Step) -> Written:
    """`step` as an observation; tools and agents are its name."""
    setting = show.run.setting
    attributes: dict[str, Any] = {
        f"{_OBSERVATION}.type": _TYPES[step.kind],
        "langfuse.trace.name": show.cast.application,
        "langfuse.environment": "production",
        "langfuse.release": setting.version,
        "session.id": setting.session,
        "user.id": setting.user,
    }
    given, answered = _sides(show, step)
    if not step.bare and given is not None:
        attributes[f"{_OBSERVATION}.input"] = given
    if not step.bare and answered:
        attributes[f"{_OBSERVATION}.output"] = answered
    if step.kind == "model":
        attributes |= {
            f"{_OBSERVATION}.model.name": step.name,
            f"{_OBSERVATION}.model.parameters": json.dumps({"temperature": 0.2}),
        }
        if step.error is None:
            attributes[f"{_OBSERVATION}.usage_details"] = json.dumps(_usage(step))
    if step.error and not step.in_words:
        attributes[f"{_OBSERVATION}.level"] = "ERROR"
        attributes[f"{_OBSERVATION}.status_message"] = step.error[1]
    name = "llm" if step.kind == "model" else step.name
    return Written(name=name, scope=_SCOPE, attributes=attributes)


def _usage(step: Step) -> dict[str, int]:
    used = {"input": step.input_tokens, "output": step.output_tokens}
    used["total"] = step.input_tokens + step.output_tokens
    if step.reasoning_tokens:
        used["output_reasoning_tokens"] = step.reasoning_tokens
    return used


def _sides(show: Show, step: Step) -> tuple[str | None, str | None]:
    """What was given and what was answered, as JSON or text."""
    if step.kind == "model":
        heard = [_message(message) for message in (Message("system", show.told(step)), *step.given)]
        tools = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.says,
                    "parameters": tool.schema,
                },
            }
            for tool in show.tools(step)
        ]
        given = json.dumps({"messages": heard, "tools": tools} if tools else {"messages": heard})
        return given, None if step.error else json.dumps(_message(output_message(step)))
    if step.kind == "tool":
        failed = step.error is not None and not step.in_words
        return step.call.text if step.call else None, None if failed else step.result
    if step.kind == "run":
        return show.run.task, step.says
    return step.given[-1].text if step.given else None, step.says


def _message(message: Message) -> dict[str, Any]:
    """As OpenAI's chat API has it."""
    made: dict[str, Any] = {"role": message.role, "content": message.text or None}
    if message.calls:
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.tool, "arguments": call.text},
            }
            for call in message.calls
        ]
    if message.answers:
        made["tool_call_id"] = message.answers.id
    return made
