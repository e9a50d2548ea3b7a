"""What each detector's findings mean, in words for people: the documents, SARIF rules and the configuration
know detectors from here. A test holds this list and the detectors themselves together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One detector: what it claims, how that looks, and when it says nothing."""

    name: str
    category: str
    means: str
    example: str
    abstains: str


def _of(name: str, category: str, means: str, example: str, abstains: str) -> Explanation:
    return Explanation(
        name=name, category=category, means=means, example=example, abstains=abstains
    )


_ALL: Final = (
    _of(
        "error_signature",
        "error",
        "The same error comes back run after run. Messages that differ only in ids, numbers and paths are one"
        " error, and of an exception that every ancestor records again the deepest is told.",
        "`query` fails with “Table «…» doesn't exist” in 214 of 400 runs.",
        "An operation whose failure is recorded neither as status, exception nor error text. It is a note only where the"
        " runs make it good and little is lost, or where it lasts in fewer than one run of fifty.",
    ),
    _of(
        "retry_storm",
        "retry_storm",
        "A failing call is made again and again: four times or more, beyond what clients retry by themselves.",
        "`charge_card` answers 503 nine times within two seconds.",
        "Arguments are unknown; a retry that works; pauses that grow.",
    ),
    _of(
        "loop",
        "loop",
        "An agent goes round in circles: the same call, or the same sequence of up to six calls, three times or"
        " more with the same answers.",
        "`search_flights` with the same dates, eight times, always the same list.",
        "Arguments or answers are unknown; polling that ends; paging; a batch; editing and testing.",
    ),
    _of(
        "loop_near",
        "loop",
        "Nearly the same call again and again, answered the same: the words change, nothing is learned.",
        "`search` for “cheap hotel Rome”, “hotel Rome cheap”, “cheap Rome hotel”, all with the same result.",
        "Arguments or answers are unknown; a number or an id changes (pages, batches).",
    ),
    _of(
        "redundant_call",
        "redundant_call",
        "A call asks for what the run knows already, with nothing written in between.",
        "`get_user` is asked four times for the same user in one run.",
        "Arguments or answers are unknown; answers that change; a habit of the successful runs too.",
    ),
    _of(
        "cacheable_call",
        "redundant_call",
        "Many runs ask a tool the same and get the same answer: a cache across runs would save the call.",
        "`get_exchange_rates` returns the same table in 180 runs of the hour.",
        "Arguments or answers are unknown; the answer changed in the time seen; a tool that writes.",
    ),
    _of(
        "unknown_tool",
        "unknown_tool",
        "The agent calls a tool that does not exist, and which it probably meant.",
        "`get_orders` is called; there is `get_order`.",
        "Tools of that name succeed somewhere; a tool that fails for reasons of its own.",
    ),
    _of(
        "invalid_arguments",
        "invalid_arguments",
        "Calls are refused because their arguments break the tool's schema: the recorded one, or the one that"
        " successful calls teach.",
        "`get_order` wants `order_id`, the agent sends `orderid` in 161 calls.",
        "Arguments or both schemas are unknown; a backend that fails for other reasons.",
    ),
    _of(
        "tolerated_arguments",
        "invalid_arguments",
        "A tool takes what its own definition forbids: the definition is wrong, or the argument is ignored.",
        '`search` is called with `limit: "10"`, a text where a number is defined, and works.',
        "Traces without tool definitions.",
    ),
    _of(
        "ungrounded_argument",
        "ungrounded_argument",
        "The agent made up an id: nothing it was told or read says it.",
        "`get_payment` for `credit_card_4421`, which no result and no message of the run has.",
        "Anything said before the call is unknown; arguments that are not references; ids that were put together.",
    ),
    _of(
        "malformed_output",
        "malformed_output",
        "A program could not read what the model wrote.",
        "The planner's answer is no JSON in 12 % of the runs; the framework's parser raises.",
        "A tool's own upstream returned the broken JSON.",
    ),
    _of(
        "ignored_tool_error",
        "ignored_tool_error",
        "A tool failed, and the agent goes on as if it had worked.",
        "`book_hotel` answers “no rooms”; the next message says that the hotel is booked.",
        "Answers are unknown; a retry, or words that tell of the failure.",
    ),
    _of(
        "refusal",
        "refusal",
        "The model declines a step, is asked again, and declines again.",
        "“I can't help with that” three times for the same lookup.",
        "Words of the model are unknown; one justified refusal; a rule explained to a customer who insists.",
    ),
    _of(
        "truncation",
        "truncation",
        "Answers end because their tokens ran out.",
        "`finish_reason: length` at 1,024 tokens in 9 % of the summaries.",
        "A cut that the telemetry made itself; agents whose answers are meant to be cut.",
    ),
    _of(
        "context_growth",
        "context_growth",
        "The prompt grows with every turn far beyond other runs of the agent, or until it overflows.",
        "Prompts reach 180,000 tokens in runs that usually need 20,000.",
        "Token usage is not recorded; runs that compact.",
    ),
    _of(
        "huge_result",
        "context_growth",
        "One tool's result blows up the next prompt.",
        "`read_file` returns 421,588 characters; the prompt jumps from 317 to 125,007 tokens.",
        "Token usage is not recorded; a result that is shortened first; a tool whose results are always long.",
    ),
    _of(
        "context_loss",
        "context_growth",
        "The prompt shrinks in the middle of a run, and the agent asks again for what it knew.",
        "After a compaction from 60,000 to 9,000 tokens five files are read a second time.",
        "Token usage or arguments are unknown; a compaction that keeps what is needed.",
    ),
    _of(
        "no_progress",
        "no_progress",
        "Many steps bring nothing new: no new value, no new answer, no change.",
        "Eleven searches in a row return what was known.",
        "Answers are unknown; runs as long as the successful ones.",
    ),
    _of(
        "step_limit",
        "step_limit",
        "Runs are stopped by a cap on steps, turns or time, not by being done.",
        "31 runs end after exactly 25 steps with a recursion limit error.",
        "Nothing says that it was a cap, and lengths do not pile up at one.",
    ),
    _of(
        "premature_end",
        "premature_end",
        "The agent says it is done while something it set out to do failed or was never done.",
        "The final answer comes with two of five items of the plan still open.",
        "Words of the model are unknown; runs that ask the user, or say what is missing.",
    ),
    _of(
        "cascade",
        "cascade",
        "One step fails, nothing makes it good, and later steps fail of it.",
        "`login` fails; the next six calls of the run answer 401.",
        "Failures that no data flow, call or parent connects.",
    ),
    _of(
        "swallowed_error",
        "swallowed_error",
        "Something inside a step fails, the step says that it worked, and runs with it go wrong.",
        "`sync_orders` reports success while its database call raised, and the answer is wrong.",
        "Runs with it do not fail more often; a later attempt inside the step succeeds.",
    ),
    _of(
        "stale_data",
        "stale_data",
        "An agent acts on an older state of a thing than somebody in the run had already seen.",
        "`pricing` writes an offer from version 3 after `catalog` had read version 5.",
        "No versions and no change to compare by; who looks again first; skew between services.",
    ),
    _of(
        "lost_update",
        "conflicting_write",
        "A change is built on a state that another agent has changed meanwhile, and undoes it.",
        "Two agents read the ticket, both write it; the first one's note is gone.",
        "Arguments are unknown; versions show that the change was seen; other fields; the same value.",
    ),
    _of(
        "conflicting_write",
        "conflicting_write",
        "Two agents give the same field different values within seconds, without looking in between.",
        "`planner` sets the date to 3 May, `assistant` to 5 May two seconds later.",
        "Arguments are unknown; other fields or things; the same value; changes that were refused.",
    ),
    _of(
        "duplicate_work",
        "duplicate_work",
        "One agent does again what another agent of the run has done, with the same result.",
        "`writer` repeats all four searches that `researcher` made.",
        "Arguments or answers are unknown; a shared look-up at the start; a checker that is meant to check.",
    ),
    _of(
        "handoff_loop",
        "handoff_loop",
        "Agents pass the task round and round, and nothing comes of it.",
        "`triage` → `billing` → `triage` → `billing`, five times without a call or a change.",
        "Progress cannot be seen; a supervisor that gets results back; a writer and a critic.",
    ),
    _of(
        "orphan_delegation",
        "orphan_delegation",
        "Work was handed to an agent, and it never came back or nobody used it.",
        "`planner` delegates “check stock”; no result of it enters any later prompt.",
        "Prompts or results are unknown; work that is meant to run on its own.",
    ),
    _of(
        "waiting",
        "waiting",
        "An agent stands still for a large part of the run, far longer than in other runs.",
        "`packer` waits 40 s of a 60 s run for a lock that is usually held for one.",
        "Times that are not comparable; waits for a person.",
    ),
    _of(
        "latency",
        "latency",
        "A group of comparable operations has a second, slow mode, at least twice as slow and 100 ms more. What all"
        " slow calls have in common is named where luck does not explain it: server, host, region, version,"
        " time, the first call of a run; of a model whether the first token or the writing is slow.",
        "`search_flights` takes 0.4 s, and 6 s in a tenth of the runs; all slow calls went to `node-7`.",
        "Fewer operations than two modes need; durations that merely spread.",
    ),
    _of(
        "slow_input",
        "latency",
        "The calls of a slow mode are slow for what they are asked for: an argument, a large input, a long answer.",
        "`search_flights` takes 0.4 s, and 6 s whenever `depth` is `all`.",
        "As `latency`; what the slow calls were asked for is not recorded.",
    ),
    _of(
        "costly_runs",
        "cost",
        "Some runs of an agent take many times the tokens of its others for the same amount of work.",
        "One run in eight of `support` takes 90,000 tokens, the others 12,000.",
        "Token usage is not recorded; runs that were asked for more or did more different things.",
    ),
    _of(
        "serial_calls",
        "serial_calls",
        "Calls that do not need each other run one after the other: one turn asked for all, or all ids were known.",
        "Five look-ups of 2 s each take 10 s of a 14 s run.",
        "Arguments or answers are unknown; data flows between the calls; calls that write.",
    ),
    _of(
        "skipped_step",
        "skipped_step",
        "Failed runs leave out a step that nearly every good run takes.",
        "`verify_address` precedes `ship` in 98 % of the good runs and in half of the failed ones.",
        "Outcomes are unknown; too few good runs; runs that broke off before.",
    ),
    _of(
        "credential_exposure",
        "data_exposure",
        "A key, token, password or private key leaves: in an answer, or in what a tool sends or writes.",
        "A key that `read_config` returned stands in the body of `send_email`.",
        "Answers and arguments are unknown; what the user said first; a field made for it (`authorization`); a"
        " credential that the run made itself; keys of documentation; a secret that is only read.",
    ),
    _of(
        "personal_data_exposure",
        "data_exposure",
        "A card number, IBAN or national id, all with valid check digits, leaves within words.",
        "The card number that `get_customer` returned stands in the reply to a ticket.",
        "Inputs are unknown; what the user said first; a field of its own (a payment); test numbers; what most"
        " good runs of the agent do.",
    ),
    _of(
        "instrumentation",
        "instrumentation",
        "The telemetry lacks what findings need: contents or token usage. A note, never more.",
        "Arguments and results are not recorded on 48 of 50 calls of a run.",
        "At least half of the runs are complete.",
    ),
    _of(
        "cohort",
        "cohort",
        "Runs with an attribute that was settled before they began fail more often, or are slower or dearer.",
        "Runs with `model = small` for tenant `acme` fail in 41 %, others in 8 %.",
        "Outcomes are unknown; too few runs; differences that shuffled labels show as well.",
    ),
    _of(
        "version_regression",
        "regression",
        "A version that replaced another one fails more often, or is slower or dearer.",
        "Since 2.3.1 took over from 2.3.0, 21 % of the runs fail, 8 % before.",
        "Outcomes are unknown; too few runs of either; differences that shuffled labels show as well.",
    ),
    _of(
        "window_regression",
        "regression",
        "A measure got worse than in the windows of the last days.",
        "Failures of `support` went from 8 % to 21 % in this window.",
        "Too few windows or runs to compare with; what windows usually differ by.",
    ),
    _of(
        "baseline_regression",
        "regression",
        "A measure is worse than in the baseline that was given (`diff`, `analyze --baseline`).",
        "Runs of `support` need 1.6 times the tokens of the baseline.",
        "No baseline is given; too few runs; differences that may be luck.",
    ),
)
EXPLAINED: Final[Mapping[str, Explanation]] = {one.name: one for one in _ALL}
