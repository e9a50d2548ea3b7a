"""Registries on SQLite and on a real PostgreSQL, and builders of findings and reports."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from halo_otel.clock import NS_PER_S
from halo_otel.config.sections import Emit
from halo_otel.findings import Registry, RunInfo
from halo_otel.model.finding import (
    Effect,
    Evidence,
    Finding,
    Impact,
    Role,
    Severity,
    Subject,
    fingerprint,
)
from halo_otel.model.report import Coverage, Report, WindowSummary
from halo_otel.model.span import SpanId, TraceId
from halo_otel.selfobs import Counters
from tests.postgres import running

START_NS = 1_700_000_000 * NS_PER_S


class Build:
    """Findings, reports and runs with everything filled in."""

    start_ns = START_NS

    @staticmethod
    def trace(number: int) -> TraceId:
        return TraceId(f"{number + 1:032x}")

    @staticmethod
    def evidence(number: int, **changes: Any) -> Evidence:
        values: dict[str, Any] = {
            "trace_id": Build.trace(number),
            "span_id": SpanId(f"{number + 1:016x}"),
            "role": Role.CAUSE,
            "note": f"call {number}",
            "time_ns": START_NS + number,
            "resource": {"service.name": "booking", "host.cores": 4, "raw": b"\x00\xff"},
        }
        return Evidence(**{**values, **changes})

    @staticmethod
    def finding(name: str = "loop", traces: range = range(5), **changes: Any) -> Finding:
        subject = Subject(
            service="booking",
            agent="planner",
            tool="search_flights",
            model="small-1",
            attributes={"error.type": "Timeout", "operation": "search"},
        )
        values: dict[str, Any] = {
            "fingerprint": fingerprint(name, subject),
            "detector": name,
            "category": "loop",
            "title": "search_flights repeats with the same arguments",
            "summary": "The agent repeats search_flights.",
            "subject": subject,
            "severity": Severity.WARN,
            "confidence": 0.93,
            "impact": Impact(
                traces_affected=len(traces),
                traces_exposed=2 * len(traces),
                failed_traces_attributable=1.5,
                tokens_wasted=41_000,
                cost_wasted=0.25,
                seconds_wasted=12.5,
            ),
            "effect": Effect(measure="rate", value=0.5, ci=(0.2, float("inf"))),
            "traces": tuple(Build.trace(number) for number in traces),
            "evidence": tuple(Build.evidence(number) for number in traces[:3]),
            "root_cause": None,
            "recommendation": "Cache the result of search_flights.",
            "priority": 2.5,
        }
        return Finding(**{**values, **changes})

    @staticmethod
    def report(*findings: Finding, judged: int = 10) -> Report:
        return Report(
            window=WindowSummary(
                start_ns=START_NS,
                end_ns=START_NS + 300 * NS_PER_S,
                traces=judged,
                spans=judged * 8,
                services=("booking",),
                settled=judged,
                late=0,
            ),
            coverage=Coverage(payload_captured=1.0, outcome_known=0.5),
            findings=findings,
        )

    @staticmethod
    def run(number: int = 0, trigger: str = "window") -> RunInfo:
        start_ns = START_NS + number * 300 * NS_PER_S
        return RunInfo(
            start_ns=start_ns,
            end_ns=start_ns + 300 * NS_PER_S,
            trigger=trigger,
            duration_s=1.5,
        )


@pytest.fixture
def build() -> type[Build]:
    return Build


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a real PostgreSQL server, without a database name; skips where none can be started."""
    with running() as server:
        yield server.url("{name}")


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives URLs of empty databases, all of either kind."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / uuid4().hex / 'registry.sqlite'}"
    url: str = request.getfixturevalue("postgres")

    def create() -> str:
        name = f"halo_{uuid4().hex}"
        server = sa.create_engine(
            url.format(name="postgres").replace("postgresql:", "postgresql+psycopg:"),
            isolation_level="AUTOCOMMIT",
        )
        with server.connect() as connection:
            # From 15 on PostgreSQL may also copy page by page through its log, which takes four times as long.
            version = server.dialect.server_version_info
            assert version is not None
            how = "STRATEGY FILE_COPY" if version >= (15,) else ""
            connection.execute(sa.text(f"CREATE DATABASE {name} {how}"))
        server.dispose()
        return url.format(name=name)

    return create


@pytest.fixture
def database_url(new_database_url: Callable[[], str]) -> str:
    """URL of an empty database of either kind."""
    return new_database_url()


@pytest.fixture
def open_registry(database_url: str, counters: Counters) -> Iterator[Callable[..., Registry]]:
    """Opens registries on one database; all are closed at the end."""
    opened: list[Registry] = []

    def open_one(replica: str = "local", **emit: Any) -> Registry:
        registry = Registry(database_url, Emit(**emit), counters, replica=replica)
        registry.open()
        opened.append(registry)
        return registry

    yield open_one
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry: Callable[..., Registry]) -> Registry:
    return open_registry()
