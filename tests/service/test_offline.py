"""Files are loaded the same whether one process decodes them or several, and nothing stays behind."""

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from halo_otel.config.sections import Analysis, Window
from halo_otel.demo.traffic import generate
from halo_otel.errors import BadFile
from halo_otel.importers.files import BadLine, read_telemetry
from halo_otel.model.span import Span
from halo_otel.otlp.encode import requests
from halo_otel.service import loading
from halo_otel.service.loading import WorkerDied, load
from halo_otel.service.offline import analyze_files
from halo_otel.window.single import SingleWindow

DATA = Path(__file__).parents[1] / "data"
RELATIONS = {
    "raw_spans": "position",
    "log_records": "position",
    "resources": "resource_id",
    "scopes": "scope_id",
}
LOG_LINE = (
    b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5","body":'
    b'{"stringValue":"said"}}]}]}]}\n'
)


def children() -> list[int]:
    """The workers of this process."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(
                (directory / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            )
            command = (directory / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == os.getpid() and loading.__name__.encode() in command:
            found.append(int(directory.name))
    return found


@pytest.fixture
def always_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little input goes to workers too, in many chunks."""
    monkeypatch.setattr(loading, "CHUNK_BYTES", 100_000)
    monkeypatch.setattr(loading, "WORKERS_FROM_BYTES", 1)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A directory and two files: real agents, generated ones, log records, and what is bad."""
    lines = gzip.decompress((DATA / "intercode-sql.jsonl.gz").read_bytes()).splitlines(True)
    directory = tmp_path / "many"
    directory.mkdir()
    (directory / "0.txt").write_text("no traces", encoding="utf-8")
    (directory / "1.jsonl").write_bytes(
        b'{"resourceSpans": [{\n' + b"".join(lines) + LOG_LINE + b"[5]\n"
    )
    (directory / "2.jsonl").write_bytes(b'{"resourceMetrics": []}\n' * 150)
    (directory / "3.jsonl").write_bytes(b"")
    traffic = generate(seed="load", runs=20, start_ns=10**18, duration_ns=60 * 10**9)
    framed = [len(each).to_bytes(4, "big") + each for each in requests(traffic.spans)]
    generated = tmp_path / "generated.pb"
    generated.write_bytes(b"".join(framed)[:-3])
    return [directory, DATA / "tau-airline.jsonl.gz", generated, DATA / "tau-airline.jsonl.gz"]


def loaded(paths: list[Path], workers: int) -> tuple[dict[str, list[Any]], list[BadLine], Any]:
    bad: list[BadLine] = []
    with SingleWindow() as window:
        for batch in load(paths, bad.append, workers=workers):
            window.insert(batch)
        with window.view() as view:
            tables = {
                name: view.con.execute(f"SELECT * FROM {name} ORDER BY {order}").fetchall()
                for name, order in RELATIONS.items()
            }
            return tables, bad, view.windows


@pytest.mark.usefixtures("always_workers")
def test_workers_change_nothing(files: list[Path]) -> None:
    alone = loaded(files, 1)
    assert loaded(files, 2) == alone
    tables, bad, (info,) = alone
    records = list(read_telemetry(files, lambda line: None))
    spans = [record for record in records if isinstance(record, Span)]
    assert [(row[0], row[1]) for row in tables["raw_spans"]] == [
        (span.trace_id, span.span_id) for span in spans
    ]
    assert (info.spans, info.log_records) == (len(spans), 1)
    assert info.end_ns == max(max(span.start_ns, span.end_ns) for span in spans) + 1
    assert info.start_ns == 5  # the log record's time
    assert [(line.path.name, line.number) for line in bad if line.path.name != "2.jsonl"] == [
        ("0.txt", 0),
        ("1.jsonl", 1),
        ("1.jsonl", 6),
        ("generated.pb", bad[-1].number),
    ]
    assert [line.number for line in bad if line.path.name == "2.jsonl"] == [*range(1, 151), 0]


@pytest.mark.usefixtures("always_workers")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_file_ends_it(files: list[Path], tmp_path: Path, workers: int) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(b'{"name": "not traces"}\n' * 1000)
    with pytest.raises(BadFile, match="other"):
        loaded([*files, other, *files], workers)
    assert not children()


def test_little_input_starts_no_process(files: list[Path]) -> None:
    batches = load(files, lambda line: None, workers=2)
    next(batches)
    assert not children()
    batches.close()


@pytest.mark.usefixtures("always_workers")
def test_a_dead_worker_is_named(files: list[Path]) -> None:
    batches: Iterator[Any] = load(files * 20, lambda line: None, workers=2)
    next(batches)
    workers = children()
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    with pytest.raises(
        WorkerDied, match=r"ended with code -9 .*(jsonl|pb).* from line \d+"
    ) as death:
        list(batches)
    assert any(str(worker) in str(death.value) for worker in workers)
    assert not children()


@pytest.mark.usefixtures("always_workers")
def test_an_interrupt_leaves_no_process(files: list[Path]) -> None:
    seen: list[int] = []

    def interrupt(read: int) -> None:
        seen.extend(children())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyze_files(
            files * 20, Analysis(), interrupt, lambda line: None, window=Window(threads=2)
        )
    assert seen
    assert not children()


def test_a_worker_ends_with_its_parent() -> None:
    worker = subprocess.run(
        [sys.executable, "-m", loading.__name__],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (worker.returncode, worker.stdout, worker.stderr) == (0, b"", b"")
