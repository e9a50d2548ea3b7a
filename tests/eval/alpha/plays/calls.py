"""Faults of calls: errors, loops, retries, wrong names and arguments; and what looks like them."""

from typing import Final

from tests.eval.alpha.application import Application
from tests.eval.alpha.plays.play import Play, by_role, go_on
from tests.eval.alpha.scene import (
    Scene,
    a_problem,
    an_odd_problem,
    check,
    found,
    notify,
    open_record,
    part_facts,
    search,
    write,
)
from tests.eval.alpha.story import Problem, Said


def _tool_error(scene: Scene) -> None:
    rng, tools, which = scene.rng, scene.app.tools, scene.tale.variant // 3 % 3
    tool, meant = (
        (tools["inspect"], {"part": rng.choice(scene.world.parts)}),
        (tools["find"], {"query": scene.app.prose(rng, 3)}),
        (tools["check"], {"record": scene.world.record, "rule": rng.choice(scene.app.rules)}),
    )[scene.tale.variant % 3]
    for _ in range(scene.rng.randint(1, 2)):
        problem = a_problem(scene, which)
        _, call = scene.actor.use(tool, tool.fill(**meant), "", problem=problem)
        scene.blame(call)
    go_on(scene, 0.25, f"{tool.name} failed")


def _other_errors(scene: Scene) -> None:
    """Something else fails each time, and the retry works."""
    tool = scene.app.tools["find"]
    arguments = tool.fill(query=scene.app.prose(scene.rng, 3))
    scene.actor.use(tool, arguments, "", problem=an_odd_problem(scene))
    scene.tale.wait(1.5)
    scene.actor.use(tool, arguments, found(scene), why="Once more.")


def _loop_exact(scene: Scene) -> None:
    tool, answer = scene.app.tools["find"], found(scene, hits=2)
    arguments = tool.fill(query=scene.app.prose(scene.rng, 3))
    for _ in range(scene.rng.randint(4, 8)):
        turn, call = scene.actor.use(tool, arguments, answer)
        scene.blame(turn, call)
    go_on(scene, 0.4, "I did not get any further")


def _polling(scene: Scene) -> None:
    """The same question until the job is done."""
    start, poll = scene.app.tools["start"], scene.app.tools["poll"]
    job = scene.world.job
    scene.actor.use(
        start,
        start.fill(record=scene.world.record),
        scene.app.write({"job": job, "state": "queued"}),
    )
    rounds = scene.rng.randint(3, 6)
    for number in range(rounds):
        scene.tale.wait(scene.rng.uniform(2, 6))
        state = "finished" if number == rounds - 1 else "running"
        scene.actor.use(poll, poll.fill(job=job), scene.app.write({"job": job, "state": state}))


def _loop_periodic(scene: Scene) -> None:
    inspect, find = scene.app.tools["inspect"], scene.app.tools["find"]
    part, query = scene.rng.choice(scene.world.parts), scene.app.prose(scene.rng, 3)
    told, hits = part_facts(scene, part), found(scene)
    for _ in range(scene.rng.randint(4, 6)):
        scene.blame(*scene.actor.use(inspect, inspect.fill(part=part), told))
        scene.blame(*scene.actor.use(find, find.fill(query=query), hits))
    go_on(scene, 0.4, "I went in circles")


def _edit_and_test(scene: Scene) -> None:
    """A change and its check in turn, the results differ each round."""
    tool, world = scene.app.tools["check"], scene.world
    rule, values = scene.app.rules[0], scene.app.fields[scene.world.field]
    rounds = scene.rng.randint(3, 4)
    for number in range(rounds):
        world.value = values[number % len(values)]
        write(scene)
        passed = number == rounds - 1
        facts = {
            "record": world.record,
            "rule": rule,
            "passed": passed,
            "open": rounds - number - 1,
        }
        scene.actor.use(tool, tool.fill(record=world.record, rule=rule), scene.app.write(facts))
    notify(scene)


def _loop_near(scene: Scene) -> None:
    tool, answer = scene.app.tools["find"], found(scene, hits=2)
    words = scene.rng.sample(scene.app.words, 4)
    for _ in range(scene.rng.randint(5, 8)):
        scene.rng.shuffle(words)
        scene.blame(*scene.actor.use(tool, tool.fill(query=" ".join(words)), answer))
    go_on(scene, 0.4, "the search gives nothing else")


def _pages(scene: Scene) -> None:
    tool, query = scene.app.tools["find"], scene.app.prose(scene.rng, 3)
    for page in range(1, scene.rng.randint(4, 7)):
        scene.actor.use(tool, tool.fill(query=query, page=page), found(scene, page=page))


def _retry_storm(scene: Scene) -> None:
    tool, which = scene.app.tools["check"], scene.tale.variant % 3
    arguments = tool.fill(record=scene.world.record, rule=scene.rng.choice(scene.app.rules))
    problem = a_problem(scene, which)
    for _ in range(scene.rng.randint(5, 9)):
        scene.blame(*scene.actor.use(tool, arguments, "", problem=problem))
    scene.fail(f"{tool.name} failed again and again")


def _backing_off(scene: Scene) -> None:
    tool = scene.app.tools["inspect"]
    part = scene.rng.choice(scene.world.parts)
    problem = an_odd_problem(scene)
    for pause in (1, 4)[: scene.rng.randint(1, 2)]:
        scene.actor.use(tool, tool.fill(part=part), "", problem=problem)
        scene.tale.wait(pause)
    scene.actor.use(tool, tool.fill(part=part), part_facts(scene, part), why="Trying again.")


def _redundant_call(scene: Scene) -> None:
    tool = scene.app.tools["inspect"]
    part = scene.rng.choice(scene.world.parts)
    told = part_facts(scene, part)
    scene.actor.use(tool, tool.fill(part=part), told)
    search(scene)
    scene.blame(*scene.actor.use(tool, tool.fill(part=part), told))
    search(scene)
    if scene.rng.random() < 0.5:
        scene.blame(*open_record(scene))


def _read_after_write(scene: Scene) -> None:
    check(scene)
    write(scene)
    open_record(scene)
    notify(scene)


def _missing_tool(app: Application, variant: int) -> str:
    return app.missing_tools[variant % len(app.missing_tools)]


def _unknown_tool(scene: Scene) -> None:
    name = _missing_tool(scene.app, scene.tale.variant)
    problem = Problem(type="ToolNotFound", message=f"Tool '{name}' does not exist")
    arguments = scene.app.tools["open"].fill(record=scene.world.record)
    for _ in range(scene.rng.randint(1, 2)):
        scene.blame(*scene.actor.use(name, arguments, "", problem=problem, seconds=0.002))
    go_on(scene, 0.4, f"there is no {name}")


def _rare_tool(scene: Scene) -> None:
    tool = scene.app.tools["rare"]
    facts = scene.app.write({"record": scene.world.record, "state": "held"})
    scene.actor.use(tool, tool.fill(record=scene.world.record), facts)


def _misnamed_argument(scene: Scene) -> None:
    tool, part = scene.app.tools["inspect"], scene.rng.choice(scene.world.parts)
    right = tool.arguments["part"].name
    wrong = (right.replace("_", "").lower() + "s", right.split("_")[0] + "_identifier")[
        scene.tale.variant % 2
    ]
    problem = Problem(
        type="ValidationError", message=f"{right}: Field required; {wrong}: Unexpected argument"
    )
    scene.blame(*scene.actor.use(tool, {wrong: part}, "", problem=problem, seconds=0.004))
    if scene.rng.random() < 0.5:
        scene.actor.use(tool, tool.fill(part=part), part_facts(scene, part))
    else:
        scene.fail(f"{tool.name} did not accept the request")


def _optional_argument(scene: Scene) -> None:
    tool = scene.app.tools["find"]
    scene.actor.use(tool, tool.fill(query=scene.app.prose(scene.rng, 2), page=1), found(scene))


def _wrong_type(scene: Scene) -> None:
    if scene.tale.variant % 2:
        tool = scene.app.tools["find"]
        page = tool.arguments["page"].name
        arguments = tool.fill(query=scene.app.prose(scene.rng, 2), page="first page")
        message = f"{page}: Input should be a valid integer, unable to parse string as an integer"
    else:
        tool = scene.app.tools["check"]
        rule = tool.arguments["rule"].name
        arguments = tool.fill(record=scene.world.record, rule="everything")
        message = f"{rule}: Input should be {', '.join(map(repr, scene.app.rules))}"
    problem = Problem(type="ValidationError", message=message)
    scene.blame(*scene.actor.use(tool, arguments, "", problem=problem, seconds=0.004))
    go_on(scene, 0.5, f"{tool.name} did not accept the request")


def _number_as_text(scene: Scene) -> None:
    tool = scene.app.tools["find"]
    number = "".join(filter(str.isdigit, scene.world.record))
    scene.actor.use(tool, tool.fill(query=number), found(scene))


def _missing_argument(scene: Scene) -> None:
    tool = scene.app.tools["check"]
    problem = Problem(
        type="ValidationError",
        message=f"1 validation error: {tool.arguments['rule'].name} Field required",
    )
    arguments = tool.fill(record=scene.world.record)
    scene.blame(*scene.actor.use(tool, arguments, "", problem=problem, seconds=0.004))
    go_on(scene, 0.5, f"{tool.name} did not accept the request")


def _without_version(scene: Scene) -> None:
    tool, world = scene.app.tools["write"], scene.world
    world.version += 1
    check(scene)
    scene.actor.use(
        tool,
        tool.fill(record=world.record, field=world.field, value=world.value),
        scene.app.write({"record": world.record, "version": world.version}),
    )
    notify(scene)


def _ungrounded_argument(scene: Scene) -> None:
    tool = scene.app.tools["inspect"]
    part = scene.app.part_id.format(scene.rng.randrange(100_000, 999_999))
    if scene.rng.random() < 0.6:
        problem = Problem(type="NotFound", message=f"nothing is known as {part}")
        scene.blame(*scene.actor.use(tool, tool.fill(part=part), "", problem=problem))
        go_on(scene, 0.3, f"{part} was not found")
    else:
        scene.blame(*scene.actor.use(tool, tool.fill(part=part), part_facts(scene, part)))
        scene.spoilt = True


def _named_before(scene: Scene) -> None:
    """An id from an earlier turn of the conversation, or one that the user adds."""
    tool = scene.app.tools["inspect"]
    part = scene.app.part_id.format(scene.rng.randrange(100_000, 999_999))
    if scene.rng.random() < 0.5:
        scene.actor.hear(f"And have a look at {part} while you are there.")
    else:
        scene.actor.history[:0] = [
            Said(role="user", text=f"What about {part}?"),
            Said(role="assistant", text=f"I noted {part} and will come back to it."),
        ]
        scene.actor.turn("Before I go on, there was something open from earlier.")
    scene.actor.use(tool, tool.fill(part=part), part_facts(scene, part))


FAULTS: Final[dict[str, Play]] = {
    "tool_error": Play(twist=_tool_error, tool=by_role("inspect", "find", "check")),
    "loop_exact": Play(twist=_loop_exact, tool=by_role("find"), keeps_words=True),
    "loop_periodic": Play(twist=_loop_periodic, keeps_words=True),
    "loop_near": Play(twist=_loop_near, tool=by_role("find"), keeps_words=True),
    "retry_storm": Play(twist=_retry_storm, tool=by_role("check"), keeps_words=True),
    "redundant_call": Play(twist=_redundant_call, keeps_words=True),
    "unknown_tool": Play(twist=_unknown_tool, tool=_missing_tool),
    "misnamed_argument": Play(twist=_misnamed_argument, tool=by_role("inspect"), keeps_words=True),
    "wrong_type": Play(twist=_wrong_type, tool=by_role("check", "find"), keeps_words=True),
    "missing_argument": Play(twist=_missing_argument, tool=by_role("check"), keeps_words=True),
    "ungrounded_argument": Play(
        twist=_ungrounded_argument, tool=by_role("inspect"), keeps_words=True
    ),
}
LURES: Final[dict[str, Play]] = {
    "tool_error": Play(twist=_other_errors, seldom=True),
    "loop_exact": Play(twist=_polling),
    "loop_periodic": Play(place="act", twist=_edit_and_test, job="change"),
    "loop_near": Play(twist=_pages),
    "retry_storm": Play(twist=_backing_off, seldom=True),
    "redundant_call": Play(place="act", twist=_read_after_write, job="change"),
    "unknown_tool": Play(twist=_rare_tool),
    "misnamed_argument": Play(twist=_optional_argument),
    "wrong_type": Play(twist=_number_as_text),
    "missing_argument": Play(place="act", twist=_without_version, job="change"),
    "ungrounded_argument": Play(twist=_named_before, keeps_words=True),
}
