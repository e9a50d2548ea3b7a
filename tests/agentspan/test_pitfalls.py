"""The sixteen pitfalls of conventions §8, each as real telemetry falls into it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from halo_otel.model.facts import AgentFacts, SpanKind

Captured = Callable[[str], list[AgentFacts]]

OI = "openinference.span.kind"
OP = "gen_ai.operation.name"
TL = "traceloop.span.kind"


def test_01_dual_emission_gives_each_fact_once(facts: Any) -> None:
    """OpenInference writing gen_ai.* beside llm.* on one span."""
    known = facts(
        {
            OI: "LLM",
            OP: "chat",
            "llm.model_name": "gpt-5",
            "gen_ai.request.model": "gpt-5",
            "llm.token_count.prompt": 120,
            "gen_ai.usage.input_tokens": 120,
            "llm.token_count.completion": 15,
            "gen_ai.usage.output_tokens": 15,
        }
    )
    assert known.dialects == ("gen_ai", "openinference")
    assert (known.kind, known.input_tokens, known.output_tokens) == ("llm", 120, 15)
    assert known.sources["input_tokens"] == "gen_ai.usage.input_tokens"


def test_02_the_collectors_normaliser_makes_no_agents_of_tasks_and_tools(facts: Any) -> None:
    """OI CHAIN and OpenLLMetry task become `invoke_agent`; every entity's name an agent's name."""
    assert facts({OI: "CHAIN", OP: "invoke_agent"}).kind == "chain"
    assert facts({OI: "RERANKER", OP: "retrieval"}).kind == "retriever"
    entity = {"traceloop.entity.name": "plan", "gen_ai.agent.name": "plan"}
    task = facts({TL: "task", OP: "invoke_agent", **entity})
    assert (task.kind, task.agent_name) == ("chain", None)
    tool = facts({TL: "tool", OP: "execute_tool", **entity})
    assert (tool.kind, tool.tool_name, tool.agent_name) == ("tool", "plan", None)
    agent = facts({TL: "agent", OP: "invoke_agent", **entity})
    assert (agent.kind, agent.agent_name) == ("agent", "plan")
    raw = '{"inputs": {"q": 1}, "tags": []}'  # copied there, and no message
    assert facts({TL: "task", "gen_ai.input.messages": raw}).input_text == raw


def test_03_flattened_messages_that_survive_the_normaliser_are_read(facts: Any) -> None:
    known = facts(
        {
            OP: "chat",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be brief.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "Hi",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "Hello",
        }
    )
    assert (known.input_text, known.output_text) == ("Hi", "Hello")


@pytest.mark.parametrize("name", ["strands_default", "smolagents", "pydantic_ai_v6"])
def test_04_an_agents_totals_stay_on_the_agent(captured: Captured, name: str) -> None:
    """Usage on a parent is that span's own statement; nothing copies it to a leaf or a tool."""
    run = captured(name)
    (agent,) = [known for known in run if known.kind is SpanKind.AGENT]
    calls = [known.input_tokens or 0 for known in run if known.kind is SpanKind.LLM]
    assert agent.input_tokens == sum(calls)
    assert {known.input_tokens for known in run if known.kind is SpanKind.TOOL} == {None}


def test_05_strands_tells_a_tools_result_in_an_event_called_choice(facts: Any) -> None:
    known = facts(
        {OP: "execute_tool", "gen_ai.tool.name": "t", "gen_ai.tool.status": "success"},
        events={
            "gen_ai.tool.message": {"role": "tool", "content": '{"city": "Ulm"}', "id": "1"},
            "gen_ai.choice": {"message": '[{"text": "12 degrees"}]', "id": "1"},
        },
    )
    assert (known.kind, known.failed) == ("tool", False)
    assert (known.tool_arguments, known.tool_result) == ('{"city": "Ulm"}', "12 degrees")


@pytest.mark.parametrize("operation", [{}, {OP: "execute_event_loop_cycle"}])
def test_06_strands_event_loop_cycle_is_structure(facts: Any, operation: Any) -> None:
    known = facts(
        {"event_loop.cycle_id": "1", **operation},
        name="execute_event_loop_cycle",
        scope="strands.telemetry.tracer",
        events={"gen_ai.user.message": {"content": '[{"text": "hi"}]'}},
    )
    assert (known.kind, known.input_text) == ("chain", "hi")


def test_07_langsmith_calls_a_retriever_embeddings_and_writes_whole_runs(facts: Any) -> None:
    known = facts(
        {
            "langsmith.span.kind": "retriever",
            OP: "embeddings",
            "gen_ai.prompt": '{"query":"hotels"}',
            "gen_ai.completion": '{"output":[{"page_content":"x"}]}',
        }
    )
    assert known.kind == "retriever"
    assert (known.input_text, known.output_text) == ('{"query":"hotels"}', '[{"page_content":"x"}]')


def test_08_a_hand_off_is_no_tool_call(facts: Any) -> None:
    known = facts({OI: "TOOL", "tool.name": "handoff"}, name="handoff to Billing")
    assert (known.kind, known.tool_name, known.handoff_target) == ("chain", None, "Billing")
    told = facts(
        {"logfire.msg_template": "Handoff: {from_agent} → {to_agent}", "to_agent": "Billing"},
        scope="logfire.openai_agents",
    )
    assert (told.kind, told.handoff_target) == ("chain", "Billing")


def test_09_a_pending_span_says_nothing_but_that_it_is_one(facts: Any) -> None:
    chat = {OP: "chat", "gen_ai.usage.input_tokens": 3, "gen_ai.request.model": "m"}
    known = facts({**chat, "logfire.span_type": "pending_span"}, scope="logfire")
    assert (known.superseded, known.kind, known.input_tokens) == (True, "other", None)
    assert facts({**chat, "logfire.span_type": "span"}, scope="logfire").superseded is None


def test_10_values_that_are_json_in_a_string(facts: Any) -> None:
    known = facts(
        {
            "mlflow.spanType": '"AGENT"',
            "mlflow.llm.model": '"gpt-5"',
            "mlflow.spanOutputs": '"\\"done\\""',  # encoded twice
        }
    )
    assert (known.kind, known.model_requested, known.output_text) == ("agent", "gpt-5", "done")


HIDDEN = ("", "<REDACTED>", "__REDACTED__", "<not specified>", "[redacted]")


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(
    ("marker", "arguments", "result"),
    [
        ({OI: "TOOL"}, "input.value", "output.value"),
        ({TL: "tool"}, "traceloop.entity.input", "traceloop.entity.output"),
        (
            {"langfuse.observation.type": "tool"},
            "langfuse.observation.input",
            "langfuse.observation.output",
        ),
        ({"ai.operationId": "ai.toolCall"}, "ai.toolCall.args", "ai.toolCall.result"),
        ({"langsmith.span.kind": "tool"}, "gen_ai.prompt", "gen_ai.completion"),
        ({"mlflow.spanType": '"TOOL"'}, "mlflow.spanInputs", "mlflow.spanOutputs"),
        ({"span.type": "claude_code.tool"}, "tool_input", "new_context"),
        (
            {OP: "execute_tool", "gcp.vertex.agent.event_id": "1"},
            "gcp.vertex.agent.tool_call_args",
            "gcp.vertex.agent.tool_response",
        ),
    ],
)
def test_11_redacted_content_is_unknown(
    facts: Any, hidden: str, marker: Mapping[str, str], arguments: str, result: str
) -> None:
    known = facts({**marker, arguments: hidden, result: hidden})
    assert known.kind == "tool"
    assert (known.tool_arguments, known.tool_result) == (None, None)
    partly = facts({**marker, arguments: '{"id": "<REDACTED>", "n": 1}'})
    assert partly.tool_arguments is None


def test_12_a_shared_scope_prefix_tells_no_dialect(facts: Any) -> None:
    scope = "opentelemetry.instrumentation.openai"
    assert facts({}, scope=scope).dialects == ()
    assert facts({OP: "chat"}, scope=scope).dialects == ("gen_ai",)
    assert facts({"llm.request.type": "chat"}, scope=scope).dialects == ("openllmetry",)


def test_13_a_span_is_read_without_its_parent_or_root(captured: Captured) -> None:
    """Facts are of one span: in whatever order and company spans arrive, they are the same."""
    forwards = captured("pydantic_ai_v6")
    assert captured("pydantic_ai_v6") == forwards
    assert all(known.session_id for known in forwards)


def test_14_a_tools_span_that_bears_its_models_provider_is_a_tools_span(facts: Any) -> None:
    for provider in ("gen_ai.provider.name", "gen_ai.system"):
        attributes = {provider: "strands-agents", "gen_ai.request.model": "m"}
        assert facts({**attributes, "gen_ai.tool.name": "t"}).kind == "tool"
        assert facts(attributes).kind == "other"


def test_15_claude_codes_bare_keys_count_only_on_its_own_spans(facts: Any) -> None:
    usage = {"input_tokens": 3, "output_tokens": 5, "cache_read_tokens": 900, "model": "claude-x"}
    known = facts({"span.type": "claude_code.llm_request", **usage})
    assert (known.input_tokens, known.cache_read_tokens) == (3, 900)
    assert known.cache_accounting == "beside"
    foreign = facts({"span.type": "llm", **usage})
    assert (foreign.input_tokens, foreign.model_requested) == (None, None)


def test_16_a_tools_schema_is_not_its_arguments(facts: Any) -> None:
    schema = json.dumps({"type": "object", "properties": {"q": {"type": "string"}}})
    known = facts({OI: "TOOL", "tool.parameters": schema, "input.value": '{"q": 1}'})
    assert known.tool_arguments == '{"q": 1}'
    assert facts({OI: "TOOL", "tool.parameters": schema}).tool_arguments is None
    assert facts({OI: "TOOL", "tool.parameters": '{"q": 2}'}).tool_arguments == '{"q": 2}'
