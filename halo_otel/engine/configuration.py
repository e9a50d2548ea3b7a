"""HALO's settings, with HALO's names and defaults, and what they become here.

Names and defaults: halo-engine 0.3.5, `engine/engine_config.py`, `engine/agents/agent_config.py`,
`engine/model_config.py`, `engine/model_provider_config.py`, `engine/traces/models/trace_index_config.py`.

| HALO | here |
|---|---|
| `root_agent.model` | `llm.model`, `temperature`, `max_output_tokens`, `reasoning_effort` |
| `root_agent.maximum_turns`, `refusal_retries` | `llm.max_turns`, `llm.refusal_retries` |
| `synthesis_model.name`, `compaction_model.name` | `llm.synthesis_model`, `llm.compaction_model` |
| `model_provider` | `llm.base_url`, `llm.api_key`, `llm.headers`; `OPENAI_BASE_URL`, `OPENAI_API_KEY` |
| `maximum_depth`, `maximum_parallel_subagents` | `llm.max_depth`, `llm.parallelism` |
| `repo_path` | `llm.code` |
| `dataset_context` | said with the question |

Accepted and without effect: the names of agents but in items, `final_answer_reprompts` (a conversation is always told
when it must report), `trace_index` (there is none), the two thresholds of compaction, and all of the synthesis
and compaction models but their names. Refused with ConfigError, because it would not be so: another model for
`subagent`, `parallel_tool_calls=False`, `emit_run_checkpoints=True` (answers are kept in the storage directory,
and a run that died goes on by itself). A reasoning effort that is not named is the endpoint's own, not the
highest.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from halo_otel.config.given import with_llm
from halo_otel.config.sections import Config
from halo_otel.errors import ConfigError

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelConfig(_Settings):
    """A model and how it writes."""

    name: str
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    maximum_output_tokens: int | None = Field(default=None, gt=0)
    parallel_tool_calls: bool = True
    reasoning_effort: ReasoningEffort | None = None


class AgentConfig(_Settings):
    """An agent: its name, model and turns."""

    name: str
    model: ModelConfig
    maximum_turns: int = Field(gt=0)
    refusal_retries: int = Field(default=0, ge=0)
    final_answer_reprompts: int = Field(default=1, ge=0)


class ModelProviderConfig(_Settings):
    """The endpoint; what is None comes from `OPENAI_BASE_URL`, `OPENAI_API_KEY`, or halo-otel's settings."""

    base_url: str | None = None
    api_key: str | None = Field(default=None, repr=False)
    default_headers: dict[str, str] | None = Field(default=None, repr=False)


class TraceIndexConfig(_Settings):
    """HALO's index; there is none here."""

    index_dir: Path | None = None
    schema_version: int = 2


class EngineConfig(_Settings):
    """One run. See the module's table."""

    root_agent: AgentConfig
    subagent: AgentConfig
    synthesis_model: ModelConfig
    compaction_model: ModelConfig
    model_provider: ModelProviderConfig = Field(default_factory=ModelProviderConfig)
    trace_index: TraceIndexConfig = Field(default_factory=TraceIndexConfig)
    text_message_compaction_keep_last_messages: int = Field(default=12, ge=0)
    tool_call_compaction_keep_last_turns: int = Field(default=3, ge=0)
    maximum_depth: int = Field(default=2, ge=0)
    maximum_parallel_subagents: int = Field(default=4, gt=0)
    emit_run_checkpoints: bool = False
    dataset_context: str | None = None
    repo_path: Path | None = None


def configured(engine: EngineConfig, base: Config) -> Config:
    """`base` with what `engine` names. Raises ConfigError for what cannot be so, or lies beyond a limit."""
    _refuse(engine)
    root, provider = engine.root_agent, engine.model_provider
    told: dict[str, Any] = {
        "model": root.model.name,
        "synthesis_model": engine.synthesis_model.name,
        "compaction_model": engine.compaction_model.name,
        "base_url": provider.base_url,
        "api_key": provider.api_key,
        "headers": provider.default_headers,
        "max_turns": root.maximum_turns,
        "refusal_retries": root.refusal_retries,
        "max_depth": engine.maximum_depth,
        "parallelism": engine.maximum_parallel_subagents,
        "temperature": root.model.temperature,
        "max_output_tokens": root.model.maximum_output_tokens,
        "reasoning_effort": root.model.reasoning_effort,
        "code": engine.repo_path,
    }
    return with_llm(base, told, "change it in EngineConfig")


def _refuse(engine: EngineConfig) -> None:
    root, sub = engine.root_agent.model, engine.subagent.model
    if sub.name != root.name:
        raise ConfigError(
            "EngineConfig.subagent.model: one model holds all conversations: name the one of root_agent"
        )
    if not (root.parallel_tool_calls and sub.parallel_tool_calls):
        raise ConfigError(
            "ModelConfig.parallel_tool_calls: calls of one answer are always taken: leave it True"
        )
    if engine.emit_run_checkpoints:
        raise ConfigError(
            "EngineConfig.emit_run_checkpoints: there are none, a run that died goes on by what it remembers:"
            " leave it False"
        )
