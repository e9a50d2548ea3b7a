"""The examples beside the OpenTelemetry Operator: what it and Kubernetes take, and what the Collector takes of it."""

import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.collector_resource import MODES, injected, schema, workload
from tests.deploy.conftest import ROOT, Document, of_kind, pods
from tests.deploy.pod import documents_of
from tests.deploy.restricted import violations

FOLDER = ROOT / "deploy" / "kubernetes" / "operator"
EXAMPLES = {
    "sidecar": "sidecar",
    "gateway": "statefulset",
    "replicas": "deployment",
}
GATEWAY = documents_of(ROOT / "deploy" / "kubernetes" / "gateway" / "gateway.yaml")
VERSIONS = ["1.29", kubernetes_validate.latest_version()]
Kustomize = Callable[[Path], list[Document]]
every = pytest.mark.parametrize("example", EXAMPLES)


def resource(example: str) -> Document:
    [found] = of_kind(documents_of(FOLDER / example / "collector.yaml"), "OpenTelemetryCollector")
    return found


@every
def test_the_operator_takes_the_resource(example: str) -> None:
    jsonschema.validate(resource(example), schema(EXAMPLES[example]))


def test_every_mode_that_has_an_example_is_judged() -> None:
    assert set(EXAMPLES.values()) == MODES.keys()
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == EXAMPLES.keys()


@pytest.mark.parametrize(
    ("where", "key"),
    [((), "volumeClaimTemplates"), ((), "images"), (("config",), "processor"), (("config", "service"), "pipeline")],
)  # fmt: skip
def test_the_schema_does_refuse(where: tuple[str, ...], key: str) -> None:
    wrong = deepcopy(resource("sidecar"))
    inner = wrong["spec"]
    for step in where:
        inner = inner[step]
    inner[key] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema("sidecar"))


@pytest.fixture(scope="module")
def agent(kustomize: Kustomize) -> Document:
    """The agent's workload once the operator has been at it."""
    [found] = of_kind(kustomize(FOLDER / "sidecar"), "Deployment")
    asked = found["spec"]["template"]["metadata"]["annotations"]
    there = resource("sidecar")
    assert asked == {"sidecar.opentelemetry.io/inject": there["metadata"]["name"]}
    return injected(found, there)


def test_halo_otel_starts_first_and_stops_last(agent: Document) -> None:
    sidecars = agent["spec"]["template"]["spec"]["initContainers"]
    assert [one["name"] for one in sidecars] == ["halo-otel", "otc-container"]
    assert all(one["restartPolicy"] == "Always" for one in sidecars)
    assert not {"startupProbe", "readinessProbe"} & sidecars[0].keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_what_is_made_of_them(agent: Document, version: str) -> None:
    made = [agent, *(workload(resource(name)) for name in ("gateway", "replicas"))]
    rest = [
        one
        for name in EXAMPLES
        for one in documents_of(FOLDER / name / "collector.yaml")
        if one["kind"] != "OpenTelemetryCollector"
    ]
    for document in [*made, *rest]:
        kubernetes_validate.validate(document, version, strict=True)
    for pod in pods(made):
        assert violations(pod["spec"]) == []
        known = {volume["name"] for volume in pod["spec"]["volumes"]}
        claims = made[1]["spec"]["volumeClaimTemplates"]
        known |= {claim["metadata"]["name"] for claim in claims}
        both = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        mounted = {one["name"] for part in both for one in part.get("volumeMounts", [])}
        assert mounted <= known


def judged(binary: Path, config: Document, folder: Path) -> str:
    """What the real Collector says against a configuration."""
    file = folder / "collector.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    made = subprocess.run(
        [binary, "validate", f"--config={file}"],
        env={"POD_IP": "10.0.0.7", "HALO_TOKEN": "a-token"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if made.returncode == 0 else made.stderr


@pytest.mark.collector
@every
def test_the_collector_takes_the_configuration(
    example: str, tmp_path: Path, collector_binary: Path
) -> None:
    config = resource(example)["spec"]["config"]
    assert judged(collector_binary, config, tmp_path) == ""


def balancing() -> dict[str, Any]:
    exporter: dict[str, Any] = resource("replicas")["spec"]["config"]["exporters"][
        "load_balancing/halo"
    ]
    return exporter


def test_traces_are_routed_by_their_id_to_every_replica() -> None:
    exporter = balancing()
    recipe = yaml.safe_load((ROOT / "collector-config" / "replicas.yaml").read_text("utf-8"))
    same = recipe["exporters"]["load_balancing/halo"]
    for key in ("routing_key", "routing_attributes"):
        assert exporter[key] == same[key]
    config = resource("replicas")["spec"]["config"]
    assert config["processors"]["transform/halo"] == recipe["processors"]["transform/halo"]
    for name in ("traces/halo", "logs/halo"):
        assert config["service"]["pipelines"][name] == recipe["service"]["pipelines"][name]
    assert exporter["protocol"].keys() == {"otlp"}
    assert "endpoint" not in exporter["protocol"]["otlp"]
    assert "storage" not in exporter["protocol"]["otlp"]["sending_queue"]
    [resolver] = exporter["resolver"].values()
    [headless] = [
        one for one in of_kind(GATEWAY, "Service") if one["spec"].get("clusterIP") == "None"
    ]
    assert resolver["service"] == f"{headless['metadata']['name']}.agents"
    [port] = resolver["ports"]
    assert port in {one["port"] for one in headless["spec"]["ports"]}


def test_the_resolver_may_read_what_it_reads() -> None:
    documents = documents_of(FOLDER / "replicas" / "collector.yaml")
    [role], [binding] = of_kind(documents, "Role"), of_kind(documents, "RoleBinding")
    [account] = of_kind(documents, "ServiceAccount")
    [rule] = role["rules"]
    assert (rule["resources"], set(rule["verbs"])) == (["endpointslices"], {"get", "list", "watch"})
    assert role["metadata"]["namespace"] == balancing()["resolver"]["k8s"]["service"].split(".")[1]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    [subject] = binding["subjects"]
    assert subject["name"] == account["metadata"]["name"] == resource("replicas")["spec"]["serviceAccount"]  # fmt: skip
    assert subject["namespace"] == account["metadata"]["namespace"]


@pytest.mark.parametrize("example", ["gateway", "replicas"])
def test_findings_go_to_the_operator_s_service(example: str) -> None:
    """It is named after the resource, and has a port for each receiver."""
    [config] = [yaml.safe_load(one["data"]["halo.yaml"]) for one in of_kind(GATEWAY, "ConfigMap")]
    there = resource(example)
    name, namespace = there["metadata"]["name"], there["metadata"]["namespace"]
    endpoint = there["spec"]["config"]["receivers"]["otlp/halo"]["protocols"]["grpc"]["endpoint"]
    assert endpoint == "${env:POD_IP}:4319"
    assert config["exporters"]["otlp"]["endpoint"] == f"{name}-collector.{namespace}:4319"
