"""Our own loader takes the rendered halo.yaml with the variables of the pod; and the service starts with it."""

import os
import random
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from halo_otel import __version__
from halo_otel.config.load import load
from halo_otel.config.sections import Config
from tests.deploy.conftest import (
    CASES,
    CHART,
    GIVEN,
    ROOT,
    Document,
    Helm,
    container,
    of_kind,
    parsed,
    pods,
)
from tests.deploy.mounted import METRICS_TOKEN, REGISTRY_URL, TOKEN, Mounted, mount
from tests.path.conftest import Process, eventually
from tests.receiver.rig import trace_request

PODS = [case for case in CASES if "sidecar" not in case]
GIB = 1 << 30
# tests/bench/analysis.py with the `window.memory_limit` that a container of 1 GiB has, 256 MiB: 400,000 spans
# took 518 MiB, and 800,000 were too many.
SPANS_PER_GIB = 400_000
EVERY_SECRET = {
    f"secrets.{name}.existingSecret": "a-secret"
    for name in (
        "tokens",
        "metricsToken",
        "tls",
        "exporterTls",
        "exporterHeaders",
        "registryUrl",
        "llmApiKey",
        "llmHeaders",
        "redactionKey",
    )
}


def loaded(documents: list[Document], root: Path, address: str = "10.0.0.7") -> Config:
    mounted = mount(documents, root, address)
    return load(mounted.config, mounted.environ)


@pytest.mark.parametrize("case", PODS)
def test_the_loader_takes_what_is_rendered(helm: Helm, case: str, tmp_path: Path) -> None:
    documents = helm.documents(case)
    address = "fd00::7" if case == "ipv6" else "10.0.0.7"
    config = loaded(documents, tmp_path, address)
    protocols = config.receivers.otlp.protocols
    host = "[fd00::7]" if case == "ipv6" else address
    assert protocols.grpc.endpoint == f"{host}:14317"
    assert protocols.http.endpoint == f"{host}:14318"
    assert config.web.endpoint == f"{host}:14319"
    assert config.storage.directory == tmp_path / "var/lib/halo-otel"
    assert config.journal_directory.is_relative_to(config.storage.directory)
    bound = config.journal.max_bytes + config.window.retention_bytes
    assert room(documents) * GIB >= bound * 1.25
    assert config.analysis.max_spans <= SPANS_PER_GIB * memory(documents)


def memory(documents: list[Document]) -> int:
    """GiB that the container may have."""
    return int(container(documents)["resources"]["limits"]["memory"].removesuffix("Gi"))


def room(documents: list[Document]) -> int:
    """GiB of the volume for data."""
    [workload] = [one for one in documents if "template" in one.get("spec", {})]
    claims = [
        *of_kind(documents, "PersistentVolumeClaim"),
        *workload["spec"].get("volumeClaimTemplates", []),
    ]
    [pod] = pods(documents)
    size = (
        claims[0]["spec"]["resources"]["requests"]["storage"]
        if claims
        else pod["spec"]["volumes"][0]["emptyDir"]["sizeLimit"]
    )
    return int(size.removesuffix("Gi"))


def test_the_loader_takes_the_sidecar(agent: list[Document], tmp_path: Path) -> None:
    config = loaded(agent, tmp_path)
    assert config.receivers.otlp.protocols.grpc.endpoint == "localhost:14317"
    assert config.web.endpoint == "10.0.0.7:14319"
    recommended = (ROOT / "collector-config" / "recommended.yaml").read_text(encoding="utf-8")
    assert f"OTELCOL_FINDINGS_ENDPOINT:-{config.exporters.otlp.endpoint}" in recommended
    bound = config.journal.max_bytes + config.window.retention_bytes
    assert room(agent) * GIB >= bound * 1.25
    assert config.analysis.max_spans <= SPANS_PER_GIB * memory(agent)


def test_every_secret_arrives(helm: Helm, tmp_path: Path) -> None:
    values = GIVEN | EVERY_SECRET | {"config.llm.model": "m", "secrets.tls.clientCaKey": "ca.crt"}
    documents = parsed(helm.template(CHART, values))
    assert "a-secret" not in str(of_kind(documents, "ConfigMap"))
    assert container(documents)["volumeMounts"][-1]["readOnly"] is True
    config = loaded(documents, tmp_path)
    assert config.registry_url == REGISTRY_URL
    assert config.llm.api_key == "a-key-of-the-model"
    assert config.llm.headers == {"x-team": "agents"}
    assert config.exporters.otlp.headers["authorization"].startswith("Bearer ")
    assert config.exporters.otlp.tls.insecure is False
    assert config.redaction_key_file.name == "redaction-key"
    assert config.web.auth.tokens_file is not None
    assert config.web.tls.cert_file is None
    for server in (config.receivers.otlp.protocols.grpc, config.receivers.otlp.protocols.http):
        assert server.tls.client_ca_file is not None
        assert server.auth.tokens_file is not None
        assert not server.auth.allow_unauthenticated, "the image's own word is taken back"


def test_numbers_stay_numbers(helm: Helm, tmp_path: Path) -> None:
    """Helm holds them as floating point, and writes 1.6e+06 where it is not careful."""
    assert loaded(helm.documents("replicas"), tmp_path).analysis.max_spans == 1_600_000


@dataclass
class Running:
    mounted: Mounted
    process: Process
    address: str
    scheme: str

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"{self.address}:14317")

    def logged(self) -> str:
        return self.process.log.read_text(encoding="utf-8")

    def asked(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body, as a kubelet asks: without looking at a certificate. Status 0 when nobody listens."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"{self.scheme}://{self.address}:14319{path}"
        request = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        assert self.process.running, self.logged()
        return self.asked("/readyz")[0] == 200

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command in the pod."""
        return subprocess.run(
            [sys.executable, "-m", "halo_otel", *arguments],
            env={**os.environ, **self.mounted.environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def pod(helm: Helm, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    """The service with exactly what a pod of an example has; only its paths and its address are of here."""
    # An address of this machine that nobody else uses, so that the ports are the chart's.
    address = ".".join(str(number) for number in (127, *random.sample(range(1, 255), 3)))
    mounted = mount(helm.documents(request.param), tmp_path / "pod", address)
    process = Process(tmp_path / "serve.log")
    if (tmp_path / "pod" / "src").exists():  # a volume of the example's own
        (tmp_path / "pod" / "src" / "agent.py").write_text("print(1)\n", encoding="ascii")
    process.spawn(
        [sys.executable, "-m", "halo_otel", *container(helm.documents(request.param))["args"]],
        mounted.environ,
    )
    scheme = container(helm.documents(request.param))["livenessProbe"]["httpGet"]["scheme"].lower()
    yield Running(mounted, process, address, scheme)
    process.stop()


@pytest.mark.parametrize("pod", ["gateway"], indirect=True)
def test_the_gateway_starts_takes_spans_and_stops(pod: Running) -> None:
    eventually("the service is ready", pod.ready)
    assert pod.asked("/healthz")[0] == 200
    with pod.channel() as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        export = trace_service_pb2_grpc.TraceServiceStub(channel).Export
        with pytest.raises(grpc.RpcError) as refused:
            export(trace_request())
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        accepted = export(trace_request(), metadata=[("authorization", f"Bearer {TOKEN}")])
        assert not accepted.partial_success.rejected_spans
    told = pod.command("status")
    assert told.stdout.startswith(f"halo-otel {__version__}, ready"), told.stderr
    assert pod.process.stop() == 0, pod.logged()
    storage = pod.mounted.root / "var/lib/halo-otel"
    assert {"journal", "windows", "registry.sqlite"} <= {path.name for path in storage.iterdir()}


@pytest.mark.parametrize("pod", ["secured"], indirect=True)
def test_probes_and_scrapes_reach_what_is_secured(pod: Running) -> None:
    eventually("the service is ready", pod.ready)
    assert pod.scheme == "https"
    assert pod.asked("/healthz")[0] == 200
    with socket.create_connection((pod.address, 14317), timeout=5):
        pass
    assert pod.asked("/metrics")[0] == 401
    # The address is one of this machine, which is to be called so.
    status, told = pod.asked("/metrics", Authorization=f"Bearer {METRICS_TOKEN}", Host="localhost")
    assert status == 200
    assert "halo_build_info" in told
    status_told = pod.command("status")
    assert status_told.stdout.startswith(f"halo-otel {__version__}, ready"), status_told.stderr
