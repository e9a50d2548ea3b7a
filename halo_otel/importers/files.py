"""Files and directories of traces to spans and log records, or to requests for a replay."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeAlias, TypeVar

from halo_otel.errors import BadFile, BadRequest
from halo_otel.importers import foreign
from halo_otel.importers.formats import ACCEPTED, Part, parts
from halo_otel.model.span import LogRecord, Span
from halo_otel.otlp import jsontext
from halo_otel.otlp.decode import decode_logs, decode_traces
from halo_otel.otlp.encode import requests
from halo_otel.otlp.jsonlines import log_records_from_tree, spans_from_tree
from halo_otel.otlp.jsonrequest import request_from_tree

T = TypeVar("T")

# A named file whose first lines are all bad is not a trace file with a bad line in it.
_BAD_LINES_MAX: Final = 100

_LOG_KEYS: Final = frozenset({"resourceLogs", "resource_logs"})
_OTLP_KEYS: Final = _LOG_KEYS | {"resourceSpans", "resource_spans"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """What could not be read: line `number` of `path`; 0 stands for the whole file."""

    path: Path
    number: int
    why: str


OnBad = Callable[[BadLine], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """One export request of the file at `path`, which was found in `directory` or named itself."""

    path: Path
    directory: Path | None
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEnd:
    """There is no more of the file at `path`; because of `failure`, if there is one."""

    path: Path
    directory: Path | None
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEnd:
    """There are no more files in the directory at `path`."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is bad in one part, one sentence each; it is `usable` unless nothing came of it."""

    problems: tuple[str, ...] = ()
    usable: bool = True


_GOOD: Final = Verdict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents(Generic[T]):
    """What came of one part, and what is bad in it."""

    items: Iterable[T]
    verdict: Verdict = _GOOD


Entry: TypeAlias = FilePart | FileEnd | DirectoryEnd


def read_telemetry(paths: Sequence[Path], on_bad: OnBad) -> Iterator[Span | LogRecord]:
    """All spans and log records in `paths`, files or directories, in the files' order.

    A directory stands for every file below it, sorted by path; files in it that hold no telemetry
    are reported to `on_bad` and passed over. Raises `BadFile` for a path that does not exist, for a
    named file that is not a trace file, and for a directory without any.
    """
    return _read(paths, on_bad, telemetry)


def read_traces(paths: Sequence[Path], on_bad: OnBad) -> Iterator[Span]:
    """As `read_telemetry`, the spans only."""
    return (record for record in read_telemetry(paths, on_bad) if isinstance(record, Span))


def read_requests(paths: Sequence[Path], on_bad: OnBad) -> Iterator[bytes]:
    """As `read_telemetry`, but as serialized `ExportTraceServiceRequest`s as they stand in the file.

    Requests that hold log records are reported to `on_bad`: they are not traces.
    """
    return _read(paths, on_bad, _request)


def entries(paths: Sequence[Path]) -> Iterator[Entry]:
    """Everything to read in `paths`, in order and not yet decoded."""
    for path in paths:
        if not path.is_dir():
            yield from _file_entries(path, None)
            continue
        for member in sorted(file for file in path.rglob("*") if file.is_file()):
            yield from _file_entries(member, path)
        yield DirectoryEnd(path=path)


def _file_entries(path: Path, directory: Path | None) -> Iterator[Entry]:
    failure = None
    try:
        for part in parts(path):
            yield FilePart(path=path, directory=directory, part=part)
    except BadFile as error:
        failure = str(error)
    yield FileEnd(path=path, directory=directory, failure=failure)


class Judge:
    """Told of every entry in order, it reports what is bad and refuses what is no trace file."""

    def __init__(self, on_bad: OnBad) -> None:
        self._on_bad = on_bad
        self._good = self._bad = 0  # parts of this file
        self._why = ""
        self._files = 0  # of this directory

    def see(self, entry: Entry, verdict: Verdict = _GOOD) -> None:
        """Take note of `entry`, and if it is a part of what is bad in it.

        Raises `BadFile` as `read_telemetry` does.
        """
        if isinstance(entry, FilePart):
            self._see_part(entry, verdict)
        elif isinstance(entry, FileEnd):
            self._see_end(entry)
        else:
            if not self._files:
                raise BadFile(f"{entry.path} holds no trace file: expected {ACCEPTED}")
            self._files = 0

    def _see_part(self, entry: FilePart, verdict: Verdict) -> None:
        self._good += verdict.usable
        for why in verdict.problems:
            self._bad, self._why = self._bad + 1, why
            if not entry.directory and not self._good and self._bad == _BAD_LINES_MAX:
                raise BadFile(self._refusal(entry.path))
            self._on_bad(BadLine(path=entry.path, number=entry.part.number, why=why))

    def _see_end(self, entry: FileEnd) -> None:
        failure = entry.failure
        if self._bad and not self._good:
            failure = failure or self._refusal(entry.path)
        self._good = self._bad = 0
        if failure and not entry.directory:
            raise BadFile(failure)
        if failure:
            self._on_bad(BadLine(path=entry.path, number=0, why=failure))
        elif entry.directory:
            self._files += 1

    def _refusal(self, path: Path) -> str:
        return f"{path} is not a trace file: {self._why}; expected {ACCEPTED}"


def _read(
    paths: Sequence[Path], on_bad: OnBad, convert: Callable[[Part], Contents[T]]
) -> Iterator[T]:
    judge = Judge(on_bad)
    for entry in entries(paths):
        if isinstance(entry, FilePart):
            contents = _judged(entry.part, convert)
            judge.see(entry, contents.verdict)
            yield from contents.items
        else:
            judge.see(entry)


def telemetry(part: Part) -> Contents[Span | LogRecord]:
    """The spans or the log records of one part."""
    return _judged(part, _telemetry)


def _judged(part: Part, convert: Callable[[Part], Contents[T]]) -> Contents[T]:
    try:
        if part.problem is not None:
            raise BadRequest(part.problem)
        return convert(part)
    except BadRequest as error:
        return Contents(items=(), verdict=Verdict(problems=(str(error),), usable=False))


def _telemetry(part: Part) -> Contents[Span | LogRecord]:
    if part.format == "protobuf":
        return Contents(items=_telemetry_of_message(part.content))
    tree = jsontext.loads(part.content)
    if not _is_otlp(tree):
        found = _foreign(tree)
        return Contents(items=found.spans, verdict=_verdict(found))
    read = log_records_from_tree if _holds_logs(tree) else spans_from_tree
    return Contents(items=read(tree))


def _telemetry_of_message(message: bytes) -> Iterable[Span | LogRecord]:
    """The spans of a serialized request, or its log records: the bytes do not say which it is.

    Log records read as spans are garbage or have no ids, so nothing comes of them.
    """
    try:
        spans = list(decode_traces(message))
    except BadRequest:
        return decode_logs(message)
    return spans or decode_logs(message)


def _request(part: Part) -> Contents[bytes]:
    if part.format == "protobuf":
        if next(decode_traces(part.content), None) is None:
            raise BadRequest("holds no spans")
        return Contents(items=(part.content,))
    tree = jsontext.loads(part.content)
    if not _is_otlp(tree):
        found = _foreign(tree)
        return Contents(items=requests(found.spans), verdict=_verdict(found))
    if _holds_logs(tree):
        raise BadRequest("holds log records, not spans")
    return Contents(items=(request_from_tree(tree, "traces").SerializeToString(),))


def _is_otlp(tree: Any) -> bool:
    """Whether JSON is an OTLP request of traces or logs; `{}` is an empty one."""
    return isinstance(tree, dict) and (not tree or not _OTLP_KEYS.isdisjoint(tree))


def _holds_logs(tree: dict[str, Any]) -> bool:
    return not _LOG_KEYS.isdisjoint(tree)


def _foreign(tree: Any) -> foreign.Foreign:
    """The spans in an export of another tool. Raises `BadRequest` if it is none."""
    found = foreign.read(tree)
    if found is not None:
        return found
    if isinstance(tree, dict):
        keys = f"{sorted(tree)[:5]!r}"[:200]
        raise BadRequest(f"neither resourceSpans nor resourceLogs nor {foreign.NAMES}, but {keys}")
    raise BadRequest(f"expected an object, got {tree!r}"[:200])


def _verdict(found: foreign.Foreign) -> Verdict:
    if not found.problems:
        return _GOOD
    return Verdict(problems=found.problems, usable=bool(found.spans))
