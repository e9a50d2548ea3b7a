"""OTLP's `AnyValue`: from protobuf to Python, and to and from JSON text without losing anything.

Python form (`model.span.AnyValue`): empty is `None`, arrays are `list`, key-value lists are `dict`;
of a key that occurs twice the last one wins, as in JSON.

JSON form: what JSON can say is said plainly, so SQL can read it: text, booleans, `null`, arrays,
objects, integers (`1`) and doubles (`1.0`). What it cannot say is an object with one marker key:

    bytes          {"$bytes": "<base64>"}
    NaN, ±Infinity {"$double": "NaN" | "Infinity" | "-Infinity"}
    a key-value list whose only key starts with "$"    the same with one more "$" before the key

The law: `from_json(to_json(value)) == value` with equal types, for every value up to `NESTING_MAX`
levels whose text is valid Unicode. Deeper lists and objects become the text `TOO_DEEP`; a lone
surrogate becomes U+FFFD. Neither can come out of a protobuf message: it holds at most 100 nested
messages, which is fewer than 50 levels of values, and its text is checked UTF-8.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

import orjson

from halo_otel.model.span import AnyValue, Attributes

NESTING_MAX: Final = 100
TOO_DEEP: Final = "[nested too deep]"

_BYTES, _DOUBLE, _ESCAPE = "$bytes", "$double", "$"
_PLAIN: Final = frozenset({str, bool, int, type(None), orjson.Fragment})
_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def from_proto(value: Any) -> AnyValue:
    """The Python value of a protobuf `AnyValue`."""
    # Nearly all attributes are text, and asking for the text is faster than asking which it is.
    text: str = value.string_value
    if text:
        return text
    case = value.WhichOneof("value")
    if case == "array_value":
        return [from_proto(item) for item in value.array_value.values]
    if case == "kvlist_value":
        return attributes_from_proto(value.kvlist_value.values)
    if case is None or case == "string_value_strindex":  # the latter is for profiles only
        return None
    scalar: AnyValue = getattr(value, case)
    return scalar


def attributes_from_proto(pairs: Iterable[Any]) -> dict[str, AnyValue]:
    """The attributes of repeated protobuf `KeyValue`s."""
    return {pair.key: pair.value.string_value or from_proto(pair.value) for pair in pairs}


def to_json(value: AnyValue | Attributes) -> str:
    """The JSON form of `value`, compact, keys in their order; an `orjson.Fragment` in it is as it is."""
    if not (
        type(value) is dict and len(value) > 1 and _PLAIN.issuperset(map(type, value.values()))
    ):
        value = _marked(value, NESTING_MAX)
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # how orjson says that text is not valid Unicode
        return orjson.dumps(_valid(value)).decode()


def from_json(text: str) -> AnyValue:
    """The value whose JSON form is `text`; raises `ValueError` if it is not JSON."""
    value: AnyValue = orjson.loads(text)
    return _unmarked(value) if f'"{_ESCAPE}' in text else value


def _marked(value: Any, levels: int) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if isfinite(value) else {_DOUBLE: _NOT_FINITE[str(value)]}
    if kind is bytes:
        return {_BYTES: b64encode(value).decode("ascii")}
    if levels == 0:
        return TOO_DEEP
    if kind is list:
        return [_marked(item, levels - 1) for item in value]
    marked = {key: _marked(item, levels - 1) for key, item in value.items()}
    return _with_escape(marked, added=_ESCAPE) if len(marked) == 1 else marked


def _unmarked(value: Any) -> AnyValue:
    if type(value) is list:
        return [_unmarked(item) for item in value]
    if type(value) is not dict:
        plain: AnyValue = value
        return plain
    if len(value) == 1:
        ((key, item),) = value.items()
        if key == _BYTES:
            return b64decode(item)
        if key == _DOUBLE:
            return float(item)
        value = _with_escape(value, added="")
    return {key: _unmarked(item) for key, item in value.items()}


def _with_escape(single: dict[str, Any], *, added: str) -> dict[str, Any]:
    """`single`, its only key escaped with `added`, or stripped of its escape without it."""
    ((key, item),) = single.items()
    if not key.startswith(_ESCAPE):
        return single
    return {added + key if added else key[1:]: item}


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_valid(item) for item in value]
    if isinstance(value, dict):
        return {_valid(key): _valid(item) for key, item in value.items()}
    return value
