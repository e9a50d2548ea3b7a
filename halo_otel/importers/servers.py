"""Langfuse and Phoenix, as servers that give their spans page by page.

A page is asked for with the cursor that the page before it gave, `""` for the first.
"""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol
from urllib.parse import quote

from halo_otel.clock import rfc3339
from halo_otel.errors import BadRequest, NotFound
from halo_otel.importers import fields, foreign
from halo_otel.importers.api import Api
from halo_otel.model.span import Resource, Span

_OBSERVATION_FIELDS: Final = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
# A cursor of ours for Langfuse's API v1: number and size of a page; a page of another size would
# begin elsewhere.
_TRACES: Final = re.compile(r"traces:(\d{1,9}):(\d{1,4})", re.ASCII)
_TRACE_PAGE_MAX: Final = 100  # GET /api/public/traces refuses more


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which spans; times are Unix nanoseconds, from `since_ns` on and before `until_ns`."""

    since_ns: int | None = None
    until_ns: int
    name: str = ""
    session: str = ""
    user: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one answer held; `following` is the cursor of the next page, `""` after the last."""

    spans: tuple[Span, ...]
    problems: tuple[str, ...]
    following: str


class Server(Protocol):
    """Where pages come from."""

    async def page(self, cursor: str) -> Page:
        """The page at `cursor`; raises what `Api.get` raises."""
        ...


def langfuse_headers(public_key: str, secret_key: str) -> Mapping[str, str]:
    """HTTP Basic: Langfuse's public key is the user, the secret key the password."""
    pair = f"{public_key}:{secret_key}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode('ascii')}"}


def phoenix_headers(key: str) -> Mapping[str, str]:
    """A bearer token; without a key none, for a Phoenix without authentication."""
    return {"Authorization": f"Bearer {key}"} if key else {}


class Langfuse:
    """`GET /api/public/v2/observations`; where a server has none, every trace of API v1.

    Source: langfuse/langfuse at 6275144, fern/apis/server/definition/observations.yml and trace.yml.
    All conditions go into the one parameter `filter`: with it the others do not count. Langfuse 4 and
    its cloud have v2 only, version 3 at home has v1 only.
    """

    def __init__(self, api: Api, filters: Filters, page_size: int) -> None:
        self._api = api
        self._filters = filters
        self._page_size = page_size

    async def page(self, cursor: str) -> Page:
        if found := _TRACES.fullmatch(cursor):
            return await self._traces(int(found[1]), int(found[2]))
        query = [
            ("fields", _OBSERVATION_FIELDS),
            ("limit", str(self._page_size)),
            ("filter", json.dumps(self._conditions())),
        ]
        if cursor:
            query.append(("cursor", cursor))
        try:
            tree = await self._api.get("/api/public/v2/observations", query)
        except NotFound:
            if cursor:
                raise
            return await self._traces(1, min(self._page_size, _TRACE_PAGE_MAX))
        return _page(tree, _text_of(fields.members(tree).get("meta"), "cursor"))

    def _conditions(self) -> list[dict[str, Any]]:
        wanted = self._filters
        found = [_before("startTime", "<", wanted.until_ns)]
        if wanted.since_ns is not None:
            found.append(_before("startTime", ">=", wanted.since_ns))
        texts = {"traceName": wanted.name, "sessionId": wanted.session, "userId": wanted.user}
        found += [
            {"type": "string", "column": column, "operator": "=", "value": value}
            for column, value in texts.items()
            if value
        ]
        if wanted.tags:
            tags: dict[str, Any] = {"type": "arrayOptions", "column": "traceTags"}
            found.append({**tags, "operator": "all of", "value": list(wanted.tags)})
        return found

    async def _traces(self, number: int, size: int) -> Page:
        """Page `number` of the list of traces, `size` to a page, then each of them with its observations."""
        wanted = self._filters
        query = [
            ("page", str(number)),
            ("limit", str(size)),
            ("orderBy", "timestamp.asc"),
            ("fields", "core"),
            ("toTimestamp", rfc3339(wanted.until_ns)),
        ]
        if wanted.since_ns is not None:
            query.append(("fromTimestamp", rfc3339(wanted.since_ns)))
        texts = {"name": wanted.name, "sessionId": wanted.session, "userId": wanted.user}
        query += [(name, value) for name, value in texts.items() if value]
        query += [("tags", tag) for tag in wanted.tags]
        listed = await self._api.get("/api/public/traces", query)
        traces = [
            await self._api.get(f"/api/public/traces/{quote(_text_of(trace, 'id'), safe='')}")
            for trace in _data(listed)
        ]
        pages = fields.members(fields.members(listed).get("meta")).get("totalPages")
        more = isinstance(pages, int) and number < pages
        return _page({"data": traces}, f"traces:{number + 1}:{size}" if more else "")


class Phoenix:
    """`GET /v1/projects/{project}/spans`.

    Source: Arize-ai/phoenix at 9478f95, server/api/routers/v1/spans.py. Spans come newest first;
    a value is quoted as JSON, or `12` would not be the text "12". Phoenix keeps no resource: the
    project stands for the service, and in the resource attribute it came in by.
    """

    def __init__(self, api: Api, filters: Filters, page_size: int, project: str) -> None:
        self._api = api
        self._filters = filters
        self._page_size = page_size
        self._path = f"/v1/projects/{quote(project, safe='')}/spans"
        self._resource = Resource(
            attributes={"service.name": project, "openinference.project.name": project}
        )

    async def page(self, cursor: str) -> Page:
        wanted = self._filters
        query = [("limit", str(self._page_size)), ("end_time", rfc3339(wanted.until_ns))]
        if wanted.since_ns is not None:
            query.append(("start_time", rfc3339(wanted.since_ns)))
        if wanted.name:
            query.append(("name", wanted.name))
        values = {"session.id": wanted.session, "user.id": wanted.user}
        query += [
            ("attribute", f"{key}:{json.dumps(text)}") for key, text in values.items() if text
        ]
        if cursor:
            query.append(("cursor", cursor))
        tree = await self._api.get(self._path, query)
        page = _page(tree, _text_of(tree, "next_cursor"))
        spans = tuple(replace(span, resource=self._resource) for span in page.spans)
        return replace(page, spans=spans)


def _before(column: str, operator: str, moment_ns: int) -> dict[str, Any]:
    return {
        "type": "datetime",
        "column": column,
        "operator": operator,
        "value": rfc3339(moment_ns),
    }


def _page(tree: Any, following: str) -> Page:
    found = foreign.read({"data": _data(tree)}) if _data(tree) else None
    if found is None and _data(tree):
        raise BadRequest("the server's answer holds no spans that we know: is --url right?")
    if found is None:
        return Page(spans=(), problems=(), following=following)
    return Page(spans=tuple(found.spans), problems=found.problems, following=following)


def _data(tree: Any) -> list[Any]:
    """Raises BadRequest for an answer of another shape: it would look like the last page."""
    data = tree.get("data") if isinstance(tree, dict) else None
    if not isinstance(data, list):
        raise BadRequest("the server's answer has no list `data`: is --url right?")
    return data


def _text_of(tree: Any, key: str) -> str:
    value = fields.members(tree).get(key)
    return value if isinstance(value, str) else ""
