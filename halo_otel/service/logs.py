"""Log lines on standard error, one per happening, safe to read in a terminal."""

import logging
import sys

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class _OneLine(logging.Formatter):
    """Control characters become escapes: a message may hold text that strangers wrote."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.exc_info:
            return text
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def configure(process: str, level: str) -> None:
    """Send log lines of `level` and above to standard error, marked with the process's name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(f"%(asctime)s %(levelname)s {process} %(name)s: %(message)s"))
    logging.basicConfig(level=_LEVELS[level], handlers=[handler], force=True)
    # What the HTTP server says of its life is said by the front, once for all ports.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # At debug level gRPC tells of its own event loop.
    logging.getLogger("grpc").setLevel(max(logging.INFO, _LEVELS[level]))
    # The exporters log every failed attempt themselves; the emitter counts and reports them.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    # The client of the model tells every request at info level, and what is in it at debug level.
    for name in ("httpx2", "openai"):
        logging.getLogger(name).setLevel(logging.WARNING)
