"""What halo-otel sent back, wherever it went."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halo_otel.model.span import LogRecord, Span
from halo_otel.otlp import names
from halo_otel.otlp.jsonlines import log_records_from_tree, spans_from_tree


@dataclass(slots=True)
class Returned:
    """Telemetry that came back."""

    log_records: list[LogRecord] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)

    @property
    def findings(self) -> list[LogRecord]:
        """The records about whole patterns."""
        return [one for one in self.log_records if one.event_name == names.EVENT_FINDING]

    @property
    def fingerprints(self) -> set[str]:
        """The findings they are about."""
        return {str(one.attributes.get(names.FINDING_FINGERPRINT)) for one in self.findings}

    @property
    def occurrences(self) -> list[LogRecord]:
        """The records inside the agents' own traces."""
        return [one for one in self.log_records if one.event_name == names.EVENT_OCCURRENCE]


def from_files(directory: Path) -> Returned:
    """What a Collector with `collector-config/recommended.yaml` wrote into `directory`."""
    returned = Returned()
    for tree in _lines(directory / "halo-findings.jsonl"):
        returned.log_records += log_records_from_tree(tree)
    for tree in _lines(directory / "halo-analysis.jsonl"):
        returned.spans += spans_from_tree(tree)
    for tree in _lines(directory / "halo-metrics.jsonl"):
        for resource in tree.get("resourceMetrics", []):
            for scope in resource.get("scopeMetrics", []):
                returned.metrics |= {metric["name"] for metric in scope.get("metrics", [])}
    return returned


def _lines(path: Path) -> list[Any]:
    """The JSON lines of `path` that are complete; none while there is no such file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
