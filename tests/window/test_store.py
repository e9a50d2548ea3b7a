"""Where rows go, what survives a restart, when windows are sealed and deleted."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.errors import ConfigError, InUse, StateDamaged, Unwritable
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.window.samples import NOON_NS, a_batch, a_span

LENGTH_NS = 300 * NS_PER_S
Opener = Callable[..., WindowStore]


def fill(store: WindowStore, windows: int) -> None:
    """One span in each of so many windows from noon on."""
    for number in range(windows):
        store.insert(NOON_NS + number * LENGTH_NS, a_batch(a_span(number)), number + 1)


def counted(store: WindowStore) -> tuple[int, int, int]:
    """Spans, resources and scopes that a view over everything shows."""
    with store.view(0) as view:
        counts = [
            view.con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for table in ("raw_spans", "all_resources", "all_scopes")
        ]
    return counts[0], counts[1], counts[2]


def test_a_file_is_named_by_the_start_of_its_window(store: WindowStore) -> None:
    store.insert(NOON_NS, a_batch(a_span(1)), 10)
    (window,) = store.windows()
    assert window.path == store.directory / "20261121T120000Z.duckdb"
    assert (window.start_ns, window.end_ns) == (NOON_NS, NOON_NS + LENGTH_NS)
    assert (window.state, window.spans, window.log_records) == ("open", 1, 0)
    assert window.bytes_ > 0


def test_a_restart_finds_rows_offset_and_state(open_store: Opener) -> None:
    store = open_store()
    fill(store, 2)
    store.seal_before(NOON_NS + LENGTH_NS)
    before = [(w.start_ns, w.end_ns, w.state, w.spans) for w in store.windows()]

    store = open_store()
    assert [(w.start_ns, w.end_ns, w.state, w.spans) for w in store.windows()] == before
    assert [w.state for w in store.windows()] == ["sealed", "open"]
    assert store.resume_offset == 2


def test_resources_and_scopes_are_stored_once_per_window(open_store: Opener) -> None:
    store = open_store()
    store.insert(NOON_NS, a_batch(a_span(1), a_span(2)), 1)
    store.insert(NOON_NS, a_batch(a_span(3)), 2)
    store = open_store()
    store.insert(NOON_NS, a_batch(a_span(4)), 3)
    assert counted(store) == (4, 1, 1)
    store.insert(NOON_NS + LENGTH_NS, a_batch(a_span(5)), 4)
    assert counted(store) == (5, 2, 2)


def test_a_window_is_sealed_when_its_end_has_passed_and_not_before(store: WindowStore) -> None:
    fill(store, 2)
    assert store.seal_before(NOON_NS + LENGTH_NS - 1) == []
    assert [w.start_ns for w in store.seal_before(NOON_NS + LENGTH_NS)] == [NOON_NS]
    assert [w.state for w in store.windows()] == ["sealed", "open"]
    assert store.seal_before(NOON_NS + LENGTH_NS) == []


def test_a_sealed_file_is_closed_and_whole(store: WindowStore) -> None:
    fill(store, 1)
    store.seal_before(NOON_NS + LENGTH_NS)
    (window,) = store.windows()
    script = (
        "import duckdb, sys; con = duckdb.connect(sys.argv[1], read_only=True);"
        "print(con.execute('SELECT count(*) FROM spans').fetchall()[0][0])"
    )
    command = [sys.executable, "-c", script, str(window.path)]
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    assert other.stdout == "1\n"
    assert list(store.directory.glob("*.wal")) == []


def test_rows_for_a_sealed_window_are_refused_loudly(store: WindowStore) -> None:
    fill(store, 1)
    store.seal_before(NOON_NS + LENGTH_NS)
    with pytest.raises(StateDamaged, match=r"20261121T120000Z\.duckdb is sealed"):
        store.insert(NOON_NS, a_batch(a_span(7)), 99)
    assert store.resume_offset == 1


def test_a_disk_that_refuses_is_said_and_nothing_counts_as_stored(store: WindowStore) -> None:
    rmtree(store.directory)
    with pytest.raises(Unwritable, match=r"20261121T120000Z\.duckdb cannot be written"):
        store.insert(NOON_NS, a_batch(a_span(1)), 5)
    assert (store.resume_offset, store.windows()) == (0, [])
    store.directory.mkdir()
    store.insert(NOON_NS, a_batch(a_span(1)), 5)
    assert counted(store) == (1, 1, 1)


def test_windows_expire_by_age(open_store: Opener, counters: Counters) -> None:
    store = open_store(retention=600)
    fill(store, 3)
    store.seal_before(NOON_NS + 2 * LENGTH_NS)
    age_ns = 600 * NS_PER_S
    assert store.expire(NOON_NS + LENGTH_NS + age_ns - 1) == []
    assert [w.start_ns for w in store.expire(NOON_NS + LENGTH_NS + age_ns)] == [NOON_NS]
    assert counters.value("halo.window.expired") == 1
    # The last one is open: however old, what may still grow stays.
    assert len(store.expire(NOON_NS + 100 * age_ns)) == 1
    assert [w.state for w in store.windows()] == ["open"]
    assert [path.name for path in store.directory.glob("*.duckdb")] == ["20261121T121000Z.duckdb"]


def test_windows_expire_by_bytes_oldest_first(open_store: Opener) -> None:
    store = open_store(retention_bytes=2 << 20)
    fill(store, 4)
    store.seal_before(NOON_NS + 4 * LENGTH_NS)
    each_bytes = store.windows()[0].bytes_
    fitting = (2 << 20) // each_bytes
    kept = [w.start_ns for w in store.windows()][-min(fitting, 4) :]
    store.expire(NOON_NS)
    assert [w.start_ns for w in store.windows()] == kept
    assert sum(w.bytes_ for w in store.windows()) <= 2 << 20


def test_a_window_that_is_read_expires_after_the_view(open_store: Opener) -> None:
    store = open_store(retention=1)
    fill(store, 1)
    with store.view(0) as view:
        store.seal_before(NOON_NS + LENGTH_NS)
        assert store.expire(NOON_NS + 100 * LENGTH_NS) == []
        assert view.con.execute("SELECT count(*) FROM spans").fetchall() == [(1,)]
    assert len(store.expire(NOON_NS + 100 * LENGTH_NS)) == 1


def test_a_sealed_file_that_was_read_is_closed_after_the_view(store: WindowStore) -> None:
    fill(store, 1)
    with store.view(0):
        store.seal_before(NOON_NS + LENGTH_NS)
        assert store.windows()[0].state == "sealed"
    store.seal_before(NOON_NS + LENGTH_NS)
    database = "window_20261121T120000Z"
    query = f"SELECT readonly FROM duckdb_databases() WHERE database_name = '{database}'"
    with store.view(0) as view:
        assert view.con.execute(query).fetchall() == [(True,)]


def test_an_idle_store_does_not_pay_for_bulk_inserts(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import halo_otel.ingest.pump;"
        "from halo_otel.window.store import WindowStore; from halo_otel.config import sections;"
        "from halo_otel.selfobs import Counters;"
        "store = WindowStore(Path(sys.argv[1]), sections.Window(), Counters()); store.open();"
        "print('pyarrow' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"\0" * 300_000])
def test_a_file_that_is_no_database_stops_the_start(open_store: Opener, content: bytes) -> None:
    store = open_store()
    fill(store, 1)
    store.close()
    path = store.directory / "20261121T120500Z.duckdb"
    path.write_bytes(content)
    with pytest.raises(StateDamaged, match=r"20261121T120500Z\.duckdb .*Move the file"):
        open_store(on_damage="stop")
    path.unlink()
    assert counted(open_store()) == (1, 1, 1)


def test_a_truncated_file_stops_the_start(open_store: Opener) -> None:
    store = open_store()
    fill(store, 1)
    store.close()
    path = store.directory / "20261121T120000Z.duckdb"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StateDamaged, match=r"20261121T120000Z\.duckdb .*Move the file"):
        open_store(on_damage="stop")


def test_a_window_damaged_behind_its_catalogue_is_named_by_the_view(open_store: Opener) -> None:
    """DuckDB reads a column when a query needs it, so such a file can be opened."""
    store = open_store()
    store.insert(NOON_NS, a_batch(*map(a_span, range(6000))), 1)
    store.seal_before(NOON_NS + LENGTH_NS)
    store.close()
    path = store.directory / "20261121T120000Z.duckdb"
    whole = path.read_bytes()
    middle = len(whole) * 3 // 10
    told = r"20261121T120000Z\.duckdb is not a window .* Move the file"
    for damaged in (whole[:middle], whole[:middle] + b"\xff" * 20_000 + whole[middle + 20_000 :]):
        path.write_bytes(damaged)
        store = open_store(on_damage="stop")
        with pytest.raises(StateDamaged, match=told), store.view(0) as view:
            view.con.execute("SELECT * FROM spans").fetchall()


def test_a_mistake_in_a_query_is_no_damage(store: WindowStore) -> None:
    fill(store, 1)
    with pytest.raises(duckdb.BinderException), store.view(0) as view:
        view.con.execute("SELECT nonsense FROM spans")


@pytest.mark.parametrize("error", [duckdb.InternalException, duckdb.FatalException])
def test_when_duckdb_gives_up_in_a_query_the_next_tick_says_so(
    open_store: Opener, error: type[duckdb.Error]
) -> None:
    """It would fail whatever is asked from then on; a new process opens the files again."""
    store = open_store()
    fill(store, 2)
    with pytest.raises(error), store.view(0):
        raise error("dictionary changed identity")
    with pytest.raises(Unwritable, match=r"given up the windows .*: dictionary changed identity"):
        store.seal_before(NOON_NS)
    assert counted(open_store())[0] == 2


def test_a_damaged_file_in_a_directory_of_any_name_is_no_lock(tmp_path: Path) -> None:
    settings = sections.Window(on_damage="stop")
    store = WindowStore(tmp_path / "blocks", settings, Counters())
    store.open()
    fill(store, 1)
    store.close()
    path = store.directory / "20261121T120000Z.duckdb"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StateDamaged):
        store.open()


def test_a_directory_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "windows").touch()
    with pytest.raises(ConfigError, match=r"window\.directory: .*windows cannot be used"):
        WindowStore(tmp_path / "windows", sections.Window(), Counters()).open()


def test_a_window_of_another_version_stops_the_start(open_store: Opener) -> None:
    store = open_store()
    fill(store, 1)
    store.close()
    with duckdb.connect(str(store.directory / "20261121T120000Z.duckdb")) as con:
        con.execute("UPDATE window_info SET schema_version = 999")
    with pytest.raises(StateDamaged, match="its schema version is 999"):
        open_store()


def test_a_foreign_database_and_a_renamed_window_stop_the_start(open_store: Opener) -> None:
    store = open_store()
    fill(store, 1)
    store.close()
    path = store.directory / "20261121T120000Z.duckdb"
    path.rename(path.with_name("20261121T130000Z.duckdb"))
    with pytest.raises(StateDamaged, match="its name is not the start"):
        open_store(on_damage="stop")
    path.with_name("20261121T130000Z.duckdb").unlink()
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE notes (text VARCHAR)")
    with pytest.raises(StateDamaged, match=r"20261121T120000Z\.duckdb"):
        open_store(on_damage="stop")


def test_a_file_a_crash_left_half_made_is_removed(open_store: Opener) -> None:
    store = open_store()
    fill(store, 1)
    store.close()
    (store.directory / "20261121T120500Z.new").write_bytes(b"half")
    (store.directory / "20261121T120500Z.new.wal").write_bytes(b"half")
    store = open_store()
    assert sorted(path.name for path in store.directory.glob("*.*")) == ["20261121T120000Z.duckdb"]
    store.insert(NOON_NS + LENGTH_NS, a_batch(a_span(2)), 2)


def test_windows_another_process_holds_are_in_use(open_store: Opener) -> None:
    store = open_store()
    fill(store, 1)
    store.close()
    script = (
        "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    path = str(store.directory / "20261121T120000Z.duckdb")
    command = [sys.executable, "-c", script, path]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(InUse, match="stop that one first"):
            open_store()
        other.communicate("\n")


steps = st.lists(
    st.tuples(
        st.integers(-3000, 3000),  # seconds the clock moves; also backwards
        st.sampled_from(["insert", "seal", "restart"]),
        st.sampled_from([60, 90, 300, 420]),  # the length after a restart
    ),
    max_size=8,
)


@settings(max_examples=15, deadline=None)
@given(steps)
def test_every_arrival_finds_an_open_window_and_none_overlap(
    steps: list[tuple[int, str, int]],
) -> None:
    with TemporaryDirectory() as directory:

        def opened(length: int) -> WindowStore:
            store = WindowStore(Path(directory), sections.Window(length=length), Counters())
            store.open()
            return store

        store, now_ns = opened(300), NOON_NS
        for seconds, step, length in steps:
            now_ns += seconds * NS_PER_S
            if step == "insert":
                start_ns = store.start_of(now_ns)
                store.insert(start_ns, a_batch(a_span(1)), store.resume_offset + 1)
                assert store.start_of(now_ns) == start_ns
            elif step == "seal":
                store.seal_before(now_ns)
            else:
                store.close()
                store = opened(length)
            windows = store.windows()
            pairs = pairwise(windows)
            assert all(first.end_ns <= second.start_ns for first, second in pairs)
            assert all(window.start_ns < window.end_ns for window in windows)
        assert counted(store)[0] == sum(step == "insert" for _, step, _ in steps)
        store.close()
