"""OTLP/JSON request bodies to the protobuf messages they stand for.

The mapping is protobuf's own with OTLP's exceptions (OTLP 1.11, "JSON Protobuf Encoding"): trace and
span ids are hex of either case instead of base64, unknown fields are ignored. Enums are integers by
the specification; names are tolerated, and so are `snake_case` keys and 64-bit integers written as
numbers. `google.protobuf.json_format` is not used: it reads the hex ids as base64 without a word,
and walking the descriptors once instead of per value makes this ten times as fast.
"""

import reprlib
from collections.abc import Callable
from typing import Any, Final, Literal

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.errors import BadRequest
from halo_otel.otlp import jsondepth, jsontext

Signal = Literal["traces", "logs", "metrics"]
# A JSON value and its nesting depth to what the message's constructor takes.
Convert = Callable[[Any, int], Any]

# Protobuf parsers, ours included, refuse messages nested deeper than 100; so a body must not say in
# JSON what could not be read back once it is journaled as binary.
DEPTH_MAX: Final = 100

_PATH_CHARS_MAX: Final = 200
_ID_FIELDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})


def request_from_json(
    body: bytes, signal: Signal, on_cut: Callable[[int], None] | None = None
) -> Message:
    """The `Export…ServiceRequest` of `signal` that the JSON text `body` stands for.

    Of several members of one oneof, and of a key that occurs twice, the last one counts. Attribute values
    nested too deep become a text; `on_cut` is told how many. Raises `BadRequest` naming the place where
    the body is not such a request.
    """
    return request_from_tree(jsontext.loads(body), signal, on_cut)


def request_from_tree(
    tree: Any, signal: Signal, on_cut: Callable[[int], None] | None = None
) -> Message:
    """As `request_from_json`, of a body that is parsed already; what is nested too deep is cut in it."""
    request_type, convert = _REQUESTS[signal]
    try:
        try:
            arguments = convert(tree, 0)
        except _TooDeep:
            cut = jsondepth.cut_tree(tree)
            if on_cut is not None:
                on_cut(cut)
            arguments = convert(tree, 0)
    except _BadValue as error:
        raise BadRequest(f"not an OTLP/JSON {signal} body: {error}") from error
    request: Message = request_type(**arguments)
    return request


class _BadValue(Exception):
    """A value that its field cannot hold; `path` grows on the way up."""

    def __init__(self, expected: str, value: object) -> None:
        super().__init__(expected)
        self.why = f"expected {expected}, got {reprlib.repr(value)}"
        self.path = ""

    def __str__(self) -> str:
        return f"{self.path[1:_PATH_CHARS_MAX] or 'body'}: {self.why}"


class _TooDeep(_BadValue):
    """More messages in each other than a protobuf parser reads."""

    def __init__(self) -> None:
        super().__init__(f"at most {DEPTH_MAX} nested messages", "more")


def _message_converter(descriptor: Descriptor, known: dict[str, Convert]) -> Convert:
    """A function from a JSON object to the keyword arguments of the message `descriptor`.

    `known` holds the converters made so far by full name; `AnyValue` refers to itself.
    """
    fields: dict[str, tuple[str, Convert]] = {}

    def convert(value: Any, depth: int) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _BadValue("an object", value)
        if depth >= DEPTH_MAX:
            raise _TooDeep
        arguments = {}
        for key, member in value.items():
            field = fields.get(key)
            if field is not None and member is not None:
                name, convert_member = field
                try:
                    arguments[name] = convert_member(member, depth + 1)
                except _BadValue as error:
                    error.path = f".{key}{error.path}"
                    raise
        return arguments

    known[descriptor.full_name] = convert
    for field in descriptor.fields:
        entry = (field.name, _field_converter(field, known))
        fields[field.name] = fields[field.json_name] = entry
    return convert


def _field_converter(field: FieldDescriptor, known: dict[str, Convert]) -> Convert:
    child, enum = field.message_type, field.enum_type
    if child is not None:
        one = known.get(child.full_name) or _message_converter(child, known)
    elif enum is not None:
        one = _enum_converter({value.name: value.number for value in enum.values})
    elif field.type == FieldDescriptor.TYPE_BYTES:
        one = _hex_id if field.name in _ID_FIELDS else _base64_bytes
    else:
        one = _SCALARS[field.cpp_type]
    return _list_converter(one) if field.is_repeated else one


def _list_converter(one: Convert) -> Convert:
    def convert(value: Any, depth: int) -> list[Any]:
        if not isinstance(value, list):
            raise _BadValue("an array", value)
        items: list[Any] = []
        try:
            for item in value:
                items.append(one(item, depth))
        except _BadValue as error:
            error.path = f"[{len(items)}]{error.path}"
            raise
        return items

    return convert


def _enum_converter(numbers: dict[str, int]) -> Convert:
    def convert(value: Any, depth: int) -> Any:
        number = numbers.get(value) if isinstance(value, str) else None
        return _int32(value, depth) if number is None else number

    return convert


def _int_converter(least: int, most: int) -> Convert:
    expected = f"an integer from {least} to {most}"

    def convert(value: Any, _depth: int) -> int:
        number = jsontext.integer(value)
        if number is None or not least <= number <= most:
            raise _BadValue(expected, value)
        return number

    return convert


def _hex_id(value: Any, _depth: int) -> bytes:
    raw = jsontext.hex_bytes(value)
    if raw is None:
        raise _BadValue("a hex id", value)
    return raw


def _base64_bytes(value: Any, _depth: int) -> bytes:
    raw = jsontext.base64_bytes(value)
    if raw is None:
        raise _BadValue("base64", value)
    return raw


def _double(value: Any, _depth: int) -> float:
    number = jsontext.double(value)
    if number is None:
        raise _BadValue("a number", value)
    return number


def _string(value: Any, _depth: int) -> str:
    if not isinstance(value, str):
        raise _BadValue("a string", value)
    return value


def _bool(value: Any, _depth: int) -> bool:
    if not isinstance(value, bool):
        raise _BadValue("true or false", value)
    return value


_int32: Final = _int_converter(-(2**31), 2**31 - 1)
_SCALARS: Final[dict[int, Convert]] = {
    FieldDescriptor.CPPTYPE_STRING: _string,
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    FieldDescriptor.CPPTYPE_DOUBLE: _double,
    FieldDescriptor.CPPTYPE_INT32: _int32,
    FieldDescriptor.CPPTYPE_UINT32: _int_converter(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: _int_converter(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: _int_converter(0, 2**64 - 1),
}
_REQUESTS: Final[dict[Signal, tuple[Any, Convert]]] = {
    "traces": (
        ExportTraceServiceRequest,
        _message_converter(ExportTraceServiceRequest.DESCRIPTOR, {}),
    ),
    "logs": (
        ExportLogsServiceRequest,
        _message_converter(ExportLogsServiceRequest.DESCRIPTOR, {}),
    ),
    "metrics": (
        ExportMetricsServiceRequest,
        _message_converter(ExportMetricsServiceRequest.DESCRIPTOR, {}),
    ),
}
