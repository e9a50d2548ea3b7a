"""Five shapes of the same work: one loop, a planner with workers, a chain of handoffs, a graph, flat."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from tests.eval.alpha.application import Tool, text
from tests.eval.alpha.scene import (
    Job,
    Scene,
    Twist,
    act,
    make_world,
    open_record,
    request,
    research,
    say,
    stumble,
)
from tests.eval.alpha.story import Actor, Tale

Shape = Literal["single", "team", "chain", "graph", "flat"]
SHAPES: Final[tuple[Shape, ...]] = ("single", "team", "chain", "graph", "flat")
Place = Literal["middle", "among", "act", "end"]  # "among": where several agents meet
_SIDE_TOOLS: Final = (
    Tool(
        name="request_approval",
        description="Wait until a human agrees.",
        arguments={"text": text("question")},
        seconds=30,
    ),
    Tool(
        name="update_plan",
        description="Keep the list of what is to be done.",
        arguments={"text": text("items")},
        seconds=0.01,
    ),
    Tool(
        name="reserve_slot",
        description="Wait for a free slot of the back office.",
        arguments={"record": text("reference")},
        seconds=0.3,
    ),
)


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a run is going to be; a fault or a look-alike may change it before it begins."""

    tale: Tale
    shape: Shape
    job: Job
    twists: dict[Place, Twist] = field(default_factory=dict)
    checked: bool = True
    notified: bool = True
    stumbles: bool = False
    padding_tokens: int = 0
    parts: int = 0


def play(plan: Plan) -> Scene:
    """Let the run happen."""
    tale = plan.tale
    tale.offered = (*tale.app.tools.values(), *_SIDE_TOOLS, *_handovers(tale, plan.shape))
    return _PLAYS[plan.shape](plan)


def delegate(
    scene: Scene, lead: Actor, name: str, task: str, work: Callable[[Actor], str]
) -> Actor:
    """`lead` asks the worker `name`; `work` gives back the worker's answer."""
    call = lead.asks(f"ask_{name}", {"task": task})
    step = lead.begin_call(lead.turn("", [call]), call)
    worker = Actor(scene.tale, name, parent=step.id)
    worker.hear(task)
    words = work(worker)
    worker.turn(words)
    worker.leave(words)
    lead.end_call(step, words)
    return worker


def hand_over(scene: Scene, giver: Actor, name: str, root: str) -> Actor:
    """`giver` passes the conversation on to `name`."""
    call = giver.asks(f"transfer_to_{name}", {})
    turn = giver.turn("", [call])
    step = scene.tale.begin("handoff", name, parent=giver.parent, agent=giver.name)
    step.call, step.turn = call, turn.id
    scene.tale.wait(0.002)
    giver.end_call(step, f'{{"assistant": "{name}"}}')
    giver.leave("")
    taker = Actor(scene.tale, name, parent=root)
    taker.history = list(giver.history)
    if taker.span:
        taker.span.heard = tuple(taker.history[:1])
    return taker


def _handovers(tale: Tale, shape: Shape) -> list[Tool]:
    names = (tale.app.lead, *tale.app.workers)
    if shape == "team":
        return [
            Tool(
                name=f"ask_{name}",
                description=f"Delegate to {name}.",
                arguments={"text": text("task")},
                seconds=0,
            )
            for name in names
        ]
    if shape == "chain":
        return [
            Tool(
                name=f"transfer_to_{name}",
                description=f"Hand over to {name}.",
                arguments={},
                seconds=0,
            )
            for name in names
        ]
    return []


def _scene(plan: Plan, actor: Actor) -> Scene:
    actor.padding_tokens = plan.padding_tokens
    return Scene(
        tale=plan.tale,
        world=make_world(plan.tale.app, plan.tale.rng, plan.parts),
        job=plan.job,
        actor=actor,
        checked=plan.checked,
        notified=plan.notified,
    )


def _read(plan: Plan, scene: Scene, actor: Actor) -> None:
    scene.actor = actor
    actor.padding_tokens = plan.padding_tokens
    open_record(scene, actor)
    if plan.stumbles:
        stumble(scene, actor)
    research(scene, actor)
    if "middle" in plan.twists:
        plan.twists["middle"](scene)


def _act(plan: Plan, scene: Scene, actor: Actor) -> None:
    actor.padding_tokens = plan.padding_tokens
    if scene.failed or scene.words:
        return
    if "act" in plan.twists:
        scene.actor = actor
        plan.twists["act"](scene)
    else:
        act(scene, actor)


def _close(plan: Plan, scene: Scene, actor: Actor) -> str:
    if "end" in plan.twists and not scene.failed:
        scene.actor = actor
        plan.twists["end"](scene)
    if not scene.words and scene.problem is None:
        ending: Literal["sorry", "done", "told"] = (
            "sorry" if scene.failed else "done" if plan.job == "change" else "told"
        )
        scene.words = say(scene, ending)
        closing = actor.turn(scene.words)
        if scene.blame_words:
            scene.blame(closing)
    return scene.words


def _single(plan: Plan) -> Scene:
    actor = Actor(plan.tale, plan.tale.app.lead)
    scene = _scene(plan, actor)
    actor.hear(request(scene))
    _read(plan, scene, actor)
    _act(plan, scene, actor)
    actor.leave(_close(plan, scene, actor), scene.problem)
    return scene


def _flat(plan: Plan) -> Scene:
    tale = plan.tale
    entry = tale.begin("entry", "POST /v1/assist", parent="", agent="")
    tale.wait(0.01)
    actor = Actor(tale, "", parent=entry.id, system=tale.app.system("an assistant"), own_span=False)
    scene = _scene(plan, actor)
    actor.hear(request(scene))
    _read(plan, scene, actor)
    _act(plan, scene, actor)
    _close(plan, scene, actor)
    entry.problem = scene.problem
    tale.wait(0.004)
    tale.end(entry)
    return scene


def _graph(plan: Plan) -> Scene:
    tale = plan.tale
    actor = Actor(tale, tale.app.lead)
    root = actor.parent
    scene = _scene(plan, actor)
    actor.hear(request(scene))

    def node(name: str, work: Callable[[], object]) -> None:
        step = tale.begin("node", name, parent=root, agent=actor.name)
        actor.parent = step.id
        work()
        tale.end(step)
        actor.parent = root

    node("gather", lambda: _read(plan, scene, actor))
    if plan.job == "change":
        node("execute", lambda: _act(plan, scene, actor))
    node("respond", lambda: _close(plan, scene, actor))
    actor.leave(scene.words, scene.problem)
    return scene


def _team(plan: Plan) -> Scene:
    tale = plan.tale
    lead = Actor(tale, tale.app.lead)
    scene = _scene(plan, lead)
    wanted = request(scene)
    lead.hear(wanted)

    def reading(worker: Actor) -> str:
        _read(plan, scene, worker)
        facts = scene.app.write(scene.world.as_record())
        trouble = f"I could not finish, {scene.why}. " if scene.failed else ""
        return f"{trouble}{facts} {scene.app.prose(scene.rng, 8)}"

    def changing(worker: Actor) -> str:
        _act(plan, scene, worker)
        return f"I could not: {scene.why}." if scene.failed else f"{scene.world.record} is done."

    reader = tale.app.workers[1 if plan.job == "research" else 0]
    delegate(scene, lead, reader, f"Find out about {scene.world.record}: {wanted}", reading)
    if "among" in plan.twists:
        scene.actor = lead
        plan.twists["among"](scene)
    elif plan.job == "change" and not scene.failed:
        facts = scene.app.write(scene.world.as_record())
        delegate(scene, lead, tale.app.workers[2], f"{wanted}\nKnown: {facts}", changing)
    lead.leave(_close(plan, scene, lead), scene.problem)
    return scene


def _chain(plan: Plan) -> Scene:
    tale = plan.tale
    root = tale.begin("node", tale.app.workflow, parent="", agent="")
    first = Actor(tale, tale.app.lead, parent=root.id)
    scene = _scene(plan, first)
    first.hear(request(scene))
    reader = hand_over(scene, first, tale.app.workers[0], root.id)
    scene.root = root.id
    _read(plan, scene, reader)
    if "among" in plan.twists:
        plan.twists["among"](scene)
    last = scene.actor
    if plan.job == "change" and not scene.failed:
        last = hand_over(scene, last, tale.app.workers[2], root.id)
        _act(plan, scene, last)
    last.leave(_close(plan, scene, last), scene.problem)
    root.problem = scene.problem
    tale.end(root)
    return scene


_PLAYS: Final[dict[Shape, Callable[[Plan], Scene]]] = {
    "single": _single,
    "team": _team,
    "chain": _chain,
    "graph": _graph,
    "flat": _flat,
}
