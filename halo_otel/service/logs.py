"""Log lines on standard error: one per happening, safe to read in a terminal and for a machine.

A message may hold text that strangers wrote, and strangers decide how often some are logged. So control
characters become escapes, a line has an end, a traceback's lines cannot be taken for lines of their own, and
of lines of one kind so many are written a minute; what was not is told with the first line after that.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from halo_otel.config.sections import Telemetry
from halo_otel.selfobs import Counters

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MINUTE_S: Final = 60
_KINDS_MAX: Final = 1000  # of lines; a kind is a place in our code, so there are never so many
_TRACEBACK_LINES: Final = 16  # a traceback may be as long as so many lines
_INDENT: Final = "\n    | "


class _Text(logging.Formatter):
    """`time LEVEL process logger: message`; a traceback's lines below, each behind a bar."""

    def __init__(self, process: str, length_max: int) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {process} %(name)s: %(message)s")
        self._length_max = length_max

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _line(super().formatMessage(record), self._length_max)

    def formatException(self, ei: object) -> str:
        text = super().formatException(ei)  # type: ignore[arg-type]  # as logging gives it
        return _INDENT.join(["", *_traceback(text, self._length_max)])[1:]


class _Json(logging.Formatter):
    """One JSON object per line, the traceback in it."""

    def __init__(self, process: str, length_max: int) -> None:
        super().__init__()
        self._process = process
        self._length_max = length_max

    def format(self, record: logging.LogRecord) -> str:
        written = datetime.fromtimestamp(record.created, tz=UTC)
        told: dict[str, object] = {
            "time": written.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": _line(record.getMessage(), self._length_max),
        }
        if record.exc_info:
            text = self.formatException(record.exc_info)
            told["traceback"] = _traceback(text, self._length_max)
        return json.dumps(told)


class _Repeats(logging.Filter):
    """Lets so many lines of one kind pass in a minute, and says how many did not."""

    def __init__(self, most: int, counters: Counters) -> None:
        super().__init__()
        self._most = most
        self._counters = counters
        self._kinds: dict[tuple[str, int, str], tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        minute = int(record.created) // _MINUTE_S
        kind = (record.name, record.levelno, str(record.msg))
        began, count = self._kinds.get(kind, (minute, 0))
        if began != minute:
            if count > self._most:
                record.msg = f"{record.getMessage()} ({count - self._most} more lines like this were not written)"
                record.args = None
            count = 0
        if len(self._kinds) >= _KINDS_MAX:
            self._kinds.clear()
        self._kinds[kind] = (minute, count + 1)
        if count < self._most:
            return True
        self._counters.add("halo.log.suppressed_lines", level=record.levelname.lower())
        return False


def configure(process: str, settings: Telemetry, counters: Counters) -> None:
    """Send log lines to standard error as `settings` say, marked with the process's name."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = _Json if settings.log_format == "json" else _Text
    handler.setFormatter(formatter(process, settings.log_line_length))
    handler.addFilter(_Repeats(settings.log_repeats, counters))
    level = _LEVELS[settings.log_level]
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # What the HTTP server says of its life is said by the front, once for all ports.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # At debug level gRPC tells of its own event loop.
    logging.getLogger("grpc").setLevel(max(logging.INFO, level))
    # The exporters log every failed attempt themselves; the emitter counts and reports them.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    # The client of the model tells every request at info level, and what is in it at debug level.
    for name in ("httpx2", "openai"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _line(text: str, length_max: int) -> str:
    """`text` on one line, printable, and cut where it is too long."""
    more = len(text) - length_max
    cut = text if more <= 0 else f"{text[:length_max]} [cut: {more} more characters]"
    return "".join(c if c.isprintable() else _escape(c) for c in cut)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else character.encode("unicode_escape").decode("ascii")


def _traceback(text: str, length_max: int) -> list[str]:
    """The lines of a traceback, from its end if it is too long: there stands what happened."""
    most = _TRACEBACK_LINES * length_max
    cut = text if len(text) <= most else f"[cut: {len(text) - most} characters]\n{text[-most:]}"
    return [_line(line, length_max) for line in cut.split("\n")]
