"""Whatever comes back, it is an answer or it is unusable."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo_otel.llm import reading
from halo_otel.llm.conversation import Message, Question, Schema, Tool

QUESTION = Question(
    messages=(Message.user("why?"),),
    tools=(Tool(name="look", description="", parameters={}),),
    schema=Schema(name="s", schema={}),
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["function", "name", "arguments", "id", "index", "text", "type"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)


# Completions in which any member may be anything.
def objects(*names: str) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON))


CHOICE = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {
            "message": st.one_of(JSON, objects("content", "refusal", "tool_calls")),
            "delta": st.one_of(JSON, objects("content", "refusal", "tool_calls")),
            "finish_reason": st.one_of(st.just("stop"), JSON),
        }
    ),
)
COMPLETION = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"choices": st.one_of(JSON, st.lists(CHOICE, min_size=1, max_size=2))},
        optional={
            "usage": st.one_of(
                JSON,
                objects(
                    "prompt_tokens",
                    "completion_tokens",
                    "total_tokens",
                    "prompt_tokens_details",
                    "cost",
                ),
            ),
            "model": JSON,
            "error": JSON,
        },
    ),
)


@given(COMPLETION)
def test_any_completion(completion: object) -> None:
    reading.error_in(completion)
    try:
        answer, usage = reading.read(completion, QUESTION)
    except reading.Unusable:
        return
    assert isinstance(answer.text, str)
    assert all(isinstance(call.id, str) and call.tool for call in answer.calls)
    json.dumps(answer.value)
    if usage:
        assert 0 <= usage.cached_tokens <= usage.input_tokens
        assert usage.output_tokens >= 0


@given(st.lists(COMPLETION, max_size=4))
def test_any_stream(chunks: list[object]) -> None:
    gathering = reading.Gathering()
    try:
        for chunk in chunks:
            assert isinstance(gathering.add(chunk), str)
        reading.read(gathering.completion(), QUESTION)
    except reading.Unusable:
        pass


def test_calls_without_ids_and_indices() -> None:
    """As some endpoints send them: whole, each with index 0 or none, and without an id."""
    calls = [{"function": {"name": "look", "arguments": {"n": n}}} for n in range(2)]
    answer, _ = reading.read({"choices": [{"message": {"tool_calls": calls}}]}, QUESTION)
    assert [call.id for call in answer.calls] == ["call_1_0", "call_1_1"]
    gathering = reading.Gathering()
    for n in range(2):
        function = {"name": "look", "arguments": json.dumps({"n": n})}
        delta = {"tool_calls": [{"id": f"c{n}", "function": function}]}
        gathering.add({"choices": [{"delta": delta, "finish_reason": "tool_calls"}]})
    answer, _ = reading.read(gathering.completion(), QUESTION)
    assert [call.id for call in answer.calls] == ["c0", "c1"]


@pytest.mark.parametrize("text", ["{" * 50_000, '{"a":' * 50_000])
def test_a_hostile_answer_costs_little(text: str) -> None:
    answer, _ = reading.read({"choices": [{"message": {"content": text}}]}, QUESTION)
    assert answer.value is None
    assert answer.problem
