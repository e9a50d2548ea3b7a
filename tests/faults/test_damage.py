"""Durable files that are not what was written: named, set aside or refused, the others used."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from halo_otel.config import sections
from halo_otel.errors import StateDamaged, Unwritable
from halo_otel.findings import Registry
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.faults.conftest import all_ingested, request, send, stored
from tests.path.conftest import Service, eventually
from tests.window.samples import NOON_NS, a_batch, a_span

LENGTH_NS = 300 * 10**9


def test_an_open_window_that_is_damaged_is_set_aside_and_stored_again_from_the_journal(
    service: Service,
) -> None:
    service.environ["HALO_WINDOW_LENGTH"] = "1d"
    service.start()
    send(service, request(0, 100))
    all_ingested(service)
    service.stop()
    (path,) = (service.storage / "windows").glob("*.duckdb")
    path.write_bytes(b"\xff" * 4096 + path.read_bytes()[4096:])
    service.start()
    all_ingested(service)
    eventually("it is counted", lambda: service.metric("halo_window_damaged_total") == 1)
    status = service.command("status")
    assert "halo.window.damaged  1" in status.stdout, status.stderr
    send(service, request(100, 100))
    all_ingested(service)
    assert (path.parent / "damaged" / path.name).is_file()
    assert stored(service) == list(range(200))


def sealed_windows(directory: Path, counters: Counters) -> WindowStore:
    """Two sealed windows of 6,000 spans and an open one."""
    store = WindowStore(directory, sections.Window(), counters)
    store.open()
    for number in range(3):
        spans = map(a_span, range(6000 * number, 6000 * (number + 1)))
        store.insert(NOON_NS + number * LENGTH_NS, a_batch(*spans), number + 1)
        store.seal_before(NOON_NS + number * LENGTH_NS)
    return store


def spans_of(store: WindowStore) -> int:
    with store.view(0) as view:
        view.con.execute("SELECT * FROM spans").fetchall()
        row = view.con.execute("SELECT count(*) FROM spans").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("seen", ["at the start", "by a query"])
def test_a_sealed_window_that_is_damaged_is_set_aside_and_the_others_are_used(
    tmp_path: Path, seen: str
) -> None:
    counters = Counters()
    sealed_windows(tmp_path, counters).close()
    path = tmp_path / "20261121T120500Z.duckdb"
    whole = path.read_bytes()
    at = 4096 if seen == "at the start" else len(whole) * 3 // 10
    path.write_bytes(whole[:at] + b"\xff" * 20_000 + whole[at + 20_000 :])
    store = WindowStore(tmp_path, sections.Window(), counters)
    store.open()
    if seen == "by a query":
        with pytest.raises(StateDamaged, match="20261121T120500Z"):
            spans_of(store)
        store.seal_before(NOON_NS)  # as the next tick of ingest does
    assert spans_of(store) == 12_000
    assert store.resume_offset == 3
    assert counters.value("halo.window.damaged") == 1
    assert (tmp_path / "damaged" / path.name).stat().st_size == len(whole)
    store.close()


# Damages one window in the named ways, one after the other, and says what the rows are then.
READ = """
import json, sys
from pathlib import Path
from random import Random
from halo_otel.config import sections
from halo_otel.errors import StateDamaged
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore

def read(directory):
    store = WindowStore(directory, sections.Window(), Counters())
    store.open()
    try:
        with store.view(0) as view:
            relations = "raw_spans", "log_records", "resources", "scopes", "texts"
            queries = [f"SELECT count(*), bit_xor(hash(t)) FROM {name} t" for name in relations]
            return [view.con.execute(query).fetchone() for query in queries]
    except StateDamaged:
        return "damaged"
    finally:
        store.close()

path, count = Path(sys.argv[1]), int(sys.argv[2])
whole = path.read_bytes()
print(json.dumps(read(path.parent)))
for seed in range(count):
    random = Random(seed)
    at = random.randrange(len(whole))
    size = random.choice([1, 1, 100, 4096])
    path.write_bytes(whole[:at] + random.randbytes(size) + whole[at + size :])
    print(json.dumps(read(path.parent)), flush=True)
"""
DAMAGES = 40


def test_damage_is_noticed_wherever_it_is_and_ends_no_process(tmp_path: Path) -> None:
    sealed_windows(tmp_path / "all", Counters()).close()
    path = tmp_path / "one" / "20261121T120500Z.duckdb"
    path.parent.mkdir()
    (tmp_path / "all" / path.name).rename(path)
    result = subprocess.run(
        [sys.executable, "-c", READ, str(path), str(DAMAGES)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    rows, *damaged = map(json.loads, result.stdout.splitlines())
    nothing = [[0, None]] * len(rows)
    assert rows[0][0] == 6000
    assert len(damaged) == DAMAGES
    # Some bytes mean nothing.
    assert all(one in (rows, nothing, "damaged") for one in damaged)
    assert nothing in damaged
    assert "damaged" in damaged


def test_a_write_ahead_log_without_its_file_never_reaches_another_window(tmp_path: Path) -> None:
    leftover = tmp_path / "20261121T120000Z.duckdb.wal"
    leftover.write_bytes(b"\xff" * 5000)
    store = sealed_windows(tmp_path, Counters())
    assert spans_of(store) == 18_000
    store.close()


@pytest.mark.parametrize("content", [b"garbage" * 2000, None])
def test_a_registry_that_is_damaged_stops_the_start_with_the_cure(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "registry.sqlite"
    if content is None:  # the pages of a table
        registry = Registry(f"sqlite:///{path}", None, Counters())
        registry.open()
        registry.close()
        whole = path.read_bytes()
        content = whole[:1024] + b"\xff" * (len(whole) - 1024)
    path.write_bytes(content)
    with pytest.raises(StateDamaged, match=r"registry\.sqlite cannot be read .* move it away"):
        Registry(f"sqlite:///{path}", None, Counters()).open()


def test_a_damaged_registry_is_set_aside_once_if_that_is_wanted(tmp_path: Path) -> None:
    path, counters = tmp_path / "registry.sqlite", Counters()
    settings = sections.Registry(on_damage="set_aside")
    for damage in (b"garbage" * 2000, b"again"):
        path.write_bytes(damage)
        registry = Registry(f"sqlite:///{path}", None, counters, settings=settings)
        if damage == b"again":
            with pytest.raises(Unwritable, match=r"registry\.sqlite\.damaged exists"):
                registry.open()
            break
        registry.open()
        assert registry.findings() == []
        registry.close()
    assert path.with_name("registry.sqlite.damaged").read_bytes() == b"garbage" * 2000
    assert counters.value("halo.findings.damaged") == 1


def test_a_registry_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    registry = Registry(f"sqlite:///{path}", None, Counters())
    registry.open()
    registry.close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO migrations VALUES (999, 'm999_tomorrow')")
    connection.close()
    with pytest.raises(StateDamaged, match=r"schema 999.*install the newer version again"):
        Registry(f"sqlite:///{path}", None, Counters()).open()
