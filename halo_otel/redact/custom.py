"""The operator's own patterns, in RE2's syntax.

RE2 takes time in proportion to the text whatever the pattern is, which Python's `re` does not: a pattern like
`(a+)+$` on a stranger's text would stop the ingest for good. It comes with Arrow. Asking costs some 15 µs
for each text, so all patterns are asked at once, and one by one only where one of them matches.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from halo_otel.redact import Sensitive

if TYPE_CHECKING:
    import pyarrow as pa

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
        array = _array(text)
        if not _matches(array, self.prefilter):
            return
        for name, pattern in self._patterns.items():
            yield from _marked(array, name, pattern)


def _array(text: str) -> "pa.Array":
    import pyarrow as pa

    # Half a surrogate pair is no UTF-8; one character for one keeps the places.
    plain = text.encode("utf-8", "replace").decode() if not text.isascii() else text
    return pa.array([plain.translate(_FENCES)], pa.string())


def _matches(array: "pa.Array", pattern: str) -> bool:
    import pyarrow.compute as pc

    return bool(pc.match_substring_regex(array, pattern=pattern)[0].as_py())


def _marked(array: "pa.Array", name: str, pattern: str) -> Iterator[Sensitive]:
    import pyarrow.compute as pc

    fenced = pc.replace_substring_regex(
        array, pattern=f"({pattern})", replacement=rf"{_OPEN}\1{_CLOSE}"
    )
    place = 0
    for piece in fenced[0].as_py().split(_OPEN):
        matched, closed, rest = piece.rpartition(_CLOSE)
        if closed and matched:
            yield Sensitive(place, place + len(matched), name, matched, "")
        place += len(matched) + len(rest)
