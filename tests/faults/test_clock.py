"""Clocks that leap: nothing is lost, nothing is deleted for a time that was wrong, and work goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.clock import BELIEVED_NS, LEAP_NS, NS_PER_S, Following, ManualClock, offset_ns
from halo_otel.config import sections
from halo_otel.ingest.pump import Ingest
from halo_otel.journal import FrameKind, Journal, JournalReader
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from tests.ingest.frames import JournalFile, traces
from tests.service.running import WINDOW_S
from tests.service.running import Service as Analysed

YEAR_S = 365 * 86400.0
BEGIN_NS = 1_700_000_000 * NS_PER_S

any_time = st.integers(0, 3 * BELIEVED_NS)
any_leap = st.integers(-2 * BELIEVED_NS, 2 * BELIEVED_NS) | st.integers(-LEAP_NS, LEAP_NS)


class Machine:
    """A clock that is set now and then, and the time of arrivals that follows it."""

    def __init__(self) -> None:
        self.wall_ns = BEGIN_NS
        self.ticks_ns = 0
        self.following = Following(BEGIN_NS, 0)
        self.arrival_ns = BEGIN_NS

    def passes(self, time_ns: int, leap_ns: int = 0) -> int:
        self.wall_ns += time_ns + leap_ns
        self.ticks_ns += time_ns
        self.arrival_ns = self.following.at(self.wall_ns, self.ticks_ns)
        return self.arrival_ns

    @property
    def ahead_ns(self) -> int:
        return self.arrival_ns - self.wall_ns


@given(st.lists(st.tuples(any_time, any_leap)))
def test_the_time_of_arrivals_never_goes_back_never_stands_and_comes_together_with_the_walls(
    steps: list[tuple[int, int]],
) -> None:
    machine = Machine()
    for time_ns, leap_ns in steps:
        before_ns, ahead_ns = machine.arrival_ns, machine.ahead_ns
        assert machine.passes(time_ns, leap_ns) - before_ns >= time_ns // 2
        assert machine.ahead_ns <= max(0, ahead_ns - leap_ns)
    machine.passes(max(2 * machine.ahead_ns, BELIEVED_NS))
    assert machine.ahead_ns == 0


@given(st.integers(LEAP_NS + 1, 10**18), st.lists(st.integers(0, BELIEVED_NS // 10), max_size=9))
def test_a_leap_ahead_that_is_set_right_within_the_hour_leaves_no_trace(
    leap_ns: int, passing: list[int]
) -> None:
    machine = Machine()
    machine.passes(0, leap_ns)
    for time_ns in passing:
        machine.passes(time_ns)
        assert machine.ahead_ns == -leap_ns
    machine.passes(0, -leap_ns)
    assert machine.ahead_ns == 0


@given(st.integers(0, 10**18), st.lists(st.integers(0, BELIEVED_NS)))
def test_a_clock_that_was_set_back_is_met_at_half_speed(back_ns: int, passing: list[int]) -> None:
    machine = Machine()
    machine.passes(0, -back_ns)
    for time_ns in passing:
        before_ns = machine.arrival_ns
        machine.passes(time_ns)
        assert machine.ahead_ns == 0 or machine.arrival_ns - before_ns == time_ns // 2
    assert 0 <= machine.ahead_ns <= max(0, back_ns - sum(passing) // 2 + len(passing))


class Running:
    """Ingest whose clock is moved; `passes` lets it go as clocks do, a minute at a time."""

    def __init__(self, directory: Path, reader: JournalReader, journal: JournalFile) -> None:
        self.clock = journal.clock
        self.journal = journal
        self.store = WindowStore(directory, sections.Window(), Counters())
        self.store.open()
        self.ingest = Ingest(reader, self.store, Counters(), self.clock)
        self.durable = journal.durable

    def arrives(self, number: int) -> None:
        self.durable = self.journal.append(traces(number))
        self.ticks()

    def ticks(self) -> None:
        while self.ingest.tick(self.durable) is not None:
            pass

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / 60)):
            self.clock.advance(60)
            self.ticks()

    @property
    def names(self) -> list[str]:
        with self.store.view(0) as view:
            rows = view.con.execute("SELECT name FROM spans ORDER BY end_ns").fetchall()
        return [row[0] for row in rows]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    journal = JournalFile(tmp_path / "journal", ManualClock())
    with JournalReader(journal.directory, 0) as reader:
        running = Running(tmp_path / "windows", reader, journal)
        yield running
        running.store.close()


def test_a_leap_forward_that_is_set_right_deletes_nothing(running: Running) -> None:
    running.arrives(1)
    running.passes(900)
    running.clock.leap(YEAR_S)
    running.arrives(2)
    running.passes(1800)
    running.clock.leap(-YEAR_S)
    running.passes(7200)
    assert running.names == ["step 1", "step 2"]
    assert offset_ns(running.clock) == 0


def test_a_leap_forward_that_lasts_is_believed(running: Running) -> None:
    running.arrives(1)
    running.passes(900)
    running.clock.leap(YEAR_S)
    running.ticks()
    assert running.names == ["step 1"]
    running.passes(3600)
    assert running.store.windows() == []


def test_a_leap_back_deletes_nothing_and_windows_go_on_ending(running: Running) -> None:
    running.arrives(1)
    running.passes(900)
    running.clock.leap(-YEAR_S)
    running.arrives(2)
    running.passes(2 * 300)
    running.arrives(3)
    running.passes(2 * 300)
    assert running.names == ["step 1", "step 2", "step 3"]
    windows = running.store.windows()
    assert [(window.state, window.spans) for window in windows] == [("sealed", 1)] * 3


async def test_a_restart_begins_no_earlier_than_the_newest_arrival(tmp_path: Path) -> None:
    before = ManualClock()
    async with Journal(tmp_path, sections.Journal(), before, Counters()) as journal:
        await journal.append(FrameKind.TRACES, b"a")
    after = ManualClock(before.now_ns() - 3600 * NS_PER_S)
    async with Journal(tmp_path, sections.Journal(), after, Counters()):
        assert offset_ns(after) == 3600 * NS_PER_S
        after.advance(1800)
        assert offset_ns(after) == 2700 * NS_PER_S


async def test_analysis_goes_on_after_a_leap_back_and_tells_the_walls_time(tmp_path: Path) -> None:
    running = Analysed(tmp_path)
    await running.start()
    await running.window(failing=0)
    running.clock.leap(-3600)
    running.arrive(failing=15)
    running.clock.advance(WINDOW_S)
    running.pass_window()  # after twice its length
    await running.analyst.tick(running.clock.arrival_ns())
    assert len(running.findings("error")) == 1
    (transition,) = running.registry.transitions()
    assert transition.at_ns == running.clock.now_ns()
    await running.stop()
