"""The alert rules in a real Prometheus: each is understood, and fires when halo-otel is as ill as it says."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import orjson
import pytest
import yaml

from halo_otel.clock import NS_PER_S
from halo_otel.emitter import samples
from halo_otel.selfobs import Counters
from tests.backends.servers import Prometheus
from tests.deploy.queries import every
from tests.path.conftest import eventually, get

FILE: Final = Path(__file__).parents[2] / "deploy" / "prometheus" / "halo-otel.rules.yaml"
RULES: Final[tuple[str, ...]] = tuple(
    rule["alert"]
    for group in yaml.safe_load(FILE.read_text("utf-8"))["groups"]
    for rule in group["rules"]
)
ILL_S: Final = 1200  # how long it has been so
EVERY_S: Final = 30
# What goes wrong again and again, with what it is counted by.
COUNTED: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("halo.receiver.refused_requests", {"transport": "grpc", "reason": "journal_full"}),
    ("halo.receiver.refused_requests", {"transport": "grpc", "reason": "memory"}),
    ("halo.receiver.unauthenticated_requests", {"transport": "grpc", "reason": "no_token"}),
    ("halo.receiver.failed_reloads", {}),
    ("halo.engine.restarts", {}),
    ("halo.ingest.undecodable_frames", {}),
    ("halo.window.damaged", {}),
    ("halo.analysis.failed_runs", {}),
    ("halo.analysis.spans_unseen", {}),
    ("halo.analysis.late_spans", {}),
    ("halo.ingest.spans", {}),
    ("halo.emitter.dropped_records", {"kind": "log", "reason": "full"}),
    ("halo.llm.failed_analyses", {"error": "Timeout"}),
    ("halo.llm.budget_refusals", {"limit": "day"}),
)
GAUGES: Final[dict[str, float]] = {
    "halo.journal.bytes": 9e8,
    "halo.journal.capacity_bytes": 1e9,
    "halo.window.lag_seconds": 600,
    "halo.emitter.outbox": 9e4,
    "halo.emitter.outbox_capacity": 1e5,
}
DAY_S: Final = 86_400
ALARMED: Final = ("pending", "firing")  # pending: not yet for as long as `for` says


def told(counters: Counters, now_s: int) -> bytes:
    """A request of all that `counters` say, and of what a scrape adds that fails."""
    request = samples.request(counters.snapshot(), now_s * NS_PER_S, "ill")
    metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="up")
    metric.gauge.data_points.add(time_unix_nano=now_s * NS_PER_S, as_int=0)
    return bytes(request.SerializeToString())


@pytest.fixture(scope="module")
def prometheus(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has the rules, and what a service said that is ill in every way for twenty minutes."""
    server = Prometheus(programs / "prometheus", tmp_path_factory.mktemp("ill") / "data", FILE)
    server.start()
    try:
        server.wait()
        now_s = int(time.time())
        counters = Counters((now_s - ILL_S) * NS_PER_S)
        counters.set(
            "halo.receiver.certificate_expiry_seconds", float(now_s + DAY_S), transport="grpc"
        )
        for name, value in GAUGES.items():
            counters.set(name, value)
        for moment_s in range(now_s - ILL_S, now_s + 1, EVERY_S):
            for name, attributes in COUNTED:
                counters.add(name, 5, **attributes)
            counters.observe("halo.receiver.request_duration_seconds", 4.0, transport="grpc")
            to = Request(
                f"{server.url}/api/v1/otlp/v1/metrics",
                told(counters, moment_s),
                {"Content-Type": "application/x-protobuf"},
            )
            with urlopen(to, timeout=30) as answer:
                assert answer.status == 200
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def judged(prometheus: Prometheus) -> dict[str, dict[str, Any]]:
    """What Prometheus says of each rule, once it has looked at all of them with what came."""

    def ask() -> dict[str, dict[str, Any]] | None:
        status, text = get(f"{prometheus.url}/api/v1/rules")
        assert status == 200
        rules = [rule for group in orjson.loads(text)["data"]["groups"] for rule in group["rules"]]
        looked = all(rule["state"] in ALARMED for rule in rules)
        known.update({rule["name"]: rule for rule in rules})
        return known if looked else None

    known: dict[str, dict[str, Any]] = {}
    try:
        eventually("every rule is pending or fires", ask, 15)
    except AssertionError:
        assert known  # those that do not are told one by one
    return known


def test_prometheus_knows_all_of_them(judged: dict[str, dict[str, Any]]) -> None:
    assert set(judged) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_fires_for_what_it_is_about(name: str, judged: dict[str, dict[str, Any]]) -> None:
    rule = judged[name]
    assert rule["health"] == "ok", rule.get("lastError")
    assert rule["state"] in ALARMED, rule["query"]
    for alert in rule["alerts"]:
        assert alert["labels"].get("instance") == "ill"
        for text in alert["annotations"].values():
            assert "<error" not in text
            assert "<no value>" not in text


def test_grafana_sees_that_nothing_comes(prometheus: Prometheus) -> None:
    """Its rule is another one than Prometheus': nobody scrapes."""
    [query] = [one for one in every() if one.place == "alert HaloOtelDown"]
    gone = prometheus.ask(query.filled(), instant=True)
    assert gone.numbers == [1.0]  # this one tells no halo.build.info
