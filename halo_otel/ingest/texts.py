"""The long texts of a batch: cut where messages begin, each piece kept once.

Purely textual and C-speed: nothing is parsed, so nothing can be lost, whatever the text is and however
often it was encoded. A cut is made between two objects of a JSON list, and where it falls depends on
what stands before it alone: a conversation with a new message at its end has the same pieces, and more.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from halo_otel.model.span import Attributes
from halo_otel.otlp.anyvalue import NESTING_MAX, TOO_DEEP
from halo_otel.window.schema import Columns
from halo_otel.window.texts import reference, text_id

# Shorter texts stay where they are, and no piece is shorter: a piece costs a hash, a row and a reference,
# some 5 µs. With 256 the developer corpus takes 7 % less memory and spans of 1 KB 14 % more time (measured).
TEXT_CHARS_MIN: Final = 512

# Behind an object, before the next: `},{"role"`, also indented, in Python's notation (`}, {'role'`) or
# encoded in a text once or several times (`},{\"role\"`).
_SEAM: Final = re.compile(r"\}(?=,(?:\s|\\n)*\{(?:\s|\\n)*\\*[\"'])")
_OPENINGS: Final = ("[", "{", '"[', '"{')
_NESTED: Final = frozenset((dict, list))


class Texts:
    """Gathers the texts until `columns` takes them.

    Of nested values it lets `levels` pass; deeper ones become a text, and `flattened` says how many did.
    """

    def __init__(self, levels: int = NESTING_MAX) -> None:
        self._levels = levels
        self._texts: dict[bytes, str] = {}
        self.flattened = 0

    def attributes(self, attributes: Attributes) -> Mapping[str, Any]:
        """`attributes` with references in place of long texts, for `to_json`."""
        items: Iterable[tuple[str, Any]] = attributes.items()
        kept = {
            key: self.value(value)
            for key, value in items
            if ((kind := type(value)) is str and len(value) >= TEXT_CHARS_MIN) or kind in _NESTED
        }
        return {**attributes, **kept} if kept else attributes

    def value(self, value: Any) -> Any:
        """`value` with references in place of the long texts in it, for `to_json`."""
        return self._value(value, self._levels)

    def _value(self, value: Any, levels: int) -> Any:
        kind = type(value)
        if kind is str:
            return value if len(value) < TEXT_CHARS_MIN else self._reference(value)
        if kind not in _NESTED:
            return value
        if not levels:
            self.flattened += 1
            return TOO_DEEP
        if kind is list:
            return [self._value(item, levels - 1) for item in value]
        return {key: self._value(item, levels - 1) for key, item in value.items()}

    def keep(self, text: str) -> bytes:
        """The id of `text`, kept in one piece."""
        id_ = text_id(text)
        self._texts[id_] = text
        return id_

    def columns(self) -> Columns:
        """Every text once; none is left afterwards."""
        texts, self._texts = self._texts, {}
        return {
            "text_id": list(texts),
            "chars": [len(text) for text in texts.values()],
            "text": list(texts.values()),
        }

    def _reference(self, text: str) -> Any:
        pieces, rest = cut(text)
        return reference(b"".join(map(self.keep, pieces)), rest)


def cut(text: str) -> tuple[list[str], str]:
    """The pieces of a text of at least `TEXT_CHARS_MIN`, and what follows the last, which is shorter."""
    pieces = []
    start = 0
    while seam := _SEAM.search(text, start + TEXT_CHARS_MIN - 1):
        pieces.append(text[start : seam.end()])
        start = seam.end()
    # The last message is a piece without the bracket that closes the list: more will follow it there.
    end = text.rfind("}") + 1 if pieces or text.startswith(_OPENINGS) else 0
    for stop in (end, len(text)):
        if stop - start >= TEXT_CHARS_MIN:
            pieces.append(text[start:stop])
            start = stop
    return pieces, text[start:]
