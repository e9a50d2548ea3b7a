"""What the run must look like in every dialect, and what of it each SDK cannot say.

A *cell* is one fact of the run as one SDK tells it: `ok`, `-` where the SDK's source says that it cannot
tell it (the `absent` of its emission), or what is wrong.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

from halo_otel.model.facts import SpanKind
from halo_otel.model.goal import GoalNode
from tests.emission import run

HERE: Final = Path(__file__).parent
Row: TypeAlias = Mapping[str, Any]  # a row of the relation `spans`


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """One way to tell the run: a program, its environment and what it leaves out.

    `group` is an environment of `.ci/emission`, `program` a file in `programs`. `dialect` must be among
    the dialects that are recognised. `absent` names facts of `FACTS`; why the SDK cannot say them is a
    comment beside it. The rest is what the SDK says otherwise than `tests.emission.run`.
    """

    name: str
    group: str
    program: str
    dialect: str
    packages: tuple[str, ...]  # whose versions are shown, the SDK first
    absent: frozenset[str] = frozenset()
    environ: Mapping[str, str] = field(default_factory=dict)
    protocol: str = "http/protobuf"  # or "grpc", as OTEL_EXPORTER_OTLP_PROTOCOL
    agent: str = run.AGENT
    failure: str = run.NO_ROOMS
    model: str = run.MODEL
    arguments: object = field(default_factory=lambda: run.ARGUMENTS)
    finish: tuple[str, ...] = ("tool_call", "tool_call", "stop")
    answers_by: str | None = None  # the tool that the SDK's agents call to answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What arrived of one emission: the spans of its run, first started first, and its goal tree."""

    emission: Emission
    spans: Sequence[Row]
    tree: Sequence[GoalNode]
    versions: Mapping[str, str]
    seconds: float
    output: str  # of the program
    trace_ids: Collection[str]

    def of(self, kind: SpanKind) -> list[Row]:
        return [span for span in self.spans if span["span_kind"] == kind]

    @property
    def turns(self) -> list[Row]:
        """The model's turns; one that the next layer (a client library) tells again counts once."""
        ids = {span["span_id"] for span in self.of(SpanKind.LLM)}
        return [span for span in self.of(SpanKind.LLM) if span["parent_span_id"] not in ids]

    @property
    def tools(self) -> list[Row]:
        """The calls of the run; one that the next layer (MCP) tells again counts once."""
        names = {span["span_id"]: span["tool_name"] for span in self.of(SpanKind.TOOL)}
        return [
            span
            for span in self.of(SpanKind.TOOL)
            if span["tool_name"]
            not in (self.emission.answers_by, names.get(span["parent_span_id"]))
        ]


class Wrong(Exception):
    """A fact is not told as it happened."""


def _equal(told: object, happened: object) -> None:
    if told != happened:
        raise Wrong(f"{told!r} is not {happened!r}")


def _holds(text: object, part: str) -> None:
    if not isinstance(text, str) or part not in text:
        raise Wrong(f"{part!r} is not in {text!r}")


def _each(told: Iterable[object], happened: Iterable[object]) -> None:
    _equal(list(told), list(happened))


def _agent(telling: Telling) -> None:
    """One agent; a span directly below its span may tell it again."""
    agents = telling.of(SpanKind.AGENT)
    _each({span["agent_name"] for span in agents}, [telling.emission.agent])
    ids = {span["span_id"] for span in agents}
    _equal(sum(span["parent_span_id"] not in ids for span in agents), 1)


def _session(telling: Telling) -> None:
    """At least one span says it, and none another."""
    _equal({span["session_id"] for span in telling.spans} - {None}, {run.SESSION})


def _column(kind: SpanKind, column: str, happened: Sequence[object], telling: Telling) -> None:
    spans = telling.tools if kind is SpanKind.TOOL else telling.turns
    _each([span[column] for span in spans], happened)


def _one_trace(telling: Telling) -> None:
    _equal(len(telling.trace_ids), 1)


def _calls_and_turns(telling: Telling) -> None:
    _equal((len(telling.turns), len(telling.tools)), (len(run.TURNS), len(run.TOOLS)))


def _model(telling: Telling) -> None:
    _column(SpanKind.LLM, "model_requested", [telling.emission.model] * len(run.TURNS), telling)


def _tokens(telling: Telling) -> None:
    _each(
        [(span["input_tokens"], span["output_tokens"]) for span in telling.turns],
        [(turn.input_tokens, turn.output_tokens) for turn in run.TURNS],
    )
    _equal([span["input_tokens"] for span in telling.tools], [None] * len(telling.tools))


def _cached(telling: Telling) -> None:
    _each(
        [(span["cache_read_tokens"], span["cache_accounting"]) for span in telling.turns],
        [(turn.cached_tokens, "inside") for turn in run.TURNS],
    )


def _finish(telling: Telling) -> None:
    reasons = [str(span["finish_reason"]).replace("-", "_") for span in telling.turns]
    _equal([reason.rstrip("s") for reason in reasons], list(telling.emission.finish))


def _question(telling: Telling) -> None:
    if not telling.turns:
        raise Wrong("no model turn")
    for span in telling.turns:
        _holds(span["input_text"], run.QUESTION)


def _answer(telling: Telling) -> None:
    if not telling.turns:
        raise Wrong("no model turn")
    _holds(telling.turns[-1]["output_text"], run.ANSWER)
    for turn, tool in zip(telling.turns, run.TOOLS, strict=False):
        _holds(turn["output_text"], tool)


def _arguments(telling: Telling) -> None:
    _each(
        [_json(span["tool_arguments"]) for span in telling.tools],
        [telling.emission.arguments] * len(run.TOOLS),
    )


def _json(text: str | None) -> object:
    try:
        return json.loads(text or "null")
    except ValueError:
        return text


def _result(telling: Telling) -> None:
    if not telling.tools:
        raise Wrong("no tool call")
    _equal(telling.tools[0]["tool_result"], run.WEATHER)


def _error(telling: Telling) -> None:
    """The second call failed and says why; no other call, no turn and no agent did."""
    operations = (*telling.tools, *telling.turns, *telling.of(SpanKind.AGENT))
    failed = [span for span in operations if span["error_source"] is not None]
    _equal([span["tool_name"] for span in failed], [run.TOOLS[1]])
    _holds(failed[0]["error_message"], telling.emission.failure)


def _tree(telling: Telling) -> None:
    """Session, run, sub-goal and steps: the model's turns, each with the calls it made."""
    operations = [node for node in telling.tree if node.span_id in _ids(telling)]
    _equal(len(operations), len(_ids(telling)))
    steps = [_step(telling.tree, node) for node in operations]
    names = [name.partition(": ")[2] for name in dict.fromkeys(steps)]
    wanted = [
        tool.replace("_", " ") for tool in (*run.TOOLS, telling.emission.answers_by or "answer")
    ]
    # The name of a call goes on with its arguments, where they are told.
    shown = [name[: len(start)] for name, start in zip(names, wanted, strict=False)]
    _equal([*shown, *names[len(wanted) :]], wanted)
    _equal([node.name for node in telling.tree if node.name[:1] in "{[<"], [])


def _ids(telling: Telling) -> set[str]:
    return {span["span_id"] for span in (*telling.turns, *telling.tools)}


def _step(tree: Sequence[GoalNode], node: GoalNode) -> str:
    """The step that an operation lies in."""
    while node.level.name != "STEP" and node.parent >= 0:
        node = tree[node.parent]
    return node.name


FACTS: Final[Mapping[str, Callable[[Telling], None]]] = {
    "trace": _one_trace,
    "spans": _calls_and_turns,
    "agent": _agent,
    "session": _session,
    "model": _model,
    "served": partial(_column, SpanKind.LLM, "model_served", [run.MODEL_SERVED] * 3),
    "tokens": _tokens,
    "cached": _cached,
    "finish": _finish,
    "question": _question,
    "answer": _answer,
    "tool": partial(_column, SpanKind.TOOL, "tool_name", run.TOOLS),
    "call id": partial(_column, SpanKind.TOOL, "tool_call_id", [f"call_{t}" for t in run.TOOLS]),
    "arguments": _arguments,
    "result": _result,
    "error": _error,
    "tree": _tree,
}


def cell(telling: Telling, fact: str) -> str:
    """`ok`, `-`, or what is wrong: also with a fact that is told although it is declared absent."""
    try:
        FACTS[fact](telling)
    except Wrong as wrong:
        return "-" if fact in telling.emission.absent else str(wrong)
    return "told although declared absent" if fact in telling.emission.absent else "ok"


def emissions() -> dict[str, Emission]:
    """Every emission that an `expectations_*.py` declares, by name."""
    found: dict[str, Emission] = {}
    for path in sorted(HERE.glob("expectations_*.py")):
        module = import_module(f"tests.emission.{path.stem}")
        found |= {emission.name: emission for emission in module.EMISSIONS}
    return found


def table(tellings: Iterable[Telling]) -> tuple[str, float]:
    """The matrix for people, with versions and seconds, and the share of facts that are right."""
    lines = [["", *FACTS, "s", "versions"]]
    right = told = 0
    for telling in tellings:
        cells = [cell(telling, fact) for fact in FACTS]
        right += cells.count("ok")
        told += len(cells) - cells.count("-")
        shown = [each if each in ("ok", "-") else "WRONG" for each in cells]
        versions = ", ".join(f"{name} {version}" for name, version in telling.versions.items())
        lines.append([telling.emission.name, *shown, f"{telling.seconds:.1f}", versions])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = "\n".join(
        "  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    share = right / max(told, 1)
    return f"{text}\n{right} of {told} facts are right: {share:.1%}", share
