"""The demo flow: start everything, let agents run, show what is found, stop everything.

traffic ──▶ [the real Collector] ──▶ halo-otel ──▶ [the real Collector | a stand-in] ──▶ shown
"""

import asyncio
import json
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from halo_otel.clock import NS_PER_S, Clock, SystemClock
from halo_otel.control.client import ControlClient
from halo_otel.demo.bundled import NAMES
from halo_otel.demo.collector import CONFIG, RealCollector
from halo_otel.demo.faults import Fault, Label
from halo_otel.demo.narrator import Narrator
from halo_otel.demo.process import Program, free_ports, python, python_variables
from halo_otel.demo.programme import BURSTS, HEALTHY_SERVICE, RUNS_PER_BURST, Burst, bursts
from halo_otel.demo.returned import Returned
from halo_otel.demo.standin import StandIn
from halo_otel.errors import HaloError, Unreachable
from halo_otel.model.finding import Finding, Severity
from halo_otel.model.report import Report
from halo_otel.otlp.encode import requests

WINDOW_S: Final = 6
SETTLE_S: Final = 2
PAUSE_S: Final = 1.5  # between bursts, so that windows fill one after the other
CATCH_UP_S: Final = 20
RETURN_S: Final = 12
EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def run_demo(*, collector: Path | None = None, keep: bool = False, quiet: bool = False) -> int:
    """Show what halo-otel does, in under a minute; the exit code is 0 if findings came back.

    `collector` is the real Collector's binary; without it spans go to halo-otel directly. `keep` leaves
    the data directory for `halo-otel serve`; `quiet` prints the results only.
    """
    narrator = Narrator(quiet=quiet)
    directory = Path(tempfile.mkdtemp(prefix="halo-demo-"))
    try:
        return asyncio.run(_Demo(directory, narrator, SystemClock(), collector, keep).run())
    except KeyboardInterrupt:
        narrator.trouble("stopped")
        return 130
    except asyncio.CancelledError:  # SIGTERM
        return 143
    except (HaloError, OSError) as error:
        narrator.trouble(str(error))
        return 1
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


class _Demo:
    """One showing. Everything it starts lives in the exit stack of `run`."""

    def __init__(
        self, directory: Path, narrator: Narrator, clock: Clock, collector: Path | None, keep: bool
    ) -> None:
        self._directory = directory
        self._narrator = narrator
        self._clock = clock
        self._binary = collector if collector is not None and CONFIG.exists() else None
        self._keep = keep
        self._labels: dict[Fault, Label] = {}

    async def run(self) -> int:
        started_ns = self._clock.now_ns()
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with AsyncExitStack() as stack:
            endpoint, door = await self._start(stack)
            await self._play(door.endpoint if isinstance(door, RealCollector) else endpoint)
            report, findings = await self._analysed(endpoint)
            returned = await self._returned(door, findings)
            self._tell(report, findings, returned)
        seconds = (self._clock.now_ns() - started_ns) / NS_PER_S
        kept = str(self._directory) if self._keep else None
        trace_id = next((str(one.traces[0]) for one in findings if one.traces), None)
        self._narrator.ending(kept, trace_id, seconds)
        return 0 if findings and returned.findings else 1

    async def _start(self, stack: AsyncExitStack) -> tuple[str, RealCollector | StandIn]:
        """Downstream first: where findings go, then halo-otel."""
        grpc_port, http_port, web_port = free_ports(3)
        endpoint, web = f"127.0.0.1:{grpc_port}", f"127.0.0.1:{web_port}"
        door: RealCollector | StandIn
        if self._binary is not None:
            self._narrator.step(f"starting the real Collector, {self._binary.name}")
            door = RealCollector(self._binary, endpoint, self._directory, self._clock)
        else:
            door = StandIn()
        await stack.enter_async_context(door)
        settings = self._settings(endpoint, f"127.0.0.1:{http_port}", web, door.findings_endpoint)
        config = self._directory / "halo.yaml"  # JSON is YAML, too
        config.write_text(json.dumps(settings, indent=2), encoding="utf-8")
        self._narrator.step(
            f"starting halo-otel, windows of {WINDOW_S} s, data in {self._directory}"
        )
        command = python("halo_otel", "serve", "--config", str(config))
        log = self._directory / "halo.log"
        service = Program("halo-otel", command, log, python_variables())
        await stack.enter_async_context(service)
        await service.ready(web, "/readyz", self._clock)
        return endpoint, door

    def _settings(self, endpoint: str, http: str, web: str, findings: str) -> dict[str, object]:
        return {
            "storage": {"directory": str(self._directory / "data")},
            "receivers": {
                "otlp": {"protocols": {"grpc": {"endpoint": endpoint}, "http": {"endpoint": http}}}
            },
            "window": {"length": WINDOW_S},
            "analysis": {"trace_settle": SETTLE_S},
            "exporters": {"otlp": {"endpoint": findings}},
            "web": {"endpoint": web},
            "telemetry": {"metrics_interval": 5},
        }

    async def _play(self, endpoint: str) -> None:
        """Send the programme, burst by burst."""
        sent = runs = 0
        with self._narrator.progress() as bar:
            task = bar.add_task("agents at work", total=BURSTS, detail="")
            async with grpc.aio.insecure_channel(endpoint) as channel:
                made = await asyncio.to_thread(lambda: list(bursts(self._clock.now_ns())))
                for burst in made:
                    await self._send(channel, burst)
                    sent, runs = sent + len(burst.spans), runs + burst.runs
                    self._remember(burst.labels)
                    bar.update(task, advance=1, detail=f"{runs} runs, {sent:,} spans")
                    await self._clock.sleep(PAUSE_S)
        self._narrator.step(
            f"sent {sent:,} spans of {runs} runs over OTLP/gRPC: real ones ({', '.join(NAMES)}) and "
            "generated ones with planted faults"
        )

    def _remember(self, labels: Sequence[Label]) -> None:
        for label in labels:
            earlier = self._labels.get(label.fault)
            if earlier is not None:
                label = replace(label, occurrences=earlier.occurrences + label.occurrences)
            self._labels[label.fault] = label

    async def _send(self, channel: grpc.aio.Channel, burst: Burst) -> None:
        export = channel.unary_unary(
            EXPORT,
            request_serializer=None,  # requests are serialized already
            response_deserializer=ExportTraceServiceResponse.FromString,
        )
        for payload in requests(burst.spans):
            try:
                await export(payload, timeout=30, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                raise Unreachable(f"the demo's spans were not taken: {error.details()}") from error

    async def _analysed(self, endpoint: str) -> tuple[Report, Sequence[Finding]]:
        """Wait until everything is in a window and settled, have it analysed, get the findings."""
        self._narrator.step("waiting for the last traces to settle, then analysing")
        with ControlClient(endpoint) as client:
            await self._until(lambda: client.status().backlog_bytes == 0, CATCH_UP_S)
            await self._clock.sleep(SETTLE_S + 0.5)
            report = await asyncio.to_thread(client.analyze)
            return report, await asyncio.to_thread(client.findings)

    async def _returned(
        self, door: RealCollector | StandIn, findings: Sequence[Finding]
    ) -> Returned:
        """What came back, once every finding has."""
        wanted = {one.fingerprint for one in findings}
        await self._until(lambda: wanted <= door.returned().fingerprints, RETURN_S)
        return await asyncio.to_thread(door.returned)

    async def _until(self, holds: Callable[[], bool], seconds: float) -> None:
        """Return once `holds`, or after `seconds`: the rest of the demo shows what is missing."""
        deadline_ns = self._clock.now_ns() + round(seconds * NS_PER_S)
        while self._clock.now_ns() < deadline_ns and not await asyncio.to_thread(holds):
            await self._clock.sleep(0.3)

    def _tell(self, report: Report, findings: Sequence[Finding], returned: Returned) -> None:
        self._narrator.findings(findings, report)
        where = "the Collector" if self._binary else "the Collector's place"
        self._narrator.returned(returned, where)
        self._narrator.planted(list(self._labels.values()), findings)
        alarms = [
            one
            for one in findings
            if one.subject.service == HEALTHY_SERVICE and one.severity is not Severity.INFO
        ]
        self._narrator.healthy(HEALTHY_SERVICE, BURSTS * RUNS_PER_BURST, alarms)
