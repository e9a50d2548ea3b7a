"""Files and directories of traces to spans and log records, or to requests for a replay."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from halo_otel.errors import BadFile, BadRequest
from halo_otel.importers.formats import ACCEPTED, Part, parts
from halo_otel.model.span import LogRecord, Span
from halo_otel.otlp import jsontext
from halo_otel.otlp.decode import decode_logs, decode_traces
from halo_otel.otlp.jsonlines import log_records_from_tree, spans_from_tree
from halo_otel.otlp.jsonrequest import request_from_tree

T = TypeVar("T")

# A file whose first lines are all bad is not a trace file with a bad line in it.
_BAD_LINES_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """What could not be read: line `number` of `path`; 0 stands for the whole file."""

    path: Path
    number: int
    why: str


OnBad = Callable[[BadLine], None]


def read_telemetry(paths: Sequence[Path], on_bad: OnBad) -> Iterator[Span | LogRecord]:
    """All spans and log records in `paths`, files or directories, in the files' order.

    A directory stands for every file below it, sorted by path; files in it that hold no telemetry
    are reported to `on_bad` and passed over. Raises `BadFile` for a path that does not exist, for a
    named file that is not a trace file, and for a directory without any.
    """
    return _read(paths, on_bad, _telemetry)


def read_traces(paths: Sequence[Path], on_bad: OnBad) -> Iterator[Span]:
    """As `read_telemetry`, the spans only."""
    return (record for record in read_telemetry(paths, on_bad) if isinstance(record, Span))


def read_requests(paths: Sequence[Path], on_bad: OnBad) -> Iterator[bytes]:
    """As `read_telemetry`, but as serialized `ExportTraceServiceRequest`s as they stand in the file.

    Requests that hold log records are reported to `on_bad`: they are not traces.
    """
    return _read(paths, on_bad, _request)


def _read(
    paths: Sequence[Path], on_bad: OnBad, convert: Callable[[Part], Iterable[T]]
) -> Iterator[T]:
    for path in paths:
        if not path.is_dir():
            yield from _read_file(path, on_bad, convert)
            continue
        read = 0
        for member in sorted(file for file in path.rglob("*") if file.is_file()):
            try:
                yield from _read_file(member, on_bad, convert)
                read += 1
            except BadFile as error:
                on_bad(BadLine(path=member, number=0, why=str(error)))
        if not read:
            raise BadFile(f"{path} holds no trace file: expected {ACCEPTED}")


def _read_file(path: Path, on_bad: OnBad, convert: Callable[[Part], Iterable[T]]) -> Iterator[T]:
    good = bad = 0
    why = ""
    for part in parts(path):
        try:
            if part.problem is not None:
                raise BadRequest(part.problem)
            items = convert(part)
        except BadRequest as error:
            bad, why = bad + 1, str(error)
            if not good and bad == _BAD_LINES_MAX:
                break
            on_bad(BadLine(path=path, number=part.number, why=why))
        else:
            good += 1
            yield from items
    if bad and not good:
        raise BadFile(f"{path} is not a trace file: {why}; expected {ACCEPTED}")


def _telemetry(part: Part) -> Iterable[Span | LogRecord]:
    if part.format == "protobuf":
        return _telemetry_of_message(part.content)
    tree = jsontext.loads(part.content)
    return log_records_from_tree(tree) if _holds_logs(tree) else spans_from_tree(tree)


def _telemetry_of_message(message: bytes) -> Iterable[Span | LogRecord]:
    """The spans of a serialized request, or its log records: the bytes do not say which it is.

    Log records read as spans are garbage or have no ids, so nothing comes of them.
    """
    try:
        spans = list(decode_traces(message))
    except BadRequest:
        return decode_logs(message)
    return spans or decode_logs(message)


def _request(part: Part) -> Iterable[bytes]:
    if part.format == "protobuf":
        if next(decode_traces(part.content), None) is None:
            raise BadRequest("holds no spans")
        return [part.content]
    tree = jsontext.loads(part.content)
    if _holds_logs(tree):
        raise BadRequest("holds log records, not spans")
    return [request_from_tree(tree, "traces").SerializeToString()]


def _holds_logs(tree: Any) -> bool:
    """Whether the JSON of a request holds log records; raises `BadRequest` if it holds neither."""
    keys = tree.keys() if isinstance(tree, dict) else set()
    if keys & {"resourceLogs", "resource_logs"}:
        return True
    if keys and not keys & {"resourceSpans", "resource_spans"}:
        raise BadRequest(f"neither resourceSpans nor resourceLogs, but {sorted(keys)[:5]!r}"[:200])
    return False
