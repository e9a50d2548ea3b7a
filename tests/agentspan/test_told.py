"""What dialects tell beyond the basics: instructions, tools offered, documents, scores, versions."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from halo_otel.agentspan.definitions import definitions
from halo_otel.model.facts import AgentFacts, Evaluation, SpanKind

Captured = Callable[[str], list[AgentFacts]]

OI, OP = "openinference.span.kind", "gen_ai.operation.name"
SYSTEM = '[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]'
FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    "name",
    [
        "google_adk_content",
        "openai_agents_logfire",
        "openai_agents_openinference",
        "openinference_openai",
        "openllmetry_new",
        "openllmetry_old",
        "openllmetry_sdk",
        "pydantic_ai_v2",
        "pydantic_ai_v6",
        "strands_default",
        "strands_latest",
        "vercel_ai_v5",
    ],
)
def test_the_instructions_of_a_real_run(captured: Captured, name: str) -> None:
    call = next(known for known in captured(name) if known.kind is SpanKind.LLM)
    assert (call.system_instructions or "").startswith("You are a travel agent.")


@pytest.mark.parametrize(
    "attributes",
    [
        {OP: "chat", "gen_ai.system_instructions": '[{"type":"text","content":"Be brief."}]'},
        {OP: "chat", "gen_ai.input.messages": SYSTEM},
        {OP: "chat", "gen_ai.input.messages": SYSTEM.replace("system", "developer")},
        {"langfuse.observation.type": "generation", "langfuse.observation.input": SYSTEM},
        {"mlflow.spanType": '"LLM"', "mlflow.spanInputs": f'{{"messages":{SYSTEM}}}'},
        {"langsmith.span.kind": "llm", "gen_ai.prompt": f'{{"messages":{SYSTEM}}}'},
        {
            OP: "generate_content",
            "gcp.vertex.agent.llm_request": '{"config":{"system_instruction":"Be brief."}}',
        },
        {"ai.operationId": "ai.generateText", "ai.prompt": '{"system":"Be brief.","prompt":"Hi"}'},
    ],
)
def test_instructions(facts: Any, attributes: Any) -> None:
    assert facts(attributes).system_instructions == "Be brief."


def test_instructions_are_not_what_the_user_says(facts: Any) -> None:
    said = '[{"role":"user","content":"my \\"system\\" is slow"}]'
    assert facts({OP: "chat", "gen_ai.input.messages": said}).system_instructions is None


@pytest.mark.parametrize(
    "tools",
    [
        [{"type": "function", "function": {k: v for k, v in FUNCTION.items() if k != "type"}}],
        [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
        [{"name": "f", "description": "d", "inputSchema": {"type": "object"}}],
        [
            {
                "toolSpec": {
                    "name": "f",
                    "description": "d",
                    "inputSchema": {"json": {"type": "object"}},
                }
            }
        ],
        [
            {
                "function_declarations": [
                    {"name": "f", "description": "d", "parameters": '{"type":"object"}'}
                ]
            }
        ],
        {
            "function_tools": [
                {"name": "f", "description": "d", "parameters_json_schema": {"type": "object"}}
            ]
        },
        [json.dumps(FUNCTION)],
    ],
)
def test_tools_in_every_form_are_the_same_tools(tools: Any) -> None:
    assert json.loads(definitions(tools) or "") == [FUNCTION]
    assert definitions(json.dumps(tools)) == definitions(tools)


@pytest.mark.parametrize(
    "nothing", ["", "null", "[]", "{}", "[[", 7, None, "<redacted>x", "[null]"]
)
def test_no_tools(nothing: Any) -> None:
    known = definitions(nothing)
    assert known is None or "name" in known


@pytest.mark.parametrize(
    "name",
    [
        "openinference_openai",
        "openllmetry_new",
        "openllmetry_old",
        "pydantic_ai_v6",
        "vercel_ai_v5",
    ],
)
def test_the_tools_of_a_real_run(captured: Captured, name: str) -> None:
    call = next(known for known in captured(name) if known.kind is SpanKind.LLM)
    tools = json.loads(call.tool_definitions or "")
    assert [(tool["type"], tool["name"]) for tool in tools] == [
        ("function", "get_weather"),
        ("function", "book_hotel"),
    ]
    assert all(tool["parameters"]["type"] == "object" for tool in tools)


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        ({OP: "retrieval", "gen_ai.retrieval.documents": '[{"id":"1","content":"x"}]'}, {}),
        (
            {
                OI: "RETRIEVER",
                "retrieval.documents.0.document.id": "1",
                "retrieval.documents.0.document.content": "x",
            },
            {},
        ),
        (
            {
                OI: "RERANKER",
                "reranker.output_documents.0.document.id": "1",
                "reranker.output_documents.0.document.content": "x",
            },
            {},
        ),
        (
            {
                "langfuse.observation.type": "retriever",
                "langfuse.observation.output": '[{"id":"1","content":"x"}]',
            },
            {},
        ),
        (
            {"mlflow.spanType": '"RETRIEVER"', "mlflow.spanOutputs": '[{"id":"1","content":"x"}]'},
            {},
        ),
        (
            {
                "langsmith.span.kind": "retriever",
                "gen_ai.completion": '{"output":[{"id":"1","content":"x"}]}',
            },
            {},
        ),
        (
            {},
            {
                "db.query.result": {
                    "db.query.result.id": "1",
                    "db.query.result.content": "x",
                    "db.query.result.vector": [1.0],
                }
            },
        ),
    ],
)
def test_documents(facts: Any, attributes: Any, events: Any) -> None:
    known = facts(attributes, events=events)
    assert json.loads(known.retrieval_documents) == [{"id": "1", "content": "x"}]


def test_documents_are_a_retrievers(facts: Any) -> None:
    known = facts({"mlflow.spanType": '"CHAIN"', "mlflow.spanOutputs": '[{"id":"1"}]'})
    assert known.retrieval_documents is None


SCORE = Evaluation(name="tone", score=0.5, label="ok", explanation="why")


@pytest.mark.parametrize(
    "attributes",
    [
        {
            OP: "chat",
            "gen_ai.evaluation.name": "tone",
            "gen_ai.evaluation.score.value": 0.5,
            "gen_ai.evaluation.score.label": "ok",
            "gen_ai.evaluation.explanation": "why",
        },
        {
            OI: "LLM",
            "evaluations.0.evaluation.name": "tone",
            "evaluations.0.evaluation.score": 0.5,
            "evaluations.0.evaluation.label": "ok",
            "evaluations.0.evaluation.explanation": "why",
        },
        {OI: "EVALUATOR", "output.value": '{"score":0.5,"label":"ok","explanation":"why"}'},
        {
            "langfuse.observation.type": "evaluator",
            "langfuse.observation.output": '{"value":0.5,"label":"ok","comment":"why"}',
        },
        {"logfire.msg": "case", "scores": '{"tone":{"value":0.5,"label":"ok","reason":"why"}}'},
    ],
)
def test_scores(facts: Any, attributes: Any) -> None:
    assert facts(attributes, name="tone").evaluations == (SCORE,)


def test_scores_in_events_are_all_told(facts: Any) -> None:
    result = "gen_ai.evaluation.result"
    events = [
        (result, {"gen_ai.evaluation.name": "a", "gen_ai.evaluation.score.value": -1}),
        (result, {"gen_ai.evaluation.name": "b", "gen_ai.evaluation.score.label": "pass"}),
        (result, {"gen_ai.evaluation.score.value": 3}),  # a score of what?
        (result, {"gen_ai.evaluation.name": "c", "gen_ai.evaluation.score.value": float("nan")}),
    ]
    known = facts({OP: "chat"}, events=events)
    assert known.evaluations == (
        Evaluation(name="a", score=-1.0),
        Evaluation(name="b", label="pass"),
        Evaluation(name="c", label=None),
    )
    assert known.sources["evaluations"] == f"event:{result}"


@pytest.mark.parametrize(
    ("attributes", "fact", "value"),
    [
        ({"gen_ai.agent.version": "2.1", OP: "invoke_agent"}, "agent_version", "2.1"),
        (
            {"langsmith.span.kind": "chain", "langsmith.metadata.revision_id": "ab1"},
            "agent_version",
            "ab1",
        ),
        (
            {"mlflow.spanType": '"LLM"', "mlflow.linkedPrompts": '[{"name":"p","version":"3"}]'},
            "prompt_version",
            "p/3",
        ),
        (
            {
                "ai.operationId": "ai.generateText",
                "ai.telemetry.metadata.langfusePrompt": '{"name":"p","version":4}',
            },
            "prompt_version",
            "4",
        ),
        (
            {
                OP: "execute_tool",
                "gen_ai.tool.name": "transfer_to_agent",
                "gcp.vertex.agent.tool_call_args": '{"agent_name":"billing"}',
            },
            "handoff_target",
            "billing",
        ),
        (
            {
                OP: "execute_tool",
                "gen_ai.tool.name": "handoff_to_agent",
                "gen_ai.tool.status": "success",
                "gen_ai.tool.call.arguments": '{"agent_name":"billing"}',
            },
            "handoff_target",
            "billing",
        ),
        (
            {OP: "execute_tool", "gen_ai.tool.name": "transfer_to_human_agents"},
            "handoff_target",
            None,
        ),
    ],
)
def test_other_facts(facts: Any, attributes: Any, fact: str, value: Any) -> None:
    assert getattr(facts(attributes), fact) == value


def test_the_workflow_in_a_name(facts: Any) -> None:
    assert facts({OP: "invoke_workflow"}, name="invoke_workflow travel").workflow == "travel"
    trace = {"logfire.msg_template": "OpenAI Agents trace: {name}", "name": "travel"}
    assert facts(trace, scope="logfire.openai_agents").workflow == "travel"


def test_events_of_1_28_whose_message_is_an_object(facts: Any) -> None:
    call = {"type": "function", "id": "1", "function": {"name": "f", "arguments": "{}"}}
    known = facts(
        {OP: "chat"},
        events=[
            ("gen_ai.system.message", {"content": "Be brief."}),
            ("gen_ai.user.message", {"content": [{"type": "text", "text": "Hi"}]}),
            (
                "gen_ai.choice",
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "message": {"role": "assistant", "tool_calls": [call]},
                },
            ),
        ],
    )
    assert (known.system_instructions, known.input_text, known.output_text) == (
        "Be brief.",
        "Hi",
        "f({})",
    )
    assert known.finish_reason == "tool_call"
    said = facts({OP: "chat"}, events={"gen_ai.choice": {"message": {"content": "Hello"}}})
    assert said.output_text == "Hello"
