"""What all dialects share: the run's setting, a span without conventions, HTTP client spans."""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from halo_otel.demo.recording import Call, Failure
from halo_otel.model.span import (
    STATUS_ERROR,
    STATUS_UNSET,
    AnyValue,
    Resource,
    Scope,
    Span,
    SpanEvent,
    SpanId,
    TraceId,
)

INTERNAL, SERVER, CLIENT = 1, 2, 3  # opentelemetry.proto.trace.v1.Span.SpanKind
SAMPLED: Final = 0x101  # W3C sampled, and "parent is not remote" is known
_HTTPX: Final = Scope(name="opentelemetry.instrumentation.httpx", version="0.66b2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything about a run that is not in its calls. `payloads` off leaves all content out."""

    trace_id: str
    session_id: str
    user_id: str
    model: str
    provider: str
    workflow: str
    payloads: bool
    resource: Resource


@dataclass(slots=True, kw_only=True)
class Draft:
    """A span's dialect-specific part."""

    name: str
    kind: int = INTERNAL
    attributes: dict[str, AnyValue] = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)


def derived_id(span_id: str, role: str) -> str:
    """The id of a span a dialect adds around a call."""
    return hashlib.sha256(f"{span_id}/{role}".encode()).hexdigest()[:16]


def finish(
    setting: Setting,
    scope: Scope,
    draft: Draft,
    call: Call,
    parent_id: str,
    *,
    span_id: str | None = None,
) -> Span:
    """The span of `call` as `draft` words it; a failure becomes status ERROR."""
    failure = call.failure
    return Span(
        trace_id=TraceId(setting.trace_id),
        span_id=SpanId(span_id or call.span_id),
        parent_span_id=SpanId(parent_id),
        name=draft.name,
        kind=draft.kind,
        start_ns=call.start_ns,
        end_ns=call.end_ns,
        attributes=draft.attributes,
        events=tuple(draft.events),
        links=(),
        status_code=STATUS_ERROR if failure else STATUS_UNSET,
        status_message=f"{failure.type}: {failure.message}" if failure else "",
        trace_state="",
        flags=SAMPLED,
        dropped_attributes_count=0,
        dropped_events_count=0,
        dropped_links_count=0,
        resource=setting.resource,
        scope=scope,
    )


def exception_event(call: Call, failure: Failure) -> SpanEvent:
    """The `exception` event of the SDKs' `record_exception`."""
    trace = (
        "Traceback (most recent call last):\n"
        f'  File "/app/agents/{call.agent}.py", line 118, in run_tool\n'
        f'  File "/app/tools/{call.name}.py", line 41, in __call__\n'
        f"{failure.type}: {failure.message}\n"
    )
    return SpanEvent(
        name="exception",
        time_ns=call.end_ns,
        attributes={
            "exception.type": failure.type,
            "exception.message": failure.message,
            "exception.stacktrace": trace,
            "exception.escaped": "False",
        },
    )


def http_span(setting: Setting, call: Call, parent_id: str) -> Span:
    """The HTTP client span below a remote tool (HTTP semantic conventions 1.23+)."""
    attributes: dict[str, AnyValue] = {
        "http.request.method": "POST",
        "server.address": call.name,
        "server.port": 443,
        "url.full": f"https://{call.name}/v1/call",
    }
    if call.http_status:
        attributes["http.response.status_code"] = call.http_status
    if call.failure is not None:
        attributes["error.type"] = str(call.http_status or call.failure.type)
    span = finish(
        setting, _HTTPX, Draft(name="POST", kind=CLIENT, attributes=attributes), call, parent_id
    )
    return span
