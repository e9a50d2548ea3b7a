"""Requests with invalid UTF-8 in a string, made readable.

protobuf refuses a whole message for one broken string, but Go programs (the Collector among them)
neither check on reading nor on writing, and programs that cut texts at a byte count produce half
characters. Refusing would make the Collector drop the batch for good, hundreds of sound spans with
it. So the strings are replaced the way every decoder does it: U+FFFD for what is not UTF-8.

How: the same messages with every `string` field declared `bytes`, which is the same on the wire, are
read by a second set of protobuf classes, mended and serialised again. Unknown fields are kept.
"""

from functools import cache
from typing import Any, Final

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

_STRING: Final = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_BYTES: Final = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES


def repair(payload: bytes, descriptor: Descriptor) -> bytes:
    """`payload`, a message of `descriptor`, with valid UTF-8 in all strings.

    Raises `google.protobuf.message.DecodeError` if it is not such a message for another reason.
    """
    lenient, strings = _lenient(descriptor)
    message = lenient.FromString(payload)
    _mend(message, strings)
    return message.SerializeToString()


@cache
def _lenient(descriptor: Descriptor) -> tuple[type[Message], frozenset[str]]:
    """The message class without strings, and the full names of the fields that were strings."""
    pool = DescriptorPool()
    strings: set[str] = set()
    _add(descriptor.file, pool, strings, set())
    found = pool.FindMessageTypeByName(descriptor.full_name)
    return message_factory.GetMessageClass(found), frozenset(strings)


def _add(file: FileDescriptor, pool: DescriptorPool, strings: set[str], added: set[str]) -> None:
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add(dependency, pool, strings, added)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    for message in proto.message_type:
        _strings_to_bytes(message, f"{file.package}.{message.name}", strings)
    pool.Add(proto)


def _strings_to_bytes(
    message: descriptor_pb2.DescriptorProto, full_name: str, strings: set[str]
) -> None:
    for field in message.field:
        if field.type == _STRING:
            field.type = _BYTES
            strings.add(f"{full_name}.{field.name}")
    for nested in message.nested_type:
        _strings_to_bytes(nested, f"{full_name}.{nested.name}", strings)


def _mend(message: Message, strings: frozenset[str]) -> None:
    """Depth is bounded by protobuf's own parsing limit of 100 messages."""
    for field, value in message.ListFields():
        if field.full_name in strings:
            if field.is_repeated:
                value[:] = [_valid(item) for item in value]
            else:
                setattr(message, field.name, _valid(value))
        elif field.message_type is not None:
            parts: Any = value if field.is_repeated else (value,)
            for part in parts:
                _mend(part, strings)


def _valid(text: bytes) -> bytes:
    return text.decode("utf-8", "replace").encode()
