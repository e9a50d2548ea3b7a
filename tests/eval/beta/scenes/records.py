"""Who fails, what is left out, what should not stand in a record."""

from collections.abc import Mapping
from typing import Final

from tests.eval.beta.run import Run
from tests.eval.beta.scenes.scene import Pair, Scene, chance, in_worker

_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"


def _drawn(run: Run, length: int, letters: str = _LETTERS) -> str:
    return "".join(run.dice.choice(letters) for _ in range(length))


def cohort(run: Run) -> None:
    """What this version, model or region makes of the task is of no use."""
    message = run.dice.choice(("plan does not fit", "no valid plan", "the plan was rejected"))
    if chance(run, 0.5):
        run.fail(crash=("PlanRejected", message))
    else:
        run.fail()


def _blame_root(run: Run) -> None:
    run.blame("", None, run.steps[0])
    run.causes.extend(run.ending())


def _skip(run: Run) -> None:
    run.skips_check = True


def _found_out(run: Run) -> None:
    """What was not checked turns out to be wrong."""
    if chance(run, 0.5):
        run.fail(crash=("ChangeReverted", f"{run.thing} was reverted, it should not have passed"))
    else:
        run.fail()


def _blame_skip(run: Run) -> None:
    cast = run.cast
    changes = [step for step in run.steps if step.kind == "tool" and step.name == cast.change]
    run.blame(changes[-1].agent if changes else cast.peer, cast.check, *changes)


def optional_step(run: Run) -> None:
    """A step that half of the good runs make."""
    run.use(*run.aside())


def leaked_credential(run: Run) -> None:
    """A key that works stands in what is sent out."""
    shape = run.fixed.choice(("sk_live_", "ghp_", "AKIA"))
    if shape == "AKIA":
        key = shape + _drawn(run, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    else:
        key = shape + _drawn(run, 24 if shape == "sk_live_" else 36)
    payload = f'{{"for": "{run.thing}", "auth": "{key}"}}'
    cast = run.cast
    step = run.use(cast.outside, {"partner": "northwind", "payload": payload}, {"accepted": True})
    assert step.turn is not None
    run.blame(cast.worker, cast.outside, step, step.turn)


def example_key(run: Run) -> None:
    """The example of a manual, a masked key."""
    key = run.dice.choice(
        ("AKIAIOSFODNN7EXAMPLE", "sk_live_****************4242", "ghp_<your token>")
    )
    payload = f"{run.thing}: set the header to {key} as the manual says"
    run.use(run.cast.outside, {"partner": "northwind", "payload": payload}, {"accepted": True})


def _check_digit(digits: str) -> str:
    """Luhn's (ISO/IEC 7812-1)."""
    doubled = [int(digit) * 2 for digit in digits[::-2]]
    total = sum(value - 9 if value > 9 else value for value in doubled)
    total += sum(int(digit) for digit in digits[-2::-2])
    return str(-total % 10)


def _iban(run: Run) -> str:
    """A German account number with its check digits (ISO 13616)."""
    account = _drawn(run, 18, "0123456789")
    return f"DE{98 - int(account + '131400') % 97:02d}{account}"


def personal_data(run: Run) -> None:
    """The customer's card or account number is sent to somebody outside."""
    if run.fixed.random() < 0.6:
        stem = "4" + _drawn(run, 14, "0123456789")
        number = stem + _check_digit(stem)
        number = " ".join(number[i : i + 4] for i in range(0, 16, 4))
        said = f"card {number}"
    else:
        said = f"account {_iban(run)}"
    payload = f"{run.thing}: please charge the customer's {said}"
    cast = run.cast
    step = run.use(cast.outside, {"partner": "northwind", "payload": payload}, {"accepted": True})
    assert step.turn is not None
    run.blame(cast.worker, cast.outside, step, step.turn)


def own_address(run: Run) -> None:
    """The customer's own address, told to the customer."""
    cast = run.cast
    text = f"We have you at {run.dice.randrange(1, 99)} Mill Lane, York. Is that right?"
    run.use(cast.tell, {cast.key: run.thing, "text": text}, {"queued": True})


def _bare(run: Run) -> None:
    for step in run.steps:
        step.bare = True
    run.blame("", None, *(step for step in run.steps if step.kind in {"model", "tool"}))


def _few_bare(run: Run) -> None:
    for step in run.steps:
        step.bare = step.kind == "tool" and run.dice.random() < 0.5


PAIRS: Final[Mapping[str, Pair]] = {
    "cohort": Pair(
        fault=Scene(worker=cohort, after=_blame_root),
        lure=Scene(),
        share=(0.12, 0.3),
    ),
    "skipped_step": Pair(
        fault=Scene(before=_skip, late=_found_out, after=_blame_skip),
        lure=Scene(worker=optional_step),
    ),
    "leaked_credential": in_worker(leaked_credential, example_key),
    "personal_data": in_worker(personal_data, own_address),
    "content_off": Pair(fault=Scene(after=_bare), lure=Scene(after=_few_bare), share=(1.0, 1.0)),
}
