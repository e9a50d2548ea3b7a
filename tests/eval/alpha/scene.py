"""What happens in a healthy run: things are looked up, checked, changed, told."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.eval.alpha.application import Application
from tests.eval.alpha.story import Actor, Problem, Step, Tale

Ending = Literal["done", "told", "sorry"]
Job = Literal["question", "change", "research"]


@dataclass(slots=True, kw_only=True)
class World:
    """What is true in the application for one run."""

    record: str
    parts: list[str]
    job: str
    owner: str
    mail: str
    state: str
    version: int
    field: str
    value: str

    def as_record(self) -> dict[str, object]:
        return {
            "record": self.record,
            "state": self.state,
            "version": self.version,
            "owner": self.owner,
            "mail": self.mail,
            "parts": self.parts,
        }


@dataclass(slots=True, kw_only=True)
class Scene:
    """A run under way, and what is true about it: who is to blame, whether it failed."""

    tale: Tale
    world: World
    job: Job
    actor: Actor
    blamed: list[Step] = field(default_factory=list)
    failed: bool = False  # and the agent knows
    spoilt: bool = False  # and the agent does not know
    blame_words: bool = False  # the closing turn is to blame, too
    root: str = ""  # span under which agents stand side by side
    why: str = ""
    words: str = ""  # the closing words, once they are said
    problem: Problem | None = None  # what the whole run ends with
    checked: bool = True  # whether the step before a change is made
    notified: bool = True

    @property
    def rng(self) -> random.Random:
        return self.tale.rng

    @property
    def app(self) -> Application:
        return self.tale.app

    def blame(self, *steps: Step) -> None:
        self.blamed.extend(steps)

    def fail(self, why: str) -> None:
        self.failed, self.why = True, why


Twist = Callable[[Scene], None]


def make_world(app: Application, rng: random.Random, parts: int = 0) -> World:
    name = rng.choice(("field", "state"))
    changed = rng.choice(sorted(app.fields))
    first = rng.choice(("Aino", "Bram", "Chidi", "Dolores", "Emre", "Freya", "Goran", "Hana"))
    last = rng.choice(("Okafor", "Lund", "Marsh", "Petrov", "Quist", "Rossi", "Sato", "Tran"))
    number = rng.randrange(100, 999)
    return World(
        record=app.record_id.format(rng.randrange(10_000, 99_999)),
        parts=[
            app.part_id.format(rng.randrange(100_000, 999_999))
            for _ in range(parts or rng.randint(2, 3))
        ],
        job=app.job_id.format(rng.randrange(100_000, 999_999)),
        owner=f"{first} {last}",
        mail=f"{first}.{last}{number}@{name}.example".lower(),
        state=rng.choice(app.states),
        version=rng.randrange(3, 40),
        field=changed,
        value=rng.choice(app.fields[changed]),
    )


def request(scene: Scene) -> str:
    world, rng = scene.world, scene.rng
    wanted = scene.app.changes if scene.job == "change" else scene.app.requests
    asked = rng.choice(wanted).format(record=world.record, field=world.field, value=world.value)
    return asked + scene.tale.appendix


def say(scene: Scene, ending: Ending) -> str:
    """The closing words."""
    choices = {"done": scene.app.done, "told": scene.app.told, "sorry": scene.app.sorry}[ending]
    world = scene.world
    return scene.rng.choice(choices).format(
        record=world.record,
        field=world.field,
        value=world.value,
        detail=scene.rng.choice(world.parts),
        why=scene.why,
    )


def a_problem(scene: Scene, which: int | None = None, *, soft: bool = False) -> Problem:
    kinds = scene.app.problems
    kind, message = kinds[which] if which is not None else scene.rng.choice(kinds)
    return Problem(type=kind, message=message.format(n=scene.rng.randrange(20, 9000)), soft=soft)


def an_odd_problem(scene: Scene) -> Problem:
    """An error that hardly comes twice."""
    kinds = (
        "BrokenPipe BadGateway LeaseLost Throttled ChecksumDiffers NameNotResolved Deadlock "
        "StaleHandle TlsAlert TooManyOpenFiles CodecError ShardMoved"
    ).split()
    return Problem(type=scene.rng.choice(kinds), message=scene.app.prose(scene.rng, 3))


def open_record(scene: Scene, actor: Actor | None = None) -> tuple[Step, Step]:
    """Read the record; everything else follows from it."""
    actor, tool = actor or scene.actor, scene.app.tools["open"]
    return actor.use(
        tool,
        tool.fill(record=scene.world.record),
        scene.app.write(scene.world.as_record()),
        why=scene.rng.choice(("", "Let me look at the file.", "First the current state.")),
    )


def part_facts(scene: Scene, part: str) -> str:
    rng = scene.rng
    return scene.app.write(
        {
            "part": part,
            "state": rng.choice(scene.app.states),
            "amount": rng.randrange(100, 90_000),
            "note": scene.app.prose(rng, rng.randint(5, 30)),
        }
    )


def inspect_parts(scene: Scene, actor: Actor | None = None) -> None:
    """Look at what the record is made of: together, for none depends on another."""
    actor, tool = actor or scene.actor, scene.app.tools["inspect"]
    uses = [(tool, tool.fill(part=part), part_facts(scene, part)) for part in scene.world.parts]
    actor.use_together(uses[: scene.rng.randint(1, min(3, len(uses)))])


def found(scene: Scene, *, page: int = 1, hits: int = 3) -> str:
    rng = scene.rng
    lines = [
        f"{scene.app.prose(rng, 2)} {rng.randrange(100, 99_999)}: {scene.app.prose(rng, 8)}"
        for _ in range(hits)
    ]
    return scene.app.write({"hits": lines, "page": page, "more": hits == 3})


def search(scene: Scene, actor: Actor | None = None, words: str = "") -> tuple[Step, Step]:
    actor, tool = actor or scene.actor, scene.app.tools["find"]
    query = words or scene.app.prose(scene.rng, 3)
    return actor.use(tool, tool.fill(query=query), found(scene))


def check(scene: Scene, actor: Actor | None = None) -> None:
    """What is done before something is changed."""
    actor, tool = actor or scene.actor, scene.app.tools["check"]
    rule = scene.rng.choice(scene.app.rules)
    actor.use(
        tool,
        tool.fill(record=scene.world.record, rule=rule),
        scene.app.write({"record": scene.world.record, "rule": rule, "passed": True}),
    )


def write_arguments(scene: Scene) -> dict[str, object]:
    world, tool = scene.world, scene.app.tools["write"]
    return tool.fill(
        record=world.record, field=world.field, value=world.value, version=world.version
    )


def written(scene: Scene) -> str:
    """The answer of a write that worked; the record has a new version afterwards."""
    world = scene.world
    world.version += 1
    return scene.app.write(
        {
            "record": world.record,
            "version": world.version,
            world.field: world.value,
        }
    )


def write(scene: Scene, actor: Actor | None = None) -> tuple[Step, Step]:
    actor = actor or scene.actor
    arguments = write_arguments(scene)
    return actor.use(scene.app.tools["write"], arguments, written(scene))


def notify(scene: Scene, actor: Actor | None = None) -> tuple[Step, Step]:
    actor, world, rng = actor or scene.actor, scene.world, scene.rng
    tool = scene.app.tools["send"]
    message = f"Dear {world.owner}, {world.record}: {world.field} is {world.value} now."
    arguments = tool.fill(to=world.mail, text=message)
    if rng.random() < 0.12:  # an argument that few calls use
        tone = tool.arguments["tone"].schema["enum"]
        assert isinstance(tone, list), "written as a list"
        arguments |= tool.fill(tone=rng.choice(tone))
    receipt = scene.app.write({"receipt": f"m-{rng.randrange(10**6, 10**7)}", "accepted": True})
    return actor.use(tool, arguments, receipt)


def research(scene: Scene, actor: Actor | None = None) -> None:
    """Reading, as much as the job asks for."""
    if scene.job != "change" or scene.rng.random() < 0.4:
        inspect_parts(scene, actor)
    if scene.job == "research":
        for _ in range(scene.rng.randint(1, 3)):
            search(scene, actor)


def act(scene: Scene, actor: Actor | None = None) -> None:
    """Changing what was asked to be changed."""
    if scene.job != "change":
        return
    if scene.checked:
        check(scene, actor)
    write(scene, actor)
    if scene.notified:
        notify(scene, actor)


def stumble(scene: Scene, actor: Actor | None = None) -> None:
    """A call fails once and works when it is tried again a little later: every system has that."""
    actor, rng = actor or scene.actor, scene.rng
    tool = scene.app.tools["find"]
    arguments = tool.fill(query=scene.app.prose(rng, 3))
    actor.use(tool, arguments, "", problem=an_odd_problem(scene))
    scene.tale.wait(rng.uniform(0.5, 2.5))
    actor.use(tool, arguments, found(scene), why="That failed, once more.")
