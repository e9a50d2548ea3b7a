"""What is soaked: agents' traffic, a real Collector with its queue on disk, the service, the findings' way back."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import yaml

from tests.faults.conftest import children
from tests.path.conftest import Collector, Service, eventually, get

LOAD: Final = Path(__file__).parent / "load.py"
FULL_LANE, PROBE_LANE = 1, 2
PROBE_RATE: Final = (
    500.0  # spans per second sent to the service itself, to time its acknowledgements
)
JOURNAL_BYTES: Final = 512 << 20
SEGMENT_BYTES: Final = 16 << 20


class DurableCollector(Collector):
    """The Collector, with a queue on disk and files it goes on with after a restart."""

    def sends_to(self, port: int) -> None:
        """Have it send to another port than the service's."""
        path = self.directory / "config.yaml"
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        config["exporters"][self.exporter]["endpoint"] = f"127.0.0.1:{port}"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")

    def __post_init__(self) -> None:
        super().__post_init__()
        path = self.directory / "config.yaml"
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        queue = self.directory / "queue"
        config["extensions"] = {
            "file_storage/halo": {"directory": str(queue), "create_directory": True}
        }
        config["service"]["extensions"] = ["file_storage/halo"]
        config["exporters"][self.exporter]["sending_queue"] |= {
            "storage": "file_storage/halo",
            "block_on_overflow": True,
            "num_consumers": 20,
        }
        for name in ("logs", "traces", "metrics"):
            config["exporters"][f"file/{name}"]["append"] = True
        path.write_text(yaml.safe_dump(config), encoding="utf-8")

    @property
    def queued(self) -> float:
        """Requests it holds that the service did not acknowledge; also 1 while it does not answer."""
        _, text = get(f"http://127.0.0.1:{self.telemetry_port}/metrics")
        sizes = re.findall(r"^otelcol_exporter_queue_size[^ ]* (\S+)$", text, re.MULTILINE)
        return sum(float(size) for size in sizes) if sizes else 1.0


class Sender:
    """A `load.py` of its own process."""

    def __init__(
        self,
        port: int,
        rate: float,
        lane: int,
        phase_s: float,
        log: Path,
        *,
        spans_a_request: int,
    ) -> None:
        self._arguments = [str(one) for one in (port, rate, lane, phase_s, spans_a_request)]
        self._log = log
        self.popen: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns when it begins to send."""
        with self._log.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, str(LOAD), *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline(), self._log.read_text(encoding="utf-8")

    def finish(self) -> dict[str, Any]:
        """Let it end when all it sent is accepted; what it tells."""
        assert self.popen is not None
        told, _ = self.popen.communicate(timeout=600)
        assert self.popen.returncode == 0, self._log.read_text(encoding="utf-8")
        result: dict[str, Any] = json.loads(told)
        return result

    def kill(self) -> None:
        if self.popen is not None and self.popen.poll() is None:
            self.popen.kill()
            self.popen.communicate()


class Still:
    """Whether nothing was analysed for a while, and nothing is left to be told."""

    def __init__(self, rig: "Rig", seconds: float) -> None:
        self._rig, self._seconds = rig, seconds
        self._runs, self._since = -1.0, time.monotonic()

    def now(self) -> bool:
        service = self._rig.service
        runs = service.metric("halo_analysis_runs_total")
        if runs == 0 or runs != self._runs or service.metric("halo_emitter_outbox"):
            self._runs, self._since = runs, time.monotonic()
        return time.monotonic() - self._since > self._seconds


class Rig:
    """All processes of a soak, in `directory`.

    `lookback_s` bounds what the engine holds, so it is reached early; what is stored later than that
    is not analysed. `spans_a_request` is what the Collector is sent at once, `probe_rate` how many spans a
    second the service is sent beside it.
    """

    def __init__(
        self,
        binary: Path,
        directory: Path,
        rate: float,
        *,
        window_s: int,
        lookback_s: int,
        spans_a_request: int = 450,
        probe_rate: float = PROBE_RATE,
    ) -> None:
        settings = {
            "HALO_WINDOW_LENGTH": f"{window_s}s",
            "HALO_WINDOW_RETENTION": f"{2 * lookback_s}s",
            "HALO_ANALYSIS_LOOKBACK": f"{lookback_s}s",
            "HALO_ANALYSIS_TRACE_SETTLE": "1s",
            "HALO_JOURNAL_MAX_BYTES": str(JOURNAL_BYTES),
            "HALO_JOURNAL_SEGMENT_BYTES": str(SEGMENT_BYTES),
            "HALO_EMIT_REPEAT_INTERVAL": "10000h",  # so that each pattern record is a transition
            "HALO_EXPORTERS_OTLP_MAX_BACKOFF": "2s",
            "HALO_EXPORTERS_OTLP_TIMEOUT": "2s",
        }
        self.window_s = window_s
        self.service = Service(directory / "service", settings)
        self.collector = DurableCollector(
            binary, directory / "collector", self.service, compression="none"
        )
        settings["HALO_EXPORTERS_OTLP_ENDPOINT"] = f"127.0.0.1:{self.collector.findings_port}"
        phase_s = 3.0 * window_s
        self.load = Sender(
            self.collector.agents_port,
            rate,
            FULL_LANE,
            phase_s,
            directory / "load.log",
            spans_a_request=spans_a_request,
        )
        self.probe = Sender(
            self.service.grpc_port,
            probe_rate,
            PROBE_LANE,
            phase_s,
            directory / "probe.log",
            spans_a_request=40,
        )

    def start(self) -> None:
        self.service.start()
        self.collector.start()
        self.load.start()
        self.probe.start()

    def processes(self) -> dict[str, int]:
        """Process ids by role, of those that are there."""
        found = {"harness": os.getpid()}
        for role, popen in (
            ("front", self.service.process.popen),
            ("collector", self.collector.process.popen),
            ("load", self.load.popen),
            ("probe", self.probe.popen),
        ):
            if popen is not None and popen.returncode is None:
                found[role] = popen.pid
        if "front" in found:
            try:
                engines = children(found["front"])
            except OSError:
                engines = []
            found |= {"engine": engines[0]} if engines else {}
        return found

    def drain(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """End the traffic and wait until all of it is stored, analysed and told; what was sent."""
        sent = self.load.finish(), self.probe.finish()
        eventually("the service is ready", self.ready, 120)
        eventually("the Collector delivered everything", lambda: self.collector.queued == 0, 600)
        eventually("everything is stored", lambda: self.ready() and not self._waiting, 300)
        eventually("all is analysed and told", Still(self, 2 * self.window_s + 4.0).now, 600)
        return sent

    def ready(self) -> bool:
        return get(f"http://127.0.0.1:{self.service.web_port}/readyz")[0] == 200

    @property
    def _waiting(self) -> float:
        return self.service.metric("halo_journal_bytes")

    def stop(self) -> None:
        for sender in (self.load, self.probe):
            sender.kill()
        self.service.stop()
        self.collector.stop()
