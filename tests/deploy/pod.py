"""A pod of our manifests without a cluster: its containers as processes, started and stopped in a kubelet's order.

Each container has the manifest's arguments and environment, over what its image says; ConfigMaps and
emptyDirs are directories. Only what a machine shares among all is rewritten: paths lie below one
directory, the pod's address is the loopback, and each port is one that is free.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.conftest import Document, image_environment
from tests.path.conftest import Process, eventually, free_port, get

# The ports of every container in the pod; the last is asked by probes.
PORTS = ("14317", "14318", "14319", "4317", "4318", "4319", "13133")
_PORT = re.compile(rf"(?<=:)(?:{'|'.join(PORTS)})\b")


def documents_of(path: Path) -> list[Document]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def variables(container: Document, address: str) -> dict[str, str]:
    """What a container's `env` says in a pod with this address."""
    given: dict[str, str] = {}
    for entry in container.get("env", []):
        told = entry.get("value")
        if told is None:
            told = {"status.podIP": address}[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        # "$(NAME)" is a variable that stands further up (kubernetes.io, "Dependent Environment Variables").
        given[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda found: given[found[1]], told)
    return given


class Pod:
    """The sidecars of the one pod among `documents`; its agent is the caller.

    `more` are variables by container name, over those of the manifest; `before` is what each one's command
    line begins with.
    """

    def __init__(
        self,
        documents: list[Document],
        directory: Path,
        collector: Path,
        more: Mapping[str, Mapping[str, str]] | None = None,
        before: Mapping[str, list[str]] | None = None,
    ) -> None:
        [self.spec] = [
            one["spec"]["template"]["spec"]
            for one in documents
            if "template" in one.get("spec", {})
        ]
        self.sidecars: list[Document] = self.spec["initContainers"]
        self.directory = directory
        self.port = {port: free_port() for port in PORTS}
        self.grace_s = float(self.spec["terminationGracePeriodSeconds"])
        self._more = more or {}
        self._before = before or {}
        self._binaries = {
            "halo-otel": [sys.executable, "-m", "halo_otel"],
            "otel-collector": [str(collector)],
        }
        self._maps = {
            one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"
        }
        self.processes: dict[str, Process] = {}
        self._make_volumes()

    def volume(self, name: str) -> Path:
        return self.directory / "volumes" / name

    def start(self, *only: str) -> None:
        """Each in its turn: the next begins when this one's startup probe says yes, or at once where there is none.

        With `only`, those containers alone.
        """
        for container in self.sidecars:
            name = container["name"]
            if only and name not in only:
                continue
            self.processes[name] = Process(self.directory / f"{name}.log")
            arguments = [self._rewritten(one, container) for one in container["args"]]
            if name == "otel-collector":  # port 8888, which a machine has once
                arguments.append("--config=yaml:service::telemetry::metrics::level: none")
            self.processes[name].spawn(
                [*self._before.get(name, []), *self._binaries[name], *arguments],
                self._environment(container),
            )
            if "startupProbe" in container:
                self.wait_for(name, "startupProbe")

    def wait_for(self, name: str, probe: str = "livenessProbe") -> None:
        """Until a probe says yes."""
        container = self._container(name)
        asked = container[probe]["httpGet"]
        ports = {one["name"]: str(one["containerPort"]) for one in container["ports"]}
        url = f"http://127.0.0.1:{self.port[ports[asked['port']]]}{asked['path']}"

        def healthy() -> bool:
            assert self.processes[name].running, self.log(name)
            return get(url)[0] == 200

        eventually(f"{name}: {probe}", healthy)

    def stop(self) -> dict[str, int]:
        """SIGTERM to the last and wait for it, then to the one before; exit codes. What takes longer than the
        pod's grace is killed."""
        deadline = time.monotonic() + self.grace_s
        names = [one["name"] for one in reversed(self.sidecars) if one["name"] in self.processes]
        return {name: self.stop_one(name, deadline - time.monotonic()) for name in names}

    def stop_one(self, name: str, grace_s: float) -> int:
        popen = self.processes[name].popen
        assert popen is not None
        popen.send_signal(signal.SIGTERM)
        try:
            return popen.wait(max(0.0, grace_s))
        except subprocess.TimeoutExpired:
            popen.kill()
            return popen.wait()

    def end(self) -> None:
        """Leaves no process behind."""
        for process in self.processes.values():
            if process.running:
                process.kill()

    def log(self, name: str) -> str:
        return self.processes[name].log.read_text(encoding="utf-8", errors="replace")

    def metric(self, name: str) -> float:
        """The sum of a metric's readings in halo-otel's /metrics."""
        _, text = get(f"http://127.0.0.1:{self.port['14319']}/metrics")
        lines = [line for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`kubectl exec -c halo-otel -- halo-otel …`."""
        return subprocess.run(
            [*self._binaries["halo-otel"], *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, **self._environment(self._container("halo-otel"))},
        )

    def findings(self) -> list[dict[str, Any]]:
        """The log records of findings that the Collector wrote."""
        path = self.volume("otel-collector") / "findings" / "halo-findings.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        return [
            record
            for line in lines
            for resource in json.loads(line)["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
            if record.get("eventName") == "halo.finding"
        ]

    def _container(self, name: str) -> Document:
        [container] = [one for one in self.sidecars if one["name"] == name]
        return container

    def _make_volumes(self) -> None:
        """ConfigMaps are files; an emptyDir is empty once."""
        for volume in self.spec["volumes"]:
            folder = self.volume(volume["name"])
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in self._maps.get(volume.get("configMap", {}).get("name"), {}).items():
                (folder / name).write_text(self._moved_ports(text), encoding="utf-8")

    def _environment(self, container: Document) -> dict[str, str]:
        ours = image_environment() if container["name"] == "halo-otel" else {}
        given = ours | variables(container, "127.0.0.1")
        moved = {name: self._rewritten(value, container) for name, value in given.items()}
        return moved | dict(self._more.get(container["name"], {}))

    def _rewritten(self, text: str, container: Document) -> str:
        for mount in container["volumeMounts"]:
            text = text.replace(mount["mountPath"], str(self.volume(mount["name"])))
        return self._moved_ports(text)

    def _moved_ports(self, text: str) -> str:
        return _PORT.sub(lambda found: str(self.port[found[0]]), text)
