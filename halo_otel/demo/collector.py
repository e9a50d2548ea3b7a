"""The real Collector in the demo, with the configuration recommended for production."""

from pathlib import Path
from types import TracebackType
from typing import Final

from halo_otel.clock import Clock
from halo_otel.demo.process import Program, free_ports
from halo_otel.demo.returned import Returned, from_files

# Beside the package in a checkout; an installed wheel has no Collector to configure.
CONFIG: Final = Path(__file__).resolve().parents[2] / "collector-config" / "recommended.yaml"


class RealCollector:
    """An `otelcol` between the agents and halo-otel at `halo_endpoint`, on free ports."""

    def __init__(self, binary: Path, halo_endpoint: str, directory: Path, clock: Clock) -> None:
        grpc, http, health, findings = (f"127.0.0.1:{port}" for port in free_ports(4))
        self.endpoint = grpc
        self.findings_endpoint = findings
        self._health = health
        self._directory = directory
        self._clock = clock
        # Its own metrics would want port 8888, which another Collector of this machine may have.
        command = [
            str(binary),
            f"--config={CONFIG}",
            "--set=service.telemetry.metrics.level=none",
        ]
        variables = {
            "OTELCOL_GRPC_ENDPOINT": grpc,
            "OTELCOL_HTTP_ENDPOINT": http,
            "OTELCOL_HEALTH_ENDPOINT": health,
            "OTELCOL_FINDINGS_ENDPOINT": findings,
            "HALO_ENDPOINT": halo_endpoint,
            "HALO_QUEUE_DIRECTORY": str(directory / "collector-queue"),
            "HALO_FINDINGS_DIRECTORY": str(directory),
        }
        self._program = Program("the Collector", command, directory / "collector.log", variables)

    async def __aenter__(self) -> "RealCollector":
        await self._program.__aenter__()
        try:
            await self._program.ready(self._health, "/", self._clock)
        except BaseException:
            await self._program.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._program.__aexit__(kind, error, traceback)

    def returned(self) -> Returned:
        """What has come back and is in its files."""
        return from_files(self._directory)
