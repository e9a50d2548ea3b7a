"""No query asks for a name that does not exist: those of an analysis of real traces, and those of /metrics."""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.findings import Registry, RunInfo, SignalKind
from halo_otel.model.finding import Severity, Status
from halo_otel.otlp import names
from halo_otel.selfobs import HELP, HISTOGRAMS, Counters
from halo_otel.service.offline import analyze_files
from tests.deploy.queries import FILLED, Query, dashboards, every, panels
from tests.deploy.test_alerts import served

ROOT = Path(__file__).parents[2]
QUERIES = every()
NOW_NS = 1_790_000_000 * NS_PER_S
# What Loki gives every record that came over OTLP (emission.md C2), and subjects' keys that these traces lack.
LOKI_ITSELF = {"service_name", "trace_id", "span_id", "detected_level"}
STANDARD = {"gen_ai_request_model", "error_type"}
SCRAPED = {"instance", "job", "le"}


def of(language: str) -> list[Any]:
    return [pytest.param(q, id=q.place) for q in QUERIES if q.language == language]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What an analysis of real traces tells: names of attributes by event, span and span event."""
    report = analyze_files(
        [ROOT / "tests" / "data" / "intercode-sql.jsonl.gz"],
        sections.Analysis(),
        lambda _: None,
        lambda *_: None,
    )
    url = f"sqlite:///{tmp_path_factory.mktemp('told') / 'registry.db'}"
    registry = Registry(url, sections.Emit(), Counters())
    registry.open()
    run = RunInfo(start_ns=NOW_NS - NS_PER_S, end_ns=NOW_NS, trigger="window", duration_s=1.0)
    registry.record(report, run, NOW_NS)
    found: dict[str, set[str]] = defaultdict(set)
    for kind in (SignalKind.LOG, SignalKind.SPAN):
        for record in registry.pending(kind, 10_000, NOW_NS, 1.0):
            for name, attributes in _said(json.loads(record.payload)):
                found[name] |= attributes
    registry.close()
    return found


def _said(payload: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    for scope in payload.get("scopeLogs", []):
        for record in scope["logRecords"]:
            yield record["eventName"], {pair["key"] for pair in record["attributes"]}
    for scope in payload.get("scopeSpans", []):
        for span in scope["spans"]:
            yield span["name"], {pair["key"] for pair in span["attributes"]}
            for event in span["events"]:
                yield f"event {event['name']}", {pair["key"] for pair in event["attributes"]}


def labels_of(attributes: set[str]) -> set[str]:
    """As Loki names them."""
    return {re.sub(r"\W", "_", name) for name in attributes}


def logql_labels(text: str) -> set[str]:
    """The labels that a LogQL query reads; what it formats itself is not among them."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    made = set(re.findall(r'(\w+)=""', bare.partition("label_format")[2]))
    read = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*""', bare))
    read |= {
        name for group in re.findall(r"by \(([^)]*)\)", bare) for name in re.findall(r"\w+", group)
    }
    read |= set(re.findall(r"unwrap (\w+)", bare)) | set(re.findall(r"[{ ]\.(\w+)", text))
    return read - made


@pytest.mark.parametrize("query", of("logql"))
def test_a_logql_query_reads_what_findings_bear(query: Query, told: dict[str, set[str]]) -> None:
    text = query.filled()
    event = re.search(r'event_name="([\w.]+)"', text)
    bear = told[event[1]] if event else set()
    assert bear or "data source" in query.place
    read = logql_labels(text)
    assert read
    assert read <= labels_of(bear) | LOKI_ITSELF | STANDARD


def test_the_reader_of_logql_sees_wrong_names() -> None:
    text = 'sum by (one) (count_over_time({a="x"} | b!="y" | unwrap c [5m]))'
    assert logql_labels(text) == {"one", "a", "b", "c"}
    assert logql_labels('{a="x"} | label_format d="{{.halo_x}}"') == {"a", "halo_x"}


def test_columns_are_what_findings_bear(told: dict[str, set[str]]) -> None:
    """Tables take their columns out of the labels of log records."""
    for board in dashboards().values():
        for panel in panels(board):
            for target in panel["targets"] if panel["type"] == "table" else ():
                event = re.search(r'event_name="([\w.]+)"', target.get("expr", ""))
                if event is None:
                    continue
                known = labels_of(told[event[1]]) | LOKI_ITSELF | STANDARD
                steps = json.dumps(panel["transformations"])
                columns = set(
                    re.findall(r"\b(?:halo_finding|gen_ai|service|trace|span|error)_\w+", steps)
                )
                assert columns
                assert columns <= known, panel["title"]


@pytest.mark.parametrize("query", of("traceql"))
def test_a_traceql_query_reads_what_the_analysis_bears(
    query: Query, told: dict[str, set[str]]
) -> None:
    text = query.filled()
    span = set(re.findall(r"\bspan\.([\w.]+)", text))
    event = set(re.findall(r"\bevent\.([\w.]+)", text))
    assert span <= told[names.SPAN_ANALYSIS]
    assert event <= told[f"event {names.EVENT_FINDING}"]
    if "resource.service.name" in text:
        assert f'"{names.SERVICE_NAME}"' in text
        assert f'name = "{names.SPAN_ANALYSIS}"' in text
    else:
        assert FILLED["trace_id"] in text


@cache
def counted() -> dict[str, set[str]]:
    """The attributes that each metric is counted with, read off the code."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "halo_otel").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("add", "set", "observe")
                and "counters" in ast.unparse(node.func.value)
            ):
                first = node.args[0]
                name = first.value if isinstance(first, ast.Constant) else ""
                found[str(name)] |= {word.arg for word in node.keywords if word.arg}
    found["halo.analysis.outcomes"] |= {"service", "agent", "outcome"}  # spread from a mapping
    return found


@pytest.mark.parametrize("query", of("promql"))
def test_a_promql_query_reads_what_metrics_serve(query: Query) -> None:
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query.filled())
    metrics = set(re.findall(r"\bhalo_\w+", text))
    assert metrics
    assert metrics <= served()
    known, attributes = counted(), set(SCRAPED)
    for metric in metrics:
        attributes |= known.get(_counter(metric)) or known[""]
    read = set(re.findall(r'(\w+)(?:=~|!~|!=|=)""', text))
    read |= {
        name for group in re.findall(r"by \(([^)]*)\)", text) for name in re.findall(r"\w+", group)
    }
    assert read <= attributes
    assert text.count("(") == text.count(")")


def _counter(metric: str) -> str:
    """The name in `selfobs.HELP` of a metric as Prometheus has it."""
    bare = re.sub(r"_(total|bucket|sum|count)$", "", metric)
    [name] = [one for one in HELP if re.sub(r"\W", "_", one) in (metric, bare)]
    assert name not in HISTOGRAMS or metric != bare
    return name


def test_choices_are_those_there_are() -> None:
    for board in dashboards().values():
        for variable in board["templating"]["list"]:
            if variable["name"] == "severity":
                assert variable["query"].split(",") == [severity.value for severity in Severity]
    said = " ".join(query.text for query in QUERIES)
    for status in re.findall(r'halo_finding_status=~?"([\w|]+)"', said):
        assert set(status.split("|")) <= {status.value for status in Status}
