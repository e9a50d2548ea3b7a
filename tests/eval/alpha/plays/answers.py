"""Faults of answers and of whole runs: ignored errors, broken output, refusals, growth; and look-alikes."""

from typing import Final

from tests.eval.alpha.plays.play import Play, by_role, go_on
from tests.eval.alpha.scene import (
    Scene,
    a_problem,
    an_odd_problem,
    check,
    found,
    part_facts,
    search,
    stumble,
    write,
    write_arguments,
)
from tests.eval.alpha.story import Problem, Said, Step, inner

_LIMIT: Final = 12  # turns a run may have


def _failing_write(scene: Scene, problem: Problem) -> Step:
    check(scene)
    arguments = write_arguments(scene)
    return scene.actor.use(scene.app.tools["write"], arguments, "", problem=problem)[1]


def _ignored_tool_error(scene: Scene) -> None:
    scene.blame(_failing_write(scene, a_problem(scene, scene.tale.variant % 3)))
    scene.spoilt = scene.blame_words = True


def _admitted(scene: Scene) -> None:
    _failing_write(scene, an_odd_problem(scene))
    scene.fail(f"{scene.app.tools['write'].name} failed and nothing was changed")


def _malformed_output(scene: Scene) -> None:
    actor, rng = scene.actor, scene.rng
    complaint = "line 1 column 58 (char 57)"
    for _ in range(rng.randint(2, 4)):
        scene.blame(actor.turn(f'{{"verdict": "ok", "ids": ["{scene.world.record}", "why": '))
        actor.hear(
            f"Your answer could not be parsed as JSON: Expecting ',' delimiter: {complaint}. "
            "Answer again with valid JSON only."
        )
    if rng.random() < 0.6:
        scene.problem = Problem(
            type="OutputParserException",
            message=f"Failed to parse the model's output: Expecting ',' delimiter: {complaint}",
        )
        scene.failed = True
    else:
        actor.turn(f'{{"verdict": "ok", "ids": ["{scene.world.record}"], "why": "as asked"}}')


def _result_is_no_json(scene: Scene) -> None:
    """A tool answers with a table that looks like broken JSON."""
    tool = scene.app.tools["find"]
    answer = f"{{ref; title\n1; {scene.app.prose(scene.rng, 3)}\n2; {scene.app.prose(scene.rng, 3)}"
    scene.actor.use(tool, tool.fill(query=scene.app.prose(scene.rng, 3)), answer)


def _refusal_loop(scene: Scene) -> None:
    refusals = (
        "I'm sorry, but I can't help with that request.",
        "I cannot assist with this, as it may involve sensitive information.",
        "I'm not able to do that.",
    )
    for _ in range(scene.rng.randint(3, 5)):
        scene.blame(scene.actor.turn(scene.rng.choice(refusals)))
        scene.actor.hear("The supervisor has authorised this step. Please go on.")
    scene.fail("I'm not able to do that")


def _one_refusal(scene: Scene) -> None:
    scene.actor.hear("And give me the home address of the person who filed it.")
    scene.actor.turn("I'm sorry, but I can't share private addresses. I will finish the rest.")


def _truncation(scene: Scene) -> None:
    words = scene.app.prose(scene.rng, 160) + " and therefore the"
    scene.blame(scene.actor.turn(words, finish="length", output_tokens=1024))
    scene.words, scene.spoilt = words, True


def _short_answer(scene: Scene) -> None:
    scene.words = scene.rng.choice(("Yes.", "Done.", "OK", "All fine."))
    scene.actor.turn(scene.words)


def _huge_result(scene: Scene) -> None:
    tool, rng = scene.app.tools["inspect"], scene.rng
    part = rng.choice(scene.world.parts)
    dump = "\n".join(scene.app.prose(rng, 12) for _ in range(rng.randint(380, 600)))
    _, call = scene.actor.use(tool, tool.fill(part=part), dump)
    scene.blame(call)
    search(scene)
    go_on(scene, 0.6, "there was too much to read")


def _summarised(scene: Scene) -> None:
    """A long result that the framework shortens before the model sees it."""
    tool, rng = scene.app.tools["inspect"], scene.rng
    part = rng.choice(scene.world.parts)
    dump = "\n".join(scene.app.prose(rng, 12) for _ in range(120))
    _, call = scene.actor.use(tool, tool.fill(part=part), dump)
    assert call.call is not None, "just made"
    summary = f"Summary of {part}: {scene.app.prose(rng, 20)}"
    scene.actor.history[-1] = Said(role="tool", text=summary, answers=call.call.id, tool=tool.name)


def _context_growth(scene: Scene) -> None:
    tool, actor = scene.app.tools["find"], scene.actor
    for page in range(1, scene.rng.randint(10, 14)):
        turn, call = actor.use(
            tool, tool.fill(query=scene.app.prose(scene.rng, 3)), found(scene, page=page)
        )
        actor.padding_tokens += scene.rng.randint(8_000, 11_000)
        scene.blame(turn, call)
    scene.problem = Problem(
        type="BadRequestError",
        message="context_length_exceeded: This model's maximum context length is 128000 tokens",
    )
    scene.blame(actor.turn("", problem=scene.problem))
    scene.failed = True


def _compacted(scene: Scene) -> None:
    tool, actor = scene.app.tools["find"], scene.actor
    for number in range(9):
        actor.use(tool, tool.fill(query=scene.app.prose(scene.rng, 3)), found(scene))
        actor.padding_tokens += 300
        if number % 4 == 3:
            actor.padding_tokens = 0
            summary = f"Conversation so far, in short: {scene.app.prose(scene.rng, 20)}"
            actor.history[1:] = [Said(role="user", text=summary)]


def _no_progress(scene: Scene) -> None:
    tool = scene.app.tools["find"]
    nothing = scene.app.write({"hits": [], "page": 1, "more": False})
    for _ in range(scene.rng.randint(9, 13)):
        query = " ".join(scene.rng.sample(scene.app.words, 3))
        scene.blame(*scene.actor.use(tool, tool.fill(query=query), nothing))
    scene.fail("nothing was found")


def _long_search(scene: Scene) -> None:
    for _ in range(scene.rng.randint(8, 11)):
        search(scene, words=" ".join(scene.rng.sample(scene.app.words, 3)))


def _turns(scene: Scene) -> int:
    return sum(step.kind == "model" for step in scene.tale.steps)


def _many_steps(scene: Scene) -> None:
    inspect = scene.app.tools["inspect"]
    while _turns(scene) < _LIMIT - 1:
        if scene.rng.random() < 0.7:
            search(scene)
        else:
            part = f"{scene.rng.choice(scene.world.parts)}/{scene.rng.randrange(1, 99)}"
            scene.actor.hear(f"See {part}, too.")
            scene.actor.use(inspect, inspect.fill(part=part), part_facts(scene, part))


def _step_limit(scene: Scene) -> None:
    _many_steps(scene)
    turn, call = search(scene)
    scene.blame(turn, call)
    if scene.tale.variant % 2:
        scene.words = "Agent stopped due to iteration limit or time limit."
        scene.failed = True
    else:
        message = f"Max turns ({_LIMIT}) exceeded"
        scene.problem = Problem(type="MaxTurnsExceeded", message=message)
        scene.failed = True


def _long_with_answer(scene: Scene) -> None:
    _many_steps(scene)
    for _ in range(scene.rng.randint(0, 3)):
        search(scene)


def _plan(scene: Scene, done: int) -> None:
    names = ("check it", "change it", "tell the requester")
    items = "\n".join(
        f"- [{'x' if number < done else ' '}] {name}" for number, name in enumerate(names)
    )
    scene.actor.use("update_plan", {"items": items}, "plan saved", seconds=0.01)


def _premature_end(scene: Scene) -> None:
    if scene.tale.variant % 2:
        _plan(scene, 0)
        check(scene)
        _plan(scene, 1)
    else:
        check(scene)
        write(scene)
        tool = scene.app.tools["send"]
        arguments = tool.fill(to=scene.world.mail, text=f"{scene.world.record} was changed.")
        problem = a_problem(scene, 0)
        scene.blame(scene.actor.use(tool, arguments, "", problem=problem)[1])
    scene.spoilt = scene.blame_words = True


def _says_what_is_open(scene: Scene) -> None:
    _plan(scene, 0)
    check(scene)
    _plan(scene, 1)
    scene.fail("only the check is made, the change itself is still open and needs a human")


def _cascade(scene: Scene) -> None:
    actor, app, world = scene.actor, scene.app, scene.world
    start, poll, change = app.tools["start"], app.tools["poll"], app.tools["write"]
    problem = a_problem(scene, scene.tale.variant % 3)
    scene.blame(*actor.use(start, start.fill(record=world.record), "", problem=problem))
    unknown = Problem(type="NotFound", message=f"{app.names['job']} None does not exist")
    actor.use(poll, poll.fill(job="None"), "", problem=unknown)
    missing = Problem(
        type="PreconditionFailed", message=f"{world.record} has no {app.names['job']} yet"
    )
    for _ in range(scene.rng.randint(1, 2)):
        actor.use(change, write_arguments(scene), "", problem=missing)
    scene.fail(f"{start.name} failed, and all that builds on it")


def _two_mishaps(scene: Scene) -> None:
    stumble(scene)
    search(scene)
    stumble(scene)


def _swallowed_error(scene: Scene) -> None:
    actor, tool = scene.actor, scene.app.tools["find"]
    for _ in range(2):
        call = actor.asks(tool.name, tool.fill(query=scene.app.prose(scene.rng, 3)))
        step = actor.begin_call(actor.turn("", [call]), call)
        refused = Problem(type="503", message="upstream connect error or disconnect")
        scene.blame(inner(actor, step, scene.tale.takes(tool.name), refused), step)
        actor.end_call(step, scene.app.write({"hits": [], "page": 1, "more": False}))
    scene.fail("nothing about it is on record")


def _fallback(scene: Scene) -> None:
    actor, tool = scene.actor, scene.app.tools["find"]
    call = actor.asks(tool.name, tool.fill(query=scene.app.prose(scene.rng, 3)))
    step = actor.begin_call(actor.turn("", [call]), call)
    inner(actor, step, 0.2, Problem(type="503", message="replica is restarting"))
    inner(actor, step, scene.tale.takes(tool.name))
    actor.end_call(step, found(scene))


FAULTS: Final[dict[str, Play]] = {
    "ignored_tool_error": Play(
        place="act",
        twist=_ignored_tool_error,
        job="change",
        tool=by_role("write"),
        keeps_words=True,
    ),
    "malformed_output": Play(twist=_malformed_output, keeps_words=True),
    "refusal_loop": Play(twist=_refusal_loop, keeps_words=True),
    "truncation": Play(place="end", twist=_truncation),
    "huge_result": Play(twist=_huge_result, tool=by_role("inspect"), keeps_words=True),
    "context_growth": Play(twist=_context_growth),
    "no_progress": Play(twist=_no_progress, keeps_words=True),
    "step_limit": Play(twist=_step_limit, shapes=("single", "graph", "flat"), keeps_words=True),
    "premature_end": Play(place="act", twist=_premature_end, job="change", keeps_words=True),
    "cascade": Play(place="act", twist=_cascade, job="change"),
    "swallowed_error": Play(twist=_swallowed_error, tool=by_role("find")),
}
LURES: Final[dict[str, Play]] = {
    "ignored_tool_error": Play(
        place="act", twist=_admitted, job="change", seldom=True, keeps_words=True
    ),
    "malformed_output": Play(twist=_result_is_no_json),
    "refusal_loop": Play(twist=_one_refusal),
    "truncation": Play(place="end", twist=_short_answer),
    "huge_result": Play(twist=_summarised),
    "context_growth": Play(twist=_compacted),
    "no_progress": Play(twist=_long_search),
    "step_limit": Play(twist=_long_with_answer, shapes=("single", "graph", "flat")),
    "premature_end": Play(
        place="act", twist=_says_what_is_open, job="change", seldom=True, keeps_words=True
    ),
    "cascade": Play(twist=_two_mishaps, seldom=True),
    "swallowed_error": Play(twist=_fallback),
}
