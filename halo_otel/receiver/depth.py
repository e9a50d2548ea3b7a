"""Requests with a value nested deeper than protobuf reads, made readable.

protobuf's parsers in C refuse a message with more than 100 others in each other; Go's, so the Collector's,
read 10,000. Refusing would make the Collector drop the batch for good for one value in it. So that value
becomes a text and is counted, and all around it stays as it is, byte for byte.

Only what was refused comes here, so it may be slow: the bytes are walked along the fields that hold messages.
"""

from typing import Final

from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from halo_otel.otlp.anyvalue import TOO_DEEP
from halo_otel.receiver.wire import as_varint, messages

# Messages around a value that is cut if it holds another one: below are a map, its pair and that value.
LEVELS_MAX: Final = 90
_VALUE: Final = AnyValue.DESCRIPTOR.full_name
_MARK: Final = AnyValue(string_value=TOO_DEEP).SerializeToString()


def cut(payload: bytes, descriptor: Descriptor) -> tuple[bytes, int]:
    """`payload`, a message of `descriptor`, without what is too deep, and how many values were cut.

    Raises `google.protobuf.message.DecodeError` if it is no message.
    """
    return _cut(payload, descriptor, 0, len(payload), 0)


def _cut(
    payload: bytes, descriptor: Descriptor, at: int, end: int, level: int
) -> tuple[bytes, int]:
    kept = bytearray()
    cuts = 0
    for number, length_at, begin, stop in messages(payload, at, end):
        field = descriptor.fields_by_number.get(number)
        if field is None or field.message_type is None:
            continue
        if level >= LEVELS_MAX and descriptor.full_name == _VALUE:
            return _MARK, 1
        inner, more = _cut(payload, field.message_type, begin, stop, level + 1)
        if more:
            kept += payload[at:length_at] + as_varint(len(inner)) + inner
            at, cuts = stop, cuts + more
    return (bytes(kept) + payload[at:end] if cuts else b""), cuts
