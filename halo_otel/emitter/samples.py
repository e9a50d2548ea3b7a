"""Readings of our counters to the OTLP request that carries them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from halo_otel import __version__
from halo_otel.otlp import names
from halo_otel.redact.redactor import Redactor
from halo_otel.selfobs import GAUGES, HELP, HISTOGRAMS, Reading, family, le

_CUMULATIVE: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_Attributes = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Total:
    """The readings of several processes under one name and set of attributes."""

    value: float = 0.0
    since_ns: int = 0


def request(
    readings: Iterable[Reading], now_ns: int, replica: str, redact: Redactor | None = None
) -> ExportMetricsServiceRequest:
    """`readings` at `now_ns`, cumulative since each process began (OTLP 1.11, "Temporality").

    What attributes say passes through `redact`: one may be a stranger's name of a service.
    """
    text = (lambda value: value) if redact is None else redact.text
    families: dict[str, dict[str, dict[_Attributes, _Total]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for reading in readings:
        name, part = family(reading.name)
        total = families[name][part].setdefault(reading.attributes, _Total())
        total.value += reading.value
        total.since_ns = min(filter(None, (total.since_ns, reading.since_ns)), default=0)
    message = ExportMetricsServiceRequest()
    resource_metrics = message.resource_metrics.add()
    for key, value in (
        (names.RESOURCE_SERVICE_NAME, names.SERVICE_NAME),
        (names.RESOURCE_SERVICE_VERSION, __version__),
        (names.RESOURCE_SERVICE_INSTANCE, replica),
    ):
        resource_metrics.resource.attributes.add(key=key).value.string_value = value
    scope_metrics = resource_metrics.scope_metrics.add()
    scope_metrics.scope.name, scope_metrics.scope.version = names.SCOPE_NAME, __version__
    for name, parts in families.items():
        metric = scope_metrics.metrics.add(name=name, description=HELP[name], unit=_unit(name))
        for point, attributes in _points(metric, name, parts):
            point.time_unix_nano = now_ns
            for key, value in attributes:
                point.attributes.add(key=key).value.string_value = text(value)
    return message


def _points(
    metric: Metric, name: str, parts: dict[str, dict[_Attributes, _Total]]
) -> Iterator[tuple[Any, _Attributes]]:
    """Adds the data points; time and attributes are left to the caller."""
    if name in HISTOGRAMS:
        yield from _histogram(metric, name, parts)
        return
    is_gauge = name in GAUGES
    if not is_gauge:
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = _CUMULATIVE
    for attributes, total in parts[""].items():
        if is_gauge:
            point = metric.gauge.data_points.add()
        else:
            point = metric.sum.data_points.add(start_time_unix_nano=total.since_ns)
        if total.value.is_integer():
            point.as_int = int(total.value)
        else:
            point.as_double = total.value
        yield point, attributes


def _histogram(
    metric: Metric, name: str, parts: dict[str, dict[_Attributes, _Total]]
) -> Iterator[tuple[Any, _Attributes]]:
    metric.histogram.aggregation_temporality = _CUMULATIVE
    for attributes, total in parts["sum"].items():
        point = metric.histogram.data_points.add(
            start_time_unix_nano=total.since_ns,
            sum=total.value,
            count=int(parts["count"][attributes].value),
            explicit_bounds=HISTOGRAMS[name],
        )
        below = 0  # each bucket's own, where a reading has all below its bound
        for bound in (*HISTOGRAMS[name], float("inf")):
            key = tuple(sorted((*attributes, ("le", le(bound)))))
            upto = int(parts["bucket"][key].value)
            point.bucket_counts.append(upto - below)
            below = upto
        yield point, attributes


def _unit(name: str) -> str:
    """UCUM, as semantic conventions want it. None for plain numbers: a gauge in "1" is a ratio where OTLP
    becomes Prometheus' names (OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility")."""
    if name.endswith("_seconds"):
        return "s"
    return "By" if name.endswith("bytes") else ""
