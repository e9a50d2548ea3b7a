"""Faults between agents: old data, conflicts, double work, ping-pong, lost workers; and look-alikes."""

from typing import Final

from tests.eval.alpha.plays.play import CHAIN, TEAM, Play
from tests.eval.alpha.scene import (
    Scene,
    found,
    notify,
    open_record,
    part_facts,
    search,
    write,
)
from tests.eval.alpha.shapes import delegate, hand_over
from tests.eval.alpha.story import Actor, Step


class _Pair:
    """Two workers side by side, asked by the lead in one turn."""

    def __init__(self, scene: Scene, tasks: tuple[str, str]) -> None:
        self.scene, self.lead = scene, scene.actor
        names = scene.app.workers[1:]
        calls = [
            self.lead.asks(f"ask_{name}", {"task": task})
            for name, task in zip(names, tasks, strict=True)
        ]
        turn = self.lead.turn("", calls)
        self.asked = [self.lead.begin_call(turn, call) for call in calls]
        self.workers: list[Actor] = []
        for name, task, step in zip(names, tasks, self.asked, strict=True):
            worker = Actor(scene.tale, name, parent=step.id)
            worker.hear(task)
            self.workers.append(worker)

    def finish(self, words: str) -> None:
        for worker, step in zip(self.workers, self.asked, strict=True):
            worker.turn(words)
            worker.leave(words)
            self.lead.end_call(step, words)


def _tasks(scene: Scene) -> tuple[str, str]:
    world = scene.world
    first, second = _two_values(scene)
    return (
        f"See to it that {world.field} of {world.record} is {first}.",
        f"See to it that {world.field} of {world.record} is {second}.",
    )


def _two_values(scene: Scene) -> tuple[str, str]:
    values = [one for one in scene.app.fields[scene.world.field] if one != scene.world.value]
    return scene.world.value, values[0]


def _set(
    scene: Scene, worker: Actor, field: str, value: str, version: int | None = None
) -> tuple[Step, Step]:
    tool, world = scene.app.tools["write"], scene.world
    world.version += 1
    arguments = tool.fill(record=world.record, field=field, value=value)
    if version is not None:
        arguments |= tool.fill(version=version)
    answer = scene.app.write({"record": world.record, "version": world.version, field: value})
    return worker.use(tool, arguments, answer)


def _stale_read(scene: Scene) -> None:
    """The first worker has read; the second changes and reads again; the first acts on what it had."""
    pair, world = _Pair(scene, _tasks(scene)), scene.world
    slow, quick = pair.workers
    open_record(scene, slow)
    old = world.version
    open_record(scene, quick)
    fields = sorted(scene.app.fields)
    other = next(one for one in fields if one != world.field)
    _set(scene, quick, world.field, world.value, old)
    open_record(scene, quick)
    scene.blame(*_set(scene, slow, other, scene.app.fields[other][0], old))
    pair.finish(f"{world.record} is done.")
    scene.spoilt = True


def _refreshed(scene: Scene) -> None:
    pair, world = _Pair(scene, _tasks(scene)), scene.world
    slow, quick = pair.workers
    open_record(scene, slow)
    open_record(scene, quick)
    other = next(one for one in sorted(scene.app.fields) if one != world.field)
    _set(scene, quick, world.field, world.value, world.version)
    open_record(scene, slow)
    _set(scene, slow, other, scene.app.fields[other][0], world.version)
    pair.finish(f"{world.record} is done.")


def _conflicting_write(scene: Scene) -> None:
    pair, world = _Pair(scene, _tasks(scene)), scene.world
    values = _two_values(scene)
    for worker in pair.workers:
        open_record(scene, worker)
    for worker, value in zip(pair.workers, values, strict=True):
        scene.blame(*_set(scene, worker, world.field, value))
    pair.finish(f"{world.record} is done.")
    scene.spoilt = True


def _writes_that_agree(scene: Scene) -> None:
    world = scene.world
    task = f"See to it that {world.field} of {world.record} is {world.value}."
    pair = _Pair(scene, (task, task))
    other = next(one for one in sorted(scene.app.fields) if one != world.field)
    same = scene.rng.random() < 0.5
    first, second = pair.workers
    open_record(scene, first)
    _set(scene, first, world.field, world.value)
    if same:
        _set(scene, second, world.field, world.value)
    else:
        _set(scene, second, other, scene.app.fields[other][0])
    pair.finish(f"{world.record} is done.")


def _lost_update(scene: Scene) -> None:
    """Both read one version; the second's write undoes the first's, of which it never heard."""
    pair, world = _Pair(scene, _tasks(scene)), scene.world
    values = _two_values(scene)
    version = world.version
    for worker in pair.workers:
        open_record(scene, worker)
    _set(scene, pair.workers[0], world.field, values[0], version)
    scene.blame(*_set(scene, pair.workers[1], world.field, values[1], version))
    pair.finish(f"{world.record} is done.")
    scene.spoilt = True


def _read_write_read_write(scene: Scene) -> None:
    pair, world = _Pair(scene, _tasks(scene)), scene.world
    for worker, value in zip(pair.workers, _two_values(scene), strict=True):
        world.value = value
        open_record(scene, worker)
        write(scene, worker)
    pair.finish(f"{world.record} is done.")


def _duplicate_work(scene: Scene) -> None:
    tool, find = scene.app.tools["inspect"], scene.app.tools["find"]
    part, query = scene.rng.choice(scene.world.parts), scene.app.prose(scene.rng, 3)
    task = f"Look into {scene.world.record} with {part}."
    pair = _Pair(scene, (task, task))
    told, hits = part_facts(scene, part), found(scene)
    for number, worker in enumerate(pair.workers):
        for steps in (
            open_record(scene, worker),
            worker.use(tool, tool.fill(part=part), told),
            worker.use(find, find.fill(query=query), hits),
        ):
            if number:
                scene.blame(*steps)
    scene.blame(*pair.asked)
    pair.finish(scene.app.prose(scene.rng, 12))


def _shared_lookup(scene: Scene) -> None:
    pair = _Pair(
        scene, (f"Part one of {scene.world.record}.", f"Part two of {scene.world.record}.")
    )
    for worker in pair.workers:
        open_record(scene, worker)
        search(scene, worker)
    pair.finish(scene.app.prose(scene.rng, 12))


def _handoff_loop(scene: Scene) -> None:
    one, two = scene.actor.name, scene.app.workers[1]
    for number in range(scene.rng.randint(5, 8)):
        giver = scene.actor
        scene.actor = hand_over(scene, giver, one if number % 2 else two, scene.root)
        scene.blame(*(s for s in scene.tale.steps[-3:] if s.kind in {"handoff", "model"}))
    scene.fail("nobody here is in charge of it")


def _supervisor(scene: Scene) -> None:
    """The lead asks its workers in turn, more than once, and gets something new each time."""
    lead = scene.actor
    for number in range(4):
        query = scene.app.prose(scene.rng, 3)

        def work(worker: Actor, words: str = query) -> str:
            search(scene, worker, words)
            return scene.app.prose(scene.rng, 12)

        delegate(scene, lead, scene.app.workers[number % 2], f"Find out about {query}.", work)


def _accepted(scene: Scene, name: str, task: str) -> tuple[Step, Actor]:
    """The lead gives a task away and gets a ticket, not a result."""
    lead = scene.actor
    ticket = f'{{"accepted": true, "ticket": "t-{scene.rng.randrange(10**5, 10**6)}"}}'
    _, step = lead.use(f"ask_{name}", {"task": task}, ticket, seconds=0.05)
    worker = Actor(scene.tale, name, parent=step.id)
    worker.hear(task)
    return step, worker


def _orphan_delegation(scene: Scene) -> None:
    began = scene.tale.now_ns
    task = f"Find the reason behind {scene.world.record} and report back to me."
    step, worker = _accepted(scene, scene.app.workers[1], task)
    returned = scene.tale.now_ns
    search(scene, worker)
    search(scene, worker)
    if scene.tale.variant % 2 and worker.span:
        worker.span.exported = False  # it never ended
    else:
        scene.tale.wait(20)
        words = scene.app.prose(scene.rng, 15)
        worker.turn(words)
        worker.leave(words)
    scene.blame(step)
    if worker.span:
        scene.blame(worker.span)
    scene.tale.now_ns = max(began, returned)
    scene.spoilt = True


def _fire_and_forget(scene: Scene) -> None:
    task = f"Notify {scene.world.owner} ({scene.world.mail}) about {scene.world.record}."
    _, worker = _accepted(scene, scene.app.workers[2], task)
    notify(scene, worker)
    worker.turn("Sent.")
    worker.leave("Sent.")


def _waiting(scene: Scene) -> None:
    idle = scene.rng.uniform(45, 120)
    lead = scene.actor
    task = f"Finish {scene.world.record}. Known: {scene.app.write(scene.world.as_record())}"

    def work(worker: Actor) -> str:
        if scene.tale.variant % 2:
            answer = '{"slot": "granted"}'
            arguments = {"reference": scene.world.record}
            _, call = worker.use("reserve_slot", arguments, answer, seconds=idle)
            scene.blame(call)
        else:
            scene.tale.wait(idle)  # its queue is full
        if worker.span:
            scene.blame(worker.span)
        search(scene, worker)
        return scene.app.prose(scene.rng, 10)

    delegate(scene, lead, scene.app.workers[1], task, work)


def _approval(scene: Scene) -> None:
    question = f"May I set {scene.world.field} of {scene.world.record}?"
    seconds = scene.rng.uniform(40, 200)
    scene.actor.use("request_approval", {"question": question}, "approved by m.k.", seconds=seconds)


FAULTS: Final[dict[str, Play]] = {
    "stale_read": Play(
        place="among", twist=_stale_read, shapes=TEAM, job="change", keeps_words=True
    ),
    "conflicting_write": Play(
        place="among", twist=_conflicting_write, shapes=TEAM, job="change", keeps_words=True
    ),
    "lost_update": Play(
        place="among", twist=_lost_update, shapes=TEAM, job="change", keeps_words=True
    ),
    "duplicate_work": Play(
        place="among", twist=_duplicate_work, shapes=TEAM, job="research", keeps_words=True
    ),
    "handoff_loop": Play(place="among", twist=_handoff_loop, shapes=CHAIN),
    "orphan_delegation": Play(place="among", twist=_orphan_delegation, shapes=TEAM, job="research"),
    "waiting": Play(place="among", twist=_waiting, shapes=TEAM, job="research"),
}
LURES: Final[dict[str, Play]] = {
    "stale_read": Play(place="among", twist=_refreshed, shapes=TEAM, job="change"),
    "conflicting_write": Play(place="among", twist=_writes_that_agree, shapes=TEAM, job="change"),
    "lost_update": Play(place="among", twist=_read_write_read_write, shapes=TEAM, job="change"),
    "duplicate_work": Play(place="among", twist=_shared_lookup, shapes=TEAM, job="research"),
    "handoff_loop": Play(place="among", twist=_supervisor, shapes=TEAM, job="research"),
    "orphan_delegation": Play(place="among", twist=_fire_and_forget, shapes=TEAM, job="question"),
    "waiting": Play(twist=_approval),
}
