"""Files of every format that is read: spans come out or it is said why not, and spans that came out can be sent."""

import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import pyarrow
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pyarrow import parquet

from halo_otel.errors import BadFile
from halo_otel.importers.files import read_requests, read_telemetry
from halo_otel.importers.parquet import rows
from halo_otel.model.span import LogRecord, Span
from halo_otel.otlp.decode import decode_traces
from tests.fuzz import laws, messages, samples, trees
from tests.fuzz.trees import Bytes
from tests.importers import exports

RUNS: Final = 750

_PARQUET: Final = b"PAR1"
_GZIP: Final = b"\x1f\x8b"
_INFLATED_BYTES_MAX: Final = 1 << 20
_FILE: Final = Path(tempfile.mkdtemp()) / "traces"


def check(data: bytes) -> None:
    _FILE.write_bytes(data)
    try:
        records = list(read_telemetry([_FILE], lambda bad: None))
    except BadFile:
        records = []
    spans = [record for record in records if isinstance(record, Span)]
    laws.check_ids(spans)
    laws.check_spans(spans)
    laws.check_records([record for record in records if isinstance(record, LogRecord)])
    try:
        sent = list(read_requests([_FILE], lambda bad: None))
    except BadFile:
        return
    for request in sent:
        list(decode_traces(request))


def mutate(data: bytes, rng: Random, change: Bytes) -> bytes | None:
    """What is in a file is changed and packed again as it was."""
    if data.startswith(_GZIP):
        return _rezipped(data, rng, change)
    if data.startswith(_PARQUET):
        return _rewritten(data, rng, change)
    if data[:1] == b"\x0a":
        return messages.mutated_message(data, ExportTraceServiceRequest, rng, change)
    if data[4:5] == b"\x0a":
        inner = messages.mutated_message(data[4:], ExportTraceServiceRequest, rng, change)
        return None if inner is None else len(inner).to_bytes(4, "big") + inner
    lines = data.splitlines(keepends=True)
    if not lines:
        return None
    number = rng.randrange(len(lines))
    changed = trees.mutated_text(lines[number], rng, change)
    if changed is None:
        return trees.mutated_text(data, rng, change)
    return b"".join((*lines[:number], changed, b"\n", *lines[number + 1 :]))


def _rezipped(data: bytes, rng: Random, change: Bytes) -> bytes | None:
    try:
        plain = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data, _INFLATED_BYTES_MAX)
    except zlib.error:
        return None
    return gzip.compress(mutate(plain, rng, change) or change(plain, len(plain) + 32), 1, mtime=0)


def _rewritten(data: bytes, rng: Random, change: Bytes) -> bytes | None:
    _FILE.write_bytes(data)
    try:
        return _as_parquet(trees.mutated(list(rows(_FILE)), rng, change))
    except BadFile:
        return None


def _as_parquet(found: Any) -> bytes | None:
    if not isinstance(found, list) or not found or not all(isinstance(row, dict) for row in found):
        return None
    out = io.BytesIO()
    try:
        parquet.write_table(pyarrow.Table.from_pylist(found), out, compression="none")
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError):
        return None  # a column of several types, an object without members
    return out.getvalue()


def seeds() -> Iterator[bytes]:
    trees_ = [
        *exports.HALO, exports.HALO_TRACE, *exports.LANGFUSE_V2, exports.LANGFUSE_TRACE, exports.LANGFUSE_BLOB,
        *exports.PHOENIX, *exports.phoenix_rows(), exports.PHOENIX_OTLP, exports.JAEGER, exports.JAEGER_STORED,
    ]  # fmt: skip
    for tree in trees_:
        yield orjson.dumps(tree)
        yield orjson.dumps([tree], option=orjson.OPT_INDENT_2)
    yield b"\n".join(map(orjson.dumps, exports.HALO))
    yield orjson.dumps({"data": exports.LANGFUSE_V2})
    message = samples.full()
    binary, text = message.SerializeToString(), laws.as_json(message)
    yield from (binary, text, samples.logs().SerializeToString(), laws.as_json(samples.logs()))
    yield len(binary).to_bytes(4, "big") + binary
    yield from (gzip.compress(text, mtime=0), gzip.compress(binary, mtime=0))
    for table in ([{**exports.LANGFUSE_BLOB, "metadata": None}], exports.phoenix_rows()):
        if (written := _as_parquet(table)) is not None:
            yield written
