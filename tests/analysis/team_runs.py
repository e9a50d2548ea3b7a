"""Runs of several agents under one workflow, written down call by call."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.analysis.conftest import MS, Row, Run, Traffic


class TeamRun(Run):
    """A supervisor's run in which `working` agents have spans of their own below it."""

    def __init__(self, number: int, **options: object) -> None:
        self._holder: Row | None = None
        super().__init__(number, **options)  # type: ignore[arg-type]

    @contextmanager
    def working(self, agent: str, *, output: str | None = None) -> Iterator["TeamRun"]:
        """What is done in here is done by `agent`."""
        before = self._holder
        self._holder = self._add(
            f"invoke_agent {agent}",
            "agent",
            agent_name=agent,
            output_text=output,
            output_text_chars=output and len(output),
            ms=0,
        )
        yield self
        self._holder["end_ns"] = self.now_ns
        self.now_ns += MS
        self._holder = before

    def at(self, ms: float) -> "TeamRun":
        """Go on so many milliseconds after the run began: what follows may be beside what was."""
        self.now_ns = self._start_ns + round(ms * MS)
        return self

    def wait(self, ms: float) -> "TeamRun":
        """Nothing happens."""
        self.now_ns += round(ms * MS)
        return self

    def asked(self, text: str | None, *, says: str = "next", ms: float = 500) -> "TeamRun":
        """A model turn whose prompt is `text`."""
        self._add(
            "chat",
            "llm",
            model_requested="large",
            input_tokens=100,
            output_tokens=0,
            input_text=text,
            input_text_chars=text and len(text),
            output_text=says,
            output_text_chars=len(says),
            ms=ms,
        )
        return self

    def tool(
        self, tool: str, arguments: object, result: str | None = "done", **options: object
    ) -> "TeamRun":
        """A call without a turn of its own."""
        turn, self.turn = self.turn, lambda **_: self  # type: ignore[method-assign]
        self.call(tool, arguments, result, **options)  # type: ignore[arg-type]
        self.turn = turn  # type: ignore[method-assign]
        return self

    def _add(
        self, name: str, kind: str, *, parent: str | None = None, ms: float, **columns: object
    ) -> Row:
        if parent is None and self._holder is not None:
            parent = str(self._holder["span_id"])
        row = super()._add(name, kind, parent=parent, ms=ms, **columns)
        self.rows[0]["end_ns"] = max(int(str(row["end_ns"])) for row in self.rows)
        return row


def team(traffic: Traffic, **options: object) -> TeamRun:
    """A new run of a team in `traffic`; runs lie an hour apart."""
    options = {"service": traffic.service, **options}
    run = TeamRun(3_600 * len(traffic.runs), agent="lead", **options)
    traffic.runs.append(run)
    return run
