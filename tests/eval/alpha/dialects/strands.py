"""Strands: what is said stands in span events, and every turn has a span of the event loop."""

import json
from collections.abc import Iterator

from halo_otel.model.span import AnyValue, Scope, Span, SpanEvent
from tests.eval.alpha.dialects.base import INTERNAL, plumbing, raw_span, span
from tests.eval.alpha.story import Said, Step, Tale

_SCOPE = Scope(name="strands.telemetry.tracer")
_Told = dict[str, AnyValue]
_FINISH = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


def spans(tale: Tale) -> Iterator[Span]:
    cycles = {step.id: f"{tale.rng.getrandbits(64) | 1:016x}" for step in _models(tale)}
    for step in tale.steps:
        if step.kind in {"entry", "inner"}:
            yield plumbing(tale, step)
        elif step.exported:
            turn = step.id if step.kind == "model" else step.turn
            yield _span(tale, step, cycles.get(turn, step.parent))
    for number, turn_step in enumerate(_models(tale), 1):
        yield _cycle(tale, turn_step, cycles[turn_step.id], number)


def _models(tale: Tale) -> Iterator[Step]:
    return (step for step in tale.steps if step.kind == "model")


def _cycle(tale: Tale, turn: Step, cycle: str, number: int) -> Span:
    last = max([turn.end_ns, *(one.end_ns for one in tale.steps if one.turn == turn.id)])
    return raw_span(
        trace_id=tale.trace_id,
        span_id=cycle,
        parent=turn.parent,
        name="execute_event_loop_cycle",
        kind=INTERNAL,
        times=(turn.start_ns - 1000, last + 1000),
        attributes={"event_loop.cycle_id": f"{tale.trace_id[:8]}-{number}"},
        events=(),
        error=None,
        resource=tale.resource,
        scope=_SCOPE,
    )


def _span(tale: Tale, step: Step, parent: str) -> Span:
    told = _common(tale)
    if step.kind == "node":
        told = {"multiagent.node": step.name}
        return span(tale, step, step.name, told, _SCOPE, parent=parent)
    if step.kind == "agent":
        told |= {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": step.name}
        told["gen_ai.request.model"] = tale.model
        mine = [one for one in _models(tale) if one.parent == step.id]
        told["gen_ai.usage.input_tokens"] = sum(one.input_tokens for one in mine)
        told["gen_ai.usage.output_tokens"] = sum(one.output_tokens for one in mine)
        name = f"invoke_agent {step.name}"
        return span(tale, step, name, told, _SCOPE, parent=parent, events=_events(step))
    if step.kind == "model":
        told |= {"gen_ai.operation.name": "chat", "gen_ai.request.model": step.name}
        if step.said:
            told["gen_ai.usage.input_tokens"] = told["gen_ai.usage.prompt_tokens"] = (
                step.input_tokens
            )
            told["gen_ai.usage.output_tokens"] = told["gen_ai.usage.completion_tokens"] = (
                step.output_tokens
            )
            told["gen_ai.usage.total_tokens"] = step.input_tokens + step.output_tokens
        if tale.definitions and step.recorded:
            told["gen_ai.tool.definitions"] = json.dumps(
                [
                    {
                        "name": tool.name,
                        "description": tool.description,
                        "inputSchema": {"json": tool.schema},
                    }
                    for tool in tale.offered
                ]
            )
        return span(tale, step, "chat", told, _SCOPE, parent=parent, events=_events(step))
    return _tool(tale, step, parent)


def _tool(tale: Tale, step: Step, parent: str) -> Span:
    assert step.call is not None, "a call step holds its call"
    told = _common(tale) | {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": step.call.tool,
        "gen_ai.tool.call.id": step.call.id,
        "gen_ai.tool.status": "error" if step.problem and not step.problem.soft else "success",
    }
    events: tuple[SpanEvent, ...] = ()
    if step.recorded:
        asked: _Told = {
            "role": "tool",
            "content": json.dumps(step.call.arguments),
            "id": step.call.id,
        }
        events = (SpanEvent(name="gen_ai.tool.message", time_ns=step.start_ns, attributes=asked),)
        if step.result is not None:
            given: _Told = {"message": json.dumps([{"text": step.result}]), "id": step.call.id}
            events += (SpanEvent(name="gen_ai.choice", time_ns=step.end_ns, attributes=given),)
    name = f"execute_tool {step.call.tool}"
    return span(tale, step, name, told, _SCOPE, parent=parent, events=events)


def _common(tale: Tale) -> _Told:
    told: _Told = {"gen_ai.system": "strands-agents"}
    return told | {"session.id": tale.session} if tale.session else told


def _events(step: Step) -> tuple[SpanEvent, ...]:
    if not step.recorded:
        return ()
    told = []
    if step.system:
        words: _Told = {"content": json.dumps([{"text": step.system}])}
        told.append(
            SpanEvent(name="gen_ai.system.message", time_ns=step.start_ns, attributes=words)
        )
    for said in step.heard:
        attributes: _Told = {"content": json.dumps(_content(said))}
        name = f"gen_ai.{said.role}.message"
        told.append(SpanEvent(name=name, time_ns=step.start_ns, attributes=attributes))
    if step.said:
        finish = _FINISH.get(step.finish, "end_turn")
        choice: _Told = {"message": json.dumps(_content(step.said)), "finish_reason": finish}
        told.append(SpanEvent(name="gen_ai.choice", time_ns=step.end_ns, attributes=choice))
    return tuple(told)


def _content(said: Said) -> list[dict[str, object]]:
    if said.role == "tool":
        status = "error" if said.text.startswith("Error: ") else "success"
        result = {"toolUseId": said.answers, "status": status, "content": [{"text": said.text}]}
        return [{"toolResult": result}]
    parts: list[dict[str, object]] = [{"text": said.text}] if said.text else []
    return parts + [
        {"toolUse": {"toolUseId": one.id, "name": one.tool, "input": one.arguments}}
        for one in said.calls
    ]
