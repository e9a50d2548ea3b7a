"""The Langfuse SDK, version 3 and later: observations with JSON input and output."""

import json
from collections.abc import Iterator

from halo_otel.model.span import AnyValue, Scope, Span
from tests.eval.alpha.dialects.base import plumbing, span
from tests.eval.alpha.story import Said, Step, Tale

_SCOPE = Scope(name="langfuse-sdk", version="3.9.0")
_Told = dict[str, AnyValue]
_TYPES = {
    "agent": "agent",
    "node": "chain",
    "model": "generation",
    "call": "tool",
    "handoff": "span",
}


def spans(tale: Tale) -> Iterator[Span]:
    for step in tale.steps:
        if step.kind in {"entry", "inner"}:
            yield plumbing(tale, step)
        elif step.exported:
            yield span(tale, step, _name(step), _told(tale, step), _SCOPE)


def _name(step: Step) -> str:
    if step.kind == "model":
        return "chat-completion"
    return f"transfer_to_{step.name}" if step.kind == "handoff" else step.name


def _told(tale: Tale, step: Step) -> _Told:
    told: _Told = {
        "langfuse.observation.type": _TYPES[step.kind],
        "langfuse.environment": "production",
    }
    if tale.session:
        told["session.id"] = tale.session
    if step.problem and not step.problem.soft:
        told["langfuse.observation.level"] = "ERROR"
        told["langfuse.observation.status_message"] = f"{step.problem.type}: {step.problem.message}"
    if step.kind == "model":
        told |= _usage(step)
    return told | _texts(tale, step) if step.recorded else told


def _usage(step: Step) -> _Told:
    told: _Told = {
        "langfuse.observation.model.name": step.name,
        "langfuse.observation.model.parameters": json.dumps({"max_tokens": step.max_tokens}),
    }
    if step.said:
        total = step.input_tokens + step.output_tokens
        usage = {"input": step.input_tokens, "output": step.output_tokens, "total": total}
        told["langfuse.observation.usage_details"] = json.dumps(usage)
        told["langfuse.observation.metadata.finish_reason"] = step.finish
    return told


def _texts(tale: Tale, step: Step) -> _Told:
    heard: object = None
    said: object = None
    if step.kind == "model":
        heard = [{"role": "system", "content": step.system}, *map(_message, step.heard)]
        if tale.definitions:
            heard = {"tools": _tools(tale), "messages": heard}
        said = _message(step.said) if step.said else None
    elif step.call:
        hard = step.problem is not None and not step.problem.soft
        heard, said = step.call.arguments, None if hard else step.result
    elif step.heard:
        heard, said = step.heard[0].text, step.said.text if step.said else None
    told: _Told = {}
    if heard is not None:
        told["langfuse.observation.input"] = json.dumps(heard)
    if said is not None:
        told["langfuse.observation.output"] = json.dumps(said)
    return told


def _tools(tale: Tale) -> list[object]:
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
            },
        }
        for tool in tale.offered
    ]


def _message(said: Said) -> dict[str, object]:
    told: dict[str, object] = {"role": said.role, "content": said.text}
    if said.answers:
        told["tool_call_id"] = said.answers
    if said.calls:
        told["tool_calls"] = [
            {
                "id": one.id,
                "type": "function",
                "function": {"name": one.tool, "arguments": json.dumps(one.arguments)},
            }
            for one in said.calls
        ]
    return told
