"""Claude Code (conventions §1, §8.15), with the keys that MLflow 3.17 reads of it."""

from typing import Any


def test_interaction(facts: Any) -> None:
    known = facts(
        {"span.type": "claude_code.interaction", "user_prompt": "Fix it", "session.id": "s"}
    )
    assert (known.kind, known.input_text, known.session_id) == ("agent", "Fix it", "s")


def test_model_call(facts: Any) -> None:
    known = facts(
        {
            "span.type": "llm_request",  # some versions prefix the name only
            "model": "claude-x",
            "input_tokens": 3,
            "output_tokens": 5,
            "cache_read_tokens": "900",
            "cache_creation_tokens": 20,
            "ttft_ms": 80,
            "attempt": 2,
            "success": "false",
            "error": "overloaded",
            "response.model_output": "<REDACTED>",
        },
        name="claude_code.llm_request",
    )
    assert (known.kind, known.provider, known.model_requested) == ("llm", "anthropic", "claude-x")
    assert (known.input_tokens, known.cache_read_tokens, known.cache_write_tokens) == (3, 900, 20)
    assert (known.cache_accounting, known.first_token_ms, known.retry_attempt) == ("beside", 80, 2)
    assert (known.error_source, known.error_message) == ("protocol", "overloaded")
    assert known.output_text is None


def test_tool(facts: Any) -> None:
    known = facts(
        {"span.type": "claude_code.tool", "tool_name": "Bash", "full_command": "make test"},
        events={"tool.output": {"output": "ok"}},
    )
    assert (known.kind, known.tool_name) == ("tool", "Bash")
    assert (known.tool_arguments, known.tool_result) == ('{"full_command":"make test"}', "ok")


def test_another_frameworks_span_type_is_not_its(facts: Any) -> None:
    known = facts({"span.type": "tool", "tool_name": "x", "user_prompt": "y"}, name="tool")
    assert (known.kind, known.tool_name, known.input_text) == ("other", None, None)
