"""What `map` takes for 1,000 groups beside what its requests alone would take: groups ÷ parallelism × latency.

    python tests/bench/mapping.py

A server in a process of its own answers over real HTTP, each request so long after it came. The groups are runs
of about 1 KB; everything on the way to the table is measured: the query, masking, budget, record of what was sent,
memory on disk, the answers' checks, the table. The figure to reach is 1.2 times the bound. Then the same again from
memory, which asks nobody.

CPU is what one request costs this process, nearly all on one core: where it is more than a fifth of latency ÷
parallelism, the figure is out of reach, whatever waits.
"""

import asyncio
import json
import multiprocessing
import random
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from halo_otel.clock import SystemClock
from halo_otel.config.llm import Llm
from halo_otel.llm.budget import Budget, MemoryAccount, Periods
from halo_otel.llm.client import Model
from halo_otel.llm.privacy import Sent
from halo_otel.recursion.environment.environment import Environment
from halo_otel.recursion.environment.toolbox import EnvironmentTools
from halo_otel.recursion.memory import Memory
from halo_otel.recursion.talk.mapping import MapTools
from halo_otel.redact.mask import mask
from halo_otel.selfobs import Counters
from tests.analysis.conftest import Traffic
from tests.llm.server import MODEL, Json, Reply, Scripted, says
from tests.recursion.environments import environment_of

GROUPS = 1_000
CASES = (
    (16, 0.1),
    (64, 0.1),
    (64, 1.0),
)  # parallelism, and latency in seconds; the last is a model's
FIGURE = 1.2
PLENTY = 1 << 40
CALL = {
    "question": "Does the agent name a day?",
    "sql": "select trace_id, output from spans where kind = 'llm' and output is not null",
    "answers": ["yes", "no"],
}


def serve(pipe: Connection) -> None:
    """With each latency that comes through `pipe`, until None does; the number of requests goes back."""

    async def run() -> None:
        latency_s: float | None = 0.0

        def reply(_: Json) -> Reply:
            assert latency_s is not None
            return says(
                json.dumps({"answer": "yes", "quote": None}), hold=lambda: asyncio.sleep(latency_s)
            )

        async with Scripted(reply) as server:
            pipe.send(server.settings().base_url)
            while (latency_s := await asyncio.to_thread(pipe.recv)) is not None:
                pipe.send(len(server.requests))

    asyncio.run(run())


def runs() -> Traffic:
    """A thousand runs, each of which ends with about 1 KB of its own."""
    words = [f"{sound}{end}" for sound in ("ba", "do", "mi", "te", "lu") for end in ("n", "r", "s")]
    draw, traffic = random.Random(1), Traffic()
    for number in range(GROUPS):
        text = " ".join(draw.choice(words) for _ in range(250))
        traffic.run().turn(output_text=f"Trip {number}: {text}")
    return traffic


async def measure(
    environment: Environment, base_url: str, parallelism: int, home: Path
) -> tuple[float, float, float]:
    """Seconds for the first time, of CPU for it, and from memory."""
    budget = {"input_tokens": PLENTY, "output_tokens": PLENTY}
    settings = Llm.model_validate(
        {
            "base_url": base_url,
            "model": MODEL,
            "parallelism": parallelism,
            "budget": {"window": {**budget, "calls": PLENTY}, "hour": budget, "day": budget},
        }
    )
    clock = SystemClock()
    account = MemoryAccount(Periods(settings.budget.hour, settings.budget.day))
    sent = Sent(home / "sent.jsonl", settings.sent_bytes)
    memory = Memory(home / "answers.jsonl")
    seconds, cpu_s = [], time.process_time()
    async with Model(settings, sent, clock, Counters(), random.Random(1), lambda _: None) as model:
        for _ in range(2):
            tools = MapTools(
                environment_tools=EnvironmentTools(environment, settings.payloads),
                environment=environment,
                model=model,
                model_name=MODEL,
                budget=Budget.of(settings, clock, account),
                memory=memory,
                groups_max=GROUPS,
            )
            began = time.perf_counter()
            reply = await tools.map(CALL)
            seconds.append(time.perf_counter() - began)
            if len(seconds) == 1:
                cpu_s = time.process_time() - cpu_s
            assert not reply.failed, reply.text
            assert f'"answers":{{"yes":{GROUPS}}}' in reply.text, reply.text
    return seconds[0], cpu_s, seconds[1]


def main() -> None:
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    server.start()
    base_url = ours.recv()
    print(f"{GROUPS} groups")
    print("parallelism  latency s  bound s  took s  ratio  CPU ms  again s  requests")
    try:
        with environment_of(runs().rows, lambda text: mask(text).text) as environment:
            for parallelism, latency_s in CASES:
                ours.send(latency_s)
                before = ours.recv()
                with tempfile.TemporaryDirectory() as home:
                    first, cpu_s, again = asyncio.run(
                        measure(environment, base_url, parallelism, Path(home))
                    )
                ours.send(latency_s)
                asked = ours.recv() - before
                bound = GROUPS / parallelism * latency_s
                told = "" if first <= FIGURE * bound else f"  misses {FIGURE}"
                print(
                    f"{parallelism:>11}{latency_s:>11.1f}{bound:>9.2f}{first:>8.2f}{first / bound:>7.2f}"
                    f"{cpu_s / GROUPS * 1e3:>8.1f}{again:>9.2f}{asked:>10}{told}"
                )
    finally:
        ours.send(None)
        server.join()


if __name__ == "__main__":
    main()
