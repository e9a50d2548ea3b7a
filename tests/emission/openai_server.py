"""A server that speaks OpenAI's API and tells one story: the turns of `tests.emission.run`.

Chat completions and responses, streamed or whole. It keeps no state: which turn it is follows from the
tool results in the request, so any number of programs may ask at once. Wire formats: OpenAI's API
reference, "Create chat completion" and "Create a model response".
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.emission.run import ANSWER, ARGUMENTS, MODEL_SERVED, TURNS, Turn

_CREATED = 1_767_225_600  # 2026-01-01
_FINAL_ANSWER = "final_answer"  # smolagents' agents answer by calling a tool of this name
_OBSERVED = ("Observation:\\n", "Error:\\n")  # smolagents' memory, in JSON
Json = dict[str, Any]


@contextmanager
def serving() -> Iterator[str]:
    """The base URL of a running server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, name="scripted model")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith("/chat/completions"):
            results = sum(map(_results, request["messages"]))
            answer, events = _chat(request, TURNS[min(results, 2)])
        elif self.path.endswith("/responses"):
            items = request["input"] if isinstance(request["input"], list) else []
            results = sum(item.get("type") == "function_call_output" for item in items)
            answer, events = _response(TURNS[min(results, 2)])
        else:
            self.send_error(404)
            return
        if request.get("stream"):
            self._send("text/event-stream", "".join(events))
        else:
            self._send("application/json", json.dumps(answer))

    def _send(self, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what matters is what arrives at the receiver."""


def _results(message: Json) -> int:
    """How many results of tools a message tells; smolagents lets the user say them."""
    if message.get("role") != "user":
        return int(message.get("role") == "tool")
    text = json.dumps(message.get("content"))
    return sum(text.count(told) for told in _OBSERVED)


def _call(request: Json, turn: Turn) -> tuple[str, Json] | None:
    """The tool to call and its arguments, if this turn calls one."""
    if turn.tool:
        return turn.tool, ARGUMENTS
    offered = {tool["function"]["name"] for tool in request.get("tools") or ()}
    return (_FINAL_ANSWER, {"answer": ANSWER}) if _FINAL_ANSWER in offered else None


def _chat(request: Json, turn: Turn) -> tuple[Json, list[str]]:
    call = _call(request, turn)
    message: Json = {"role": "assistant", "content": None if call else ANSWER}
    if call:
        function = {"name": call[0], "arguments": json.dumps(call[1])}
        calls = [{"id": turn.call_id, "type": "function", "function": function}]
        message["tool_calls"] = calls
    usage = {
        "prompt_tokens": turn.input_tokens,
        "completion_tokens": turn.output_tokens,
        "total_tokens": turn.input_tokens + turn.output_tokens,
        "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    head = {"id": "chatcmpl-1", "created": _CREATED, "model": MODEL_SERVED}
    reason = "tool_calls" if call else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    answer = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    delta = dict(message)
    if call:
        delta["tool_calls"] = [{"index": 0, **message["tool_calls"][0]}]
    chunk = {**head, "object": "chat.completion.chunk"}
    chunks: list[Json] = [
        {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
    ]
    if (request.get("stream_options") or {}).get("include_usage"):
        chunks.append({**chunk, "choices": [], "usage": usage})
    return answer, [f"data: {json.dumps(each)}\n\n" for each in chunks] + ["data: [DONE]\n\n"]


def _response(turn: Turn) -> tuple[Json, list[str]]:
    if turn.tool:
        item: Json = {
            "id": f"fc_{turn.tool}",
            "type": "function_call",
            "call_id": turn.call_id,
            "name": turn.tool,
            "arguments": json.dumps(ARGUMENTS),
            "status": "completed",
        }
    else:
        text = {"type": "output_text", "text": ANSWER, "annotations": []}
        item = {"id": "msg_1", "type": "message", "role": "assistant", "content": [text]}
        item["status"] = "completed"
    answer: Json = {
        "id": f"resp_{turn.tool or 'answer'}",
        "object": "response",
        "created_at": _CREATED,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": MODEL_SERVED,
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1.0,
        "top_p": 1.0,
        "metadata": {},
        "usage": {
            "input_tokens": turn.input_tokens,
            "input_tokens_details": {"cached_tokens": turn.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": turn.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": turn.input_tokens + turn.output_tokens,
        },
    }
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": answer},
    ]
    return answer, [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    ]
