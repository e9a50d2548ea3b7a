"""What dashboards are told about the last analysis."""

from pathlib import Path

from halo_otel.model.finding import Status
from halo_otel.selfobs import Counters, Reading
from halo_otel.service.figures import AGENTS_MAX, tell
from tests.analysis.conftest import Traffic, report_on
from tests.service.running import RUNS, Service


def told(service: Service, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    readings: list[Reading] = service.counters.snapshot()
    return {one.attributes: one.value for one in readings if one.name == name}


async def test_a_dashboard_sees_how_runs_ended_and_what_could_be_seen(tmp_path: Path) -> None:
    service = Service(tmp_path)
    await service.start()
    await service.window(failing=10)
    of = service.counters.value
    agent = {"service": "shop", "agent": "booker"}
    assert of("halo.analysis.outcomes", outcome="failed", **agent) == 10
    assert of("halo.analysis.outcomes", outcome="passed", **agent) == RUNS - 10
    assert of("halo.analysis.outcomes", outcome="unknown", **agent) == 0
    assert len(told(service, "halo.analysis.outcomes")) == 3
    assert of("halo.analysis.coverage", kind="outcome_known") == 1.0
    assert of("halo.analysis.coverage", kind="payload_captured") == 1.0
    assert of("halo.analysis.abstaining_detectors") == 0
    (error,) = service.findings("error")
    (waste,) = told(service, "halo.findings.wasted_seconds").values()
    assert waste == error.impact.seconds_wasted
    await service.stop()


async def test_what_is_muted_or_out_of_sight_is_not_told(tmp_path: Path) -> None:
    service = Service(tmp_path)
    await service.start()
    await service.window(failing=10)
    (error,) = service.findings("error")
    service.registry.mute(error.fingerprint, None, "known", service.clock.now_ns())
    await service.window(failing=10)
    assert service.findings("error")[0].status is Status.MUTED
    assert told(service, "halo.findings.wasted_tokens") == {}
    await service.stop()


def test_no_more_agents_are_told_than_a_dashboard_takes() -> None:
    """Whoever is named anew with each run cannot fill the metrics backend; the busiest are told."""
    ended: dict[tuple[str, str, bool | None], int] = {
        ("shop", f"agent {number:03}", True): 1 for number in range(AGENTS_MAX + 5)
    }
    ended["shop", "busy", None] = 2
    counters = Counters()
    tell(counters, report_on(Traffic().healthy(3).rows), ended)
    told = [one for one in counters.snapshot() if one.name == "halo.analysis.outcomes"]
    assert len(told) == 3 * AGENTS_MAX
    assert sum(one.value for one in told) == AGENTS_MAX - 1 + 2
    busy = [one.value for one in told if ("agent", "busy") in one.attributes]
    assert busy == [0, 0, 2]
