"""JSON text and the scalar forms of protobuf's JSON mapping, with the tolerance real exporters need.

The scalar functions return `None` for a value that is not of their form.
"""

import json
from base64 import b64decode
from binascii import unhexlify
from typing import Any, Final

import orjson

from halo_otel.errors import BadRequest
from halo_otel.otlp.jsondepth import cut_text

# -2^63 has 20 characters, 2^64-1 has 20: longer digit strings are no 64-bit integer, and Python's
# int() takes quadratic time on long ones.
_INTEGER_CHARS_MAX: Final = 20
_DOUBLES: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def loads(body: bytes) -> Any:
    """The value of the JSON text `body`.

    A lone UTF-16 surrogate (`"\\ud83d"`) becomes U+FFFD: JavaScript SDKs produce one when an
    attribute length limit cuts a character in half, and one bad character must not cost a batch.
    What is nested deeper than any reader goes is `null`. Raises `BadRequest` with the position for
    anything that is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            shallow = cut_text(body)
            if shallow != body:
                return loads(shallow)
            return orjson.loads(_without_lone_surrogates(body))
        except (ValueError, RecursionError):
            raise BadRequest(f"not JSON: {error}") from error


def _without_lone_surrogates(body: bytes) -> bytes:
    if b"\\u" not in body:
        raise ValueError("no escapes")
    text = json.dumps(json.loads(body), ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def integer(value: Any) -> int | None:
    """An integer given as a number or as decimal text, as OTLP writes 64-bit ones."""
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is str and len(value) <= _INTEGER_CHARS_MAX:
        digits = value[1:] if value[:1] == "-" else value
        return int(value) if digits.isdecimal() and digits.isascii() else None
    if kind is float and value.is_integer():
        return int(value)
    return None


def double(value: Any) -> float | None:
    """A floating-point number; text is taken too, and the three values JSON has no literal for."""
    kind = type(value)
    if kind is float or kind is int:
        return float(value)
    if kind is not str:
        return None
    if value in _DOUBLES:
        return _DOUBLES[value]
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) != float("inf") and number == number else None


def hex_bytes(value: Any) -> bytes | None:
    """The bytes of hex digits of either case."""
    try:
        return unhexlify(value) if type(value) is str else None
    except ValueError:
        return None


def base64_bytes(value: Any) -> bytes | None:
    """The bytes of base64 text, standard or URL-safe, padded or not (protobuf's JSON mapping)."""
    if type(value) is not str:
        return None
    text = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None
