"""Real HTTP servers that speak Langfuse's and Phoenix' APIs, and fail as they are told."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.importers import exports

Answer = tuple[int, dict[str, str], bytes]
LANGFUSE_AUTH = "Basic " + b64encode(b"pk-lf-1:sk-lf-2").decode()
PHOENIX_AUTH = "Bearer px-3"


def told(tree: Any, status: int = 200) -> Answer:
    return status, {}, json.dumps(tree).encode()


@dataclass
class Site:
    """What is at a server: its pages, the answers it gives first, and what it was asked."""

    answer: Callable[["Site", str, dict[str, list[str]]], Answer]
    authorization: str
    spans: list[dict[str, Any]]
    first: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    url: str = ""

    def reply(self, target: str, authorization: str | None) -> Answer:
        address = urlsplit(target)
        query = parse_qs(address.query)
        self.asked.append((unquote(address.path), query))
        if self.first:
            return self.first.pop(0)
        if authorization != self.authorization:
            return told({"message": "Invalid credentials"}, 401)
        return self.answer(self, unquote(address.path), query)


def _serve(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = site.reply(self.path, self.headers["Authorization"])
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Not on the tests' standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def cut(spans: list[Any], query: dict[str, list[str]]) -> tuple[list[Any], int | None]:
    """The page a cursor of digits stands for, and where the next one begins."""
    first, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
    return spans[first : first + limit], first + limit if first + limit < len(spans) else None


def observations(site: Site, path: str, query: dict[str, list[str]]) -> Answer:
    """Langfuse 4 (web/src/pages/api/public/v2/observations)."""
    if path != "/api/public/v2/observations":
        return told({"message": "gone"}, 404)
    page, following = cut(site.spans, query)
    return told({"data": page, "meta": {"cursor": str(following)} if following else {}})


def traces(site: Site, path: str, query: dict[str, list[str]]) -> Answer:
    """Langfuse 3: no v2, lists of traces by page number, each with its observations by id."""
    if path == "/api/public/traces":
        number, limit = int(query["page"][0]), int(query["limit"][0])
        listed = [{"id": trace["id"]} for trace in site.spans]
        page = listed[(number - 1) * limit : number * limit]
        return told({"data": page, "meta": {"totalPages": -(-len(listed) // limit)}})
    for trace in site.spans:
        if path == f"/api/public/traces/{trace['id']}":
            return told(trace)
    return told({"message": "not found"}, 404)


def phoenix_spans(site: Site, path: str, query: dict[str, list[str]]) -> Answer:
    """Phoenix (server/api/routers/v1/spans.py, `span_search`)."""
    if path != "/v1/projects/my project/spans":
        return 404, {}, b"Project not found"
    page, following = cut(site.spans, query)
    return told({"data": page, "next_cursor": str(following) if following else None})


@pytest.fixture
def langfuse() -> Iterator[Site]:
    yield from _serve(Site(observations, LANGFUSE_AUTH, exports.LANGFUSE_V2))


@pytest.fixture
def old_langfuse() -> Iterator[Site]:
    other = {**exports.LANGFUSE_TRACE, "id": "other/trace ?"}
    yield from _serve(Site(traces, LANGFUSE_AUTH, [exports.LANGFUSE_TRACE, other]))


@pytest.fixture
def phoenix() -> Iterator[Site]:
    yield from _serve(Site(phoenix_spans, PHOENIX_AUTH, exports.PHOENIX))
