"""What the deterministic findings say about real agent runs.

`python tests/analysis/eval_corpus.py` prints, for every set of the corpus, each finding with the share
of its traces that failed, and how many healthy runs are named in a finding of severity warn or above.
The corpus lies beside the checkout; it is not part of it.
"""

import gzip
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script, too

from halo_otel.model.finding import Finding
from halo_otel.model.report import Report
from halo_otel.model.span import Span
from halo_otel.otlp.jsonlines import spans_from_json_line
from tests.analysis.eval_windows import alarms, analysed

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
SETS = tuple(sorted(path.parent.name for path in CORPUS.glob("*/traces.jsonl.gz")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One set, analysed."""

    report: Report
    healthy: frozenset[str]
    failed: frozenset[str]

    @property
    def healthy_named(self) -> frozenset[str]:
        """Healthy runs that a finding of severity warn or above names."""
        named = {trace for one in alarms(self.report) for trace in one.traces}
        return self.healthy.intersection(named)

    def of(self, category: str) -> list[Finding]:
        return [one for one in self.report.findings if one.category == category]

    def failing_share(self, finding: Finding) -> float:
        """The share of the finding's traces, of those with a known outcome, that failed."""
        known = (self.healthy | self.failed).intersection(finding.traces)
        return len(self.failed & known) / max(1, len(known))


def spans(name: str) -> list[Span]:
    """All spans of one set."""
    with gzip.open(CORPUS / name / "traces.jsonl.gz", "rb") as lines:
        return [span for line in lines for span in spans_from_json_line(line)]


def verdict(name: str) -> Verdict:
    """Analyse one set as one window."""
    labels = json.loads((CORPUS / name / "labels.json").read_text(encoding="utf-8"))["traces"]
    return Verdict(
        report=analysed(spans(name)),
        healthy=frozenset(trace for trace, one in labels.items() if one["healthy"] is True),
        failed=frozenset(trace for trace, one in labels.items() if one["healthy"] is False),
    )


def main() -> None:
    """Print every set."""
    for name in SETS:
        judged = verdict(name)
        named = judged.healthy_named
        kinds = Counter(one.category for one in judged.report.findings)
        print(f"\n{name}: {judged.report.window.traces} traces, {dict(kinds)}")
        print(f"  healthy runs named in a finding >= warn: {len(named)} of {len(judged.healthy)}")
        for one in judged.report.findings:
            print(
                f"  {one.severity:<6}{one.confidence:5.2f} {one.category:<15}"
                f"{len(one.traces):>4} traces, {judged.failing_share(one):4.0%} failed: {one.title}"
            )


if __name__ == "__main__":
    main()
