"""What the model tier sends for windows of growing size: `python tests/bench/model_tier.py [traces …]`.

The endpoint is a local server that speaks chat completions and counts four bytes a token. Its script is a
diligent analyst: it judges each part to be fine, and in each conversation asks a query, reads a span, and
claims what both show, or what it has when it is told to report. The same window is then deepened again, as the next one with the same faults would be.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script

from halo_otel.analysis.lookback import Lookback
from halo_otel.analysis.run import extend
from halo_otel.clock import SystemClock
from halo_otel.config import sections
from halo_otel.llm.budget import Budget, MemoryAccount, Periods
from halo_otel.llm.client import Model
from halo_otel.llm.privacy import Sent
from halo_otel.recursion.deepen import deepen
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.toolbox import EnvironmentTools, shown_as
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.plan import clusters_of
from halo_otel.recursion.talk.conversing import Tier
from halo_otel.selfobs import Counters
from halo_otel.window.single import SingleWindow
from tests.bench.analysis import fill
from tests.llm.server import MODEL, Reply, Scripted, says

SPANS_PER_TRACE: Final = 31
BYTES_PER_TOKEN: Final = 4
TOKENS_ASKED: Final = 150_000  # for 10,000 traces
SECOND_ASKED: Final = 0.05
FINE: Final = {
    "goal": "answer",
    "correctness": "ok",
    "latency": "ok",
    "resources": "ok",
    "problem": "",
    "quote": None,
}
# Seven more tools fail, each in two of a hundred runs, with words of its own and the run with it; the other runs
# pass: more clusters than are looked at.
_TROUBLES: Final = """
update window_single.spans
set status_code = 2, error_source = 'status',
    error_message = 'ValueError: field ' || tool_name || ' is missing in the reply'
where tool_name <> 'tool_0' and (hash(trace_id) % 50)::bigint = right(tool_name, 1)::bigint
"""
_ENDS: Final = """
update window_single.spans
set status_code = if(trace_id in (
  select trace_id from window_single.spans where error_message like 'ValueError%'), 2, 1)
where span_kind = 'agent'
"""
SQL: Final = "select trace_id, span_id, name from spans where kind = 'tool' order by failed desc, trace_id, step limit 3"
COUNT: Final = "select count(*) from spans where kind = 'tool'"


def analyst(request: dict[str, Any]) -> Reply:
    """What the diligent one does next."""
    said = _said(request)
    size = len(json.dumps(request)) // BYTES_PER_TOKEN
    message = said.message
    usage = {
        "prompt_tokens": size,
        "completion_tokens": len(json.dumps(message)) // BYTES_PER_TOKEN,
    }
    return Reply(message=message, finish=said.finish, usage=usage)


def _said(request: dict[str, Any]) -> Reply:
    messages = request["messages"]
    if "You judge one part" in messages[0]["content"]:
        return says(json.dumps(FINE))
    if "refute it" in json.dumps(messages[:2]):
        return says(json.dumps({"verdict": "holds", "why": "it says so"}))
    looked = [message["content"] for message in messages if message["role"] == "tool"]
    must_report = [tool["function"]["name"] for tool in request["tools"]] == ["report"]
    if not looked:
        if must_report:
            return says(calls=(("report", {"claims": []}),))
        return says(calls=(("query", {"sql": SQL}),))
    row = json.loads(looked[0].split("\n")[2])
    place = {"trace_id": row["trace_id"], "span_id": row["span_id"]}
    if len(looked) == 1 and not must_report:
        return says(calls=(("span", place),))
    claim = {
        "subject": dict.fromkeys(("service", "agent", "tool", "model")),
        "statement": "Tools are called in these runs.",
        "predicates": [{"sql": COUNT, "parameters": [], "comparison": ">", "expected": 0}],
        "spans": [place],
        "quotes": [{**place, "field": "name", "text": row["name"]}],
        "contrast": None,
        "causal": False,
        "edge": None,
        "severity": "info",
        "recommendation": "",
    }
    return says(calls=(("report", {"claims": [{"claim": claim, "category": "error"}]}),))


async def measure(traces: int, home: Path) -> tuple[int, int]:
    """Print a line; input tokens of the first and the second window."""
    with SingleWindow() as window:
        fill(window, traces * SPANS_PER_TRACE)
        window._connection.execute(_TROUBLES)
        window._connection.execute(_ENDS)
        with window.view() as view:
            lookback = Lookback()
            run = extend(lookback, view, settings=sections.Analysis(), until_ns=0, offline=True)
            began = time.perf_counter()
            environment = Environment(
                view, run.report, lookback.judgements(), shown=shown_as("redacted")
            )
            with environment:
                copied_s = time.perf_counter() - began
                memory = Memory()
                first, requests, sent, seconds = await _deepened(environment, memory, home)
                second, _, _, again_s = await _deepened(environment, memory, home)
            count = len(clusters_of(environment))
    print(
        f"{traces:>8,} traces: {count:2} clusters, {requests:3} requests, {sent / 1e3:6.0f} kB,"
        f" {first:>7,} tokens in; copy {copied_s:5.1f} s, model {seconds:4.1f} s;"
        f" the next window {second:,} tokens in {again_s:.1f} s"
    )
    return first, second


async def _deepened(
    environment: Environment, memory: Memory, home: Path
) -> tuple[int, int, int, float]:
    """Tokens in, requests, bytes and seconds."""
    clock = SystemClock()
    async with Scripted(analyst) as server:
        settings = server.settings()
        sent = Sent(home / "sent.jsonl", settings.sent_bytes)
        model = Model(settings, sent, clock, Counters(), random.Random(1), lambda _: None)
        account = MemoryAccount(Periods(settings.budget.hour, settings.budget.day))
        async with model:
            tier = Tier(
                model=model,
                budget=Budget.of(settings, clock, account),
                memory=memory,
                environment=environment,
                tools=EnvironmentTools(environment, settings.payloads),
                model_name=MODEL,
                turns=settings.max_turns,
                max_depth=settings.max_depth,
                map_groups=settings.map_groups,
            )
            began = time.perf_counter()
            deepened = await deepen(tier)
            seconds = time.perf_counter() - began
        for cluster, why in deepened.unfinished:
            print(f"  not finished: {cluster}: {why}")
        size = sum(len(request.content) for request in server.requests)
        return tier.budget.spent.input_tokens, len(server.requests), size, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", nargs="*", type=int, default=[1_000, 10_000])
    tokens = {}
    with TemporaryDirectory() as home:
        for traces in parser.parse_args().traces:
            tokens[traces], second = asyncio.run(measure(traces, Path(home)))
            if second > SECOND_ASKED * tokens[traces]:
                print("  the next window costs more than asked")
    few, many = min(tokens), max(tokens)
    print(f"{many / few:.0f} x the traces: {tokens[many] / max(1, tokens[few]):.2f} x the tokens")
    if 10_000 in tokens:
        print(
            f"10,000 traces: {tokens[10_000] / TOKENS_ASKED:.2f} of the tokens that were asked for"
        )


if __name__ == "__main__":
    main()
