"""A run told in spans and log records, in whatever order requests bring them."""

from itertools import permutations

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.ingest.pump import Ingest
from halo_otel.journal import FrameKind
from halo_otel.window.store import WindowStore
from tests.ingest.frames import JournalFile

TRACE_ID, SPAN_ID = bytes(range(16)), bytes(range(8))
WINDOW_S = 400.0  # longer than a window


def span() -> bytes:
    message = ExportTraceServiceRequest()
    call = message.resource_spans.add().scope_spans.add().spans.add(name="chat gpt-4o")
    call.trace_id, call.span_id = TRACE_ID, SPAN_ID
    for key, text in (("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")):
        call.attributes.add(key=key).value.string_value = text
    return message.SerializeToString()


def event(name: str, moment: int, **members: str) -> bytes:
    """As the OpenAI instrumentation writes it: a message in the body, observed but not timed."""
    message = ExportLogsServiceRequest()
    record = message.resource_logs.add().scope_logs.add().log_records.add(event_name=name)
    record.trace_id, record.span_id = TRACE_ID, SPAN_ID
    record.observed_time_unix_nano = moment
    values = record.body.kvlist_value.values
    if name == "gen_ai.choice":
        values.add(key="finish_reason").value.string_value = "stop"
        values = values.add(key="message").value.kvlist_value.values
    for key, text in members.items():
        values.add(key=key).value.string_value = text
    return message.SerializeToString()


REQUESTS = {
    "span": (FrameKind.TRACES, span()),
    "old question": (FrameKind.LOGS, event("gen_ai.user.message", 1, content="Hot?")),
    "question": (FrameKind.LOGS, event("gen_ai.user.message", 2, content="Warm? " * 99)),
    "answer": (FrameKind.LOGS, event("gen_ai.choice", 3, role="assistant", content="Yes.")),
}


@pytest.mark.parametrize("seconds", [0.0, WINDOW_S], ids=["one window", "a window each"])
@pytest.mark.parametrize("order", list(permutations(REQUESTS)), ids=" - ".join)
def test_order_does_not_matter(
    journal: JournalFile,
    ingest: Ingest,
    store: WindowStore,
    order: tuple[str, ...],
    seconds: float,
) -> None:
    for name in order:
        kind, payload = REQUESTS[name]
        journal.append_over_time([(payload, seconds)], kind)
    while ingest.tick(journal.durable) is not None:
        pass
    assert len(store.windows()) == (len(order) if seconds else 1)
    with store.view(0) as view:
        view.join_logs()
        query = "SELECT input_text, output_text, finish_reason FROM spans"
        assert view.con.execute(query).fetchall() == [("Warm? " * 99, "Yes.", "stop")]
