"""Spans per second from a real Collector until they can be queried, and what an idle service costs.

    python tests/bench/sustained.py [spans per second] [seconds]

A sender gives the Collector a fixed rate of ~1 KB spans with ten attributes; printed are what
arrived in windows over the same time, how far the journal grew, how long the service took to be
ready and what it holds in memory when idle.
"""

import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script
from tests.built import built
from tests.path.conftest import Collector, Service, eventually

SPANS_PER_REQUEST = 500
TEXT = "The traveller asked for an earlier connection with a short stop on the way. " * 8


def request() -> ExportTraceServiceRequest:
    """500 tool spans of ~1 KB, ids fresh."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    service = resource_spans.resource.attributes.add(key="service.name")
    service.value.string_value = "bench"
    spans = resource_spans.scope_spans.add().spans
    now = time.time_ns()
    for index in range(SPANS_PER_REQUEST):
        span = spans.add(name="execute_tool search", start_time_unix_nano=now - 10**9)
        span.end_time_unix_nano = now
        if index % 10 == 0:
            trace = uuid.uuid4().bytes
        span.trace_id, span.span_id = trace, uuid.uuid4().bytes[:8]
        for key, text in (
            ("gen_ai.operation.name", "execute_tool"),
            ("gen_ai.tool.name", "search"),
            ("gen_ai.tool.call.id", f"call-{index}"),
            ("gen_ai.tool.call.arguments", f'{{"query": "{index} {now}"}}'),
            ("gen_ai.tool.call.result", TEXT[: 500 + index % 90]),
            ("gen_ai.agent.name", "bench"),
            ("gen_ai.conversation.id", f"s-{index // 10}"),
            ("deployment.environment.name", "bench"),
        ):
            span.attributes.add(key=key).value.string_value = text
        span.attributes.add(key="step").value.int_value = index
        span.attributes.add(key="score").value.double_value = index / 7
    return message


class Sender(threading.Thread):
    """Sends `rate` spans per second to a port, ids renewed cheaply between requests."""

    def __init__(self, port: int, rate: float, seconds: float) -> None:
        super().__init__(daemon=True)
        self.port, self.rate, self.seconds = port, rate, seconds
        self.sent = 0
        self.elapsed = 0.0

    def run(self) -> None:
        templates = [request() for _ in range(8)]
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            stub = TraceServiceStub(channel)
            started = time.monotonic()
            while (now := time.monotonic() - started) < self.seconds:
                ahead = self.sent / self.rate - now
                if ahead > 0:
                    threading.Event().wait(ahead)
                message = templates[(self.sent // SPANS_PER_REQUEST) % len(templates)]
                fresh = uuid.uuid4().bytes
                for index, span in enumerate(message.resource_spans[0].scope_spans[0].spans):
                    number = (self.sent + index).to_bytes(8, "big")
                    span.span_id = number[4:] + fresh[:4]
                    span.trace_id = fresh[:12] + (index // 10).to_bytes(4, "big")
                stub.Export(message, timeout=30)
                self.sent += SPANS_PER_REQUEST
            self.elapsed = time.monotonic() - started


def memory_mb(service: Service) -> float:
    """Resident memory of the service's processes together."""
    assert service.process.popen is not None
    front = service.process.popen.pid
    children = Path(f"/proc/{front}/task/{front}/children").read_text(encoding="utf-8").split()
    kilobytes = 0
    for pid in (str(front), *children):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def main(rate: float, seconds: float) -> None:
    binary = built("collector")
    with tempfile.TemporaryDirectory() as scratch:
        service = Service(Path(scratch) / "service", {"HALO_EXPORTERS_OTLP_ENABLED": "false"})
        collector = Collector(binary, Path(scratch) / "collector", service)
        started = time.monotonic()
        service.start()
        print(f"start to ready     {time.monotonic() - started:8.2f} s")
        print(f"idle memory        {memory_mb(service):8.0f} MB (two processes, RSS added)")
        try:
            collector.start()
            sender = Sender(collector.agents_port, rate, seconds)
            sender.start()
            sender.join(seconds / 2)
            half = service.metric("halo_journal_bytes")
            sender.join()
            end = service.metric("halo_journal_bytes")
            stored = service.metric("halo_ingest_spans_total")
            print(f"sent               {sender.sent / sender.elapsed:8,.0f} spans/s of {rate:,.0f}")
            print(f"stored meanwhile   {stored / sender.elapsed:8,.0f} spans/s")
            print(
                f"journal            {half / 1e6:8.1f} MB half-way, {end / 1e6:.1f} MB at the end"
            )
            drained = time.monotonic()
            eventually(
                "all is stored",
                lambda: service.metric("halo_ingest_spans_total") >= sender.sent,
                120,
            )
            print(f"drained            {time.monotonic() - drained:8.2f} s after the last was sent")
            print(f"memory under load  {memory_mb(service):8.0f} MB")
        finally:
            collector.stop()
            service.stop()


if __name__ == "__main__":
    main(
        float(sys.argv[1]) if len(sys.argv) > 1 else 10_000,
        float(sys.argv[2]) if len(sys.argv) > 2 else 30,
    )
