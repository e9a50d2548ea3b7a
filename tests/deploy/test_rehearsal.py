"""A rehearsal of deploy/kubernetes/sidecar.yaml without a cluster: its containers' own arguments, files and
variables, started and stopped in a kubelet's order (tests/deploy/pod.py), with an agent that uses the real SDK."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.collector_config.conftest import Running
from tests.deploy.conftest import ROOT
from tests.deploy.pod import Pod, documents_of
from tests.path.agents import Agents
from tests.path.conftest import eventually, get
from tests.path.test_crash import stored

pytestmark = pytest.mark.collector
MANIFEST = ROOT / "deploy" / "kubernetes" / "sidecar.yaml"
TO_FILES = ROOT / "collector-config" / "findings-to-files.yaml"
WELL = {"otel-collector": 0, "halo-otel": 0}
# The manifest's window is 5 minutes; nothing else of what it says is changed.
SOON = {"HALO_WINDOW_LENGTH": "1s", "HALO_ANALYSIS_TRACE_SETTLE": "1s"}
Make = Callable[..., Pod]


@pytest.fixture
def make(tmp_path: Path, collector_binary: Path) -> Iterator[Make]:
    """Pods with the same volumes: an emptyDir stays when containers start again."""
    made: list[Pod] = []

    def of(**variables: str) -> Pod:
        documents = documents_of(MANIFEST)
        made.append(Pod(documents, tmp_path, collector_binary, {"halo-otel": variables}))
        return made[-1]

    yield of
    for pod in made:
        pod.end()


def agent_runs(pod: Pod, *, healthy: int = 0, failing: int = 0) -> int:
    """It ends before its sidecars do, when all it has is taken; how many spans that was."""
    agents = Agents(int(pod.port["4317"]))
    for number in range(healthy):
        agents.run(f"healthy-{number}")
    for number in range(failing):
        agents.run(f"failing-{number}", fails=True)
    agents.flush()
    agents.close()
    return agents.spans


def begun(pod: Pod) -> int:
    """Start everything and let the agent work, until its first spans are stored; how many those were."""
    pod.start()
    pod.wait_for("otel-collector")
    sent = agent_runs(pod, healthy=20)
    eventually("the pod works", lambda: pod.metric("halo_ingest_spans_total") == sent)
    pod.wait_for("halo-otel")
    return sent


def known(pod: Pod) -> list[str]:
    """Fingerprints in the registry."""
    answer = pod.command("findings", "--all", "--format", "json")
    assert answer.returncode == 0, answer.stderr
    return [finding["fingerprint"] for finding in json.loads(answer.stdout)]


def test_the_agent_does_not_wait_for_halo_otel(make: Make) -> None:
    """No sidecar has a startup probe: what is sent meanwhile waits in the Collector's queue."""
    pod = make()
    pod.start("otel-collector")
    pod.wait_for("otel-collector")
    sent = agent_runs(pod, healthy=20)
    pod.start("halo-otel")
    eventually("all is stored", lambda: pod.metric("halo_ingest_spans_total") == sent)
    pod.wait_for("halo-otel")
    assert pod.stop() == WELL


def test_the_pod_loses_nothing_when_it_stops(make: Make) -> None:
    """The agent's last word is in the Collector when the Collector is told to stop."""
    pod = make(**SOON)
    sent = begun(pod) + agent_runs(pod, healthy=40)
    assert pod.stop() == WELL, pod.log("halo-otel")
    # Without the Collector: what halo-otel has now it had when the pod ended.
    alone = make(**SOON)
    alone.start("halo-otel")
    web = f"http://127.0.0.1:{alone.port['14319']}"
    eventually("it is ready", lambda: get(f"{web}/readyz")[0] == 200)
    eventually("the windows have all", lambda: alone.metric("halo_journal_bytes") == 0)
    assert alone.stop() == {"halo-otel": 0}
    spans = stored(alone.volume("halo-otel") / "windows")
    assert len(spans) == len(set(spans)) == sent


def test_what_is_found_while_stopping_is_told_by_the_next_start(make: Make) -> None:
    """In the same pod. The Collector is gone when the last window is analysed."""
    pod = make(**SOON)
    begun(pod)
    agent_runs(pod, healthy=20, failing=10)
    assert pod.stop_one("otel-collector", pod.grace_s) == 0
    before = len(pod.findings())
    eventually("it is found", lambda: pod.metric("halo_findings_open") > 0)
    assert known(pod)
    assert pod.stop_one("halo-otel", pod.grace_s) == 0
    again = make(**SOON)
    again.start()
    eventually("it is told", lambda: len(again.findings()) > before)
    again.stop()


def test_a_gateway_for_findings_hears_them_before_the_pod_is_gone(
    make: Make, tmp_path: Path, collector_binary: Path
) -> None:
    """The Collector of the pod stops before halo-otel; a gateway's does not."""
    folder = tmp_path / "gateway"
    folder.mkdir()
    gateway = Running(collector_binary, folder)
    told = folder / "halo-findings.jsonl"
    with gateway.nobody, gateway.started(TO_FILES) as process:
        endpoint = f"127.0.0.1:{gateway.ports['FINDINGS']}"
        pod = make(**SOON, HALO_EXPORTERS_OTLP_ENDPOINT=endpoint)
        begun(pod)
        agent_runs(pod, healthy=20, failing=10)
        assert pod.stop_one("otel-collector", pod.grace_s) == 0
        gateway.wait(process, lambda: told.exists() and "halo.finding" in told.read_text("utf-8"))
        assert pod.stop_one("halo-otel", pod.grace_s) == 0
        assert pod.findings() == []
