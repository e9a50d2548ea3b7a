"""Langfuse (conventions §2, §3b); what the SDK emits is in `captured/langfuse.json`."""

import json
from typing import Any

import pytest

TYPE = "langfuse.observation.type"


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ("generation", "llm"),
        ("agent", "agent"),
        ("retriever", "retriever"),
        ("embedding", "embedding"),
        ("guardrail", "guardrail"),
        ("evaluator", "evaluator"),
        ("chain", "chain"),
        ("span", "chain"),
        ("event", "other"),
    ],
)
def test_kind(facts: Any, stated: Any, kind: Any) -> None:
    assert facts({TYPE: stated}).kind == kind


def test_a_plain_span_is_what_another_dialect_says(facts: Any) -> None:
    assert facts({TYPE: "span", "openinference.span.kind": "AGENT"}).kind == "agent"
    assert facts({TYPE: "tool", "openinference.span.kind": "CHAIN"}).kind == "tool"


def test_usage_cost_and_prompt(captured: Any, facts: Any) -> None:
    call = captured("langfuse")[1]
    assert (call.reasoning_tokens, call.cost) == (5, 0.3)
    known = facts(
        {
            TYPE: "generation",
            "langfuse.observation.usage_details": '{"prompt_tokens": 3, "completion_tokens": "4"}',
            "langfuse.observation.cost_details": '{"input": 1}',
            "langfuse.observation.prompt.version": 12,
            "langfuse.session.id": "s",
            "langfuse.user.id": "u",
        }
    )
    assert (known.input_tokens, known.output_tokens, known.cost) == (3, 4, None)
    assert (known.prompt_version, known.session_id, known.user_id) == ("12", "s", "u")


def test_an_observation_of_level_error_failed(facts: Any) -> None:
    level = {"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "full"}
    known = facts({TYPE: "tool", **level})
    assert (known.error_source, known.error_message) == ("protocol", "full")
    warned = {TYPE: "tool", **level, "langfuse.observation.level": "WARNING"}
    assert facts(warned).error_message is None


@pytest.mark.parametrize("side", ["prompt", "input"])
def test_usage_as_openai_writes_it(facts: Any, side: str) -> None:
    other = {"prompt": "completion", "input": "output"}[side]
    usage = {
        f"{side}_tokens": 120,
        f"{side}_tokens_details": {"cached_tokens": 40},
        f"{other}_tokens": 15,
        f"{other}_tokens_details": {"reasoning_tokens": 5},
    }
    known = facts(
        {
            TYPE: "generation",
            "langfuse.observation.usage_details": json.dumps(usage),
            "langfuse.observation.model.name": "m-1",
        }
    )
    assert (known.input_tokens, known.cache_read_tokens) == (120, 40)
    assert (known.output_tokens, known.reasoning_tokens) == (15, 5)
    assert known.model_served == "m-1"
