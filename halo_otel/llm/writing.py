"""A question as the body of a chat completion.

What an endpoint lacks is said in words instead: the schema of the answer, and tools as a JSON protocol of
which the model writes one object. Wire format: OpenAI's API reference, "Create chat completion".
"""

import json
from collections.abc import Sequence
from typing import Final

from halo_otel.config.llm import Llm
from halo_otel.llm.conversation import BadCall, Call, Json, Message, Question, Schema, Tool
from halo_otel.llm.endpoint import Abilities
from halo_otel.llm.privacy import Veil

_SCHEMA_IN_WORDS: Final = "Answer with one JSON object and nothing else: no explanation, no Markdown. It must have this JSON Schema:\n"
_TOOLS_IN_WORDS: Final = (
    "You may call tools. To call some, answer with one JSON object and nothing else, of this form:\n"
    '{"calls": [{"tool": "<name>", "arguments": {…}}]}\n'
    "You get their results and go on. The tools, with the JSON Schema of their arguments:\n"
)


def body(
    question: Question, model: str, abilities: Abilities, veil: Veil, settings: Llm, stream: bool
) -> Json:
    """The request to `model`."""
    tools, schema = question.tools, question.schema
    request: Json = {"model": model}
    in_words = []
    if tools and abilities.tools:
        request["tools"] = [_function(tool) for tool in tools]
    elif tools:
        in_words.append(_TOOLS_IN_WORDS + "\n".join(json.dumps(_plain(tool)) for tool in tools))
    if schema and abilities.schema != "text":
        request["response_format"] = _format(schema, abilities.schema)
    if schema and abilities.schema != "json_schema":
        in_words.append(_SCHEMA_IN_WORDS + json.dumps(schema.schema))
    messages = question.messages
    if in_words:  # at the beginning, which stays what it is when the conversation grows
        had = messages[0].author == "system"
        before = (*messages[0].content, "\n\n") if had else ()
        messages = (Message.system(*before, "\n\n".join(in_words)), *messages[had:])
    request["messages"] = _messages(messages, abilities.tools, veil)
    request[abilities.output_limit] = question.max_output_tokens or settings.max_output_tokens
    if settings.temperature is not None and abilities.temperature:
        request["temperature"] = settings.temperature
    if settings.reasoning_effort is not None and abilities.effort:
        request["reasoning_effort"] = settings.reasoning_effort
    if stream:
        request["stream"] = True
        if abilities.usage:
            request["stream_options"] = {"include_usage": True}
    return request


def encoded(request: Json) -> bytes:
    """The bytes that leave."""
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _messages(messages: Sequence[Message], has_tools: bool, veil: Veil) -> list[Json]:
    written: list[Json] = []
    for message in messages:
        text = veil.text(*message.content)
        if has_tools or not (message.calls or message.answers):
            written.append(_message(message, text, veil))
        elif message.calls:
            calls = [{"tool": each.tool, **_arguments(each, veil)} for each in message.calls]
            said = json.dumps({"calls": calls}, ensure_ascii=False)
            written.append({"role": "assistant", "content": said})
        else:
            text = f"Result of the call {message.answers}:\n{text}"
            if written and written[-1]["role"] == "user":  # templates want turns to alternate
                written[-1]["content"] += f"\n\n{text}"
            else:
                written.append({"role": "user", "content": text})
    return written


def _message(message: Message, text: str, veil: Veil) -> Json:
    written: Json = {"role": message.author, "content": text}
    if message.calls:
        written["content"] = text or None
        written["tool_calls"] = [
            {
                "id": each.id,
                "type": "function",
                "function": {
                    "name": each.tool,
                    "arguments": json.dumps(_arguments(each, veil)["arguments"]),
                },
            }
            for each in message.calls
        ]
    if message.answers:
        written["tool_call_id"] = message.answers
    return written


def _arguments(call: Call | BadCall, veil: Veil) -> Json:
    """Of a BadCall none: what it had would break the endpoints that read it."""
    return {"arguments": veil.value(dict(call.arguments)) if isinstance(call, Call) else {}}


def _function(tool: Tool) -> Json:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def _plain(tool: Tool) -> Json:
    return {"tool": tool.name, "description": tool.description, "arguments": tool.parameters}


def _format(schema: Schema, kind: str) -> Json:
    if kind == "json_object":
        return {"type": kind}
    return {
        "type": kind,
        "json_schema": {"name": schema.name, "schema": schema.schema, "strict": True},
    }
