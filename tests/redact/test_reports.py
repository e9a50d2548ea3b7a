"""What a report says leaves without secrets, and nothing by which a finding is known changes."""

from dataclasses import replace
from pathlib import Path

import pytest

from halo_otel.config.sections import Config
from halo_otel.model.finding import Explanation
from halo_otel.model.report import Report
from halo_otel.redact.mask import USUAL
from halo_otel.redact.redactor import Redactor
from halo_otel.redact.reports import masked, redacted
from halo_otel.service.redaction import safe
from tests.cli.conftest import REPORT

CANARY = "canary@secret.shop.io"


def with_canary() -> Report:
    """A report that says a secret wherever it says something."""
    said = f"ask {CANARY}"
    finding = REPORT.findings[0]
    return replace(
        REPORT,
        findings=(
            replace(
                finding,
                title=said,
                summary=said,
                recommendation=said,
                evidence=tuple(
                    replace(one, note=said, resource={"user": said}) for one in finding.evidence
                ),
                root_cause=finding.root_cause and replace(finding.root_cause, why=said),
                explanation=Explanation(statement=said, recommendation=said),
            ),
        ),
    )


def test_every_word_of_a_report_is_redacted_once() -> None:
    redactor = Redactor(b"k" * 32, USUAL, lambda kind, number: None)
    for left in (redacted(with_canary(), redactor), masked(with_canary(), USUAL)):
        assert CANARY not in repr(left)
        assert "[e-mail" in left.findings[0].title
        assert redacted(left, redactor) == left


def test_what_a_finding_is_known_by_stays() -> None:
    before, after = with_canary().findings[0], masked(with_canary(), USUAL).findings[0]
    assert (after.fingerprint, after.subject, after.impact, after.traces) == (
        before.fingerprint,
        before.subject,
        before.impact,
        before.traces,
    )


@pytest.mark.parametrize(("emit", "is_left"), [("none", True), ("email", False), ("card", True)])
def test_a_report_without_a_service_goes_by_the_same_setting(
    emit: str, is_left: bool, tmp_path: Path
) -> None:
    config = Config.model_validate(
        {"redaction": {"emit": emit}, "storage": {"directory": str(tmp_path)}}
    )
    assert (CANARY in repr(safe(with_canary(), config))) is is_left
    assert not list(tmp_path.iterdir())
