"""The compose file beside Grafana's dashboards: what it mounts exists, what it says to the services they understand."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from halo_otel import __version__
from halo_otel.config.load import load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose" / "grafana"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "docker-compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COLLECTOR = (ROOT / "collector-config" / "grafana.yaml").read_text("utf-8")
HALO = SERVICES["halo-otel"]


def mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one.split(":")[0], one.split(":")[1]) for one in service.get("volumes", [])]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_bounded_and_on_this_machine(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    for source, _ in mounts(service):
        if source.startswith("."):
            assert (FOLDER / source).resolve().exists(), source
        else:
            assert source in COMPOSE["volumes"]
    for other, how in service.get("depends_on", {}).items():
        assert other in SERVICES
        checked = "healthcheck" in SERVICES[other] or other == "halo-otel"
        assert checked == (how["condition"] == "service_healthy") or other == "collector"


def test_every_volume_is_used() -> None:
    used = {source for service in SERVICES.values() for source, _ in mounts(service)}
    assert set(COMPOSE["volumes"]) <= used


def test_ports_are_published_once() -> None:
    published = [port.split(":")[1] for s in SERVICES.values() for port in s.get("ports", [])]
    assert len(set(published)) == len(published)


def test_halo_otel_writes_to_its_volume_only_and_knows_its_configuration() -> None:
    assert HALO["read_only"]
    assert HALO["image"].endswith(f":{__version__}")
    [config] = [
        source for source, target in mounts(HALO) if target == HALO["environment"]["HALO_CONFIG"]
    ]
    variables = {k: v for k, v in HALO["environment"].items() if k != "HALO_CONFIG"}
    known = load(FOLDER / config, variables)
    assert known.exporters.otlp.endpoint == "collector:4319"
    assert known.exporters.otlp.tls.insecure
    assert "/var/lib/halo-otel" in [target for _, target in mounts(HALO)]
    build = (FOLDER / HALO["build"]["context"]).resolve()
    assert (build / HALO["build"]["dockerfile"]).is_file()


def test_the_collector_is_told_where_everybody_is() -> None:
    told = SERVICES["collector"]["environment"]
    asked = set(re.findall(r"\$\{env:(\w+)", COLLECTOR)) - {"GOMEMLIMIT"}
    assert set(told) - {"GOMEMLIMIT"} == asked
    for value in told.values():
        host = re.match(r"(?:http://)?([\w-]+):\d+", value)
        assert host is None or host[1] in SERVICES, value
    manifest = yaml.safe_load((ROOT / ".ci" / "collector" / "manifest.yaml").read_text("utf-8"))
    assert SERVICES["collector"]["image"].endswith(f":{manifest['dist']['version']}")
    tempo = yaml.safe_load((FOLDER / "tempo.yaml").read_text("utf-8"))
    door = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert told["OTELCOL_TEMPO_ENDPOINT"] == f"tempo:{door.rpartition(':')[2]}"
    assert "--web.enable-otlp-receiver" in SERVICES["prometheus"]["command"]
    prometheus = yaml.safe_load((FOLDER / "prometheus.yaml").read_text("utf-8"))
    assert "scrape_configs" not in prometheus, "every figure would be there twice"


def test_grafana_finds_what_is_provisioned() -> None:
    grafana = SERVICES["grafana"]
    targets = {target: (FOLDER / source).resolve() for source, target in mounts(grafana)}
    assert targets["/etc/grafana/provisioning"] == ROOT / "deploy" / "grafana" / "provisioning"
    told = (ROOT / "deploy/grafana/provisioning/dashboards/halo-otel.yaml").read_text("utf-8")
    [provider] = yaml.safe_load(told)["providers"]
    assert targets[provider["options"]["path"]] == ROOT / "deploy" / "grafana" / "dashboards"
    sources = (ROOT / "deploy/grafana/provisioning/datasources/halo-otel.yaml").read_text("utf-8")
    for name in re.findall(r"(?<!\$)\$\{(\w+)\}", sources):
        host = re.fullmatch(r"http://([\w-]+):(\d+)", grafana["environment"][name])
        assert host
        assert f"127.0.0.1:{host[2]}:{host[2]}" in SERVICES[host[1]]["ports"]


def test_the_demo_sends_traces_that_the_image_has() -> None:
    demo = SERVICES["demo"]
    assert demo["profiles"] == ["demo"]
    base = re.search(r"FROM python:(3\.\d+)", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"))
    assert base
    packages = f"/opt/halo-otel/lib/python{base[1]}/site-packages/"
    files = [part for part in demo["command"] if part.startswith("/")]
    assert files
    for file in files:
        assert (ROOT / file.removeprefix(packages)).is_file()
    assert "--endpoint=collector:4317" in demo["command"]
