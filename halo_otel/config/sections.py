"""The sections of the configuration. Names mirror the OpenTelemetry Collector's."""

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import quote

from pydantic import BeforeValidator, Field

from halo_otel.config import machine
from halo_otel.config.limiter import MemoryLimiter
from halo_otel.config.llm import Llm
from halo_otel.config.redaction import Redaction
from halo_otel.config.section import Duration, Section, Size
from halo_otel.config.transport import ClientTls, HttpListener, Listener

Keep: TypeAlias = Literal["agents", "all"]


class Storage(Section):
    directory: Path = Field(
        Path("~/.local/share/halo-otel"), description="where journal, windows and registry live"
    )


class Keepalive(Section):
    min_time: Duration = Field(
        10, gt=0, description="shortest ping interval a client may use without being cut off"
    )
    time: Duration = Field(
        60, ge=1, description="quiet time after which a client is asked whether it is still there"
    )
    timeout: Duration = Field(20, gt=0, description="time it may take to answer that")
    max_connection_idle: Duration = Field(
        600, ge=1, description="time a connection is kept without a request"
    )


class Grpc(Listener):
    endpoint: str = Field("localhost:14317", description="address of OTLP/gRPC and the control API")
    max_recv_msg_size_mib: int = Field(
        64, ge=1, le=1024, description="largest request in MiB, also after decompression"
    )
    max_concurrent_streams: int = Field(
        128, ge=1, description="requests one connection may have open at once"
    )
    read_timeout: Duration = Field(
        60, gt=0, description="time in which a request must have come after its header"
    )
    keepalive: Keepalive = Keepalive()


class Http(HttpListener):
    endpoint: str = Field("localhost:14318", description="address of OTLP/HTTP")
    max_request_body_size: Size = Field(
        64 << 20, ge=1 << 10, description="largest body, also after decompression"
    )


class Protocols(Section):
    grpc: Grpc = Grpc()
    http: Http = Http()


class Otlp(Section):
    protocols: Protocols = Protocols()
    max_in_flight_bytes: Size = Field(
        256 << 20,
        ge=1 << 20,
        description="request bytes held at once; above it senders are asked to retry",
    )
    max_concurrent_requests: int = Field(
        1024, ge=1, description="requests open at once; above it senders are asked to retry"
    )
    max_items_per_request: int = Field(
        250_000,
        ge=1000,
        description="spans or log records in one request, and of their attributes, events and links"
        " 16 times as many; above it the request is refused for good",
    )
    retry_delay: Duration = Field(
        2, gt=0, description="what a refused sender is told to wait before it retries"
    )


class Receivers(Section):
    otlp: Otlp = Otlp()


class Journal(Section):
    directory: Path | None = Field(None, description="default: <storage.directory>/journal")
    segment_bytes: Size = Field(64 << 20, ge=1 << 12, description="size at which a segment ends")
    max_bytes: Size = Field(
        2 << 30, ge=1 << 13, description="bytes not yet ingested; above it senders must retry"
    )
    on_damage: Literal["stop", "skip"] = Field(
        "stop", description="damaged acknowledged frames: refuse to start, or set them aside"
    )


# An analysis at 100 spans/s: 180 MiB of its own with one thread, 230 with two (measured), as fast.
_MEMORY_FOR_TWO_THREADS_BYTES: Final = 512 << 20


class Window(Section):
    directory: Path | None = Field(None, description="default: <storage.directory>/windows")
    length: Duration = Field(
        300, ge=1, le=86400, multiple_of=1, description="arrival time one window covers"
    )
    retention: Duration = Field(86400, gt=0, description="age at which a sealed window is deleted")
    retention_bytes: Size = Field(
        10 << 30, ge=1 << 20, description="bytes of sealed windows; the oldest are deleted above it"
    )
    keep: Keep = Field(
        "agents",
        description="all: everything; agents: log records without a trace are let go unless they are"
        " GenAI events, and, one length after a window's end, traces that no agent span came for",
    )
    prices_file: Path | None = Field(
        None, description="TOML table of model prices, believed before the built-in one"
    )
    memory_limit: Size | None = Field(
        None,
        ge=64 << 20,
        description="memory DuckDB may use; default: a quarter of what the container or the machine"
        " has, 1GiB at most",
    )
    threads: int | None = Field(
        None,
        ge=1,
        description="threads DuckDB may use; default: 2, or 1 where it has less than 512MiB, of which each"
        " thread takes its part",
    )
    attribute_count_limit: int = Field(
        16_384,
        ge=1,
        description="attributes stored of one span, log record, event, link, resource or scope; the"
        " first ones",
    )
    attribute_value_length_limit: int = Field(
        16 << 20, ge=1024, description="characters or bytes stored of one text or value of bytes"
    )
    attribute_depth_limit: int = Field(
        32, ge=1, le=100, description="levels of lists and maps stored of one value"
    )
    event_count_limit: int = Field(
        16_384, ge=1, description="events stored of one span; the first ones"
    )
    link_count_limit: int = Field(
        16_384, ge=1, description="links stored of one span; the first ones"
    )
    stall_timeout: Duration = Field(
        300,
        ge=1,
        description="after so long without a request stored, though some wait, the engine is killed"
        " and started again",
    )
    quarantine_bytes: Size = Field(
        256 << 20,
        ge=0,
        description="bytes of requests that cannot be stored, kept in <window.directory>/quarantine;"
        " above it later ones are only counted",
    )
    on_damage: Literal["set_aside", "stop"] = Field(
        "set_aside",
        description="a window's file that cannot be read: move it to <window.directory>/damaged and"
        " go on, or stop",
    )

    @property
    def memory_bytes(self) -> int:
        """Memory DuckDB may use."""
        return self.memory_limit or min(1 << 30, max(64 << 20, machine.memory_bytes() // 4))

    @property
    def thread_count(self) -> int:
        """Threads DuckDB may use."""
        return self.threads or (1 if self.memory_bytes < _MEMORY_FOR_TWO_THREADS_BYTES else 2)


class EarlyTrigger(Section):
    enabled: bool = Field(True, description="analyse before the window ends on an error burst")
    min_errors: int = Field(20, ge=1, description="error spans below which a burst is not believed")
    ratio: float = Field(3.0, gt=1, description="error rate over the baseline's that is a burst")


def _switch(value: object) -> object:
    """`off` for `{enabled: false}`; YAML reads the word as a truth value, a variable as text."""
    switch = {"on": True, "true": True, "off": False, "false": False}
    if isinstance(value, str):
        value = switch.get(value.lower(), value)
    return {"enabled": value} if isinstance(value, bool) else value


class DetectorRule(Section):
    """What an operator says of one detector; `None` leaves it its own."""

    enabled: bool = Field(True, description="whether its findings are told")
    max_severity: Literal["info", "warn", "error", "fatal"] = Field(
        "fatal", description="the worst that its findings may be"
    )
    min_traces: int | None = Field(
        None, ge=1, description="distinct traces for a finding; default: analysis.min_traces"
    )
    min_rate: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the traces that could show it below which it is not told",
    )
    min_waste: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the agent's calls and time below which it is not told",
    )


class Analysis(Section):
    lookback: Duration = Field(
        3600, gt=0, description="how far back a run sees traces and patterns"
    )
    trace_settle: Duration = Field(
        30, ge=0, description="quiet time after which a trace is complete enough to judge"
    )
    max_spans: int = Field(2_000_000, ge=1000, description="spans one run reads; newest first")
    timeout: Duration = Field(
        300, gt=0, description="time a run may take; one that exceeds it is ended"
    )
    memory_limit: Size | None = Field(
        None,
        ge=128 << 20,
        description="memory of the engine's process above which a run is ended; default: three"
        " quarters of what the container or the machine has",
    )
    max_findings: int = Field(100, ge=1, description="findings one run reports")
    max_evidence: int = Field(20, ge=1, description="evidence spans kept for one finding")
    min_traces: int = Field(
        3, ge=1, description="distinct traces a pattern must be seen in to be a finding"
    )
    detectors: dict[str, Annotated[DetectorRule, BeforeValidator(_switch)]] = Field(
        {},
        description="by a detector's name `off`, or any of `enabled`, `max_severity`, `min_traces`,"
        " `min_rate`, `min_waste` (docs/detectors.md)",
    )
    early: EarlyTrigger = EarlyTrigger()

    @property
    def memory_bytes(self) -> int:
        """Memory of the engine's process above which a run is ended."""
        return self.memory_limit or machine.memory_bytes() * 3 // 4


class Registry(Section):
    url: str | None = Field(
        None, description="SQLAlchemy URL; default: SQLite at <storage.directory>/registry.sqlite"
    )
    replica: str | None = Field(
        None, description="name of this instance among those that share a registry; default: host"
    )
    url_file: Path | None = Field(
        None,
        description="file that holds `registry.url`, so that a password stays out of sight; read at the"
        " start",
    )
    on_damage: Literal["stop", "set_aside"] = Field(
        "stop", description="a SQLite file that cannot be read: stop, or rename it and begin anew"
    )
    history: Duration = Field(
        30 * 86400, gt=0, description="age at which transitions and runs are forgotten"
    )
    max_findings: int = Field(
        10_000,
        ge=1,
        description="findings known, those not seen longest go first; of transitions and runs ten times"
        " as many",
    )


class ExporterTls(ClientTls):
    insecure: bool = Field(True, description="plain text, as to a Collector on the same host")


class OtlpExporter(Section):
    enabled: bool = Field(True, description="send findings to the Collector")
    endpoint: str = Field("localhost:4317", description="the Collector's OTLP/gRPC receiver")
    tls: ExporterTls = ExporterTls()
    headers: dict[str, str] = Field({}, description="metadata sent with each request")
    headers_file: Path | None = Field(
        None,
        description="YAML or JSON file that holds `headers`, for tokens; read again before each request",
    )
    compression: Literal["gzip", "none"] = Field("gzip", description="compression of requests")
    timeout: Duration = Field(10, gt=0, description="deadline of one attempt")
    max_backoff: Duration = Field(30, gt=0, description="longest pause between attempts")


class Exporters(Section):
    otlp: OtlpExporter = OtlpExporter()


class Emit(Section):
    repeat_interval: Duration = Field(
        3600, gt=0, description="how often an open finding is told again"
    )
    max_occurrences: int = Field(
        20, ge=0, description="occurrence records per finding and run, into the agents' own traces"
    )
    child_spans: bool = Field(
        False, description="also emit zero-duration child spans in the agents' traces"
    )
    max_outbox: int = Field(
        100_000,
        ge=100,
        description="records waiting for the Collector; the oldest repeats go first",
    )


class Web(HttpListener):
    endpoint: str = Field("localhost:14319", description="address of /healthz, /readyz, /metrics")


class ControlTls(ClientTls):
    insecure: bool | None = Field(
        None, description="plain text; default: unless this section or the gRPC server's says TLS"
    )


class Control(Section):
    """How the commands (`findings`, `report`, …) reach the service."""

    token_file: Path | None = Field(
        None,
        description="file whose first token they send; default:"
        " receivers.otlp.protocols.grpc.auth.tokens_file",
    )
    tls: ControlTls = ControlTls()


class Telemetry(Section):
    log_format: Literal["text", "json"] = Field("text", description="how a log line is written")
    log_line_length: int = Field(
        4096,
        ge=256,
        description="characters of one log line; a traceback may have sixteen times as many",
    )
    log_repeats: int = Field(
        20, ge=1, description="log lines of one kind a minute; further ones are only counted"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what is logged to standard error"
    )
    metrics_interval: Duration = Field(
        60, gt=0, description="how often our own metrics are sent to the Collector"
    )


class Config(Section):
    """All sections. Relative and `~` paths are resolved by `load`."""

    storage: Storage = Storage()
    receivers: Receivers = Receivers()
    journal: Journal = Journal()
    window: Window = Window()
    analysis: Analysis = Analysis()
    memory_limiter: MemoryLimiter = MemoryLimiter()
    registry: Registry = Registry()
    exporters: Exporters = Exporters()
    emit: Emit = Emit()
    llm: Llm = Llm()
    redaction: Redaction = Redaction()
    web: Web = Web()
    control: Control = Control()
    telemetry: Telemetry = Telemetry()

    @property
    def journal_directory(self) -> Path:
        return self.journal.directory or self.storage.directory / "journal"

    @property
    def window_directory(self) -> Path:
        return self.window.directory or self.storage.directory / "windows"

    @property
    def llm_sent_file(self) -> Path:
        return self.storage.directory / "llm" / "sent.jsonl"

    @property
    def llm_memory_file(self) -> Path:
        return self.storage.directory / "llm" / "answers.jsonl"

    @property
    def redaction_key_file(self) -> Path:
        return self.redaction.key_file or self.storage.directory / "redaction.key"

    @property
    def registry_url(self) -> str:
        file = self.storage.directory / "registry.sqlite"
        return self.registry.url or f"sqlite:///{quote(bytes(file))}"
