"""Nothing of an AnyValue is lost on its way to JSON text and back."""

import math
import struct

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue as ProtoValue

from halo_otel.model.span import AnyValue
from halo_otel.otlp.anyvalue import NESTING_MAX, TOO_DEEP, from_json, from_proto, to_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = TEXT | st.sampled_from(["$bytes", "$double", "$", "$$", "$$bytes", "$x", ""])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | TEXT
    | st.binary()
    | st.sampled_from(["$bytes", "NaN", '{"$bytes":"AA=="}'])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20
)


def exact(value: AnyValue) -> object:
    """`value` with types and bits made comparable: 1 is not 1.0, 0.0 is not -0.0, NaN is NaN."""
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return [(key, exact(item)) for key, item in value.items()]
    if isinstance(value, float):
        return "double", "nan" if math.isnan(value) else struct.pack(">d", value)
    return type(value).__name__, value


@given(VALUES)
@example({"$bytes": "AA=="})
@example({"$bytes": b"\x00"})
@example({"$$double": float("nan")})
@example({"a": 1, "b": 1.0, "c": True, "d": None, "e": -0.0, "f": 2**63 - 1, "g": -(2**63)})
def test_json_form_is_lossless(value: AnyValue) -> None:
    assert exact(from_json(to_json(value))) == exact(value)


@given(st.dictionaries(KEYS, SCALARS))
def test_json_form_of_attributes_is_a_plain_object(attributes: dict[str, AnyValue]) -> None:
    """SQL reads text, numbers and booleans under their own keys."""
    written = orjson.loads(to_json(attributes))
    for key, value in attributes.items():
        if len(attributes) > 1 and isinstance(value, (str, bool)):
            assert written[key] == value


def test_lone_surrogates_become_replacement_characters() -> None:
    assert from_json(to_json({"a\ud83d": ["x\udc00y", 1]})) == {"a\ufffd": ["x\ufffdy", 1]}


def nested(levels: int, innermost: AnyValue) -> AnyValue:
    for _ in range(levels):
        innermost = [innermost]
    return innermost


def test_nesting_is_bounded() -> None:
    assert from_json(to_json(nested(NESTING_MAX, "x"))) == nested(NESTING_MAX, "x")
    assert from_json(to_json(nested(NESTING_MAX + 1, "x"))) == nested(NESTING_MAX, TOO_DEEP)
    assert TOO_DEEP in to_json(nested(NESTING_MAX * 2, "x"))


def test_bad_text_is_refused() -> None:
    with pytest.raises(ValueError, match="unexpected"):
        from_json("{")


def proto(value: AnyValue) -> ProtoValue:
    """The protobuf message that holds `value`."""
    message = ProtoValue()
    if isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, int):
        message.int_value = value
    elif isinstance(value, float):
        message.double_value = value
    elif isinstance(value, bytes):
        message.bytes_value = value
    elif isinstance(value, list):
        message.array_value.SetInParent()
        message.array_value.values.extend(proto(item) for item in value)
    elif isinstance(value, dict):
        message.kvlist_value.SetInParent()
        for key, item in value.items():
            message.kvlist_value.values.add(key=key, value=proto(item))
    return message


@given(VALUES)
def test_protobuf_form_is_read_exactly(value: AnyValue) -> None:
    sent = ProtoValue.FromString(proto(value).SerializeToString())
    assert exact(from_proto(sent)) == exact(value)


def test_last_of_equal_keys_wins() -> None:
    message = ProtoValue()
    for text in ("first", "last"):
        message.kvlist_value.values.add(key="k").value.string_value = text
    assert from_proto(message) == {"k": "last"}
