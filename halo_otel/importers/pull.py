"""Everything a server has, page by page, into a file or to a receiver; a later run goes on.

After each page, once its spans are safe where they go, the state is written: what was asked, up to
where, and how long the file was. An interrupted run begins again after the last such page, and cuts
from the file what came after it: nothing is lost, and nothing stands in it twice. A run after a
finished one asks for what is new since, and once more for the last `OVERLAP_S` before that, because
spans reach a server after they start.
"""

import asyncio
import gzip
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import orjson

from halo_otel.clock import NS_PER_S
from halo_otel.errors import BadFile, BadRequest, ConfigError, StateDamaged, Unwritable
from halo_otel.importers.servers import Page, Server
from halo_otel.model.span import Span, SpanId, TraceId
from halo_otel.otlp.encode import SPANS_PER_REQUEST, json_line

OVERLAP_S: Final = 600
_REMEMBERED: Final = 100_000  # spans of this run among which doubles are noticed
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far an import is; `asked` says of what, without the key. Times are Unix nanoseconds."""

    asked: str
    since_ns: int | None
    until_ns: int
    cursor: str = ""
    out_bytes: int = 0
    finished: bool = False


@dataclass(slots=True, kw_only=True)
class Totals:
    """What this run brought."""

    pages: int = 0
    spans: int = 0
    doubles: int = 0  # spans that this run had brought already; they are passed on
    problems: int = 0


class Sink(Protocol):
    """Where spans go."""

    async def take(self, spans: Sequence[Span]) -> int:
        """Return once `spans` are safe there, with the bytes it holds (0: it does not know)."""
        ...


async def pull(
    server: Server,
    sink: Sink,
    state: State,
    *,
    save: Callable[[State], None],
    on_page: Callable[[Totals], None],
    on_problem: Callable[[str], None],
) -> Totals:
    """Bring what is left from `state` on; raises what `server` and `sink` raise."""
    totals = Totals()
    seen: dict[tuple[TraceId, SpanId], None] = {}
    while not state.finished:
        page = await server.page(state.cursor)
        if page.following and page.following == state.cursor:
            raise BadRequest("the server names the same page as the next one: stopped")
        out_bytes = await sink.take(page.spans) if page.spans else state.out_bytes
        state = replace(
            state, cursor=page.following, out_bytes=out_bytes, finished=not page.following
        )
        save(state)
        _count(totals, page, seen)
        for problem in page.problems:
            on_problem(problem)
        on_page(totals)
    return totals


def _count(totals: Totals, page: Page, seen: dict[tuple[TraceId, SpanId], None]) -> None:
    totals.pages += 1
    totals.spans += len(page.spans)
    totals.problems += len(page.problems)
    for span in page.spans:
        key = (span.trace_id, span.span_id)
        totals.doubles += key in seen
        seen[key] = None
    for oldest in list(islice(seen, max(0, len(seen) - _REMEMBERED))):
        del seen[oldest]


def begin(path: Path | None, asked: str, since_ns: int | None, until_ns: int) -> State:
    """Where to begin: as asked, or where the state in the file at `path` says.

    Raises ConfigError if that is of another import, and StateDamaged.
    """
    new = State(asked=asked, since_ns=since_ns, until_ns=until_ns)
    if path is None or not path.exists():
        return new
    try:
        known = orjson.loads(path.read_bytes())
        if known.pop("format") != _FORMAT:
            raise ValueError("written by another version")
        state = State(**known)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StateDamaged(f"{path} cannot be read ({error}): delete it to begin anew") from error
    if state.asked != asked:
        raise ConfigError(f"{path} is of another import ({state.asked}): give another --resume")
    if not state.finished:
        return state
    again_ns = max(0, state.until_ns - OVERLAP_S * NS_PER_S)
    return replace(new, since_ns=again_ns, out_bytes=state.out_bytes)


def save_to(path: Path | None) -> Callable[[State], None]:
    """Writes the state to the file at `path`, whole or not at all; raises Unwritable."""

    def save(state: State) -> None:
        if path is None:
            return
        beside = path.with_name(path.name + ".new")
        try:
            with beside.open("wb") as file:
                file.write(orjson.dumps({"format": _FORMAT, **asdict(state)}))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except OSError as error:
            raise Unwritable(f"cannot write {path}: {error.strerror}") from error

    return save


class FileSink:
    """OTLP JSON lines at `path`, gzipped if its name ends in `.gz`, behind its first `begin_bytes`.

    What stands there after them was written by a run that did not come to save it, and goes.
    """

    def __init__(self, path: Path, begin_bytes: int) -> None:
        self._path = path
        self._bytes = begin_bytes
        self._pack: Callable[[bytes], bytes] = gzip.compress if path.suffix == ".gz" else bytes

    def open(self) -> None:
        """Cut the file to its beginning. Raises BadFile if it is shorter, Unwritable."""
        try:
            with self._path.open("ab") as file:
                if file.tell() < self._bytes:
                    raise BadFile(
                        f"{self._path} is shorter than this import left it: give another --resume "
                        "and begin anew"
                    )
                file.truncate(self._bytes)
        except OSError as error:
            raise Unwritable(f"cannot write {self._path}: {error.strerror}") from error

    async def take(self, spans: Sequence[Span]) -> int:
        """Append `spans` and bring them to the disk."""
        await asyncio.to_thread(self._append, spans)
        return self._bytes

    def _append(self, spans: Sequence[Span]) -> None:
        # Every page is a gzip member of its own: members in a row are one file (RFC 1952, 2.2).
        packed = self._pack(b"".join(json_line(batch) for batch in _batches(spans)))
        try:
            with self._path.open("ab") as file:
                file.write(packed)
                file.flush()
                os.fsync(file.fileno())
                self._bytes = file.tell()
        except OSError as error:
            raise Unwritable(f"cannot write {self._path}: {error.strerror}") from error


def _batches(spans: Sequence[Span]) -> Iterator[Sequence[Span]]:
    return (
        spans[first : first + SPANS_PER_REQUEST]
        for first in range(0, len(spans), SPANS_PER_REQUEST)
    )
