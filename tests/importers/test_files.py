"""Every accepted format gives the same spans; whatever is bad is named and passed over."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from halo_otel.errors import BadFile
from halo_otel.importers import formats
from halo_otel.importers.files import BadLine, read_requests, read_telemetry, read_traces
from halo_otel.model.span import LogRecord, Span
from halo_otel.otlp.decode import decode_traces
from halo_otel.otlp.jsonrequest import request_from_json

LINES = gzip.decompress(
    (Path(__file__).parents[1] / "data" / "intercode-sql.jsonl.gz").read_bytes()
).splitlines(keepends=True)
MESSAGES = [request_from_json(line, "traces").SerializeToString() for line in LINES]
SPANS = [span for message in MESSAGES for span in decode_traces(message)]
LOG_LINE = (
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5","body":'
    b'{"stringValue":"said"},"traceId":"0123456789abcdef0123456789abcdef"}]}]}]}\n'
)


def read(*paths: Path) -> tuple[list[Span], list[BadLine]]:
    bad: list[BadLine] = []
    return list(read_traces(paths, bad.append)), bad


def prefixed(messages: list[bytes]) -> bytes:
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)


FORMATS: dict[str, Callable[[], bytes]] = {
    "lines": lambda: b"".join(LINES),
    "lines with CRLF, blanks and a byte order mark": lambda: (
        b"\xef\xbb\xbf\r\n" + b"\r\n\r\n".join(line.rstrip() for line in LINES)
    ),
    "array": lambda: b"[" + b",".join(LINES) + b"]",
    "pretty array": lambda: json.dumps([json.loads(line) for line in LINES], indent=2).encode(),
    "pretty object": lambda: json.dumps(
        {"resourceSpans": [group for line in LINES for group in json.loads(line)["resourceSpans"]]},
        indent=2,
    ).encode(),
    "message": lambda: b"".join(MESSAGES),  # concatenated messages merge: that is protobuf
    "length-prefixed": lambda: prefixed(MESSAGES),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_every_format_gives_the_same_spans(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "no-telling-suffix"
    file.write_bytes(pack(FORMATS[name]()))
    assert read(file) == (SPANS, [])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_requests(tmp_path: Path, name: str) -> None:
    file = tmp_path / "traces"
    file.write_bytes(FORMATS[name]())
    bad: list[BadLine] = []
    requests = list(read_requests([file], bad.append))
    assert [span for request in requests for span in decode_traces(request)] == SPANS
    assert not bad


BAD_LINES = [
    (b'{"resourceSpans": [{"scopeSp\n', "not JSON"),
    (b'{"resourceSpans": [5]}\n', "resourceSpans[0]: expected an object"),
    (b'{"resourceMetrics": []}\n', "neither resourceSpans nor resourceLogs"),
    (b"[1]\n", "expected an object"),
    (b"\x00\xff\n", "not JSON"),
]


@pytest.mark.parametrize(
    ("line", "why", "place"),
    [
        (line, why, place)
        for line, why in BAD_LINES
        for place in (0, 1, 3)
        if place or line.startswith(b"{")  # else the file does not begin like JSON lines
    ],
)
def test_a_bad_line_costs_itself_only(tmp_path: Path, line: bytes, why: str, place: int) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_bytes(b"".join([*LINES[:place], line, *LINES[place:]]))
    spans, (bad,) = read(file)
    assert spans == SPANS
    assert (bad.path, bad.number) == (file, place + 1)
    assert why in bad.why


def test_a_line_torn_at_the_end_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_bytes(b"".join(LINES)[:-10])
    spans, (bad,) = read(file)
    assert spans == SPANS[: len(spans)]
    assert 0 < len(spans) < len(SPANS)
    assert bad.number == 3


def test_a_line_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "REQUEST_BYTES_MAX", 100_000)
    long = b'{"resourceSpans":[' + b" " * 100_000 + b"]}\n"
    file = tmp_path / "traces.jsonl"
    file.write_bytes(b"".join([LINES[0], long, *LINES[1:]]))
    spans, (bad,) = read(file)
    assert spans == SPANS
    assert bad.number == 2
    assert "longer than" in bad.why


def test_gzip_that_ends_early_gives_what_it_holds(tmp_path: Path) -> None:
    lines = [LINES[0].replace(b"\n", b" " * index + b"\n") for index in range(3000)]
    packed = gzip.compress(b"".join(lines))
    file = tmp_path / "traces.jsonl.gz"
    file.write_bytes(packed[: len(packed) // 2])
    spans, (bad,) = read(file)
    assert len(spans) >= 3
    assert "compressed data" in bad.why


def test_length_prefixed_file_that_ends_early(tmp_path: Path) -> None:
    file = tmp_path / "traces.pb"
    file.write_bytes(prefixed(MESSAGES)[:-5])
    spans, (bad,) = read(file)
    assert spans == SPANS[: len(spans)]
    assert len(spans) > 0
    assert bad.number == 3


def test_log_records_come_along(tmp_path: Path) -> None:
    message = ExportLogsServiceRequest()
    message.resource_logs.add().scope_logs.add().log_records.add(
        time_unix_nano=6, trace_id=b"t" * 16
    )
    (tmp_path / "a.jsonl").write_bytes(LINES[0] + LOG_LINE)
    (tmp_path / "b.pb").write_bytes(message.SerializeToString())
    bad: list[BadLine] = []
    found: list[Any] = list(read_telemetry([tmp_path], bad.append))
    records = [record for record in found if isinstance(record, LogRecord)]
    assert [(record.time_ns, record.body) for record in records] == [(5, "said"), (6, None)]
    assert any(isinstance(record, Span) for record in found)
    assert not bad


def test_replay_reports_what_is_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_bytes(LINES[0] + LOG_LINE)
    bad: list[BadLine] = []
    assert list(read_requests([file], bad.append)) == MESSAGES[:1]
    assert [line.number for line in bad] == [2]


def test_a_directory_is_read_sorted_and_other_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.pb").write_bytes(MESSAGES[2])
    (tmp_path / "a.jsonl").write_bytes(LINES[0])
    (tmp_path / "b" / "1.json.gz").write_bytes(gzip.compress(LINES[1]))
    (tmp_path / "README.md").write_text("no traces", encoding="utf-8")
    (tmp_path / "labels.json").write_text('{"set": 1}', encoding="utf-8")
    spans, bad = read(tmp_path)
    assert sorted(spans, key=SPANS.index) == spans == SPANS
    assert {line.path.name for line in bad if line.number == 0} == {"README.md", "labels.json"}


@pytest.mark.parametrize(
    "content",
    [
        b"a;b;c\n1;2;3\n",
        b"{broken",
        b'{"name": "not traces"}',
        b'[{"name": "not traces"}]',
        b"\x0a\xff\xff",
        b"\x1f\x8bnot gzip",
        b'{"x": 1}\n' * 1000,
        "ü".encode("utf-16"),
    ],
)
def test_a_file_that_is_no_trace_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    bad: list[BadLine] = []
    with pytest.raises(BadFile, match=r"file .*") as refusal:
        list(read_traces([file], bad.append))
    assert str(file) in str(refusal.value)
    assert len(bad) < 100


def test_missing_paths_and_empty_directories_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(BadFile, match=path.name):
            read(path)


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    """The Collector's file exporter creates its file before the first span comes."""
    file = tmp_path / "traces.jsonl"
    for content in (b"", b"\n\n"):
        file.write_bytes(content)
        assert read(file) == ([], [])


def test_an_empty_request_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_bytes(b"{}\n")
    assert read(file) == ([], [])
