"""The AI SDK for TypeScript, version 5: an outer `ai.generateText`, inner `doGenerate`, tool calls."""

import json
from collections.abc import Iterator

from halo_otel.model.span import AnyValue, Scope, Span
from tests.eval.alpha.dialects.base import plumbing, span
from tests.eval.alpha.story import Said, Step, Tale

_SCOPE = Scope(name="ai")
_Told = dict[str, AnyValue]
_FINISH = {"tool_calls": "tool-calls"}


def spans(tale: Tale) -> Iterator[Span]:
    for step in tale.steps:
        if not step.exported:
            continue
        if step.kind in {"entry", "inner"}:
            yield plumbing(tale, step)
        elif step.kind == "node":
            yield span(tale, step, step.name, {"workflow.step": step.name}, _SCOPE)
        elif step.kind == "agent":
            yield span(tale, step, "ai.generateText", _outer(tale, step), _SCOPE)
        elif step.kind == "model":
            yield span(tale, step, "ai.generateText.doGenerate", _inner(tale, step), _SCOPE)
        else:
            yield span(tale, step, "ai.toolCall", _tool(tale, step), _SCOPE)


def _common(tale: Tale, step: Step, operation: str) -> _Told:
    named = step.agent or tale.app.service
    told: _Told = {
        "operation.name": f"{operation} {named}",
        "resource.name": named,
        "ai.operationId": operation,
        "ai.telemetry.functionId": named,
    }
    if tale.session:
        told["ai.telemetry.metadata.sessionId"] = tale.session
    return told


def _outer(tale: Tale, step: Step) -> _Told:
    told = _common(tale, step, "ai.generateText")
    told |= {"ai.model.id": tale.model, "ai.model.provider": f"{tale.app.provider}.chat"}
    mine = [one for one in tale.steps if one.kind == "model" and one.parent == step.id]
    told["ai.usage.inputTokens"] = sum(one.input_tokens for one in mine)
    told["ai.usage.outputTokens"] = sum(one.output_tokens for one in mine)
    if mine:
        told["ai.response.finishReason"] = _FINISH.get(mine[-1].finish, mine[-1].finish)
    if step.recorded:
        prompt = {"system": mine[0].system if mine else "", "messages": _messages(step.heard)}
        told["ai.prompt"] = json.dumps(prompt)
        if step.said:
            told["ai.response.text"] = step.said.text
    return told


def _inner(tale: Tale, step: Step) -> _Told:
    told = _common(tale, step, "ai.generateText.doGenerate")
    provider = f"{tale.app.provider}.chat"
    told |= {
        "ai.model.id": step.name,
        "ai.model.provider": provider,
        "gen_ai.system": provider,
        "gen_ai.request.model": step.name,
        "gen_ai.request.max_tokens": step.max_tokens,
    }
    if step.said:
        finish = _FINISH.get(step.finish, step.finish)
        told |= {
            "ai.response.finishReason": finish,
            "ai.response.model": step.name,
            "ai.usage.inputTokens": step.input_tokens,
            "ai.usage.outputTokens": step.output_tokens,
            "gen_ai.response.finish_reasons": [finish],
            "gen_ai.usage.input_tokens": step.input_tokens,
            "gen_ai.usage.output_tokens": step.output_tokens,
        }
    if not step.recorded:
        return told
    system = {"role": "system", "content": step.system}
    told["ai.prompt.messages"] = json.dumps([system, *_messages(step.heard)])
    if tale.definitions:
        told["ai.prompt.tools"] = [
            json.dumps(
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "inputSchema": tool.schema,
                }
            )
            for tool in tale.offered
        ]
    if step.said:
        told["ai.response.text"] = step.said.text
        if step.said.calls:
            told["ai.response.toolCalls"] = json.dumps(
                [
                    {
                        "toolCallId": one.id,
                        "toolName": one.tool,
                        "input": json.dumps(one.arguments),
                    }
                    for one in step.said.calls
                ]
            )
    return told


def _tool(tale: Tale, step: Step) -> _Told:
    assert step.call is not None, "a call step holds its call"
    told = _common(tale, step, "ai.toolCall")
    told |= {"ai.toolCall.name": step.call.tool, "ai.toolCall.id": step.call.id}
    if step.recorded:
        told["ai.toolCall.args"] = json.dumps(step.call.arguments)
        hard = step.problem is not None and not step.problem.soft
        if step.result is not None and not hard:
            told["ai.toolCall.result"] = json.dumps(step.result)
    return told


def _messages(heard: tuple[Said, ...]) -> list[dict[str, object]]:
    return [_message(one) for one in heard]


def _message(said: Said) -> dict[str, object]:
    if said.role == "tool":
        part: dict[str, object] = {
            "type": "tool-result",
            "toolCallId": said.answers,
            "toolName": said.tool,
            "output": {"type": "text", "value": said.text},
        }
        return {"role": "tool", "content": [part]}
    parts: list[dict[str, object]] = [{"type": "text", "text": said.text}] if said.text else []
    parts += [
        {
            "type": "tool-call",
            "toolCallId": one.id,
            "toolName": one.tool,
            "input": one.arguments,
        }
        for one in said.calls
    ]
    return {"role": said.role, "content": parts}
