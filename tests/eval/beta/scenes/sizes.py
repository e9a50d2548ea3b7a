"""Too much: of text, of steps, of time, of tokens."""

from collections.abc import Mapping
from typing import Final

from tests.eval.beta.run import SECOND_NS, Run, Step
from tests.eval.beta.scenes.scene import Pair, Scene, chance, in_worker

_LINE: Final = (
    "{n:05d} {word} entry as exported, with remarks, dates and the name of the clerk {n}\n"
)
_OVERFLOW: Final = (
    "BadRequestError",
    "context_length_exceeded: this model's maximum context length is 16384 tokens",
)
_NEARLY_FULL_TOKENS: Final = 15_300


def _export(run: Run, lines: int) -> str:
    begin = run.dice.randrange(10_000)
    return "".join(_LINE.format(n=begin + n, word=run.word) for n in range(lines))


def huge_result(run: Run) -> None:
    """One search answers with an export of everything; every later prompt carries it."""
    overflows = chance(run, 0.4)
    lines = run.dice.randrange(1000, 1400) if overflows else run.dice.randrange(550, 700)
    step = run.use(run.cast.search, {"query": f"* {run.thing}"}, _export(run, lines))
    run.blame(run.cast.worker, run.cast.search, step)
    if overflows:
        run.think(error=_OVERFLOW)
        run.fail(crash=_OVERFLOW)
    else:
        run.think(f"There is a lot about {run.word}; the first entries will do.")


def summarised_result(run: Run) -> None:
    """As large a result, of which the model is given a summary."""
    heard = f"[1,100 entries about {run.word}; summary: all of one kind, none newer than June]"
    export = _export(run, run.dice.randrange(700, 1100))
    run.use(run.cast.search, {"query": f"* {run.thing}"}, export, heard=heard)


def context_growth(run: Run) -> None:
    """Every turn adds pages to the prompt, until it is too long."""
    cast = run.cast
    thing = run.hits(1)[0][cast.key]
    run.hear(f"Read the file from {thing} on, to its end.")
    steps: list[Step] = []
    while not steps or _tokens(steps[-1]) < _NEARLY_FULL_TOKENS:
        following = run.new_thing()
        text = _export(run, run.dice.randrange(40, 70))
        answer = {**run.record(thing), "text": text, "follows": following}
        steps.append(run.use(cast.lookup, {cast.key: thing}, answer))
        thing = following
    last = run.think(error=_OVERFLOW)
    run.fail(crash=_OVERFLOW)
    run.blame(cast.worker, None, *(step.turn for step in steps[-4:] if step.turn), last)


def _tokens(step: Step) -> int:
    return step.turn.input_tokens if step.turn else 0


def compacted(run: Run) -> None:
    """A long conversation that is summarised before it is too long."""
    cast = run.cast
    thing = run.hits(1)[0][cast.key]
    run.hear(f"Read the file from {thing} on, to its end.")
    for number in range(1, 9):
        following = run.new_thing()
        text = _export(run, run.dice.randrange(20, 40))
        answer = {**run.record(thing), "text": text, "follows": following}
        run.use(cast.lookup, {cast.key: thing}, answer)
        thing = following
        if number in {3, 6}:
            run.forget(f"Summary so far: {number} parts read, nothing unusual. Next: {thing}")


def no_progress(run: Run) -> None:
    """Search after search that finds nothing."""
    cast = run.cast
    empty = run.fixed.choice(({"results": [], "total": 0}, "No results."))
    words = ("terms", "dates", "owner", "origin", "price", "history", "remarks", "state", "stops")
    for word in run.dice.sample(words, run.dice.randrange(7, 10)):
        query = f"{word} {run.dice.choice(('about', 'for', 'of'))} {run.thing} {run.word}"
        step = run.use(cast.search, {"query": query}, empty, says="Let me try another search.")
        assert step.turn is not None
        run.blame(cast.worker, cast.search, step, step.turn)
    run.culprit = (cast.worker, None)
    run.fail()


def fruitful_search(run: Run) -> None:
    """As many searches, each of which finds something new."""
    words = ("terms", "dates", "owner", "origin", "price", "history", "remarks", "state", "stops")
    about = run.thing
    for word in run.dice.sample(words, run.dice.randrange(6, 9)):
        found = run.hits(2)
        run.use(run.cast.search, {"query": f"{word} of {about}"}, found)
        about = found[0][run.cast.key]


def costly_runs(run: Run) -> None:
    """The model turns every stone twice, for the same answer as elsewhere."""
    for topic in ("risks", "wording", "order of steps", "risks once more"):
        step = run.think(
            f"Thinking about the {topic}: nothing speaks against it.",
            reasoning=run.dice.randrange(9000, 20_000),
        )
        run.blame(run.cast.worker, None, step)
        run.hear("Reflect on your last thought, then go on.")


def large_input(run: Run) -> None:
    """The user gives much to read, so the run takes more tokens."""
    run.hear("This is what I have on it:\n" + _export(run, run.dice.randrange(120, 300)))
    run.think("Thank you, that is all I need to know.")


def _slow(run: Run) -> None:
    run.slowness[run.cast.lookup] = run.dice.uniform(15, 30)
    run.mishaps = False


def _blame_slow(run: Run) -> None:
    cast = run.cast
    slow = [step for step in run.steps if step.kind == "tool" and step.name == cast.lookup]
    run.blame(cast.worker, cast.lookup, *slow)


def _heavy_tail(run: Run) -> None:
    run.spread[run.cast.lookup] = 0.9


def serial_calls(run: Run) -> None:
    """Six look-ups that could be made side by side are made one after the other."""
    cast = run.cast
    found = run.hits(run.dice.randrange(5, 8))
    run.use(cast.search, {"query": f"all of {run.thing}"}, found)
    things = [hit[cast.key] for hit in found]
    turn = run.think("", [(cast.thorough, {cast.key: thing}) for thing in things])
    for call, thing in zip(turn.calls, things, strict=True):
        step = run.answer(call, turn, {cast.key: thing, "score": run.dice.randrange(1000)})
        run.blame(cast.worker, cast.thorough, step)
    run.causes.append(turn.id)


def dependent_calls(run: Run) -> None:
    """As many look-ups, each of which tells what to look up next."""
    cast = run.cast
    thing = run.hits(1)[0][cast.key]
    run.hear(f"Follow the chain from {thing}.")
    for _ in range(run.dice.randrange(4, 7)):
        following = run.new_thing()
        answer = {cast.key: thing, "follows": following}
        run.use(cast.thorough, {cast.key: thing}, answer)
        thing = following


def waiting(run: Run) -> None:
    """The peer is there from the beginning, but gets its turn only when the first is through."""
    cast = run.cast
    begin = run.now
    other, thing = run.new_thing(), run.new_thing()
    if run.fixed.random() < 0.5:
        with run.acting(cast.worker, f"Follow the chain from {thing}. {other} waits for you."):
            for _ in range(run.dice.randrange(16, 24)):
                following = run.new_thing()
                run.use(cast.lookup, {cast.key: thing}, run.record(thing, follows=following))
                thing = following
            run.think("That was the last one.")
    else:
        run.pause(run.dice.uniform(60, 140))
    end, run.now = run.now, begin + SECOND_NS // 50
    with run.acting(cast.peer, f"When it is your turn: look at {other}.") as idle:
        run.now = max(end, run.now)
        run.use(cast.lookup, {cast.key: other}, run.record(other))
        run.think(f"{other} is in order.")
    run.conclude(f"{other} is in order, too.")
    run.blame(cast.peer, None, idle)


def approval(run: Run) -> None:
    """A human is asked, and takes their time."""
    cast = run.cast
    with run.acting(cast.peer, f"Get an approval for {run.thing}."):
        run.use(
            "ask_human_approval",
            {"question": f"May I change {run.thing}?"},
            "approved by the manager on duty",
            took_s=run.dice.uniform(60, 200),
        )
        run.think("Approved.")
    run.conclude("The manager on duty has approved it.")


PAIRS: Final[Mapping[str, Pair]] = {
    "huge_result": in_worker(huge_result, summarised_result),
    "context_growth": in_worker(context_growth, compacted),
    "no_progress": in_worker(no_progress, fruitful_search),
    "costly_runs": Pair(
        fault=Scene(worker=costly_runs), lure=Scene(worker=large_input), share=(0.12, 0.25)
    ),
    "slow_tool": Pair(
        fault=Scene(before=_slow, after=_blame_slow),
        lure=Scene(everywhere=_heavy_tail),
        share=(0.15, 0.3),
    ),
    "serial_calls": in_worker(serial_calls, dependent_calls),
    "waiting": Pair(fault=Scene(team=waiting), lure=Scene(team=approval)),
}
