"""The sidecar manifest, against Kubernetes' own schemas and the "restricted" Pod Security Standard."""

import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from halo_otel import __version__
from halo_otel.config.load import load

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "deploy" / "kubernetes" / "sidecar.yaml"
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))
POD: dict[str, Any] = DOCUMENTS[-1]["spec"]["template"]["spec"]
SIDECARS: list[dict[str, Any]] = POD["initContainers"]
CONTAINERS: list[dict[str, Any]] = [*SIDECARS, *POD["containers"]]
# As the chart has it: tests/deploy/test_helm_config.py tells where the figure comes from.
SPANS_PER_GIB = 400_000
UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}


def environment(container: dict[str, Any]) -> dict[str, str]:
    """The variables of a container, with a pod address filled in."""
    given = {entry["name"]: entry.get("value", "10.0.0.7") for entry in container["env"]}
    return {name: value.replace("$(POD_IP)", given["POD_IP"]) for name, value in given.items()}


def config_map(name: str) -> dict[str, str]:
    [data] = [doc["data"] for doc in DOCUMENTS if doc["metadata"]["name"] == name]
    return dict(data)


def memory(container: dict[str, Any]) -> str:
    return str(container["resources"]["limits"]["memory"])


def quantity(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]


# 1.29 is the first with native sidecars on by default; the last is the newest schema there is.
@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["kind"])
def test_kubernetes_takes_the_manifest(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_do_refuse() -> None:
    wrong = yaml.safe_load(MANIFEST.read_text(encoding="utf-8").split("\n---\n")[-1])
    wrong["spec"]["template"]["spec"]["initContainers"][0]["restartpolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.29", strict=True)


def test_halo_otel_starts_before_the_collector_and_stops_after_it() -> None:
    assert [container["name"] for container in SIDECARS] == ["halo-otel", "otel-collector"]
    assert all(container["restartPolicy"] == "Always" for container in SIDECARS)


def test_the_pod_is_restricted() -> None:
    """kubernetes.io, "Pod Security Standards", profile Restricted."""
    context = POD["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(POD)
    assert all(set(volume) <= {"name", "emptyDir", "configMap"} for volume in POD["volumes"])


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: container["name"])
def test_each_container_is_restricted_and_bounded(container: dict[str, Any]) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert re.search(r":\d+\.\d+\.\d+$", container["image"]), "pin the image by version"


@pytest.mark.parametrize("container", SIDECARS, ids=lambda container: container["name"])
def test_a_sidecar_can_neither_hold_back_nor_unready_the_agent(container: dict[str, Any]) -> None:
    assert not {"startupProbe", "readinessProbe"} & set(container)
    ports = {port["name"] for port in container["ports"]}
    assert container["livenessProbe"]["httpGet"]["port"] in ports


def test_halo_otel_takes_its_configuration(tmp_path: Path) -> None:
    """Loaded as in the pod; only the mounted file lies elsewhere."""
    path = tmp_path / "halo.yaml"
    path.write_text(config_map("agent-halo-otel")["halo.yaml"], encoding="utf-8")
    container = SIDECARS[0]
    config = load(path, environment(container))
    assert config.web.endpoint == "10.0.0.7:14319"
    assert container["image"].endswith(f":{__version__}")
    assert config.analysis.max_spans <= SPANS_PER_GIB * quantity(memory(container)) / UNITS["Gi"]
    [volume] = [volume for volume in POD["volumes"] if volume["name"] == "halo-otel"]
    bound = config.journal.max_bytes + config.window.retention_bytes
    assert quantity(volume["emptyDir"]["sizeLimit"]) > bound * 1.25


def test_the_collector_has_the_recommended_configuration() -> None:
    recommended = (ROOT / "collector-config" / "recommended.yaml").read_text(encoding="utf-8")
    assert config_map("agent-otel-collector")["collector.yaml"] == recommended


def test_findings_go_where_the_collector_takes_them() -> None:
    collector = yaml.safe_load(config_map("agent-otel-collector")["collector.yaml"])
    door = collector["receivers"]["otlp/halo"]["protocols"]["grpc"]["endpoint"]
    halo = yaml.safe_load(config_map("agent-halo-otel")["halo.yaml"])
    sent_to = halo["exporters"]["otlp"]["endpoint"]
    assert door == f"${{env:OTELCOL_FINDINGS_ENDPOINT:-{sent_to}}}"


def test_what_is_written_lies_on_volumes() -> None:
    for container in SIDECARS:
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        for name, value in environment(container).items():
            if name.endswith("_DIRECTORY"):
                assert value.startswith(tuple(mounts)), f"{container['name']}: {name}"
    assert "/var/lib/halo-otel" in [mount["mountPath"] for mount in SIDECARS[0]["volumeMounts"]]


@pytest.mark.collector
def test_the_collector_s_configuration_is_valid_in_the_pod(
    tmp_path: Path, collector_binary: Path
) -> None:
    path = tmp_path / "collector.yaml"
    path.write_text(config_map("agent-otel-collector")["collector.yaml"], encoding="utf-8")
    command = [str(collector_binary), "validate", f"--config={path}"]
    variables = environment(SIDECARS[1])
    judged = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr
