"""How an operator switches on what the telemetry leaves out, by dialect.

From each project's documentation; variables named here are read by its current release.
"""

from collections.abc import Iterable
from typing import Final

_CONTENT: Final = {
    "gen_ai": "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true (older instrumentations) or"
    " SPAN_AND_EVENT together with OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental",
    "openinference": "OPENINFERENCE_HIDE_INPUTS=false and OPENINFERENCE_HIDE_OUTPUTS=false",
    "openllmetry": "TRACELOOP_TRACE_CONTENT=true",
    "vercel_ai": "recordInputs and recordOutputs in the call's telemetry settings",
    "pydantic_ai": "InstrumentationSettings(include_content=True)",
    "logfire": "trace_include_sensitive_data in the agent's run configuration",
    "langfuse": "LANGFUSE_OBSERVE_DECORATOR_IO_CAPTURE_ENABLED=true",
    "langsmith": "LANGSMITH_HIDE_INPUTS=false and LANGSMITH_HIDE_OUTPUTS=false",
    "google_adk": "ADK_CAPTURE_MESSAGE_CONTENT_IN_SPANS=true",
    "claude_code": "OTEL_LOG_USER_PROMPTS=1, OTEL_LOG_TOOL_DETAILS=1 and OTEL_LOG_TOOL_CONTENT=1",
}
_USAGE: Final = (
    "Where answers are streamed, ask the endpoint for usage (OpenAI-compatible ones:"
    " stream_options with include_usage), and use an instrumentation that records it."
)
_REDACTED: Final = (
    "If it must stay hidden, replace values by keyed hashes instead of one fixed word: equal values"
    " stay equal, and repetitions can be found. Otherwise mute this finding."
)
_TRUNCATED: Final = (
    "Raise OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT and OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT where the"
    " agents run, and look for limits in the Collector's processors."
)


def cure(missing: str, why: str, dialects: Iterable[str]) -> str:
    """What to change; `missing` is `content` or `usage`, `why` how it is missing."""
    if missing == "usage":
        return _USAGE
    if why == "truncated":
        return _TRUNCATED
    if why == "redacted":
        return _REDACTED
    known = [_CONTENT[dialect] for dialect in sorted(set(dialects)) if dialect in _CONTENT]
    switches = "; or ".join(known) or "the setting of your instrumentation that records content"
    return (
        f"Switch it on where the agents run: {switches}. If content must not leave them, mute this"
        " finding: the others go on without it."
    )
