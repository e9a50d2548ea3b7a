"""All findings of a file against HALO's index and overview of it: `python tests/bench/halo_engine.py [spans]`.

Both read the same file, in the format HALO reads: one span per line. HALO's side is what its engine does
before it asks a model, with the functions its engine calls: build the trace index, load it, sum it up for
the overview; it finds nothing by that. Ours is `halo-otel analyze` with every detector. Each is a whole
process, as a user starts it; they take turns, three times each.

The package comes from `.ci/halo-engine/build`. The file is agent runs in the shape of HALO's own
`tests/fixtures/realistic_traces.jsonl` (context-labs/HALO b7f8509): openai-agents, a task, an agent and its
turns, each with a model call and a tool call; 2 % of the runs loop, 2 % storm, 3 % meet an error.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import orjson

ROOT = Path(__file__).parents[2]
SPANS, ROUNDS = 280_000, 3
START_S = 1_790_000_000
TURNS_MAX = 9
TOOLS = ("list_files", "grep", "read_file", "run_tests", "search_docs")
TOPICS = ("tracing", "retry", "config", "parser", "session", "exporter", "schema", "queue")
# What a service says about itself, and what HALO's exporter writes beside OpenInference's names.
RESOURCE = {"attributes": {"service.name": "code-helper", "service.version": "1.4.2"}}
SCOPE = {"name": "openai-agents-sdk", "version": "0.14.4"}
NOTHING: dict[str, object] = dict.fromkeys(
    f"inference.{name}"
    for name in (
        *("llm.provider", "llm.model_name", "llm.input_tokens", "llm.output_tokens"),
        *("llm.cost.total", "user_id", "session_id"),
    )
)
# Its process prints the totals, so that both sides are seen to have read the same.
HALO = """
import asyncio, sys
from pathlib import Path
from engine.traces.models.trace_dataset_source import TraceDatasetSource
from engine.traces.models.trace_index_config import TraceIndexConfig
from engine.traces.models.trace_query_models import TraceFilters
from engine.traces.trace_index_builder import TraceIndexBuilder
from engine.traces.trace_store import TraceStore

if __name__ == "__main__":
    traces, index = map(Path, sys.argv[1:])
    config = TraceIndexConfig(index_dir=index)
    built = asyncio.run(TraceIndexBuilder.ensure_index_exists(trace_path=traces, config=config))
    store = TraceStore.load_many([TraceDatasetSource(trace_path=traces, index_path=built)])
    overview = store.get_overview(TraceFilters())
    print(overview.total_spans, "spans", overview.total_traces, "traces")
"""
# Runs a command and prints its peak memory: in a process of its own, or the peak is that of all before.
# Children that outlive their parent, as Python's fork server does, are waited for too (PR_SET_CHILD_SUBREAPER).
MEASURED = """
import ctypes, os, resource, subprocess, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(36, 1)
code = subprocess.run(sys.argv[1:]).returncode
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, used.ru_utime + used.ru_stime)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one process took; memory is that of its largest process, CPU seconds are of all of them."""

    seconds: float
    cpu_s: float
    peak_mib: float


def write(path: Path, spans_wanted: int) -> int:
    """Runs until there are enough spans; how many there are."""
    spans = 0
    with path.open("wb") as file:
        for number in range(spans_wanted):
            if spans >= spans_wanted:
                break
            for span in run(number):
                file.write(orjson.dumps(span) + b"\n")
                spans += 1
    return spans


def run(number: int) -> Iterator[dict[str, Any]]:
    """The spans of one agent run, in the order of their ends."""
    rng = random.Random(number)
    trace, task, agent = (f"{rng.getrandbits(bits):0{bits // 4}x}" for bits in (128, 64, 64))
    topic, fate = rng.choice(TOPICS), number % 100
    turns = TURNS_MAX if fate < 4 else rng.randrange(3, TURNS_MAX)
    begun = now = START_S + number * 0.2
    asked, answered = (
        f"Where is {topic} {number} set up, and is it tested?",
        f"In {topic}.py:{number}.",
    )
    prompt = 300
    for turn in range(turns):
        turn_id, start = f"{rng.getrandbits(64):016x}", now
        tool, arguments, result, error = _call(rng, turn, topic, fate)
        now += rng.lognormvariate(0.5, 0.4)
        told = answered if turn == turns - 1 else orjson.dumps({tool: arguments}).decode()
        yield _span(
            trace, f"{rng.getrandbits(64):016x}", turn_id, "response", "LLM", start, now,
            {"llm.provider": "openai", "llm.model_name": "gpt-4o-mini", "llm.token_count.prompt": prompt,
             "llm.token_count.completion": 24, "llm.token_count.total": prompt + 24,
             "input.value": asked, "output.value": told},
            {"inference.llm.model_name": "gpt-4o-mini", "inference.llm.input_tokens": prompt,
             "inference.llm.output_tokens": 24},
        )  # fmt: skip
        prompt += 60 + len(result) // 4
        if turn < turns - 1:
            called, now = now, now + rng.lognormvariate(-1.6, 0.5)
            yield _span(
                trace, f"{rng.getrandbits(64):016x}", turn_id, f"function.{tool}", "TOOL", called, now,
                {"tool.name": tool, "input.value": orjson.dumps(arguments).decode(), "output.value": result},
                error=error,
            )  # fmt: skip
        own = {"sdk.span.type": "custom", "sdk.span.name": "turn", "sdk.data.turn": turn + 1}
        yield _span(trace, turn_id, agent, "custom.turn", "CHAIN", start, now, own)
    own = {"agent.name": "CodeHelper", "agent.tools": orjson.dumps(TOOLS).decode(), "input.value": asked,
           "output.value": answered}  # fmt: skip
    named = {"inference.agent_name": "CodeHelper"}
    yield _span(trace, agent, task, "agent.CodeHelper", "AGENT", begun, now, own, named)
    yield _span(trace, task, "", "custom.task", "CHAIN", begun, now, {"sdk.span.name": "task"})


def _call(
    rng: random.Random, turn: int, topic: str, fate: int
) -> tuple[str, dict[str, object], str, str]:
    """Tool, arguments, result and the error of a call that fails."""
    if fate < 2:  # asks the same again and again
        return TOOLS[1], {"pattern": topic, "glob": "*.py"}, "[]", ""
    if fate < 4 and turn > 1:
        return (
            TOOLS[3],
            {"path": f"tests/{topic}"},
            "",
            f"TimeoutError: no answer in {rng.randrange(90)} s",
        )
    tool = TOOLS[turn % len(TOOLS)]
    if fate < 7 and turn == 2:
        return tool, {"path": f"src/{topic}.py"}, "", f"FileNotFoundError: src/{topic}.py"
    lines = [f"./{topic}/{rng.getrandbits(24):06x}.py:{rng.randrange(400)}" for _ in range(12)]
    return tool, {"pattern": f"{topic}_{rng.getrandbits(20):x}", "subdir": "./"}, repr(lines), ""


def _span(
    trace: str, own: str, parent: str, name: str, kind: str, start_s: float, end_s: float,
    attributes: Mapping[str, object], known: Mapping[str, object] | None = None, error: str = "",
) -> dict[str, Any]:  # fmt: skip
    return {
        "trace_id": trace,
        "span_id": own,
        "parent_span_id": parent,
        "trace_state": "",
        "name": name,
        "kind": "SPAN_KIND_CLIENT" if kind == "LLM" else "SPAN_KIND_INTERNAL",
        "start_time": _iso(start_s),
        "end_time": _iso(end_s),
        "status": {"code": "STATUS_CODE_ERROR" if error else "STATUS_CODE_OK", "message": error},
        "resource": RESOURCE,
        "scope": SCOPE,
        "attributes": {
            "openinference.span.kind": kind,
            **attributes,
            "agent.workflow.name": "Agent workflow",
            "inference.export.schema_version": 1,
            "inference.project_id": "halo-demo",
            "inference.observation_kind": "SPAN" if kind == "CHAIN" else kind,
            **NOTHING,
            "inference.agent_name": "",
            **(known or {}),
        },
    }


def _iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


def measure(command: list[str]) -> Used:
    """Runs `command` to its end; what it says is shown if it fails."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, cwd=ROOT
    )
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    peak_kib, cpu_s = done.stdout.split()[-2:]
    return Used(seconds=seconds, cpu_s=float(cpu_s), peak_mib=int(peak_kib) / 1024)


def say(what: str, times: list[Used]) -> float:
    seconds = median(used.seconds for used in times)
    print(
        f"{what}: {seconds:.2f} s (of {', '.join(f'{used.seconds:.2f}' for used in times)}),"
        f" CPU {median(used.cpu_s for used in times):.1f} s, peak {max(u.peak_mib for u in times):.0f} MiB"
    )
    return seconds


def main(spans_wanted: int) -> None:
    build = subprocess.run(
        [ROOT / ".ci/halo-engine/build"], check=True, stdout=subprocess.PIPE, text=True
    )
    python = str(Path(build.stdout.strip()) / "bin" / "python")
    with tempfile.TemporaryDirectory() as scratch:
        traces, program = Path(scratch) / "traces.jsonl", Path(scratch) / "halo.py"
        program.write_text(HALO, encoding="utf-8")
        spans = write(traces, spans_wanted)
        print(f"{spans:,} spans, {traces.stat().st_size / 1e6:.0f} MB")
        ours = [sys.executable, "-m", "halo_otel", "analyze", str(traces), "--quiet", "--out"]
        theirs_used, ours_used = [], []
        for number in range(ROUNDS):
            # An index that is there already would be used: every round builds a new one.
            theirs_used.append(
                measure([python, str(program), str(traces), f"{scratch}/index{number}"])
            )
            ours_used.append(measure([*ours, f"{scratch}/report.md"]))
        theirs_s = say("halo-engine: index, load, overview", theirs_used)
        ours_s = say("halo-otel: load, all findings", ours_used)
        print(f"halo-engine takes {theirs_s / ours_s:.2f} times as long as halo-otel")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SPANS)
