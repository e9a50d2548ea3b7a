"""MLflow (conventions §2, §3c); the SDK as it is: `captured/mlflow.json`."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ("CHAT_MODEL", "llm"),
        ("AGENT", "agent"),
        ("RERANKER", "retriever"),
        ("MEMORY", "memory"),
        ("PARSER", "chain"),
        ("UNKNOWN", "other"),
        ("home-made", "other"),
    ],
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_kind(facts: Any, stated: Any, kind: Any, quote: Any) -> None:
    assert facts({"mlflow.spanType": f"{quote}{stated}{quote}"}).kind == kind


def test_cost_tools_and_session(facts: Any) -> None:
    known = facts(
        {
            "mlflow.spanType": '"LLM"',
            "mlflow.llm.cost": '{"input_cost": 0.1, "output_cost": 0.2, "total_cost": 0.3}',
            "mlflow.chat.tools": '[{"type":"function","function":{"name":"f"}}]',
            "mlflow.chat.tokenUsage": '{"cache_creation_input_tokens": 2}',
            "mlflow.trace.session": '"s"',
            "mlflow.trace.user": '"u"',
            "mlflow.spanInputs": "null",
        }
    )
    assert (known.cost, known.tool_definitions) == (0.3, '[{"type":"function","name":"f"}]')
    assert (known.cache_write_tokens, known.input_text) == (2, None)
    assert (known.session_id, known.user_id) == ("s", "u")


def test_a_models_names(facts: Any) -> None:
    known = facts(
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "model": '"gpt-5-mini"',
            "mlflow.llm.model": '"gpt-5-mini-2026-01-01"',
        }
    )
    assert known.model_requested == "gpt-5-mini"
    assert known.model_served == "gpt-5-mini-2026-01-01"


def test_translated_to_otels_keys(facts: Any) -> None:
    scope = "mlflow.tracing.provider"
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.result": '"12 degrees"'}
    assert facts(tool, scope=scope).tool_result == "12 degrees"
    model = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1", "model": '"m"'}
    assert facts(model, scope=scope).model_requested == "m"
    assert facts(model).model_requested == "m-1"


@pytest.mark.parametrize(
    ("inputs", "task"),
    [
        ('{"question": "Which way?"}', "Which way?"),
        ('{"question": "Which way?", "deep": true}', '{"question": "Which way?", "deep": true}'),
        ('{"question": {"text": "Which way?"}}', '{"question": {"text": "Which way?"}}'),
    ],
)
def test_an_agents_task(facts: Any, inputs: str, task: str) -> None:
    known = facts({"mlflow.spanType": '"AGENT"', "mlflow.spanInputs": inputs})
    assert (known.input_text or "").replace('": ', '":') == task.replace('": ', '":')
