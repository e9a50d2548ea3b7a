"""The control API from the outside: a small blocking client that gives model values."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final

import grpc

from halo_otel._pb.halo.v1 import control_pb2 as pb
from halo_otel._pb.halo.v1 import control_pb2_grpc
from halo_otel.config.transport import ClientTls
from halo_otel.control import convert
from halo_otel.control.sources import ServiceStatus, TraceSummary
from halo_otel.errors import BadRequest, ConfigError, HaloError, NotFound, Unreachable
from halo_otel.findings.values import DroppedClaim, Transition
from halo_otel.model.finding import Finding
from halo_otel.model.goal import GoalNode
from halo_otel.model.report import Report
from halo_otel.tls import channel_credentials, name_options
from halo_otel.window import WindowInfo

ANSWER_TIMEOUT_S: Final = 30.0
ANALYSIS_TIMEOUT_S: Final = 600.0
# What gRPC itself says of a call whose server went away: orderly, or killed.
_STOPPED: Final = ("Cancelling all calls", "Socket closed", "Connection reset")
ANSWER_BYTES_MAX: Final = 256 << 20  # a report lists every affected trace


class ControlClient:
    """Asks the service whose OTLP/gRPC port is at `endpoint` (`host:port`). A context manager.

    Every method raises Unreachable when nothing answers, NotFound for what does not exist, BadRequest
    for what can never succeed and ConfigError when something other than halo-otel answers.
    """

    def __init__(
        self, endpoint: str, *, tls: ClientTls | None = None, token: str | None = None
    ) -> None:
        """`tls`: how to speak TLS, None for plain text; `token`: a bearer token of the service's."""
        self._endpoint = endpoint
        self._tls = tls
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._channel: grpc.Channel | None = None
        self._control: Any = None

    def __enter__(self) -> "ControlClient":
        options: list[tuple[str, int | str]] = [
            ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
            ("grpc.enable_http_proxy", 0),
        ]
        where = reachable(self._endpoint)
        if self._tls is None:
            self._channel = grpc.insecure_channel(where, options=options)
        else:
            secrets = channel_credentials(self._tls, "control.tls")
            options += name_options(self._tls)
            self._channel = grpc.secure_channel(where, secrets, options=options)
        self._control = control_pb2_grpc.ControlStub(self._channel)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._channel is not None:
            self._channel.close()

    def findings(
        self,
        *,
        statuses: Sequence[str] = (),
        severity: str | None = None,
        category: str | None = None,
        service: str | None = None,
        fingerprint_prefix: str = "",
        limit: int = 0,
    ) -> tuple[Finding, ...]:
        """Findings by priority; open ones unless `statuses` says otherwise."""
        request = pb.ListFindingsRequest(
            statuses=statuses,
            severity=severity,
            category=category,
            service=service,
            fingerprint_prefix=fingerprint_prefix,
            limit=limit,
        )
        answer = self._ask(self._control.ListFindings, request)
        return tuple(map(convert.finding_from_proto, answer.findings))

    def dropped_claims(self, limit: int = 0) -> tuple[DroppedClaim, ...]:
        """What models said that did not hold, newest first."""
        request = pb.ListDroppedClaimsRequest(limit=limit)
        answer = self._ask(self._control.ListDroppedClaims, request)
        return tuple(map(convert.dropped_from_proto, answer.claims))

    def finding(self, fingerprint: str) -> Finding:
        """One finding."""
        request = pb.GetFindingRequest(fingerprint=fingerprint)
        return convert.finding_from_proto(self._ask(self._control.GetFinding, request))

    def mute(self, fingerprint: str, *, until_ns: int | None = None, reason: str = "") -> Finding:
        """No more notices about a finding, for good or until a time."""
        until = None if until_ns is None else convert.timestamp(until_ns)
        request = pb.MuteRequest(fingerprint=fingerprint, until=until, reason=reason)
        return convert.finding_from_proto(self._ask(self._control.Mute, request))

    def unmute(self, fingerprint: str) -> Finding:
        """Take back `mute`."""
        request = pb.UnmuteRequest(fingerprint=fingerprint)
        return convert.finding_from_proto(self._ask(self._control.Unmute, request))

    def windows(self) -> tuple[WindowInfo, ...]:
        """Windows on the service's disk, oldest first."""
        answer = self._ask(self._control.ListWindows, pb.ListWindowsRequest())
        return tuple(map(convert.window_from_proto, answer.windows))

    def traces(
        self, window_start_ns: int | None = None, limit: int = 0
    ) -> tuple[TraceSummary, ...]:
        """Traces of a window, newest first; of the newest window by default."""
        start = None if window_start_ns is None else convert.timestamp(window_start_ns)
        request = pb.ListTracesRequest(window_start=start, limit=limit)
        answer = self._ask(self._control.ListTraces, request)
        return tuple(map(convert.trace_from_proto, answer.traces))

    def tree(self, trace_id: str = "", *, session: str = "") -> tuple[GoalNode, ...]:
        """The goal tree of a trace, or of a session with all of its traces."""
        request = pb.GetTreeRequest(trace_id=trace_id, session=session)
        answer = self._ask(self._control.GetTree, request)
        return tuple(map(convert.node_from_proto, answer.nodes))

    def analyze(self) -> Report:
        """Analyse now; returns when that is done."""
        answer = self._ask(self._control.Analyze, pb.AnalyzeRequest(), ANALYSIS_TIMEOUT_S)
        return convert.report_from_proto(answer)

    def report(self) -> Report:
        """The report of the last analysis."""
        return convert.report_from_proto(self._ask(self._control.GetReport, pb.GetReportRequest()))

    def status(self) -> ServiceStatus:
        """How the service is doing."""
        return convert.status_from_proto(self._ask(self._control.GetStatus, pb.GetStatusRequest()))

    def watch(self, after_sequence: int | None = None) -> Iterator[tuple[Transition, Finding]]:
        """Transitions after a sequence number, or from now on; ends with `Unreachable`."""
        with self._errors():
            request = pb.WatchRequest(after_sequence=after_sequence)
            for message in self._control.Watch(request, metadata=self._metadata):
                yield convert.transition_from_proto(message)
        raise Unreachable(_stopped(self._endpoint))

    def _ask(
        self, method: Callable[..., Any], request: object, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> Any:
        with self._errors():
            return method(request, timeout=timeout_s, metadata=self._metadata)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise _error(self._endpoint, error) from error


def reachable(endpoint: str) -> str:
    """Where to call a server that listens at `endpoint`: every address means this machine."""
    host, colon, port = endpoint.rpartition(":")
    return f"localhost:{port}" if colon and host in ("", "0.0.0.0", "[::]") else endpoint


def _error(endpoint: str, error: Any) -> HaloError:
    details = error.details() or ""
    match error.code():
        case grpc.StatusCode.NOT_FOUND:
            return NotFound(details)
        case grpc.StatusCode.INVALID_ARGUMENT:
            return BadRequest(details)
        case grpc.StatusCode.UNIMPLEMENTED:
            return ConfigError(
                f"what answers at {endpoint} is not halo-otel: give its address with --endpoint"
            )
        case grpc.StatusCode.UNAUTHENTICATED:
            return ConfigError(
                f"{endpoint} does not let us in: name a file with one of its tokens as"
                " control.token_file"
            )
        case grpc.StatusCode.UNAVAILABLE if "handshake" in details.lower():
            return ConfigError(
                f"{endpoint}: no TLS handshake ({details}): see control.tls in the configuration"
            )
        case grpc.StatusCode.UNAVAILABLE if "connect" in details and "Socket closed" in details:
            return Unreachable(
                f"{endpoint} ended the connection before a word was said: does it speak TLS, or ask for a"
                " certificate? See control.tls in the configuration"
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return Unreachable(f"no answer from {endpoint} in time: try again, or see its log")
        case grpc.StatusCode.UNAVAILABLE if "connect" in details or "resol" in details:
            return Unreachable(f"nothing answers: is `halo-otel serve` running at {endpoint}?")
        case grpc.StatusCode.UNAVAILABLE if any(words in details for words in _STOPPED):
            return Unreachable(_stopped(endpoint))
        case _:
            return Unreachable(f"{endpoint}: {details}")


def _stopped(endpoint: str) -> str:
    return f"the service stopped: start it again at {endpoint}"
