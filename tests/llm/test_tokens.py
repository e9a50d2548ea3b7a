"""A bound on tokens holds, and gets tighter with what is counted."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from halo_otel.llm.tokens import MESSAGE_TOKENS, TOOLS_TOKENS, Tokens

MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": st.text()}),
    min_size=1,
    max_size=6,
)

DEEP = [{"description": "ä<&>'", "deep": [[[[[[[[[{"a": [1, 2]}]]]]]]]]]}]


def asked(messages: list[Any], **more: object) -> dict[str, Any]:
    return {"model": "m", "messages": messages, **more}


def widest(body: dict[str, Any]) -> int:
    """Tokens of a tokenizer that knows only bytes and runs of 2, 4, 8 and 16 spaces, under a template that
    spends ten on every turn and writes JSON indented."""
    texts = sum(len(each["content"].encode()) + 10 for each in body["messages"])
    written = json.dumps(body.get("tools", ""), indent=4)
    for run in (16, 8, 4, 2):
        written = written.replace(" " * run, "_")
    return 60 + texts + len(written)


@given(MESSAGES, st.booleans())
def test_a_tokenizer_that_knows_only_bytes_stays_below(
    messages: list[Any], has_tools: bool
) -> None:
    body = asked(messages, **({"tools": DEEP} if has_tools else {}))
    assert widest(body) <= Tokens().at_most(body)


@given(MESSAGES, MESSAGES)
def test_what_was_counted_replaces_its_bytes(begin: list[Any], end: list[Any]) -> None:
    tokens = Tokens()
    counted = len(begin)  # far fewer than bytes
    tokens.learn(asked(begin), tokens.at_most(asked(begin)), counted)
    new = sum(len(each["content"].encode()) + MESSAGE_TOKENS for each in end)
    assert tokens.at_most(asked(begin + end)) == counted + new


def test_another_beginning_model_or_tools_is_another_conversation() -> None:
    tokens = Tokens()
    messages = [{"role": "user", "content": "why" * 100}]
    tokens.learn(asked(messages), 1000, 7)
    assert tokens.at_most(asked(messages)) == 7
    assert tokens.at_most({**asked(messages), "model": "n"}) > 300
    assert tokens.at_most(asked(messages, tools=[{}])) > 300 + TOOLS_TOKENS
    assert tokens.at_most(asked([{"role": "user", "content": "x"}, *messages])) > 300


def test_an_endpoint_that_adds_something_of_its_own_is_known_from_then_on() -> None:
    tokens = Tokens()
    first = asked([{"role": "user", "content": "a"}])
    bound = tokens.at_most(first)
    tokens.learn(first, bound, bound + 5000)
    assert tokens.at_most(asked([{"role": "user", "content": "b"}])) == bound + 5000


@given(MESSAGES, MESSAGES)
def test_the_same_tools_are_not_paid_for_by_their_bytes_again(
    one: list[Any], other: list[Any]
) -> None:
    """Whatever the first conversation said, its count bounds what stands before both."""
    tokens, tools = Tokens(), [{"description": "x" * 5_000}]
    first, second = asked(one, tools=tools), asked(other, tools=tools)
    counted = widest(first) // 4
    tokens.learn(first, tokens.at_most(first), counted)
    new = sum(len(each["content"].encode()) + MESSAGE_TOKENS for each in other)
    assert tokens.at_most(second) <= counted + new
    tokens.learn(second, tokens.at_most(second), counted // 2)
    assert tokens.at_most(first) <= counted


@given(MESSAGES, st.integers(0, 6))
def test_a_beginning_that_was_counted_with_more_stays_bounded(
    messages: list[Any], cut: int
) -> None:
    """A tokenizer of bytes: what it counts of any beginning stays below what is learnt from the whole."""
    tokens = Tokens()
    whole = asked(messages, tools=DEEP)
    tokens.learn(whole, tokens.at_most(whole), widest(whole))
    begin = asked(messages[:cut] or messages[:1], tools=DEEP)
    assert widest(begin) <= tokens.at_most(begin)
