"""What the chart refuses, and the cure it names."""

from pathlib import Path

import pytest

from tests.deploy.conftest import CHART, GIVEN, Helm

CURES = {
    "an image must be named": ({"image.repository": ""}, "deploy/Dockerfile"),
    "findings must go somewhere": (
        {"config.exporters.otlp.endpoint": ""},
        "config.exporters.otlp.enabled",
    ),
    "replicas share a registry": ({"replicas": "2"}, "secrets.registryUrl.existingSecret"),
    "a claim has one user": (
        {"replicas": "2", "mode": "deployment", "secrets.registryUrl.existingSecret": "r"},
        "use mode gateway",
    ),
    "a claim for a gateway": ({"persistence.existingClaim": "c"}, "a claim for each replica"),
    "nobody is asked": ({"networkPolicy.enabled": "false"}, "secrets.tokens"),
    "nobody is asked from outside": ({"service.type": "LoadBalancer"}, "secrets.tokens"),
    "a server's certificate asks nobody": (
        {"networkPolicy.enabled": "false", "secrets.tls.existingSecret": "t"},
        "secrets.tls.clientCaKey",
    ),
    "an empty policy lets everybody in": ({"networkPolicy.otlpFrom": "null"}, "name who may send"),
    "an empty policy lets everybody read": (
        {"networkPolicy.metricsFrom": "null"},
        "name who may read",
    ),
    "memory must be limited": ({"resources.limits.memory": "null"}, "set it"),
    "an endpoint of our own": ({"config.web.endpoint": "0.0.0.0:1"}, "take it out"),
    "another endpoint of our own": (
        {"config.receivers.otlp.protocols.grpc.endpoint": "a:1"},
        "ports of `service`",
    ),
    "who may come in": (
        {"config.receivers.otlp.protocols.http.auth.allow_unauthenticated": "true"},
        "allowUnauthenticated",
    ),
    "where data lies": ({"config.storage.directory": "/data"}, "see persistence"),
    "probes have no certificate": (
        {"config.web.tls.client_ca_file": "/ca"},
        "secrets.metricsToken",
    ),
    "a key in a ConfigMap": ({"config.llm.api_key": "k"}, "secrets.llmApiKey"),
    "a password in a ConfigMap": ({"config.registry.url": "postgresql://"}, "secrets.registryUrl"),
    "a token in a ConfigMap": (
        {"config.exporters.otlp.headers.Authorization": "Bearer t"},
        "secrets.exporterHeaders",
    ),
    "another token in a ConfigMap": ({"config.llm.headers.api-key": "t"}, "secrets.llmHeaders"),
    "no Service in a sidecar": (
        {"mode": "sidecar", "serviceMonitor.enabled": "true"},
        "use podMonitor",
    ),
    "whose pods": ({"mode": "sidecar", "podMonitor.enabled": "true"}, "set labels"),
}
MISSPELT = [
    "replica=2",
    "image.name=x",
    "secrets.token.existingSecret=x",
    "secrets.tokens.existingsecret=x",
    "persistence.storageClassName=x",
    "networkPolicy.enable=true",
    "networkPolicy.dns.port=53",
    "service.port=4317",
    "livenessProbe.period=3",
    "config.windows.length=5m",
    "config.window.lenght=5m",
    "config.receivers.otlp.protocols.grpc.max_recv_msg_size=64",
]
WRONG = [
    "mode=daemonset",
    "replicas=0",
    "image.digest=latest",
    "service.grpcPort=70000",
    "terminationGracePeriodSeconds=10",
    "persistence.size=large",
    "persistence.accessModes={ReadWriteMany}",
    "serviceMonitor.interval=often",
    "networkPolicy.otlpFrom={}",
    "extraEnv[0].value=nameless",
]


@pytest.mark.parametrize("name", CURES)
def test_what_cannot_work_is_refused_with_the_cure(helm: Helm, name: str) -> None:
    values, cure = CURES[name]
    assert cure in helm.refusal(values)


@pytest.mark.parametrize("value", [*MISSPELT, *WRONG])
def test_the_schema_refuses(helm: Helm, value: str) -> None:
    told = helm.refusal(dict([value.split("=", 1)]))
    assert "don't meet the specifications of the schema" in told


@pytest.mark.parametrize(
    "values",
    [
        {"networkPolicy.enabled": "false", "allowUnauthenticated": "true"},
        {"networkPolicy.enabled": "false", "secrets.tokens.existingSecret": "t"},
        {"service.type": "LoadBalancer", "secrets.tokens.existingSecret": "t"},
        {"config.exporters.otlp.endpoint": "", "config.exporters.otlp.enabled": "false"},
        {"replicas": "2", "config.registry.url_file": "/vault/url"},
        {"mode": "deployment", "persistence.existingClaim": "c"},
        {"global.region": "eu", "enabled": "true"},
    ],
    ids=str,
)
def test_what_can_work_is_not_refused(helm: Helm, values: dict[str, str]) -> None:
    judged = helm.template(CHART, GIVEN | values)
    assert judged.returncode == 0, judged.stderr


def test_a_pod_wants_a_sidecar_of_a_chart_in_mode_sidecar(helm: Helm, agent_chart: Path) -> None:
    judged = helm.template(agent_chart, {"halo-otel.mode": "gateway"})
    assert judged.returncode != 0
    assert "set it to sidecar" in judged.stderr
