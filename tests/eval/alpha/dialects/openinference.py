"""OpenInference, as its instrumentation of an agents SDK writes it."""

import json
from collections.abc import Iterator

from halo_otel.model.span import AnyValue, Scope, Span
from tests.eval.alpha.dialects.base import plumbing, span
from tests.eval.alpha.story import Said, Step, Tale

_SCOPE = Scope(name="openinference.instrumentation.openai_agents", version="1.4.0")
_Told = dict[str, AnyValue]


def spans(tale: Tale) -> Iterator[Span]:
    for step in tale.steps:
        if not step.exported:
            continue
        if step.kind in {"entry", "inner"}:
            yield plumbing(tale, step)
            continue
        told: _Told = {"session.id": tale.session} if tale.session else {}
        told |= _KINDS[step.kind](tale, step)
        yield span(tale, step, _name(step), told, _SCOPE)


def _name(step: Step) -> str:
    if step.kind == "model":
        return "ChatCompletion"
    return f"handoff to {step.name}" if step.kind == "handoff" else step.name


def _agent(tale: Tale, step: Step) -> _Told:
    told: _Told = {
        "openinference.span.kind": "AGENT",
        "agent.name": step.name,
        "graph.node.id": step.name,
    }
    return told | _texts(step, step.heard[0].text if step.heard else "", _text(step.said))


def _node(tale: Tale, step: Step) -> _Told:
    return {"openinference.span.kind": "CHAIN", "graph.node.id": step.name}


def _model(tale: Tale, step: Step) -> _Told:
    told: _Told = {
        "openinference.span.kind": "LLM",
        "llm.model_name": step.name,
        "llm.system": tale.app.provider.split(".")[-1],
        "llm.invocation_parameters": json.dumps({"max_tokens": step.max_tokens}),
    }
    if step.said:
        told |= {
            "llm.token_count.prompt": step.input_tokens,
            "llm.token_count.completion": step.output_tokens,
            "llm.token_count.total": step.input_tokens + step.output_tokens,
            "llm.finish_reason": step.finish,
        }
    if not step.recorded:
        return told
    told |= {
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": step.system,
    }
    for number, said in enumerate(step.heard, 1):
        told |= _message(f"llm.input_messages.{number}.message", said)
    if step.said:
        told |= _message("llm.output_messages.0.message", step.said)
    if tale.definitions:
        for number, tool in enumerate(tale.offered):
            function = {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.schema,
            }
            told[f"llm.tools.{number}.tool.json_schema"] = json.dumps(
                {
                    "type": "function",
                    "function": function,
                }
            )
    return told


def _call(tale: Tale, step: Step) -> _Told:
    assert step.call is not None, "a call step holds its call"
    told: _Told = {
        "openinference.span.kind": "TOOL",
        "tool.name": step.call.tool,
        "tool.id": step.call.id,
    }
    return told | _texts(step, json.dumps(step.call.arguments), _result(step), "application/json")


def _handoff(tale: Tale, step: Step) -> _Told:
    return {"openinference.span.kind": "TOOL", "tool.name": f"handoff to {step.name}"}


def _result(step: Step) -> str:
    hard = step.problem is not None and not step.problem.soft
    return "" if hard or step.result is None else step.result


def _texts(step: Step, heard: str, said: str, mime: str = "text/plain") -> _Told:
    if not step.recorded:
        return {"input.value": "__REDACTED__", "output.value": "__REDACTED__"}
    told: _Told = {"input.value": heard, "input.mime_type": mime}
    return told | {"output.value": said} if said else told


def _text(said: Said | None) -> str:
    return said.text if said else ""


def _message(prefix: str, said: Said) -> _Told:
    told: _Told = {f"{prefix}.role": said.role}
    if said.text:
        told[f"{prefix}.content"] = said.text
    if said.answers:
        told[f"{prefix}.tool_call_id"] = said.answers
    for number, call in enumerate(said.calls):
        one = f"{prefix}.tool_calls.{number}.tool_call"
        told[f"{one}.id"] = call.id
        told[f"{one}.function.name"] = call.tool
        told[f"{one}.function.arguments"] = json.dumps(call.arguments)
    return told


_KINDS = {"agent": _agent, "node": _node, "model": _model, "call": _call, "handoff": _handoff}
