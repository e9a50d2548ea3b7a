"""OpenTelemetry's own conventions for generative AI, as `opentelemetry-util-genai` writes them."""

import json
from collections.abc import Iterator

from halo_otel.model.span import AnyValue, Scope, Span
from tests.eval.alpha.dialects.base import CLIENT, plumbing, span
from tests.eval.alpha.story import Said, Step, Tale

_SCOPE = Scope(name="opentelemetry.util.genai.handler", version="0.5b0")
_FINISH = {"tool_calls": "tool_call"}


def spans(tale: Tale) -> Iterator[Span]:
    for step in tale.steps:
        if step.exported:
            yield _span(tale, step)


def _span(tale: Tale, step: Step) -> Span:
    if step.kind in {"entry", "inner"}:
        return plumbing(tale, step)
    if step.kind == "node":
        return span(tale, step, step.name, {"graph.node": step.name}, _SCOPE)
    if step.kind == "agent":
        return span(tale, step, f"invoke_agent {step.name}", _agent(tale, step), _SCOPE)
    if step.kind == "model":
        return span(tale, step, f"chat {step.name}", _chat(tale, step), _SCOPE, kind=CLIENT)
    assert step.call is not None, "a call step holds its call"
    return span(tale, step, f"execute_tool {step.call.tool}", _tool(tale, step), _SCOPE)


def _common(tale: Tale, step: Step, operation: str) -> dict[str, AnyValue]:
    told: dict[str, AnyValue] = {"gen_ai.operation.name": operation}
    if tale.session:
        told["gen_ai.conversation.id"] = tale.session
    if step.problem and not step.problem.soft:
        told["error.type"] = step.problem.type
    return told


def _agent(tale: Tale, step: Step) -> dict[str, AnyValue]:
    told = _common(tale, step, "invoke_agent")
    told |= {"gen_ai.provider.name": tale.app.provider, "gen_ai.agent.name": step.name}
    told["gen_ai.request.model"] = tale.model
    return told | _messages(step)


def _chat(tale: Tale, step: Step) -> dict[str, AnyValue]:
    told = _common(tale, step, "chat")
    told |= {
        "gen_ai.provider.name": tale.app.provider,
        "gen_ai.request.model": step.name,
        "gen_ai.request.max_tokens": step.max_tokens,
        "gen_ai.agent.name": step.agent,
    }
    if not step.agent:
        del told["gen_ai.agent.name"]
    if step.said:
        told |= {
            "gen_ai.response.model": step.name,
            "gen_ai.response.id": f"resp_{step.id}",
            "gen_ai.usage.input_tokens": step.input_tokens,
            "gen_ai.usage.output_tokens": step.output_tokens,
            "gen_ai.response.finish_reasons": [_FINISH.get(step.finish, step.finish)],
        }
    if step.recorded:
        told["gen_ai.system_instructions"] = json.dumps([{"type": "text", "content": step.system}])
        if tale.definitions:
            told["gen_ai.tool.definitions"] = json.dumps(
                [
                    {
                        "type": "function",
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.schema,
                    }
                    for tool in tale.offered
                ]
            )
    return told | _messages(step)


def _tool(tale: Tale, step: Step) -> dict[str, AnyValue]:
    assert step.call is not None, "a call step holds its call"
    told = _common(tale, step, "execute_tool")
    told |= {
        "gen_ai.tool.name": step.call.tool,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": step.call.id,
    }
    if step.recorded:
        told["gen_ai.tool.call.arguments"] = json.dumps(step.call.arguments)
        hard = step.problem is not None and not step.problem.soft
        if step.result is not None and not hard:
            told["gen_ai.tool.call.result"] = step.result
    return told


def _messages(step: Step) -> dict[str, AnyValue]:
    if not step.recorded:
        return {}
    told: dict[str, AnyValue] = {
        "gen_ai.input.messages": json.dumps([_message(one) for one in step.heard])
    }
    if step.said:
        told["gen_ai.output.messages"] = json.dumps(
            [
                {
                    **_message(step.said),
                    "finish_reason": _FINISH.get(step.finish, step.finish or "stop"),
                }
            ]
        )
    return told


def _message(said: Said) -> dict[str, object]:
    if said.role == "tool":
        part = {"type": "tool_call_response", "id": said.answers, "response": said.text}
        return {"role": "tool", "parts": [part]}
    parts: list[dict[str, object]] = [{"type": "text", "content": said.text}] if said.text else []
    parts += [
        {"type": "tool_call", "id": one.id, "name": one.tool, "arguments": one.arguments}
        for one in said.calls
    ]
    return {"role": said.role, "parts": parts}
