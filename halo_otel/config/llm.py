"""The sections of the model tier: which model is asked, what leaves, what it may cost."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from halo_otel.config.section import Duration, Section, Size


class Price(Section):
    """List prices of one model, in USD for a million tokens; cached tokens cost what fresh ones do
    unless they have a price of their own.
    """

    input: float = Field(ge=0)
    output: float = Field(0, ge=0)
    cache_read: float | None = Field(None, ge=0)
    cache_write: float | None = Field(None, ge=0)


class WindowSpending(Section):
    """What the model may spend on one window."""

    input_tokens: int = Field(150_000, ge=0, description="tokens sent for one window")
    output_tokens: int = Field(40_000, ge=0, description="tokens the model writes for one window")
    cost: float | None = Field(None, ge=0, description="USD for one window")
    calls: int = Field(200, ge=0, description="requests for one window")
    time: Duration = Field(600, gt=0, description="how long the model tier works on one window")


class HourlySpending(Section):
    """What the model may spend in any hour, also across restarts."""

    input_tokens: int = Field(600_000, ge=0, description="tokens sent in any hour")
    output_tokens: int = Field(160_000, ge=0, description="tokens the model writes in any hour")
    cost: float | None = Field(None, ge=0, description="USD in any hour")


class DailySpending(Section):
    """What the model may spend in any 24 hours, also across restarts."""

    input_tokens: int = Field(5_000_000, ge=0, description="tokens sent in any 24 hours")
    output_tokens: int = Field(1_000_000, ge=0, description="tokens written in any 24 hours")
    cost: float | None = Field(None, ge=0, description="USD in any 24 hours")


class Spending(Section):
    window: WindowSpending = WindowSpending()
    hour: HourlySpending = HourlySpending()
    day: DailySpending = DailySpending()


class Llm(Section):
    """The model tier; off unless `model` is set."""

    model: str | None = Field(
        None, min_length=1, description="the model that analyses; unset: no model is ever asked"
    )
    synthesis_model: str | None = Field(
        None,
        min_length=1,
        description="the model that looks a second time at each claim; default: llm.model",
    )
    compaction_model: str | None = Field(
        None, min_length=1, description="the model that shortens long talks; default: llm.model"
    )
    base_url: str = Field(
        "https://api.openai.com/v1",
        description="any endpoint that speaks OpenAI's chat completions; a query in it goes along",
    )
    api_key: str | None = Field(None, repr=False, description="sent as a bearer token")
    api_key_file: Path | None = Field(
        None, description="file that holds `llm.api_key`; read again before each request"
    )
    headers: dict[str, str] = Field({}, repr=False, description="headers sent with each request")
    headers_file: Path | None = Field(
        None,
        description="YAML or JSON file that holds `llm.headers`, for tokens; read again before each request",
    )
    timeout: Duration = Field(120, gt=0, description="deadline of one attempt, its answer included")
    retries: int = Field(4, ge=0, le=20, description="attempts after the first that failed")
    refusal_retries: int = Field(
        1, ge=0, le=10, description="how often a model that declines is asked to go on"
    )
    parallelism: int = Field(4, ge=1, le=256, description="requests in flight at once")
    max_depth: int = Field(4, ge=0, le=16, description="questions below questions")
    max_turns: int = Field(6, ge=1, le=100, description="requests of one conversation")
    map_groups: int = Field(
        1000, ge=1, le=10_000, description="groups that one call of `map` asks about at most"
    )
    max_output_tokens: int = Field(4096, ge=16, description="tokens of one answer")
    temperature: float | None = Field(
        None, ge=0, le=2, description="unset: the endpoint's own default"
    )
    reasoning_effort: str | None = Field(
        None, min_length=1, description="sent as it is; unset: the endpoint's own default"
    )
    payloads: Literal["redacted", "none", "full"] = Field(
        "redacted",
        description="what texts from traces leave: with credentials and personal data masked, none"
        " at all (only names, counts and hashes), or as they are",
    )
    code: Path | None = Field(
        None,
        description="the agents' source code: a directory that the model may read and cite",
    )
    sent_bytes: Size = Field(
        64 << 20,
        ge=1 << 12,
        description="size of <storage.directory>/llm/sent.jsonl, the record of every request that"
        " left, at which the older half of it is let go",
    )
    telemetry: str | None = Field(
        None,
        min_length=1,
        description="where the tier's own work is told as OpenInference spans: a file for OTLP JSON"
        " lines, or http(s)://host:port of an OTLP/gRPC receiver",
    )
    telemetry_bytes: Size = Field(
        64 << 20, ge=1 << 16, description="as llm.sent_bytes, of a file that llm.telemetry names"
    )
    dropped_claims: int = Field(
        1000,
        ge=0,
        description="claims that did not hold and are kept for `findings --dropped`; the newest",
    )
    prices: dict[str, Price] = Field(
        {},
        description="by a model's name what it costs: `input`, `output`, `cache_read`, `cache_write`"
        " in USD for a million tokens; believed before the table of prices",
    )
    budget: Spending = Spending()
