"""Log records that are GenAI events, in the shapes that real packages write."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.agentspan.logevents import EVALUATION, event_name, is_genai_event, span_events
from halo_otel.model.facts import AgentFacts
from halo_otel.model.span import AnyValue, Attributes, LogRecord, Resource, Scope, SpanId, TraceId

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
DETAILS = "gen_ai.client.inference.operation.details"
# google-adk 2.13 dumps every field of a part.
ADK_PART: dict[str, AnyValue] = {
    "text": None,
    "function_call": None,
    "inline_data": None,
    "thought": None,
}


def record(
    name: str = "", body: AnyValue = None, attributes: Attributes | None = None, scope: str = ""
) -> LogRecord:
    return LogRecord(
        trace_id=TraceId("a" * 32),
        span_id=SpanId("b" * 16),
        time_ns=7,
        observed_ns=8,
        severity_number=9,
        severity_text="",
        event_name=name,
        body=body,
        attributes=attributes or {},
        flags=0,
        dropped_attributes_count=0,
        resource=Resource(),
        scope=Scope(name=scope),
    )


def joined(facts: Any, span: Attributes, *records: LogRecord, **options: Any) -> AgentFacts:
    """The facts of a span that these records are about."""
    events = []
    for one in records:
        name = event_name(one)
        assert name is not None
        events += [
            (event.name, event.attributes)
            for event in span_events(name, one.time_ns, one.attributes, one.body)
        ]
    known: AgentFacts = facts(span, events=events, **options)
    return known


def test_openai_v2_writes_members_into_the_body(facts: Any) -> None:
    """opentelemetry-instrumentation-openai-v2, conventions 1.28 to 1.36."""
    system = {"gen_ai.system": "openai"}
    call: AnyValue = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "search", "arguments": '{"q":1}'},
    }
    known = joined(
        facts,
        CHAT,
        record("gen_ai.system.message", {"content": "Be kind."}, system),
        record("gen_ai.user.message", {"content": "First?"}, system),
        record("gen_ai.assistant.message", {"content": "Yes."}, system),
        record("gen_ai.user.message", {"content": "Second?"}, system),
        record(
            "gen_ai.choice",
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {"role": "assistant", "tool_calls": [call]},
            },
            system,
        ),
    )
    assert known.input_text == "Second?"
    assert known.output_text == 'search({"q":1})'
    assert known.finish_reason == "tool_call"
    assert known.sources["input_text"] == "event:gen_ai.user.message"


def test_without_capture_the_content_is_unknown(facts: Any) -> None:
    known = joined(
        facts,
        CHAT,
        record("gen_ai.user.message", None, {"gen_ai.system": "openai"}),
        record(
            "gen_ai.choice",
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant"}},
        ),
    )
    assert known.input_text is None
    assert known.finish_reason == "stop"


@pytest.mark.parametrize("in_body", [True, False])
def test_the_current_event_has_members_in_attributes_or_body(facts: Any, in_body: bool) -> None:
    """opentelemetry-util-genai writes attributes, its forks the body; values structured or JSON."""
    members: dict[str, AnyValue] = {
        "gen_ai.input.messages": [
            {"role": "user", "parts": [{"type": "text", "content": "Where?"}]}
        ],
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": [{"type": "text", "content": "Here."}]}]
        ),
    }
    one = record(DETAILS, members) if in_body else record(DETAILS, "a title", members)
    known = joined(facts, CHAT, one)
    assert (known.input_text, known.output_text) == ("Where?", "Here.")


def test_the_name_may_stand_in_an_attribute_and_the_body_be_json_text(facts: Any) -> None:
    """Semantic Kernel writes through Python's logging."""
    known = joined(
        facts,
        CHAT,
        record("", '{"role": "user", "content": "Hello"}', {"event.name": "gen_ai.user.message"}),
        record(
            "",
            '{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}',
            {"event.name": "gen_ai.choice"},
        ),
    )
    assert (known.input_text, known.output_text, known.finish_reason) == ("Hello", "Hi", "stop")


def test_plain_text_is_the_content(facts: Any) -> None:
    known = joined(facts, CHAT, record("gen_ai.user.message", "Hello"))
    assert known.input_text == "Hello"


def test_google_adk_has_the_message_inside(facts: Any) -> None:
    call: AnyValue = {"name": "search", "args": {"q": 1}, "id": "c"}
    answer: AnyValue = [{**ADK_PART, "text": "Looking."}, {**ADK_PART, "function_call": call}]
    known = joined(
        facts,
        {**CHAT, "gen_ai.operation.name": "generate_content"},
        record(
            "gen_ai.user.message",
            {"content": {"role": "user", "parts": [{**ADK_PART, "text": "Hello"}]}},
        ),
        record(
            "gen_ai.choice",
            {"index": 0, "finish_reason": "STOP", "content": {"role": "model", "parts": answer}},
        ),
        scope="gcp.vertex.agent",
    )
    assert (known.input_text, known.output_text, known.finish_reason) == (
        "Hello",
        "Looking.",
        "stop",
    )


def test_google_adk_calls_everything_in_a_request_a_user_message(facts: Any) -> None:
    def said(role: str, **part: AnyValue) -> LogRecord:
        parts: AnyValue = [{**ADK_PART, **part}]
        return record("gen_ai.user.message", {"content": {"role": role, "parts": parts}})

    known = joined(
        facts,
        CHAT,
        said("user", text="Is it warm?"),
        said("model", function_call={"name": "weather", "args": {}}),
        said("model", text="I shall look."),
        said("user", function_response={"name": "weather", "response": {"result": "warm"}}),
    )
    assert known.input_text == "Is it warm?"


def test_google_adk_elides_content(facts: Any) -> None:
    known = joined(
        facts,
        CHAT,
        record("gen_ai.user.message", {"content": "<elided>"}),
        record("gen_ai.choice", {"index": 0, "finish_reason": "STOP", "content": "<elided>"}),
    )
    assert (known.input_text, known.output_text) == (None, None)


def test_aws_moves_strands_events_into_one_record(facts: Any) -> None:
    """aws-opentelemetry-distro with Strands on Bedrock AgentCore."""
    body: AnyValue = {
        "input": {
            "messages": [
                {"role": "system", "content": "You are a travel assistant."},
                {"role": "user", "content": {"content": '[{"text": "Is it warm in Tokyo?"}]'}},
            ]
        },
        "output": {
            "messages": [
                {
                    "role": "assistant",
                    "content": {"message": "It is.", "finish_reason": "end_turn"},
                }
            ]
        },
    }
    scope = "strands.telemetry.tracer"
    known = joined(facts, CHAT, record(scope, body, scope=scope), scope=scope)
    assert (known.input_text, known.output_text) == ("Is it warm in Tokyo?", "It is.")
    assert known.finish_reason == "stop"


def test_aws_moves_a_tools_arguments_and_result(facts: Any) -> None:
    strands = record(
        "strands.telemetry.tracer",
        {
            "input": {"messages": [{"role": "tool", "content": {"content": '{"city":"Tokyo"}'}}]},
            "output": {
                "messages": [{"role": "assistant", "content": {"message": '[{"text": "sunny"}]'}}]
            },
        },
    )
    openinference = record(
        "openinference.instrumentation.langchain",
        {
            "input": {"messages": [{"role": "user", "content": '{"city":"Tokyo"}'}]},
            "output": {"messages": [{"role": "assistant", "content": "sunny"}]},
        },
    )
    for one in (strands, openinference):
        known = joined(facts, TOOL, one)
        assert (known.tool_arguments, known.tool_result) == ('{"city":"Tokyo"}', "sunny")


def test_aws_moves_one_side_alone(facts: Any) -> None:
    body: AnyValue = {"output": {"messages": [{"role": "assistant", "content": "Hi"}, "odd"]}}
    assert joined(facts, CHAT, record("scope", body)).output_text == "Hi"


def test_claude_codes_events_have_bare_names(facts: Any) -> None:
    scope = "com.anthropic.claude_code.events"
    prompt = record(
        "", "claude_code.user_prompt", {"event.name": "user_prompt", "prompt": "Fix it"}, scope
    )
    known = joined(facts, {"span.type": "claude_code.interaction"}, prompt)
    assert known.input_text == "Fix it"
    request = record("", None, {"event.name": "api_request", "cost_usd": "0.25"}, scope)
    known = joined(facts, {"span.type": "claude_code.llm_request"}, request)
    assert known.cost == 0.25
    # The request made within an interaction is not what the interaction costs.
    known = joined(facts, {"span.type": "claude_code.interaction"}, request)
    assert known.cost is None


def test_evaluations(facts: Any) -> None:
    one = record(
        EVALUATION,
        None,
        {
            "gen_ai.evaluation.name": "Helpfulness",
            "gen_ai.evaluation.score.value": 0.9,
            "gen_ai.evaluation.score.label": "good",
            "gen_ai.evaluation.explanation": "It answers.",
        },
    )
    members = {"gen_ai.evaluation.name": "Relevance", "gen_ai.evaluation.score.label": "no"}
    other = record("", None, {"event.name": EVALUATION, **members})
    known = joined(facts, CHAT, one, other)
    assert known.evaluations is not None
    assert [(each.name, each.score, each.label) for each in known.evaluations] == [
        ("Helpfulness", 0.9, "good"),
        ("Relevance", None, "no"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        record(),
        record("http.request", "GET /", {"event.name": "gen_ai.choice"}),
        record("halo.finding", {"input": {"messages": []}, "title": "x"}),
        record("x", {"input": {"messages": "none"}}),
        record("x", {"input": []}),
        record("x", {}),
        record("", "gen_ai.choice"),
        record("", None, {"event.name": 5}),
        record("user_prompt", None, scope="another"),
    ],
)
def test_other_log_records(other: LogRecord) -> None:
    assert event_name(other) is None
    assert not is_genai_event(other)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "message", "messages", "parts", "role", "input", "output"])
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
moved = st.fixed_dictionaries(
    {"input": st.fixed_dictionaries({"messages": st.lists(values, max_size=3)})}
)


@given(
    st.sampled_from(["gen_ai.choice", "gen_ai.user.message", "gen_ai.x", DETAILS, EVALUATION, "s"]),
    values | moved,
    st.dictionaries(st.sampled_from(["event.name", "content", "message"]), values),
)
def test_whatever_a_record_holds_it_is_read(
    facts: Any, name: str, body: AnyValue, attributes: Attributes
) -> None:
    one = record(name, body, attributes)
    if is_genai_event(one):
        joined(facts, CHAT, one)
        joined(facts, TOOL, one)
