"""What the deterministic findings say about real agent runs.

`python tests/analysis/eval_corpus.py` prints, for every set of the corpus, each finding with the share
of its traces that failed, and of the healthy runs how many a finding of severity warn or above names as
failed (it lists the run, and the run is judged to have failed), and how many it lists at all: a healthy run
may have met what others fail of, or have cost more than it should. The corpus lies beside the checkout; it is not part of it.
"""

import gzip
import json
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script, too

from halo_otel.analysis.causality import outcome
from halo_otel.model.finding import Finding
from halo_otel.model.report import Report
from halo_otel.model.span import Span
from halo_otel.otlp.jsonlines import spans_from_json_line
from tests.analysis.eval_windows import alarms, run_over

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
SETS = tuple(sorted(path.parent.name for path in CORPUS.glob("*/traces.jsonl.gz")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One set, analysed."""

    report: Report
    healthy: frozenset[str]
    failed: frozenset[str]
    judged_failed: frozenset[str]  # by their own telemetry and that of their like

    @property
    def healthy_listed(self) -> frozenset[str]:
        """Healthy runs that a finding of severity warn or above lists."""
        listed = {trace for one in alarms(self.report) for trace in one.traces}
        return self.healthy.intersection(listed)

    @property
    def healthy_named(self) -> frozenset[str]:
        """Those of them that it names as failed."""
        return self.healthy_listed & self.judged_failed

    @property
    def counts(self) -> Counter[str]:
        """Healthy runs, those named as failed, those listed."""
        return Counter(
            healthy=len(self.healthy),
            named=len(self.healthy_named),
            listed=len(self.healthy_listed),
        )

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


@cache
def verdict(name: str) -> Verdict:
    """Analyse one set as one window."""
    labels = json.loads((CORPUS / name / "labels.json").read_text(encoding="utf-8"))["traces"]
    loaded = spans(name)
    done = run_over(loaded)
    ended = outcome.settle(done.judged)
    return Verdict(
        report=done.report,
        healthy=frozenset(trace for trace, one in labels.items() if one["healthy"] is True),
        failed=frozenset(trace for trace, one in labels.items() if one["healthy"] is False),
        judged_failed=frozenset(one.trace_id for one in ended if one.failed),
    )


def main() -> None:
    """Print every set."""
    total: Counter[str] = Counter()
    for name in SETS:
        one_set = verdict(name)
        kinds = Counter(one.category for one in one_set.report.findings)
        print(f"\n{name}: {one_set.report.window.traces} traces, {dict(kinds)}")
        counts = one_set.counts
        total += counts
        print(f"  {counted(counts)}")
        for one in one_set.report.findings:
            print(
                f"  {one.severity:<6}{one.confidence:5.2f} {one.category:<15}"
                f"{len(one.traces):>4} traces, {one_set.failing_share(one):4.0%} failed: {one.title}"
            )
    print(f"\nall sets: {counted(total)}")


def counted(counts: Counter[str]) -> str:
    """`Verdict.counts` in words."""
    return (
        f"of {counts['healthy']} healthy runs {counts['named']} named as failed"
        f" and {counts['listed']} listed"
    )


if __name__ == "__main__":
    main()
