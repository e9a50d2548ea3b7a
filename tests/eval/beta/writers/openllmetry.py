"""OpenLLMetry: decorated workflows, agents and tools; messages flattened under `gen_ai.prompt`."""

import json
from typing import Any, Final

from tests.eval.beta.run import Message, Step
from tests.eval.beta.writers.written import CLIENT, Show, Written, as_json, output_message

_TRACER: Final = ("traceloop.tracer", "0.62.4")
_OPENAI: Final = ("opentelemetry.instrumentation.openai", "0.62.4")
_LANGCHAIN: Final = ("opentelemetry.instrumentation.langchain", "0.62.4")
_KINDS: Final = {"run": "workflow", "agent": "agent", "tool": "tool", "parse": "task"}
_PROVIDERS: Final = {"claude": "Anthropic", "mistral": "MistralAI"}


def write(show: Show, step: Step) -> Written:
    """`step` under `traceloop.span.kind`, a model's call under `llm.request.type`."""
    setting = show.run.setting
    attributes: dict[str, Any] = {
        "traceloop.workflow.name": show.cast.application.replace(" ", "_"),
        "traceloop.association.properties.session_id": setting.session,
        "traceloop.association.properties.user_id": setting.user,
    }
    if step.kind == "model":
        provider = _PROVIDERS.get(step.name.partition("-")[0], "OpenAI")
        return Written(
            name=f"{provider.lower()}.chat",
            scope=_OPENAI,
            kind=CLIENT,
            attributes=attributes | _model(show, step, provider),
        )
    kind = _KINDS[step.kind]
    attributes |= {"traceloop.span.kind": kind, "traceloop.entity.name": step.name}
    if step.handoff:
        attributes["gen_ai.handoff.from_agent"] = step.agent
        attributes["gen_ai.handoff.to_agent"] = step.handoff
    if step.kind == "tool":
        attributes |= _tool(show, step)
    elif not step.bare:
        task = step.given[-1].text if step.given else show.run.task
        attributes["traceloop.entity.input"] = json.dumps({"args": [task], "kwargs": {}})
        if step.says:
            attributes["traceloop.entity.output"] = json.dumps(step.says)
    scope = _LANGCHAIN if show.style.newer else _TRACER
    return Written(name=f"{step.name}.{kind}", scope=scope, attributes=attributes)


def _tool(show: Show, step: Step) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if step.bare or step.call is None:
        return attributes
    call = step.call
    told = step.error is None or step.in_words
    if show.style.newer:
        given = {"input_str": str(call.arguments), "tags": [], "inputs": call.arguments}
        attributes["traceloop.entity.input"] = json.dumps(given)
        if told:
            fields = {"content": step.result, "tool_call_id": call.id, "name": step.name}
            message = {"lc": 1, "type": "constructor", "id": ["ToolMessage"], "kwargs": fields}
            attributes["traceloop.entity.output"] = json.dumps({"output": message, "kwargs": {}})
        return attributes
    attributes["traceloop.entity.input"] = json.dumps({"args": [], "kwargs": call.arguments})
    if told:
        attributes["traceloop.entity.output"] = as_json(step.result)
    return attributes


def _model(show: Show, step: Step, provider: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "llm.request.type": "chat",
        "gen_ai.system": provider,
        "gen_ai.request.model": step.name,
        "gen_ai.request.temperature": 0.2,
    }
    for number, tool in enumerate(show.tools(step)):
        place = f"llm.request.functions.{number}"
        attributes[f"{place}.name"] = tool.name
        attributes[f"{place}.description"] = tool.says
        attributes[f"{place}.parameters"] = json.dumps(tool.schema)
    if not step.bare:
        for number, message in enumerate((Message("system", show.told(step)), *step.given)):
            _flatten(attributes, f"gen_ai.prompt.{number}", message)
    if step.error:
        return attributes
    attributes |= {
        "gen_ai.response.model": step.name,
        "gen_ai.usage.prompt_tokens": step.input_tokens,
        "gen_ai.usage.completion_tokens": step.output_tokens,
        "llm.usage.total_tokens": step.input_tokens + step.output_tokens,
        "gen_ai.completion.0.finish_reason": step.finish,
    }
    if step.reasoning_tokens:
        attributes["llm.usage.reasoning_tokens"] = step.reasoning_tokens
    if not step.bare:
        _flatten(attributes, "gen_ai.completion.0", output_message(step))
    return attributes


def _flatten(attributes: dict[str, Any], place: str, message: Message) -> None:
    attributes[f"{place}.role"] = message.role
    if message.text:
        attributes[f"{place}.content"] = message.text
    if message.answers:
        attributes[f"{place}.tool_call_id"] = message.answers.id
    for number, call in enumerate(message.calls):
        inner = f"{place}.tool_calls.{number}"
        attributes[f"{inner}.id"] = call.id
        attributes[f"{inner}.name"] = call.tool
        attributes[f"{inner}.arguments"] = call.text
