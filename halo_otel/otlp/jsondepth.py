"""JSON nested deeper than its readers go: cut, so that one deep value costs no request.

orjson reads 1,024 levels, protobuf 100 messages in each other. What is deeper is cut here, but only once
a body was refused for it: nothing of this is in the way of the others.
"""

import re
from typing import Any, Final

from halo_otel.otlp.anyvalue import TOO_DEEP

# A list of lists is 3 levels of JSON for 2 messages, a map in a map 4 for 3, and a request has 11 levels and 6
# messages above the value of an event's attribute: at 120 levels there are at most 90 messages.
TREE_LEVELS: Final = 120
_TEXT_LEVELS: Final = 512
# A text that does not end goes to the end: to look for its end from each quote in it would take hours.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_LISTS: Final = ("arrayValue", "array_value", "kvlistValue", "kvlist_value")


def cut_text(body: bytes) -> bytes:
    """`body` with `null` for everything that has `_TEXT_LEVELS` levels around it."""
    kept = bytearray()
    level, start = 0, 0
    for token in _TOKEN.finditer(body):
        sign = token[0]
        if sign in b"[{":
            level += 1
            if level == _TEXT_LEVELS:
                kept += body[start : token.start()] + b"null"
        elif sign in b"]}":
            level -= 1
            if level == _TEXT_LEVELS - 1:
                start = token.end()
    # Whatever is left open is no JSON, and is to be refused for that.
    return bytes(kept + body[start:]) if level == 0 else body


def cut_tree(tree: Any) -> int:
    """Replace each `AnyValue` that holds others `TREE_LEVELS` deep, in place; how many there were."""
    cut = 0
    level = [tree]
    for depth in range(TREE_LEVELS + 4):
        inner: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                if depth >= TREE_LEVELS and any(name in node for name in _LISTS):
                    node.clear()
                    node["stringValue"] = TOO_DEEP
                    cut += 1
                inner += node.values()
            elif isinstance(node, list):
                inner += node
        level = inner
    return cut
