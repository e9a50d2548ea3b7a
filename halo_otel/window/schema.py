"""The tables of a window file, in one place.

A window is one DuckDB file. `spans` and `log_records` hold OTLP's fields and, beside them, the agent
facts; `resources` and `scopes` are stored once per distinct value and referenced by hash;
`journal_offset` says how far the journal is contained in this file and is written in the same
transaction as the rows; `window_info` says what the file covers and whether it is sealed; `let_go`
counts per service ('' if unknown) what compaction left out.

Attributes, events, links and bodies are JSON text in the encoding of `halo_otel.otlp.anyvalue`,
which keeps every AnyValue type. Long texts of the fact columns are prefixes (`TEXT_CHARS_MAX`);
`*_chars` holds the true length, the whole text stays in `attributes`, `events` or `log_records`.
In those, a long text is a reference to pieces in `texts`, which holds each once (`window.texts`).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

SCHEMA_VERSION: Final = 2

# Detectors scan these columns in full, so they are bounded; detectors.md §0.1 shows that the cost
# of a run is payload bytes, not spans. 16 KiB keeps every realistic argument object whole.
TEXT_CHARS_MAX: Final = 16_384

Columns: TypeAlias = dict[str, list[object]]

# name -> DuckDB type, in storage order
SPAN_COLUMNS: Final[dict[str, str]] = {
    "trace_id": "VARCHAR",
    "span_id": "VARCHAR",
    "parent_span_id": "VARCHAR",  # '' for a root
    "trace_state": "VARCHAR",
    "flags": "UINTEGER",
    "name": "VARCHAR",
    "kind": "UTINYINT",
    "start_ns": "BIGINT",
    "end_ns": "BIGINT",
    "status_code": "UTINYINT",
    "status_message": "VARCHAR",
    "attributes": "VARCHAR",
    "events": "VARCHAR",  # JSON list of {name,time_ns,attributes,dropped_attributes_count}
    "links": "VARCHAR",  # JSON list of {trace_id,span_id,trace_state,attributes,…}
    "dropped_attributes_count": "UINTEGER",
    "dropped_events_count": "UINTEGER",
    "dropped_links_count": "UINTEGER",
    "resource_id": "UBIGINT",
    "scope_id": "UBIGINT",
    "arrival_ns": "BIGINT",
    "position": "BIGINT",  # journal offset of the request + index in it: unique, orders duplicates
    # agent facts; NULL is unknown
    "service": "VARCHAR",
    "span_kind": "VARCHAR",
    "dialects": "VARCHAR",  # comma-separated
    "agent_name": "VARCHAR",
    "agent_id": "VARCHAR",
    "agent_version": "VARCHAR",
    "workflow": "VARCHAR",
    "session_id": "VARCHAR",
    "user_id": "VARCHAR",
    "provider": "VARCHAR",
    "model_requested": "VARCHAR",
    "model_served": "VARCHAR",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cache_read_tokens": "BIGINT",
    "cache_write_tokens": "BIGINT",
    "reasoning_tokens": "BIGINT",
    "cost": "DOUBLE",
    "cache_accounting": "VARCHAR",
    "first_token_ms": "DOUBLE",
    "retry_attempt": "BIGINT",
    "handoff_target": "VARCHAR",
    "tool_name": "VARCHAR",
    "tool_call_id": "VARCHAR",
    "tool_arguments": "VARCHAR",  # canonical JSON (sorted keys) where it is a JSON object
    "tool_arguments_chars": "BIGINT",
    "tool_result": "VARCHAR",
    "tool_result_chars": "BIGINT",
    "input_text": "VARCHAR",
    "input_text_chars": "BIGINT",
    "output_text": "VARCHAR",
    "output_text_chars": "BIGINT",
    # why a payload that stands there is unknown: redacted, truncated, empty
    "arguments_unknown": "VARCHAR",
    "result_unknown": "VARCHAR",
    "input_unknown": "VARCHAR",
    "output_unknown": "VARCHAR",
    # ids of whole texts in `texts`: equal texts have equal ids
    "system_instructions": "UUID",
    "tool_definitions": "UUID",
    "retrieval_documents": "UUID",
    "evaluations": "VARCHAR",  # JSON list of {name,score,label,explanation}
    "finish_reason": "VARCHAR",
    "error_type": "VARCHAR",
    "error_message": "VARCHAR",
    "error_source": "VARCHAR",
    "prompt_version": "VARCHAR",  # as stated, else `blake2:` and a hash of the system instructions
    "service_version": "VARCHAR",
    "deployment": "VARCHAR",  # deployment.environment.name
    "fact_sources": "VARCHAR",  # JSON object fact -> source key
}
LOG_COLUMNS: Final[dict[str, str]] = {
    "trace_id": "VARCHAR",
    "span_id": "VARCHAR",
    "time_ns": "BIGINT",
    "observed_ns": "BIGINT",
    "severity_number": "UTINYINT",
    "severity_text": "VARCHAR",
    "event_name": "VARCHAR",
    "body": "VARCHAR",
    "attributes": "VARCHAR",
    "flags": "UINTEGER",
    "dropped_attributes_count": "UINTEGER",
    "resource_id": "UBIGINT",
    "scope_id": "UBIGINT",
    "arrival_ns": "BIGINT",
    "position": "BIGINT",
    "service": "VARCHAR",
    "genai_event": "VARCHAR",  # the GenAI event that it is (agentspan.logevents); NULL for others
}
RESOURCE_COLUMNS: Final[dict[str, str]] = {
    "resource_id": "UBIGINT",
    "attributes": "VARCHAR",
    "dropped_attributes_count": "UINTEGER",
    "schema_url": "VARCHAR",
}
SCOPE_COLUMNS: Final[dict[str, str]] = {
    "scope_id": "UBIGINT",
    "name": "VARCHAR",
    "version": "VARCHAR",
    "attributes": "VARCHAR",
    "dropped_attributes_count": "UINTEGER",
    "schema_url": "VARCHAR",
}
TEXT_COLUMNS: Final[dict[str, str]] = {
    "text_id": "UUID",  # 128 bits of a hash of the text; a row may be repeated
    "chars": "BIGINT",
    "text": "VARCHAR",
}
TABLES: Final[dict[str, dict[str, str]]] = {
    "spans": SPAN_COLUMNS,
    "log_records": LOG_COLUMNS,
    "resources": RESOURCE_COLUMNS,
    "scopes": SCOPE_COLUMNS,
    "texts": TEXT_COLUMNS,
    "journal_offset": {"journal_offset": "BIGINT"},
    "window_info": {
        "schema_version": "INTEGER",
        "start_ns": "BIGINT",
        "end_ns": "BIGINT",
        "sealed": "BOOLEAN",
    },
    "let_go": {
        "service": "VARCHAR",
        "traces": "BIGINT",
        "spans": "BIGINT",
        "log_records": "BIGINT",
    },
}
# What DuckDB chooses by itself for long texts is often to leave them as they are: the files of the
# developer corpus took 36 MB, with these columns compressed 14, and writing and reading took as long.
COMPRESSED: Final = frozenset(
    (
        "attributes",
        "events",
        "body",
        "tool_arguments",
        "tool_result",
        "input_text",
        "output_text",
        "error_message",
        "text",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows to insert, as columns named by `SPAN_COLUMNS` and its like; `{}` stands for no rows.

    A column is a list, or an Arrow array where `tables.packed` made one to cross a process.

    `resources`, `scopes` and `texts` may repeat what a window already has.
    """

    spans: Columns = field(default_factory=dict)
    log_records: Columns = field(default_factory=dict)
    resources: Columns = field(default_factory=dict)
    scopes: Columns = field(default_factory=dict)
    texts: Columns = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LetGo:
    """How much of a window was about no agent and is kept as a number only."""

    traces: int = 0
    spans: int = 0
    log_records: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowInfo:
    """One window: what it covers in arrival time, how much it holds and where.

    What arrived is what it holds and what was `let_go` together.
    `path` is `None` for a window that lives in memory alone, `bytes_` is its size on disk.
    """

    start_ns: int
    end_ns: int
    state: Literal["open", "sealed"]
    path: Path | None
    spans: int
    log_records: int
    bytes_: int
    let_go: LetGo = LetGo()
