"""The operator's own patterns, in RE2's syntax.

With Python's `re` a pattern like `(a+)+$` on a stranger's text would stop the ingest for good. All patterns are
asked at once, and one by one only where one of them matches.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from halo_otel.redact import Sensitive, re2

# Characters that no text has (Unicode 23.7: noncharacters) fence what a pattern matches.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_FENCES: Final = str.maketrans(_OPEN + _CLOSE, "\ufffd\ufffd")


class Custom:
    """Named patterns."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = dict(patterns)
        self.prefilter = "|".join(f"(?:{pattern})" for pattern in patterns.values())

    def find(self, text: str) -> Iterator[Sensitive]:
        """What they match; of one pattern no two overlap."""
        if not self._patterns or not text:
            return
        plain = text.translate(_FENCES)
        if not re2.matching([plain], self.prefilter):
            return
        for name, pattern in self._patterns.items():
            yield from _marked(plain, name, pattern)


def _marked(text: str, name: str, pattern: str) -> Iterator[Sensitive]:
    import pyarrow.compute as pc

    fenced = pc.replace_substring_regex(
        re2.array([text]), pattern=f"({pattern})", replacement=rf"{_OPEN}\1{_CLOSE}"
    )
    place = 0
    for piece in fenced[0].as_py().split(_OPEN):
        matched, closed, rest = piece.rpartition(_CLOSE)
        if closed and matched:
            yield Sensitive(place, place + len(matched), name, matched, "")
        place += len(matched) + len(rest)
