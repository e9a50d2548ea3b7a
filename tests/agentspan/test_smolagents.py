"""smolagents through OpenInference (conventions §3c); as emitted: `captured/smolagents.json`."""

from typing import Any


def test_run_steps_and_tools(captured: Any) -> None:
    run = captured("smolagents")
    assert run[0].agent_name == "travel_agent"
    assert run[0].input_text == "What is the weather in Ulm? Book a hotel."
    assert run[0].tool_definitions == '["get_weather","book_hotel","final_answer"]'
    assert [known.kind for known in run[1:4]] == ["chain", "llm", "tool"]


def test_positional_arguments(facts: Any) -> None:
    value = '{"args": ["Ulm"], "sanitize_inputs_outputs": true, "kwargs": {}}'
    known = facts(
        {"openinference.span.kind": "TOOL", "tool.name": "f", "input.value": value},
        scope="openinference.instrumentation.smolagents",
    )
    assert known.tool_arguments == '["Ulm"]'


def test_task(facts: Any) -> None:
    known = facts({"openinference.span.kind": "AGENT", "smolagents.task": "Sum up"}, name="A.run")
    assert (known.agent_name, known.input_text) == ("A", "Sum up")
