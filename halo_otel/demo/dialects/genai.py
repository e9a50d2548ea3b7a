"""OTel gen_ai, current names (semantic conventions 1.40+): messages as JSON in attributes."""

import json
from collections.abc import Iterator
from typing import Final

from halo_otel.demo.dialects.spans import (
    CLIENT,
    SERVER,
    Draft,
    Setting,
    derived_id,
    exception_event,
    finish,
    http_span,
)
from halo_otel.demo.recording import Call, Json, Message
from halo_otel.model.facts import SpanKind
from halo_otel.model.span import AnyValue, Scope, Span

_SCOPE: Final = Scope(name="opentelemetry.util.genai", version="1.3b0")
_SERVER: Final = Scope(name="opentelemetry.instrumentation.fastapi", version="0.66b2")


def speak(setting: Setting, root: Call) -> Iterator[Span]:
    """The run below the span of the HTTP request that asked for it."""
    server_id = derived_id(root.span_id, "server")
    yield from _spans(setting, root, server_id)
    attributes: dict[str, AnyValue] = {
        "http.request.method": "POST",
        "http.route": "/chat",
        "url.path": "/chat",
        "http.response.status_code": 500 if root.failure else 200,
    }
    draft = Draft(name="POST /chat", kind=SERVER, attributes=attributes)
    yield finish(setting, _SERVER, draft, root, "", span_id=server_id)


def _spans(setting: Setting, call: Call, parent_id: str) -> Iterator[Span]:
    for child in call.children:
        yield from _spans(setting, child, call.span_id)
    if call.kind is SpanKind.OTHER:
        yield http_span(setting, call, parent_id)
        return
    draft = {
        SpanKind.AGENT: _agent,
        SpanKind.LLM: _chat,
        SpanKind.TOOL: _tool,
        SpanKind.RETRIEVER: _retrieval,
    }[call.kind](setting, call)
    if call.failure is not None:
        draft.attributes["error.type"] = call.failure.type
        draft.events.append(exception_event(call, call.failure))
    yield finish(setting, _SCOPE, draft, call, parent_id)


def _agent(setting: Setting, call: Call) -> Draft:
    draft = Draft(name=f"invoke_agent {call.name}")
    draft.attributes |= {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": setting.provider,
        "gen_ai.agent.name": call.name,
        "gen_ai.agent.id": f"asst_{call.name}",
        "gen_ai.conversation.id": setting.session_id,
        "gen_ai.request.model": setting.model,
        "user.id": setting.user_id,
    }
    if setting.payloads:
        draft.attributes["gen_ai.input.messages"] = _messages(call.messages)
        if call.reply is not None:
            draft.attributes["gen_ai.output.messages"] = _messages((call.reply,))
    return draft


def _chat(setting: Setting, call: Call) -> Draft:
    asked = bool(call.reply and call.reply.asked)
    draft = Draft(name=f"chat {setting.model}", kind=CLIENT)
    draft.attributes |= {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": setting.provider,
        "gen_ai.request.model": setting.model,
        "gen_ai.response.model": f"{setting.model}-2026-05",
        "gen_ai.response.finish_reasons": ["tool_call" if asked else "stop"],
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "gen_ai.conversation.id": setting.session_id,
    }
    if setting.payloads and call.reply is not None:
        draft.attributes["gen_ai.input.messages"] = _messages(call.messages)
        draft.attributes["gen_ai.output.messages"] = _messages((call.reply,))
    return draft


def _tool(setting: Setting, call: Call) -> Draft:
    draft = Draft(name=f"execute_tool {call.name}")
    draft.attributes |= {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call.call_id,
    }
    if setting.payloads:
        draft.attributes["gen_ai.tool.call.arguments"] = json.dumps(call.arguments)
        if call.failure is None:
            draft.attributes["gen_ai.tool.call.result"] = json.dumps(call.result)
    return draft


def _retrieval(setting: Setting, call: Call) -> Draft:
    draft = Draft(name=f"retrieval {call.name}", kind=CLIENT)
    draft.attributes |= {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": call.name,
    }
    if setting.payloads:
        query = next(iter((call.arguments or {}).values()), "")
        draft.attributes["gen_ai.retrieval.query.text"] = str(query)
        if call.failure is None:
            draft.attributes["gen_ai.retrieval.documents"] = json.dumps(call.result)
    return draft


def _messages(messages: tuple[Message, ...]) -> str:
    return json.dumps([{"role": m.role, "parts": _parts(m)} for m in messages])


def _parts(message: Message) -> list[dict[str, Json]]:
    if message.role == "tool":
        return [{"type": "tool_call_response", "id": message.call_id, "response": message.text}]
    parts: list[dict[str, Json]] = []
    if message.text:
        parts.append({"type": "text", "content": message.text})
    for asked in message.asked:
        parts.append(
            {
                "type": "tool_call",
                "id": asked.call_id,
                "name": asked.name,
                "arguments": asked.arguments,
            }
        )
    return parts
