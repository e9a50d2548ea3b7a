"""The charts are what Kubernetes, the Prometheus Operator, the "restricted" Pod Security Standard and we take."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from halo_otel import __version__
from tests.deploy.conftest import (
    CASES,
    CHART,
    EXAMPLES,
    GIVEN,
    ROOT,
    Document,
    Helm,
    container,
    environment,
    example_values,
    of_kind,
    parsed,
    pods,
)
from tests.deploy.restricted import violations

VERSIONS = ["1.29", kubernetes_validate.latest_version()]
OPERATOR = Path(__file__).parent / "prometheus_operator.json"
OURS = [case for case in CASES if "sidecar" not in case]
case = pytest.mark.parametrize("case", CASES)
ours = pytest.mark.parametrize("case", OURS)


@cache
def operator_schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = json.loads(OPERATOR.read_text(encoding="utf-8"))
    return schemas


def validate(document: Document) -> None:
    if document["apiVersion"].startswith("monitoring.coreos.com/"):
        jsonschema.validate(document, operator_schemas()[document["kind"]])
        return
    for version in VERSIONS:
        kubernetes_validate.validate(document, version, strict=True)


def is_in(labels: Document, pod: Document) -> bool:
    return bool(labels.items() <= pod["metadata"]["labels"].items())


@pytest.mark.parametrize("example", ["", *EXAMPLES])
def test_helm_finds_nothing_to_say(helm: Helm, example: str) -> None:
    judged = helm.run("lint", "--strict", "--quiet", CHART, *example_values(example))
    assert judged.returncode == 0, judged.stdout


@case
def test_kubernetes_and_the_operator_take_what_is_rendered(helm: Helm, case: str) -> None:
    documents = helm.documents(case)
    for document in documents:
        validate(document)
        assert document["metadata"]["namespace"] == "agents"
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(set(names)) == len(names)


def test_the_schemas_do_refuse(helm: Helm) -> None:
    documents = helm.documents("mode gateway")
    for kind, path in {
        "StatefulSet": ("template", "spec"),
        "ServiceMonitor": ("endpoints", 0),
        "PodMonitor": ("podMetricsEndpoints", 0),
        "PrometheusRule": ("groups", 0, "rules", 0),
    }.items():
        [found] = of_kind(documents, kind)
        wrong = inner = json.loads(json.dumps(found))
        for step in ("spec", *path):
            inner = inner[step]
        inner["forr"] = "5m"
        with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError)):
            validate(wrong)


@case
def test_pods_are_restricted_and_bounded(helm: Helm, case: str) -> None:
    documents = helm.documents(case)
    assert len(pods(documents)) == ("sidecar" not in case)
    for pod in pods(documents):
        assert violations(pod["spec"]) == []
        assert pod["spec"]["automountServiceAccountToken"] is False
        [one] = pod["spec"]["containers"]
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert one["resources"]["limits"].keys() == {"memory"}
        assert one["resources"]["requests"].keys() == {"cpu", "memory"}
        # The service takes 20 s at most (docs/faults.md).
        assert pod["spec"]["terminationGracePeriodSeconds"] >= 25


def test_a_sidecar_is_restricted_in_a_pod_that_says_nothing(agent: list[Document]) -> None:
    [pod] = pods(agent)
    assert violations(pod["spec"]) == []
    assert violations({"containers": [container(agent)]}) == []


@ours
def test_what_is_named_is_there(helm: Helm, case: str) -> None:
    documents = helm.documents(case)
    [pod] = pods(documents)
    [workload] = [one for one in documents if "template" in one.get("spec", {})]
    ports = {port["name"]: port["containerPort"] for port in container(documents)["ports"]}
    services = of_kind(documents, "Service")
    assert is_in(workload["spec"]["selector"]["matchLabels"], pod)
    for service in services:
        assert is_in(service["spec"]["selector"], pod)
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports.keys()
    for kind, key in {"PodDisruptionBudget": "selector", "NetworkPolicy": "podSelector"}.items():
        [one] = of_kind(documents, kind)
        assert is_in(one["spec"][key]["matchLabels"], pod)
    for monitor in of_kind(documents, "PodMonitor"):
        assert is_in(monitor["spec"]["selector"]["matchLabels"], pod)
        assert {one["port"] for one in monitor["spec"]["podMetricsEndpoints"]} <= ports.keys()
    for monitor in of_kind(documents, "ServiceMonitor"):
        [endpoint] = monitor["spec"]["endpoints"]
        scraped = [
            service
            for service in services
            if monitor["spec"]["selector"]["matchLabels"].items()
            <= service["metadata"]["labels"].items()
            and endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        ]
        assert len(scraped) == 1, "each pod is scraped once"
    if workload["kind"] == "StatefulSet":
        [headless] = [one for one in services if one["spec"].get("clusterIP") == "None"]
        assert workload["spec"]["serviceName"] == headless["metadata"]["name"]
    [account] = of_kind(documents, "ServiceAccount")
    assert pod["spec"]["serviceAccountName"] == account["metadata"]["name"]


@case
def test_volumes_are_mounted_and_exist(helm: Helm, case: str) -> None:
    documents = helm.documents(case)
    claims = [one["metadata"]["name"] for one in of_kind(documents, "PersistentVolumeClaim")]
    maps = [one["metadata"]["name"] for one in of_kind(documents, "ConfigMap")]
    for workload in (one for one in documents if "template" in one.get("spec", {})):
        spec = workload["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert len(volumes) == len(spec["volumes"])
        own = [one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", [])]
        mounts = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        assert mounts == {*volumes, *own}
        assert volumes["halo-otel-config"]["configMap"]["name"] in maps
        claim = volumes.get("halo-otel", {}).get("persistentVolumeClaim", {}).get("claimName")
        assert claim is None or claim in claims


@ours
def test_the_policy_opens_the_ports_that_are_served(helm: Helm, case: str) -> None:
    documents = helm.documents(case)
    [policy] = of_kind(documents, "NetworkPolicy")
    let_in = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    served = {port["containerPort"] for port in container(documents)["ports"]}
    given = environment(documents, "10.0.0.7")
    endpoints = {given[name] for name in given if name.endswith("_ENDPOINT")}
    assert let_in == served == {int(endpoint.rpartition(":")[2]) for endpoint in endpoints}
    assert all(endpoint.startswith(("10.0.0.7:", "[10.0.0.7]:")) for endpoint in endpoints)
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_the_policy_lets_out_where_the_configuration_goes(helm: Helm) -> None:
    def ports(case: str) -> list[list[int]]:
        [policy] = of_kind(helm.documents(case), "NetworkPolicy")
        return [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]]

    assert ports("gateway") == [[53, 53], [4317]]
    assert ports("replicas") == [[53, 53], [4317], [5432]]
    assert ports("secured") == [[53, 53], [4317], [8000]]
    openai = GIVEN | {"config.llm.model": "gpt"}
    [policy] = of_kind(parsed(helm.template(CHART, openai)), "NetworkPolicy")
    assert policy["spec"]["egress"][-1] == {"ports": [{"protocol": "TCP", "port": 443}]}


@ours
def test_probes_ask_for_what_they_decide(helm: Helm, case: str) -> None:
    """Neither restarts nor cuts off a service that waits for something (docs/faults.md)."""
    documents = helm.documents(case)
    ours = container(documents)
    scheme = "HTTPS" if case == "secured" else "HTTP"
    healthz = {"path": "/healthz", "port": "halo-web", "scheme": scheme}
    assert ours["startupProbe"]["httpGet"] == ours["livenessProbe"]["httpGet"] == healthz
    asked = {"tcpSocket", "grpc"} & ours["readinessProbe"].keys()
    assert asked == {"tcpSocket" if case == "secured" else "grpc"}
    assert "/readyz" not in json.dumps(pods(documents))


def test_a_sidecar_can_neither_hold_back_nor_unready_the_agent(agent: list[Document]) -> None:
    ours = container(agent)
    assert not {"startupProbe", "readinessProbe"} & ours.keys()
    assert [port["name"] for port in ours["ports"]] == ["halo-web"]
    [pod] = pods(agent)
    sidecars = pod["spec"]["initContainers"]
    assert [one["name"] for one in sidecars] == ["halo-otel", "otel-collector"]
    assert all(one["restartPolicy"] == "Always" for one in sidecars)
    for document in agent:
        validate(document)


def test_pods_are_replaced_when_halo_yaml_changes(helm: Helm, agent: list[Document]) -> None:
    def checksum(documents: list[Document]) -> str:
        [pod] = pods(documents)
        return str(pod["metadata"]["annotations"]["checksum/config"])

    before = checksum(parsed(helm.template(CHART, GIVEN)))
    labelled = GIVEN | {"podLabels.a": "b"}
    assert checksum(parsed(helm.template(CHART, labelled))) == before
    changed = GIVEN | {"config.window.length": "10m"}
    assert len({before, checksum(parsed(helm.template(CHART, changed))), checksum(agent)}) == 3


def test_replicas_are_spread_and_named(helm: Helm) -> None:
    [workload] = of_kind(helm.documents("replicas"), "StatefulSet")
    spread = workload["spec"]["template"]["spec"]["topologySpreadConstraints"]
    labels = workload["spec"]["selector"]["matchLabels"]
    assert [one["labelSelector"]["matchLabels"] for one in spread] == [labels, labels]
    assert workload["spec"]["replicas"] == 3
    for service in of_kind(helm.documents("replicas"), "Service"):
        if service["spec"].get("clusterIP") == "None":
            assert service["spec"]["publishNotReadyAddresses"] is True


def test_rules_and_dashboards_are_those_of_deploy(helm: Helm) -> None:
    documents = helm.documents("mode gateway")
    [rule] = of_kind(documents, "PrometheusRule")
    rules = (ROOT / "deploy" / "prometheus" / "halo-otel.rules.yaml").read_text(encoding="utf-8")
    assert rule["spec"] == yaml.safe_load(rules)
    files = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
    data = {
        name: text
        for one in of_kind(documents, "ConfigMap")
        if "grafana_dashboard" in one["metadata"]["labels"]
        for name, text in one["data"].items()
    }
    assert data.keys() == {file.name for file in files}
    for file in files:
        assert json.loads(data[file.name]) == json.loads(file.read_text(encoding="utf-8"))


def test_scrapes_carry_what_is_asked_for(helm: Helm) -> None:
    [monitor] = of_kind(helm.documents("secured"), "ServiceMonitor")
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["authorization"]["credentials"] == {"name": "halo-otel-metrics", "key": "token"}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    # The alert rules ask for it.
    assert {"targetLabel": "job", "replacement": "halo-otel"} in endpoint["relabelings"]


def test_the_image_is_pinned(helm: Helm) -> None:
    assert container(helm.documents("gateway"))["image"].endswith(f":{__version__}")
    assert "@sha256:" in container(helm.documents("secured"))["image"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__
