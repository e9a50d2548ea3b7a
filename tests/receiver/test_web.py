"""Probes and the metrics page."""

import httpx

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.receiver.exposition import prometheus_text
from halo_otel.receiver.web import WebServer
from halo_otel.selfobs import Counters, Reading


async def test_probes_and_metrics() -> None:
    counters = Counters()
    reasons: list[str | None] = ["reading the journal"]
    server = WebServer(
        sections.Web(endpoint="localhost:0"),
        not_ready=lambda: reasons[-1],
        readings=counters.snapshot,
        counters=counters,
        clock=ManualClock(),
    )
    await server.__aexit__(None, None, None)
    async with server, httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{server.port}"
        assert (await client.get(f"{url}/healthz")).text == "ok\n"
        answer = await client.get(f"{url}/readyz")
        assert (answer.status_code, answer.text) == (503, "not ready: reading the journal\n")
        reasons.append(None)
        assert (await client.get(f"{url}/readyz")).status_code == 200
        counters.add("halo.receiver.accepted_spans", 7, transport="grpc")
        answer = await client.get(f"{url}/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'halo_receiver_accepted_spans_total{transport="grpc"} 7' in answer.text
        accept = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5"
        answer = await client.get(f"{url}/metrics", headers={"accept": accept})
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1")
        assert answer.text.endswith("\n# EOF\n")
        assert (await client.post(f"{url}/metrics")).status_code == 405
        assert (await client.get(f"{url}/")).status_code == 404
    await server.__aexit__(None, None, None)


def test_prometheus_text() -> None:
    readings = [
        Reading("halo.receiver.accepted_spans", (("transport", "http"),), 2),
        Reading("halo.findings.open", (("service.name", 'a"b\\c\nd'),), 1.5),
        Reading("halo.receiver.accepted_spans", (("transport", "grpc"),), 1e15),
        Reading("halo.analysis.runs", (), 3),
    ]
    assert prometheus_text(readings) == (
        "# HELP halo_analysis_runs_total analysis runs\n"
        "# TYPE halo_analysis_runs_total counter\n"
        "halo_analysis_runs_total 3\n"
        "# HELP halo_findings_open findings that are open now\n"
        "# TYPE halo_findings_open gauge\n"
        'halo_findings_open{service_name="a\\"b\\\\c\\nd"} 1.5\n'
        "# HELP halo_receiver_accepted_spans_total spans journaled and acknowledged\n"
        "# TYPE halo_receiver_accepted_spans_total counter\n"
        'halo_receiver_accepted_spans_total{transport="http"} 2\n'
        'halo_receiver_accepted_spans_total{transport="grpc"} 1000000000000000\n'
    )
    assert prometheus_text([]) == ""
