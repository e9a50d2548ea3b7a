"""The operator's word on detectors (`analysis.detectors` of the configuration) over their own policies.

A detector that is off still looks, so that what it knows of the traces is not told under another name and
its open findings are not taken for resolved; it is only never told.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from halo_otel.analysis.claims.detector import Detector
from halo_otel.analysis.detectors import BY_NAME
from halo_otel.config import sections
from halo_otel.model.finding import Finding, Severity

_DEFAULT: Final = sections.DetectorRule()


def rule(name: str, settings: sections.Analysis) -> sections.DetectorRule:
    """What the configuration says of the detector `name`."""
    return settings.detectors.get(name, _DEFAULT)


def detector(name: str, settings: sections.Analysis) -> Detector:
    """The detector `name` with the operator's thresholds."""
    own, theirs = BY_NAME[name], rule(name, settings)
    return replace(
        own,
        rate_min=own.rate_min if theirs.min_rate is None else theirs.min_rate,
        waste_floor=own.waste_floor if theirs.min_waste is None else theirs.min_waste,
    )


def allowed(findings: Iterable[Finding], settings: sections.Analysis) -> list[Finding]:
    """Those of detectors that are on, none worse than its detector may be."""
    kept = []
    for finding in findings:
        theirs = rule(finding.detector, settings)
        if theirs.enabled:
            worst = Severity(theirs.max_severity)
            severity = min(finding.severity, worst, key=lambda one: one.number)
            kept.append(replace(finding, severity=severity))
    return kept
