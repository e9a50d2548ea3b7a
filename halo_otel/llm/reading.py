"""What came back for a question: a completion whose members may be anything, whole or in a stream's chunks."""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from halo_otel.llm.conversation import Answer, BadCall, Call, Json, Question

_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")  # what OpenAI takes as the name of a function
_NAME_CHARS: Final = 64
_DECODER: Final = json.JSONDecoder()
_STARTS_MAX: Final = 100  # braces that a JSON object may begin with in an explanation
_SHOWN_CHARS: Final = 300  # of arguments that are not JSON
# How models begin to decline where the endpoint has no field for it; a refusal is short.
_REFUSAL: Final = re.compile(
    r"(?i)(?:i['’]?m (?:very )?sorry|sorry|i apologi[sz]e|unfortunately)?[,.]?\s*(?:but )?"
    r"i (?:can(?:no|['’])t|am (?:not able|unable) to|['’]?m (?:not able|unable) to|won['’]t) "
    r"(?:be able to )?(?:help|assist|comply|continue|fulfil+|answer|engage|provide|do that)"
)
_REFUSAL_CHARS: Final = 400


class Unusable(ValueError):
    """What came back is no chat completion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the endpoint counted them; cached ones are part of the input."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int  # of the input
    cache_written_tokens: int  # of the input
    cost: float | None


def read(completion: object, question: Question) -> tuple[Answer, Usage | None]:
    """What `completion`, whose members may be anything, says; what it cost where it says that.

    Raises Unusable.
    """
    choice = _first(completion)
    message = _object(choice.get("message"))
    text = _text(message.get("content"))
    finish = choice.get("finish_reason")
    calls = tuple(_calls(message, question))
    value = _object_in(text) if text and not calls and (question.schema or question.tools) else None
    if value is not None and _is_protocol(value, question):
        calls = tuple(_calls_in(value["calls"], question))
    refusal = _text(message.get("refusal")) or None
    if finish == "content_filter":
        refusal = refusal or "the endpoint's content filter cut the answer"
    elif not calls and value is None and len(text) <= _REFUSAL_CHARS and _REFUSAL.match(text):
        refusal = refusal or text
    if not (text or calls or refusal) and finish is None:
        raise Unusable("the answer is empty and has no end")
    wants_value = question.schema is not None and not calls
    problem = None
    if wants_value and value is None:
        cut = "; it is cut off: make it shorter" if finish == "length" else ""
        problem = f"The answer is not one JSON object{cut}. Answer with the JSON object only."
    model = _object(completion).get("model")
    answer = Answer(
        text=text,
        calls=calls,
        value=value if wants_value else None,
        problem=problem,
        is_cut=finish == "length",
        refusal=refusal,
        model=model if isinstance(model, str) else "",
    )
    return answer, _usage(_object(completion).get("usage"))


class Gathering:
    """Puts the chunks of a stream together to one completion."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._calls: dict[int, Json] = {}
        self._finish: object = None
        self._rest: Json = {}

    def add(self, chunk: object) -> str:
        """The new text in `chunk`. Raises Unusable."""
        told = _object(chunk)
        for name in ("model", "usage", "error"):
            if told.get(name):
                self._rest[name] = told[name]
        choices = told.get("choices")
        if not isinstance(choices, list) or not choices:
            return ""
        choice = _object(choices[0])
        self._finish = choice.get("finish_reason") or self._finish
        delta = _object(choice.get("delta"))
        text = _text(delta.get("content"))
        self._texts.append(text)
        self._refusals.append(_text(delta.get("refusal")))
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._add_call(_object(call))
        return text

    def completion(self) -> Json:
        """What was gathered. Raises Unusable where the stream broke off."""
        if self._finish is None and "error" not in self._rest:
            raise Unusable("the stream broke off")
        message = {
            "content": "".join(self._texts),
            "refusal": "".join(self._refusals),
            "tool_calls": list(self._calls.values()),
        }
        return {**self._rest, "choices": [{"message": message, "finish_reason": self._finish}]}

    def _add_call(self, call: Json) -> None:
        index = call.get("index")
        if not isinstance(index, int):  # some endpoints send whole calls without one
            index = len(self._calls) if call.get("id") else max(0, len(self._calls) - 1)
        function = _object(call.get("function"))
        whole = self._calls.setdefault(index, {"id": "", "function": {"name": "", "arguments": ""}})
        whole["id"] = whole["id"] or call.get("id") or ""
        for name in ("name", "arguments"):
            if isinstance(function.get(name), str):
                whole["function"][name] += function[name]


def whole(content: bytes, on_text: Callable[[str], None]) -> object:
    """The completion of an endpoint that was asked to stream and does not. Raises ValueError."""
    completion: object = json.loads(content)
    if error_in(completion) is None:
        on_text(_text(_object(_first(completion).get("message")).get("content")))
    return completion


def error_in(completion: object) -> Json | None:
    """The error that some endpoints send with status 200."""
    error = completion.get("error") if isinstance(completion, dict) else None
    return error if isinstance(error, dict) else {"message": str(error)} if error else None


def _first(completion: object) -> Json:
    choices = _object(completion).get("choices")
    if not isinstance(choices, list) or not choices:
        raise Unusable("the answer holds no choice")
    return _object(choices[0])


def _object(value: object) -> Json:
    if not isinstance(value, dict):
        raise Unusable("the answer is no chat completion")
    return value


def _text(content: object) -> str:
    """A text, also one in parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _calls(message: Json, question: Question) -> Iterator[Call | BadCall]:
    told = message.get("tool_calls")
    for place, each in enumerate(told if isinstance(told, list) else ()):
        call = _object(each)
        function = _object(call.get("function"))
        id = call.get("id") or _new_id(question, place)
        yield _call(str(id), function.get("name"), function.get("arguments"), question)


def _calls_in(told: list[object], question: Question) -> Iterator[Call | BadCall]:
    for place, each in enumerate(told):
        call = each if isinstance(each, dict) else {}
        id = _new_id(question, place)
        yield _call(id, call.get("tool"), call.get("arguments"), question)


def _is_protocol(value: Json, question: Question) -> bool:
    """Whether `value` calls tools in words, as `writing` asks for, whoever asked."""
    return bool(question.tools) and set(value) == {"calls"} and isinstance(value["calls"], list)


def _new_id(question: Question, place: int) -> str:
    return f"call_{len(question.messages)}_{place}"


def _call(id: str, name: object, arguments: object, question: Question) -> Call | BadCall:
    tool = _NAME.sub("_", str(name or ""))[:_NAME_CHARS] or "nameless"
    tools = [each.name for each in question.tools]
    if name not in tools:
        problem = f"There is no tool {tool}. The tools are: {', '.join(tools) or 'none'}."
        return BadCall(id=id, tool=tool, problem=problem)
    value = arguments
    if isinstance(arguments, str):
        try:
            value = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            value = str(error)
    if not isinstance(value, dict):
        shown = str(arguments)[:_SHOWN_CHARS]
        why = f" ({value})" if isinstance(arguments, str) and isinstance(value, str) else ""
        problem = f"The arguments must be one JSON object{why}, not: {shown}"
        return BadCall(id=id, tool=tool, problem=problem)
    return Call(id=id, tool=tool, arguments=value)


def _object_in(text: str) -> Json | None:
    """The JSON object that `text` is, or that it holds between thoughts, fences and explanations."""
    text = text.rpartition("</think>")[2]
    for start in islice((place for place, char in enumerate(text) if char == "{"), _STARTS_MAX):
        try:
            value: Any = _DECODER.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    return None


def _usage(told: object) -> Usage | None:
    if not isinstance(told, dict):
        return None
    sent, written = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    if sent is None or written is None:
        return None
    # Some count thoughts in the total only.
    written = max(written, (_count(told.get("total_tokens")) or 0) - sent)
    details = told.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    cached = min(_count(details.get("cached_tokens")) or 0, sent)
    cost = told.get("cost")  # OpenRouter says what it charges
    return Usage(
        input_tokens=sent,
        output_tokens=written,
        cached_tokens=cached,
        cache_written_tokens=min(_count(details.get("cache_write_tokens")) or 0, sent - cached),
        cost=cost if isinstance(cost, float) and 0 <= cost < math.inf else None,
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 40 else None
