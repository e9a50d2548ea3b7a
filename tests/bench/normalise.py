"""Microseconds to normalise a span, and what of the corpus becomes facts.

python tests/bench/normalise.py [directory of trace files]

The corpus is a developer's, beside the checkout. Every set is read once and normalised six times; the
first fills the plans, the median of the others counts.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script
from halo_otel.agentspan.normalise import normalise
from halo_otel.importers.files import read_traces
from halo_otel.model.facts import AgentFacts, SpanKind
from halo_otel.model.span import Span

CORPUS: Final = Path(__file__).parents[2].parent / "shared" / "corpus"
ROUNDS: Final = 5
# What a span of a kind must tell to be of use to a detector.
WANTED: Final = {
    SpanKind.LLM: ("input_text", "output_text", "model_requested", "input_tokens"),
    SpanKind.TOOL: ("tool_name", "tool_arguments", "tool_result"),
    SpanKind.AGENT: ("agent_name",),
}


def microseconds(spans: Sequence[Span]) -> float:
    """The median over the rounds, for one span; of processor time, as others may use the machine."""
    rounds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for span in spans:
            normalise(span)
        rounds.append((time.process_time() - begun) / len(spans) * 1e6)
    return statistics.median(rounds)


def coverage(facts: Sequence[AgentFacts]) -> str:
    """The share of spans with a kind, and of each kind those with each wanted fact."""
    told = sum(known.kind is not SpanKind.OTHER for known in facts)
    parts = [f"kind {told / len(facts):4.0%}"]
    for kind, wanted in WANTED.items():
        of_kind = [known for known in facts if known.kind is kind]
        for fact in wanted if of_kind else ():
            share = sum(getattr(known, fact) is not None for known in of_kind) / len(of_kind)
            parts.append(f"{kind.value}.{fact} {share:.0%}")
    return "  ".join(parts)


def main(directory: Path) -> None:
    total_us = total = told = 0.0
    for file in sorted(directory.glob("*/traces.jsonl*")):
        spans = list(read_traces([file], lambda bad: None))
        facts = [normalise(span) for span in spans]
        took_us = microseconds(spans)
        total_us += took_us * len(spans)
        total += len(spans)
        told += sum(known.kind is not SpanKind.OTHER for known in facts)
        print(f"{file.parent.name:20} {len(spans):6} spans {took_us:6.2f} us  {coverage(facts)}")
    print(f"{'all':20} {total:6.0f} spans {total_us / total:6.2f} us  kind {told / total:4.0%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS)
