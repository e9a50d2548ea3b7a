"""What is about no agent leaves the running service's windows; what is about one stays."""

from collections.abc import Callable

from tests.path.agents import Agents
from tests.path.conftest import Service, eventually

WEB_REQUESTS = 50


def test_web_traffic_is_let_go_and_counted_and_agents_stay(
    start_service: Callable[..., Service],
) -> None:
    service = start_service(
        HALO_WINDOW_LENGTH="1s",
        HALO_ANALYSIS_TRACE_SETTLE="1s",
        HALO_EXPORTERS_OTLP_ENABLED="false",
    )
    agents = Agents(service.grpc_port)
    trace_id = agents.run("one")
    for _ in range(WEB_REQUESTS):
        with agents.tracer.start_as_current_span("GET /basket"):
            agents.tracer.start_span("SELECT").end()
    agents.flush()
    agents.close()

    def all_gone() -> bool:
        return service.metric("halo_window_let_go_spans_total") == 2 * WEB_REQUESTS

    eventually("the web traffic is let go", all_gone)
    assert service.metric("halo_window_let_go_traces_total") == WEB_REQUESTS
    tree = service.command("tree", trace_id)
    assert tree.returncode == 0, tree.stderr
    assert "let go" in service.command("windows").stdout
    assert service.metric("halo_ingest_spans_total") == agents.spans + 2 * WEB_REQUESTS
