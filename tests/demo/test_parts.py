"""The demo's parts, each alone: programs, the stand-in, the programme, the narrator, the matching."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from halo_otel.clock import NS_PER_S, SystemClock
from halo_otel.demo.faults import Label
from halo_otel.demo.narrator import Narrator, safe
from halo_otel.demo.process import Program, free_ports, python_variables
from halo_otel.demo.programme import FAULTS, HEALTHY_SERVICE, bursts
from halo_otel.demo.returned import Returned, from_files
from halo_otel.demo.standin import StandIn
from halo_otel.demo.traffic import Traffic
from halo_otel.errors import Unreachable
from halo_otel.model.finding import (
    Effect,
    Evidence,
    Finding,
    Impact,
    Role,
    Severity,
    Subject,
    fingerprint,
)
from halo_otel.model.report import Coverage, Report, WindowSummary
from halo_otel.model.span import LogRecord, Resource, Scope, SpanId, TraceId
from halo_otel.otlp.encode import requests

NOW_NS = 1_790_000_000 * NS_PER_S
SERVER = (
    "import http.server as h, sys; "
    "h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler).serve_forever()"
)


def program(code: str, *arguments: str, log: Path) -> Program:
    return Program("it", [sys.executable, "-c", code, *arguments], log, python_variables())


def a_finding(label: Label, *, traces: Sequence[str], category: str | None = None) -> Finding:
    subject = Subject(service=label.fault.service, agent=label.fault.agent, tool=label.fault.tool)
    return Finding(
        fingerprint=fingerprint("test", subject),
        detector="test",
        category=category or label.category,
        title="a title",
        summary="a summary",
        subject=subject,
        severity=Severity.WARN,
        confidence=0.9,
        impact=Impact(traces_affected=len(traces), traces_exposed=100),
        effect=Effect(measure="rate", value=0.1, ci=(0.05, 0.2)),
        traces=tuple(TraceId(one) for one in traces),
        evidence=(
            Evidence(
                trace_id=TraceId(traces[0]),
                span_id=SpanId("ab" * 8),
                role=Role.CAUSE,
                note="a note",
                time_ns=NOW_NS,
            ),
        ),
        root_cause=None,
        recommendation="do this",
        priority=1.0,
    )


async def test_a_program_is_ready_when_it_answers_and_stopped_on_the_way_out(
    tmp_path: Path,
) -> None:
    [port] = free_ports(1)
    address = f"127.0.0.1:{port}"
    async with program(SERVER, str(port), log=tmp_path / "log") as running:
        await running.ready(address, "/", SystemClock())
        process = running._process
    assert process is not None
    assert process.returncode == -signal.SIGTERM


async def test_a_program_that_ends_by_itself_says_why(tmp_path: Path) -> None:
    [port] = free_ports(1)
    dying = program("raise SystemExit('no disk left')", log=tmp_path / "log")
    with pytest.raises(Unreachable, match="no disk left"):
        async with dying as running:
            await running.ready(f"127.0.0.1:{port}", "/", SystemClock())


async def test_a_program_sees_nothing_of_this_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALO_WINDOW_LENGTH", "7")
    code = "import os; raise SystemExit(str([k for k in os.environ if 'HALO' in k]))"
    with pytest.raises(Unreachable, match=r"\[\]"):
        async with program(code, log=tmp_path / "log") as running:
            await running.ready(f"127.0.0.1:{free_ports(1)[0]}", "/", SystemClock())


async def test_the_stand_in_keeps_all_three_signals(clean: Traffic) -> None:
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name = "halo.finding"
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="halo.findings.open")
    [spans] = requests(clean.spans[:100])
    async with StandIn() as door:
        async with grpc.aio.insecure_channel(door.findings_endpoint) as channel:
            for signal_name, payload in (
                ("trace.v1.TraceService", spans),
                ("logs.v1.LogsService", logs.SerializeToString()),
                ("metrics.v1.MetricsService", metrics.SerializeToString()),
            ):
                export = channel.unary_unary(
                    f"/opentelemetry.proto.collector.{signal_name}/Export",
                    request_serializer=None,
                    response_deserializer=None,
                )
                assert await export(payload) == b""
        returned = door.returned()
    assert len(returned.spans) == 100
    assert len(returned.findings) == 1
    assert not returned.occurrences
    assert returned.metrics == {"halo.findings.open"}


def test_files_of_a_collector_are_read_as_far_as_they_are_written(tmp_path: Path) -> None:
    assert from_files(tmp_path) == Returned()
    line = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"halo.finding"}]}]}]}\n'
    (tmp_path / "halo-findings.jsonl").write_bytes(line + line + line[:40])
    assert len(from_files(tmp_path).findings) == 2


def test_the_programme_is_over_when_it_is_sent() -> None:
    sent = list(bursts(NOW_NS))
    assert all(span.end_ns < NOW_NS for burst in sent for span in burst.spans)
    traces = [{span.trace_id for span in burst.spans} for burst in sent]
    assert sum(map(len, traces)) == len(set().union(*traces))  # no trace is torn over two bursts
    assert HEALTHY_SERVICE not in {fault.service for fault in FAULTS}
    for fault in FAULTS:
        hits = [
            len(one.occurrences) for burst in sent for one in burst.labels if one.fault == fault
        ]
        assert sum(hits) >= 5, fault


def test_a_fault_is_told_by_a_finding_about_the_same_traces(faulty: Traffic) -> None:
    label = faulty.labels[0]
    inside = sorted(label.trace_ids)
    outside = [trace for trace in faulty.trace_ids if trace not in label.trace_ids]
    assert label.told_by(a_finding(label, traces=inside))
    assert label.told_by(a_finding(label, traces=[*inside, *outside[: len(inside)]]))
    assert not label.told_by(a_finding(label, traces=[*inside, *outside[: len(inside) + 1]]))
    assert not label.told_by(a_finding(label, traces=inside, category="cost"))
    other = a_finding(label, traces=inside, category=label.also[0])
    assert label.told_by(other, also=True)
    assert not label.told_by(other)
    finding = a_finding(label, traces=inside)
    for wrong in (
        replace(finding.subject, service="another"),
        replace(finding.subject, agent="another"),
        replace(finding.subject, tool="another"),
    ):
        assert not label.told_by(replace(finding, subject=wrong))
    assert label.told_by(replace(finding, subject=Subject()))


@given(st.text())
def test_no_text_of_a_trace_reaches_the_terminal_as_a_command(text: str) -> None:
    assert all(c.isprintable() for c in safe(text))


def test_the_narrator_tells_everything(faulty: Traffic, capsys: pytest.CaptureFixture[str]) -> None:
    label = faulty.labels[0]
    traces = sorted(label.trace_ids)
    finding = replace(
        a_finding(label, traces=traces), title="evil \x1b[2J[red] title", first_seen_ns=NOW_NS
    )
    record = LogRecord(
        trace_id=TraceId(traces[0]),
        span_id=SpanId("ab" * 8),
        time_ns=NOW_NS,
        observed_ns=NOW_NS,
        severity_number=13,
        severity_text="WARN",
        event_name="halo.finding.occurrence",
        body="the body",
        attributes={"halo.finding.id": "an id"},
        flags=0,
        dropped_attributes_count=0,
        resource=Resource(attributes={"service.name": "a service"}),
        scope=Scope(name="halo_otel", version="1"),
    )
    narrator = Narrator(quiet=False)
    report = Report(
        window=WindowSummary(
            start_ns=NOW_NS, end_ns=NOW_NS, traces=9, spans=99, services=("a",), settled=9, late=0
        ),
        coverage=Coverage(payload_captured=1, outcome_known=1),
        findings=(finding,),
    )
    narrator.findings([finding], report)
    narrator.returned(Returned(log_records=[record]), "the Collector")
    narrator.planted([label, faulty.labels[1]], [finding])
    narrator.healthy("a service", 100, [])
    narrator.healthy("a service", 100, [finding])
    narrator.ending("/tmp/demo", traces[0], 12)
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "[red] title" in told
    for text in (
        "do this",
        "a note",
        "the body",
        "halo.finding.id = an id",
        "2 faults, found 1",
        "no finding of severity warn",
        "1 false alarms in 100 runs",
        f"halo-otel tree {traces[0]}",
        "otlp_grpc/halo",
    ):
        assert text in told, text
