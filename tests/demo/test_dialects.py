"""One run told in three dialects: the agent facts read from it must be the same in each."""

import json
from collections import Counter
from collections.abc import Sequence

import pytest

from halo_otel.agentspan.normalise import normalise
from halo_otel.clock import NS_PER_S
from halo_otel.demo.applications import APPLICATIONS
from halo_otel.demo.dialects import Dialect
from halo_otel.demo.faults import Fault, FaultKind
from halo_otel.demo.traffic import Traffic, generate
from halo_otel.model.facts import AgentFacts, SpanKind

START_NS = 1_790_000_000 * NS_PER_S


def told(dialect: Dialect) -> Traffic:
    """The same runs whatever the dialect: it takes no part in the dice."""
    return generate(
        seed=4,
        runs=20,
        start_ns=START_NS,
        duration_ns=60 * NS_PER_S,
        dialects={one.service: dialect for one in APPLICATIONS},
        faults=[
            Fault(
                kind=FaultKind.RETRY_STORM,
                service="code-agent",
                agent="engineer",
                tool="git_commit",
                rate=1,
            )
        ],
    )


def facts(traffic: Traffic) -> list[AgentFacts]:
    return [normalise(span) for span in traffic.spans]


def calls(all_facts: Sequence[AgentFacts]) -> Counter[tuple[object, ...]]:
    """Tool calls: name, arguments, whether they failed.

    Left out is what the dialects rightly tell in different ways: hand-offs, sub-agents, and the
    retriever, which is a tool like any other in the event form.
    """
    agents = {one.agent_name for one in all_facts}
    return Counter(
        (
            one.tool_name,
            json.dumps(json.loads(one.tool_arguments), sort_keys=True),
            one.error_type,
        )
        for one in all_facts
        if one.kind is SpanKind.TOOL
        and one.tool_name not in agents
        and one.tool_name != "knowledge_base"
        and not (one.tool_name or "").startswith("handoff to ")
        and one.tool_arguments is not None
    )


@pytest.mark.parametrize("dialect", [Dialect.GENAI, Dialect.GENAI_EVENTS])
def test_the_same_runs_give_the_same_facts(dialect: Dialect) -> None:
    first, second = facts(told(Dialect.OPENINFERENCE)), facts(told(dialect))
    assert calls(first) == calls(second)
    assert sum(calls(first).values()) > 300
    for kind in (SpanKind.AGENT, SpanKind.LLM):
        assert sum(f.kind is kind for f in first) == sum(f.kind is kind for f in second)
    tokens = [
        sorted((f.input_tokens, f.output_tokens) for f in each if f.kind is SpanKind.LLM)
        for each in (first, second)
    ]
    assert tokens[0] == tokens[1]
    assert {f.agent_name for f in first} == {f.agent_name for f in second}
    assert {f.session_id for f in first} - {None} == {f.session_id for f in second} - {None}


@pytest.mark.parametrize("dialect", Dialect)
def test_every_part_of_a_run_is_recognised(dialect: Dialect) -> None:
    read = facts(told(dialect))
    tools = [f for f in read if f.kind in (SpanKind.TOOL, SpanKind.RETRIEVER) and f.tool_call_id]
    assert tools
    for one in tools:
        assert one.tool_arguments
        assert (one.tool_result is not None) or one.failed
    for one in (f for f in read if f.kind is SpanKind.LLM):
        assert one.input_text
        assert one.output_text
        assert one.input_tokens
        assert one.model_requested
        assert one.finish_reason in ("tool_call", "stop")
