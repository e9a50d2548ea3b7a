"""What a report says, redacted: its words, and the Resources of the agents it shows.

Fingerprints, ids, numbers and names of services, agents, tools and models stay: by these a finding is known
again, and its next window is counted.
"""

from collections.abc import Callable
from dataclasses import replace

from halo_otel.model.finding import Evidence, Finding
from halo_otel.model.report import Report
from halo_otel.model.span import AnyValue, Attributes
from halo_otel.redact.mask import Rules, mask
from halo_otel.redact.redactor import Redactor


def redacted(report: Report, redactor: Redactor) -> Report:
    """By keyed hashes: for what is kept and sent."""
    return _report(report, redactor.text, redactor.attributes)


def masked(report: Report, rules: Rules) -> Report:
    """For people: `[e-mail]`, and of a key its first four characters."""

    def text(said: str) -> str:
        return mask(said, rules).text

    def value(known: AnyValue) -> AnyValue:
        return text(known) if isinstance(known, str) else known

    return _report(report, text, lambda known: {key: value(each) for key, each in known.items()})


def _report(
    report: Report, text: Callable[[str], str], attributes: Callable[[Attributes], Attributes]
) -> Report:
    def shown(evidence: Evidence) -> Evidence:
        return replace(evidence, note=text(evidence.note), resource=attributes(evidence.resource))

    def told(finding: Finding) -> Finding:
        cause, explained = finding.root_cause, finding.explanation
        return replace(
            finding,
            title=text(finding.title),
            summary=text(finding.summary),
            recommendation=text(finding.recommendation),
            evidence=tuple(map(shown, finding.evidence)),
            root_cause=cause and replace(cause, why=text(cause.why)),
            explanation=explained
            and replace(
                explained,
                statement=text(explained.statement),
                recommendation=text(explained.recommendation),
            ),
        )

    return replace(report, findings=tuple(map(told, report.findings)))
