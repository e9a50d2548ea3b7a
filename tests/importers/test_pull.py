"""An import that is interrupted anywhere neither loses nor doubles; a later one brings what is new."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halo_otel.clock import NS_PER_S
from halo_otel.errors import BadFile, BadRequest, ConfigError, StateDamaged, Unreachable, Unwritable
from halo_otel.importers.files import read_traces
from halo_otel.importers.foreign import read
from halo_otel.importers.pull import OVERLAP_S, FileSink, State, Totals, begin, pull, save_to
from halo_otel.importers.servers import Page
from halo_otel.model.span import Span, SpanId
from tests.importers import exports

UNTIL_NS = 1_800_000_000 * NS_PER_S
FOUND = read(exports.PHOENIX)
assert FOUND is not None
SPANS = [replace(FOUND.spans[0], span_id=SpanId(f"{number:016x}")) for number in range(1, 9)]


class Pages:
    """A server of `SPANS`, two on a page, that breaks when it is told to."""

    def __init__(self, breaks_at: int | None = None) -> None:
        self.breaks_at = breaks_at
        self.asked: list[str] = []

    async def page(self, cursor: str) -> Page:
        self.asked.append(cursor)
        first = int(cursor or 0)
        if self.breaks_at == first // 2:
            raise Unreachable("gone")
        following = str(first + 2) if first + 2 < len(SPANS) else ""
        return Page(spans=tuple(SPANS[first : first + 2]), problems=(), following=following)


class Torn(FileSink):
    """A file whose writer dies after writing page `dies_at` and before anybody knows."""

    def __init__(self, path: Path, begin_bytes: int, dies_at: int | None) -> None:
        super().__init__(path, begin_bytes)
        self._left = dies_at

    async def take(self, spans: Sequence[Span]) -> int:
        held = await super().take(spans)
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
        return held


def nothing(*_: Any) -> None:
    """Nobody looks."""


async def run(server: Pages, sink: FileSink, state: State, file: Path | None) -> Totals:
    sink.open()
    return await pull(server, sink, state, save=save_to(file), on_page=nothing, on_problem=nothing)


def written(path: Path) -> list[SpanId]:
    bad: list[Any] = []
    found = [span.span_id for span in read_traces([path], bad.append)]
    assert not bad
    return found


Fresh = Callable[[], Path]


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    return lambda: tmp_path_factory.mktemp("import")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=4),
    st.sampled_from(["out.jsonl", "out.jsonl.gz"]),
)
async def test_interrupted_anywhere_nothing_is_lost_or_doubled(
    fresh: Fresh, interruptions: list[tuple[bool, int]], name: str
) -> None:
    out, resume = fresh() / name, fresh() / "state"
    for at_server, place in interruptions:
        state = begin(resume, "this", None, UNTIL_NS)
        if state.finished:
            break
        server = Pages(place if at_server else None)
        sink = Torn(out, state.out_bytes, None if at_server else place)
        try:
            await run(server, sink, state, resume)
        except (Unreachable, KeyboardInterrupt):
            continue
        break
    else:
        state = begin(resume, "this", None, UNTIL_NS)
        await run(Pages(), FileSink(out, state.out_bytes), state, resume)
    assert written(out) == [span.span_id for span in SPANS]


async def test_a_second_run_asks_for_what_is_new(tmp_path: Path) -> None:
    out, resume = tmp_path / "out.jsonl", tmp_path / "state"
    first = begin(resume, "this", 7, UNTIL_NS)
    assert (first.since_ns, first.until_ns, first.cursor) == (7, UNTIL_NS, "")
    totals = await run(Pages(), FileSink(out, 0), first, resume)
    assert (totals.spans, totals.pages, totals.doubles) == (8, 4, 0)
    second = begin(resume, "this", 7, UNTIL_NS + 5)
    assert second.since_ns == UNTIL_NS - OVERLAP_S * NS_PER_S
    assert (second.until_ns, second.cursor) == (UNTIL_NS + 5, "")
    assert second.out_bytes == out.stat().st_size
    await run(Pages(), FileSink(out, second.out_bytes), second, resume)
    assert written(out) == [span.span_id for span in SPANS] * 2


async def test_doubles_are_counted(tmp_path: Path) -> None:
    class Again(Pages):
        async def page(self, cursor: str) -> Page:
            page = await super().page(cursor)
            return replace(page, spans=(SPANS[0], *page.spans))

    totals = await run(
        Again(), FileSink(tmp_path / "out", 0), begin(None, "this", None, UNTIL_NS), None
    )
    assert (totals.spans, totals.doubles) == (12, 4)


async def test_a_server_that_goes_in_circles_is_left(tmp_path: Path) -> None:
    class Circle(Pages):
        async def page(self, cursor: str) -> Page:
            return replace(await super().page(""), following="same")

    state = begin(None, "this", None, UNTIL_NS)
    with pytest.raises(BadRequest, match="same page"):
        await run(Circle(), FileSink(tmp_path / "out", 0), state, None)


def test_a_state_of_another_import_is_refused(tmp_path: Path) -> None:
    resume = tmp_path / "state"
    save_to(resume)(begin(None, "'langfuse' 'this'", None, UNTIL_NS))
    with pytest.raises(ConfigError, match="is of another import"):
        begin(resume, "'langfuse' 'that'", None, UNTIL_NS)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 2}', b'{"format": 1, "x": 2}'])
def test_a_damaged_state_is_told(tmp_path: Path, content: bytes) -> None:
    resume = tmp_path / "state"
    resume.write_bytes(content)
    with pytest.raises(StateDamaged, match="delete it to begin anew"):
        begin(resume, "this", None, UNTIL_NS)


def test_a_file_that_lost_its_end_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"12345")
    with pytest.raises(BadFile, match="shorter than this import left it"):
        FileSink(out, 6).open()
    assert out.read_bytes() == b"12345"


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unwritable, match="cannot write"):
        FileSink(tmp_path / "none" / "out", 0).open()
    with pytest.raises(Unwritable, match="cannot write"):
        save_to(tmp_path / "none" / "state")(begin(None, "this", None, UNTIL_NS))


async def test_gzip_by_name(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl.gz"
    await run(Pages(), FileSink(path, 0), begin(None, "this", None, UNTIL_NS), None)
    assert gzip.decompress(path.read_bytes()).count(b"\n") == 4
