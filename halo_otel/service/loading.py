"""Files of traces to rows: in this process, or in several when there is much to read.

    files ─▶ chunks of undecoded requests ─▶ decoded to rows (here or in a worker) ─▶ batches, in order

Decoding is most of the work of `halo-otel analyze` and holds Python's lock, so only processes
share it. Both ways run `_decode` over the same chunks and give the same batches. A worker is this module
as a child process: it reads pickled chunks from its standard input, writes pickled batches to its
standard output, and ends when the input does, however its parent died.
"""

import gc
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Final, TypeAlias

from halo_otel.agentspan.prices import load_prices
from halo_otel.config.sections import Keep
from halo_otel.errors import Permanent
from halo_otel.importers.files import (
    Entry,
    FilePart,
    Judge,
    OnBad,
    Verdict,
    entries,
    telemetry,
)
from halo_otel.importers.formats import Part
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import Span
from halo_otel.window import Batch
from halo_otel.window.tables import packed

# Undecoded bytes in one batch: some thousand spans, of which each takes 10 KB on its way. Smaller
# ones cost more (a bulk insert takes 10 ms however many rows it has), larger ones more memory.
CHUNK_BYTES: Final = 4 << 20
# A worker takes a third of a second to start, in which 10 MB are decoded.
WORKERS_FROM_BYTES: Final = 16 << 20
# A request has less than 2^28 records: it has at most that many bytes (`REQUEST_BYTES_MAX`).
_POSITION_BITS: Final = 28


class WorkerDied(Permanent):
    """A process that decodes files ended by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Consecutive entries, of which the first part is the `first`th of all there is to read."""

    first: int
    entries: Sequence[Entry]
    keep: Keep
    prices_file: Path | None

    @property
    def parts(self) -> list[Part]:
        return [entry.part for entry in self.entries if isinstance(entry, FilePart)]

    @property
    def place(self) -> str:
        """Where it begins."""
        first = self.entries[0]
        line = f" from line {first.part.number} on" if isinstance(first, FilePart) else ""
        return f"{first.path}{line}"

    @property
    def size_bytes(self) -> int:
        return sum(len(part.content) for part in self.parts)


# What becomes of a chunk: its rows, and what is bad in each of its parts.
_Decoded: TypeAlias = tuple[Batch, list[Verdict]]


def load(
    paths: Sequence[Path],
    on_bad: OnBad,
    *,
    workers: int,
    keep: Keep = "all",
    prices_file: Path | None = None,
) -> Generator[Batch, None, None]:
    """The rows of everything in `paths`, in order; by so many processes if that is faster.

    With `keep="agents"` log records that nothing can tie to an agent are left out, as at ingest.

    Files have no time of arrival: a record's own end stands for it, and its place in the files
    orders spans that are there twice. Raises as `importers.files.read_telemetry` does, and WorkerDied.
    """
    collect_cycles_rarely()
    judge = Judge(on_bad)
    with closing(_decoded(_chunks(paths, keep, prices_file), workers)) as results:
        for chunk, (batch, verdicts) in results:
            verdict = iter(verdicts)
            for entry in chunk.entries:
                if isinstance(entry, FilePart):
                    judge.see(entry, next(verdict))
                else:
                    judge.see(entry)
            yield batch


def collect_cycles_rarely() -> None:
    """Let Python look for reference cycles a hundred times less often than by default.

    Decoding makes some hundred objects per span and no cycles; looking for some among them takes a
    seventh of the time (measured: 85 µs per span, 72 without).
    """
    gc.set_threshold(200_000, 50, 100)


def _chunks(paths: Sequence[Path], keep: Keep, prices_file: Path | None) -> Iterator[_Chunk]:
    first = size_bytes = parts = 0
    gathered: list[Entry] = []
    for entry in entries(paths):
        gathered.append(entry)
        if isinstance(entry, FilePart):
            parts += 1
            size_bytes += len(entry.part.content)
        if size_bytes >= CHUNK_BYTES:
            yield _Chunk(first=first, entries=gathered, keep=keep, prices_file=prices_file)
            first, size_bytes, gathered = parts, 0, []
    if gathered:
        yield _Chunk(first=first, entries=gathered, keep=keep, prices_file=prices_file)


def _decoded(
    chunks: Iterator[_Chunk], workers: int
) -> Generator[tuple[_Chunk, _Decoded], None, None]:
    """Every chunk with what becomes of it, in order."""
    begun: list[_Chunk] = []
    if workers > 1:
        size_bytes = 0
        while size_bytes < WORKERS_FROM_BYTES and (chunk := next(chunks, None)):
            begun.append(chunk)
            size_bytes += chunk.size_bytes
        if size_bytes >= WORKERS_FROM_BYTES:
            yield from _decoded_by_workers(chain(begun, chunks), workers)
            return
    for chunk in chain(begun, chunks):
        yield chunk, _decode(chunk.first, chunk.parts, chunk.keep, chunk.prices_file)


def _decode(first: int, parts: Iterable[Part], keep: Keep, prices_file: Path | None) -> _Decoded:
    builder = RowBuilder(keep, load_prices(prices_file))
    verdicts: list[Verdict] = []
    for number, part in enumerate(parts, start=first):
        contents = telemetry(part)
        verdicts.append(contents.verdict)
        for position, record in enumerate(contents.items, start=number << _POSITION_BITS):
            if isinstance(record, Span):
                builder.add_span(record, max(record.start_ns, record.end_ns), position)
            else:
                builder.add_log_record(record, record.time_ns or record.observed_ns, position)
    return packed(builder.batch()), verdicts


def _decoded_by_workers(
    chunks: Iterator[_Chunk], workers: int
) -> Iterator[tuple[_Chunk, _Decoded]]:
    with _started(workers) as submit:
        pending: deque[tuple[_Chunk, Future[_Decoded]]] = deque()
        for chunk in chunks:
            pending.append((chunk, submit(chunk)))
            if len(pending) > 2 * workers:
                chunk, decoded = pending.popleft()
                yield chunk, decoded.result()
        for chunk, decoded in pending:
            yield chunk, decoded.result()


@contextmanager
def _started(count: int) -> Iterator[Callable[[_Chunk], Future[_Decoded]]]:
    """So many workers, one thread to wait for each; whatever happens, they are gone afterwards."""
    idle: SimpleQueue[_Worker] = SimpleQueue()

    def decode(chunk: _Chunk) -> _Decoded:
        worker = idle.get()
        try:
            return worker.decode(chunk)
        finally:
            idle.put(worker)

    workers: list[_Worker] = []
    threads = ThreadPoolExecutor(count)
    try:
        for _ in range(count):
            workers.append(_Worker())
            idle.put(workers[-1])
        yield lambda chunk: threads.submit(decode, chunk)
    finally:
        for worker in workers:
            worker.kill()
        threads.shutdown(cancel_futures=True)
        for worker in workers:
            worker.close()


class _Worker:
    """A child process; nothing is lost by killing it at any moment."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "halo_otel.service.loading"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for us alone: it ends the workers through us
        )

    def decode(self, chunk: _Chunk) -> _Decoded:
        """What becomes of `chunk`. Raises WorkerDied."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            task = (chunk.first, chunk.parts, chunk.keep, chunk.prices_file)
            pickle.dump(task, stdin, pickle.HIGHEST_PROTOCOL)
            stdin.flush()
            decoded: _Decoded = pickle.load(stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise WorkerDied(
                f"process {self._process.pid} ended with code {self._process.wait()} while it "
                f"decoded {chunk.place}: see its output above; if memory ran out, "
                "`window.threads: 1` decodes without such processes"
            ) from error
        return decoded

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        with suppress(BrokenPipeError), self._process:  # closes the pipes and waits
            pass


def main() -> None:
    """Entry of a worker."""
    collect_cycles_rarely()
    with suppress(EOFError, BrokenPipeError):  # the parent has enough, or is gone
        while True:
            decoded = _decode(*pickle.load(sys.stdin.buffer))
            pickle.dump(decoded, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
            sys.stdout.buffer.flush()
    os._exit(0)  # an ordinary exit would flush a pipe that nobody reads


if __name__ == "__main__":
    main()
