"""What is found in a window is found in the same window stored redacted, with the same evidence."""

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from halo_otel.analysis.run import analyse
from halo_otel.config.sections import Analysis
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.report import Report
from halo_otel.model.span import Span
from halo_otel.redact.mask import Rules
from halo_otel.redact.records import RecordRedactor
from halo_otel.redact.redactor import Redactor
from halo_otel.window.single import SingleWindow
from tests.eval.run import Task, make

REFERENCE = re.compile(r"\b([A-Z]{2,4}-?\d{4,})\b")


@pytest.mark.parametrize(
    ("fault", "seed", "category"),
    [
        ("loop_exact", 3, "loop"),
        ("redundant_call", 3, "redundant_call"),
        ("stale_read", 2, "stale_data"),
        ("ungrounded_argument", 3, "ungrounded_argument"),
    ],
)
def test_the_same_findings(fault: str, seed: int, category: str) -> None:
    """The references that the agents pass about are e-mail addresses here."""
    window = make(Task(generator="alpha", seed=seed, fault=fault))
    spans = [with_addresses(span) for span in window.spans]
    counted: Counter[str] = Counter()

    def count(kind: str, number: int) -> None:
        counted[kind] += number

    rules = Rules(("credentials", "email", "phone", "card", "iban", "national_id"))
    plain = report_on(spans, None)
    redacted = report_on(spans, RecordRedactor(Redactor(b"k" * 32, rules, count)))
    assert counted["e-mail"] > 1000
    assert category in {finding.category for finding in plain.findings}
    assert evidence(redacted) == evidence(plain)


def evidence(report: Report) -> dict[str, list[str]]:
    """By a finding's fingerprint the spans it shows."""
    return {one.fingerprint: [span.span_id for span in one.evidence] for one in report.findings}


def report_on(spans: list[Span], redact: RecordRedactor | None) -> Report:
    builder = RowBuilder()
    for position, span in enumerate(redact.spans(spans) if redact else spans):
        builder.add_span(span, span.end_ns, position)
    until_ns = max(span.end_ns for span in spans) + 1
    with SingleWindow(None) as stored:
        stored.insert(builder.batch())
        with stored.view() as view:
            return analyse(view, settings=Analysis(), until_ns=until_ns, offline=True)


def with_addresses(span: Span) -> Span:
    events = tuple(replace(one, attributes=_said(dict(one.attributes))) for one in span.events)
    return replace(
        span,
        attributes=_said(dict(span.attributes)),
        events=events,
        status_message=_said(span.status_message),
    )


def _said(value: Any) -> Any:
    if isinstance(value, str):
        return REFERENCE.sub(lambda found: f"{found[1].lower()}@shop.test", value)
    if isinstance(value, dict):
        return {key: _said(item) for key, item in value.items()}
    return [_said(item) for item in value] if isinstance(value, list) else value
