"""What is shipped for SigNoz asks for what halo-otel emits, and finds it; records join the agents' traces there."""

import ast
import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest

from halo_otel.clock import ManualClock
from halo_otel.config.sections import Analysis, Emit, OtlpExporter
from halo_otel.emitter import Emitter
from halo_otel.emitter.metrics import Metrics
from halo_otel.findings import Registry, RunInfo
from halo_otel.importers.files import read_traces
from halo_otel.model.finding import Severity, Status
from halo_otel.otlp import names
from halo_otel.selfobs import GAUGES, HELP, HISTOGRAMS, Counters
from halo_otel.service.offline import analyze_files
from tests.deploy.signoz import Json, builders, files, parsed, terms
from tests.emitter.conftest import Collector
from tests.service.running import Service

ROOT = Path(__file__).parents[2]
AGENTS = [ROOT / "tests" / "data" / f"{name}.jsonl.gz" for name in ("tau-airline", "intercode-sql")]
V6, VIEWS = files("dashboards/v6"), files("views")
QUERIES = {place: (request, spec) for place, request, spec in builders()}
PADDING_NS = 5 * 60 * 10**9  # querier.log_trace_id_window_padding and what the trace page asks


@dataclass
class Emitted:
    """What left halo-otel. A record or a span is {(context, key): value}, a metric {key: values}."""

    logs: list[dict[tuple[str, str], Any]] = field(default_factory=list)
    spans: list[dict[tuple[str, str], Any]] = field(default_factory=list)
    raw: list[Any] = field(default_factory=list)
    metrics: dict[str, dict[str, set[Any]]] = field(default_factory=dict)
    bounds: dict[str, tuple[int, int]] = field(default_factory=dict)


def flat(context: str, attributes: Any) -> dict[tuple[str, str], Any]:
    """Attributes with the values that SigNoz types; one of another kind is left None."""
    types = ("string_value", "int_value", "double_value", "bool_value")
    told = {}
    for pair in attributes:
        case = pair.value.WhichOneof("value")
        told[context, pair.key] = getattr(pair.value, case) if case in types else None
    return told


def type_of(value: Any) -> str:
    return {str: "string", int: "float64", float: "float64", bool: "bool"}[type(value)]


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    """An analysis of real agents' traces and one of made ones, told to a Collector."""
    told = Emitted()
    for span in read_traces(AGENTS, lambda bad: pytest.fail(str(bad))):
        start, end = told.bounds.get(span.trace_id, (span.start_ns, span.end_ns))
        told.bounds[span.trace_id] = min(start, span.start_ns), max(end, span.end_ns)
    collector = asyncio.run(_emit(tmp_path_factory.mktemp("signoz")))
    for request in collector.requests["logs"]:
        _take_logs(told, request)
    for request in collector.requests["traces"]:
        _take_spans(told, request)
    for request in collector.requests["metrics"]:
        _take_metrics(told, request)
    return told


def _take_logs(told: Emitted, request: Any) -> None:
    for source in request.resource_logs:
        about = flat("resource", source.resource.attributes)
        for record in chain.from_iterable(scope.log_records for scope in source.scope_logs):
            fields = {
                ("log", "timestamp"): record.time_unix_nano,
                ("log", "body"): record.body.string_value,
                ("log", "severity_text"): record.severity_text,
                ("log", "trace_id"): record.trace_id.hex(),
                ("log", "span_id"): record.span_id.hex(),
            }
            told.raw.append(record)
            told.logs.append(about | flat("attribute", record.attributes) | fields)


def _take_spans(told: Emitted, request: Any) -> None:
    for source in request.resource_spans:
        about = flat("resource", source.resource.attributes)
        for span in chain.from_iterable(scope.spans for scope in source.scope_spans):
            fields = {
                ("span", "timestamp"): span.start_time_unix_nano,
                ("span", "duration_nano"): span.end_time_unix_nano - span.start_time_unix_nano,
                ("span", "name"): span.name,
            }
            told.spans.append(about | flat("attribute", span.attributes) | fields)


def _take_metrics(told: Emitted, request: Any) -> None:
    for source in request.resource_metrics:
        about = flat("", source.resource.attributes)
        for metric in chain.from_iterable(scope.metrics for scope in source.scope_metrics):
            values = told.metrics.setdefault(metric.name, defaultdict(set))
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                for (_, key), value in (about | flat("", point.attributes)).items():
                    values[key].add(value)


async def _emit(directory: Path) -> Collector:
    collector, clock = Collector(), ManualClock()
    await collector.start()
    service = Service(directory)
    await service.start()
    await service.window(failing=10)
    registry = Registry(f"sqlite:///{directory / 'told.db'}", Emit(), service.counters)
    registry.open()
    config = OtlpExporter(endpoint=collector.endpoint)
    async with Emitter(registry, config, clock, service.counters, Random(7)) as emitter:
        made = service.analyst.latest
        assert made is not None
        for report in (analyze_files(AGENTS, Analysis(), _ignore, _ignore), made):
            window = report.window
            run = RunInfo(
                start_ns=window.start_ns, end_ns=window.end_ns, trigger="window", duration_s=1.5
            )
            registry.record(report, run, clock.now_ns())
        await emitter.tick(clock.now_ns())
    metrics = Metrics(
        config, service.counters.snapshot, Counters(), clock, interval_s=60, replica="local"
    )
    async with metrics:
        pass  # the last sample is sent on the way out
    registry.close()
    await service.stop()
    await collector.stop()
    return collector


def _ignore(*_: object) -> None:
    """Progress, and lines that are no telemetry: there are none."""


@cache
def counted() -> tuple[dict[str, set[str]], set[str]]:
    """Which attributes each metric has, as the code says that counts it; and those of metrics named by a variable."""
    exact: dict[str, set[str]] = defaultdict(set)
    loose: set[str] = set()
    for path in (ROOT / "halo_otel").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args
            ):
                continue
            if node.func.attr in ("add", "set", "observe"):
                keys = {one.arg for one in node.keywords if one.arg}
                first = node.args[0]
                if isinstance(first, ast.Constant) and first.value in HELP:
                    exact[str(first.value)] |= keys
                elif not isinstance(first, ast.Constant):
                    loose |= keys
    return exact, loose


# --- what they ask for is emitted


def found(record: dict[tuple[str, str], Any], key: tuple[str, str]) -> tuple[str, str]:
    """Where SigNoz finds a key: as it says, or in the resource, else an attribute, else a field of its own."""
    context, name = key
    contexts = (context,) if context else ("resource", "attribute", "log", "span")
    places = [(where, name) for where in contexts if (where, name) in record]
    assert places, f"{key} is nowhere in what is emitted"
    return places[0]


def fits(record: dict[tuple[str, str], Any], expression: str) -> bool:
    """Whether a record passes a filter, whatever its variables are."""
    for key, operator, values in terms(expression):
        value = record[found(record, key)]
        if operator == "EXISTS":
            if not value:
                return False
        elif not values[0].startswith("$") and value not in values:
            return False
    return True


def about(emitted: Emitted, spec: Json) -> list[dict[tuple[str, str], Any]]:
    """What was emitted of the kind that a filter begins with: the name of the event, or of the service."""
    first = spec["filter"]["expression"].split(" AND ")[0]
    records = emitted.logs if spec["signal"] == "logs" else emitted.spans
    return [record for record in records if fits(record, first)]


ASKED = [place for place, (_, spec) in QUERIES.items() if spec["signal"] != "metrics"]


@pytest.mark.parametrize("place", ASKED)
def test_what_is_asked_of_records_is_in_them(place: str, emitted: Emitted) -> None:
    """All keys, where they are said to be, with the types they are said to have; and values that there can be."""
    _, spec = QUERIES[place]
    records = about(emitted, spec)
    assert records
    known = {
        names.FINDING_STATUS: {one.value for one in Status},
        names.FINDING_SEVERITY: {one.value for one in Severity},
        names.EVENT_NAME: {names.EVENT_FINDING, names.EVENT_OCCURRENCE},
        names.RESOURCE_SERVICE_NAME: {names.SERVICE_NAME},
        "name": {names.SPAN_ANALYSIS},
    }
    for record in records:
        for key, operator, values in terms(spec["filter"]["expression"]):
            assert isinstance(record[found(record, key)], str)
            if operator != "EXISTS" and not values[0].startswith("$"):
                assert set(values) <= known[key[1]]
        for key in chain(spec.get("groupBy", ()), selected(place)):
            value = record[key["fieldContext"], key["name"]]
            assert key["fieldDataType"] in ("", type_of(value)), key
        for one in spec.get("aggregations", ()):
            function, _, argument = one["expression"].rstrip(")").partition("(")
            if argument:
                where = found(record, parsed(argument))
                assert type_of(record[where]) == (
                    "string" if function == "count_distinct" else "float64"
                )


def selected(place: str) -> list[Json]:
    """The columns of a list."""
    kind, _, rest = place.partition(" ")
    if kind == "view":
        return list(VIEWS[rest.partition("/")[0]]["spec"]["selectedFields"])
    dashboard, _, rest = place.partition("/")
    panels = V6[dashboard]["spec"]["panels"] if dashboard in V6 else {}
    panel = panels.get(rest.partition("/")[0])
    return list(panel["spec"]["plugin"]["spec"].get("selectFields", ())) if panel else []


@pytest.mark.parametrize("place", ASKED)
def test_what_is_asked_of_records_is_found(place: str, emitted: Emitted) -> None:
    """With all variables open. Nothing regresses in one run: that word is replaced by one that occurs."""
    _, spec = QUERIES[place]
    expression = spec["filter"]["expression"].replace("= 'regressed'", "= 'new'")
    assert [one for one in about(emitted, spec) if fits(one, expression)]


def test_a_bare_event_name_would_find_nothing(emitted: Emitted) -> None:
    """SigNoz takes the word before the dot for a context that logs do not have."""
    assert parsed("event.name") == ("event", "name")
    with pytest.raises(AssertionError, match="nowhere"):
        fits(emitted.logs[0], "event.name = 'halo.finding'")
    assert fits(emitted.logs[0], "attribute.event.name = 'halo.finding'")


MEASURED = [place for place, (_, spec) in QUERIES.items() if spec["signal"] == "metrics"]


@pytest.mark.parametrize("place", MEASURED)
def test_what_is_asked_of_metrics_is_measured(place: str, emitted: Emitted) -> None:
    """SigNoz keeps OTel's names; of a histogram it has `.bucket` (signozclickhousemetrics)."""
    _, spec = QUERIES[place]
    [asked] = spec["aggregations"]
    name = asked["metricName"].removesuffix(".bucket")
    assert name in HELP
    assert (name in HISTOGRAMS) == (name != asked["metricName"])
    expected = (
        {"latest"} if name in GAUGES else {""} if name in HISTOGRAMS else {"rate", "increase"}
    )
    assert asked["timeAggregation"] in expected
    assert asked["spaceAggregation"].startswith("p") == (name in HISTOGRAMS)
    asked_for = terms(spec["filter"]["expression"]) if "filter" in spec else []
    keys = {key for (_, key), _, _ in asked_for} | {key["name"] for key in spec.get("groupBy", ())}
    exact, loose = counted()
    resource = {names.RESOURCE_SERVICE_NAME, names.RESOURCE_SERVICE_INSTANCE}
    measured = emitted.metrics.get(name, {})
    assert keys <= (set(measured) or exact.get(name, loose) | resource)
    for (_, key), _, values in asked_for if measured else ():
        assert values[0].startswith("$") or set(values) <= measured[key]
    for key in spec.get("groupBy", ()):
        assert key["fieldContext"] == ("resource" if key["name"] in resource else "attribute")


def test_the_figures_of_an_analysis_were_really_measured(emitted: Emitted) -> None:
    assert {
        *(f"halo.findings.wasted_{what}" for what in ("tokens", "cost", "seconds")),
        *("halo.findings.open", "halo.analysis.outcomes", "halo.analysis.coverage"),
        *("halo.analysis.abstaining_detectors", "halo.analysis.runs", "halo.emitter.sent_records"),
    } <= set(emitted.metrics)


# --- the log page and the trace page join them


def test_occurrences_lie_inside_their_trace(emitted: Emitted) -> None:
    """SigNoz searches logs of a trace from five minutes before it to five minutes after it."""
    of_agents = [one for one in emitted.raw if one.trace_id.hex() in emitted.bounds]
    assert len(of_agents) > 3
    for record in of_agents:
        start, end = emitted.bounds[record.trace_id.hex()]
        assert start - PADDING_NS <= record.time_unix_nano <= end + PADDING_NS
        assert len(record.span_id) == 8


def test_records_are_of_two_kinds_and_their_values_are_flat(emitted: Emitted) -> None:
    """EventName is dropped, so the attribute tells it; maps and lists would become text."""
    seen = set()
    for record, values in zip(emitted.raw, emitted.logs, strict=True):
        assert values["attribute", "event.name"] == record.event_name
        is_occurrence = record.event_name == names.EVENT_OCCURRENCE
        assert bool(record.trace_id) == bool(record.span_id) == is_occurrence
        assert (values["log", "severity_text"], record.severity_number) in (
            *(("INFO", 9), ("WARN", 13)),
            *(("ERROR", 17), ("FATAL", 21)),
        )
        assert None not in [value for (where, _), value in values.items() if where == "attribute"]
        assert isinstance(values["resource", "service.name"], str)
        seen.add(record.event_name)
    assert seen == {names.EVENT_FINDING, names.EVENT_OCCURRENCE}
