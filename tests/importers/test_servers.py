"""Live servers: pages, filters, limits, and what happens when they do not answer as they should."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from halo_otel.agentspan.normalise import normalise
from halo_otel.clock import NS_PER_S, ManualClock, SystemClock
from halo_otel.errors import BadRequest, ConfigError, HaloError, NotFound, TooLarge, Unreachable
from halo_otel.importers import api as api_module
from halo_otel.importers.api import PATIENCE_S, Api
from halo_otel.importers.servers import (
    Filters,
    Langfuse,
    Page,
    Phoenix,
    Server,
    langfuse_headers,
    phoenix_headers,
)
from halo_otel.model.facts import SpanKind
from tests.importers.conftest import Answer, Site, told

BEGIN_NS = ManualClock().now_ns()
ALL = Filters(until_ns=BEGIN_NS)
SOME = Filters(
    since_ns=BEGIN_NS - 3600 * NS_PER_S,
    until_ns=BEGIN_NS,
    name="book a flight",
    session="chat-42",
    user='the "user"',
    tags=("a", "b"),
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def api_of(site: Site, clock: ManualClock) -> Api:
    headers = {**langfuse_headers("pk-lf-1", "sk-lf-2")}
    if site.authorization.startswith("Bearer"):
        headers = {**phoenix_headers("px-3")}
    return Api(site.url, headers, clock)


async def every_page(server: Server) -> list[Page]:
    pages = [await server.page("")]
    while pages[-1].following:
        pages.append(await server.page(pages[-1].following))
    return pages


async def test_langfuse_page_by_page(langfuse: Site, clock: ManualClock) -> None:
    pages = await every_page(Langfuse(api_of(langfuse, clock), ALL, 2))
    assert [len(page.spans) for page in pages] == [2, 1]
    spans = [span for page in pages for span in page.spans]
    assert [normalise(span).kind for span in spans] == [SpanKind.AGENT, SpanKind.LLM, SpanKind.TOOL]
    assert all("io" in query["fields"][0].split(",") for _, query in langfuse.asked)
    assert clock.now_ns() == BEGIN_NS


async def test_langfuse_filters(langfuse: Site, clock: ManualClock) -> None:
    await Langfuse(api_of(langfuse, clock), SOME, 50).page("")
    ((_, query),) = langfuse.asked
    conditions = {
        (one["type"], one["column"], one["operator"]): one["value"]
        for one in json.loads(query["filter"][0])
    }
    assert conditions == {
        ("datetime", "startTime", ">="): "2023-11-14T21:13:20.000Z",
        ("datetime", "startTime", "<"): "2023-11-14T22:13:20.000Z",
        ("string", "traceName", "="): "book a flight",
        ("string", "sessionId", "="): "chat-42",
        ("string", "userId", "="): 'the "user"',
        ("arrayOptions", "traceTags", "all of"): ["a", "b"],
    }
    assert query["limit"] == ["50"]


async def test_an_older_langfuse_gives_its_traces(old_langfuse: Site, clock: ManualClock) -> None:
    pages = await every_page(Langfuse(api_of(old_langfuse, clock), SOME, 1))
    other_size = Langfuse(api_of(old_langfuse, clock), SOME, 50)
    assert await other_size.page(pages[0].following) == pages[1]
    assert [len(page.spans) for page in pages] == [2, 2]
    assert {normalise(span).session_id for page in pages for span in page.spans} == {"chat-42"}
    paths = [path for path, _ in old_langfuse.asked]
    assert paths[0] == "/api/public/v2/observations"
    assert paths.count("/api/public/v2/observations") == 1
    assert "/api/public/traces/other/trace ?" in paths
    listing = next(query for path, query in old_langfuse.asked if path == "/api/public/traces")
    assert listing["tags"] == ["a", "b"]
    assert listing["sessionId"] == ["chat-42"]
    assert listing["fromTimestamp"] == ["2023-11-14T21:13:20.000Z"]


async def test_phoenix_page_by_page(phoenix: Site, clock: ManualClock) -> None:
    pages = await every_page(Phoenix(api_of(phoenix, clock), SOME, 1, "my project"))
    assert [span.name for page in pages for span in page.spans] == [
        "ChatCompletion",
        "search_flights",
    ]
    for page in pages:
        assert page.spans[0].resource.attributes["service.name"] == "my project"
    _, query = phoenix.asked[0]
    assert query["name"] == ["book a flight"]
    assert query["attribute"] == ['session.id:"chat-42"', r'user.id:"the \"user\""']
    assert query["start_time"] == ["2023-11-14T21:13:20.000Z"]
    assert query["end_time"] == ["2023-11-14T22:13:20.000Z"]
    assert phoenix.asked[1][1]["cursor"] == ["1"]


async def test_a_bad_span_on_a_page_costs_itself(phoenix: Site, clock: ManualClock) -> None:
    phoenix.spans = [{**phoenix.spans[0], "start_time": "soon"}, 5, phoenix.spans[1]]  # type: ignore[list-item]
    page = await Phoenix(api_of(phoenix, clock), ALL, 10, "my project").page("")
    assert [span.name for span in page.spans] == ["search_flights"]
    assert len(page.problems) == 2


async def test_an_empty_server(phoenix: Site, clock: ManualClock) -> None:
    phoenix.spans = []
    page = await Phoenix(api_of(phoenix, clock), ALL, 10, "my project").page("")
    assert page == Page(spans=(), problems=(), following="")


TORN: Answer = (200, {"Content-Length": "999"}, b'{"data": [')


@pytest.mark.parametrize(
    "busy", [(429, {}, b""), (500, {}, b"oops"), (502, {}, b""), (503, {}, b""), TORN]
)
async def test_what_is_busy_or_torn_is_asked_again(
    phoenix: Site, clock: ManualClock, busy: Answer
) -> None:
    phoenix.first = [busy] * 4
    api = api_of(phoenix, clock)
    page = await Phoenix(api, ALL, 10, "my project").page("")
    assert len(page.spans) == 2
    assert api.retries == 4
    waited_s = (clock.now_ns() - BEGIN_NS) / NS_PER_S
    assert (1 + 2 + 4 + 8) / 2 <= waited_s <= 1 + 2 + 4 + 8
    assert len({json.dumps(asked) for asked in phoenix.asked}) == 1


@pytest.mark.parametrize(
    ("named", "waited_s"),
    [
        ("7", 7),
        (format_datetime(datetime.fromtimestamp(BEGIN_NS // NS_PER_S + 9, UTC), usegmt=True), 9),
        (format_datetime(datetime.fromtimestamp(BEGIN_NS // NS_PER_S - 9, UTC), usegmt=True), 0),
        ("999999999", PATIENCE_S),
    ],
)
async def test_the_time_that_a_server_names_is_waited(
    phoenix: Site, clock: ManualClock, named: str, waited_s: float
) -> None:
    phoenix.first = [(429, {"Retry-After": named}, b"")]
    await Phoenix(api_of(phoenix, clock), ALL, 10, "my project").page("")
    assert (clock.now_ns() - BEGIN_NS) / NS_PER_S == waited_s


async def test_a_nonsense_time_is_not_believed(phoenix: Site, clock: ManualClock) -> None:
    phoenix.first = [(429, {"Retry-After": "soon \u00b2"}, b"")]
    await Phoenix(api_of(phoenix, clock), ALL, 10, "my project").page("")
    assert 0.5 <= (clock.now_ns() - BEGIN_NS) / NS_PER_S <= 1


async def test_patience_ends(phoenix: Site, clock: ManualClock) -> None:
    phoenix.first = [(503, {"Retry-After": "0"}, b"")] * 1000
    with pytest.raises(Unreachable, match=r"HTTP 503: gave up after 300 s"):
        await Phoenix(api_of(phoenix, clock), ALL, 10, "my project").page("")
    assert len(phoenix.asked) <= 302


async def test_nobody_there(clock: ManualClock) -> None:
    with pytest.raises(Unreachable, match="gave up"):
        await Api("http://127.0.0.1:1", {}, clock).get("/")


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (told({}, 401), ConfigError, "the key is missing, wrong or of another project"),
        (told({}, 403), ConfigError, "key"),
        ((404, {}, b"Project not found"), NotFound, "Project not found"),
        ((422, {}, b"Invalid cursor"), BadRequest, "HTTP 422: Invalid cursor"),
        ((302, {"Location": "https://login.example"}, b""), BadRequest, "https://login.example"),
        ((200, {}, b"<html>"), BadRequest, "does not answer in JSON"),
        ((200, {}, b'{"data": [{"id"'), BadRequest, "does not answer in JSON"),
        (told([]), BadRequest, "no list `data`"),
        (told({"data": None}), BadRequest, "no list `data`"),
        (told({"data": [{"hello": 1}]}), BadRequest, "no spans that we know"),
    ],
)
async def test_what_is_wrong_is_told_with_its_cure(
    phoenix: Site, clock: ManualClock, answer: Answer, kind: type[HaloError], why: str
) -> None:
    phoenix.first = [answer]
    with pytest.raises(kind, match=why):
        await Phoenix(api_of(phoenix, clock), ALL, 10, "my project").page("")
    assert clock.now_ns() == BEGIN_NS


async def test_a_page_over_the_limit(
    phoenix: Site, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_module, "PAGE_BYTES_MAX", 100)
    with pytest.raises(TooLarge, match="--page-size"):
        await Phoenix(api_of(phoenix, clock), ALL, 10, "my project").page("")


async def test_a_wrong_key(langfuse: Site, clock: ManualClock) -> None:
    api = Api(langfuse.url, langfuse_headers("pk-lf-1", "wrong"), clock)
    with pytest.raises(ConfigError, match="HTTP 401") as refusal:
        await Langfuse(api, ALL, 10).page("")
    assert "wrong" not in str(refusal.value).replace("missing, wrong or", "")


@pytest.mark.parametrize(
    "url", ["localhost:6006", "ftp://host", "https://", "", "http://me:secret@host"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError, match="--url") as refusal:
        Api(url, {}, SystemClock())
    assert "secret" not in str(refusal.value)


async def test_a_path_in_the_address_stands_first(phoenix: Site, clock: ManualClock) -> None:
    api = Api(f"{phoenix.url}/proxied/", phoenix_headers("px-3"), clock)
    with pytest.raises(NotFound):
        await api.get("/v1/x", [("a", "ä b")])
    assert phoenix.asked == [("/proxied/v1/x", {"a": ["ä b"]})]


def test_keys_in_headers() -> None:
    assert langfuse_headers("a", "b") == {"Authorization": "Basic YTpi"}
    assert phoenix_headers("") == {}
