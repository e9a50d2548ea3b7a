"""How well outcomes are told without labels: `python tests/analysis/eval_outcome.py`.

For each set of the corpus, in two halves by trace id: of how many runs the outcome is known, how many of those
are right, and beside it what always saying the commoner outcome would get. The votes are
counted on half 0 alone. Both halves were seen when today's weights were set; keep half 1 unseen from here on.
"""

import json
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script, too

from halo_otel.analysis.causality import outcome
from halo_otel.analysis.judgement import Judgement
from tests.analysis.eval_corpus import CORPUS, spans
from tests.analysis.eval_windows import judged

SETS = ("tau-airline", "intercode-sql", "agentrx-tau", "terminal-bench", "halo-realistic")


def labels(name: str) -> dict[str, bool]:
    """Whether each run of a set failed, where that is known."""
    told = json.loads((CORPUS / name / "labels.json").read_text(encoding="utf-8"))["traces"]
    return {trace: not one["healthy"] for trace, one in told.items() if one["healthy"] is not None}


def score(runs: list[Judgement], failed: dict[str, bool]) -> str:
    known = [run for run in runs if run.failed is not None]
    right = sum(run.failed == failed[run.trace_id] for run in known)
    commoner = max(Counter(failed[run.trace_id] for run in runs).values(), default=0)
    trivial = sum(failed[run.trace_id] for run in known)
    return (
        f"{len(runs):>4} runs, {len(known) / max(1, len(runs)):4.0%} known, {right / max(1, len(known)):4.0%}"
        f" right (always the commoner one: {max(trivial, len(known) - trivial) / max(1, len(known)):4.0%} of"
        f" these, {commoner / max(1, len(runs)):4.0%} of all)"
    )


def main() -> None:
    for name in SETS:
        failed = labels(name)
        runs = [run for run in outcome.settle(judged(spans(name))) if run.trace_id in failed]
        print(f"\n{name}")
        for half in (0, 1):
            print(
                f"  half {half}: {score([r for r in runs if int(r.trace_id, 16) % 2 == half], failed)}"
            )
        counts = Counter(
            (vote, failed[run.trace_id])
            for run in runs
            if int(run.trace_id, 16) % 2 == 0
            for vote in run.votes
        )
        for vote in sorted({vote for vote, _ in counts}):
            print(f"    {vote:<18}{counts[vote, True]:>5} failed {counts[vote, False]:>5} good")


if __name__ == "__main__":
    main()
