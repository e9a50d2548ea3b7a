"""The plain manifests of the gateway are what the Helm chart renders, and those of its replicas what we take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from halo_otel.config.load import load
from tests.deploy.conftest import CHART, ROOT, Document, Helm, example_values, of_kind, parsed, pods
from tests.deploy.mounted import REGISTRY_URL, mount
from tests.deploy.pod import documents_of
from tests.deploy.restricted import violations

FOLDER = ROOT / "deploy" / "kubernetes"
GATEWAY = documents_of(FOLDER / "gateway" / "gateway.yaml")
VERSIONS = ["1.29", kubernetes_validate.latest_version()]
# What differs from the chart's examples/gateway, so that it works with Collectors of every kind.
GIVEN = {
    "config.exporters.otlp.endpoint": "otel-collector.observability:4319",
    **dict.fromkeys(
        ("serviceMonitor.enabled", "prometheusRule.enabled", "dashboards.enabled"), "false"
    ),
}
COLLECTORS = (
    '[{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}]'
)
# What Helm says of itself.
HELM = {"app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}
Kustomize = Callable[[Path], list[Document]]


def by_name(documents: list[Document]) -> dict[tuple[str, str], Document]:
    return {(one["kind"], one["metadata"]["name"]): one for one in documents}


def without_helm(value: Any) -> Any:
    """A document without the chart's own labels, namespace and checksums; texts of YAML are read."""
    if isinstance(value, dict):
        kept = {
            key: without_helm(inner)
            for key, inner in value.items()
            if key not in HELM | {"checksum/config"}
        }
        return {key: inner for key, inner in kept.items() if (key, inner) != ("annotations", {})}
    if isinstance(value, list):
        return [without_helm(inner) for inner in value]
    if isinstance(value, str) and "\n" in value:
        return yaml.safe_load(value)
    return value


def test_the_gateway_is_what_the_chart_renders(helm: Helm) -> None:
    sets = [part for name, value in GIVEN.items() for part in ("--set", f"{name}={value}")]
    given = [*example_values("gateway"), "--namespace=agents", "--kube-version=1.29.0", *sets]
    given.append(f"--set-json=networkPolicy.otlpFrom={COLLECTORS}")
    rendered = by_name(parsed(helm.run("template", "halo-otel", CHART, *given)))
    for document in rendered.values():
        assert document["metadata"].pop("namespace") == "agents"
    plain = by_name(GATEWAY)
    assert plain.keys() == rendered.keys()
    for name, document in rendered.items():
        assert without_helm(plain[name]) == without_helm(document)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", GATEWAY, ids=lambda document: document["kind"])
def test_kubernetes_takes_the_gateway(document: Document, version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_its_pod_is_restricted() -> None:
    [pod] = pods(GATEWAY)
    assert violations(pod["spec"]) == []


@pytest.fixture(scope="module")
def replicas(kustomize: Kustomize) -> list[Document]:
    return kustomize(FOLDER / "replicas")


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_replicas(replicas: list[Document], version: str) -> None:
    for document in replicas:
        kubernetes_validate.validate(document, version, strict=True)
    assert by_name(replicas).keys() == by_name(GATEWAY).keys()
    [pod] = pods(replicas)
    assert violations(pod["spec"]) == []


def test_replicas_share_a_registry_under_names_of_their_own(
    replicas: list[Document], tmp_path: Path
) -> None:
    """Secrets are files; the name is the pod's."""
    [workload] = of_kind(replicas, "StatefulSet")
    assert workload["spec"]["replicas"] == 3
    [one] = workload["spec"]["template"]["spec"]["containers"]
    names = {entry["name"]: entry for entry in one["env"]}
    assert names["POD_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert list(names).index("POD_NAME") < list(names).index("HALO_REGISTRY_REPLICA")
    mounted = mount(replicas, tmp_path, "10.0.0.7")
    config = load(mounted.config, mounted.environ)
    assert config.registry.url_file is not None
    assert config.registry.url_file.read_text(encoding="ascii") == REGISTRY_URL
    assert names["HALO_REGISTRY_REPLICA"]["value"] == "$(POD_NAME)"
    assert config.redaction.key_file is not None
    assert config.redaction.key_file.is_file()
    assert config.exporters.otlp.endpoint == "otel-collector.observability:4319"


def test_replicas_may_ask_the_registry_and_are_told_from_the_gateway(
    replicas: list[Document],
) -> None:
    [policy] = of_kind(replicas, "NetworkPolicy")
    allowed = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert allowed == {53, 4319, 5432}
