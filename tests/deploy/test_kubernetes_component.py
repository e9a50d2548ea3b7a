"""The Kustomize component adds the sidecar of sidecar.yaml to every workload that is labelled, and to no other."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from halo_otel import __version__
from halo_otel.config.load import load
from tests.deploy.conftest import ROOT, Document, of_kind, pods
from tests.deploy.pod import documents_of, variables
from tests.deploy.restricted import violations

FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ["1.29", kubernetes_validate.latest_version()]
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
Kustomize = Callable[[Path], list[Document]]
OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [workload.yaml]
components: [../component]
"""


@pytest.fixture(scope="module")
def example(kustomize: Kustomize) -> list[Document]:
    return kustomize(FOLDER / "example")


def workloads(documents: list[Document]) -> dict[str, Document]:
    return {one["metadata"]["name"]: one for kind in WORKLOADS for one in of_kind(documents, kind)}


def spec(workload: Document) -> Document:
    return dict(workload["spec"]["template"]["spec"])


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_the_example(example: list[Document], version: str) -> None:
    for document in example:
        kubernetes_validate.validate(document, version, strict=True)


def test_every_pod_is_restricted(example: list[Document]) -> None:
    for pod in pods(example):
        assert violations(pod["spec"]) == []


@pytest.mark.parametrize("name", ["agent", "planner"])
def test_it_stands_before_the_collector(example: list[Document], name: str) -> None:
    """A Deployment and a StatefulSet."""
    sidecars = spec(workloads(example)[name])["initContainers"]
    assert [one["name"] for one in sidecars] == ["halo-otel", "otel-collector"]
    assert all(one["restartPolicy"] == "Always" for one in sidecars)


def test_everything_else_is_left_as_it_was(example: list[Document]) -> None:
    before = workloads(documents_of(FOLDER / "example" / "agents.yaml"))
    for name, workload in workloads(example).items():
        now = spec(workload)
        then = spec(before[name])
        if name == "website":
            assert now == then
            continue
        assert now["containers"] == then["containers"]
        assert [one["name"] for one in now["initContainers"][1:]] == ["otel-collector"]
        assert {one["name"] for one in now["volumes"]} == {
            "halo-otel",
            "halo-otel-config",
            *(one["name"] for one in then["volumes"]),
        }


def test_it_is_the_sidecar_of_the_manifest(example: list[Document]) -> None:
    """Beside them only who runs it: in the component it stands in a pod that may say nothing."""
    [manifest] = pods(documents_of(FOLDER / "sidecar.yaml"))
    plain = manifest["spec"]["initContainers"][0]
    added = spec(workloads(example)["agent"])["initContainers"][0]
    who = manifest["spec"]["securityContext"]
    shown = {key: value for key, value in who.items() if key != "fsGroup"}
    assert added.pop("securityContext") == plain["securityContext"] | shown
    assert added.pop("imagePullPolicy") == "IfNotPresent"
    assert added["image"].endswith(f":{__version__}")
    assert added["livenessProbe"]["httpGet"].pop("scheme") == "HTTP"
    assert added == {key: value for key, value in plain.items() if key != "securityContext"}
    grace = manifest["spec"]["terminationGracePeriodSeconds"]
    assert spec(workloads(example)["agent"])["terminationGracePeriodSeconds"] == grace


def test_its_configuration_is_the_manifest_s_and_is_taken(
    example: list[Document], tmp_path: Path
) -> None:
    [manifest] = [
        one["data"]["halo.yaml"]
        for one in of_kind(documents_of(FOLDER / "sidecar.yaml"), "ConfigMap")
        if "halo.yaml" in one["data"]
    ]
    workload = spec(workloads(example)["agent"])
    [volume] = [one for one in workload["volumes"] if one["name"] == "halo-otel-config"]
    [text] = [
        one["data"]["halo.yaml"]
        for one in of_kind(example, "ConfigMap")
        if one["metadata"]["name"] == volume["configMap"]["name"]
    ]
    assert yaml.safe_load(text) == yaml.safe_load(manifest)
    path = tmp_path / "halo.yaml"
    path.write_text(text, encoding="utf-8")
    config = load(path, variables(workload["initContainers"][0], "10.0.0.7"))
    assert config.web.endpoint == "10.0.0.7:14319"
    assert config.exporters.otlp.endpoint == "localhost:4319"


@pytest.mark.parametrize("kind", WORKLOADS)
def test_a_workload_without_sidecars_gets_its_first(
    kustomize: Kustomize, tmp_path: Path, kind: str
) -> None:
    """Whose pods say nothing of who runs them."""
    shutil.copytree(FOLDER / "component", tmp_path / "component")
    label = {"app": "a"}
    workload = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "a", "labels": {"halo-otel/sidecar": "enabled"}},
        "spec": {
            "selector": {"matchLabels": label},
            "template": {"metadata": {"labels": label}, "spec": {"containers": [{"name": "a"}]}},
        },
    }
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "workload.yaml").write_text(yaml.safe_dump(workload), encoding="utf-8")
    (overlay / "kustomization.yaml").write_text(OVERLAY, encoding="utf-8")
    [made] = workloads(kustomize(overlay)).values()
    assert made["kind"] == kind
    [added] = spec(made)["initContainers"]
    assert violations({"initContainers": [added], "volumes": spec(made)["volumes"]}) == []
    assert {one["name"] for one in spec(made)["volumes"]} >= {
        one["name"] for one in added["volumeMounts"]
    }


@pytest.mark.collector
def test_the_example_s_collector_is_valid(collector_binary: Path) -> None:
    file = FOLDER / "example" / "collector.yaml"
    judged = subprocess.run(
        [collector_binary, "validate", f"--config={file}"],
        env={"POD_IP": "10.0.0.7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr
