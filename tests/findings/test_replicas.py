"""Several replicas on one registry: processes at once, cut connections, kills, clocks that differ."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from halo_otel.clock import NS_PER_S
from halo_otel.findings import Registry, SignalKind
from halo_otel.findings.emission import TOLD, Worth
from halo_otel.findings.outbox import SKEW_NS
from halo_otel.findings.sightings import HOLD_NS
from halo_otel.findings.store import Store
from halo_otel.findings.tables import findings, outbox, runs, transitions
from halo_otel.model.cell import Trend
from halo_otel.model.finding import Status
from halo_otel.selfobs import Counters
from tests.findings import replica as replicas
from tests.findings.conftest import Build
from tests.findings.replica import PROCESSES, ROUNDS

SEED = 7
MINUTE_NS = 60 * NS_PER_S
T0 = Build.start_ns
KEY = Build.finding().fingerprint


class Replica:
    """One process of `tests.findings.replica`, which may be killed and started again."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self.name = name
        self.done = 0
        self._start()

    def _start(self) -> None:
        self.told, told = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(
            target=replicas.work, args=(self._url, SEED, self.name, self.done, told)
        )
        self.process.start()
        told.close()

    def read(self) -> bool:
        """Take note of one more recorded run; False when there are no more."""
        try:
            self.done = self.told.recv() + 1
        except EOFError:
            return False
        return True

    def kill(self) -> None:
        """Kill it wherever it is; what it did not say to be recorded, the next does again."""
        self.close()
        self._start()

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        while self.read():
            pass
        self.told.close()


def cut_a_connection(store: Store, draw: random.Random) -> None:
    """End one replica's session in the server, whatever it does; SQLite has none."""
    with store.reading() as connection:
        if connection.dialect.name != "postgresql":
            return
        query = sa.text(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY pid"
        )
        found = connection.execute(query).scalars().all()
        if found:
            connection.execute(sa.select(sa.func.pg_terminate_backend(draw.choice(found))))


def disturb(url: str, store: Store) -> None:
    """Let all replicas do their runs; kill each once, and cut connections between."""
    draw = random.Random(SEED)
    working = [Replica(url, name) for name in replicas.SKEW_NS]
    dies_after = {one.name: draw.randint(2, ROUNDS // 2) for one in working}
    try:
        while left := {one.told: one for one in working if one.done < ROUNDS}:
            for one in (left[told] for told in wait(left)):  # type: ignore[index]
                assert one.read(), one.process.exitcode
                if one.done == dies_after.get(one.name):
                    del dies_after[one.name]
                    one.kill()
                elif draw.random() < 0.4:
                    cut_a_connection(store, draw)
    finally:
        for one in working:
            one.close()
    assert not dies_after


def told(connection: sa.Connection) -> list[tuple[int, str]]:
    """The pattern and occurrence records in the outbox, in order."""
    log = outbox.c.kind == SignalKind.LOG.value
    query = sa.select(outbox.c.worth, outbox.c.payload).where(log).order_by(outbox.c.record_id)
    return [(row.worth, row.payload) for row in connection.execute(query)]


def state_of(store: Store) -> dict[str, Any]:
    """All that the registry says, without the numbers that rolled back transactions leave out."""
    with store.reading() as connection:
        by_name = sa.select(findings).order_by(findings.c.fingerprint)
        in_order = sa.select(transitions).order_by(transitions.c.seq)
        return {
            "findings": [tuple(row) for row in connection.execute(by_name)],
            "steps": [
                (row.fingerprint, row.before, row.after, row.at_ns)
                for row in connection.execute(in_order)
            ],
            "told": told(connection),
        }


def recorded(store: Store) -> list[tuple[str, int]]:
    """All runs by replica and number, in the order of their commits."""
    with store.reading() as connection:
        found = connection.execute(sa.select(runs).order_by(runs.c.run_id)).all()
    return [(row.replica, (row.start_ns - T0) // (5 * MINUTE_NS)) for row in found]


def test_whatever_happens_the_registry_is_as_if_one_had_come_after_the_other(
    database_url: str, tmp_path: Path
) -> None:
    store, alone = Store(database_url), Store(f"sqlite:///{tmp_path / 'alone.sqlite'}")
    with closing(store), closing(alone):
        store.open()
        alone.open()
        disturb(database_url, store)
        order = recorded(store)
        assert sorted(order) == sorted(
            (name, number) for name in replicas.SKEW_NS for number in range(ROUNDS)
        )
        with ExitStack() as stack:
            each = {}
            for name in replicas.SKEW_NS:
                url = f"sqlite:///{tmp_path / 'alone.sqlite'}"
                each[name] = Registry(url, replicas.EMIT, Counters(), replica=name)
                each[name].open()
                stack.callback(each[name].close)
            for name, number in order:
                replicas.made(SEED, name, number).into(each[name])
        found = state_of(store)
        assert found == state_of(alone)
    assert_each_step_is_told_once(found)


def assert_each_step_is_told_once(found: dict[str, Any]) -> None:
    last: dict[str, str | None] = {}
    for fingerprint, before, after, _ in found["steps"]:
        assert last.get(fingerprint) == before
        last[fingerprint] = after
    news = Counter((key, after) for key, _, after, _ in found["steps"] if Status(after) in TOLD)
    said: Counter[tuple[str, str]] = Counter()
    for worth, payload in found["told"]:
        if worth == Worth.TRANSITION:
            (record,) = json.loads(payload)["scopeLogs"][0]["logRecords"]
            values = {pair["key"]: pair["value"] for pair in record["attributes"]}
            said[
                values["halo.finding.fingerprint"]["stringValue"],
                values["halo.finding.status"]["stringValue"],
            ] += 1
    assert said == news
    assert set(last.values()) == {"resolved"}
    assert len(news) > len(last) == len(replicas.NAMES)


# --- each sees its own share


@pytest.fixture
def pair(open_registry: Callable[..., Registry]) -> tuple[Registry, Registry]:
    """Two replicas; the first's traffic shows the finding, the second's does not."""
    return open_registry("shows"), open_registry("does not")


def shows(registry: Registry, number: int, now_ns: int, **more: Any) -> list[Status]:
    first = 10 * number
    found = Build.finding(traces=range(first, first + 5))
    steps = registry.record(Build.report(found), Build.run(number), now_ns, **more)
    return [step.after for step in steps]


def silent(registry: Registry, number: int, now_ns: int, exposed: int, **more: Any) -> list[Status]:
    steps = registry.record(Build.report(), Build.run(number), now_ns, {KEY: exposed}, **more)
    return [step.after for step in steps]


@pytest.mark.parametrize("skew_ns", [-5 * MINUTE_NS, 0, 5 * MINUTE_NS])
def test_what_one_replica_shows_another_does_not_resolve(
    pair: tuple[Registry, Registry], skew_ns: int
) -> None:
    one, other = pair
    steps = []
    for number in range(24):
        now_ns = T0 + number * 5 * MINUTE_NS
        steps += shows(one, number, now_ns)
        steps += silent(other, number, now_ns + skew_ns, 1_000)
    assert steps == [Status.NEW, Status.ONGOING]
    now_ns = T0 + 24 * 5 * MINUTE_NS
    assert silent(one, 24, now_ns, 5) == []  # 2.5 expected
    assert silent(other, 24, now_ns + skew_ns, 1_000) == []
    assert silent(one, 25, now_ns + 1, 1) == [Status.RESOLVED]
    assert silent(other, 25, now_ns + skew_ns + 1, 1_000) == []
    assert shows(one, 26, now_ns + 2) == [Status.REGRESSED]
    assert silent(other, 26, now_ns + skew_ns + 2, 1_000) == []


def test_all_that_showed_it_have_to_fall_silent(pair: tuple[Registry, Registry]) -> None:
    one, other = pair
    shows(one, 0, T0)
    shows(other, 1, T0)
    assert silent(one, 2, T0 + 1, 1_000) == []
    assert silent(other, 2, T0 + 1, 5) == []
    assert silent(other, 3, T0 + 2, 1) == [Status.RESOLVED]


def test_a_glimpse_holds_it_as_well(pair: tuple[Registry, Registry]) -> None:
    one, other = pair
    shows(one, 0, T0)
    for number in range(1, 30):
        now_ns = T0 + number * HOLD_NS // 2
        one.record(Build.report(), Build.run(number), now_ns, {KEY: None})
        assert silent(other, number, now_ns, 1_000) == []


def test_nobody_waits_for_a_replica_that_is_gone(pair: tuple[Registry, Registry]) -> None:
    one, other = pair
    shows(one, 0, T0)
    assert silent(other, 1, T0 + HOLD_NS - 1, 1_000) == []
    assert silent(other, 2, T0 + HOLD_NS, 0) == [Status.RESOLVED]


def test_where_it_is_heading_is_said_by_those_that_show_it(
    pair: tuple[Registry, Registry],
) -> None:
    one, other = pair
    steps = []
    for number in range(10):
        now_ns = T0 + number * 5 * MINUTE_NS
        steps += shows(one, number, now_ns, trends={KEY: Trend.UP})
        steps += silent(other, number, now_ns, 100, trends={KEY: Trend.STEADY})
    assert steps == [Status.NEW, Status.ESCALATING]
    for number in range(10, 15):
        now_ns = T0 + number * 5 * MINUTE_NS
        steps += shows(one, number, now_ns, trends={KEY: Trend.DOWN})
        steps += silent(other, number, now_ns, 100, trends={KEY: Trend.UP})
    assert steps == [Status.NEW, Status.ESCALATING, Status.IMPROVING]


@pytest.mark.parametrize("skew_ns", [-5 * MINUTE_NS, 5 * MINUTE_NS])
def test_repeats_are_told_once_an_interval_whatever_the_clocks_say(
    open_registry: Callable[..., Registry], skew_ns: int
) -> None:
    one, other = (open_registry(name, repeat_interval=3600) for name in ("one", "other"))
    said = []
    for number in range(30):
        real_ns = T0 + number * 10 * MINUTE_NS
        for registry, off_ns, run in ((one, 0, 2 * number), (other, skew_ns, 2 * number + 1)):
            shows(registry, run, real_ns + off_ns)
            due = registry.pending(SignalKind.LOG, 100, real_ns + off_ns, 1)
            registry.mark_emitted([record.record_id for record in due])
            said += [real_ns for record in due if '"eventName":"halo.finding"' in record.payload]
    gaps = [later - earlier for earlier, later in pairwise(said)]
    assert len(said) >= 5
    # A clock that is ahead may tell as much too early, never twice for one interval.
    assert min(gaps) >= 60 * MINUTE_NS - abs(skew_ns)


def test_a_clock_that_is_ahead_does_not_end_anothers_lease(
    pair: tuple[Registry, Registry],
) -> None:
    one, other = pair
    shows(one, 0, T0)
    claimed = one.pending(SignalKind.LOG, 100, T0, 60)
    assert claimed
    ahead_ns = 5 * MINUTE_NS
    assert other.pending(SignalKind.LOG, 100, T0 + ahead_ns, 60) == []
    lapsed_ns = T0 + 60 * NS_PER_S + SKEW_NS
    assert other.pending(SignalKind.LOG, 100, lapsed_ns - 1, 60) == []
    assert one.pending(SignalKind.LOG, 1, T0 + 60 * NS_PER_S, 60) == claimed[:1]  # restarted
    rest = other.pending(SignalKind.LOG, 100, lapsed_ns, 60)
    assert [record.record_id for record in rest] == [record.record_id for record in claimed[1:]]
    other.mark_failed([rest[0].record_id], lapsed_ns)
    due = one.pending(SignalKind.LOG, 100, lapsed_ns, 60)  # the own, and the failed one
    assert {one.record_id for one in due} == {claimed[0].record_id, rest[0].record_id}


def test_a_run_that_is_recorded_again_counts_once(registry: Registry) -> None:
    shows(registry, 0, T0)
    for _ in range(5):
        assert silent(registry, 1, T0 + 1, 4) == []  # 2.0 expected, however often it is said
    assert len(registry.runs()) == 2


# --- the server


@contextmanager
def server_setting(url: str, setting: str) -> Iterator[None]:
    """The database's default for all sessions to come."""
    store = Store(url)
    store.open()
    with closing(store), store.writing() as connection:
        name = connection.execute(sa.select(sa.func.current_database())).scalar_one()
        connection.execute(sa.text(f"ALTER DATABASE {name} SET {setting}"))
    yield


@pytest.mark.parametrize("new_database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_a_stricter_default_isolation_does_not_make_replicas_fail(
    database_url: str, level: str
) -> None:
    with server_setting(database_url, f"default_transaction_isolation = '{level}'"):
        first, second = Store(database_url), Store(database_url)
        with closing(first), closing(second):
            first.open()
            second.open()
            for _ in range(3):
                with first.writing() as connection:
                    shown = connection.execute(sa.text("SHOW transaction_isolation"))
                    assert shown.scalar_one() == "read committed"


@pytest.mark.parametrize("new_database_url", ["postgresql"], indirect=True)
def test_a_replica_that_stands_still_is_not_waited_for_without_end(database_url: str) -> None:
    store = Store(database_url)
    with closing(store):
        store.open()
        with store.writing() as connection:
            limits = {
                name: connection.execute(sa.text(f"SHOW {name}")).scalar_one()
                for name in ("lock_timeout", "idle_in_transaction_session_timeout")
            }
        with store.reading() as connection:
            after = connection.execute(sa.text("SHOW lock_timeout")).scalar_one()
    assert limits == {"lock_timeout": "30s", "idle_in_transaction_session_timeout": "1min"}
    assert after == "0"  # a pool between may give the session to others
