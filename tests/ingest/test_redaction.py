"""Nothing sensitive is stored, wherever in a request it stands."""

from pathlib import Path
from typing import Any

import duckdb
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import FrameKind, JournalReader
from halo_otel.redact.mask import Rules
from halo_otel.redact.redactor import Redactor
from halo_otel.selfobs import Counters
from halo_otel.window.schema import TABLES
from halo_otel.window.store import WindowStore
from tests.ingest.frames import JournalFile

MAIL = "anna.canary@mail.example.org"
KEY = "ghp_" + "Qw3rTy7uIoP2asDfG9hJkL4zXcV8bNm1Qa5Z"
CARD = 4539148803436467
CANARY = f"{MAIL} {KEY}"
# A text that is long, so that it is kept in pieces, and one in which numbers stand.
LONG = (
    '[{"role":"user","content":"'
    + "words " * 200
    + CANARY
    + '"},{"role":"assistant","content":"x"}]'
)
ARGUMENTS = f'{{"card": {CARD}, "{MAIL}": "{KEY}"}}'
# What the agent facts are made of.
NAMED = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.call.arguments": ARGUMENTS,
    "gen_ai.tool.call.result": LONG,
    "gen_ai.system_instructions": LONG,
    "gen_ai.tool.definitions": LONG,
    "gen_ai.input.messages": LONG,
    "gen_ai.output.messages": LONG,
    "error.type": MAIL,
}  # fmt: skip
TOLD = (
    "gen_ai.tool.name gen_ai.tool.call.id gen_ai.agent.name gen_ai.agent.id gen_ai.agent.version gen_ai.conversation.id"
    " gen_ai.request.model gen_ai.response.model gen_ai.provider.name user.id enduser.id session.id gen_ai.workflow.name"
    " service.version deployment.environment.name gen_ai.prompt.version exception.message gen_ai.response.finish_reasons"
    " input.value output.value llm.model_name metadata gen_ai.evaluation.name gen_ai.evaluation.explanation"
).split()


def fill(message: Message) -> None:
    """Put the canary into every field of text or bytes below `message`, one message in each list."""
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            kind = field.message_type.name if field.message_type else ""
            if kind == "KeyValue":
                attributes(getattr(message, field.name))
            elif kind == "AnyValue":
                anything(getattr(message, field.name))
            elif kind != "EntityRef":
                inner = getattr(message, field.name)
                fill(inner.add() if field.is_repeated else inner)
        elif field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            setattr(message, field.name, CANARY)
        elif field.name in ("trace_id", "span_id"):
            setattr(message, field.name, b"\x01" * (16 if field.name == "trace_id" else 8))


def attributes(pairs: Any) -> None:
    for key, value in (NAMED | dict.fromkeys(TOLD, CANARY)).items():
        pairs.add(key=key).value.string_value = value
    pairs.add(key="service.name").value.string_value = CANARY
    pairs.add(key=CANARY).value.string_value = "x"
    pairs.add(key="card number").value.int_value = CARD
    anything(pairs.add(key="nested").value)


def anything(value: Any) -> None:
    """All kinds of values at once."""
    for pair in (
        value.kvlist_value.values.add(key=CANARY),
        value.kvlist_value.values.add(key="list"),
    ):
        pair.value.array_value.values.add().string_value = CANARY
        pair.value.array_value.values.add().bytes_value = CANARY.encode()
        pair.value.array_value.values.add().string_value = LONG


def traces() -> bytes:
    """The same span as a tool's, an agent's and a model's."""
    message = ExportTraceServiceRequest()
    fill(message)
    scope_spans = message.resource_spans[0].scope_spans[0]
    first = scope_spans.spans[0]
    first.status.code = first.status.STATUS_CODE_ERROR
    first.start_time_unix_nano, first.end_time_unix_nano = 1, 2
    for number, operation in enumerate(("invoke_agent", "chat", "invoke_workflow"), 2):
        span = scope_spans.spans.add()
        span.CopyFrom(first)
        span.span_id = bytes([number]) * 8
        span.attributes[0].value.string_value = operation
        assert span.attributes[0].key == "gen_ai.operation.name"
    return message.SerializeToString()


def logs() -> bytes:
    message = ExportLogsServiceRequest()
    fill(message)
    return message.SerializeToString()


def ingested(directory: Path, redact: Redactor | None, counters: Counters) -> Path:
    """The one window that the requests become."""
    clock = ManualClock()
    journal = JournalFile(directory / "journal", clock)
    journal.append(traces())
    durable = journal.append(logs(), kind=FrameKind.LOGS)
    store = WindowStore(directory / "windows", sections.Window(keep="all"), counters)
    store.open()
    with JournalReader(journal.directory, 0) as reader:
        ingest = Ingest(reader, store, counters, clock, redact=redact)
        while ingest.tick(durable) is not None:
            pass
    clock.advance(600)
    store.seal_before(clock.now_ns())
    store.close()
    (path,) = (directory / "windows").glob("*.duckdb")
    return path


def told(path: Path) -> dict[str, list[str]]:
    """By table and column what it says, of the columns of text."""
    with duckdb.connect(str(path), read_only=True) as con:
        return {
            f"{table}.{name}": [
                str(value) for (value,) in con.execute(f'SELECT "{name}" FROM "{table}"').fetchall()
            ]
            for table, columns in TABLES.items()
            for name, kind in columns.items()
            if kind == "VARCHAR"
        }


# Columns of text that no words of a sender's reach: ids, and words of ours.
OURS = frozenset(
    "spans.trace_id spans.span_id spans.parent_span_id log_records.trace_id log_records.span_id spans.span_kind"
    " spans.dialects spans.cache_accounting spans.arguments_unknown spans.result_unknown spans.input_unknown"
    " spans.output_unknown spans.error_source spans.fact_sources log_records.genai_event let_go.service".split()
)
# Filled by other spans than this one.
ELSEWHERE = frozenset(
    "spans.evaluations spans.finish_reason spans.handoff_target spans.prompt_version spans.workflow".split()
)


def test_every_column_that_a_sender_reaches_is_reached_and_redacted(tmp_path: Path) -> None:
    """A new column of text is in one of the lists above, or the canary stands in it when nothing is redacted."""
    secrets = (MAIL, KEY, str(CARD))
    plain = told(ingested(tmp_path / "plain", None, Counters()))
    reached = {
        name for name, texts in plain.items() if any(s in text for s in secrets for text in texts)
    }
    assert plain.keys() - reached - OURS - ELSEWHERE == set()
    assert reached & OURS == set()

    counted: list[str] = []
    rules = Rules(("credentials", "email", "card"))
    redact = Redactor(b"k" * 32, rules, lambda kind, _: counted.append(kind))
    path = ingested(tmp_path / "redacted", redact, Counters())
    left = told(path)
    assert {
        name: texts for name, texts in left.items() if any(s in t for s in secrets for t in texts)
    } == {}
    assert {"e-mail", "GitHub token", "card number"} <= set(counted)
    for file in path.parent.iterdir():
        content = file.read_bytes() if file.is_file() else b""
        assert not any(secret.encode() in content for secret in secrets)
    assert {
        name
        for name in reached
        if not any("[e-mail " in text or "[GitHub" in text for text in left[name])
    } == set()
