"""What the model does, told on standard error while it does it.

On a terminal the text of one conversation at a time is shown as it is written; what others write meanwhile, and
everything elsewhere, is told when it is complete. All of it is strangers' text: shown literally, and without
anything that a terminal obeys.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from halo_otel.cli.terminal import note, safe

if TYPE_CHECKING:
    from halo_otel.recursion.progress import Event

_NAME_CHARS: Final = 48
_VALUE_CHARS: Final = 60
_TEXT_CHARS: Final = 400


class Live:
    """A listener."""

    def __init__(self) -> None:
        self._flows = sys.stderr.isatty()
        self._names: dict[str, str] = {}
        self._written: dict[str, str] = defaultdict(str)  # of turns that are not over
        self._floor: str | None = None  # whose text flows
        self._is_open = False  # a line of text, which has no end yet

    def __call__(self, event: "Event") -> None:
        """Tell of `event`."""
        from halo_otel.recursion.progress import Began, Claimed, Ended, Looked, Said, Wrote

        match event:
            case Began():
                self._names[event.about] = _cut(safe(event.title or event.about), _NAME_CHARS)
                self._tell(event.about, "looking")
            case Wrote():
                self._write(event.about, event.text)
            case Said():
                self._end_turn(event.about)
            case Looked():
                self._tell(event.about, f"{event.tool}({_shown(event.arguments)})")
            case Claimed():
                outcome = f"dropped, {event.dropped}" if event.dropped else "holds"
                self._tell(event.about, f"{outcome}: {_cut(safe(event.statement), _TEXT_CHARS)}")
            case Ended():
                self._end_turn(event.about)

    def _write(self, about: str, text: str | None) -> None:
        if text is None:
            self._end_turn(about, is_void=True)
            return
        self._written[about] += text
        if self._floor is None and self._flows and text.strip():
            self._floor = about
        if self._floor == about:
            if not self._is_open:
                print(f"{self._names[about]}: ", end="", file=sys.stderr)
                self._is_open = True
            print(_flowing(text), end="", file=sys.stderr, flush=True)

    def _end_turn(self, about: str, *, is_void: bool = False) -> None:
        written = self._written.pop(about, "")
        if self._floor == about:
            self._floor = None
            self._break()
        elif written.strip() and not is_void:
            self._tell(about, _cut(safe(written), _TEXT_CHARS))
        if is_void and written.strip():
            self._tell(about, "is asked again")

    def _tell(self, about: str, what: str) -> None:
        self._break()
        note(f"{self._names.get(about, about)}: {what}")

    def _break(self) -> None:
        if self._is_open:
            print(file=sys.stderr, flush=True)
            self._is_open = False


def _shown(arguments: Mapping[str, Any]) -> str:
    """`name=value, …`, each value short."""
    return ", ".join(
        f"{name}={_cut(safe(str(value)), _VALUE_CHARS)}" for name, value in arguments.items()
    )


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"


def _flowing(piece: str) -> str:
    """A piece of a text on one line: `safe` would take the spaces at its ends."""
    return "".join(
        " " if c.isspace() else c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in piece
    )
