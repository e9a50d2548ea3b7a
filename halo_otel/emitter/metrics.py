"""Our own counters and gauges as OTLP metrics, every `telemetry.metrics_interval`.

The SDK's reader and encoder do the work; it starts a thread of its own. Names, kinds and help texts
are those of `selfobs`; the SDK is imported only when this is started, it costs memory.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import grpc

from halo_otel import __version__
from halo_otel.config.sections import OtlpExporter
from halo_otel.emitter.client import TLS_KEY, channel_options, metadata
from halo_otel.errors import ConfigError
from halo_otel.otlp import names
from halo_otel.redact.redactor import Redactor
from halo_otel.selfobs import GAUGES, HELP, Counters, Reading
from halo_otel.tls import channel_credentials

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter

_SHUTDOWN_MS: Final = 2_000.0


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
        *,
        interval_s: float,
        replica: str,
        redact: Redactor | None = None,
    ) -> None:
        self._config = config
        self._read = read
        self._counters = counters
        self._interval_s = interval_s
        self._replica = replica
        self._redact = redact
        self._provider: MeterProvider | None = None

    async def __aenter__(self) -> "Metrics":
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource

        reader = PeriodicExportingMetricReader(
            _exporter(self._config, self._counters),
            export_interval_millis=self._interval_s * 1000,
            export_timeout_millis=self._config.timeout * 1000,
        )
        self._provider = MeterProvider(
            [reader],
            resource=Resource(
                {
                    names.RESOURCE_SERVICE_NAME: names.SERVICE_NAME,
                    names.RESOURCE_SERVICE_VERSION: __version__,
                    names.RESOURCE_SERVICE_INSTANCE: self._replica,
                }
            ),
            shutdown_on_exit=False,
        )
        meter = self._provider.get_meter(names.SCOPE_NAME, __version__)
        for name, text in HELP.items():
            create = (
                meter.create_observable_gauge if name in GAUGES else meter.create_observable_counter
            )
            create(name, callbacks=[self._callback(name)], description=text, unit=_unit(name))
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        provider, self._provider = self._provider, None
        if provider is not None:
            await asyncio.to_thread(provider.shutdown, _SHUTDOWN_MS)

    async def flush(self) -> None:
        """Send a sample now."""
        if self._provider is not None:
            await asyncio.to_thread(self._provider.force_flush, self._config.timeout * 1000)

    def _callback(self, name: str) -> "Callable[[CallbackOptions], Sequence[Observation]]":
        from opentelemetry.metrics import Observation

        def observe(_options: "CallbackOptions") -> "Sequence[Observation]":
            totals: dict[tuple[tuple[str, str], ...], float] = {}
            for reading in self._read():
                if reading.name == name:
                    totals[reading.attributes] = totals.get(reading.attributes, 0) + reading.value
            return [
                Observation(_number(value), self._told(attributes))
                for attributes, value in totals.items()
            ]

        return observe

    def _told(self, attributes: tuple[tuple[str, str], ...]) -> dict[str, str]:
        """An attribute may be a stranger's name of a service."""
        text = (lambda value: value) if self._redact is None else self._redact.text
        return {name: text(value) for name, value in attributes}


def _exporter(config: OtlpExporter, counters: Counters) -> "MetricExporter":
    """A `MetricExporter` over our own channel; see `client` for why not the SDK's."""
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
        MetricsServiceStub,
    )
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData

    class Exporter(MetricExporter):
        def __init__(self) -> None:
            super().__init__()
            self._channel = _channel(config)

        def export(
            self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_kwargs: Any
        ) -> MetricExportResult:
            try:
                MetricsServiceStub(self._channel).Export(
                    encode_metrics(metrics_data),
                    timeout=min(timeout_millis / 1000, config.timeout),
                    metadata=metadata(config),
                )
            except grpc.RpcError:
                counters.add("halo.emitter.failed_attempts", kind="metric")
                self._reconnect()
                return MetricExportResult.FAILURE
            counters.add("halo.emitter.sent_records", kind="metric")
            return MetricExportResult.SUCCESS

        def _reconnect(self) -> None:
            """As `Client` does, for certificates that were rotated."""
            try:
                old, self._channel = self._channel, _channel(config)
            except ConfigError:
                return  # the emitter of findings tells of it
            old.close()

        def force_flush(self, timeout_millis: float = 10_000) -> bool:
            return True

        def shutdown(self, timeout_millis: float = 30_000, **_kwargs: Any) -> None:
            self._channel.close()

    return Exporter()


def _channel(config: OtlpExporter) -> grpc.Channel:
    options = channel_options(config)
    if config.tls.insecure:
        return grpc.insecure_channel(config.endpoint, **options)
    secrets = channel_credentials(config.tls, TLS_KEY)
    return grpc.secure_channel(config.endpoint, secrets, **options)


def _unit(name: str) -> str:
    """UCUM, as semantic conventions want it."""
    if name.endswith("_seconds"):
        return "s"
    return "By" if name.endswith("bytes") else "1"


def _number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value
