"""Three telemetry conventions, each written on its own, that put a recorded run into spans.

    OPENINFERENCE   flattened `llm.*` attributes, `openinference.span.kind`, hand-offs as TOOL spans
    GENAI           OTel gen_ai, current names, JSON messages in attributes, an HTTP server span as root
    GENAI_EVENTS    the older span-event form (as Strands writes it): content only in span events

A dialect sees a `Setting` and a `Call` tree and yields spans; children stand before their parents.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum

from halo_otel.demo.dialects import genai, genai_events, openinference
from halo_otel.demo.dialects.spans import Setting
from halo_otel.demo.recording import Call
from halo_otel.model.span import Span


class Dialect(StrEnum):
    """A telemetry convention."""

    OPENINFERENCE = "openinference"
    GENAI = "genai"
    GENAI_EVENTS = "genai_events"


_SPEAK: dict[Dialect, Callable[[Setting, Call], Iterator[Span]]] = {
    Dialect.OPENINFERENCE: openinference.speak,
    Dialect.GENAI: genai.speak,
    Dialect.GENAI_EVENTS: genai_events.speak,
}


def speak(dialect: Dialect, setting: Setting, root: Call) -> Iterator[Span]:
    """The spans of the run under `root`, in `dialect`."""
    return _SPEAK[dialect](setting, root)
