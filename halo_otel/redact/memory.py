"""What was made of the texts seen last."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_ENTRY_CHARS: Final = 200  # what an entry takes beside its characters


class Memory(Generic[T]):
    """By a text what was made of it: of the texts asked for last, with at most `chars_max` characters together."""

    def __init__(self, chars_max: int) -> None:
        self._half = chars_max // 2
        self._recent: dict[str, T] = {}
        self._older: dict[str, T] = {}
        self._chars = 0

    def get(self, text: str, make: Callable[[str], T]) -> T:
        """What `make` gives for `text`, or gave."""
        if text in self._recent:
            return self._recent[text]
        made = self._older[text] if text in self._older else make(text)
        chars = len(text) + _ENTRY_CHARS
        if self._chars + chars > self._half:
            self._recent, self._older, self._chars = {}, self._recent, 0
        if chars <= self._half:
            self._recent[text] = made
            self._chars += chars
        return made
