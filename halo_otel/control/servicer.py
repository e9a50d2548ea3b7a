"""Answers of the control API, each from one source."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final, ParamSpec, TypeVar

from halo_otel._pb.halo.v1 import control_pb2 as pb
from halo_otel.clock import Clock
from halo_otel.control import convert
from halo_otel.control.answering import Context, answering
from halo_otel.control.sources import Sources
from halo_otel.errors import BadRequest, NotFound, Overloaded
from halo_otel.findings.lifecycle import OPEN
from halo_otel.findings.registry import Registry
from halo_otel.findings.values import Query
from halo_otel.model.finding import CATEGORIES, Finding, Severity, Status
from halo_otel.model.goal import GoalNode
from halo_otel.model.span import TraceId

P = ParamSpec("P")
T = TypeVar("T")

LIST_MAX: Final = 1000  # rows one answer holds; nobody reads more, and clients take a few MiB
# Questions answered at once. They share the process's few threads with ingest and analysis, which
# must not wait for somebody who asks a lot.
THREADS_MAX: Final = 2
WATCHERS_MAX: Final = 64  # streams open at once; each asks the registry twice a second
WATCH_INTERVAL_S: Final = 0.5
WATCH_BATCH: Final = 100  # transitions read at once


class Servicer:
    """The methods of `halo.v1.Control`; see the .proto for what each promises."""

    def __init__(self, sources: Sources, clock: Clock) -> None:
        self._sources = sources
        self._clock = clock
        self._watchers = 0
        self._threads = asyncio.Semaphore(THREADS_MAX)

    async def ListFindings(
        self, request: pb.ListFindingsRequest, context: Context
    ) -> pb.ListFindingsResponse:
        async with answering(context):
            found = await self._call(self._sources.registry.findings, _query(request))
            return pb.ListFindingsResponse(findings=map(convert.finding_to_proto, found))

    async def ListDroppedClaims(
        self, request: pb.ListDroppedClaimsRequest, context: Context
    ) -> pb.ListDroppedClaimsResponse:
        async with answering(context):
            found = await self._call(self._sources.registry.dropped_claims, _limit(request.limit))
            return pb.ListDroppedClaimsResponse(claims=map(convert.dropped_to_proto, found))

    async def GetFinding(self, request: pb.GetFindingRequest, context: Context) -> pb.Finding:
        async with answering(context):
            return convert.finding_to_proto(await self._finding(request.fingerprint))

    async def Mute(self, request: pb.MuteRequest, context: Context) -> pb.Finding:
        async with answering(context):
            muted = await self._call(
                self._sources.registry.mute,
                request.fingerprint,
                convert.nanoseconds(request.until) if request.HasField("until") else None,
                request.reason,
                self._clock.now_ns(),
            )
            return convert.finding_to_proto(muted)

    async def Unmute(self, request: pb.UnmuteRequest, context: Context) -> pb.Finding:
        async with answering(context):
            heard = await self._call(
                self._sources.registry.unmute, request.fingerprint, self._clock.now_ns()
            )
            return convert.finding_to_proto(heard)

    async def ListWindows(
        self, request: pb.ListWindowsRequest, context: Context
    ) -> pb.ListWindowsResponse:
        async with answering(context):
            windows = await self._call(self._sources.windows)
            ordered = sorted(windows, key=lambda window: window.start_ns)
            return pb.ListWindowsResponse(windows=map(convert.window_to_proto, ordered))

    async def ListTraces(
        self, request: pb.ListTracesRequest, context: Context
    ) -> pb.ListTracesResponse:
        async with answering(context):
            if request.HasField("window_start"):
                start_ns = convert.nanoseconds(request.window_start)
            else:
                windows = await self._call(self._sources.windows)
                if not windows:
                    raise NotFound("there is no window yet: nothing has arrived")
                start_ns = max(window.start_ns for window in windows)
            traces = await self._call(self._sources.traces, start_ns, _limit(request.limit))
            return pb.ListTracesResponse(traces=map(convert.trace_to_proto, traces))

    async def GetTree(self, request: pb.GetTreeRequest, context: Context) -> pb.GetTreeResponse:
        async with answering(context):
            if request.session:
                nodes = await self._call(self._sources.session_tree, request.session)
                if not nodes:
                    raise NotFound(f"no window holds a trace of session {request.session!r}")
                return await self._call(_tree, nodes)
            trace_id = request.trace_id.lower()
            if len(trace_id) != 32 or not all(c in "0123456789abcdef" for c in trace_id):
                raise BadRequest(f"{request.trace_id!r} is no trace id: give 32 hex digits")
            nodes = await self._call(self._sources.tree, TraceId(trace_id))
            if not nodes:
                raise NotFound(f"no window holds trace {trace_id}")
            return await self._call(_tree, nodes)

    async def Analyze(self, request: pb.AnalyzeRequest, context: Context) -> pb.Report:
        async with answering(context):
            return convert.report_to_proto(await self._sources.analyze())

    async def GetReport(self, request: pb.GetReportRequest, context: Context) -> pb.Report:
        async with answering(context):
            report = await self._call(self._sources.report)
            if report is None:
                raise NotFound(
                    "no analysis has finished yet: wait for the window's end, or ask for one now "
                    "with `halo-otel report --now`"
                )
            return convert.report_to_proto(report)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.ServiceStatus:
        async with answering(context):
            return convert.status_to_proto(await self._call(self._sources.status))

    async def Watch(
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.Transition]:
        async with answering(context):
            if self._watchers >= WATCHERS_MAX:
                raise Overloaded(f"{WATCHERS_MAX} clients watch already: try again later")
            self._watchers += 1
            try:
                async for message in self._transitions(request):
                    yield message
            finally:
                self._watchers -= 1

    async def _transitions(self, request: pb.WatchRequest) -> AsyncIterator[pb.Transition]:
        registry = self._sources.registry
        if request.HasField("after_sequence"):
            after = request.after_sequence
        else:
            after = await self._call(_newest, registry)
        while True:
            batch = await self._call(registry.transitions, after, WATCH_BATCH)
            for transition in batch:
                finding = await self._finding(transition.fingerprint)
                yield convert.transition_to_proto(transition, finding)
                after = transition.seq
            if not batch:
                await self._clock.sleep(WATCH_INTERVAL_S)

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns, away from the event loop."""
        async with self._threads:
            return await asyncio.to_thread(function, *args, **kwargs)

    async def _finding(self, fingerprint: str) -> Finding:
        return await self._call(self._sources.registry.finding, fingerprint)


def _tree(nodes: Sequence[GoalNode]) -> pb.GetTreeResponse:
    return pb.GetTreeResponse(nodes=map(convert.node_to_proto, nodes))


def _limit(asked: int) -> int:
    return min(asked or LIST_MAX, LIST_MAX)


def _newest(registry: Registry) -> int:
    """The sequence number of the last transition there is; 0 without any."""
    after = 0
    while batch := registry.transitions(after):
        after = batch[-1].seq
    return after


def _query(request: pb.ListFindingsRequest) -> Query:
    """What was asked for. Raises BadRequest for a word the contract does not have."""
    statuses = tuple(Status(_word(word, "status", Status)) for word in request.statuses)
    severity = _word(request.severity, "severity", Severity) if request.severity else None
    category = _word(request.category, "category", CATEGORIES) if request.category else None
    return Query(
        statuses=statuses or OPEN,
        severity=Severity(severity) if severity else None,
        category=category,
        service=request.service or None,
        fingerprint_prefix=request.fingerprint_prefix,
        limit=_limit(request.limit),
    )


def _word(word: str, what: str, known: Iterable[str]) -> str:
    known = tuple(map(str, known))
    if word not in known:
        raise BadRequest(f"{word!r} is no {what}: use one of {', '.join(known)}")
    return word
