"""Real agent runs that come with the package; sources and licences stand in `traces/LICENSES.md`."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Final

from halo_otel.model.span import Span
from halo_otel.otlp.jsonlines import spans_from_json_line

NAMES: Final = ("tau-airline", "intercode-sql")


def traces(name: str) -> Iterator[list[Span]]:
    """The traces of one set, each with its spans in the order of their ends."""
    packed = files("halo_otel.demo").joinpath("traces", f"{name}.jsonl.gz").read_bytes()
    for line in gzip.decompress(packed).splitlines():
        yield spans_from_json_line(line)


def replayed(name: str, *, start_ns: int, duration_ns: int) -> list[Span]:
    """All spans of one set as if its runs had begun evenly over `duration_ns` from `start_ns` on.

    Every trace is moved as a whole, so durations and orders stay; spans come in the order of their
    new ends.
    """
    runs = list(traces(name))
    spans = [
        _moved(span, start_ns + duration_ns * place // len(runs) - min(s.start_ns for s in run))
        for place, run in enumerate(runs)
        for span in run
    ]
    return sorted(spans, key=lambda span: span.end_ns)


def _moved(span: Span, by_ns: int) -> Span:
    return replace(
        span,
        start_ns=span.start_ns + by_ns,
        end_ns=span.end_ns + by_ns,
        events=tuple(replace(event, time_ns=event.time_ns + by_ns) for event in span.events),
    )
