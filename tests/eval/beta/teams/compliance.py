"""A crew that reviews contracts: tasks in a fixed order, each given to one agent."""

from typing import Final

from tests.eval.beta.cast import Agent, Cast, Tool
from tests.eval.beta.run import Run

_CLAUSE: Final = {"type": "string", "pattern": "^CL-"}
_TOOLS: Final = (
    Tool(
        name="ClauseReader",
        says="Reads one clause with its metadata",
        takes={"clause": _CLAUSE, "language": {"type": "string"}},
        needs=("clause",),
        median_s=0.2,
    ),
    Tool(
        name="RegulationSearch",
        says="Full text search in regulations",
        takes={
            "query": {"type": "string"},
            "page": {"type": "integer"},
            "year": {"type": ["integer", "string"]},
        },
        needs=("query",),
        median_s=0.9,
    ),
    Tool(
        name="VerdictRecorder",
        says="Records the verdict on a clause",
        takes={
            "clause": _CLAUSE,
            "verdict": {"type": "string", "enum": ["accept", "amend", "strike"]},
            "severity": {"type": "integer", "minimum": 0, "maximum": 10},
            "reason": {"type": "string"},
            "revision": {"type": "integer"},
        },
        needs=("clause", "verdict", "severity"),
        median_s=0.3,
    ),
    Tool(
        name="SanctionsScreen",
        says="Screens the parties of a clause",
        takes={"clause": _CLAUSE},
        needs=("clause",),
        median_s=1.1,
    ),
    Tool(
        name="OrderTranslation",
        says="Orders a sworn translation",
        takes={"clause": _CLAUSE},
        needs=("clause",),
    ),
    Tool(
        name="TranslationState",
        says="State of an ordered translation",
        takes={"quote": {"type": "string"}},
        needs=("quote",),
        median_s=0.1,
    ),
    Tool(
        name="NotifyCounsel",
        says="Tells the counsel in charge",
        takes={"clause": _CLAUSE, "text": {"type": "string"}},
        needs=("clause", "text"),
    ),
    Tool(
        name="ExternalRegistry",
        says="Files a text with the registry of a third party",
        takes={"partner": {"type": "string"}, "payload": {"type": "string"}},
        needs=("partner", "payload"),
        median_s=1.3,
    ),
    Tool(
        name="PrecedentStudy",
        says="Reads all precedents of one clause",
        takes={"clause": _CLAUSE},
        needs=("clause",),
        median_s=5.0,
    ),
    Tool(
        name="CurrencyTable",
        says="Thresholds in other currencies",
        takes={"house": {"type": "string"}},
        needs=("house",),
    ),
)
_ALL: Final = tuple(tool.name for tool in _TOOLS)


def play(run: Run) -> None:
    """Intake, analysis and screening (side by side), report."""
    cast, thing = run.cast, run.thing
    with run.staged("run", "review_crew") as root:
        with run.acting("Intake Clerk", run.task):
            run.think(f"The matter is {thing}, about {run.word}. Analyst first, then the officer.")
        with run.acting("Clause Analyst", f"Analyse {thing} with regard to {run.word}."):
            first = run.record(thing)
            hits = run.hits(3)
            run.at_once(
                [
                    (cast.lookup, {cast.key: thing}, first),
                    (cast.search, {"query": f"{run.word} duties {thing}"}, hits),
                ]
            )
            if run.dice.random() < 0.5:
                other = hits[0][cast.key]
                run.do(cast.lookup, {cast.key: other}, run.record(other))
            run.cue("worker")
            found = run.report(f"Analysis of {thing}: in line with {run.word} rules.")
        run.cue("team")
        if not run.over:
            with run.acting("Risk Officer", f"Decide on {thing}. Analysis: {found} {run.note}"):
                run.verify(thing)
                run.do(cast.change, run.change_of(thing), "recorded")
                run.cue("late")
                run.report(f"Decision on {thing} is recorded.")
        if run.crash is None:
            with run.acting("Report Writer", f"Report on {thing}. Analysis: {found} {run.note}"):
                root.says = run.report(cast.done.format(thing=thing))


CAST: Final = Cast(
    application="compliance review",
    service="review-crew",
    play=play,
    agents=(
        Agent(
            name="Intake Clerk",
            told="Role: Intake Clerk. Goal: say what the matter is.",
            service="review-crew",
        ),
        Agent(
            name="Clause Analyst",
            told="Role: Clause Analyst. Goal: find every rule that applies. Cite what you read.",
            service="review-crew",
            tools=_ALL,
        ),
        Agent(
            name="Risk Officer",
            told="Role: Risk Officer. Goal: decide after the parties have been screened.",
            service="review-crew",
            tools=_ALL,
        ),
        Agent(
            name="Report Writer",
            told="Role: Report Writer. Goal: a report that a board reads.",
            service="review-crew",
        ),
    ),
    tools=_TOOLS,
    lead="Intake Clerk",
    worker="Clause Analyst",
    peer="Risk Officer",
    thing="CL-{}",
    key="clause",
    record={
        "title": ("Indemnity", "Data retention", "Exclusivity", "Termination", "Audit rights"),
        "law": ("DE", "FR", "NY", "SG"),
        "verdict": ("open", "accept", "amend"),
        "pages": (1, 2, 3, 5, 8),
    },
    lookup="ClauseReader",
    search="RegulationSearch",
    change="VerdictRecorder",
    choice="verdict",
    amount="severity",
    check="SanctionsScreen",
    start="OrderTranslation",
    poll="TranslationState",
    tell="NotifyCounsel",
    outside="ExternalRegistry",
    rare="CurrencyTable",
    thorough="PrecedentStudy",
    invented="CaseLawFinder",
    words=("anti-bribery", "data transfer", "export control", "whistle-blower", "outsourcing"),
    asks=(
        "Review clause {thing} for {word}.",
        "Does {thing} comply with our {word} policy?",
        "{thing} came back from the other side. Check {word} and decide.",
    ),
    done="Report: clause {thing} was reviewed and a decision stands in the file.",
    versions=("11", "12"),
    models=("claude-sonnet-4-5", "claude-haiku-4-5"),
)
