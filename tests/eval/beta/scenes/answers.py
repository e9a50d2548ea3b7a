"""What models say: hidden failures, broken or missing answers, refusals."""

from collections.abc import Mapping
from typing import Final

from tests.eval.beta.run import Run, Step
from tests.eval.beta.scenes.scene import Pair, chance, in_worker

_REFUSALS: Final = (
    "I'm sorry, but I can't assist with that request.",
    "I can't help with this. It may violate my guidelines.",
    "I'm not able to do that, as it could be against policy.",
)
_TALE: Final = (
    "The terms were compared one by one with what is on file. "
    "First, the dates match those that were agreed on by both sides. "
    "Second, the amounts are the same as in the previous version, and "
)


def ignored_tool_error(run: Run) -> None:
    """The change fails, the agent reports it as done."""
    cast = run.cast
    kind = run.fixed.choice(("ConstraintViolation", "WriteRejected", "StorageFull"))
    step = run.use(
        cast.change, run.change_of(run.thing), "", error=(kind, f"{run.thing} was not saved")
    )
    run.fail(final=f"All done! {run.thing} has been updated successfully.")
    run.blame(cast.worker, cast.change, step)
    run.ending_to_blame = True


def admitted_error(run: Run) -> None:
    """A part fails for good, and the agent says so; the rest goes on."""
    tool, given, _ = run.errand()
    run.use(tool, given, "", error=run.mishap())
    run.say_later(f"Please note: {tool} failed, so I could not have the look at the other one.")


def malformed_output(run: Run) -> None:
    """What should be JSON is not, and the framework asks again until it gives up or it works."""
    broken = run.fixed.choice(
        (
            '{"plan": ["look", "change"',
            "Sure! Here is the JSON: {plan: [look, change]}",
            "Action: look\nAction Input:",
        )
    )
    for _ in range(run.dice.randrange(2, 5)):
        step = run.think(broken)
        run.blame(run.cast.worker, None, step)
        with run.staged("parse", "parse_plan") as parse:
            parse.error = ("OutputParserException", f"Could not parse LLM output: `{broken}`")
            parse.in_words = False
        run.hear("Your last output could not be parsed. Answer with valid JSON only.")
    if chance(run, 0.6):
        error = ("OutputParserException", f"Could not parse LLM output: `{broken}`")
        run.fail(crash=error)
    else:
        run.think('{"plan": ["look", "change"]}')


def plain_result(run: Run) -> None:
    """A tool answers in a format of its own."""
    tool, given, _ = run.aside()
    run.use(tool, given, run.dice.choice(("{north: 4", "a;b;c\n1;2;3", "<list><item/></list>")))


def refusal_loop(run: Run) -> None:
    """The model will not do an ordinary step although it is asked again and again."""
    for _ in range(run.dice.randrange(3, 6)):
        step = run.think(run.dice.choice(_REFUSALS))
        run.blame(run.cast.worker, None, step)
        run.hear(f"This is an ordinary request about {run.thing}. Please go on.")
    run.fail(final=run.dice.choice(_REFUSALS))


def one_refusal(run: Run) -> None:
    """Something is asked for that the policy forbids; the agent says no and goes on with the rest."""
    run.hear(f"Also tell me the private phone number of the person behind {run.thing}.")
    run.think("I can't share personal contact data. I'll go on with your other request.")


def truncation(run: Run) -> None:
    """The answer stops in the middle of a sentence at the limit of tokens."""
    tokens = run.fixed.choice((512, 256))
    for _ in range(run.dice.choice((1, 1, 2))):
        step = run.think((_TALE * 12)[: tokens * 4], finish="length")
        run.blame(run.cast.worker, None, step)
        run.hear("Go on with the next part.")
    if chance(run, 0.6):
        run.fail(final="Second, the amounts are the same as in the previous version, and")


def short_answers(run: Run) -> None:
    """Short answers that end by themselves."""
    for said in ("OK", "Noted", "Yes, go on"):
        run.think(said)
        run.hear("Fine.")


def premature_end(run: Run) -> None:
    """Three things are asked for; one is done, one failed or was never begun; all is declared done."""
    cast = run.cast
    things = [run.thing, run.new_thing(), run.new_thing()]
    run.hear(f"Please change all of these: {', '.join(things)}.")
    run.use(cast.change, run.change_of(things[0]), {"saved": True, "of": things[0]})
    if run.fixed.random() < 0.5:
        error = ("WriteRejected", f"{things[1]} is locked")
        step = run.use(cast.change, run.change_of(things[1]), "", error=error)
        run.blame(cast.worker, cast.change, step)
    run.fail(final=f"All three ({', '.join(things)}) have been changed. Everything is done.")
    run.blame(cast.worker, None)
    run.ending_to_blame = True


def partial_report(run: Run) -> None:
    """One of several things could not be done, and the agent says which."""
    cast = run.cast
    things = [run.new_thing(), run.new_thing()]
    run.hear(f"Please change {' and '.join(things)} as well.")
    run.use(cast.change, run.change_of(things[0]), {"saved": True, "of": things[0]})
    run.use(cast.change, run.change_of(things[1]), "", error=run.mishap())
    run.say_later(f"{things[1]} could not be changed; please try it later.")


def step_limit(run: Run) -> None:
    """The run is stopped at its maximum of steps before it has an answer."""
    cast = run.cast
    found = run.hits(12)
    run.use(cast.search, {"query": f"everything about {run.word}, {run.thing}"}, found)
    steps: list[Step] = []
    for hit in found[:10]:
        thing = hit[cast.key]
        steps.append(run.use(cast.lookup, {cast.key: thing}, run.record(thing)))
    kind, message = run.fixed.choice(
        (
            (
                "GraphRecursionError",
                "Recursion limit of 25 reached without hitting a stop condition.",
            ),
            ("MaxStepsExceeded", "Agent stopped after the maximum of 12 steps."),
            ("MaxTurnsExceeded", "Max turns (12) exceeded"),
        )
    )
    run.fail(crash=(kind, message))
    run.blame(cast.worker, None, *steps[-3:])
    run.ending_to_blame = True


def long_run(run: Run) -> None:
    """As many steps, and an answer in the end."""
    cast = run.cast
    thing = run.hits(1)[0][cast.key]
    run.hear(f"There is a chain of entries that begins with {thing}. Go to its end.")
    for _ in range(run.dice.randrange(7, 10)):
        following = run.new_thing()
        run.use(cast.lookup, {cast.key: thing}, run.record(thing, follows=following))
        thing = following


def cascade(run: Run) -> None:
    """The first step fails; what needs its result fails after it."""
    cast = run.cast
    first = run.use(
        cast.start, {cast.key: run.thing}, "", error=("AuthExpired", "session token expired")
    )
    run.use(cast.poll, {"quote": ""}, "", error=("NotFound", "no job with an empty id"))
    run.use(cast.check, {cast.key: run.thing}, "", error=("Precondition", "no quote to check"))
    run.use(
        cast.change, run.change_of(run.thing), "", error=("Precondition", "not checked: refused")
    )
    run.fail()
    run.blame(cast.worker, cast.start, first)


def independent_failures(run: Run) -> None:
    """Two things fail for reasons of their own; each is overcome."""
    for _ in range(2):
        tool, given, answer = run.errand()
        run.use(tool, given, "", error=run.mishap())
        run.pause(1)
        run.use(tool, given, answer)


def swallowed_error(run: Run) -> None:
    """Inside the tool an operation fails, the tool answers as if nothing was found."""
    cast = run.cast
    thing = run.new_thing()
    run.hear(f"How about {thing}?")
    inner = run.fixed.choice(
        (
            ("SELECT inventory", ("OperationalError", "could not connect to server: refused")),
            ("GET /v2/items", ("HTTPStatusError", "503 Service Unavailable")),
        )
    )
    answer = run.fixed.choice(({"status": "ok", "rows": []}, {"status": "ok", cast.key: None}))
    step = run.use(cast.lookup, {cast.key: thing}, answer, inner=[inner])
    broken = run.steps[run.steps.index(step) + 1]
    run.blame(cast.worker, cast.lookup, broken, step)
    run.fail(final=f"There is no {thing} in our records, so I could not do anything about it.")


def fallback(run: Run) -> None:
    """The first source fails, the second one answers."""
    cast = run.cast
    thing = run.new_thing()
    run.hear(f"How about {thing}?")
    inner = [("GET /primary/items", run.mishap()), ("GET /replica/items", None)]
    run.use(cast.lookup, {cast.key: thing}, run.record(thing), inner=inner)


PAIRS: Final[Mapping[str, Pair]] = {
    "ignored_tool_error": in_worker(ignored_tool_error, admitted_error),
    "malformed_output": in_worker(malformed_output, plain_result),
    "refusal_loop": in_worker(refusal_loop, one_refusal),
    "truncation": in_worker(truncation, short_answers),
    "premature_end": in_worker(premature_end, partial_report),
    "step_limit": in_worker(step_limit, long_run),
    "cascade": in_worker(cascade, independent_failures),
    "swallowed_error": in_worker(swallowed_error, fallback),
}
