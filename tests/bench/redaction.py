"""What redaction at store costs a span, and whether what is found is what a person would call sensitive.

    python tests/bench/redaction.py [directory of trace files]

The spans of `ingest.py` (1 KB, ten attributes) and those of the corpora, decoded before; rows with and
without redaction by turns in one run, the best of five.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[2]))  # this is a script
from halo_otel.importers.files import read_traces
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import Span
from halo_otel.otlp.decode import decode_traces
from halo_otel.redact.mask import Rules
from halo_otel.redact.records import RecordRedactor
from halo_otel.redact.redactor import Redactor
from tests.bench.ingest import request

CORPUS: Final = Path(__file__).parents[2].parent / "shared" / "corpus"
KINDS: Final = ("credentials", "email", "phone", "card", "iban", "national_id", "ip")
CUSTOM: Final = {"employee": r"EMP-\d{6}"}
Count: TypeAlias = Callable[[str, int], None]
REQUESTS, ROUNDS, SPANS_MAX = 8, 5, 2000


def microseconds(spans: Sequence[Span], rules: Rules | None, count: Count) -> float:
    """For one span; of processor time. Every round begins with nothing remembered."""
    rounds = []
    for _ in range(ROUNDS):
        redact = None if rules is None else RecordRedactor(Redactor(b"k" * 32, rules, count))
        builder = RowBuilder()
        begun = time.process_time()
        for position, span in enumerate(redact.spans(spans) if redact else spans):
            builder.add_span(span, 0, position)
        builder.batch()
        rounds.append((time.process_time() - begun) / len(spans) * 1e6)
    return min(rounds)


def show(name: str, spans: Sequence[Span]) -> None:
    found: Counter[str] = Counter()

    def count(kind: str, number: int) -> None:
        found[kind] += number

    plain = microseconds(spans, None, count)
    redacted = microseconds(spans, Rules(KINDS), count)
    kinds = ", ".join(f"{kind} {number // ROUNDS}" for kind, number in found.most_common())
    custom = microseconds(spans, Rules((*KINDS, "custom"), CUSTOM), count)
    print(
        f"{name:18}{len(spans):6} spans {plain:7.1f} µs, redacted +{redacted - plain:6.1f} µs"
        f" ({redacted / plain:.2f} x), with a pattern +{custom - plain:6.1f} µs; {kinds or 'nothing found'}"
    )


def main(directory: Path) -> None:
    show("1 KB", [span for number in range(REQUESTS) for span in decode_traces(request(number, 0))])
    for file in sorted(directory.glob("*/traces.jsonl*")):
        show(file.parent.name, list(read_traces([file], lambda bad: None))[:SPANS_MAX])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS)
