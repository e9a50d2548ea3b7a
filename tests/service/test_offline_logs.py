"""Files that hold log records beside spans."""

import json
from pathlib import Path
from typing import Any

import pytest

from halo_otel.config.sections import Analysis
from halo_otel.importers.files import BadLine
from halo_otel.service.offline import analyze_files, tree_from_files

TRACE = "0af7651916cd43dd8448eb211c80319c"


def text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def a_span(number: int, *attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{1:016x}" if number > 1 else "",
        "name": "step",
        "startTimeUnixNano": str(10**18 + number * 10),
        "endTimeUnixNano": str(10**18 + number * 10 + 5),
        "attributes": list(attributes),
    }


def a_record(span: int, name: str, key: str, value: str) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": f"{span:016x}",
        "timeUnixNano": str(10**18 + span),
        "eventName": name,
        "body": {"kvlistValue": {"values": [text(key, value)]}},
    }


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """As a Collector's file exporter writes them: log records in one file, spans in another."""
    tool = text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", "search")
    agent = text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.agent.name", "booker")
    spans = [a_span(1, *agent), *(a_span(number, *tool) for number in range(2, 9))]
    records = [a_record(1, "gen_ai.user.message", "content", "Find a hotel in Tokyo")]
    for number in range(2, 9):
        records.append(a_record(number, "gen_ai.tool.message", "content", '{"city":"Tokyo"}'))
        records.append(a_record(number, "gen_ai.choice", "message", "nothing found"))
    paths = [tmp_path / "logs.jsonl", tmp_path / "spans.jsonl"]
    for path, outer, inner, leaf, rows in (
        (paths[0], "resourceLogs", "scopeLogs", "logRecords", records),
        (paths[1], "resourceSpans", "scopeSpans", "spans", spans),
    ):
        path.write_text(json.dumps({outer: [{inner: [{leaf: rows}]}]}) + "\n", encoding="utf-8")
    return paths


@pytest.mark.parametrize("order", [1, -1])
def test_log_records_join_their_spans(files: list[Path], order: int) -> None:
    bad: list[BadLine] = []
    report = analyze_files(files[::order], Analysis(), lambda read: None, bad.append)
    assert report.coverage.payload_captured == 1.0
    without = analyze_files(files[1:], Analysis(), lambda read: None, bad.append)
    assert without.coverage.payload_captured == 0.0
    nodes = tree_from_files(TRACE, files[::order], lambda read: None, bad.append)
    assert any("hotel in Tokyo" in node.name for node in nodes)
    assert not bad
