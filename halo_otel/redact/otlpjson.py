"""Records that leave as OTLP/JSON, redacted: the words in them, never ids, times or numbers of ours."""

from base64 import b64decode, b64encode
from typing import Any, Final

import orjson

from halo_otel.redact.redactor import Redactor

# What is said by members of these names is text of whoever was observed, or about them.
_TEXTS: Final = frozenset({"name", "stringValue", "message", "traceState", "schemaUrl"})


def redacted(payload: str, redactor: Redactor, exempt: frozenset[str] = frozenset()) -> str:
    """`payload`, one ResourceLogs or ResourceSpans, without what is sensitive in it.

    Values of the attributes in `exempt` stay: they are ids. What is not JSON stays as it is: it is not sent.
    """
    try:
        tree = orjson.loads(payload)
    except ValueError:
        return payload
    left = _walked(tree, redactor, exempt, "")
    return payload if left == tree else orjson.dumps(left).decode()


def _walked(node: Any, redactor: Redactor, exempt: frozenset[str], called: str) -> Any:
    if isinstance(node, list):
        return [_walked(item, redactor, exempt, called) for item in node]
    if not isinstance(node, dict):
        return node
    if "key" in node:  # a KeyValue
        key = str(node["key"])
        if key in exempt:
            return node
        value = _walked(node.get("value"), redactor, exempt, key)
        return {**node, "key": redactor.text(key), "value": value}
    if "intValue" in node:
        value = str(node["intValue"])
        left = redactor.text(value, called)
        return node if left == value else {"stringValue": left}
    if "bytesValue" in node:
        data = redactor.value(b64decode(node["bytesValue"]), called)
        return {"bytesValue": b64encode(data).decode()}
    return {
        name: redactor.text(item, called)
        if name in _TEXTS and isinstance(item, str)
        else _walked(item, redactor, exempt, called)
        for name, item in node.items()
    }
