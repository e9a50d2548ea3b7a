"""What was accepted against what is stored, and what was decided against what the backend saw."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from halo_otel.findings.emission import TOLD
from halo_otel.model.finding import Status
from halo_otel.otlp import names
from tests.path.conftest import Collector, Service

_TOLD: Final = frozenset(status.value for status in TOLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The spans of all windows there ever were, against those that senders were told are accepted."""

    accepted: int
    lost: int
    doubled: int  # rows of one place in the journal beyond the first: stored twice by us
    again: (
        int  # delivered again by the Collector or sent again by a sender; a view shows one of them
    )
    strange: int  # spans that nobody sent


class Windows:
    """Keeps every window's file by a second name, so that retention can delete while we count later."""

    def __init__(self, service: Service, directory: Path) -> None:
        self._windows = service.storage / "windows"
        self._kept = directory / "windows"
        self._kept.mkdir()
        self._con = duckdb.connect(
            str(directory / "account.duckdb"), config={"memory_limit": "1GB", "threads": 1}
        )
        self._con.execute("CREATE TABLE stored (span UBIGINT, place BIGINT)")
        self._counted: set[str] = set()

    def keep(self) -> None:
        """Note the files that are there now; count those that the service has deleted."""
        for path in self._windows.glob("*.duckdb"):
            kept = self._kept / path.name
            if path.name not in self._counted and not kept.exists():
                try:
                    os.link(path, kept)
                except FileNotFoundError:
                    continue
        for kept in sorted(self._kept.glob("*.duckdb")):
            if kept.stat().st_nlink == 1:
                self._count(kept)

    def count_rest(self) -> None:
        """Count what is left, once the service has ended."""
        self.keep()
        for kept in sorted(self._kept.glob("*.duckdb")):
            self._count(kept)

    def _count(self, kept: Path) -> None:
        # The name is the service's own time stamp below a directory of ours.
        self._con.execute(f"ATTACH '{kept}' AS one (READ_ONLY)")
        self._con.execute(
            "INSERT INTO stored SELECT ('0x' || span_id)::UBIGINT, \"position\" FROM one.spans"
            " WHERE trace_id NOT LIKE 'ffff%'"  # poison is nobody's traffic
        )
        self._con.execute("DETACH one")
        self._counted.add(kept.name)
        kept.unlink()

    def stored(self, accepted: Iterable[tuple[int, int]]) -> Stored:
        """Against requests as (number, spans)."""
        con = self._con
        con.execute("CREATE TABLE sent (request UBIGINT, spans BIGINT)")
        con.executemany("INSERT INTO sent VALUES (?, ?)", [list(one) for one in accepted])
        con.execute(
            "CREATE TABLE got AS SELECT span >> 32 AS request, count(DISTINCT span) AS spans"
            " FROM stored GROUP BY ALL"
        )
        total, lost, strange = _row(
            con,
            "SELECT sum(sent.spans), sum(greatest(0, coalesce(sent.spans, 0) - coalesce(got.spans, 0))),"
            " sum(greatest(0, coalesce(got.spans, 0) - coalesce(sent.spans, 0)))"
            " FROM sent FULL JOIN got USING (request)",
        )
        rows, places, spans = _row(
            con, "SELECT count(*), count(DISTINCT place), count(DISTINCT span) FROM stored"
        )
        return Stored(
            accepted=total,
            lost=lost,
            doubled=rows - places,
            again=places - spans,
            strange=strange,
        )


def _row(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    row = con.execute(sql).fetchone()
    assert row is not None
    return tuple(int(value or 0) for value in row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Transitions and occurrences that the registry decided on, against what the backend received."""

    transitions: int
    missing: int
    invented: int  # folded on id, status and time, and of no transition
    again: int  # received more than once
    occurrences: int
    occurrences_missing: int
    waiting: int  # in the outbox


def told(service: Service, collector: Collector) -> Told:
    """What came out, once both have ended; what still waits in the outbox is not missing."""
    patterns, occurrences = _read(collector.came_back("logs"))
    with closing(sqlite3.connect(service.storage / "registry.sqlite")) as registry:
        decided = {
            (fingerprint, after, at_ns)
            for fingerprint, before, after, at_ns in registry.execute(
                "SELECT fingerprint, before, after, at_ns FROM transitions"
            )
            if after in _TOLD and before != Status.MUTED.value
        }
        evidence = set(registry.execute("SELECT fingerprint, trace_id, span_id FROM evidence"))
        waiting = [
            {"resourceLogs": [json.loads(payload)]}
            for (payload,) in registry.execute("SELECT payload FROM outbox WHERE kind = 'log'")
        ]
    waiting_patterns, waiting_occurrences = _read(waiting)
    folded = set(patterns)
    return Told(
        transitions=len(decided),
        missing=len(decided - folded - set(waiting_patterns)),
        invented=len(folded - decided),
        again=len(patterns) - len(folded),
        occurrences=len(evidence),
        occurrences_missing=len(evidence - occurrences - waiting_occurrences),
        waiting=len(waiting),
    )


def _read(
    requests: list[dict[str, Any]],
) -> tuple[list[tuple[str, str, int]], set[tuple[str, str, str]]]:
    """Patterns by id, status and time, as often as they stand there; occurrences by id and span."""
    patterns, occurrences = [], set()
    for record, attributes in _records(requests):
        finding = attributes[names.FINDING_ID]
        if attributes[names.EVENT_NAME] == names.EVENT_FINDING:
            status = attributes[names.FINDING_STATUS]
            patterns.append((finding, status, int(record["timeUnixNano"])))
        else:
            occurrences.add((finding, record["traceId"], record["spanId"]))
    return patterns, occurrences


def _records(requests: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Log records and their texts by key."""
    for request in requests:
        for resource in request["resourceLogs"]:
            for scope in resource["scopeLogs"]:
                for record in scope["logRecords"]:
                    yield (
                        record,
                        {
                            one["key"]: one["value"]["stringValue"]
                            for one in record["attributes"]
                            if "stringValue" in one["value"]
                        },
                    )
