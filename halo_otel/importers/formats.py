"""One trace file, whatever its format, to its export requests one by one.

    JSON lines      one Export…ServiceRequest per line, as the Collector's file exporter writes them,
                    or a span, a trace or an answer of another tool's export (`foreign`)
    JSON            one of these, or an array of them, in the whole file, pretty-printed or not
    protobuf        one serialized request
    Parquet         one span per row: Phoenix' data frames, Langfuse's blob export
    protobuf, length-prefixed    4 bytes big-endian size before each serialized request: the file
                    exporter's `format: proto`

each but Parquet plain or gzipped. The first bytes decide, never the file's name.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import orjson

from halo_otel.errors import BadFile, BadRequest
from halo_otel.importers import parquet
from halo_otel.otlp import jsontext

_File: TypeAlias = "io.BufferedReader[Any]"

ACCEPTED: Final = (
    "OTLP JSON lines, OTLP JSON, or OTLP protobuf (one request, or length-prefixed requests), or an "
    "export of HALO, Langfuse, Phoenix or Jaeger as JSON or JSON lines, each plain or gzipped, or "
    "as Parquet"
)
# A line, a document or a message longer than this is refused: it is read in one piece.
REQUEST_BYTES_MAX: Final = 256 << 20

_BUFFER_BYTES: Final = 1 << 20
_GZIP_MAGIC: Final = b"\x1f\x8b"
_BROKEN_GZIP: Final = (EOFError, zlib.error, gzip.BadGzipFile)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SIZE_BYTES: Final = 4
# Field 1, length-delimited: how every serialized Export…ServiceRequest begins.
_FIRST_TAG: Final = 0x0A


class Part(NamedTuple):
    """One export request of a file: `number` is its line, or its place in a file without lines.

    With a `problem` there is no content to read.
    """

    number: int
    format: Literal["json", "protobuf"]
    content: bytes
    problem: str | None = None


def parts(path: Path) -> Iterator[Part]:
    """The requests in the file at `path`, in order; an empty file holds none.

    Raises `BadFile` if the file cannot be read or begins like none of the formats.
    """
    try:
        with _opened(path) as file:
            head = file.peek(_BUFFER_BYTES)
            if not head.strip():
                return
            if head.startswith(parquet.MAGIC):
                yield from _parquet_parts(path)
            elif _begins_like_json(head):
                yield from _json_parts(file, path)
            elif head[:1] == bytes([_FIRST_TAG]):
                yield _message(file, number=1, size=REQUEST_BYTES_MAX + 1)
            elif head[_SIZE_BYTES : _SIZE_BYTES + 1] == bytes([_FIRST_TAG]):
                yield from _length_prefixed_parts(file)
            else:
                raise BadFile(f"{path} is not a trace file: expected {ACCEPTED}")
    except (OSError, *_BROKEN_GZIP) as error:
        raise BadFile(f"{path} cannot be read: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    with io.BufferedReader(path.open("rb", buffering=0), _BUFFER_BYTES) as file:
        if file.peek(2)[:2] != _GZIP_MAGIC:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unzipped:
            yield io.BufferedReader(unzipped, _BUFFER_BYTES)


def _begins_like_json(head: bytes) -> bool:
    text = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    # A serialized request may begin with "\n{" too; what follows in JSON is a quote or a brace.
    if text[:1] == b"{":
        return text[1:].lstrip()[:1] in {b'"', b"}", b""}
    return text[:1] == b"["


def _json_parts(file: _File, path: Path) -> Iterator[Part]:
    first = _line(file).removeprefix(_BYTE_ORDER_MARK)
    number = 1
    while not first.strip():
        first, number = _line(file), number + 1
    if _is_document(first, file.peek(1)):
        yield from _document_parts(first + file.read(REQUEST_BYTES_MAX), path)
        return
    line = first
    while line:
        if len(line) > REQUEST_BYTES_MAX:
            yield _problem(number, "json", f"longer than {REQUEST_BYTES_MAX} bytes")
            _skip_line(file, line)
        elif not line.isspace():
            yield Part(number=number, format="json", content=line)
        number += 1
        try:
            line = _line(file)
        except _BROKEN_GZIP as error:
            yield _problem(number, "json", f"the compressed data ends or breaks here: {error}")
            return


def _is_document(first: bytes, rest: bytes) -> bool:
    """Whether a file with this first line is one JSON text rather than one per line."""
    if first.lstrip()[:1] == b"[":
        return True
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return rest[:1] != b"{"  # in JSON lines a torn line is followed by the next request
    return False


def _document_parts(document: bytes, path: Path) -> Iterator[Part]:
    if len(document) > REQUEST_BYTES_MAX:
        raise BadFile(f"{path} is one JSON text of more than {REQUEST_BYTES_MAX} bytes: split it")
    try:
        tree = jsontext.loads(document)
    except BadRequest as error:
        raise BadFile(f"{path} is {error}; expected {ACCEPTED}") from error
    requests = tree if isinstance(tree, list) else [tree]
    for number, request in enumerate(requests, start=1):
        yield _json_part(number, request)


def _parquet_parts(path: Path) -> Iterator[Part]:
    for number, row in enumerate(parquet.rows(path), start=1):
        yield _json_part(number, row)


def _json_part(number: int, tree: Any) -> Part:
    try:
        return Part(number=number, format="json", content=orjson.dumps(tree))
    except TypeError as error:  # nested deeper than orjson writes, or a type that JSON has not
        return _problem(number, "json", f"cannot be taken apart: {error}")


def _length_prefixed_parts(file: _File) -> Iterator[Part]:
    number = 0
    while prefix := file.read(_SIZE_BYTES):
        number += 1
        size = int.from_bytes(prefix, "big")
        if len(prefix) < _SIZE_BYTES or size > REQUEST_BYTES_MAX:
            yield _problem(number, "protobuf", f"no size of at most {REQUEST_BYTES_MAX} bytes")
            return
        part = _message(file, number=number, size=size)
        yield part
        if len(part.content) < size:
            return


def _message(file: _File, *, number: int, size: int) -> Part:
    try:
        content = file.read(size)
    except _BROKEN_GZIP as error:
        return _problem(number, "protobuf", f"the compressed data ends or breaks here: {error}")
    if len(content) > REQUEST_BYTES_MAX:
        return _problem(number, "protobuf", f"longer than {REQUEST_BYTES_MAX} bytes")
    return Part(number=number, format="protobuf", content=content)


def _problem(number: int, part_format: Literal["json", "protobuf"], why: str) -> Part:
    return Part(number=number, format=part_format, content=b"", problem=why)


def _line(file: _File) -> bytes:
    """The next line; of one that is too long only so much that this shows."""
    return file.readline(REQUEST_BYTES_MAX + 1)


def _skip_line(file: _File, begun: bytes) -> None:
    while begun and not begun.endswith(b"\n"):
        begun = file.readline(_BUFFER_BYTES)
