"""smolagents through OpenInference (conventions §3c); as emitted: `captured/smolagents.json`."""

import json
from typing import Any


def test_run_steps_and_tools(captured: Any) -> None:
    run = captured("smolagents")
    assert run[0].agent_name == "travel_agent"
    assert run[0].input_text == "What is the weather in Ulm? Book a hotel."
    tools = [tool["name"] for tool in json.loads(run[0].tool_definitions)]
    assert tools == ["get_weather", "book_hotel", "final_answer"]
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


def test_a_steps_own_record_is_nothing_that_it_was_told(facts: Any) -> None:
    known = facts(
        {
            "openinference.span.kind": "CHAIN",
            "input.value": '{"memory_step": "ActionStep(step_number=1, error=None)"}',
        },
        name="Step 1",
        scope="openinference.instrumentation.smolagents",
    )
    assert (known.kind, known.input_text) == ("chain", None)
