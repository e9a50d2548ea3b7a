"""The names under which this service speaks, each stated once."""

from typing import Final

# The instrumentation scope of everything we emit. With the service name it is also what the loop
# guard looks for: telemetry that bears either is our own and never goes in again.
SCOPE_NAME: Final = "halo_otel"
SERVICE_NAME: Final = "halo-otel"

# --- What is emitted (design §4.3). Attribute values are flat: SigNoz keeps only scalars typed and
# Loki turns dots into underscores (emission.md C2, C3).

# Log events; each name stands in LogRecord.EventName and in the attribute `event.name`, because
# Loki up to 3.7 and SigNoz drop the field (emission.md C2, C3).
EVENT_FINDING: Final = "halo.finding"  # also the span event on the analysis span
EVENT_OCCURRENCE: Final = "halo.finding.occurrence"  # also the name of the opt-in child spans

SPAN_ANALYSIS: Final = "halo.analysis"

EVENT_NAME: Final = "event.name"

FINDING_ID: Final = "halo.finding.id"
FINDING_FINGERPRINT: Final = "halo.finding.fingerprint"
FINDING_CATEGORY: Final = "halo.finding.category"
FINDING_DETECTOR: Final = "halo.finding.detector"
FINDING_TITLE: Final = "halo.finding.title"
FINDING_SUMMARY: Final = "halo.finding.summary"
FINDING_STATUS: Final = "halo.finding.status"
FINDING_SEVERITY: Final = "halo.finding.severity"
FINDING_CONFIDENCE: Final = "halo.finding.confidence"
FINDING_PRIORITY: Final = "halo.finding.priority"
FINDING_TIER: Final = "halo.finding.tier"
FINDING_TRACES_AFFECTED: Final = "halo.finding.traces_affected"
FINDING_TRACES_EXPOSED: Final = "halo.finding.traces_exposed"
FINDING_TOKENS_WASTED: Final = "halo.finding.tokens_wasted"
FINDING_COST_WASTED: Final = "halo.finding.cost_wasted"
FINDING_SECONDS_WASTED: Final = "halo.finding.seconds_wasted"
FINDING_RECOMMENDATION: Final = "halo.finding.recommendation"
FINDING_FIRST_SEEN: Final = "halo.finding.first_seen"
FINDING_LAST_SEEN: Final = "halo.finding.last_seen"
FINDING_WINDOWS_SEEN: Final = "halo.finding.windows_seen"
FINDING_WINDOW_START: Final = "halo.finding.window.start"
FINDING_WINDOW_END: Final = "halo.finding.window.end"
FINDING_EVIDENCE: Final = "halo.finding.evidence"  # JSON text: [{trace_id, span_id, role}]
FINDING_SUBJECT_PREFIX: Final = "halo.finding.subject."  # + a key of Subject.attributes
EVIDENCE_ROLE: Final = "halo.finding.evidence.role"
EVIDENCE_NOTE: Final = "halo.finding.evidence.note"

# Standard keys, where they apply to the finding's subject.
AGENT_NAME: Final = "gen_ai.agent.name"
TOOL_NAME: Final = "gen_ai.tool.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
ERROR_TYPE: Final = "error.type"
RESOURCE_SERVICE_NAME: Final = "service.name"
RESOURCE_SERVICE_VERSION: Final = "service.version"
RESOURCE_SERVICE_INSTANCE: Final = "service.instance.id"

ANALYSIS_TRIGGER: Final = "halo.analysis.trigger"
ANALYSIS_WINDOW_START: Final = "halo.analysis.window.start"
ANALYSIS_WINDOW_END: Final = "halo.analysis.window.end"
ANALYSIS_TRACES: Final = "halo.analysis.traces"
ANALYSIS_TRACES_JUDGED: Final = "halo.analysis.traces_judged"
ANALYSIS_SPANS: Final = "halo.analysis.spans"
ANALYSIS_FINDINGS: Final = "halo.analysis.findings"
ANALYSIS_TRANSITIONS: Final = "halo.analysis.transitions"
ANALYSIS_EVENTS_DROPPED: Final = "halo.analysis.events_dropped"
ANALYSIS_LINKS_DROPPED: Final = "halo.analysis.links_dropped"

# Metrics: the names of `halo_otel.selfobs.HELP`, of which this one carries attributes of findings.
METRIC_FINDINGS_OPEN: Final = "halo.findings.open"
METRIC_CATEGORY: Final = "category"
METRIC_SEVERITY: Final = "severity"
METRIC_SERVICE: Final = "service"
