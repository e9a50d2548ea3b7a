"""Sealed windows are attached while a view reads them and not otherwise: days of them cost nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.clock import NS_PER_S
from halo_otel.config import sections
from halo_otel.errors import InUse, StateDamaged, Unwritable
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.window.pipelines import web_span
from tests.window.samples import NOON_NS, a_batch, a_span

LENGTH_NS = 300 * NS_PER_S
Opener = Callable[..., WindowStore]
NAMES = "FROM spans SELECT name ORDER BY ALL"


def sealed(store: WindowStore, windows: int) -> None:
    """One span in each of so many sealed windows from noon on, and in an open one after them."""
    for number in range(windows + 1):
        start_ns = NOON_NS + number * LENGTH_NS
        store.insert(start_ns, a_batch(a_span(number)), number + 1)
        store.seal_before(start_ns)


def open_files() -> list[str]:
    """The window files that this process has open."""
    links = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            links.append(os.readlink(link))
        except FileNotFoundError:
            continue
    return sorted(Path(link).stem for link in links if link.endswith(".duckdb"))


def spans_of(store: WindowStore, since: int = 0, until: int | None = None) -> list[str]:
    """The names of the spans in windows number `since` up to, but not including, `until`."""
    until_ns = None if until is None else NOON_NS + until * LENGTH_NS
    with store.view(NOON_NS + since * LENGTH_NS, until_ns) as view:
        rows = view.con.execute("FROM spans SELECT name ORDER BY start_ns").fetchall()
    return [name for (name,) in rows]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_only_what_is_read_and_the_open_window_are_open_files(open_store: Opener) -> None:
    store = open_store()
    sealed(store, 8)
    assert open_files() == ["20261121T124000Z"]
    with store.view(NOON_NS, NOON_NS + 2 * LENGTH_NS):
        assert open_files() == ["20261121T120000Z", "20261121T120500Z", "20261121T124000Z"]
    assert open_files() == ["20261121T124000Z"]
    store = open_store()
    assert open_files() == ["20261121T124000Z"]
    assert len(spans_of(store)) == 9


def test_a_window_stays_while_one_of_its_views_is_open(store: WindowStore) -> None:
    sealed(store, 3)
    with store.view(0) as all_of_them:
        assert spans_of(store, 1, 2) == ["step 1"]
        query = "FROM spans SELECT count(*)"
        assert all_of_them.con.execute(query).fetchall() == [(4,)]


def test_a_reader_left_behind_when_the_store_is_closed_ends_in_peace(open_store: Opener) -> None:
    store = open_store()
    sealed(store, 2)
    with store.view(0):
        store.close()
    assert spans_of(open_store()) == ["step 0", "step 1", "step 2"]


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.unlink(), lambda path: path.write_bytes(b"garbage" * 9000)],
    ids=["it is gone", "it is garbage"],
)
def test_a_sealed_window_damaged_since_is_named_and_then_out_of_the_way(
    store: WindowStore, counters: Counters, damage: Callable[[Path], None]
) -> None:
    sealed(store, 3)
    path = store.directory / "20261121T120500Z.duckdb"
    damage(path)
    with pytest.raises(StateDamaged, match=r"20261121T120500Z\.duckdb is not a window"):
        spans_of(store)
    store.seal_before(NOON_NS)  # as the next tick of ingest does
    assert spans_of(store) == ["step 0", "step 2", "step 3"]
    assert counters.value("halo.window.damaged") == 1


def test_a_window_that_somebody_else_deleted_expires(open_store: Opener) -> None:
    store = open_store(retention=60)
    sealed(store, 2)
    (store.directory / "20261121T120000Z.duckdb").unlink()
    store.expire(NOON_NS + 3 * LENGTH_NS)
    assert spans_of(store) == ["step 2"]


def test_a_sealed_window_that_another_process_writes_to_waits_for_it(store: WindowStore) -> None:
    sealed(store, 2)
    path = str(store.directory / "20261121T120000Z.duckdb")
    script = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"\n"
        with pytest.raises(InUse, match=r"20261121T120000Z\.duckdb is open in another process"):
            spans_of(store)
        assert spans_of(store, since=1) == ["step 1", "step 2"]
        other.communicate(b"\n")
    assert spans_of(store) == ["step 0", "step 1", "step 2"]


def test_compaction_does_not_take_another_windows_damage_for_its_own(store: WindowStore) -> None:
    """It reads them all, to learn which traces are agents'."""
    for number in range(3):
        spans = [web_span(index, trace=1 + index) for index in range(6000)]
        store.insert(NOON_NS + number * LENGTH_NS, a_batch(*spans), number + 1)
    path = store.directory / "20261121T120500Z.duckdb"
    store.seal_before(NOON_NS + 2 * LENGTH_NS)
    whole = path.read_bytes()
    middle = len(whole) // 10
    path.write_bytes(whole[:middle] + b"\xff" * (len(whole) - middle))
    with pytest.raises((StateDamaged, Unwritable)):
        store.compact()
    store.seal_before(NOON_NS + 2 * LENGTH_NS)
    assert (store.directory / "20261121T120000Z.duckdb").exists()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["view", "leave", "next", "compact", "expire"]), max_size=25))
def test_views_show_what_they_showed_whatever_comes_and_goes(steps: list[str]) -> None:
    random = Random(7)
    limits = sections.Window(retention=900)
    with TemporaryDirectory() as directory, ExitStack() as stack:
        store = WindowStore(Path(directory), limits, Counters())
        store.open()
        stack.callback(store.close)
        window, views = 0, []
        for step in ["next", *steps]:
            if step == "next":
                window += 1
                start_ns = NOON_NS + window * LENGTH_NS
                store.insert(start_ns, a_batch(a_span(window), web_span(99, window)), window)
                store.seal_before(start_ns)
            elif step == "view":
                inner = ExitStack()
                since = random.randrange(window + 1)
                view = inner.enter_context(store.view(NOON_NS + since * LENGTH_NS))
                views.append((inner, view, view.con.execute(NAMES).fetchall()))
                stack.callback(inner.close)
            elif step == "leave" and views:
                inner, _, _ = views.pop(random.randrange(len(views)))
                inner.close()
            elif step == "compact":
                store.compact()
            elif step == "expire":
                store.expire(NOON_NS + window * LENGTH_NS)
            for _, view, names in views:
                assert view.con.execute(NAMES).fetchall() == names
