"""Faults of time, cost, groups and data; and what looks like them."""

import random
from typing import Final

from tests.eval.alpha.plays.play import Play, by_role
from tests.eval.alpha.scene import Scene, an_odd_problem, check, notify, part_facts, write_arguments
from tests.eval.alpha.shapes import Plan
from tests.eval.alpha.story import Problem


def _slow_tool(plan: Plan) -> None:
    plan.tale.slow = {plan.tale.app.tools["open"].name: plan.tale.rng.uniform(18, 35)}


def _heavy_tail(plan: Plan) -> None:
    plan.tale.pace = 1.0


def _costly_runs(plan: Plan) -> None:
    plan.padding_tokens = plan.tale.rng.randint(14_000, 26_000)


def _large_input(plan: Plan) -> None:
    rng, app = plan.tale.rng, plan.tale.app
    plan.tale.appendix = "\n\nAttached:\n" + app.prose(rng, rng.randint(600, 1800))


def _many_parts(plan: Plan) -> None:
    plan.parts = plan.tale.rng.randint(6, 8)


def _serial_calls(scene: Scene) -> None:
    tool = scene.app.tools["inspect"]
    for part in scene.world.parts:
        arguments, told = tool.fill(part=part), part_facts(scene, part)
        scene.blame(*scene.actor.use(tool, arguments, told))


def _one_leads_to_next(scene: Scene) -> None:
    tool, app, rng = scene.app.tools["inspect"], scene.app, scene.rng
    part = scene.world.parts[0]
    for _ in range(rng.randint(4, 6)):
        after = app.part_id.format(rng.randrange(100_000, 999_999))
        told = app.write({"part": part, "amount": rng.randrange(100, 9000), "continued_in": after})
        scene.actor.use(tool, tool.fill(part=part), told)
        part = after


def mishap(scene: Scene) -> None:
    """A run fails, for one of many reasons."""
    tool = scene.app.tools[scene.rng.choice(("inspect", "find", "check"))]
    slot, value = {
        "inspect": ("part", scene.rng.choice(scene.world.parts)),
        "find": ("query", scene.app.prose(scene.rng, 3)),
        "check": ("record", scene.world.record),
    }[next(role for role, one in scene.app.tools.items() if one is tool)]
    meant = {slot: value}
    if slot == "record":
        meant["rule"] = scene.rng.choice(scene.app.rules)
    scene.blame(scene.actor.use(tool, tool.fill(**meant), "", problem=an_odd_problem(scene))[1])
    scene.why = "I could not get the facts"
    scene.failed = True
    if scene.rng.random() < 0.5:
        scene.problem = Problem(type="RunFailed", message=f"{tool.name} gave nothing to go on")


def _skipped_step(scene: Scene) -> None:
    tool = scene.app.tools["write"]
    refused = Problem(
        type="Rejected", message=f"{scene.world.record}: sent back by the second desk"
    )
    scene.blame(*scene.actor.use(tool, write_arguments(scene), "", problem=refused))
    scene.fail("it was sent back by the second desk")


def _optional_step(plan: Plan) -> None:
    plan.notified = plan.tale.rng.random() < 0.5


def _token(rng: random.Random, kind: int) -> str:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    if kind == 0:
        return "AK" + "IA" + "".join(rng.choices(letters, k=16))
    mixed = letters + letters.lower()
    if kind == 1:
        return "gh" + "p_" + "".join(rng.choices(mixed, k=36))
    return "sk" + "_live_" + "".join(rng.choices(mixed, k=28))


def _tell_outside(scene: Scene, text: str) -> None:
    tool = scene.app.tools["send"]
    receipt = scene.app.write({"receipt": f"m-{scene.rng.randrange(10**6, 10**7)}"})
    scene.blame(*scene.actor.use(tool, tool.fill(to=scene.world.mail, text=text), receipt))


def _leaked_credential(scene: Scene) -> None:
    token = _token(scene.rng, scene.tale.variant % 3)
    tool, part = scene.app.tools["inspect"], scene.world.parts[0]
    note = scene.app.write({"part": part, "note": f"mounted with key {token}"})
    scene.blame(*scene.actor.use(tool, tool.fill(part=part), note))
    _tell_outside(scene, f"{scene.world.record} can be reached with the key {token}")


def _example_keys(scene: Scene) -> None:
    masked = ("AK" + "IAIOSFODNN7EXAMPLE", "sk" + "_live_************4f2a", "Bearer <YOUR_TOKEN>")
    tool, part = scene.app.tools["inspect"], scene.world.parts[0]
    note = scene.app.write({"part": part, "note": f"see manual, e.g. {scene.rng.choice(masked)}"})
    scene.actor.use(tool, tool.fill(part=part), note)


def _card(rng: random.Random) -> str:
    digits = [4, *(rng.randrange(10) for _ in range(14))]
    doubled = [2 * d - 9 * (d > 4) if i % 2 == 0 else d for i, d in enumerate(digits)]
    number = "".join(map(str, [*digits, -sum(doubled) % 10]))
    return " ".join(number[i : i + 4] for i in range(0, 16, 4))


def _iban(rng: random.Random) -> str:
    account = "".join(str(rng.randrange(10)) for _ in range(18))
    check_digits = 98 - int(account + "131400") % 97
    return f"DE{check_digits:02d}{account}"


def _personal_data(scene: Scene) -> None:
    rng, world = scene.rng, scene.world
    secret = _card(rng) if scene.tale.variant % 2 else _iban(rng)
    tool, part = scene.app.tools["inspect"], world.parts[0]
    note = scene.app.write({"part": part, "payment": secret, "holder": world.owner})
    scene.actor.use(tool, tool.fill(part=part), note)
    _tell_outside(scene, f"{world.owner} pays with {secret}, see {world.record}")


def _own_address(scene: Scene) -> None:
    check(scene)
    notify(scene)
    tool, world = scene.app.tools["send"], scene.world
    text = f"Dear {world.owner}, we write to {world.mail}, Hafenweg {scene.rng.randrange(1, 90)}."
    receipt = scene.app.write({"receipt": f"m-{scene.rng.randrange(10**6, 10**7)}"})
    scene.actor.use(tool, tool.fill(to=world.mail, text=text), receipt)


def _unrecorded(plan: Plan) -> None:
    plan.tale.recorded = False


FAULTS: Final[dict[str, Play]] = {
    "slow_tool": Play(prepare=_slow_tool, tool=by_role("open")),
    "costly_runs": Play(prepare=_costly_runs),
    "serial_calls": Play(prepare=_many_parts, twist=_serial_calls, tool=by_role("inspect")),
    "cohort": Play(twist=mishap),
    "skipped_step": Play(place="act", twist=_skipped_step, job="change"),
    "leaked_credential": Play(twist=_leaked_credential, keeps_words=True),
    "personal_data": Play(twist=_personal_data, tool=by_role("send"), keeps_words=True),
    "content_off": Play(prepare=_unrecorded),
}
LURES: Final[dict[str, Play]] = {
    "slow_tool": Play(prepare=_heavy_tail, everywhere=True),
    "costly_runs": Play(prepare=_large_input),
    "serial_calls": Play(twist=_one_leads_to_next),
    "skipped_step": Play(prepare=_optional_step, everywhere=True),
    "leaked_credential": Play(twist=_example_keys),
    "personal_data": Play(twist=_own_address),
    "content_off": Play(prepare=_unrecorded),
}
