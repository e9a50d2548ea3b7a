"""The environment itself: the copy that tools query, the report, and the goal trees of the view."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from halo_otel.analysis import frame
from halo_otel.analysis.causality import outcome
from halo_otel.analysis.goals.tree import goal_tree
from halo_otel.analysis.judgement import Judgement
from halo_otel.codebase.tree import Codebase
from halo_otel.errors import NotFound
from halo_otel.model.finding import Finding
from halo_otel.model.goal import GoalNode
from halo_otel.model.report import Report
from halo_otel.model.span import Attributes
from halo_otel.recursion.environment import tables
from halo_otel.recursion.environment.arguments import TraceSet
from halo_otel.recursion.environment.reply import Fence
from halo_otel.window.sealed import Limits, Parameters, Sealed, Shown, sealed
from halo_otel.window.view import View

_RAW: Final = """
select tool_arguments, tool_result, input_text, output_text,
       left(coalesce(error_message, status_message, ''), 1000), evaluations, name,
       (select any_value(text) from texts where text_id = system_instructions),
       (select any_value(text) from texts where text_id = tool_definitions),
       (select any_value(text) from texts where text_id = retrieval_documents)
from spans where trace_id = ? and span_id = ?
"""
_RAW_FIELDS: Final = (
    *("arguments", "result", "input", "output", "error", "evaluations", "name"),
    *("instructions", "tools", "documents"),
)


class Environment:
    """A context manager over `view`, its `report`, and the judgements of its traces.

    Texts go out as `shown` says, by default as they are. To enter takes as long as an analysis:
    the judged traces are copied. It may be used from several threads; `view` must stay open and is not
    to be used by others meanwhile.
    """

    def __init__(
        self,
        view: View,
        report: Report,
        judgements: Sequence[Judgement],
        *,
        shown: Shown | None = None,
        limits: Limits | None = None,
        code: Codebase | None = None,
    ) -> None:
        ordered = sorted(judgements, key=lambda judgement: judgement.trace_id)
        self.report: Final = report
        self.code: Final = code  # the agents' own, if it was given
        self.judgements: Final = outcome.settle(ordered)
        self.findings: Final[dict[str, Finding]] = {one.fingerprint: one for one in report.findings}
        self.shown: Final[Callable[[str], str]] = shown.text if shown else str
        window = report.window
        self.fence: Final = Fence(
            f"{window.start_ns} {window.end_ns} {window.spans} {[j.trace_id for j in ordered]}"
        )
        self._view = view
        self._copied_as = shown
        self._limits = limits
        self._lock = Lock()
        self._stack = ExitStack()
        self._sealed: Sealed | None = None

    def __enter__(self) -> Self:
        con = self._view.con
        traces = [judgement.trace_id for judgement in self.judgements]
        self._view.join_logs(traces)
        try:
            frame.build(con, traces)
            tables.prepare(con, self.judgements, self.report)
            self._sealed = self._stack.enter_context(
                sealed(self._view, tables.TABLES, self._copied_as, self._limits)
            )
        finally:
            frame.drop(con)
            tables.clear(con)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:  # the view is left alone by threads that nobody waits for any more
            self._stack.close()
            self._sealed = None

    @property
    def database(self) -> Sealed:
        """The copy."""
        assert self._sealed is not None, "the environment is not entered"
        return self._sealed

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """Rows of a query of ours on the copy."""
        return self.database.rows(sql, parameters)

    def goals(self, trace_id: str) -> Sequence[GoalNode]:
        """The goal tree of a trace; none if it is unknown."""
        with self._entered():
            return goal_tree(self._view, trace_id)

    def recorded(self, trace_id: str, span_id: str) -> dict[str, str]:
        """The texts of a span as they were recorded: for checks, they never leave."""
        with self._entered():
            rows = self._view.con.execute(_RAW, [trace_id, span_id]).fetchall()
        texts = rows[0] if rows else (None,) * len(_RAW_FIELDS)
        return {name: text for name, text in zip(_RAW_FIELDS, texts, strict=True) if text}

    def resource(self, resource_id: int) -> Attributes:
        """The attributes of a resource; none of one that is gone."""
        with self._entered():
            try:
                return self._view.resource_of(resource_id).attributes
            except NotFound:
                return {}

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """The view, for one thread at a time."""
        with self._lock:
            assert self._sealed is not None, "the environment is not entered"
            yield

    def among(self, chosen: TraceSet | None) -> list[str]:
        """The ids of the traces of a set, in their order; all without one."""
        if chosen is None:
            return [judgement.trace_id for judgement in self.judgements]
        rows = self.rows(_AMONG, chosen.model_dump(exclude={"traces"}) | {"traces": chosen.traces})
        return [trace_id for (trace_id,) in rows]


_AMONG: Final = """
select trace_id from traces
where ($outcome::varchar is null or outcome = $outcome)
  and ($service::varchar is null or service = $service)
  and ($agent::varchar is null or agent = $agent
       or trace_id in (select trace_id from spans where agent = $agent))
  and ($traces::varchar[] is null or trace_id in (select unnest($traces::varchar[])))
  and ($finding::varchar is null
       or trace_id in (select trace_id from finding_traces where fingerprint = $finding))
order by trace_id
"""
