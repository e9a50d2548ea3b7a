"""Small exports in the shapes that other tools write; each says where its shape is from."""

from typing import Any

TRACE = "84559aaf5d124026b1da35a7a66d9e94"

# context-labs/HALO tests/fixtures/realistic_traces.jsonl: 24-hex span ids, null where unknown.
HALO: list[dict[str, Any]] = [
    {
        "trace_id": TRACE,
        "span_id": "261fcb79ae604e8ca68f610e",
        "parent_span_id": "5b802fc40c7345058eeed7b7",
        "trace_state": "",
        "name": "function.list_files",
        "kind": "SPAN_KIND_INTERNAL",
        "start_time": "2026-04-24T18:12:14.957984001Z",
        "end_time": "2026-04-24T18:12:15.082104000Z",
        "status": {"code": "STATUS_CODE_ERROR", "message": "Error running tool (non-fatal)"},
        "resource": {"attributes": {"service.name": "halo-openai-agents-demo"}},
        "scope": {"name": "openai-agents-sdk", "version": "0.14.4"},
        "attributes": {
            "openinference.span.kind": "TOOL",
            "tool.name": "list_files",
            "input.value": '{"subdir":"./","pattern":"*.py"}',
            "output.value": "['./main.py']",
            "inference.llm.model_name": None,
        },
    },
    {
        "trace_id": TRACE,
        "span_id": "5b802fc40c7345058eeed7b7",
        "parent_span_id": "",
        "trace_state": "",
        "name": "response",
        "kind": "SPAN_KIND_CLIENT",
        "start_time": "2026-04-24T18:12:13.315189000Z",
        "end_time": "2026-04-24T18:12:15.955088000Z",
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "resource": {"attributes": {"service.name": "halo-openai-agents-demo"}},
        "scope": {"name": "openai-agents-sdk", "version": "0.14.4"},
        "attributes": {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-mini",
            "llm.token_count.prompt": 325,
            "llm.token_count.completion": 21,
        },
    },
]

# …/demo/openai-agents-sdk-demo/sample-traces/traces-by-trace.jsonl: OTLP's spans, one trace per line.
HALO_TRACE: dict[str, Any] = {
    "traceId": "4fe2c372c48ee8e7363a4d21050ede42",
    "spanCount": 1,
    "services": ["halo-openai-agents-demo"],
    "spans": [
        {
            "attributes": [
                {"key": "openinference.span.kind", "value": {"stringValue": "TOOL"}},
                {"key": "tool.name", "value": {"stringValue": "grep"}},
            ],
            "events": [],
            "links": [],
            "traceId": "4fe2c372c48ee8e7363a4d21050ede42",
            "spanId": "cd21c8dbed207202",
            "parentSpanId": "3cfc80d4c287d373",
            "name": "grep",
            "kind": "SPAN_KIND_INTERNAL",
            "startTimeUnixNano": "1776806028436487936",
            "endTimeUnixNano": "1776806028565995008",
            "status": {"code": "STATUS_CODE_OK"},
            "flags": 256,
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "halo-demo"}}],
                "entityRefs": [],
            },
            "scope": {"attributes": [], "name": "openinference", "version": "1.4.1"},
        }
    ],
}

# langfuse/langfuse fern/apis/server/definition/commons.yml: ObservationV2, all field groups.
LANGFUSE_V2: list[dict[str, Any]] = [
    {
        "id": "b7ad6b7169203331",
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "startTime": "2026-08-01T10:00:00.000Z",
        "endTime": "2026-08-01T10:00:04.000Z",
        "projectId": "cm0project",
        "parentObservationId": None,
        "type": "AGENT",
        "isRootObservation": True,
        "name": "travel-agent",
        "level": "DEFAULT",
        "statusMessage": None,
        "version": None,
        "environment": "production",
        "userId": "user-7",
        "sessionId": "chat-42",
        "input": '{"messages":[{"role":"user","content":"a flight to Oslo"}]}',
        "output": '"booked"',
        "metadata": {
            "resourceAttributes": '{"service.name":"travel","service.version":"1.2"}',
            "scope": '{"name":"langfuse-sdk","version":"4.0.0"}',
        },
        "providedModelName": None,
        "usageDetails": {},
        "costDetails": {},
        "tags": ["beta"],
        "release": "2026-08",
        "traceName": "book a flight",
    },
    {
        "id": "00f067aa0ba902b7",
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "startTime": "2026-08-01T10:00:01.000Z",
        "endTime": "2026-08-01T10:00:02.500Z",
        "projectId": "cm0project",
        "parentObservationId": "b7ad6b7169203331",
        "type": "GENERATION",
        "name": "plan",
        "level": "DEFAULT",
        "sessionId": "chat-42",
        "userId": "user-7",
        "input": '[{"role":"user","content":"a flight to Oslo"}]',
        "output": '{"role":"assistant","content":"I search"}',
        "providedModelName": "gpt-4o",
        "modelParameters": '{"temperature":0.2}',
        "usageDetails": {"input": 120, "output": 30, "total": 150, "input_cached_tokens": 20},
        "costDetails": {"input": 0.001, "output": 0.002, "total": 0.003},
        "promptName": "planner",
        "promptVersion": 3,
    },
    {
        "id": "53995c3f42cd8ad8",
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "startTime": "2026-08-01T10:00:02.500Z",
        "endTime": "2026-08-01T10:00:03.000Z",
        "projectId": "cm0project",
        "parentObservationId": "b7ad6b7169203331",
        "type": "TOOL",
        "name": "search_flights",
        "level": "ERROR",
        "statusMessage": "TimeoutError: no answer in 500 ms",
        "sessionId": "chat-42",
        "input": '{"to":"OSL"}',
        "output": None,
    },
]

# The same as GET /api/public/traces/{id} answers (TraceWithFullDetails, ObservationsView): JSON in
# place of text, `model`, the first form of usage; session and user on the trace only; ids of an old
# SDK, which are UUIDs.
LANGFUSE_TRACE: dict[str, Any] = {
    "id": "3f2b8c1e-7a64-4a0e-9d1b-5a6f0c9e1d2a",
    "timestamp": "2026-08-01T10:00:00.000Z",
    "name": "book a flight",
    "input": {"question": "a flight to Oslo"},
    "output": "booked",
    "sessionId": "chat-42",
    "userId": "user-7",
    "release": None,
    "tags": ["beta"],
    "htmlPath": "/project/p/traces/t",
    "scores": [],
    "observations": [
        {
            "id": "11111111-7a64-4a0e-9d1b-5a6f0c9e1d2a",
            "traceId": "3f2b8c1e-7a64-4a0e-9d1b-5a6f0c9e1d2a",
            "type": "GENERATION",
            "name": "plan",
            "startTime": "2026-08-01T10:00:01.000Z",
            "endTime": None,
            "model": "gpt-4o",
            "input": [{"role": "user", "content": "a flight to Oslo"}],
            "output": {"role": "assistant", "content": "I search"},
            "usage": {"input": 120, "output": 30, "total": 150, "unit": "TOKENS"},
            "calculatedTotalCost": 0.003,
            "level": "DEFAULT",
            "parentObservationId": None,
        },
        {
            "id": "22222222-7a64-4a0e-9d1b-5a6f0c9e1d2a",
            "traceId": "3f2b8c1e-7a64-4a0e-9d1b-5a6f0c9e1d2a",
            "type": "TOOL",
            "name": "search_flights",
            "startTime": "2026-08-01T10:00:02.500Z",
            "endTime": "2026-08-01T10:00:03.000Z",
            "input": {"to": "OSL"},
            "output": [{"flight": "SK1"}],
            "level": "DEFAULT",
            "parentObservationId": "11111111-7a64-4a0e-9d1b-5a6f0c9e1d2a",
        },
    ],
}

# The blob export of observations (domain/observation-field-groups.ts): snake_case, ClickHouse times.
LANGFUSE_BLOB: dict[str, Any] = {
    "id": "00f067aa0ba902b7",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "project_id": "cm0project",
    "environment": "default",
    "type": "GENERATION",
    "parent_observation_id": "b7ad6b7169203331",
    "start_time": "2026-08-01 10:00:01.000000",
    "end_time": "2026-08-01 10:00:02.500000",
    "name": "plan",
    "metadata": {},
    "level": "DEFAULT",
    "status_message": "",
    "input": '[{"role":"user","content":"a flight to Oslo"}]',
    "output": '{"role":"assistant","content":"I search"}',
    "provided_model_name": "gpt-4o",
    "model_parameters": "{}",
    "usage_details": {"input": "120", "output": "30"},
    "cost_details": {"total": 0.003},
    "completion_start_time": None,
    "prompt_name": "",
    "prompt_version": None,
}

# Arize-ai/phoenix server/api/routers/v1/spans.py, `Span`.
PHOENIX: list[dict[str, Any]] = [
    {
        "id": "U3Bhbjox",
        "name": "ChatCompletion",
        "context": {
            "trace_id": "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4",
            "span_id": "1a2b3c4d5e6f7a8b",
        },
        "span_kind": "LLM",
        "parent_id": "2a2b3c4d5e6f7a8b",
        "start_time": "2026-08-01T12:00:00+02:00",
        "end_time": "2026-08-01T10:00:01.250000+00:00",
        "status_code": "OK",
        "status_message": "",
        "attributes": {
            "llm.model_name": "gpt-4o",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 50,
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "a flight to Oslo",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": "I search",
        },
        "events": [],
    },
    {
        "id": "U3Bhbjoy",
        "name": "search_flights",
        "context": {
            "trace_id": "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4",
            "span_id": "2a2b3c4d5e6f7a8b",
        },
        "span_kind": "TOOL",
        "parent_id": None,
        "start_time": "2026-08-01T10:00:00+00:00",
        "end_time": "2026-08-01T10:00:02+00:00",
        "status_code": "ERROR",
        "status_message": "TimeoutError: no answer",
        "attributes": {
            "tool.name": "search_flights",
            "input.value": '{"to": "OSL"}',
            "output.value": "nothing",
            "session.id": "chat-42",
            "metadata": '{"tier": 1}',
        },
        "events": [
            {
                "name": "exception",
                "timestamp": "2026-08-01T10:00:01.500000+00:00",
                "attributes": {
                    "exception.type": "TimeoutError",
                    "exception.message": "no answer",
                },
            }
        ],
    },
]


def phoenix_rows() -> list[dict[str, Any]]:
    """The same as a data frame has them (trace/dsl/query.py, `_get_spans_dataframe`)."""
    rows = []
    for span in PHOENIX:
        row = {key: value for key, value in span.items() if key not in ("id", "context")}
        attributes = row.pop("attributes")
        row |= {f"context.{key}": value for key, value in span["context"].items()}
        messages: dict[str, list[dict[str, Any]]] = {}
        for key, value in attributes.items():
            side, _, rest = key.partition("_messages.0.")
            if rest:
                messages.setdefault(f"attributes.{side}_messages", [{}])[0][rest] = value
            elif key == "metadata":
                row["attributes.metadata"] = {"tier": 1}
            else:
                row[f"attributes.{key}"] = value
        rows.append({**row, **messages, "attributes.openinference.span.kind": row["span_kind"]})
    return rows


# The same in REST `…/spans/otlpv1`, the second one (spans.py, `OtlpSpan`).
PHOENIX_OTLP: dict[str, Any] = {
    "trace_id": "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4",
    "span_id": "2a2b3c4d5e6f7a8b",
    "parent_span_id": None,
    "name": "search_flights",
    "start_time_unix_nano": 1785578400000000000,
    "end_time_unix_nano": 1785578402000000000,
    "attributes": [
        {"key": "openinference.span.kind", "value": {"string_value": "TOOL"}},
        {"key": "tool.name", "value": {"string_value": "search_flights"}},
        {"key": "input.value", "value": {"string_value": '{"to": "OSL"}'}},
    ],
    "events": None,
    "status": {"code": 2, "message": "TimeoutError: no answer"},
}


def tag(key: str, value: Any, kind: str = "string") -> dict[str, Any]:
    return {"key": key, "type": kind, "value": value}


# jaegertracing/jaeger internal/uimodel/model.go and fixture/otlp2jaeger-out.json.
JAEGER: dict[str, Any] = {
    "data": [
        {
            "traceID": "83a9efd15c1c98a977e0711cc93ee28b",
            "spans": [
                {
                    "traceID": "83a9efd15c1c98a977e0711cc93ee28b",
                    "spanID": "e127af99e3b3e074",
                    "operationName": "execute_tool search_flights",
                    "references": [
                        {
                            "refType": "CHILD_OF",
                            "traceID": "83a9efd15c1c98a977e0711cc93ee28b",
                            "spanID": "909541b92cf05311",
                        },
                        {
                            "refType": "FOLLOWS_FROM",
                            "traceID": "83a9efd15c1c98a977e0711cc93ee28b",
                            "spanID": "709541b92cf05311",
                        },
                    ],
                    "startTime": 1706678909209712,
                    "duration": 123,
                    "tags": [
                        tag("otel.scope.name", "agents"),
                        tag("gen_ai.operation.name", "execute_tool"),
                        tag("gen_ai.tool.name", "search_flights"),
                        tag("gen_ai.tool.call.arguments", '{"to":"OSL"}'),
                        tag("span.kind", "internal"),
                        tag("error", True, "bool"),
                        tag("otel.status_code", "ERROR"),
                        tag("otel.status_description", "no answer"),
                    ],
                    "logs": [
                        {
                            "timestamp": 1706678909209800,
                            "fields": [
                                tag("event", "exception"),
                                tag("exception.type", "TimeoutError"),
                            ],
                        }
                    ],
                    "processID": "p1",
                    "warnings": None,
                },
                {
                    "traceID": "83a9efd15c1c98a977e0711cc93ee28b",
                    "spanID": "909541b92cf05311",
                    "operationName": "chat gpt-4o",
                    "references": [],
                    "startTime": 1706678909209000,
                    "duration": 1000,
                    "tags": [
                        tag("gen_ai.operation.name", "chat"),
                        tag("gen_ai.request.model", "gpt-4o"),
                        tag("gen_ai.usage.input_tokens", 120, "int64"),
                        tag("gen_ai.usage.output_tokens", 30, "int64"),
                        tag("span.kind", "client"),
                    ],
                    "logs": [],
                    "processID": "p1",
                    "warnings": None,
                },
            ],
            "processes": {"p1": {"serviceName": "travel", "tags": [tag("service.version", "1.2")]}},
            "warnings": None,
        }
    ],
    "total": 0,
    "limit": 0,
    "offset": 0,
    "errors": None,
}

# As the storage in Elasticsearch holds a span: alone, with its process, tags as an object, all text.
JAEGER_STORED: dict[str, Any] = {
    "traceID": "c98a977e0711cc93",
    "spanID": "7af99e3b3e074",
    "parentSpanID": "9541b92cf05311",
    "operationName": "chat gpt-4o",
    "references": [],
    "startTime": 1706678909209712,
    "startTimeMillis": 1706678909209,
    "duration": 123,
    "tag": {"gen_ai@operation@name": "chat", "gen_ai@request@model": "gpt-4o"},
    "tags": [tag("gen_ai.usage.input_tokens", "120", "int64"), tag("stream", "true", "bool")],
    "logs": [],
    "process": {"serviceName": "travel", "tag": {"host@name": "box"}, "tags": []},
}
