"""HALO's Python API over halo-otel: who uses `engine.main` changes the imports and nothing else.

    from halo_otel.engine import AgentConfig, AgentMessage, EngineConfig, ModelConfig, run_engine

    agent = AgentConfig(name="root", model=ModelConfig(name="gpt-5-mini"), maximum_turns=20)
    config = EngineConfig(
        root_agent=agent, subagent=agent, synthesis_model=agent.model, compaction_model=agent.model
    )
    items = run_engine([AgentMessage(role="user", content="Why do bookings fail?")], config, Path("traces.jsonl"))
    print(items[-1].item.content)                  # the answer, in Markdown
    items[-1].report, items[-1].answer             # and what HALO has not

Six shapes, as in HALO 0.3.5 (`engine/main.py`): `stream_engine_async` (items and text deltas),
`stream_engine_output_async` (items), `run_engine_async` (a list), and the same without `_async`.

`items` says what comes out, `configuration` what HALO's settings become here, `running` is the six functions.

What differs: traces may be of any format that `analyze` reads, in any number of files. The findings that need no
model come first and stay. The answer consists of claims that were checked; where none holds, it says so. Texts leave masked,
unless the settings of halo-otel (`HALO_…`, or `settings=`) say otherwise. The budget of `llm.budget` holds. There is no
`run_code`: SQL over a copy of the window is the environment. Errors are those of `halo_otel.errors`.

Promises: a stream that is left early, closed or cancelled, leaves no task, no thread that works and no file
behind.
"""

from halo_otel.engine.configuration import (
    AgentConfig,
    EngineConfig,
    ModelConfig,
    ModelProviderConfig,
    TraceIndexConfig,
)
from halo_otel.engine.items import (
    AgentAnswer,
    AgentMessage,
    AgentOutputItem,
    AgentTextDelta,
    AgentToolCall,
    AgentToolFunction,
    EngineStreamEvent,
)
from halo_otel.engine.running import (
    run_engine,
    run_engine_async,
    stream_engine,
    stream_engine_async,
    stream_engine_output,
    stream_engine_output_async,
)

__all__ = [
    "AgentAnswer",
    "AgentConfig",
    "AgentMessage",
    "AgentOutputItem",
    "AgentTextDelta",
    "AgentToolCall",
    "AgentToolFunction",
    "EngineConfig",
    "EngineStreamEvent",
    "ModelConfig",
    "ModelProviderConfig",
    "TraceIndexConfig",
    "run_engine",
    "run_engine_async",
    "stream_engine",
    "stream_engine_async",
    "stream_engine_output",
    "stream_engine_output_async",
]
