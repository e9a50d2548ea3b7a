"""Cascades: one step fails, nothing makes it good, and several later steps fail of it.

detectors.md §1.5: the first failure is the one no other failure leads to; its chain is what can be reached
from it along edges that are evidence (`analysis.causes`), never along time alone.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from halo_otel.analysis.causality import causes
from halo_otel.analysis.causality.causes import EDGES, Edge, Failure
from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit, Waste, spot
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import FAILURES, Frame
from halo_otel.analysis.usual.course import Step
from halo_otel.analysis.usual.profile import Profile
from halo_otel.model.finding import Role, Subject

_FALLEN_MIN: Final = 2  # steps that fail of the first: one is an error and its echo
_SHOWN: Final = 3
_RECORDED: Final = frozenset({"passed_on", "names", "link"})  # edges that stand in the telemetry


def cascade(frame: Frame, profile: Profile) -> list[Hit]:
    """At most one hit per trace and first failed step."""
    return [hit for _, known in causes.edges(frame, profile) for hit in _in_trace(known)]


def _in_trace(known: Sequence[Edge]) -> list[Hit]:
    after: dict[int, list[Edge]] = defaultdict(list)
    for edge in known:
        after[edge.src.s].append(edge)
    led_to = {edge.dst.s for edge in known}
    firsts = sorted({edge.src.s: edge.src for edge in known if edge.src.s not in led_to}.items())
    hits: dict[Step, Hit] = {}
    told: set[int] = set()
    for s, first in firsts:
        chain = _chain(s, after)
        fallen = {edge.dst.step for edge in chain} - {first.step}
        if len(fallen) < _FALLEN_MIN or first.step in hits or {e.dst.s for e in chain} <= told:
            continue
        told |= {edge.dst.s for edge in chain}
        hits[first.step] = _hit(first, chain, len(fallen))
    return list(hits.values())


def _chain(first: int, after: dict[int, list[Edge]]) -> list[Edge]:
    """The edge by which each failure is first reached, in the order of the failures."""
    reached: dict[int, Edge] = {}
    waiting = [first]
    while waiting:
        for edge in after.get(waiting.pop(0), ()):
            if edge.dst.s not in reached:
                reached[edge.dst.s] = edge
                waiting.append(edge.dst.s)
    return [reached[s] for s in sorted(reached)]


def _hit(first: Failure, chain: Sequence[Edge], fallen: int) -> Hit:
    edges = Counter(edge.kind for edge in chain)
    main = min(edges, key=lambda kind: (-edges[kind], kind))
    names = sorted({edge.dst.tool or edge.dst.agent for edge in chain})
    spots = [spot(first, Role.CAUSE, first.text or "the first failure")]
    spots += [
        spot(edge.dst, Role.SYMPTOM, f"{EDGES[edge.kind]}: {edge.dst.text}") for edge in chain
    ]
    return Hit(
        detector="cascade",
        category="cascade",
        subject=Subject(service=first.service, agent=first.agent, tool=first.tool or None),
        exposure=Group(first.service, first.agent, "tool" if first.tool else "agent", first.tool),
        trace=first.t,
        spots=tuple(spots[: 1 + _SHOWN]),
        calls=frozenset({first.s, *(edge.dst.s for edge in chain)}),
        grade=Grade.EXPLICIT if edges.keys() <= _RECORDED else Grade.INFERRED,
        waste=Waste(calls=len(chain), ns=sum(e.dst.end_ns - e.dst.start_ns for e in chain)),
        strength=fallen,
        slots={"edge": main, "fallen": ", ".join(map(wording.quoted, names[:_SHOWN]))},
    )


def _tell(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    what = f"tool {wording.quoted(hit.subject.tool)}" if hit.subject.tool else "a step"
    hits = [one for found in assessment.pattern.hits.values() for one in found]
    edge = min(
        Counter(one.slots["edge"] for one in hits).items(), key=lambda item: (-item[1], item[0])
    )[0]
    fallen = hit.slots["fallen"]
    return wording.Sentences(
        title=f"Agent {wording.quoted(hit.subject.agent)}: when {what} fails, {fallen} fail of it",
        summary=f"{wording.rate(assessment)}. Up to {wording.most(assessment)} later steps fail in one run;"
        f" most of them {_VERBS[edge]}.{wording.waste(assessment)}{wording.harm(assessment)}",
        why=f"no other failure leads to it, and what fails later {EDGES[edge]}",
        recommendation=f"Make good {what} first: retry it or ask for what is missing, and stop the run or"
        f" tell the user while it has not succeeded, instead of going on to {fallen}.",
    )


_VERBS: Final = {
    "passed_on": "are called with what the failed call returned",
    "names": "say so in their error",
    "lacks": "say that what the failed call makes is not there",
    "empty": "are called with an empty value right after it",
    "link": "link to the failed span",
    "needs": "take what the failed tool returns in most good runs",
    "follows": "fail wherever it has failed before, and hardly ever else",
}

CASCADE: Final = Detector(
    name="cascade",
    category="cascade",
    find=cascade,
    needs=FAILURES,
    tell=_tell,
    prior=0.95,
    nature=Nature.FAULT,
    isolated=Isolated.STRONG,
    fails=True,
)
