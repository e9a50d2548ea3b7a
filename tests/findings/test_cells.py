"""What windows saw of each cell, remembered, and what a rate's trend makes of a finding."""

from contextlib import closing
from typing import Any

from halo_otel.config.sections import Emit
from halo_otel.findings import Registry, SignalKind
from halo_otel.findings.cells import CELLS_MAX
from halo_otel.model.cell import CellCount, Trend
from halo_otel.model.finding import Status
from halo_otel.selfobs import Counters
from tests.findings.conftest import Build


def cell(start_ns: int, name: str = '["runs","shop","booker"]', **changes: Any) -> CellCount:
    values = {"exposed": 40, "affected": 3, "odd": False, **changes}
    return CellCount(window_start_ns=start_ns, cell=name, **values)


def test_cells_come_back_for_their_replica_and_time(database_url: str) -> None:
    one, other = (
        Registry(database_url, Emit(), Counters(), replica=name) for name in ("one", "other")
    )
    with closing(one), closing(other):
        one.open()
        other.open()
        for start_ns in (1, 2, 3):
            one.record_cells([cell(start_ns), cell(start_ns, "b", odd=True)])
        one.record_cells([cell(3, affected=9)])  # the same window again replaces
        assert one.cells(2) == [
            cell(2),
            cell(2, "b", odd=True),
            cell(3, affected=9),
            cell(3, "b", odd=True),
        ]
        assert other.cells(0) == []


def test_of_too_many_cells_the_busiest_are_kept(database_url: str) -> None:
    registry = Registry(database_url, Emit(), Counters())
    with closing(registry):
        registry.open()
        registry.record_cells([cell(1, f"{n}", exposed=n) for n in range(2 * CELLS_MAX)])
        kept = registry.cells(0)
        assert len(kept) == CELLS_MAX
        assert min(count.exposed for count in kept) == CELLS_MAX


def test_a_rate_that_rises_is_told_once_and_falls_silent(
    database_url: str, build: type[Build]
) -> None:
    registry = Registry(database_url, Emit(), Counters())
    with closing(registry):
        registry.open()
        finding = build.finding()
        report = build.report(finding)
        registry.record(report, build.run(), build.start_ns)
        name = finding.fingerprint
        headings = (
            (Trend.UP, Status.ESCALATING),
            (Trend.UP, Status.ESCALATING),
            (Trend.STEADY, Status.ONGOING),
            (Trend.DOWN, Status.IMPROVING),
        )
        for number, (trend, status) in enumerate(headings, start=1):
            registry.record(report, build.run(), build.start_ns + number, trends={name: trend})
            assert registry.finding(name).status is status
        steps = [step.after for step in registry.transitions()]
        assert steps == [Status.NEW, Status.ESCALATING, Status.ONGOING, Status.IMPROVING]
        told = "".join(
            p.payload for p in registry.pending(SignalKind.LOG, 100, build.start_ns + 10**18, 1.0)
        )
        assert "escalating" in told
        assert "improving" not in told
