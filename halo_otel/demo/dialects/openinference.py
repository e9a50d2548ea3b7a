"""OpenInference 0.1.x as its agent-framework instrumentations write it."""

import json
from collections.abc import Iterator
from typing import Final

from halo_otel.demo.dialects.spans import (
    Draft,
    Setting,
    derived_id,
    exception_event,
    finish,
    http_span,
)
from halo_otel.demo.recording import Call, Message
from halo_otel.model.facts import SpanKind
from halo_otel.model.span import AnyValue, Scope, Span

_SCOPE: Final = Scope(name="openinference.instrumentation.openai_agents", version="2.6.0")
_KINDS: Final = {
    SpanKind.AGENT: "AGENT",
    SpanKind.LLM: "LLM",
    SpanKind.TOOL: "TOOL",
    SpanKind.RETRIEVER: "RETRIEVER",
}


def speak(setting: Setting, root: Call) -> Iterator[Span]:
    """The run below a CHAIN span named after the workflow."""
    chain_id = derived_id(root.span_id, "workflow")
    yield from _spans(setting, root, chain_id)
    draft = Draft(name=setting.workflow, attributes=_common(setting, "CHAIN"))
    if setting.payloads:
        draft.attributes |= _in_out(root.messages[0].text, root.reply.text if root.reply else "")
    yield finish(setting, _SCOPE, draft, root, "", span_id=chain_id)


def _spans(setting: Setting, call: Call, parent_id: str) -> Iterator[Span]:
    for child in call.children:
        if child.kind is SpanKind.AGENT:
            yield _handoff(setting, child, call.span_id)
        yield from _spans(setting, child, call.span_id)
    if call.kind is SpanKind.OTHER:
        yield http_span(setting, call, parent_id)
        return
    draft = Draft(name=call.name, attributes=_common(setting, _KINDS[call.kind]))
    {
        SpanKind.AGENT: _agent,
        SpanKind.LLM: _llm,
        SpanKind.TOOL: _tool,
        SpanKind.RETRIEVER: _retriever,
    }[call.kind](setting, call, draft)
    if call.failure is not None:
        draft.events.append(exception_event(call, call.failure))
    yield finish(setting, _SCOPE, draft, call, parent_id)


def _common(setting: Setting, kind: str) -> dict[str, AnyValue]:
    return {
        "openinference.span.kind": kind,
        "session.id": setting.session_id,
        "user.id": setting.user_id,
    }


def _agent(setting: Setting, call: Call, draft: Draft) -> None:
    draft.attributes |= {"agent.name": call.name, "graph.node.id": call.name}
    if setting.payloads:
        draft.attributes |= _in_out(call.messages[0].text, call.reply.text if call.reply else "")


def _handoff(setting: Setting, agent: Call, parent_id: str) -> Span:
    """A hand-off is recorded as a TOOL span of its own just before the other agent's."""
    moment = Call(
        kind=SpanKind.TOOL,
        name=f"handoff to {agent.name}",
        agent=agent.agent,
        span_id=derived_id(agent.span_id, "handoff"),
        start_ns=agent.start_ns - 400_000,
        end_ns=agent.start_ns - 100_000,
    )
    draft = Draft(name=moment.name, attributes=_common(setting, "TOOL"))
    draft.attributes["tool.name"] = moment.name
    return finish(setting, _SCOPE, draft, moment, parent_id)


def _llm(setting: Setting, call: Call, draft: Draft) -> None:
    draft.name = "ChatCompletion"
    draft.attributes |= {
        "llm.model_name": setting.model,
        "llm.provider": setting.provider,
        "llm.system": setting.provider,
        "llm.token_count.prompt": call.input_tokens,
        "llm.token_count.completion": call.output_tokens,
        "llm.token_count.total": call.input_tokens + call.output_tokens,
        "llm.finish_reason": "tool_calls" if call.reply and call.reply.asked else "stop",
        "llm.invocation_parameters": '{"temperature": 0.2}',
    }
    if not setting.payloads or call.reply is None:
        return
    for index, message in enumerate(call.messages):
        _message(draft.attributes, f"llm.input_messages.{index}.message", message)
    _message(draft.attributes, "llm.output_messages.0.message", call.reply)
    draft.attributes["input.value"] = call.messages[-1].text
    draft.attributes["output.value"] = call.reply.text or _asked_json(call.reply)


def _message(attributes: dict[str, AnyValue], prefix: str, message: Message) -> None:
    attributes[f"{prefix}.role"] = message.role
    if message.text:
        attributes[f"{prefix}.content"] = message.text
    if message.call_id:
        attributes[f"{prefix}.tool_call_id"] = message.call_id
    for index, asked in enumerate(message.asked):
        call = f"{prefix}.tool_calls.{index}.tool_call"
        attributes[f"{call}.id"] = asked.call_id
        attributes[f"{call}.function.name"] = asked.name
        attributes[f"{call}.function.arguments"] = json.dumps(asked.arguments)


def _asked_json(message: Message) -> str:
    return json.dumps([{"name": a.name, "arguments": a.arguments} for a in message.asked])


def _tool(setting: Setting, call: Call, draft: Draft) -> None:
    draft.attributes |= {"tool.name": call.name, "tool_call.id": call.call_id}
    if not setting.payloads:
        return
    draft.attributes |= {
        "input.value": json.dumps(call.arguments),
        "input.mime_type": "application/json",
    }
    if call.failure is None:
        draft.attributes["output.value"] = json.dumps(call.result)


def _retriever(setting: Setting, call: Call, draft: Draft) -> None:
    if not setting.payloads:
        return
    draft.attributes["input.value"] = json.dumps(call.arguments)
    documents = call.result if isinstance(call.result, list) else []
    for index, document in enumerate(documents):
        if isinstance(document, dict):
            key = f"retrieval.documents.{index}.document"
            draft.attributes[f"{key}.id"] = str(document["id"])
            draft.attributes[f"{key}.content"] = str(document["text"])
    if call.failure is None:
        draft.attributes["output.value"] = json.dumps(call.result)


def _in_out(asked: str, answered: str) -> dict[str, AnyValue]:
    return {"input.value": asked, "output.value": answered}
