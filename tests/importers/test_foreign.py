"""Exports of other tools give the facts that the same spans give over OTLP; what is bad costs itself."""

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from halo_otel.agentspan.normalise import normalise
from halo_otel.errors import BadFile
from halo_otel.importers.files import BadLine, read_requests, read_traces
from halo_otel.model.facts import AgentFacts, SpanKind
from halo_otel.model.span import Span
from halo_otel.otlp.decode import decode_traces
from halo_otel.service.loading import load
from tests.importers import exports


def lines(*trees: Any) -> bytes:
    return b"".join(json.dumps(tree).encode() + b"\n" for tree in trees)


def parquet(rows: list[dict[str, Any]], path: Path, **columns: pyarrow.DataType) -> None:
    names = list(dict.fromkeys(key for row in rows for key in row))
    table = pyarrow.Table.from_pylist([{key: row.get(key) for key in names} for row in rows])
    for name, kind in columns.items():
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, table.column(name).cast(kind))
    pyarrow.parquet.write_table(table, path, row_group_size=1)


def read(path: Path) -> tuple[list[Span], list[BadLine]]:
    bad: list[BadLine] = []
    return list(read_traces([path], bad.append)), bad


@pytest.fixture
def spans_of(tmp_path: Path) -> Callable[[bytes], list[Span]]:
    """The spans of a file without a telling name, of which no line may be bad."""

    def spans(content: bytes) -> list[Span]:
        path = tmp_path / "export"
        path.write_bytes(content)
        found, bad = read(path)
        assert not bad
        return found

    return spans


def facts(span: Span) -> AgentFacts:
    return normalise(span)


Spans = Callable[[bytes], list[Span]]


def test_halo(spans_of: Spans) -> None:
    tool, llm = spans_of(lines(*exports.HALO))
    assert tool.trace_id == exports.TRACE
    assert (len(tool.span_id), len(llm.span_id)) == (16, 16)
    assert tool.parent_span_id == llm.span_id
    assert tool.attributes["halo.source.span_id"] == "261fcb79ae604e8ca68f610e"
    assert "halo.source.trace_id" not in tool.attributes
    assert (tool.start_ns % 10**9, tool.end_ns % 10**9) == (957984001, 82104000)
    assert (tool.kind, llm.kind, llm.status_code) == (1, 3, 1)
    assert tool.resource.attributes == {"service.name": "halo-openai-agents-demo"}
    assert (tool.scope.name, tool.scope.version) == ("openai-agents-sdk", "0.14.4")
    assert (facts(tool).kind, facts(tool).tool_name) == (SpanKind.TOOL, "list_files")
    assert facts(tool).tool_arguments == '{"subdir":"./","pattern":"*.py"}'
    assert facts(tool).error_message == "Error running tool (non-fatal)"
    assert (facts(llm).kind, facts(llm).model_requested) == (SpanKind.LLM, "gpt-4o-mini")
    assert (facts(llm).input_tokens, facts(llm).output_tokens) == (325, 21)


def test_a_trace_of_halo(spans_of: Spans) -> None:
    (tool,) = spans_of(lines(exports.HALO_TRACE))
    assert (facts(tool).kind, facts(tool).tool_name) == (SpanKind.TOOL, "grep")
    assert (tool.span_id, tool.parent_span_id) == ("cd21c8dbed207202", "3cfc80d4c287d373")
    assert (tool.resource.attributes["service.name"], tool.scope.version) == ("halo-demo", "1.4.1")


def test_a_span_that_names_no_trace_belongs_to_the_one_it_stands_in(spans_of: Spans) -> None:
    trace = copy.deepcopy(exports.HALO_TRACE)
    del trace["spans"][0]["traceId"]
    assert spans_of(lines(trace)) == spans_of(lines(exports.HALO_TRACE))


LANGFUSE_FILES: dict[str, Callable[[], bytes]] = {
    "lines": lambda: lines(*exports.LANGFUSE_V2),
    "array": lambda: json.dumps(exports.LANGFUSE_V2).encode(),
    "pretty array": lambda: json.dumps(exports.LANGFUSE_V2, indent=2).encode(),
    "an answer of the API": lambda: lines({"data": exports.LANGFUSE_V2, "meta": {}}),
    "trace and observations": lambda: json.dumps(
        {
            "trace": {"id": "0af7651916cd43dd8448eb211c80319c", "name": "book a flight"},
            "observations": exports.LANGFUSE_V2,
        },
        indent=2,
    ).encode(),
}


@pytest.mark.parametrize("name", LANGFUSE_FILES)
def test_langfuse_observations(spans_of: Spans, name: str) -> None:
    agent, llm, tool = spans_of(LANGFUSE_FILES[name]())
    assert agent.parent_span_id == ""
    assert llm.parent_span_id == tool.parent_span_id == agent.span_id == "b7ad6b7169203331"
    assert agent.resource.attributes == {"service.name": "travel", "service.version": "1.2"}
    assert agent.scope.name == "langfuse-sdk"
    assert (facts(agent).kind, facts(agent).agent_name) == (SpanKind.AGENT, "travel-agent")
    assert (facts(agent).session_id, facts(agent).user_id) == ("chat-42", "user-7")
    assert facts(agent).input_text == "a flight to Oslo"
    assert (facts(llm).kind, facts(llm).model_requested) == (SpanKind.LLM, "gpt-4o")
    assert (facts(llm).input_tokens, facts(llm).output_tokens) == (120, 30)
    assert (facts(llm).cache_read_tokens, facts(llm).cost) == (20, 0.003)
    assert (facts(llm).input_text, facts(llm).output_text) == ("a flight to Oslo", "I search")
    assert facts(llm).prompt_version == "3"
    assert (llm.end_ns - llm.start_ns, llm.status_code) == (1_500_000_000, 0)
    assert (facts(tool).kind, facts(tool).tool_name) == (SpanKind.TOOL, "search_flights")
    assert facts(tool).tool_arguments == '{"to":"OSL"}'
    assert facts(tool).error_message == "TimeoutError: no answer in 500 ms"
    assert tool.status_code == 2


def test_a_langfuse_trace_gives_its_observations_what_it_knows(spans_of: Spans) -> None:
    llm, tool = spans_of(lines(exports.LANGFUSE_TRACE))
    assert llm.trace_id == "3f2b8c1e7a644a0e9d1b5a6f0c9e1d2a"
    assert tool.parent_span_id == llm.span_id
    assert llm.attributes["halo.source.span_id"] == "11111111-7a64-4a0e-9d1b-5a6f0c9e1d2a"
    for span in (llm, tool):
        assert (facts(span).session_id, facts(span).user_id) == ("chat-42", "user-7")
        assert span.attributes["langfuse.trace.name"] == "book a flight"
    assert llm.attributes["langfuse.trace.input"] == '{"question":"a flight to Oslo"}'
    assert "langfuse.trace.input" not in tool.attributes
    assert llm.end_ns == llm.start_ns  # it never ended
    assert (facts(llm).input_tokens, facts(llm).output_tokens) == (120, 30)
    assert facts(llm).cost == 0.003
    assert facts(tool).tool_arguments == '{"to":"OSL"}'
    assert facts(tool).tool_result == '[{"flight":"SK1"}]'


@pytest.mark.parametrize("form", ["lines", "parquet"])
def test_langfuse_blob_export(tmp_path: Path, form: str) -> None:
    path = tmp_path / "export"
    row = {**exports.LANGFUSE_BLOB, "metadata": None}
    if form == "parquet":
        parquet([row], path)
    else:
        path.write_bytes(lines(exports.LANGFUSE_BLOB))
    (llm,), bad = read(path)
    assert not bad
    assert llm.parent_span_id == "b7ad6b7169203331"
    assert (facts(llm).kind, facts(llm).model_requested) == (SpanKind.LLM, "gpt-4o")
    assert (facts(llm).input_tokens, facts(llm).output_tokens) == (120, 30)
    assert llm.end_ns - llm.start_ns == 1_500_000_000


def test_a_langfuse_span_that_came_over_otlp_gets_its_attributes_back(spans_of: Spans) -> None:
    observation = {
        **exports.LANGFUSE_V2[2],
        "metadata": {
            "attributes": {
                "gen_ai.tool.call.id": "call_1",
                "gen_ai.operation.name": "execute_tool",
            },
            "mine": {"deep": 1},
        },
    }
    (tool,) = spans_of(lines(observation))
    assert facts(tool).tool_call_id == "call_1"
    assert tool.attributes["langfuse.observation.metadata.mine.deep"] == 1


def check_phoenix(llm: Span, tool: Span) -> None:
    assert llm.parent_span_id == tool.span_id == "2a2b3c4d5e6f7a8b"
    assert llm.start_ns == 1785578400000000000
    assert llm.end_ns - llm.start_ns == 1_250_000_000
    assert (facts(llm).kind, facts(llm).model_requested) == (SpanKind.LLM, "gpt-4o")
    assert (facts(llm).input_tokens, facts(llm).output_tokens) == (100, 50)
    assert (facts(llm).input_text, facts(llm).output_text) == ("a flight to Oslo", "I search")
    assert (facts(tool).kind, facts(tool).tool_name) == (SpanKind.TOOL, "search_flights")
    assert json.loads(facts(tool).tool_arguments or "") == {"to": "OSL"}
    assert (facts(tool).tool_result, facts(tool).session_id) == ("nothing", "chat-42")
    assert json.loads(str(tool.attributes["metadata"])) == {"tier": 1}
    assert (tool.status_code, tool.parent_span_id) == (2, "")
    assert (tool.events[0].name, tool.events[0].time_ns) == ("exception", 1785578401500000000)
    assert (facts(tool).error_type, facts(tool).error_source) == ("TimeoutError", "status")


def with_counted_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As pandas' `to_json` writes times."""
    times = {
        "2026-08-01T12:00:00+02:00": 1785578400000,
        "2026-08-01T10:00:01.250000+00:00": 1785578401250,
        "2026-08-01T10:00:00+00:00": 1785578400000,
        "2026-08-01T10:00:02+00:00": 1785578402000,
    }
    return [
        {
            key: times.get(value, value) if isinstance(value, str) else value
            for key, value in row.items()
        }
        for row in rows
    ]


PHOENIX_FILES: dict[str, Callable[[], bytes]] = {
    "lines": lambda: lines(*exports.PHOENIX),
    "an answer of the API": lambda: lines({"data": exports.PHOENIX, "next_cursor": None}),
    "rows": lambda: json.dumps(exports.phoenix_rows()).encode(),
    "rows of pandas": lambda: json.dumps(with_counted_times(exports.phoenix_rows())).encode(),
}


@pytest.mark.parametrize("name", PHOENIX_FILES)
def test_phoenix(spans_of: Spans, name: str) -> None:
    check_phoenix(*spans_of(PHOENIX_FILES[name]()))


def test_phoenix_otlp(spans_of: Spans) -> None:
    (tool,) = spans_of(lines({"data": [exports.PHOENIX_OTLP], "next_cursor": None}))
    assert (facts(tool).kind, facts(tool).tool_name) == (SpanKind.TOOL, "search_flights")
    assert (tool.span_id, tool.status_code) == ("2a2b3c4d5e6f7a8b", 2)


def test_phoenix_parquet_by_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "export"
    rows = exports.phoenix_rows()
    for row in rows:
        for key in ("start_time", "end_time"):
            row[key] = pyarrow.scalar(row[key]).cast(pyarrow.timestamp("ns", "UTC")).as_py()
    parquet(rows, path, start_time=pyarrow.timestamp("ns", "UTC"))
    spans, bad = read(path)
    assert not bad
    check_phoenix(*spans)


def test_jaeger(spans_of: Spans) -> None:
    for tree in (exports.JAEGER, exports.JAEGER["data"][0]):
        tool, llm = spans_of(lines(tree))
        assert tool.parent_span_id == llm.span_id
        assert [link.span_id for link in tool.links] == ["709541b92cf05311"]
        assert (tool.start_ns, tool.end_ns - tool.start_ns) == (1706678909209712000, 123_000)
        assert tool.resource.attributes == {"service.name": "travel", "service.version": "1.2"}
        assert tool.resource is llm.resource
        assert (tool.scope.name, tool.kind, llm.kind) == ("agents", 1, 3)
        assert (tool.status_code, tool.status_message) == (2, "no answer")
        assert (facts(tool).kind, facts(tool).tool_name) == (SpanKind.TOOL, "search_flights")
        assert facts(tool).tool_arguments == '{"to":"OSL"}'
        assert facts(tool).error_type == "TimeoutError"
        assert (facts(llm).kind, facts(llm).model_requested) == (SpanKind.LLM, "gpt-4o")
        assert (facts(llm).input_tokens, facts(llm).output_tokens) == (120, 30)


def test_a_span_as_jaeger_stores_it(spans_of: Spans) -> None:
    (llm,) = spans_of(lines(exports.JAEGER_STORED))
    assert llm.trace_id == "0000000000000000c98a977e0711cc93"
    assert llm.span_id == "0007af99e3b3e074"
    assert llm.parent_span_id == "0009541b92cf05311"[-16:]
    assert llm.resource.attributes == {"service.name": "travel", "host.name": "box"}
    assert llm.attributes["stream"] is True
    assert (facts(llm).model_requested, facts(llm).input_tokens) == ("gpt-4o", 120)


ALL: dict[str, list[Any]] = {
    "HALO": exports.HALO,
    "HALO traces": [exports.HALO_TRACE],
    "Langfuse": exports.LANGFUSE_V2,
    "Langfuse traces": [exports.LANGFUSE_TRACE],
    "Phoenix": exports.PHOENIX,
    "Phoenix rows": exports.phoenix_rows(),
    "Jaeger": exports.JAEGER["data"],
    "Jaeger, stored": [exports.JAEGER_STORED],
}


@pytest.mark.parametrize("name", ALL)
def test_a_replay_sends_what_analysis_reads(tmp_path: Path, name: str) -> None:
    path = tmp_path / "export.gz"
    path.write_bytes(gzip.compress(lines(*ALL[name])))
    spans, _ = read(path)
    bad: list[BadLine] = []
    sent = [
        span for request in read_requests([path], bad.append) for span in decode_traces(request)
    ]
    assert not bad
    assert sorted(sent, key=str) == sorted(spans, key=str)


@pytest.mark.parametrize("name", ALL)
def test_a_second_import_gives_the_same_ids(spans_of: Spans, name: str) -> None:
    assert spans_of(lines(*ALL[name])) == spans_of(lines(*copy.deepcopy(ALL[name])))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("place", [0, 1])
def test_a_bad_line_is_told_with_its_number_and_costs_itself(
    tmp_path: Path, name: str, place: int
) -> None:
    path = tmp_path / "export.jsonl"
    good = [json.dumps(tree) for tree in ALL[name]]
    path.write_text("\n".join(good), encoding="utf-8")
    spans, _ = read(path)
    bad_lines = ['{"torn": ', '{"unknown": 1}', "[5]", '{"context.span_id": 7}']
    path.write_text("\n".join([*good[:place], *bad_lines, *good[place:]]), encoding="utf-8")
    if place == 0:
        path.write_text("\n".join([bad_lines[1], *good]), encoding="utf-8")
        bad_lines = bad_lines[1:2]
    found, bad = read(path)
    assert found == spans
    assert [line.number for line in bad] == [place + 1 + n for n in range(len(bad_lines))]
    assert {line.path for line in bad} == {path}


def test_a_bad_span_inside_a_line_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    trace = copy.deepcopy(exports.JAEGER)
    trace["data"][0]["spans"][0]["startTime"] = "soon"
    trace["data"].append("rubbish")
    path.write_bytes(json.dumps(trace, indent=1).encode())
    spans, bad = read(path)
    assert [span.name for span in spans] == ["chat gpt-4o"]
    assert bad[0].why == "[1] Jaeger span 1: startTime: expected microseconds, got 'soon'"
    assert bad[1].why.startswith("[2] neither OTLP nor")
    batches = load([path], bad.append, workers=1)
    names = [[str(name) for name in batch.spans["name"]] for batch in batches]
    assert names == [["chat gpt-4o"]]
    assert bad[2:] == bad[:2]


def test_a_parquet_row_that_is_bad_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "export.parquet"
    rows = exports.phoenix_rows()
    rows.insert(1, {**rows[0], "start_time": "yesterday"})
    parquet(rows, path)
    spans, (bad,) = read(path)
    assert len(spans) == 2
    assert (bad.path, bad.number) == (path, 2)


def test_mixed_directories_are_read_as_one(tmp_path: Path) -> None:
    for name, trees in ALL.items():
        (tmp_path / name).write_bytes(lines(*trees))
    parquet(exports.phoenix_rows(), tmp_path / "z.bin")
    (tmp_path / "notes.txt").write_text("no traces", encoding="utf-8")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1torn")
    spans, bad = read(tmp_path)
    assert len(spans) == 2 + 1 + 3 + 2 + 2 + 2 + 2 + 1 + 2
    assert {line.path.name for line in bad} == {"notes.txt", "torn.parquet"}


@pytest.mark.parametrize(
    "content",
    [
        b"PAR1",
        b"PAR1" + bytes(100),
        lines({"id": "t", "timestamp": "2026-01-01T00:00:00Z", "htmlPath": "/t"}),
        b'{"data": [1, 2]}',
        b'{"a":' * 400 + b"1" + b"}" * 400,
        b"[" * 2000,
        b"[" + b'{"a":' * 400 + b"1" + b"}" * 400 + b"]",
    ],
)
def test_a_file_that_holds_no_spans_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=str(path)):
        list(read_traces([path], lambda bad: None))


def test_hostile_values_are_values(spans_of: Spans) -> None:
    nasty = "\x1b[2J<script>'; DROP TABLE spans; --\u202e\x00"
    (span,) = spans_of(
        lines(
            {
                **exports.HALO[1],
                "span_id": nasty,
                "name": nasty,
                "attributes": {
                    nasty: nasty,
                    "big": 2**63,
                    "huge": 10**30,
                    "deep": [[["x"]]],
                    "empty": {},
                    "many": {"a": {"b": {"c": [{"d": None}, {"d": 1}]}}},
                },
            }
        )
    )
    assert span.name == nasty
    assert span.attributes[nasty] == nasty
    assert span.attributes["halo.source.span_id"] == nasty
    assert span.attributes["big"] == float(2**63)
    assert span.attributes["deep"] == '[[["x"]]]'
    assert span.attributes["many.a.b.c.1.d"] == 1
