"""Our own counters and gauges as OTLP metrics, every `telemetry.metrics_interval`.

Names, kinds and help texts are those of `selfobs`.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final

from halo_otel.clock import Clock
from halo_otel.config.sections import OtlpExporter
from halo_otel.emitter import samples
from halo_otel.emitter.client import Client, Delayed, Refused
from halo_otel.redact.redactor import Redactor
from halo_otel.selfobs import Counters, Reading

_LAST_S: Final = 2.0  # what the sample on the way out may take


class Metrics:
    """Samples `read` and sends it. Async context manager; safe to leave twice and unentered.

    `read` returns the readings of all processes; it is called from another thread. Failed attempts
    are counted in `counters`, the next sample replaces a lost one. What attributes say passes through `redact`.
    """

    def __init__(
        self,
        config: OtlpExporter,
        read: Callable[[], Iterable[Reading]],
        counters: Counters,
        clock: Clock,
        *,
        interval_s: float,
        replica: str,
        redact: Redactor | None = None,
    ) -> None:
        self._client = Client(config, counters)
        self._read = read
        self._counters = counters
        self._clock = clock
        self._interval_s = interval_s
        self._replica = replica
        self._redact = redact
        self._tasks = asyncio.TaskGroup()
        self._sampling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Metrics":
        await self._client.__aenter__()
        await self._tasks.__aenter__()
        self._sampling = self._tasks.create_task(self._sample())
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        sampling, self._sampling = self._sampling, None
        if sampling is None:
            return
        sampling.cancel()
        await self._tasks.__aexit__(None, None, None)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await self.flush()
        await self._client.__aexit__(None, None, None)

    async def flush(self) -> None:
        """Send a sample now."""
        message = await asyncio.to_thread(
            lambda: samples.request(self._read(), self._clock.now_ns(), self._replica, self._redact)
        )
        if isinstance(await self._client.send_metrics(message), Delayed | Refused):
            self._counters.add("halo.emitter.failed_attempts", kind="metric")
        else:
            self._counters.add("halo.emitter.sent_records", kind="metric")

    async def _sample(self) -> None:
        while True:
            await self._clock.sleep(self._interval_s)
            await self.flush()
