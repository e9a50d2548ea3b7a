"""What a generator of agent traffic gives, whoever wrote it: spans, and the truth about them.

Generators know this page and the conventions, never the detectors. A window holds runs of some
application; in a share of them one or more faults are planted, others hold what looks like a fault
and is none. Spans are written as a real instrumentation of the window's dialect writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from halo_otel.model.span import LogRecord, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of fault as a user would put it, and the healthy thing that is taken for it."""

    name: str
    category: str  # of the report contract
    means: str
    looks_alike: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One fault in one window: who has it, in which traces, and which spans of each are its cause."""

    fault: str
    category: str
    service: str
    agent: str
    tool: str | None
    causes: Mapping[str, tuple[str, ...]]  # trace id -> ids of the spans to blame


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window's telemetry in the order of arrival, and what is true about it.

    `failed` are the traces whose run did not do its task; a window without `planted` is clean.
    """

    name: str
    application: str
    dialect: str
    spans: tuple[Span, ...]
    log_records: tuple[LogRecord, ...] = ()
    planted: tuple[Planted, ...] = ()
    failed: frozenset[str] = frozenset()
    lures: tuple[str, ...] = field(default=())  # names of the look-alikes in it


FAULTS: Final[tuple[Fault, ...]] = tuple(
    Fault(name=name, category=category, means=means, looks_alike=looks_alike)
    for name, category, means, looks_alike in (
        (
            "tool_error",
            "error",
            "a tool fails with one kind of error again and again",
            "now and then a call fails with something else, and the retry works",
        ),
        (
            "loop_exact",
            "loop",
            "the same call is made three times or more with the same answer",
            "polling until a job is done",
        ),
        (
            "loop_periodic",
            "loop",
            "two to four calls in turn, the same each round, same answers",
            "edit and test cycles whose results change",
        ),
        (
            "loop_near",
            "loop",
            "nearly the same call (a word reordered) again and again, same answer",
            "pagination, a batch over files",
        ),
        (
            "retry_storm",
            "retry_storm",
            "a failing call is made four times or more unchanged",
            "one or two retries with growing pauses that work",
        ),
        (
            "redundant_call",
            "redundant_call",
            "an agent asks again what it knows, nothing was written in between",
            "reading again after a write",
        ),
        (
            "unknown_tool",
            "unknown_tool",
            "the model calls a tool that is not among those it was offered",
            "a rarely used tool that exists",
        ),
        (
            "misnamed_argument",
            "invalid_arguments",
            "an argument's name is wrong (orderid for order_id) and the call fails",
            "an optional argument that few calls use",
        ),
        (
            "wrong_type",
            "invalid_arguments",
            "an argument has the wrong type or a value outside its enum",
            "a number as text that the schema allows",
        ),
        (
            "missing_argument",
            "invalid_arguments",
            "a required argument is left out and the call fails",
            "an optional argument left out",
        ),
        (
            "ungrounded_argument",
            "ungrounded_argument",
            "an id is used that nobody said before",
            "an id from an earlier turn of the session or from the user",
        ),
        (
            "ignored_tool_error",
            "ignored_tool_error",
            "a tool fails and the model answers as if it had worked",
            "the model says that it failed",
        ),
        (
            "malformed_output",
            "malformed_output",
            "the model's output cannot be parsed, the framework asks again or fails",
            "a tool whose own result is not JSON",
        ),
        (
            "refusal_loop",
            "refusal",
            "the model refuses a legitimate step again and again although it is asked again",
            "one refusal by policy",
        ),
        (
            "truncation",
            "truncation",
            "answers are cut off at the token limit",
            "short answers that end by themselves",
        ),
        (
            "huge_result",
            "context_growth",
            "one tool result blows up the next prompt",
            "a long result that is summarised before it is used",
        ),
        (
            "context_growth",
            "context_growth",
            "the prompt grows with every turn far beyond other runs until it overflows",
            "a long conversation that is compacted",
        ),
        (
            "no_progress",
            "no_progress",
            "many steps without anything new learned or written",
            "a long search that finds something new each time",
        ),
        (
            "step_limit",
            "step_limit",
            "runs end at the maximum number of steps without an answer",
            "long runs that end with an answer",
        ),
        (
            "premature_end",
            "premature_end",
            "the agent says it is done while a part of the task failed or was not begun",
            "the agent says what it could not do",
        ),
        (
            "cascade",
            "cascade",
            "one failed step makes several later ones fail",
            "independent failures, each recovered",
        ),
        (
            "swallowed_error",
            "swallowed_error",
            "an inner operation fails, the step reports success, the run goes wrong",
            "a fallback that works",
        ),
        (
            "stale_read",
            "stale_data",
            "an agent acts on an older version than another agent has already seen",
            "a cache refreshed before use",
        ),
        (
            "conflicting_write",
            "conflicting_write",
            "two agents write different values to one thing, neither saw the other's",
            "two agents write different things, or the same value",
        ),
        (
            "lost_update",
            "conflicting_write",
            "a write is based on a version that is no longer current and undoes another",
            "read, write, read again, write",
        ),
        (
            "duplicate_work",
            "duplicate_work",
            "two agents do the same calls with the same results",
            "workers that share a first lookup on purpose, once",
        ),
        (
            "handoff_loop",
            "handoff_loop",
            "agents hand the task back and forth without progress",
            "a supervisor that gets each worker's result",
        ),
        (
            "orphan_delegation",
            "orphan_delegation",
            "a delegated task never ends, or nobody uses its result",
            "fire and forget notifications",
        ),
        (
            "waiting",
            "waiting",
            "an agent idles for a large part of the run until another one or a queue lets it go on",
            "waiting for a human's approval",
        ),
        (
            "slow_tool",
            "latency",
            "part of a tool's calls are many times slower than the rest",
            "a heavy-tailed but single distribution",
        ),
        (
            "costly_runs",
            "cost",
            "part of the runs use many times the tokens of comparable ones for the same outcome",
            "large inputs that need more tokens",
        ),
        (
            "serial_calls",
            "serial_calls",
            "independent calls are made one after the other and dominate the run's time",
            "calls that need each other's results",
        ),
        (
            "cohort",
            "cohort",
            "runs of one version, model or region (or a pair of them) fail far more often",
            "a cohort that is small and fails as often by chance",
        ),
        (
            "skipped_step",
            "skipped_step",
            "a step that good runs make (a check) is left out by failed ones",
            "an optional step",
        ),
        (
            "leaked_credential",
            "data_exposure",
            "a live-looking credential stands in arguments or an answer",
            "documentation's example keys, masked keys",
        ),
        (
            "personal_data",
            "data_exposure",
            "card or bank numbers of customers are sent to an outside tool",
            "the customer's own address in a support case",
        ),
        (
            "content_off",
            "instrumentation",
            "what tools and models are asked and answered is not recorded",
            "a few calls without payload",
        ),
    )
)
