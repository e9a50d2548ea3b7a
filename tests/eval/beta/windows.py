"""Windows of the second generator: `faulty(seed, fault)` and `clean(seed)`.

Even seeds play the hotel's concierge, the contract reviewers and the code migration; odd seeds play the
logistics team, which nobody tunes on. The same seed gives the same window, to the byte.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from halo_otel.model.span import LogRecord, Span
from tests.eval.beta.cast import Cast
from tests.eval.beta.run import SECOND_NS, Message, Run, Setting
from tests.eval.beta.scenes import answers, arguments, calls, records, sizes, teamwork
from tests.eval.beta.scenes.scene import Pair, Scene
from tests.eval.beta.teams import compliance, hotel, logistics, migration
from tests.eval.beta.writers import gen_ai, langfuse, openinference, openllmetry, vercel
from tests.eval.beta.writers.written import Show, Style, Write, spans
from tests.eval.scenario import FAULTS, Planted, Window

TUNING: Final = (hotel.CAST, compliance.CAST, migration.CAST)
REPORTING: Final = (logistics.CAST,)
WRITERS: Final[Mapping[str, Write]] = {
    "openinference": openinference.write,
    "langfuse": langfuse.write,
    "vercel": vercel.write,
    "gen_ai_logs": gen_ai.write,
    "openllmetry": openllmetry.write,
}
PAIRS: Final[Mapping[str, Pair]] = {
    **calls.PAIRS,
    **arguments.PAIRS,
    **answers.PAIRS,
    **sizes.PAIRS,
    **teamwork.PAIRS,
    **records.PAIRS,
}
CATEGORIES: Final = {fault.name: fault.category for fault in FAULTS}
# Langfuse's SDK records no finish reason, so nobody can tell from it that an answer was cut off.
UNSEEN: Final = {"truncation": frozenset({"langfuse"})}
# Faults that need the definitions of the tools to be seen; older gen_ai events have none.
_BY_DEFINITION: Final = frozenset({"unknown_tool"})

_BEGIN_NS: Final = 1_782_000_000 * SECOND_NS
_GAP_S: Final = 75.0
_BACKGROUND_SHARE: Final = 0.015  # of runs fail for a reason of their own
_BARE_SHARE: Final = 0.01  # of tool spans lack their payload
_COHORT_SHARE: Final = 0.22
_COHORT_FAILS: Final = 0.85
_SESSION_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a window is going to hold."""

    cast: Cast
    key: str
    count: int
    fault: str | None
    share: float
    lures: tuple[str, ...]
    lure_share: float
    style: Style
    loud: bool
    wording: str
    cohort: tuple[str, ...]  # the attributes that the fault goes with

    @property
    def everywhere(self) -> tuple[Scene, ...]:
        return tuple(PAIRS[lure].lure for lure in self.lures)


def faulty(seed: int, fault: str) -> Window:
    """A window in which `fault` happens again and again, beside what only looks like one."""
    return _window(seed, fault)


def clean(seed: int) -> Window:
    """A window without a planted fault, full of look-alikes."""
    return _window(seed, None)


def _window(seed: int, fault: str | None) -> Window:
    key = f"beta {seed} {fault}"
    dice = random.Random(key)
    casts = REPORTING if seed % 2 else TUNING
    dialect = dice.choice([name for name in WRITERS if name not in UNSEEN.get(fault or "", ())])
    plan = _planned(key, dice, dice.choice(casts), fault)
    runs = _played(plan, dice)
    made: list[Span] = []
    logs: list[LogRecord] = []
    for run in runs:
        show = Show(cast=plan.cast, run=run, style=plan.style)
        of_run, records_of_run = spans(show, WRITERS[dialect])
        made.extend(of_run)
        logs.extend(records_of_run)
    made.sort(key=lambda span: (span.end_ns, span.span_id))
    logs.sort(key=lambda record: record.time_ns)
    return Window(
        name=f"beta-{fault or 'clean'}-{seed}",
        application=plan.cast.application,
        dialect=dialect,
        spans=tuple(made),
        log_records=tuple(logs),
        planted=_planted(plan, runs),
        failed=frozenset(run.setting.trace_id for run in runs if run.failed),
        lures=plan.lures,
    )


def _planned(key: str, dice: random.Random, cast: Cast, fault: str | None) -> _Plan:
    others = [name for name in PAIRS if name != fault and not _spoils(name, fault)]
    lures = dice.sample(others, dice.randrange(2, 4) if fault else dice.randrange(3, 7))
    if fault and dice.random() < 0.5 and not _spoils(fault, fault):
        lures.append(fault)
    return _Plan(
        cast=cast,
        key=key,
        count=dice.choice((80, 100, 120, 120, 150, 200)),
        fault=fault,
        share=dice.uniform(*PAIRS[fault].share) if fault else 0.0,
        lures=tuple(lures),
        lure_share=dice.uniform(0.06, 0.14),
        style=Style(
            defines_tools=fault in _BY_DEFINITION or dice.random() < 0.7,
            evaluates=dice.random() < 0.3,
            newer=fault in _BY_DEFINITION or dice.random() < 0.5,
            ok_status=dice.random() < 0.3,
        ),
        loud=dice.random() < 0.75,
        wording=dice.choice(("Error: %s", "Error while calling the tool. %s", '{"error": "%s"}')),
        cohort=dice.choice((("version",), ("model",), ("region",), ("version", "region"))),
    )


def _spoils(lure: str, fault: str | None) -> bool:
    """Whether a look-alike works on the whole window, and so takes the fault away."""
    return bool(fault) and lure == fault and fault in {"slow_tool", "cohort", "content_off"}


def _played(plan: _Plan, dice: random.Random) -> list[Run]:
    """All runs of the window, one after the other."""
    chosen = set(dice.sample(range(plan.count), max(8, round(plan.share * plan.count))))
    runs: list[Run] = []
    for number in range(plan.count):
        setting, in_cohort = _setting(plan, dice, runs)
        has_fault = number in chosen
        if plan.fault == "cohort":
            has_fault = dice.random() < (_COHORT_FAILS if in_cohort else _BACKGROUND_SHARE)
        lure = _lure(plan, dice, has_fault)
        if lure == "cohort":
            setting = replace(setting, version=f"{plan.cast.versions[-1]}-rc1")
        run = Run(plan.cast, setting, dice, random.Random(plan.key))
        run.now = _BEGIN_NS + int((number + dice.random()) * _GAP_S * SECOND_NS)
        _play(plan, run, has_fault and plan.fault is not None, lure)
        if plan.fault == "cohort" and not in_cohort:
            run.culprit = None
        runs.append(run)
    return runs


def _lure(plan: _Plan, dice: random.Random, has_fault: bool) -> str | None:
    """The look-alike of this run, if it has any; a run with the fault seldom does."""
    share = plan.lure_share * len(plan.lures) * (0.3 if has_fault else 1.0)
    return dice.choice(plan.lures) if plan.lures and dice.random() < share else None


def _scenes(plan: _Plan, run: Run, has_fault: bool, lure: str | None) -> list[Scene]:
    scenes: list[Scene] = [PAIRS[lure].lure] if lure else []
    if has_fault and plan.fault:
        return [*scenes, PAIRS[plan.fault].fault]
    # In some windows a few more fail by chance, and some of a small cohort are among them.
    share = _BACKGROUND_SHARE * (3 if "cohort" in plan.lures else 1)
    return [*scenes, Scene(worker=Run.fail)] if run.dice.random() < share else scenes


def _play(plan: _Plan, run: Run, has_fault: bool, lure: str | None) -> None:
    scenes = _scenes(plan, run, has_fault, lure)
    for window_wide in plan.everywhere:
        _act(window_wide.everywhere, run)
    for scene in scenes:
        _act(scene.before, run)
        for place, act in (("worker", scene.worker), ("team", scene.team), ("late", scene.late)):
            if act:
                run.acts[place].append(act)
    plan.cast.play(run)
    for scene in scenes:
        _act(scene.after, run)
    if run.ending_to_blame:
        run.causes.extend(run.ending())
    if not has_fault:
        run.culprit = None
        for step in run.steps:
            bare = step.kind == "tool" and run.dice.random() < _BARE_SHARE
            step.bare = step.bare or bare


def _act(act: Callable[[Run], None] | None, run: Run) -> None:
    if act:
        act(run)


def _setting(plan: _Plan, dice: random.Random, runs: list[Run]) -> tuple[Setting, bool]:
    """What is known of the next run before it begins, and whether it is in the failing cohort."""
    cast = plan.cast
    special = dice.random() < _COHORT_SHARE
    # Of a pair of attributes others bear one at most.
    also = None if special or len(plan.cohort) < 2 else dice.choice((*plan.cohort, None, None))

    def drawn(name: str, values: tuple[str, ...]) -> str:
        if plan.fault != "cohort" or name not in plan.cohort:
            return dice.choice(values)
        return values[-1] if special or also == name else dice.choice(values[:-1])

    setting = Setting(
        trace_id=f"{dice.getrandbits(128) | 1:032x}",
        version=drawn("version", cast.versions),
        model=drawn("model", cast.models),
        region=drawn("region", cast.regions),
        session=f"s-{dice.getrandbits(48):012x}",
        user=f"u{dice.randrange(400):04d}",
        loud=plan.loud,
        wording=plan.wording,
    )
    if len(runs) > 8 and dice.random() < _SESSION_SHARE:
        before = dice.choice(runs[-40:-5])
        turns = (
            Message("user", before.task),
            Message("assistant", before.final or cast.done.format(thing=before.thing)),
        )
        old = before.setting
        setting = replace(
            setting, session=old.session, user=old.user, turns=turns, known=(before.thing,)
        )
    return setting, special


def _planted(plan: _Plan, runs: list[Run]) -> tuple[Planted, ...]:
    """What is true about the fault; runs in which it could not happen do not count."""
    having = [run for run in runs if run.culprit is not None]
    if plan.fault is None or not having:
        return ()
    first = having[0].culprit
    assert first is not None
    agent, tool = first
    service = plan.cast.agent(agent).service if agent else plan.cast.service
    return (
        Planted(
            fault=plan.fault,
            category=CATEGORIES[plan.fault],
            service=service,
            agent=agent,
            tool=tool,
            causes={run.setting.trace_id: tuple(dict.fromkeys(run.causes)) for run in having},
        ),
    )
