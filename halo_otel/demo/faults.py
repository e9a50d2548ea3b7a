"""Planting faults into runs, and the labels that say what was planted.

A fault is a way of conducting tool uses: it lets a healthy run go on until its tool is used, and then
spoils that use. Every fault has the category of the report contract it must be reported under.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from halo_otel.demo.recording import Abandoned, Agent, Call, Conduct, Failure, Run, Use
from halo_otel.model.finding import Finding

# Share of tool uses that fail once for a moment and work when tried again (normal life).
TRANSIENT_SHARE: Final = 0.004
WRITES: Final = ("create_", "edit_", "hold_", "refund_", "send_", "cancel_", "git_commit", "start_")


class FaultKind(StrEnum):
    """The faults that can be planted."""

    ERROR_SIGNATURE = "error_signature"
    EXACT_LOOP = "exact_loop"
    PERIODIC_LOOP = "periodic_loop"
    RETRY_STORM = "retry_storm"
    REDUNDANT_CALLS = "redundant_calls"
    SLOW_MODE = "slow_mode"


# kind -> (category, other categories that also describe this fault truthfully)
CATEGORY: Final[dict[FaultKind, tuple[str, tuple[str, ...]]]] = {
    FaultKind.ERROR_SIGNATURE: ("error", ("cascade", "swallowed_error")),
    FaultKind.EXACT_LOOP: ("loop", ("redundant_call", "no_progress", "step_limit")),
    FaultKind.PERIODIC_LOOP: (
        "loop",
        ("redundant_call", "no_progress", "step_limit"),
    ),
    FaultKind.RETRY_STORM: ("retry_storm", ("error", "loop", "cascade", "swallowed_error")),
    FaultKind.REDUNDANT_CALLS: ("redundant_call", ()),
    FaultKind.SLOW_MODE: ("latency", ()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault to plant: in `rate` (0..1) of the runs in which `agent` uses `tool`."""

    kind: FaultKind
    service: str
    agent: str
    tool: str
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """A planted fault in one trace.

    `cause_span_ids` are the spans a person would accept as the one to blame: the first wrong call,
    the model turn that asked for it, and the HTTP request under it.
    """

    trace_id: str
    span_ids: tuple[str, ...]
    cause_span_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A planted fault and everywhere it happened."""

    fault: Fault
    category: str
    also: tuple[str, ...]
    tools: tuple[str, ...]  # all tools the fault runs through
    occurrences: tuple[Occurrence, ...]

    @property
    def trace_ids(self) -> frozenset[str]:
        return frozenset(one.trace_id for one in self.occurrences)

    def told_by(self, finding: Finding, *, also: bool = False) -> bool:
        """Whether `finding` is about this fault.

        It is if it has the fault's category (or, with `also`, one that also describes it), does not
        contradict its service, agent and tools, and at least half of its traces carry the fault.
        """
        subject, fault = finding.subject, self.fault
        if finding.category != self.category and not (also and finding.category in self.also):
            return False
        if subject.service not in (None, fault.service):
            return False
        if subject.agent not in (None, fault.agent):
            return False
        if subject.tool is not None and not any(tool in subject.tool for tool in self.tools):
            return False
        carrying = self.trace_ids.intersection(finding.traces)
        return 2 * len(carrying) >= len(finding.traces) > 0


@dataclass(slots=True)
class Trail:
    """What a fault left in one run."""

    spans: list[Call] = field(default_factory=list)
    causes: list[Call] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)

    def add(self, agent: Agent, call: Call, *, cause: bool = False) -> None:
        """Note `call`; a cause takes the model turn that asked for it and its own children along."""
        self.spans.append(call)
        self.tools.append(call.name)
        if cause:
            turn = [c for c in agent.call.children if c.turn == call.turn and c.name == "chat"]
            self.causes += [call, *call.children, *turn]


class Healthy:
    """Normal life: uses go as intended, and once in a while a first try fails and the second works."""

    def use(self, agent: Agent, use: Use) -> None:
        if agent.run.rng.random() < TRANSIENT_SHARE:
            agent.perform(use, failure=_transient(agent.run))
            agent.run.pause(agent.run.rng.uniform(1, 3))
        agent.perform(use)


class Faulty:
    """Normal life until `fault`'s tool is used; then, with its rate, the fault."""

    def __init__(self, fault: Fault, trail: Trail) -> None:
        self._fault = fault
        self._trail = trail
        self._healthy: Conduct = Healthy()
        self._decided: bool | None = None
        self._kept: Use | None = None  # redundant calls: what is asked again and again

    def use(self, agent: Agent, use: Use) -> None:
        if self._fault.kind is FaultKind.REDUNDANT_CALLS:
            self._use_redundantly(agent, use)
        elif self._hits(agent, use):
            _PLAYS[self._fault.kind](agent, use, self._trail)
        else:
            self._healthy.use(agent, use)

    def _hits(self, agent: Agent, use: Use) -> bool:
        fault = self._fault
        if (agent.name, use.tool.name) != (fault.agent, fault.tool):
            return False
        if fault.kind is FaultKind.PERIODIC_LOOP and not _readable_past(agent, use):
            return False
        if self._decided is None:
            self._decided = agent.run.rng.random() < fault.rate
            return self._decided
        # A slow tool is slow for the whole run; the others strike once.
        return self._decided and fault.kind is FaultKind.SLOW_MODE

    def _use_redundantly(self, agent: Agent, use: Use) -> None:
        self._healthy.use(agent, use)
        if self._kept is None:
            if self._hits(agent, use):
                self._kept = use
        elif use.tool.name.startswith(WRITES):
            self._kept = None  # after a write, asking again is reasonable
        elif agent.name == self._fault.agent and use.tool != self._kept.tool:
            self._trail.add(agent, agent.perform(self._kept), cause=True)


def _readable_past(agent: Agent, use: Use) -> list[Use]:
    """The latest earlier reads by other tools, newest last: what a run can fall back into."""
    distinct: dict[str, Use] = {}
    for past in agent.past:
        name = past.tool.name
        if past.arguments and name != use.tool.name and not name.startswith(WRITES):
            distinct.pop(name, None)
            distinct[name] = past
    return list(distinct.values())[-2:]


def _play_error(agent: Agent, use: Use, trail: Trail) -> None:
    failure = _outage(agent.run, use)
    trail.add(agent, agent.perform(use, failure=failure), cause=True)
    reraised = failure if agent.run.rng.random() < 0.5 else None
    raise Abandoned(f"I'm sorry, {use.tool.name} is not available right now.", reraised)


def _play_exact_loop(agent: Agent, use: Use, trail: Trail) -> None:
    for turn in range(agent.run.rng.randrange(4, 10)):
        trail.add(agent, agent.perform(use), cause=turn < 2)
    _give_up_mostly(agent)


def _play_periodic_loop(agent: Agent, use: Use, trail: Trail) -> None:
    past = _readable_past(agent, use)
    cycle = [*past[-agent.run.rng.randrange(1, len(past) + 1) :], use]
    for turn in range(agent.run.rng.randrange(3, 7)):
        for step in cycle:
            trail.add(agent, agent.perform(step), cause=turn < 2)
    _give_up_mostly(agent)


def _play_retry_storm(agent: Agent, use: Use, trail: Trail) -> None:
    rng = agent.run.rng
    asks = rng.random() < 0.3  # the model asks again; else the tool's own client retries in a loop
    for turn in range(rng.randrange(5, 13)):
        failure = _outage(agent.run, use)
        call = agent.perform(use, failure=failure, ask=asks or turn == 0)
        agent.run.pause(rng.uniform(0.002, 0.03))
        trail.add(agent, call, cause=turn < 2)
    if rng.random() < 0.7:
        raise Abandoned(f"I could not reach {use.tool.name}; please try again later.")
    agent.perform(use)


def _play_slow_mode(agent: Agent, use: Use, trail: Trail) -> None:
    trail.add(agent, agent.perform(use, slower=agent.run.rng.uniform(8, 20)), cause=True)


def _give_up_mostly(agent: Agent) -> None:
    if agent.run.rng.random() < 0.6:
        raise Abandoned("I stopped because I reached the maximum number of steps.")


def _outage(run: Run, use: Use) -> Failure:
    """One defect of one tool; what varies from time to time must not hide that it is the same."""
    rng = run.rng
    text = (
        f"upstream call {rng.randrange(10**5, 10**6)} to {use.tool.name} backend failed: "
        f"request req_{rng.getrandbits(48):012x} timed out after {rng.randrange(3000, 3400)} ms "
        f"(pool node-{rng.randrange(1, 40)})"
    )
    return Failure(type="UpstreamTimeoutError", message=text, http_status=504)


_TRANSIENTS: Final[tuple[tuple[str, str, int | None], ...]] = (
    ("ConnectionResetError", "[Errno 104] Connection reset by peer", None),
    ("ReadTimeout", "The read operation timed out (read timeout=10.0)", None),
    ("RateLimitError", "Error code: 429 - rate limit reached for request req_{id}", 429),
    ("ServiceUnavailable", "503 Service Unavailable, trace {id}", 503),
)


def _transient(run: Run) -> Failure:
    kind, text, status = run.rng.choice(_TRANSIENTS)
    message = text.replace("{id}", f"{run.rng.getrandbits(40):010x}")
    return Failure(type=kind, message=message, http_status=status)


_PLAYS: Final[dict[FaultKind, Callable[[Agent, Use, Trail], None]]] = {
    FaultKind.ERROR_SIGNATURE: _play_error,
    FaultKind.EXACT_LOOP: _play_exact_loop,
    FaultKind.PERIODIC_LOOP: _play_periodic_loop,
    FaultKind.RETRY_STORM: _play_retry_storm,
    FaultKind.SLOW_MODE: _play_slow_mode,
}
