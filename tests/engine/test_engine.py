"""HALO's API: its own example runs with the import changed, in six shapes, and leaves nothing behind."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from halo_otel.config.load import load
from halo_otel.config.sections import Config
from halo_otel.demo.faults import Fault, FaultKind
from halo_otel.demo.traffic import generate
from halo_otel.engine import (
    AgentAnswer,
    AgentConfig,
    AgentMessage,
    AgentOutputItem,
    AgentTextDelta,
    EngineConfig,
    EngineStreamEvent,
    ModelConfig,
    ModelProviderConfig,
    run_engine,
    run_engine_async,
    stream_engine,
    stream_engine_async,
    stream_engine_output,
    stream_engine_output_async,
)
from halo_otel.engine.configuration import configured
from halo_otel.engine.items import question_of
from halo_otel.errors import BadFile, BadRequest, ConfigError, HaloError, Rejected
from halo_otel.otlp.encode import json_line
from halo_otel.recursion.claims.claim import Verified
from tests.llm.analyst import STATEMENT, analyst
from tests.llm.server import MODEL, Scripted, says, status

MESSAGES = [AgentMessage(role="user", content="Diagnose errors you find and suggest fixes")]


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what was sent and answered is kept."""
    monkeypatch.setenv("HALO_STORAGE_DIRECTORY", str(tmp_path / "storage"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "storage"


@pytest.fixture(scope="session")
def trace_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of an agent that loops in half of them."""
    loop = Fault(
        kind=FaultKind.EXACT_LOOP,
        service="travel-assistant",
        agent="flights",
        tool="search_flights",
        rate=0.5,
    )
    traffic = generate(
        seed="engine", runs=8, start_ns=10**18, duration_ns=60 * 10**9, faults=(loop,)
    )
    path = tmp_path_factory.mktemp("traces") / "traces.jsonl"
    path.write_bytes(json_line(traffic.spans))
    return path


def make_config(base_url: str, model: str = MODEL) -> EngineConfig:
    """As halo-engine 0.3.5 makes it in its command line (`halo_cli/main.py`, `_make_config`)."""
    root_model = ModelConfig(name=model, temperature=None, reasoning_effort=None)
    root_agent = AgentConfig(name="root", model=root_model, maximum_turns=20, refusal_retries=0)
    subagent = AgentConfig(name="sub", model=root_model, maximum_turns=20, refusal_retries=0)
    return EngineConfig(
        root_agent=root_agent,
        subagent=subagent,
        synthesis_model=ModelConfig(name=model),
        compaction_model=ModelConfig(name=model),
        model_provider=ModelProviderConfig(base_url=base_url, api_key=None, default_headers=None),
        maximum_depth=2,
        maximum_parallel_subagents=10,
        repo_path=None,
    )


async def test_halo_s_own_examples_run(trace_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The loop of its command line (`halo_cli/main.py`, `_stream`) and the example of its README ("Python API")."""
    printed: list[str] = []
    deltas: list[str] = []
    logger = logging.getLogger("example")
    async with Scripted(analyst) as server:
        cfg = make_config(server.settings().base_url)
        msgs = [AgentMessage(role="user", content="Diagnose errors you find and suggest fixes")]
        async for ev in stream_engine_async(msgs, cfg, trace_path, telemetry=False):
            if isinstance(ev, AgentTextDelta):
                deltas.append(ev.text_delta)
            elif isinstance(ev, AgentOutputItem):
                printed.append(f"{ev.agent_name} (depth={ev.depth}, final={ev.final})")
                printed.append(str(ev.item))

        with caplog.at_level(logging.INFO, "example"):
            async for item in stream_engine_output_async(msgs, cfg, trace_path):
                logger.info("step", extra={"sequence": item.sequence, "agent": item.agent_name})
    assert deltas
    assert isinstance(ev, AgentAnswer)
    assert isinstance(item, AgentAnswer)
    assert STATEMENT in str(item.item.content)
    assert "root (depth=0, final=True)" in printed
    assert STATEMENT in printed[-1]
    assert len([record for record in caplog.records if record.message == "step"]) > 3


@pytest.fixture(scope="module")
def events(trace_path: Path, tmp_path_factory: pytest.TempPathFactory) -> list[EngineStreamEvent]:
    """Of one run."""
    storage = {"HALO_STORAGE_DIRECTORY": str(tmp_path_factory.mktemp("storage"))}

    async def run() -> list[EngineStreamEvent]:
        async with Scripted(analyst) as server:
            config = make_config(server.settings().base_url)
            stream = stream_engine_async(MESSAGES, config, trace_path, settings=load(None, storage))
            return [event async for event in stream]

    return asyncio.run(run())


def test_items_are_messages_in_order_and_the_last_is_the_answer(
    events: list[EngineStreamEvent],
) -> None:
    assert [event.sequence for event in events] == list(range(len(events)))
    items = [event for event in events if isinstance(event, AgentOutputItem)]
    root = [item for item in items if item.depth == 0]
    assert [item.item.role for item in root] == ["assistant", "tool", "assistant", "assistant"]
    asked, told, reported, _ = [item.item for item in root]
    assert asked.tool_calls is not None
    assert reported.tool_calls is not None
    assert asked.tool_calls[0].function.name == told.name == "query"
    assert asked.tool_calls[0].id == told.tool_call_id
    assert reported.tool_calls[0].function.name == "report"
    subs = {item.agent_id for item in items if item.depth == 1}
    assert subs
    assert all(item.parent_agent_id == "root" for item in items if item.agent_id in subs)
    assert [item.final for item in items] == [False] * (len(items) - 1) + [True]


def test_deltas_of_a_turn_are_its_text(events: list[EngineStreamEvent]) -> None:
    deltas = [event for event in events if isinstance(event, AgentTextDelta)]
    first = [one.text_delta for one in deltas if one.item_id == "root-0"]
    assert len(first) > 1  # as it comes, not at once
    assert "".join(first) == "I look at the tools."


def test_the_answer_carries_the_checked_claims_and_the_report(
    events: list[EngineStreamEvent],
) -> None:
    last = events[-1]
    assert isinstance(last, AgentAnswer)
    assert isinstance(last.answer[0].verified, Verified)
    assert last.answer[0].verified.claim.statement == STATEMENT
    assert last.report.findings
    assert last.report.usage.model_calls > 1
    assert last.dropped == ()
    assert str(last.item.content).startswith("# Question\n")
    assert "# What goes wrong in your agents" in str(last.item.content)
    # Dumped, it is what HALO's users store.
    assert set(json.loads(last.model_dump_json())) == set(AgentOutputItem.model_fields)


Shape = Callable[[EngineConfig, Path], list[EngineStreamEvent]]


# Besides the two that its examples have.
SHAPES: dict[str, Shape] = {
    "run_engine_async": lambda config, path: [
        *asyncio.run(run_engine_async(MESSAGES, config, path, telemetry=True))
    ],
    "stream_engine": lambda config, path: [*stream_engine(MESSAGES, config, path, telemetry=True)],
    "stream_engine_output": lambda config, path: [
        *stream_engine_output(MESSAGES, config, [path], telemetry=True)
    ],
    "run_engine": lambda config, path: [*run_engine(MESSAGES, config, path, telemetry=True)],
}


@pytest.mark.parametrize("name", SHAPES)
async def test_six_shapes_say_the_same_and_telemetry_is_written_where_halo_says(
    trace_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "own.jsonl"
    monkeypatch.setenv("HALO_TELEMETRY_PATH", str(file))
    async with Scripted(analyst) as server:
        config = make_config(server.settings().base_url)
        events = await asyncio.to_thread(SHAPES[name], config, trace_path)
    deltas = [event for event in events if isinstance(event, AgentTextDelta)]
    assert bool(deltas) == (name == "stream_engine")
    assert isinstance(events[-1], AgentAnswer)
    assert STATEMENT in str(events[-1].item.content)
    assert await asyncio.to_thread(file.exists)


def _threads() -> set[threading.Thread]:
    return set(threading.enumerate())


def _scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    return scratch


async def test_a_stream_that_is_left_leaves_nothing(
    trace_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = _scratch(monkeypatch, tmp_path)
    async with Scripted(analyst) as server:
        config = make_config(server.settings().base_url)
        before = asyncio.all_tasks()
        async with aclosing(stream_engine_async(MESSAGES, config, trace_path)) as stream:
            assert (await anext(stream)).agent_id == "root"
        assert asyncio.all_tasks() <= before
    assert list(scratch.iterdir()) == []


async def test_a_task_that_is_cancelled_leaves_nothing(
    trace_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = _scratch(monkeypatch, tmp_path)
    asked = asyncio.Event()

    async def hold() -> None:
        asked.set()
        await asyncio.Event().wait()  # for ever

    async with Scripted(lambda request: says("", hold=hold)) as server:
        config = make_config(server.settings().base_url)
        before = asyncio.all_tasks()
        task = asyncio.ensure_future(run_engine_async(MESSAGES, config, trace_path))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not [one for one in asyncio.all_tasks() - before if "run_asgi" not in repr(one)]
    assert list(scratch.iterdir()) == []


def _begun(scratch: Path) -> None:
    """Returns when the first file of a window lies there."""
    while not any(scratch.iterdir()):
        pass


async def test_a_stream_that_is_left_while_files_are_read_leaves_nothing(
    trace_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = _scratch(monkeypatch, tmp_path)
    config = make_config("http://127.0.0.1:9/v1")
    task = asyncio.ensure_future(run_engine_async(MESSAGES, config, [trace_path] * 3))
    await asyncio.to_thread(_begun, scratch)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(scratch.iterdir()) == []


async def test_a_sync_stream_that_is_closed_leaves_no_thread(
    trace_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = _scratch(monkeypatch, tmp_path)

    def use(base_url: str) -> tuple[str, set[threading.Thread]]:
        before = _threads()
        stream = stream_engine(MESSAGES, make_config(base_url), trace_path)
        first = next(stream)
        assert isinstance(stream, Iterator)
        stream.close()  # type: ignore[attr-defined]  # it is a generator
        return first.agent_id, _threads() - before

    async with Scripted(analyst) as server:
        first, left = await asyncio.to_thread(use, server.settings().base_url)
    assert first == "root"
    assert not left
    assert list(scratch.iterdir()) == []


async def test_errors_are_ours(trace_path: Path, tmp_path: Path) -> None:
    async with Scripted(lambda request: status(401, "wrong key")) as server:
        config = make_config(server.settings().base_url)
        with pytest.raises(Rejected, match="wrong key"):
            await run_engine_async(MESSAGES, config, trace_path)
        with pytest.raises(BadFile):
            await run_engine_async(MESSAGES, config, tmp_path / "none.jsonl")
        assert issubclass(Rejected, HaloError)


async def test_texts_leave_masked_unless_the_settings_say_otherwise(trace_path: Path) -> None:
    assert configured(make_config("http://x/v1"), Config()).llm.payloads == "redacted"
    full = load(None, {"HALO_LLM_PAYLOADS": "full"})
    assert configured(make_config("http://x/v1"), full).llm.payloads == "full"


def test_what_is_said_becomes_settings() -> None:
    engine = make_config("http://x/v1").model_copy(
        update={"synthesis_model": ModelConfig(name="small")}
    )
    llm = configured(engine, Config()).llm
    assert (llm.model, llm.synthesis_model, llm.compaction_model) == (MODEL, "small", MODEL)
    assert (llm.base_url, llm.max_turns, llm.max_depth, llm.parallelism) == (
        "http://x/v1",
        20,
        2,
        10,
    )
    assert llm.refusal_retries == 0


def test_a_checkout_is_looked_at_unless_no_text_may_leave(tmp_path: Path) -> None:
    engine = _with("repo_path", tmp_path)
    assert configured(engine, Config()).llm.code == tmp_path
    with pytest.raises(ConfigError, match="no code may leave"):
        configured(engine, load(None, {"HALO_LLM_PAYLOADS": "none"}))


def _with(name: str, value: object) -> EngineConfig:
    return make_config("http://x/v1").model_copy(update={name: value})


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (_with("emit_run_checkpoints", True), "checkpoints"),
        (
            _with("subagent", AgentConfig(name="s", model=ModelConfig(name="b"), maximum_turns=1)),
            "root_agent",
        ),
        (
            _with(
                "root_agent",
                AgentConfig(
                    name="r",
                    model=ModelConfig(name=MODEL, parallel_tool_calls=False),
                    maximum_turns=1,
                ),
            ),
            "parallel_tool_calls",
        ),
        (_with("maximum_depth", 99), r"llm\.max_depth"),
    ],
)
def test_what_cannot_be_is_refused(engine: EngineConfig, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        configured(engine, Config())


def test_a_question_has_what_was_said_before() -> None:
    talk = [
        AgentMessage(role="user", content="Why do they fail?"),
        AgentMessage(role="assistant", content="They loop."),
        AgentMessage(role="user", content=[{"type": "text", "text": "Where?"}]),
    ]
    asked = question_of(talk, "one span for each request")
    assert asked == (
        "About the traces: one span for each request\n\n"
        "What was said before:\nuser: Why do they fail?\nassistant: They loop.\n\nWhere?"
    )


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [AgentMessage(role="assistant", content="I?")],
        [AgentMessage(role="user", content=[{"type": "image_url", "image_url": {"url": "x"}}])],
    ],
)
def test_what_is_no_question_is_refused(messages: list[AgentMessage]) -> None:
    with pytest.raises(BadRequest, match="messages"):
        question_of(messages, None)
