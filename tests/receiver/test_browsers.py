"""Pages in a browser neither write nor read here: CORS is closed, made-up names of this machine too."""

import httpx
import pytest
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.receiver.web import WebServer
from halo_otel.selfobs import Counters
from tests.receiver.rig import Rig, trace_request

REQUEST = trace_request().SerializeToString()


def no_permission(answer: httpx.Response) -> bool:
    """Whether no header of the answer opens it to a page (Fetch standard, "CORS protocol")."""
    return not any(name.startswith("access-control-") for name in answer.headers)


async def test_a_preflight_is_answered_with_no(rig: Rig) -> None:
    asked = {
        "origin": "https://evil.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    answer = await rig.client.options("/v1/traces", headers=asked)
    assert answer.status_code == 405
    assert no_permission(answer)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:14318"])
async def test_a_page_cannot_send(rig: Rig, origin: str) -> None:
    answer = await rig.post("traces", REQUEST, origin=origin)
    assert answer.status_code == 403
    assert Status.FromString(answer.content).code == Code.PERMISSION_DENIED
    assert no_permission(answer)
    assert rig.frames() == []


async def test_metrics_are_told_only_under_a_name_of_this_machine() -> None:
    counters = Counters()
    server = WebServer(
        sections.Web(endpoint="localhost:0"),
        not_ready=lambda: None,
        readings=counters.snapshot,
        counters=counters,
        clock=ManualClock(),
    )
    async with server, httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{server.port}"
        for host, status in (
            ("localhost:1", 200),
            ("127.0.0.1", 200),
            ("[::1]:14319", 200),
            ("evil.example", 403),
            ("localhost.evil.example:14319", 403),
            ("[", 403),
            ("", 403),
        ):
            answer = await client.get(f"{url}/metrics", headers={"host": host})
            assert answer.status_code == status, host
            assert no_permission(answer)
            assert (await client.get(f"{url}/healthz", headers={"host": host})).status_code == 200
