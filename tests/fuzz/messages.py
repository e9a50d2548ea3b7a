"""Changes to protobuf messages that leave them messages."""

from random import Random
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from tests.fuzz.trees import Bytes, mutated_text
from tests.fuzz.words import words

_STEPS_MAX: Final = 4
_NUMBERS: Final = (0, 1, -1, 127, 255, 256, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, -(2**63))
_TEXTS: Final = (
    '{"a":1}',
    '[{"role":"assistant","content":"","tool_calls":[]}]',
    "[]",
    "{",
    "",
    "0",
    "1.5",
    "halo-otel",
)
_RANGES: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
}


def mutated_message(
    payload: bytes, kind: type[Message], rng: Random, change: Bytes
) -> bytes | None:
    """`payload` with one to four changes, None if it is no message of `kind`."""
    message = kind()
    try:
        message.ParseFromString(payload)
    except DecodeError:
        return None
    for _ in range(rng.randint(1, _STEPS_MAX)):
        _change(_somewhere(message, rng), rng, change)
    return message.SerializeToString()


def _somewhere(message: Message, rng: Random) -> Message:
    """A message within `message`, or itself; the deep ones as often as the shallow."""
    while True:
        inner: list[Message] = []
        for field, value in message.ListFields():
            if field.message_type is not None:
                inner += value if field.is_repeated else (value,)
        if not inner or rng.random() < 0.2:
            return message
        message = rng.choice(inner)


def _change(message: Any, rng: Random, change: Bytes) -> None:
    field = rng.choice(message.DESCRIPTOR.fields)
    if rng.random() < 0.1:
        message.ClearField(field.name)
    elif field.is_repeated:
        _change_list(getattr(message, field.name), field, rng, change)
    elif field.message_type is not None:
        getattr(message, field.name).SetInParent()
    else:
        value = _scalar(field, getattr(message, field.name), rng, change)
        setattr(message, field.name, value)


def _change_list(items: Any, field: FieldDescriptor, rng: Random, change: Bytes) -> None:
    if field.message_type is None:
        items.append(_scalar(field, rng.choice(items) if items else "", rng, change))
    elif items and rng.random() < 0.2:
        del items[rng.randrange(len(items))]
    elif items and rng.random() < 0.5:
        items.add().CopyFrom(rng.choice(items))
    else:
        added = items.add()
        if "key" in added.DESCRIPTOR.fields_by_name:
            added.key = rng.choice(words())
            added.value.string_value = rng.choice((*_TEXTS, rng.choice(words())))


def _scalar(field: FieldDescriptor, value: Any, rng: Random, change: Bytes) -> Any:
    kind = field.cpp_type
    if kind in _RANGES:
        low, high = _RANGES[kind]
        return min(max(rng.choice((*_NUMBERS, int(value or 0) + 1)), low), high)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return rng.choice((0.0, -0.0, 1.0, 1e300, float("nan"), float("inf"), rng.random()))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rng.choice(
            (b"", bytes(8), bytes(16), rng.randbytes(8), rng.randbytes(16), change(value, 64))
        )
    return _text(value, rng, change)


def _text(value: str, rng: Random, change: Bytes) -> str:
    if rng.random() < 0.4:
        return rng.choice((*_TEXTS, rng.choice(words()), rng.choice(words())))
    inner = mutated_text(value.encode(), rng, change) if value[:1] in ("{", "[") else None
    return (inner or change(value.encode(), len(value) + 32)).decode("utf-8", "replace")
