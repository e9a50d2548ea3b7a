"""The model tier of a running service: deepens the newest report, one at a time, after it was told.

Deterministic findings never wait for it: it works on a copy, in a task of its own, and what it adds is
recorded as a run of its own (trigger `model`), which moves the life of nothing but what the model found. A
newer report replaces one that waits. An endpoint that fails, and a mistake of ours in here, cost what the model
would have added, a log line and a count.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import ExitStack

from halo_otel.analysis.judgement import Judgement
from halo_otel.clock import NS_PER_S, Clock
from halo_otel.config.llm import Llm
from halo_otel.errors import HaloError
from halo_otel.findings import UNRESOLVED, DroppedClaim, Query, Registry, RunInfo
from halo_otel.model.finding import MODEL_TIER, Subject
from halo_otel.model.report import Report
from halo_otel.recursion.absence import absent
from halo_otel.recursion.claims.claim import Dropped
from halo_otel.recursion.deepen import Deepened
from halo_otel.redact.redactor import Redactor
from halo_otel.redact.reports import redacted
from halo_otel.selfobs import Counters
from halo_otel.service.link import reason
from halo_otel.service.reasoning import Reasoning
from halo_otel.window.store import WindowStore

logger = logging.getLogger(__name__)

TRIGGER = "model"
# Findings of the model whose silence is looked at; those beyond are the least important ones.
KNOWN_FINDINGS_MAX = 10_000


class Thinker:
    """`offer` reports, from any thread; `run` deepens them until it is cancelled."""

    def __init__(
        self,
        reasoning: Reasoning,
        registry: Registry,
        store: WindowStore,
        clock: Clock,
        counters: Counters,
        llm: Llm,
        *,
        lookback_s: float,
        redact: Redactor | None = None,
    ) -> None:
        self._reasoning = reasoning
        self._redact = redact  # what is recorded passes through it
        self._registry = registry
        self._store = store
        self._clock = clock
        self._counters = counters
        self._llm = llm
        self._lookback_ns = round(lookback_s * NS_PER_S)
        self._loop = asyncio.get_running_loop()
        self._waiting: tuple[Report, Sequence[Judgement]] | None = None
        self._offered = asyncio.Event()
        # Arrivals until then were looked at; those before the start maybe, by an earlier process.
        self._seen_ns = clock.arrival_ns()

    def offer(self, report: Report, judgements: Sequence[Judgement]) -> None:
        """Have `report` deepened when the one before is done."""
        self._loop.call_soon_threadsafe(self._take, report, judgements)

    def _take(self, report: Report, judgements: Sequence[Judgement]) -> None:
        self._waiting = (report, judgements)
        self._offered.set()

    async def run(self) -> None:
        """Deepen what is offered; ends by cancellation."""
        while True:
            await self._offered.wait()
            await self.tick()

    async def tick(self) -> None:
        """Deepen what waits, if anything does."""
        self._offered.clear()
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        began_ns = self._clock.now_ns()
        try:
            deepened, judged = await self._deepened(*waiting)
            await asyncio.to_thread(self._record, deepened, judged, began_ns)
        except HaloError as error:
            self._count_failure(error)
            logger.error("the model added nothing: %s", error)  # noqa: TRY400 (the message is for people)
        except Exception as error:
            # What a model answers leads to places no test has been: the engine must not die at it.
            self._count_failure(error)
            logger.exception("the model added nothing, by a mistake of this program")

    def _count_failure(self, error: Exception) -> None:
        name = type(reason(error)).__name__
        self._counters.add("halo.llm.failed_analyses", reason=name)

    async def _deepened(
        self, report: Report, judgements: Sequence[Judgement]
    ) -> tuple[Deepened, Sequence[Judgement]]:
        """What the model adds to `report`, and the judgements it could see."""
        with ExitStack() as stack:
            since_ns = self._clock.arrival_ns() - self._lookback_ns
            view = await asyncio.to_thread(stack.enter_context, self._store.view(since_ns))
            seen = {trace.trace_id for trace in await asyncio.to_thread(view.traces_last_arrival)}
            visible = [one for one in judgements if one.trace_id in seen]
            return await self._reasoning.deepen(view, report, visible), visible

    def _record(self, deepened: Deepened, judged: Sequence[Judgement], began_ns: int) -> None:
        report, now_ns = deepened.report, self._clock.now_ns()
        report = report if self._redact is None else redacted(report, self._redact)
        for kind, count in deepened.reasons.items():
            self._counters.add("halo.llm.dropped_claims", count, reason=kind)
        for what, why in deepened.unfinished:
            logger.warning("the model did not finish %s: %s", what, why)
        self._registry.record_model(
            report,
            RunInfo(
                start_ns=report.window.start_ns,
                end_ns=report.window.end_ns,
                trigger=TRIGGER,
                duration_s=(now_ns - began_ns) / NS_PER_S,
            ),
            now_ns,
            self._absent(deepened, judged),
            [_kept(one, now_ns, self._llm.model or "", self._redact) for one in deepened.dropped],
            dropped_max=self._llm.dropped_claims,
        )
        self._seen_ns = max((self._seen_ns, *(one.last_arrival_ns for one in judged)))
        logger.info(
            "the model looked at %d clusters: %d requests, %d of %d claims did not hold",
            deepened.clusters,
            report.usage.model_calls,
            report.usage.claims_dropped,
            report.usage.claims_checked,
        )

    def _absent(self, deepened: Deepened, judged: Sequence[Judgement]) -> dict[str, int | None]:
        """What this run's silence says of what the model found before."""
        open_ = self._registry.findings(Query(statuses=UNRESOLVED, limit=KNOWN_FINDINGS_MAX))
        return absent(
            [finding for finding in open_ if finding.tier == MODEL_TIER],
            [one for one in judged if one.last_arrival_ns > self._seen_ns],
            deepened.passed_over,
        )


def _kept(
    dropped: Dropped, now_ns: int, model: str, redact: Redactor | None = None
) -> DroppedClaim:
    claim = dropped.claim
    text = str if redact is None else redact.text
    return DroppedClaim(
        at_ns=now_ns,
        reason=dropped.reason.value,
        why=text(dropped.why),
        statement="" if claim is None else text(claim.statement),
        subject=Subject() if claim is None else Subject(**claim.subject.model_dump()),
        cluster=dropped.cluster,
        asked=model,
    )
