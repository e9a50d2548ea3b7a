"""What a restart must not change, and what must not cause one."""

import json
from collections.abc import Callable

from tests.path.agents import Agents
from tests.path.conftest import Service, eventually

FAST = {
    "HALO_WINDOW_LENGTH": "1s",
    "HALO_ANALYSIS_TRACE_SETTLE": "1s",
    "HALO_EXPORTERS_OTLP_ENABLED": "false",
}
INT64_MAX = 2**63 - 1


def statuses(service: Service) -> dict[str, str]:
    """Status by fingerprint, of all findings ever."""
    answer = service.command("findings", "--all", "--format", "json")
    assert answer.returncode == 0, answer.stderr
    return {f["fingerprint"]: f["status"] for f in json.loads(answer.stdout)}


def is_found(service: Service) -> bool:
    """Asked of the running service: a command for it would be a process each time."""
    return service.metric("halo_findings_open") > 0


def runs(service: Service) -> float:
    return service.metric("halo_analysis_runs_total")


def send(service: Service, *, healthy: int, failing: int) -> None:
    agents = Agents(service.grpc_port)
    for number in range(healthy):
        agents.run(f"healthy-{number}")
    for number in range(failing):
        agents.run(f"failing-{number}", fails=True)
    agents.flush()
    agents.close()


def test_a_restart_is_no_evidence_that_a_fault_is_gone(
    start_service: Callable[..., Service],
) -> None:
    service = start_service(**FAST)
    send(service, healthy=30, failing=15)
    eventually("the fault is found", lambda: is_found(service))
    before = statuses(service)
    assert set(before.values()) == {"new"}
    service.stop()
    service.start()
    eventually("the lookback is judged again", lambda: runs(service) >= 1)
    assert service.command("report", "--now").returncode == 0
    assert statuses(service) == before
    (fingerprint,) = before
    assert service.command("mute", fingerprint).returncode == 0
    answer = service.command("report", "--now", "--format", "json")
    reported = {f["fingerprint"]: f["status"] for f in json.loads(answer.stdout)["findings"]}
    assert reported == {fingerprint: "muted"}  # the registry's word, not the analysis's


def test_wild_times_do_not_stop_the_service(start_service: Callable[..., Service]) -> None:
    service = start_service(**FAST)
    agents = Agents(service.grpc_port)
    for number in range(3):
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "charge"}
        span = agents.tracer.start_span(f"wild {number}", start_time=1, attributes=attributes)
        span.end(INT64_MAX)
    agents.close()
    send(service, healthy=10, failing=6)
    eventually("the fault is found beside them", lambda: is_found(service))
    assert service.process.running
    assert service.metric("halo_analysis_failed_runs_total") == 0
