"""What the demo plays: real traces, and generated agents of which two are ill and one is healthy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from halo_otel.clock import NS_PER_S
from halo_otel.demo import bundled
from halo_otel.demo.faults import Fault, FaultKind, Label
from halo_otel.demo.traffic import generate
from halo_otel.model.span import Span

BURSTS: Final = 4
RUNS_PER_BURST: Final = 30  # of each application
HEALTHY_SERVICE: Final = "support-desk"
# Every run of a burst is over when it is sent: the longest take about three minutes.
BEHIND_S: Final = 300
SPREAD_S: Final = 60

FAULTS: Final = (
    Fault(
        kind=FaultKind.EXACT_LOOP,
        service="travel-assistant",
        agent="flights",
        tool="search_flights",
        rate=0.45,
    ),
    Fault(
        kind=FaultKind.ERROR_SIGNATURE,
        service="travel-assistant",
        agent="flights",
        tool="hold_seat",
        rate=0.5,
    ),
    Fault(
        kind=FaultKind.RETRY_STORM,
        service="code-agent",
        agent="engineer",
        tool="git_commit",
        rate=0.4,
    ),
    Fault(
        kind=FaultKind.REDUNDANT_CALLS,
        service="code-agent",
        agent="engineer",
        tool="list_files",
        rate=0.6,
    ),
    Fault(
        kind=FaultKind.SLOW_MODE,
        service="code-agent",
        agent="engineer",
        tool="fetch_issue",
        rate=0.5,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What is sent at once: whole traces, spans in the order of their ends."""

    spans: tuple[Span, ...]
    labels: tuple[Label, ...]
    runs: int


def bursts(now_ns: int) -> Iterator[Burst]:
    """The bursts, one after the other, all over by `now_ns`."""
    start_ns, lasting_ns = now_ns - BEHIND_S * NS_PER_S, SPREAD_S * NS_PER_S
    real = [
        bundled.replayed(name, start_ns=start_ns, duration_ns=lasting_ns) for name in bundled.NAMES
    ]
    order = {span.trace_id: None for spans in real for span in spans}
    place = {trace_id: number % BURSTS for number, trace_id in enumerate(order)}
    for number in range(BURSTS):
        made = generate(
            seed=f"demo {number}",
            runs=RUNS_PER_BURST,
            start_ns=start_ns,
            duration_ns=lasting_ns,
            faults=FAULTS,
        )
        replayed = [span for spans in real for span in spans if place[span.trace_id] == number]
        spans = sorted([*made.spans, *replayed], key=lambda span: span.end_ns)
        runs = len({span.trace_id for span in spans})
        yield Burst(spans=tuple(spans), labels=made.labels, runs=runs)
