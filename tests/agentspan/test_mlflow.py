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
            "mlflow.chat.tools": '[{"type":"function"}]',
            "mlflow.chat.tokenUsage": '{"cache_creation_input_tokens": 2}',
            "mlflow.trace.session": '"s"',
            "mlflow.trace.user": '"u"',
            "mlflow.spanInputs": "null",
        }
    )
    assert (known.cost, known.tool_definitions) == (0.3, '[{"type":"function"}]')
    assert (known.cache_write_tokens, known.input_text) == (2, None)
    assert (known.session_id, known.user_id) == ("s", "u")
