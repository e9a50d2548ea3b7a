"""What one core of the engine can take: spans/s of decode, normalise, rows, insert and of all of it.

    python tests/bench/ingest.py [spans]

The spans are about 1 KB on the wire with 10 attributes, in requests of 512: model and tool calls by
turns, as an instrumented agent sends them. The whole is the real thing: from a journal directory
through `Ingest.tick` into a window file, DuckDB on one thread.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from halo_otel.agentspan.normalise import normalise
from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.ingest.rows import RowBuilder
from halo_otel.journal import FrameKind, Journal, JournalReader
from halo_otel.otlp.decode import decode_traces
from halo_otel.selfobs import Counters
from halo_otel.window.schema import Batch
from halo_otel.window.store import WindowStore
from halo_otel.window.tables import arrow_table

SPANS_PER_REQUEST = 512
SAMPLE_REQUESTS = 16  # about the 8 MiB of a tick

WORDS = (
    "find book flight hotel window seat lisbon berlin march euros under refund policy cheapest "
    "customer asked whether baggage allowance includes musical instruments for connecting segments"
).split()
MODEL_ATTRIBUTES: dict[str, str | int] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.response.model": "gpt-5-mini-2026-01",
    "gen_ai.usage.input_tokens": 1834,
    "gen_ai.usage.output_tokens": 212,
    "gen_ai.agent.name": "booking",
    "gen_ai.conversation.id": "conversation-118273",
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"@"}]}]',
    "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"tool_call","id":"call_1",'
    '"name":"search_flights","arguments":{"to":"LIS","from":"BER"}}],"finish_reason":"tool_call"}]',
}
TOOL_ATTRIBUTES: dict[str, str | int] = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "search_flights",
    "gen_ai.tool.type": "function",
    "gen_ai.tool.call.id": "call_7Hs2kQ",
    "gen_ai.agent.name": "booking",
    "gen_ai.conversation.id": "conversation-118273",
    "gen_ai.tool.call.arguments": '{"to": "LIS", "from": "BER", "date": "2026-03-03", "max": 200}',
    "gen_ai.tool.call.result": '{"flights": [{"id": "TP533", "price": 184.5, "note": "@"}]}',
    "server.address": "flights.internal",
    "server.port": 8443,
}


def request(number: int, start_ns: int) -> bytes:
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    for key, text in (("service.name", "booking"), ("service.version", "2.3.1"), ("host", "a1")):
        group.resource.attributes.add(key=key).value.string_value = text
    scope_spans = group.scope_spans.add()
    scope_spans.scope.name = "opentelemetry.instrumentation.agents"
    for index in range(number * SPANS_PER_REQUEST, (number + 1) * SPANS_PER_REQUEST):
        fill(scope_spans.spans.add(), index, start_ns)
    return message.SerializeToString()


def fill(span: SpanMessage, index: int, start_ns: int) -> None:
    span.trace_id = (index // 20 + 1).to_bytes(16, "big")
    span.span_id = (index + 1).to_bytes(8, "big")
    span.parent_span_id = (index // 20 * 20 + 1).to_bytes(8, "big")
    span.start_time_unix_nano = start_ns + index * 1_000_000
    span.end_time_unix_nano = span.start_time_unix_nano + 750_000_000
    model = index % 2 == 0
    span.name = "chat gpt-5-mini" if model else "execute_tool search_flights"
    span.kind = SpanMessage.SPAN_KIND_CLIENT if model else SpanMessage.SPAN_KIND_INTERNAL
    words = " ".join(random.Random(index).choices(WORDS, k=55))
    for key, value in (MODEL_ATTRIBUTES if model else TOOL_ATTRIBUTES).items():
        attribute = span.attributes.add(key=key).value
        if isinstance(value, int):
            attribute.int_value = value
        else:
            attribute.string_value = value.replace("@", words)


def main(spans: int) -> None:
    clock = ManualClock()
    requests = max(SAMPLE_REQUESTS, spans // SPANS_PER_REQUEST)
    payloads = [request(number, clock.now_ns()) for number in range(requests)]
    spans = requests * SPANS_PER_REQUEST
    print(
        f"{spans} spans of {sum(map(len, payloads)) // spans} bytes, {SPANS_PER_REQUEST} a request"
    )
    with tempfile.TemporaryDirectory() as directory:
        stages = stage_seconds(Path(directory) / "stages", payloads[:SAMPLE_REQUESTS])
        whole, elapsed = whole_seconds(Path(directory), payloads, clock)
    whole /= spans
    sample = SAMPLE_REQUESTS * SPANS_PER_REQUEST
    for stage, seconds in stages.items():
        each = seconds / sample
        print(f"{stage:10}{1 / each:10,.0f} spans/s {each * 1e6:6.1f} µs {each / whole:6.1%}")
    print(f"{'whole':10}{1 / whole:10,.0f} spans/s {whole * 1e6:6.1f} µs")
    print(f"{'elapsed':10}{spans / elapsed:10,.0f} spans/s, fsync and other processes included")


def stage_seconds(directory: Path, payloads: list[bytes]) -> dict[str, float]:
    """The best of a few runs of each stage by itself, in seconds of CPU time."""
    spans = [span for payload in payloads for span in decode_traces(payload)]

    def rows() -> Batch:
        builder = RowBuilder()
        for position, span in enumerate(spans):
            builder.add_span(span, 0, position)
        return builder.batch()

    batch = rows()
    store = WindowStore(directory, sections.Window(threads=1), Counters())
    store.open()
    normalising = best(lambda: [normalise(span) for span in spans])
    seconds = {
        "decode": best(lambda: [0 for payload in payloads for _ in decode_traces(payload)]),
        "normalise": normalising,
        "rows": best(rows) - normalising,
        "arrow": best(lambda: arrow_table("spans", batch.spans)),
    }
    inserting = best(lambda: store.insert(0, batch, store.resume_offset + 1))
    store.close()
    return seconds | {"insert": inserting - seconds["arrow"]}


def best(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(5):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


def whole_seconds(
    directory: Path, payloads: list[bytes], clock: ManualClock
) -> tuple[float, float]:
    """CPU seconds and elapsed seconds from a journal to a window."""
    journal = directory / "journal"
    durable = asyncio.run(write_journal(journal, payloads, clock))
    store = WindowStore(directory / "windows", sections.Window(threads=1), Counters())
    store.open()
    ingest = Ingest(JournalReader(journal, 0), store, Counters(), clock)
    began, began_cpu = time.perf_counter(), time.process_time()
    while ingest.tick(durable) is not None:
        pass
    ended, ended_cpu = time.perf_counter(), time.process_time()
    clock.advance(300)
    ingest.tick(durable)
    (window,) = store.windows()
    sealed = time.perf_counter() - ended
    print(f"sealed in {sealed:.2f} s, {window.bytes_ / window.spans:.0f} bytes a span on disk")
    store.close()
    return ended_cpu - began_cpu, ended - began


async def write_journal(directory: Path, payloads: list[bytes], clock: ManualClock) -> int:
    async with Journal(directory, sections.Journal(), clock, Counters()) as journal:
        for payload in payloads:
            await journal.append(FrameKind.TRACES, payload)
        return journal.durable_offset


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
