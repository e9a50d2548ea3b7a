"""The Vercel AI SDK, versions 4 to 6: `ai.generateText` around `doGenerate` and `ai.toolCall`."""

import json
from typing import Any, Final

from tests.eval.beta.run import Message, Step
from tests.eval.beta.writers.written import SERVER, Show, Written, as_json

_SCOPE: Final = ("ai", "")
_APP: Final = ("next.js", "0.0.1")
_FINISH: Final = {"tool_calls": "tool-calls"}
_PROVIDERS: Final = {"claude": "anthropic.messages", "mistral": "mistral.chat"}


def write(show: Show, step: Step) -> Written:
    """`step` as the SDK's operation; what is not the SDK's is the web framework's."""
    if step.kind == "run":
        return _request(show)
    if step.kind == "parse":
        return Written(name=step.name, scope=_APP, attributes={"next.span_type": "AppRender"})
    if step.kind == "tool":
        return _tool(show, step)
    operation = "ai.generateText" + (".doGenerate" if step.kind == "model" else "")
    setting = show.run.setting
    attributes: dict[str, Any] = {
        "operation.name": f"{operation} {step.agent}",
        "resource.name": step.agent,
        "ai.operationId": operation,
        "ai.telemetry.functionId": step.agent,
        "ai.telemetry.metadata.sessionId": setting.session,
        "ai.telemetry.metadata.userId": setting.user,
        "ai.model.id": setting.model,
        "ai.model.provider": _PROVIDERS.get(setting.model.partition("-")[0], "openai.responses"),
        "ai.settings.maxRetries": 2,
    }
    attributes |= _model(show, step) if step.kind == "model" else _agent(show, step)
    return Written(name=operation, scope=_SCOPE, attributes=attributes)


def _request(show: Show) -> Written:
    return Written(
        name="POST /api/agent",
        scope=_APP,
        kind=SERVER,
        attributes={
            "http.request.method": "POST",
            "http.route": "/api/agent",
            "http.response.status_code": 500 if show.run.crash else 200,
            "next.span_type": "BaseServer.handleRequest",
        },
    )


def _agent(show: Show, step: Step) -> dict[str, Any]:
    turns = [
        other
        for other in show.run.steps
        if other.kind == "model" and other.parent == step.id and not other.error
    ]
    attributes: dict[str, Any] = {}
    if turns and step.error is None:
        last = turns[-1]
        attributes |= {
            "ai.response.finishReason": _FINISH.get(last.finish, last.finish),
            "ai.usage.inputTokens": sum(turn.input_tokens for turn in turns),
            "ai.usage.outputTokens": sum(turn.output_tokens for turn in turns),
        }
        if last.says and not step.bare:
            attributes["ai.response.text"] = last.says
    if not step.bare:
        messages = [_message(message) for message in step.given]
        attributes["ai.prompt"] = json.dumps({"system": show.told(step), "messages": messages})
    return attributes


def _model(show: Show, step: Step) -> dict[str, Any]:
    attributes: dict[str, Any] = {"gen_ai.request.model": step.name, "gen_ai.system": "openai"}
    if not step.bare:
        messages = [_message(Message("system", show.told(step)))]
        messages += [_message(message) for message in step.given]
        attributes["ai.prompt.messages"] = json.dumps(messages)
    if tools := show.tools(step):
        attributes["ai.prompt.tools"] = [
            json.dumps(
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.says,
                    "inputSchema": tool.schema,
                }
            )
            for tool in tools
        ]
    if step.error:
        return attributes
    finish = _FINISH.get(step.finish, step.finish)
    attributes |= {
        "ai.response.finishReason": finish,
        "ai.response.model": step.name,
        "ai.usage.inputTokens": step.input_tokens,
        "ai.usage.outputTokens": step.output_tokens,
        "ai.usage.totalTokens": step.input_tokens + step.output_tokens,
        "gen_ai.response.finish_reasons": [finish],
        "gen_ai.usage.input_tokens": step.input_tokens,
        "gen_ai.usage.output_tokens": step.output_tokens,
    }
    if step.reasoning_tokens:
        attributes["ai.usage.reasoningTokens"] = step.reasoning_tokens
    if step.says and not step.bare:
        attributes["ai.response.text"] = step.says
    if step.calls and not step.bare:
        attributes["ai.response.toolCalls"] = json.dumps(
            [
                {"toolCallId": call.id, "toolName": call.tool, "input": call.text}
                for call in step.calls
            ]
        )
    return attributes


def _message(message: Message) -> dict[str, Any]:
    """The SDK's own form of a message."""
    if message.role == "system":
        return {"role": "system", "content": message.text}
    if message.answers:
        output = {"type": "text", "value": message.text}
        part = {
            "type": "tool-result",
            "toolCallId": message.answers.id,
            "toolName": message.answers.tool,
            "output": output,
        }
        return {"role": "tool", "content": [part]}
    content: list[dict[str, Any]] = []
    if message.text:
        content.append({"type": "text", "text": message.text})
    content.extend(
        {
            "type": "tool-call",
            "toolCallId": call.id,
            "toolName": call.tool,
            "input": call.arguments,
        }
        for call in message.calls
    )
    return {"role": message.role, "content": content}


def _tool(show: Show, step: Step) -> Written:
    attributes: dict[str, Any] = {
        "operation.name": f"ai.toolCall {step.agent}",
        "resource.name": step.agent,
        "ai.operationId": "ai.toolCall",
        "ai.telemetry.functionId": step.agent,
        "ai.toolCall.name": step.name,
    }
    if step.call:
        attributes["ai.toolCall.id"] = step.call.id
        if not step.bare:
            attributes["ai.toolCall.args"] = step.call.text
    if not step.bare and (step.error is None or step.in_words):
        attributes["ai.toolCall.result"] = as_json(step.result)
    return Written(name="ai.toolCall", scope=_SCOPE, attributes=attributes)
