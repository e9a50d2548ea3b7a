"""The older gen_ai form, content in span events only, as Strands writes it.

Every model turn and its tools hang below an `execute_event_loop_cycle` span; an agent used by another
is a tool span around an agent span; tool arguments are the event `gen_ai.tool.message`, a tool's result
is the event `gen_ai.choice` (conventions.md §3c and §8.5); an agent's span repeats its models' tokens.
"""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from halo_otel.demo.dialects.spans import (
    CLIENT,
    Draft,
    Setting,
    derived_id,
    exception_event,
    finish,
    http_span,
)
from halo_otel.demo.recording import Call, Message
from halo_otel.model.facts import SpanKind
from halo_otel.model.span import AnyValue, Scope, Span, SpanEvent

_SCOPE: Final = Scope(name="strands.telemetry.tracer")
_SYSTEM: Final = "strands-agents"


def speak(setting: Setting, root: Call) -> Iterator[Span]:
    """The run; its root is the outermost agent's span."""
    yield from _agent(setting, root, "")


def _agent(setting: Setting, call: Call, parent_id: str) -> Iterator[Span]:
    for turn, children in groupby(call.children, key=lambda child: child.turn):
        yield from _cycle(setting, call, turn, list(children))
    models = [child for child in call.children if child.kind is SpanKind.LLM]
    draft = Draft(name=f"invoke_agent {call.name}")
    draft.attributes |= {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.system": _SYSTEM,
        "gen_ai.agent.name": call.name,
        "gen_ai.request.model": setting.model,
        "session.id": setting.session_id,
        "user.id": setting.user_id,
        **_usage(sum(m.input_tokens for m in models), sum(m.output_tokens for m in models)),
    }
    if setting.payloads:
        draft.events.append(_said(call.messages[0], call.start_ns))
        if call.reply is not None:
            draft.events.append(_choice(call.reply.text, "end_turn", call.end_ns))
    yield _finished(setting, draft, call, parent_id)


def _cycle(setting: Setting, agent: Call, turn: int, calls: list[Call]) -> Iterator[Span]:
    cycle = Call(
        kind=SpanKind.CHAIN,
        name="execute_event_loop_cycle",
        agent=agent.name,
        span_id=derived_id(agent.span_id, f"cycle {turn}"),
        start_ns=min(call.start_ns for call in calls),
        end_ns=max(call.end_ns for call in calls),
    )
    for call in calls:
        if call.kind is SpanKind.LLM:
            yield _finished(setting, _chat(setting, call), call, cycle.span_id)
        else:
            yield from _tool(setting, call, cycle.span_id)
    draft = Draft(name=cycle.name, attributes={"event_loop.cycle_id": cycle.span_id})
    yield finish(setting, _SCOPE, draft, cycle, agent.span_id)


def _tool(setting: Setting, call: Call, parent_id: str) -> Iterator[Span]:
    span_id = call.span_id
    if call.kind is SpanKind.AGENT:
        span_id = derived_id(call.span_id, "tool")
        yield from _agent(setting, call, span_id)
    for request in call.children:
        if request.kind is SpanKind.OTHER:
            yield http_span(setting, request, span_id)
    draft = Draft(name=f"execute_tool {call.name}")
    draft.attributes |= {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.system": _SYSTEM,
        "gen_ai.tool.name": call.name,
        "gen_ai.tool.call.id": call.call_id,
        "gen_ai.tool.status": "error" if call.failure else "success",
    }
    if setting.payloads:
        asked = Message(role="tool", text=json.dumps(call.arguments), call_id=call.call_id)
        draft.events.append(_said(asked, call.start_ns))
        draft.events.append(_choice(_outcome(call), "", call.end_ns, call.call_id))
    yield _finished(setting, draft, call, parent_id, span_id=span_id)


def _outcome(call: Call) -> str:
    if call.kind is SpanKind.AGENT:
        return json.dumps([{"text": call.reply.text if call.reply else ""}])
    if call.failure is not None:
        return json.dumps([{"text": f"Error: {call.failure.type} - {call.failure.message}"}])
    return json.dumps([{"json": call.result}])


def _chat(setting: Setting, call: Call) -> Draft:
    draft = Draft(name="chat", kind=CLIENT)
    draft.attributes |= {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": _SYSTEM,
        "gen_ai.request.model": setting.model,
        **_usage(call.input_tokens, call.output_tokens),
    }
    if setting.payloads and call.reply is not None:
        draft.events += [_said(message, call.start_ns) for message in call.messages]
        text = json.dumps(_content(call.reply))
        draft.events.append(
            _choice(text, "tool_use" if call.reply.asked else "end_turn", call.end_ns)
        )
    return draft


def _usage(read: int, written: int) -> dict[str, AnyValue]:
    """Both generations of names at once, as the library does for compatibility."""
    return {
        "gen_ai.usage.prompt_tokens": read,
        "gen_ai.usage.input_tokens": read,
        "gen_ai.usage.completion_tokens": written,
        "gen_ai.usage.output_tokens": written,
        "gen_ai.usage.total_tokens": read + written,
    }


def _content(message: Message) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = [{"text": message.text}] if message.text else []
    for asked in message.asked:
        use = {"toolUseId": asked.call_id, "name": asked.name, "input": asked.arguments}
        blocks.append({"toolUse": use})
    return blocks


def _said(message: Message, time_ns: int) -> SpanEvent:
    attributes: dict[str, AnyValue] = {"content": message.text}
    if message.asked:
        attributes["content"] = json.dumps(_content(message))
    if message.call_id:
        attributes |= {"role": "tool", "id": message.call_id}
    return SpanEvent(name=f"gen_ai.{message.role}.message", time_ns=time_ns, attributes=attributes)


def _choice(message: str, reason: str, time_ns: int, call_id: str = "") -> SpanEvent:
    attributes: dict[str, AnyValue] = {"message": message}
    if reason:
        attributes["finish_reason"] = reason
    if call_id:
        attributes["id"] = call_id
    return SpanEvent(name="gen_ai.choice", time_ns=time_ns, attributes=attributes)


def _finished(
    setting: Setting, draft: Draft, call: Call, parent_id: str, *, span_id: str | None = None
) -> Span:
    if call.failure is not None:
        draft.events.append(exception_event(call, call.failure))
    return finish(setting, _SCOPE, draft, call, parent_id, span_id=span_id)
