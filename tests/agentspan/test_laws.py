"""Laws of `normalise`: it never raises, cites what exists, and its table is complete."""

from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from halo_otel.agentspan import fallback
from halo_otel.agentspan.precedence import DIALECTS, OTHERWISE, PRECEDENCE
from halo_otel.model.facts import AgentFacts, SpanKind

ROW_KEYS = sorted({row.needs for rows in PRECEDENCE.values() for row in rows if row.needs})
EVENTS = sorted({name for dialect in DIALECTS for name in dialect.event_markers} | {"exception"})
FLAT = [
    f"llm.{side}_messages.{index}.message.{rest}"
    for side in ("input", "output")
    for index in (0, 1, 3)
    for rest in ("role", "content", "contents.0.message_content.type",
                 "tool_calls.0.tool_call.function.name")
]  # fmt: skip
TELLING = [
    "AGENT", "LLM", "TOOL", "chat", "execute_tool", "invoke_agent", "tools/call", "user",
    "<REDACTED>", "Error: x", '{"a": "b', "x ...[truncated]", '{"score": 1, "reason": "r"}',
    '[{"id": 1, "score": 0.5}]', '{"tools": ["f", {"toolSpec": {"name": "g"}}]}', '{"system": "s"}',
    '[{"role":"system","content":[{"text":"be"}]}]', '{"config":{"tools":[{"functions":["f"]}]}}', "[", "{", '"', '[{"role":"user"}]', '[{"role":1,"parts":[1,{}]}]',
    '{"messages":1}', '{"messages":[{"role":"user","content":{"a":1}}]}', '{"error":[1]}',
    '[{"role":"user","parts":[{"type":[],"text":{}}]}]', '[{"toolUse":{"name":"x"}}]',
    '{"status":true}', "1" * 30, "\ud800", "[" * 2000, "NaN", "1e999", '"' * 9,
]  # fmt: skip
FLAT += [
    f"{place}.{index}.{rest}"
    for index in (0, 1)
    for place, rest in (
        ("llm.tools", "tool.json_schema"), ("llm.tools", "tool.name"),
        ("retrieval.documents", "document.content"), ("evaluations", "evaluation.name"),
        ("retrieval.documents", "document.metadata"), ("evaluations", "evaluation.score"),
        ("llm.request.functions", "name"), ("llm.request.functions", "parameters"),
    )
]  # fmt: skip
FLAT += [
    f"gen_ai.{side}.{index}.{rest}"
    for side in ("prompt", "completion")
    for index in (0, 1, 2)
    for rest in ("role", "content", "tool_calls.0.name", "tool_calls.0.arguments")
]
TELLING += [
    "agent", "tool", "generation", "span", "TASK", '"TOOL"', "null", "ai.toolCall", "chain",
    "ai.generateText.doGenerate", "claude_code.tool", "pending_span", "ERROR", "openai.chat",
    '{"args":[],"kwargs":{"a":1}}', '{"inputs":[]}', '{"output":{"kwargs":{"content":{}}}}',
    '{"input":1,"output":"2","input_token_details":{"cache_read":[]}}', '{"message":{},"data":1}',
    '{"generations":[[{"text":1}]]}', '{"choices":[{"message":1},{"message":{"role":"a"}}]}',
    '{"contents":[{"role":"user","parts":[{"function_call":{"name":"f","args":{}}}]}]}',
    '[{"message":{"role":"assistant","content":[]}}]', "Error('x')\n\nTraceback", "Function: {name}",
    '[{"role":"tool","parts":[{"type":"tool_call_response","response":[{"text":"x"}]}]}]',
]  # fmt: skip
NAMES = ["chat x", "handoff to x", "tools/call ", " ", "", "execute_tool t", "agent_run [x]",
         "running 2 tools", "Agent run: {name!r}", "call_llm", "claude_code.tool"]  # fmt: skip
SCOPES = sorted({"", "logfire.openai_agents"}.union(*(dialect.scopes for dialect in DIALECTS)))
NOT_TEXT: dict[str, Any] = {
    "cost": float,
    "first_token_ms": float,
    "retry_attempt": int,
    "superseded": bool,
    "evaluations": tuple,
    **{
        f"{kind}_tokens": int
        for kind in ("input", "output", "cache_read", "cache_write", "reasoning")
    },
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=6)
    | st.binary(max_size=4)
    | st.sampled_from(TELLING)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "parts", "content", "text", "type", "name", "input", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from([*ROW_KEYS, *FLAT, "role", "content", "message", "exception.type"]), VALUES
)


@given(
    attributes=ATTRIBUTES,
    name=st.sampled_from(NAMES),
    scope=st.sampled_from(SCOPES),
    events=st.dictionaries(st.sampled_from(EVENTS), ATTRIBUTES, max_size=3),
    status=st.tuples(st.integers(0, 255), st.sampled_from(TELLING)),
    kind=st.integers(0, 5),
)
@settings(deadline=None, max_examples=400)
def test_any_soup_of_attributes_is_normalised(facts: Any, **span: Any) -> None:
    known: AgentFacts = facts(span.pop("attributes"), **span)
    assert isinstance(known.kind, SpanKind)
    for fact in fields(AgentFacts):
        if fact.name not in {"kind", "dialects", "sources"}:
            value = getattr(known, fact.name)
            assert (value is not None) == (fact.name in known.sources), fact.name
            assert value is None or isinstance(value, NOT_TEXT.get(fact.name, str)), fact.name
            assert value != ""
    if known.superseded:
        assert known.kind is SpanKind.OTHER
        assert set(known.sources) == {"superseded"}
    assert (known.error_source is None) == (not known.failed)
    if not known.failed:
        assert known.error_type is None
        assert known.error_message is None


def test_every_fact_has_rows_and_every_row_a_known_dialect() -> None:
    names = {field.name for field in fields(AgentFacts)} - {"dialects", "sources"}
    assert {*PRECEDENCE, *(fact for table in OTHERWISE.values() for fact in table)} == names
    dialects = {dialect.name for dialect in DIALECTS} | {fallback.DIALECT.name}
    for rows in PRECEDENCE.values():
        for row in rows:
            assert row.dialect in dialects
            assert (row.parse is None) != (row.read is None)


def test_no_row_is_hidden_by_an_equal_one() -> None:
    for rows in PRECEDENCE.values():
        places = [(row.dialect, row.key, row.parse, row.read, row.kinds) for row in rows]
        assert len(places) == len(set(places))
