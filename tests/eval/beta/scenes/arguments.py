"""Calls whose arguments are wrong."""

from collections.abc import Mapping
from typing import Any, Final

from tests.eval.beta.run import Run
from tests.eval.beta.scenes.scene import Pair, chance, in_worker


def _refused(
    run: Run, tool: str, given: dict[str, Any], message: str, good: dict[str, Any]
) -> None:
    """The call is refused for its arguments; some runs correct it, the others give up."""
    error = (run.fixed.choice(("ValidationError", "InvalidToolInput", "TypeError")), message)
    step = run.use(tool, given, "", error=error)
    assert step.turn is not None
    run.blame(run.cast.worker, tool, step, step.turn)
    if chance(run, 0.35):
        run.use(tool, good, {"saved": True, "of": run.thing})
    else:
        run.fail()


def misnamed_argument(run: Run) -> None:
    """An argument that is needed stands there under another name."""
    cast = run.cast
    good = run.change_of(run.thing)
    name = run.fixed.choice((cast.key, cast.amount, cast.choice))
    wrong = run.fixed.choice((name.replace("_", "") + "s", f"{name}_value", name.title()))
    given = {wrong if key == name else key: value for key, value in good.items()}
    message = f"1 validation error for {cast.change}: {name} field required, got '{wrong}'"
    _refused(run, cast.change, given, message, good)


def optional_argument(run: Run) -> None:
    """An argument of the look-up that few calls use."""
    tool = run.cast.tool(run.cast.lookup)
    assert tool is not None
    name = next(name for name in tool.takes if name not in tool.needs)
    kind = tool.takes[name]["type"]
    value: Any = {"boolean": True, "integer": 5}.get(kind, "en")
    thing = run.new_thing()
    run.hear(f"And {thing}?")
    run.use(tool.name, {run.cast.key: thing, name: value}, run.record(thing))


def wrong_type(run: Run) -> None:
    """A word for a number, or a choice that is none."""
    cast = run.cast
    good = run.change_of(run.thing)
    if run.fixed.random() < 0.5:
        value: Any = run.fixed.choice(("two", "several", "N/A"))
        given = {**good, cast.amount: value}
        message = f"{cast.amount}: Input should be a valid integer, got '{value}'"
    else:
        value = run.fixed.choice(("premium-plus", "default", "auto"))
        given = {**good, cast.choice: value}
        message = f"{cast.choice}: '{value}' is not one of {list(cast.choices())}"
    _refused(run, cast.change, given, message, good)


def number_as_text(run: Run) -> None:
    """A number as text, where the schema allows both."""
    tool = run.cast.tool(run.cast.search)
    assert tool is not None
    name = next(name for name, schema in tool.takes.items() if isinstance(schema["type"], list))
    value: Any = run.dice.choice((4, "4", "10", 12))
    run.use(tool.name, {"query": f"{run.word} with {name}", name: value}, run.hits(2))


def missing_argument(run: Run) -> None:
    """A required argument is left out."""
    cast = run.cast
    good = run.change_of(run.thing)
    name = run.fixed.choice((cast.amount, cast.choice))
    given = {key: value for key, value in good.items() if key != name}
    message = run.fixed.choice(
        (
            f"missing 1 required positional argument: '{name}'",
            f"{name}: Field required",
        )
    )
    _refused(run, cast.change, given, message, good)


def remark_left_out(run: Run) -> None:
    """Changes mostly bear a remark; this one does not need it."""
    thing = run.new_thing()
    run.hear(f"The same for {thing}.")
    run.use(run.cast.change, run.change_of(thing), {"saved": True, "of": thing})


def ungrounded_argument(run: Run) -> None:
    """An identifier that nobody has said."""
    cast = run.cast
    for _ in range(run.dice.choice((1, 1, 2))):
        thing = run.new_thing()
        answer = {"found": False, cast.key: thing, "hint": "no such entry"}
        step = run.use(cast.lookup, {cast.key: thing}, answer)
        assert step.turn is not None
        run.blame(cast.worker, cast.lookup, step, step.turn)
    if chance(run, 0.7):
        run.fail()


def said_before(run: Run) -> None:
    """An identifier from an earlier turn of the session, else one that the user says now."""
    known = run.setting.known
    thing = known[-1] if known else run.new_thing()
    run.hear("And the one from before, please." if known else f"{thing} belongs to it, too.")
    run.use(run.cast.lookup, {run.cast.key: thing}, run.record(thing))


PAIRS: Final[Mapping[str, Pair]] = {
    "misnamed_argument": in_worker(misnamed_argument, optional_argument),
    "wrong_type": in_worker(wrong_type, number_as_text),
    "missing_argument": in_worker(missing_argument, remark_left_out),
    "ungrounded_argument": in_worker(ungrounded_argument, said_before),
}
