"""What was made of the texts seen last."""

from typing import Final, Generic, TypeVar

T = TypeVar("T")
_ENTRY_CHARS: Final = 200  # what an entry takes beside its characters


class Memory(Generic[T]):
    """By a text what was made of it: of the texts asked for last, with at most `chars_max` characters together."""

    def __init__(self, chars_max: int) -> None:
        self._half = chars_max // 2
        self.recent: dict[str, T] = {}  # for a quick look
        self._older: dict[str, T] = {}
        self._chars = 0

    def get(self, text: str, default: T) -> T:
        """What was made of `text`; `default` if it is not remembered."""
        made = self.recent.get(text, default)
        if made is default and (made := self._older.get(text, default)) is not default:
            self.put(text, made)
        return made

    def put(self, text: str, made: T) -> T:
        """Remember `made`, and give it back."""
        chars = len(text) + _ENTRY_CHARS
        if self._chars + chars > self._half:
            self.recent, self._older, self._chars = {}, self.recent, 0
        if chars <= self._half:
            self.recent[text] = made
            self._chars += chars
        return made
