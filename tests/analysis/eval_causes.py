"""How often the span that people blame is found: `python tests/analysis/eval_causes.py`.

For each labelled set of the corpus: in how many failed runs the span to blame is the first, or among the first
three, that findings blame, in the order of the findings; beside it two rules that need no analysis, the run's
first step and its last failed span. A run without any finding counts as missed.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script, too

from halo_otel.config.sections import Analysis
from halo_otel.model.finding import Role
from halo_otel.model.span import Span
from tests.analysis.eval_corpus import CORPUS, spans
from tests.analysis.eval_windows import analysed

SETS = ("agentrx-otel", "agentrx-tau", "whowhen-algorithm", "halo-realistic")
EVERYTHING = Analysis(max_findings=1000, max_evidence=1000)


def to_blame(name: str) -> dict[str, set[str]]:
    """By trace the spans that count as the labelled cause."""
    told = json.loads((CORPUS / name / "labels.json").read_text(encoding="utf-8"))["traces"]
    causes = {
        trace: {
            span
            for label in one["labels"]
            if label["kind"] == "root_cause"
            for span in (label["span_id"], *label.get("alt_span_ids", ()))
        }
        for trace, one in told.items()
    }
    return {trace: spans for trace, spans in causes.items() if spans}


def blamed(found: list[Span]) -> dict[str, list[str]]:
    """By trace the spans that findings blame, the most important finding's first."""
    order: dict[str, list[str]] = defaultdict(list)
    findings = analysed(found, EVERYTHING).findings
    for finding in (one for one in findings if one.category != "instrumentation"):
        for role in (Role.CAUSE, Role.SYMPTOM):
            for spot in finding.evidence:
                if spot.role is role and spot.span_id not in order[spot.trace_id]:
                    order[spot.trace_id].append(spot.span_id)
    return order


def trivial(found: list[Span]) -> tuple[dict[str, str], dict[str, str]]:
    """By trace its first step, and its last failed span."""
    first: dict[str, Span] = {}
    failed: dict[str, Span] = {}
    for span in found:
        if span.parent_span_id and (
            span.trace_id not in first or span.start_ns < first[span.trace_id].start_ns
        ):
            first[span.trace_id] = span
        if span.status_code == 2 and (
            span.trace_id not in failed or span.start_ns > failed[span.trace_id].start_ns
        ):
            failed[span.trace_id] = span
    return {t: s.span_id for t, s in first.items()}, {t: s.span_id for t, s in failed.items()}


def main() -> None:
    for name in SETS:
        found, labels = spans(name), to_blame(name)
        order, (first, last) = blamed(found), trivial(found)
        told = sum(bool(order[trace]) for trace in labels)
        at_1, at_3 = (
            sum(bool(spans & set(order[trace][:k])) for trace, spans in labels.items())
            for k in (1, 3)
        )
        print(
            f"{name:<20}{len(labels):>4} runs, {told:>3} in a finding: cause@1 {at_1:>3}, @3 {at_3:>3};"
            f" first step {sum(first.get(t) in s for t, s in labels.items()):>3},"
            f" last failed span {sum(last.get(t) in s for t, s in labels.items()):>3}"
        )


if __name__ == "__main__":
    main()
