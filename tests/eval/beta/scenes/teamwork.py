"""Agents that get into each other's way."""

from collections.abc import Mapping
from typing import Any, Final

from tests.eval.beta.run import SECOND_NS, Run, Step
from tests.eval.beta.scenes.scene import Pair, chance, in_team


def _read(run: Run, thing: str, revision: int, **known: Any) -> Step:
    cast = run.cast
    record = run.record(thing, revision=revision, **known)
    return run.use(cast.lookup, {cast.key: thing}, record)


def _write(run: Run, thing: str, base: int | None, **given: Any) -> Step:
    cast = run.cast
    change = run.change_of(thing, **given)
    if base is not None:
        change["revision"] = base
    saved = {"saved": True, "of": thing, "revision": (base or 3) + 1}
    return run.use(cast.change, change, saved)


def _two_choices(run: Run) -> tuple[str, str]:
    first, second = run.dice.sample(run.cast.choices(), 2)
    return first, second


def stale_read(run: Run) -> None:
    """The peer has seen revision 5; the worker is given revision 4 by a cache and acts on it."""
    cast, thing = run.cast, run.new_thing()
    first, second = _two_choices(run)
    with run.acting(cast.peer, f"Look at {thing}."):
        _read(run, thing, 5, **{cast.choice: second})
        run.think(f"{thing} is at revision 5 now.")
    with run.acting(cast.worker, f"Update {thing}."):
        old = _read(run, thing, 4, **{cast.choice: first})
        step = _write(run, thing, 4)
        run.think(f"{thing} is updated.")
    run.conclude(f"{thing} is updated.")
    run.blame(cast.worker, cast.lookup, old, step)
    if chance(run, 0.5):
        run.fail()


def refreshed(run: Run) -> None:
    """As before, but the worker reads again before it acts."""
    cast, thing = run.cast, run.new_thing()
    with run.acting(cast.peer, f"Look at {thing}."):
        _read(run, thing, 5)
        run.think(f"{thing} is at revision 5 now.")
    with run.acting(cast.worker, f"Update {thing}."):
        _read(run, thing, 4)
        run.think("That is a cached copy, I'd better refresh it.")
        _read(run, thing, 5)
        _write(run, thing, 5)
        run.think(f"{thing} is updated.")
    run.conclude(f"{thing} is updated from revision 5.")


def conflicting_write(run: Run) -> None:
    """Both decide about the same thing, differently, and neither knows."""
    cast, thing = run.cast, run.new_thing()
    first, second = _two_choices(run)
    with run.acting(cast.worker, f"Decide about {thing}."):
        one = _write(run, thing, None, **{cast.choice: first})
        run.think(f"{thing}: {first}.")
    with run.acting(cast.peer, f"Decide about {thing}."):
        other = _write(run, thing, None, **{cast.choice: second})
        run.think(f"{thing}: {second}.")
    run.conclude(f"{thing} is decided.")
    run.blame(cast.peer, cast.change, other, one)
    if chance(run, 0.4):
        run.fail()


def agreeing_writes(run: Run) -> None:
    """Both write the same value, or each writes to a thing of its own."""
    cast, thing = run.cast, run.new_thing()
    other = run.new_thing() if run.dice.random() < 0.5 else thing
    choice, _ = _two_choices(run)
    given = {cast.choice: choice, cast.amount: 3}
    for agent, of in ((cast.worker, thing), (cast.peer, other)):
        with run.acting(agent, f"Set {of} to {choice}."):
            _write(run, of, None, **given)
            run.think(f"{of}: {choice}.")
    run.conclude(f"{thing} and {other} are set to {choice}.")


def lost_update(run: Run) -> None:
    """Both read revision 3; the peer writes revision 4; the worker's write undoes it."""
    cast, thing = run.cast, run.new_thing()
    first, second = _two_choices(run)
    with run.acting(cast.worker, f"Read {thing}, we'll update it soon."):
        _read(run, thing, 3)
        run.think(f"{thing} is at revision 3.")
    with run.acting(cast.peer, f"Update {thing}."):
        _read(run, thing, 3)
        _write(run, thing, 3, **{cast.choice: second})
        run.think(f"{thing} is updated.")
    with run.acting(cast.worker, f"Now update {thing} as you have read it: revision 3."):
        late = _write(run, thing, 3, **{cast.choice: first})
        run.think(f"{thing} is updated.")
    run.conclude(f"{thing} is updated.")
    run.blame(cast.worker, cast.change, late)
    if chance(run, 0.5):
        run.fail()


def reading_again(run: Run) -> None:
    """Read, write; the next one reads again before it writes."""
    cast, thing = run.cast, run.new_thing()
    for agent, revision in ((cast.peer, 3), (cast.worker, 4)):
        with run.acting(agent, f"Update {thing}."):
            _read(run, thing, revision)
            _write(run, thing, revision)
            run.think(f"{thing} is updated.")
    run.conclude(f"{thing} was updated twice, one after the other.")


def duplicate_work(run: Run) -> None:
    """Both make the same three calls and are told the same."""
    cast = run.cast
    things = [run.new_thing() for _ in range(2)]
    hits = run.hits(2)
    steps: list[Step] = []
    for agent in (cast.worker, cast.peer):
        with run.acting(agent, f"Collect what there is about {' and '.join(things)}."):
            for thing in things:
                steps.append(run.use(cast.lookup, {cast.key: thing}, run.record(thing)))
            steps.append(run.use(cast.search, {"query": f"more on {things[0]}"}, hits))
            run.think(f"Collected: {things[0]}, {things[1]}.")
    run.conclude(f"Collected: {things[0]}, {things[1]}.")
    run.blame(cast.peer, None, *steps[3:])


def shared_first_look(run: Run) -> None:
    """Both look at the same thing first, then each does its own part."""
    cast, thing = run.cast, run.new_thing()
    for agent in (cast.worker, cast.peer):
        own = run.new_thing()
        with run.acting(agent, f"Begin with {thing}, then see to {own}."):
            run.use(cast.lookup, {cast.key: thing}, run.record(thing))
            run.use(cast.lookup, {cast.key: own}, run.record(own))
            run.think(f"{own} is seen to.")
        run.conclude(f"{own} is seen to, along with {thing}.")


def handoff_loop(run: Run) -> None:
    """Each thinks that it is the other's job."""
    cast = run.cast
    steps: list[Step] = []
    for _ in range(run.dice.randrange(3, 5)):
        for agent, other in ((cast.worker, cast.peer), (cast.peer, cast.worker)):
            with run.acting(agent, f"{run.task} Please take over."):
                tool = f"transfer_to_{other.lower().replace(' ', '_')}"
                given = {"agent_name": other, "reason": f"{run.word} is not for me"}
                step = run.use(tool, given, f"Transferred to {other}.")
                step.handoff = other
                steps.append(step)
    run.blame(cast.worker, None, *steps)
    if chance(run, 0.8):
        run.fail()


def supervised(run: Run) -> None:
    """The lead gives work out one by one and reads every report."""
    cast = run.cast
    with run.acting(cast.lead, f"Have {run.thing} looked at from three sides."):
        for agent, side in ((cast.worker, "terms"), (cast.peer, "dates"), (cast.worker, "price")):
            tool = f"transfer_to_{agent.lower().replace(' ', '_')}"
            given = {"agent_name": agent, "reason": f"look at the {side} of {run.thing}"}
            turn = run.think("", [(tool, given)])
            found = run.hits(1)
            with run.acting(agent, f"Look at the {side} of {run.thing}."):
                run.use(run.cast.search, {"query": f"{side} of {run.thing}"}, found)
                run.think(f"The {side} are in order, see {found[0][cast.key]}.")
            run.hear(f"The {side} are in order, see {found[0][cast.key]}.", turn.calls[0])
        run.think("All three sides are in order.")
    run.conclude("Terms, dates and price are in order.")


def orphan_delegation(run: Run) -> None:
    """A part of the task is given away, and nobody waits for the answer."""
    cast, other = run.cast, run.new_thing()
    with run.acting(cast.lead, f"Find out about {other}: the answer depends on it."):
        job = f"job-{run.dice.randrange(16**6):06x}"
        step = run.use(
            "delegate",
            {"agent_name": cast.peer, "task": f"Find out about {other}"},
            {"accepted": True, "job": job},
        )
        step.handoff = cast.peer
        run.think("That is under way.")
    begin = run.now
    with run.acting(cast.peer, f"Find out about {other}.") as lost:
        run.use(cast.lookup, {cast.key: other}, run.record(other))
        run.pause(run.dice.uniform(60, 120))
        run.think(f"What I found out about {other}: it must not be changed.")
    run.now = begin + SECOND_NS // 10
    run.blame(cast.lead, "delegate", step, lost)
    if chance(run, 0.6):
        run.fail(final=f"{run.thing} is done. I could not find out about {other}.")


def fire_and_forget(run: Run) -> None:
    """Somebody is notified; nobody needs an answer."""
    cast = run.cast
    with run.acting(cast.peer, f"Tell everybody that {run.thing} is being worked on."):
        text = f"{run.thing} is being worked on."
        run.use(cast.tell, {cast.key: run.thing, "text": text}, {"queued": True})
        run.think("They are being notified.")
    run.conclude("Everybody is being notified.")


PAIRS: Final[Mapping[str, Pair]] = {
    "stale_read": in_team(stale_read, refreshed),
    "conflicting_write": in_team(conflicting_write, agreeing_writes),
    "lost_update": in_team(lost_update, reading_again),
    "duplicate_work": in_team(duplicate_work, shared_first_look),
    "handoff_loop": in_team(handoff_loop, supervised),
    "orphan_delegation": in_team(orphan_delegation, fire_and_forget),
}
