"""Small agent traffic, written down run by run, and its analysis."""

import json
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from halo_otel.analysis import frame
from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.judging import judge
from halo_otel.analysis.run import analyse
from halo_otel.analysis.usual import profile
from halo_otel.config import sections
from halo_otel.model.finding import Finding
from halo_otel.model.report import Report
from halo_otel.window.schema import SPAN_COLUMNS, Batch, Columns
from halo_otel.window.single import SingleWindow
from halo_otel.window.texts import text_id
from halo_otel.window.view import View

MS = 1_000_000
START_NS = 1_700_000_000_000_000_000

# What comes out is the same to the byte (`test_same_bytes`), and a small window costs a quarter less.
ONE_THREAD = sections.Window(threads=1)

_WHOLE = ("system_instructions", "tool_definitions", "retrieval_documents")

Row = dict[str, object]
Case = TypeVar("Case")


class Run:
    """One trace: an agent span with turns and calls below it, each after the one before."""

    def __init__(
        self,
        number: int,
        *,
        agent: str = "booker",
        service: str = "shop",
        session: str | None = None,
        outcome: bool | None = True,
        flat: bool = False,
    ) -> None:
        self.trace_id = f"{number + 1:032x}"
        self._prefix = f"{number + 1:011x}"
        self._service = service
        self._session = session
        self._flat = flat
        self.now_ns = self._start_ns = START_NS + number * 1_000 * MS
        self.rows: list[Row] = []
        status = {True: 1, False: 2, None: 0}[outcome]
        self._root = self._add(
            f"invoke_agent {agent}", "agent", parent="", agent_name=agent, status_code=status, ms=0
        )
        if outcome is False:
            self._root |= {"error_source": "status", "error_type": "", "error_message": ""}

    def turn(
        self, *, tokens: int = 100, ms: float = 500, model: str = "large", **columns: Any
    ) -> "Run":
        told: dict[str, Any] = {"output_text": "next", **columns}
        self._add(
            "chat",
            "llm",
            model_requested=model,
            input_tokens=tokens,
            output_tokens=0,
            ms=ms,
            **told,
        )
        return self

    def call(
        self,
        tool: str,
        arguments: object = None,
        result: str | None = "done",
        *,
        error: str | None = None,
        source: str = "status",
        ms: float = 100,
        pause_ms: float = 1,
        asking: Row | None = None,
    ) -> "Run":
        """A turn that asks for a call, with the columns `asking`, and the call; `arguments=None` means
        not captured."""
        self.turn(**(asking or {}))  # type: ignore[arg-type]
        self.now_ns += round(pause_ms * MS)
        text = None if arguments is None else json.dumps(arguments, sort_keys=True)
        self.span = self._add(
            f"execute_tool {tool}",
            "tool",
            tool_name=tool,
            tool_arguments=text,
            tool_arguments_chars=text and len(text),
            tool_result=result,
            tool_result_chars=None if result is None else len(result),
            error_source=source if error else None,
            error_message=error,
            ms=ms,
        )
        return self

    def child(self, parent: str, name: str, *, error: str | None = None, ms: float = 1) -> "Run":
        """A span of no agent below the span `parent`, which goes on for as long."""
        self.now_ns -= MS
        row = self._add(
            name,
            "other",
            parent=parent,
            ms=ms,
            error_message=error,
            error_source=error and "status",
        )
        above = next(row for row in self.rows if row["span_id"] == parent)
        above["end_ns"] = max(int(str(above["end_ns"])), int(str(row["end_ns"])))
        return self

    def _add(
        self, name: str, kind: str, *, parent: str | None = None, ms: float, **columns: object
    ) -> Row:
        if parent is None:
            parent = "" if self._flat else str(self._root["span_id"])
        row: Row = {
            "trace_id": self.trace_id,
            "span_id": f"{self._prefix}{len(self.rows) + 1:05x}",
            "parent_span_id": parent,
            "name": name,
            "kind": 1,
            "start_ns": self.now_ns,
            "end_ns": self.now_ns + round(ms * MS),
            "status_code": 2 if columns.get("error_source") == "status" else 0,
            "status_message": "",
            "attributes": "{}",
            "events": "[]",
            "links": "[]",
            "resource_id": 1,
            "scope_id": 1,
            "service": self._service,
            "session_id": self._session,
            "span_kind": kind,
            **columns,
        }
        self.rows.append(row)
        self.now_ns += round(ms * MS) + MS
        if len(self.rows) > 1:
            self.rows[0]["end_ns"] = self.now_ns
        return row


class Traffic:
    """Runs; `Traffic()` seeds its own randomness, so a test sees the same traffic each time."""

    def __init__(self, seed: int = 0) -> None:
        self.runs: list[Run] = []
        self.random = random.Random(seed)
        self.service = "shop"
        self.cases: dict[str, Any] = {}  # by service

    def each(self, cases: Iterable[Case]) -> Iterator[Case]:
        """The cases, each with a service of its own for the runs of its turn.

        Services are judged apart: what would be an analysis for each case takes one.
        """
        for number, case in enumerate(cases):
            self.service = f"shop {number}"
            self.cases[self.service] = case
            yield case

    def run(self, **options: object) -> Run:
        run = Run(len(self.runs), **{"service": self.service, **options})  # type: ignore[arg-type]
        self.runs.append(run)
        return run

    def healthy(self, count: int, **options: object) -> "Traffic":
        """Runs that search, book and answer, each about something else."""
        for _ in range(count):
            run = self.run(**options)
            for step in range(3):
                what = {"q": f"trip {len(self.runs)} {step}"}
                run.call("search", what, f"found {len(self.runs)} {step}")
            run.call("book", {"id": len(self.runs)}, f"booked {len(self.runs)}").turn()
        return self

    @property
    def rows(self) -> list[Row]:
        return [row for run in self.runs for row in run.rows]


def batch(rows: list[Row]) -> Batch:
    """`rows` as a window's columns, arriving when the spans end.

    Whole texts (`tool_definitions`, …) stand in a row as they are.
    """
    columns: Columns = {name: [row.get(name) for row in rows] for name in SPAN_COLUMNS}
    said: dict[bytes, str] = {}
    for name in _WHOLE:
        for place, text in enumerate(columns[name]):
            if isinstance(text, str):
                columns[name][place] = text_id(text)
                said[text_id(text)] = text
    texts: Columns = {
        "text_id": list(said),
        "chars": [len(text) for text in said.values()],
        "text": list(said.values()),
    }
    counts = [name for name in SPAN_COLUMNS if name.startswith("dropped_")]
    for name in (*counts, "flags"):
        columns[name] = [0] * len(rows)
    columns["trace_state"] = [""] * len(rows)
    columns["arrival_ns"] = [row.get("arrival_ns", row["end_ns"]) for row in rows]
    columns["position"] = [row.get("position", place) for place, row in enumerate(rows)]
    resources: Columns = {
        "resource_id": [1],
        "attributes": ['{"service.name":"shop"}'],
        "dropped_attributes_count": [0],
        "schema_url": [""],
    }
    return Batch(spans=columns, log_records={}, resources=resources, scopes={}, texts=texts)


@contextmanager
def view_of(rows: list[Row]) -> Iterator[View]:
    with SingleWindow(config=ONE_THREAD) as window:
        window.insert(batch(rows))
        with window.view() as view:
            yield view


def report_on(rows: list[Row], settings: sections.Analysis | None = None) -> Report:
    with view_of(rows) as view:
        return analyse(view, settings=settings or sections.Analysis(), until_ns=0, offline=True)


def judged(rows: list[Row]) -> list[Judgement]:
    """The judgements of `rows`, before they meet in the reduce."""
    with view_of(rows) as view:
        traces = [one.trace_id for one in view.traces_last_arrival()]
        shard = frame.build(view.con, traces)
        return judge(shard, profile.learn(shard))


def findings_in(traffic: Traffic, *categories: str) -> list[Finding]:
    """The findings on `traffic`, only those of `categories` if any are named."""
    findings = report_on(traffic.rows).findings
    return [f for f in findings if not categories or f.category in categories]


def apart(traffic: Traffic, findings: Iterable[Finding]) -> list[tuple[Any, list[Finding]]]:
    """The cases that `traffic.each` went through, with the findings about each."""
    told: dict[str, list[Finding]] = {service: [] for service in traffic.cases}
    for finding in findings:
        told[str(finding.subject.service)].append(finding)
    return [(case, told[service]) for service, case in traffic.cases.items()]


def one_each(traffic: Traffic, findings: Iterable[Finding]) -> list[tuple[Any, Finding]]:
    """The same where there is one finding about each case."""
    told = apart(traffic, findings)
    for case, found in told:
        assert len(found) == 1, (case, [finding.title for finding in found])
    return [(case, finding) for case, (finding,) in told]


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()
