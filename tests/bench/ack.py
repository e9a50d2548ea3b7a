"""How fast fsynced acknowledgements come: 512-span requests over OTLP/gRPC, 10 in flight.

    python tests/bench/ack.py [seconds of one run]

Server (receiver and journal) and client are processes of their own, as they are in use; the client
sends requests that were serialised before, over one connection. The journal by itself, with the same
requests and as many in flight, is measured in the same run: it is the limit.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.clock import SystemClock
from halo_otel.config import sections
from halo_otel.journal import FrameKind, Journal
from halo_otel.receiver.grpc_server import GrpcServer
from halo_otel.receiver.intake import Intake
from halo_otel.selfobs import Counters

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS = 512
IN_FLIGHT = 10
RUNS = 5
TARGET = 100_000


def request() -> bytes:
    """One serialised request of small spans, about 450 bytes each."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "booking"
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "opentelemetry.instrumentation.openai"
    for number in range(1, SPANS + 1):
        span = scope_spans.spans.add(
            trace_id=(number // 8 + 1).to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            parent_span_id=(number // 8 + 1).to_bytes(8, "big"),
            name="execute_tool search_flights",
            start_time_unix_nano=1_700_000_000_000_000_000 + number,
            end_time_unix_nano=1_700_000_001_000_000_000 + number,
        )
        for key in range(10):
            attribute = span.attributes.add(key=f"gen_ai.attribute.{key}")
            attribute.value.string_value = f"value {number * key:08}"
    return message.SerializeToString()


async def open_journal(directory: Path, counters: Counters) -> Journal:
    """A journal whose frames count as ingested at once, so that it never fills up."""
    journal = Journal(directory, sections.Journal(), SystemClock(), counters)
    journal.on_durable(journal.checkpoint)
    return journal


async def serve(directory: Path) -> None:
    """The server process: prints its port, ends with its standard input."""
    counters = Counters()
    journal = await open_journal(directory, counters)
    intake = Intake(journal, sections.Otlp(), counters)
    config = sections.Grpc(endpoint="localhost:0")
    async with journal, GrpcServer(config, intake, counters, SystemClock()) as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def send(port: int, seconds: float) -> None:
    """The client process: prints spans acknowledged per second."""
    payload = request()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        export = channel.unary_unary(METHOD, None, None)
        await export(payload)
        began = time.perf_counter()
        acknowledged = 0

        async def worker() -> None:
            nonlocal acknowledged
            while time.perf_counter() - began < seconds:
                answer = await export(payload)
                assert answer == b"", "not a full success"
                acknowledged += SPANS

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        print(acknowledged / (time.perf_counter() - began))


async def append(directory: Path, seconds: float) -> float:
    """Spans per second that the journal alone takes."""
    payload = request()
    async with await open_journal(directory, Counters()) as journal:
        began = time.perf_counter()
        appended = 0

        async def worker() -> None:
            nonlocal appended
            while time.perf_counter() - began < seconds:
                await journal.append(FrameKind.TRACES, payload)
                appended += SPANS

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        return appended / (time.perf_counter() - began)


def process(*arguments: str) -> subprocess.Popen[str]:
    """This file as another process."""
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run(directory: Path, seconds: float) -> tuple[float, float]:
    """One measurement: acknowledged spans/s, and the journal's own spans/s."""
    with process("serve", str(directory / "served")) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        with process("send", port, str(seconds)) as client:
            assert client.stdout is not None
            acknowledged = float(client.stdout.read())
    return acknowledged, asyncio.run(append(directory / "appended", seconds))


def main(seconds: float) -> None:
    """Print the median of a few runs."""
    print(f"{SPANS} spans of {len(request()) // SPANS} bytes a request, {IN_FLIGHT} in flight")
    results = []
    for number in range(1, RUNS + 1):
        with tempfile.TemporaryDirectory() as directory:
            results.append(run(Path(directory), seconds))
        print(f"run {number}: {results[-1][0]:9,.0f} acked spans/s", flush=True)
    acknowledged, journal = (statistics.median(column) for column in zip(*results, strict=True))
    print(f"acked  {acknowledged:9,.0f} spans/s, each fsynced (target {TARGET:,})")
    print(f"limit  {journal:9,.0f} spans/s into the journal alone")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", directory]:
            asyncio.run(serve(Path(directory)))
        case ["send", port, seconds]:
            asyncio.run(send(int(port), float(seconds)))
        case [seconds]:
            main(float(seconds))
        case _:
            main(2.0)
