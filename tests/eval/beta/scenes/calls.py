"""Calls that fail, that repeat, or that nobody offered."""

from collections.abc import Mapping
from typing import Final

from tests.eval.beta.run import Run
from tests.eval.beta.scenes.scene import Pair, chance, in_worker

_KINDS: Final = (
    ("UpstreamUnavailable", "backend answered 502 for {thing}"),
    ("PermissionDenied", "the service account may not read {thing}"),
    ("SchemaMismatch", "column 'legacy_no' does not exist ({thing})"),
)


def tool_error(run: Run) -> None:
    """The look-up of another thing fails with the window's own error, at times twice."""
    cast = run.cast
    tool = run.fixed.choice((cast.lookup, cast.search))
    kind, message = run.fixed.choice(_KINDS)
    for _ in range(run.dice.choice((1, 1, 2))):
        thing = run.new_thing()
        run.hear(f"Have a look at {thing} as well.")
        given = {cast.key: thing} if tool == cast.lookup else {"query": f"{run.word} like {thing}"}
        step = run.use(tool, given, "", error=(kind, message.format(thing=thing)))
        run.blame(cast.worker, tool, step)
    if chance(run, 0.75):
        run.fail()


def one_off(run: Run) -> None:
    """A call fails with whatever it is this time; the second try works."""
    tool, given, answer = run.errand()
    run.use(tool, given, "", error=run.mishap())
    run.pause(run.dice.uniform(0.5, 2))
    run.use(tool, given, answer)


def loop_exact(run: Run) -> None:
    """The same search, the same answer, and once more."""
    cast = run.cast
    given = {"query": f"{run.word} {run.thing} alternatives"}
    answer: object = run.fixed.choice(([], {"results": [], "total": 0}))
    for _ in range(run.dice.randrange(3, 7)):
        step = run.use(cast.search, given, answer)
        assert step.turn is not None
        run.blame(cast.worker, cast.search, step, step.turn)
    if chance(run, 0.6):
        run.fail()


def polling(run: Run) -> None:
    """A job is started and asked for until it is done."""
    cast = run.cast
    job = f"q-{run.dice.randrange(16**6):06x}"
    run.use(cast.start, {cast.key: run.thing}, {"quote": job, "state": "queued"})
    for _ in range(run.dice.randrange(3, 7)):
        run.pause(run.dice.uniform(0.2, 0.6))
        run.use(cast.poll, {"quote": job}, {"quote": job, "state": "running"})
    run.pause(0.5)
    run.use(cast.poll, {"quote": job}, {"quote": job, "state": "done", "value": 7})


def loop_periodic(run: Run) -> None:
    """Two or three calls in turn, and nothing changes."""
    cast, thing = run.cast, run.thing
    record = run.record(thing)
    round_: list[tuple[str, dict[str, str], object]] = [
        (cast.lookup, {cast.key: thing}, record),
        (cast.search, {"query": f"{run.word} for {thing}"}, {"results": [], "total": 0}),
    ]
    if run.fixed.random() < 0.5:
        round_.append((cast.check, {cast.key: thing}, {"verdict": "unknown", "of": thing}))
    for _ in range(run.dice.randrange(3, 6)):
        for tool, given, answer in round_:
            step = run.use(tool, given, answer)
            assert step.turn is not None
            run.blame(cast.worker, tool, step, step.turn)
    run.culprit = (cast.worker, None)
    if chance(run, 0.6):
        run.fail()


def edit_and_test(run: Run) -> None:
    """Change and check in turn; the check tells something else each time."""
    cast, thing = run.cast, run.thing
    left = run.dice.randrange(4, 9)
    for revision in range(1, run.dice.randrange(4, 6)):
        run.use(
            cast.change,
            run.change_of(thing, revision=revision),
            {"saved": True, "of": thing, "revision": revision + 1},
        )
        left = max(0, left - run.dice.randrange(1, 3))
        run.use(cast.check, {cast.key: thing}, {"of": thing, "open_points": left})


def loop_near(run: Run) -> None:
    """The same question in other words' order, the same answer."""
    cast = run.cast
    words = [*run.word.split(), "alternatives", "near", run.thing]
    answer = {"results": [], "total": 0}
    for _ in range(run.dice.randrange(4, 7)):
        run.dice.shuffle(words)
        step = run.use(cast.search, {"query": " ".join(words)}, answer)
        assert step.turn is not None
        run.blame(cast.worker, cast.search, step, step.turn)
    if chance(run, 0.6):
        run.fail()


def pages(run: Run) -> None:
    """Page after page of a search, or one look-up for each of a batch."""
    cast = run.cast
    if run.dice.random() < 0.5:
        for page in range(1, run.dice.randrange(4, 8)):
            given = {"query": f"all {run.word} of {run.thing}", "page": page}
            run.use(cast.search, given, run.hits(4))
        return
    found = run.hits(run.dice.randrange(4, 7))
    run.use(cast.search, {"query": f"batch of {run.thing}"}, found)
    things = [hit[cast.key] for hit in found]
    run.at_once([(cast.lookup, {cast.key: thing}, run.record(thing)) for thing in things])


def retry_storm(run: Run) -> None:
    """A call that fails is made again at once, and again, unchanged."""
    cast = run.cast
    kind, message = run.fixed.choice(_KINDS)
    error = (kind, message.format(thing=run.thing))
    for _ in range(run.dice.randrange(4, 9)):
        step = run.use(cast.start, {cast.key: run.thing}, "", error=error)
        assert step.turn is not None
        run.blame(cast.worker, cast.start, step, step.turn)
    if chance(run, 0.8):
        run.fail()


def patient_retry(run: Run) -> None:
    """One or two tries more, each after a longer pause, and it works."""
    tool, given, answer = run.errand()
    for attempt in range(run.dice.choice((1, 2))):
        run.use(tool, given, "", error=run.mishap())
        run.pause(0.5 * 2.0**attempt)
    run.use(tool, given, answer)


def redundant_call(run: Run) -> None:
    """What was looked up is looked up once more some steps later, nothing was written between."""
    cast = run.cast
    found = run.hits(2)
    run.use(cast.search, {"query": f"{run.word} beside {run.thing}"}, found)
    things = [hit[cast.key] for hit in found]
    records = [run.record(thing) for thing in things]
    for again in (False, True):
        for thing, record in zip(things, records, strict=True):
            step = run.use(cast.lookup, {cast.key: thing}, record)
            if again and step.turn:
                run.blame(cast.worker, cast.lookup, step, step.turn)
        if not again:
            run.use(*run.aside())


def reading_after_a_write(run: Run) -> None:
    """Look up, change, look up: the second answer is another."""
    cast = run.cast
    thing = run.hits(1)[0][cast.key]
    run.hear(f"{thing} too, please.")
    before = run.record(thing, revision=3)
    run.use(cast.lookup, {cast.key: thing}, before)
    change = run.change_of(thing, revision=3)
    run.use(cast.change, change, {"saved": True, "of": thing, "revision": 4})
    run.use(cast.lookup, {cast.key: thing}, {**before, **change, "revision": 4})


def unknown_tool(run: Run) -> None:
    """The model calls a tool that does not exist; the framework says so."""
    cast = run.cast
    error = run.fixed.choice(
        (
            ("ToolNotFound", f"{cast.invented} is not a valid tool, try one of those offered"),
            ("NoSuchToolError", f"Model tried to call unavailable tool '{cast.invented}'"),
        )
    )
    step = run.use(cast.invented, {cast.key: run.thing}, "", error=error)
    assert step.turn is not None
    run.blame(cast.worker, cast.invented, step, step.turn)
    if chance(run, 0.6):
        run.fail()


def rare_tool(run: Run) -> None:
    """A tool that few runs need."""
    run.use(*run.aside())


PAIRS: Final[Mapping[str, Pair]] = {
    "tool_error": in_worker(tool_error, one_off),
    "loop_exact": in_worker(loop_exact, polling),
    "loop_periodic": in_worker(loop_periodic, edit_and_test),
    "loop_near": in_worker(loop_near, pages),
    "retry_storm": in_worker(retry_storm, patient_retry),
    "redundant_call": in_worker(redundant_call, reading_after_a_write),
    "unknown_tool": in_worker(unknown_tool, rare_tool),
}
