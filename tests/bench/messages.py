"""What it saves to store each message once: bytes of window files, and CPU time, per set of traces.

    python tests/bench/messages.py [DIRECTORY]

Each directory in DIRECTORY (the corpus beside the checkout) that holds trace files is a set; the last set is made here: many sessions
at once that send their whole conversation again with each turn. The spans of a set go into a window
file twice, with every text where it was sent and with its pieces stored once. They come as a service
receives them, all runs at once, a span of each by turns.

JSON is attributes and events as sent; held is what of it a window holds before compression, texts
included; file is the sealed window; µs are CPU time per span, from span to committed row and back.
"""

import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import orjson

from halo_otel.config import sections
from halo_otel.errors import BadFile
from halo_otel.importers.files import read_traces
from halo_otel.ingest import texts
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import Span, SpanId, TraceId
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"

SPANS_PER_BATCH = 2048
SESSIONS, TURNS, WORDS_PER_MESSAGE = 1500, 20, 100
NEVER = sys.maxsize
ONCE = texts.TEXT_CHARS_MIN
HELD = """
SELECT (FROM raw_spans SELECT sum(strlen(attributes) + strlen(events)))
     + (FROM all_texts SELECT coalesce(sum(strlen(text) + 16), 0))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Bytes, and µs of CPU time per span."""

    held_bytes: int
    file_bytes: int
    storing_us: float
    reading_us: float


def main(directory: Path) -> None:
    print(f"{'':20}{'':7} | kB: JSON    held       file        | µs: storing   reading")
    print(f"{'':20}{'spans':>7} |    sent    once    sent   once |  sent once   sent once")
    sums = [0, 0, 0, 0]
    for name, spans in sets(directory):
        sent, once = stored(spans, NEVER), stored(spans, ONCE)
        sizes = (sent.held_bytes, once.held_bytes, sent.file_bytes, once.file_bytes)
        times = (sent.storing_us, once.storing_us, sent.reading_us, once.reading_us)
        sums = [total + size for total, size in zip(sums, sizes, strict=True)]
        print(f"{name:20}{len(spans):7} | {columns(sizes, 1e3)} | {columns(times, 1)}")
    print(f"{'all':27} | {columns(sums, 1e3)}")


def columns(values: Sequence[float], unit: float) -> str:
    return " ".join(f"{value / unit:7,.0f}" for value in values)


def sets(directory: Path) -> Iterator[tuple[str, list[Span]]]:
    for path in sorted(path for path in directory.iterdir() if path.is_dir()):
        try:
            spans = list(read_traces([path], lambda _: None))
        except BadFile as error:
            print(error)
            continue
        yield path.name, by_turns(spans)
    yield "sessions at once", list(conversations(spans[0]))


def by_turns(spans: Sequence[Span]) -> list[Span]:
    traces: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return [span for turn in zip_longest(*traces.values()) for span in turn if span is not None]


def conversations(like: Span) -> Iterator[Span]:
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnoprstuv", k=6)) for _ in range(3000)]
    said: list[list[dict[str, object]]] = [[] for _ in range(SESSIONS)]
    for turn in range(TURNS):
        for session, messages in enumerate(said):
            for role in ("user", "assistant"):
                text = " ".join(chance.choices(words, k=WORDS_PER_MESSAGE))
                messages.append({"role": role, "parts": [{"type": "text", "content": text}]})
            yield replace(
                like,
                trace_id=TraceId(f"{session + 1:032x}"),
                span_id=SpanId(f"{session * TURNS + turn + 1:016x}"),
                attributes={
                    "gen_ai.operation.name": "chat",
                    "gen_ai.input.messages": orjson.dumps(messages[:-1]).decode(),
                    "gen_ai.output.messages": orjson.dumps(messages[-1:]).decode(),
                },
            )


def stored(spans: Sequence[Span], least_chars: int) -> Stored:
    texts.TEXT_CHARS_MIN = least_chars  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as directory:
        store = WindowStore(Path(directory) / "windows", sections.Window(threads=1), Counters())
        store.open()
        began = time.process_time()
        for start in range(0, len(spans), SPANS_PER_BATCH):
            builder = RowBuilder()
            for position, span in enumerate(spans[start : start + SPANS_PER_BATCH], start):
                builder.add_span(span, 0, position)
            store.insert(0, builder.batch(), store.resume_offset + 1)
        storing_s = time.process_time() - began
        store.seal_before(NEVER)
        (window,) = store.windows()
        with store.view(0) as view:
            (held_bytes,) = view.con.execute(HELD).fetchall()[0]
            traces = [arrival.trace_id for arrival in view.traces_last_arrival()][:40]
            began = time.process_time()
            read = sum(len(view.trace_spans(trace_id)) for trace_id in traces)
            reading_s = time.process_time() - began
        store.close()
    return Stored(
        held_bytes=held_bytes,
        file_bytes=window.bytes_,
        storing_us=storing_s / len(spans) * 1e6,
        reading_us=reading_s / read * 1e6,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS)
