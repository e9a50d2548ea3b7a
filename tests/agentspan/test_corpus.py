"""Real traces: what agents of several frameworks recorded becomes facts.

The excerpts in `tests/data` always run; the developer corpus beside the checkout runs where it is.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from halo_otel.agentspan.normalise import normalise
from halo_otel.importers.files import BadLine, read_traces
from halo_otel.model.facts import AgentFacts

DATA = Path(__file__).parents[1] / "data"
CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")


def load(file: Path) -> list[AgentFacts]:
    bad: list[BadLine] = []
    facts = [normalise(span) for span in read_traces([file], bad.append)]
    assert not bad
    return facts


def load_set(name: str) -> list[AgentFacts]:
    return load(CORPUS / name / "traces.jsonl.gz")


def kinds(facts: Sequence[AgentFacts]) -> dict[str, int]:
    return dict(Counter(known.kind.value for known in facts))


def share(facts: Sequence[AgentFacts], kind: str, fact: str) -> float:
    """The share of the spans of `kind` of which `fact` is known."""
    known = [getattr(one, fact) is not None for one in facts if one.kind == kind]
    return sum(known) / len(known)


def errors(facts: Sequence[AgentFacts]) -> dict[str | None, int]:
    return dict(Counter(known.error_source for known in facts))


def test_excerpt_of_tau_airline() -> None:
    facts = load(DATA / "tau-airline.jsonl.gz")
    assert kinds(facts) == {"llm": 20, "tool": 6, "agent": 3}
    (failed,) = [known for known in facts if known.failed]
    assert (failed.error_source, failed.kind) == ("tool_result", "tool")
    assert (failed.error_message or "").startswith("Error")
    for fact in ("tool_name", "tool_call_id", "tool_arguments", "tool_result"):
        assert share(facts, "tool", fact) == 1.0
    assert {known.agent_name for known in facts} == {None, "airline-agent"}
    assert {known.provider for known in facts} == {None, "openai"}


def test_excerpt_of_intercode_sql() -> None:
    facts = load(DATA / "intercode-sql.jsonl.gz")
    assert kinds(facts) == {"llm": 9, "tool": 9, "agent": 3}
    assert errors(facts) == {None: 18, "tool_result": 2, "status": 1}
    assert {known.tool_name for known in facts} == {None, "execute_sql"}
    assert share(facts, "tool", "tool_arguments") == 1.0
    assert share(facts, "llm", "input_text") == share(facts, "llm", "output_text") == 1.0


@needs_corpus
def test_tau_airline() -> None:
    """3,818 spans, no ERROR status, 73 results that start with "Error" (corpus README)."""
    facts = load_set("tau-airline")
    assert kinds(facts) == {"llm": 2454, "tool": 1164, "agent": 200}
    assert errors(facts) == {None: 3745, "tool_result": 73}
    assert share(facts, "tool", "tool_name") == share(facts, "tool", "tool_arguments") == 1.0
    assert share(facts, "tool", "tool_result") > 0.9  # the rest is the empty text
    assert share(facts, "llm", "input_text") == share(facts, "llm", "output_text") == 1.0
    assert share(facts, "agent", "session_id") == 1.0


@needs_corpus
def test_agentrx_tau() -> None:
    """1,621 spans; 23 tool results start with "Error" while the status is unset (corpus README)."""
    facts = load_set("agentrx-tau")
    assert kinds(facts) == {"llm": 994, "tool": 562, "agent": 65}
    assert errors(facts) == {None: 1598, "tool_result": 23}
    assert share(facts, "tool", "tool_arguments") == share(facts, "tool", "tool_call_id") == 1.0
    assert share(facts, "llm", "input_text") == share(facts, "llm", "output_text") == 1.0


@needs_corpus
def test_intercode_sql() -> None:
    """1,749 ERROR statuses and 10 more results that read "Error executing query" (corpus README)."""
    facts = load_set("intercode-sql")
    assert kinds(facts) == {"llm": 2533, "tool": 2533, "agent": 400}
    assert errors(facts) == {None: 3707, "status": 1749, "tool_result": 10}
    assert share(facts, "tool", "tool_arguments") == share(facts, "tool", "tool_result") == 1.0
    assert share(facts, "llm", "model_requested") == 1.0


@needs_corpus
def test_terminal_bench() -> None:
    """249 ERROR statuses of 948 tool calls; 27 calls have no recorded result (corpus README)."""
    facts = load_set("terminal-bench")
    assert kinds(facts) == {"tool": 948, "llm": 888, "agent": 40}
    assert errors(facts) == {None: 1627, "status": 249}
    assert sum(known.tool_result is None for known in facts if known.kind == "tool") == 27
    assert share(facts, "llm", "session_id") == 1.0
    assert share(facts, "llm", "input_tokens") > 0.99  # one call states none
    assert share(facts, "llm", "input_text") > 0.9
    assert {known.provider for known in facts} == {"moonshot_ai"}
    assert "_OTHER" not in {known.error_type for known in facts}


@needs_corpus
def test_whowhen_algorithm() -> None:
    """1,895 spans, 90 failed runs of the code runner (corpus README)."""
    facts = load_set("whowhen-algorithm")
    assert kinds(facts) == {"agent": 796, "llm": 670, "tool": 303, "chain": 126}
    assert errors(facts) == {None: 1805, "status": 90}
    assert share(facts, "agent", "agent_name") == share(facts, "tool", "tool_result") == 1.0


@needs_corpus
def test_halo_realistic() -> None:
    """Two exporters of one SDK; model names that are null are unknown (corpus README)."""
    facts = load_set("halo-realistic")
    assert kinds(facts) == {"chain": 44, "llm": 34, "tool": 30, "agent": 7}
    assert errors(facts) == {None: 109, "status": 6}
    assert share(facts, "tool", "tool_name") == share(facts, "tool", "tool_arguments") == 1.0
    assert share(facts, "llm", "input_tokens") == share(facts, "llm", "output_tokens") == 1.0
    assert share(facts, "agent", "agent_name") == 1.0
    assert 0 < share(facts, "llm", "model_requested") < 1


@needs_corpus
def test_agentrx_otel() -> None:
    """Home-made operation names: 120 model calls, 30 tool calls (12 failed), 30 roots."""
    facts = load_set("agentrx-otel")
    assert kinds(facts) == {"llm": 120, "tool": 30, "other": 30}
    assert errors(facts) == {None: 168, "status": 12}
    assert share(facts, "tool", "tool_name") == share(facts, "llm", "agent_name") == 1.0
    assert {known.error_type for known in facts if known.failed} == {
        "SchemaError",
        "agentrx_otel_poc.mock_tools.CatalogServiceTimeoutError",
    }
